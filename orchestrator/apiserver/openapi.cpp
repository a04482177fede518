// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/openapi.h"

#include <openssl/evp.h>

#include <array>
#include <map>
#include <mutex>

#include "orchestrator/apiserver/openapi_components.h"

namespace fairlead::orchestrator::apiserver {
namespace {

std::string sha256_hex(const std::string& text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &length, EVP_sha256(), nullptr);
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string hex;
  for (unsigned int i = 0; i < length; ++i) {
    hex += kHex[digest[i] >> 4];
    hex += kHex[digest[i] & 15];
  }
  return hex;
}

OpenApiDocument make_document(std::string text) {
  auto body = std::make_shared<const std::string>(std::move(text));
  return {body, sha256_hex(*body)};
}

Json query_parameter(const char* name, Dialect dialect) {
  Json parameter = {{"name", name}, {"in", "query"}};
  if (dialect == Dialect::kV2)
    parameter["type"] = "string";
  else
    parameter["schema"] = {{"type", "string"}, {"uniqueItems", true}};
  return parameter;
}

// kubectl looks here for what a write understands: dryRun, fieldManager, fieldValidation.
Json parameters_of(std::string_view action, Dialect dialect) {
  Json parameters = Json::array();
  if (action == "get" || action == "list") return parameters;
  for (const char* name : {"dryRun", "fieldManager", "fieldValidation"})
    parameters.push_back(query_parameter(name, dialect));
  if (action == "patch") parameters.push_back(query_parameter("force", dialect));
  return parameters;
}

Json operation(const Kind& kind, const char* action, const Json& body, Dialect dialect) {
  Json ok = {{"description", "OK"}};
  if (dialect == Dialect::kV2)
    ok["schema"] = body;
  else
    ok["content"] = {{"application/json", {{"schema", body}}}};
  return {{"parameters", parameters_of(action, dialect)},
          {"responses", {{"200", std::move(ok)}}},
          {"x-kubernetes-action", action},
          {"x-kubernetes-group-version-kind", group_version_kind(kind)}};
}

void add_paths(const Kind& kind, const Json& body, Dialect dialect, Json& paths) {
  const auto make = [&](const char* action) { return operation(kind, action, body, dialect); };
  std::string base = (kind.group.empty() ? "/api/" : "/apis/") + kind.api_version();
  if (kind.namespaced) base += "/namespaces/{namespace}";
  base += "/" + kind.plural;
  paths[base] = {{"get", make("list")}, {"post", make("post")}};
  paths[base + "/{name}"] = {{"get", make("get")},
                             {"put", make("put")},
                             {"patch", make("patch")},
                             {"delete", make("delete")}};
}

Json info() {
  return {{"title", "Kubernetes"}, {"version", "unversioned"}};
}

Json v3_document(const std::string& group, const std::string& version) {
  Components components(Dialect::kV3);
  Json paths = Json::object();
  for (const Kind& kind : Kinds::builtin().all())
    if (kind.group == group && kind.version == version)
      add_paths(kind, components.add(kind), Dialect::kV3, paths);
  return {{"openapi", "3.0.0"},
          {"info", info()},
          {"paths", std::move(paths)},
          {"components", {{"schemas", components.take()}}}};
}

Json v2_document() {
  Components components(Dialect::kV2);
  Json paths = Json::object();
  for (const Kind& kind : Kinds::builtin().all())
    add_paths(kind, components.add(kind), Dialect::kV2, paths);
  return {{"swagger", "2.0"},
          {"info", info()},
          {"paths", std::move(paths)},
          {"definitions", components.take()}};
}

std::string relative_path(const std::string& group, const std::string& version) {
  return group.empty() ? "api/" + version : "apis/" + group + "/" + version;
}

}  // namespace

std::optional<OpenApiDocument> openapi_v3(std::string_view path) {
  static std::mutex mutex;
  static std::map<std::string, OpenApiDocument, std::less<>> made;
  std::lock_guard lock(mutex);
  if (const auto it = made.find(path); it != made.end()) return it->second;
  Json index = Json::object();
  for (const auto& [group, version] : Kinds::builtin().group_versions()) {
    const std::string relative = relative_path(group, version);
    const std::string full = "/openapi/v3/" + relative;
    if (path != full && path != "/openapi/v3") continue;
    auto it = made.find(full);
    if (it == made.end())
      it = made.emplace(full, make_document(dump(v3_document(group, version)))).first;
    if (path == full) return it->second;
    index["paths"][relative] = {{"serverRelativeURL", full + "?hash=" + it->second.hash}};
  }
  if (path != "/openapi/v3") return std::nullopt;
  OpenApiDocument document{std::make_shared<const std::string>(dump(index)), ""};
  return made.emplace(std::string(path), document).first->second;
}

OpenApiDocument openapi_v2() {
  static const OpenApiDocument kDocument = make_document(dump(v2_document()));
  return kDocument;
}

OpenApiDocument openapi_v2_protobuf() {
  static const OpenApiDocument kDocument = make_document(encode_openapi_v2(v2_document()));
  return kDocument;
}

}  // namespace fairlead::orchestrator::apiserver
