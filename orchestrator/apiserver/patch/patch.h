// SPDX-License-Identifier: Apache-2.0
// The three ways a client may change an object. Pure. A patch that does not fit is kInvalid.
#pragma once

#include "orchestrator/apiserver/json.h"
#include "orchestrator/apiserver/schema/type.h"

namespace fairlead::orchestrator::apiserver {

// RFC 6902. All or nothing. At most kMaxJsonPatchOperations; copies may not grow the document
// beyond kMaxPatchedBytes.
constexpr size_t kMaxJsonPatchOperations = 10'000;
constexpr size_t kMaxPatchedBytes = 3 * 1024 * 1024;
Result<Json> apply_json_patch(Json document, const Json& operations);

// RFC 7386.
Json apply_merge_patch(Json document, const Json& patch);

// Kubernetes' strategic merge: lists merge by the schema's keys; directives $patch, $retainKeys,
// $setElementOrder/LIST and $deleteFromPrimitiveList/LIST
// (k8s.io/community contributors/devel/sig-api-machinery/strategic-merge-patch.md).
Result<Json> apply_strategic_patch(const schema::Type& type, Json document, const Json& patch);

}  // namespace fairlead::orchestrator::apiserver
