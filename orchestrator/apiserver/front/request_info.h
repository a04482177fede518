// SPDX-License-Identifier: Apache-2.0
// What a request asks for, read from its method, path and query. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fairlead::orchestrator::apiserver {

struct RequestInfo {
  std::string verb;  // get list watch create update patch delete deletecollection; else the method,
                     // lower case
  bool is_resource = false;
  std::string group, version, resource, subresource, ns, name;
};

// "/api/v1/namespaces/default/pods/web-1/log", "/apis/apps/v1/deployments?watch=1".
RequestInfo read_request(std::string_view method, std::string_view path, bool watch);

// A query value is true as Kubernetes converts it: "", "0" and "false" are false.
bool is_true(std::optional<std::string_view> value);

enum class Accepted {
  kJson,
  kTableV1,
  kTableV1Beta1,
  kMetadataV1,  // PartialObjectMetadata, in a list or a watch too
  kMetadataV1Beta1,
  kDiscoveryV2,
  kDiscoveryV2Beta1,
  kNothing
};

// The first of the Accept header's choices that can be served. Other forms of objects and
// aggregated discovery count only where `objects` and `discovery` say so.
Accepted negotiate(std::optional<std::string_view> accept, bool objects, bool discovery);

// "application/json; charset=utf-8" -> "application/json", lower case.
std::string media_type(std::optional<std::string_view> header);

}  // namespace fairlead::orchestrator::apiserver
