// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/front/request_info.h"

#include <algorithm>
#include <vector>

namespace fairlead::orchestrator::apiserver {
namespace {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const size_t at = text.find(separator);
    parts.emplace_back(text.substr(0, at));
    if (at == text.npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::string trimmed_lower(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == text.npos) return "";
  std::string result(text.substr(begin, text.find_last_not_of(" \t") - begin + 1));
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return result;
}

std::string verb_of(std::string_view method, bool named, bool watch) {
  // Of one object there is no watch by its own path (apiserver's requestinfo.go).
  if (method == "GET" || method == "HEAD") return named ? "get" : watch ? "watch" : "list";
  if (method == "POST") return "create";
  if (method == "PUT") return "update";
  if (method == "PATCH") return "patch";
  if (method == "DELETE") return named ? "delete" : "deletecollection";
  return trimmed_lower(method);
}

}  // namespace

RequestInfo read_request(std::string_view method, std::string_view path, bool watch) {
  RequestInfo info;
  info.verb = method == "GET" || method == "HEAD" ? "get" : trimmed_lower(method);
  std::vector<std::string> parts = split(path.substr(path.starts_with('/') ? 1 : 0), '/');
  while (!parts.empty() && parts.back().empty()) parts.pop_back();
  size_t at = 0;
  if (parts.size() >= 3 && parts[0] == "api") {
    info.version = parts[1];
    at = 2;
  } else if (parts.size() >= 4 && parts[0] == "apis") {
    info.group = parts[1];
    info.version = parts[2];
    at = 3;
  } else {
    return info;
  }
  info.is_resource = true;
  // namespaces/NS/RESOURCE...; but namespaces/NAME/status and /finalize are of the namespace
  // itself.
  const size_t left = parts.size() - at;
  const bool inside = parts[at] == "namespaces" && left >= 3 && parts[at + 2] != "status" &&
                      parts[at + 2] != "finalize";
  if (inside) {
    info.ns = parts[at + 1];
    at += 2;
  }
  info.resource = parts[at];
  if (at + 1 < parts.size()) info.name = parts[at + 1];
  if (at + 2 < parts.size()) info.subresource = parts[at + 2];
  if (at + 3 < parts.size()) info.subresource += "/...";  // no resource has anything there
  info.verb = verb_of(method, !info.name.empty(), watch);
  return info;
}

bool is_true(std::optional<std::string_view> value) {
  return value && !value->empty() && *value != "0" && *value != "false";
}

std::string media_type(std::optional<std::string_view> header) {
  if (!header) return "";
  return trimmed_lower(header->substr(0, header->find(';')));
}

Accepted negotiate(std::optional<std::string_view> accept, bool objects, bool discovery) {
  if (!accept || accept->empty()) return Accepted::kJson;
  for (const std::string& choice : split(*accept, ',')) {
    const std::vector<std::string> parts = split(choice, ';');
    const std::string type = trimmed_lower(parts[0]);
    if (type != "application/json" && type != "application/*" && type != "*/*") continue;
    std::string as, version, group;
    for (size_t i = 1; i < parts.size(); ++i) {
      const std::string parameter = trimmed_lower(parts[i]);
      if (parameter.starts_with("as=")) as = parameter.substr(3);
      if (parameter.starts_with("v=")) version = parameter.substr(2);
      if (parameter.starts_with("g=")) group = parameter.substr(2);
    }
    if (as.empty()) return Accepted::kJson;
    const bool metadata = as == "partialobjectmetadata" || as == "partialobjectmetadatalist";
    if (objects && group == "meta.k8s.io" && (as == "table" || metadata)) {
      if (version == "v1") return metadata ? Accepted::kMetadataV1 : Accepted::kTableV1;
      if (version == "v1beta1")
        return metadata ? Accepted::kMetadataV1Beta1 : Accepted::kTableV1Beta1;
    }
    if (discovery && as == "apigroupdiscoverylist" && group == "apidiscovery.k8s.io") {
      if (version == "v2") return Accepted::kDiscoveryV2;
      if (version == "v2beta1") return Accepted::kDiscoveryV2Beta1;
    }
  }
  return Accepted::kNothing;
}

}  // namespace fairlead::orchestrator::apiserver
