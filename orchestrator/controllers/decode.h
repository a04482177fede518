// SPDX-License-Identifier: Apache-2.0
// Encoded objects to trimmed ones. Pure. The API server validated what is stored, so a field of the
// wrong type reads as absent; only a document that is no object, or has no name, is an error.
#pragma once

#include <string>

#include "base/result.h"
#include "orchestrator/controllers/objects.h"

namespace fairlead::orchestrator::controllers {

Result<Pod> decode_pod(const Bytes& bytes);
Result<ReplicaSet> decode_replica_set(const Bytes& bytes);
Result<Deployment> decode_deployment(const Bytes& bytes);
Result<Service> decode_service(const Bytes& bytes);
Result<Endpoints> decode_endpoints(const Bytes& bytes);
Result<EndpointSlice> decode_endpoint_slice(const Bytes& bytes);
Result<Node> decode_node(const Bytes& bytes);
Result<Lease> decode_lease(const Bytes& bytes);
Result<Namespace> decode_namespace(const Bytes& bytes);
Result<AnyObject> decode_any(const Bytes& bytes);

}  // namespace fairlead::orchestrator::controllers
