// SPDX-License-Identifier: Apache-2.0
// From a request to who serves it.
#include "orchestrator/apiserver/front/front.h"

#include "base/http/ops_server.h"
#include "base/log.h"
#include "orchestrator/apiserver/discovery.h"
#include "orchestrator/apiserver/front/health.h"
#include "orchestrator/apiserver/front/request.h"
#include "orchestrator/apiserver/openapi.h"

namespace fairlead::orchestrator::apiserver {
namespace {

bool has_subresource(const Kind& kind, std::string_view name) {
  if (name.empty()) return true;
  if (name == "status") return kind.has_status;
  if (name == "scale") return kind.has_scale;
  if (name == "finalize") return kind.behaviour == Behaviour::kNamespace;
  return kind.behaviour == Behaviour::kPod &&
         (name == "log" || name == "binding" || name == "eviction");
}

// What Kubernetes has below its objects and this server has not yet.
struct Missing {
  const char* plural;
  const char* subresource;
  const char* what;
};
constexpr Missing kMissing[] = {
    {"pods", "exec", "run commands in containers"},
    {"pods", "attach", "attach to containers"},
    {"pods", "portforward", "forward ports to pods"},
    {"pods", "proxy", "relay requests to pods"},
    {"services", "proxy", "relay requests to services"},
    {"nodes", "proxy", "relay requests to nodes"},
};

// kubectl shows this Status when it is refused the upgrade of a connection, whichever protocol it
// tried last.
std::optional<ApiError> missing_feature(const Kind& kind, std::string_view subresource) {
  const std::string_view name = subresource.substr(0, subresource.find('/'));
  for (const Missing& one : kMissing)
    if (kind.group.empty() && kind.plural == one.plural && name == one.subresource)
      return method_not_allowed(kind.plural + "/" + one.subresource +
                                " is not served yet: this server cannot " + one.what);
  return std::nullopt;
}

// Query parameters that mean the same for every verb.
void read_common(Request& request) {
  for (const auto& [name, value] : request.http.query) {
    if (name == "pretty") request.pretty = is_true(value);
    if (name == "includeObject")
      request.include = value == "None"     ? IncludeObject::kNone
                        : value == "Object" ? IncludeObject::kObject
                                            : IncludeObject::kMetadata;
  }
}

std::optional<ApiError> check_table(const Request& request) {
  const std::string value = request.query("includeObject");
  if (!request.wants_table() || value.empty() || value == "None" || value == "Object" ||
      value == "Metadata")
    return std::nullopt;
  return bad_request("Unable to convert to Table as requested: includeObject: Invalid value: " +
                     go_value(Json(value)) + ": must be 'Metadata', 'Object', 'None', or empty");
}

// Verbs of what is below an object; the object itself has all of them but create.
bool has_verb(const RequestInfo& info) {
  const std::string& verb = info.verb;
  if (info.subresource.empty())
    return verb == "list" || verb == "watch" || verb == "deletecollection" ||
           (verb == "create" ? info.name.empty() : !info.name.empty());
  if (info.subresource == "log") return verb == "get";
  if (info.subresource == "finalize") return verb == "update";
  if (info.subresource == "binding" || info.subresource == "eviction") return verb == "create";
  return verb == "get" || verb == "update" || verb == "patch";
}

void send_openapi(Request& request, const OpenApiDocument& document, const char* type) {
  const std::string etag = "\"" + document.hash + "\"";
  HttpHeaders headers{{"content-type", type}, {"vary", "Accept-Encoding"}, {"vary", "Accept"}};
  if (!document.hash.empty()) headers.add("etag", etag);
  const bool pinned = !document.hash.empty() && request.query("hash") == document.hash;
  headers.add("cache-control", pinned ? "public, immutable" : "no-cache, private");
  if (!document.hash.empty() && request.http.headers.get("if-none-match") == etag)
    return request.responder->respond(304, std::move(headers), "");
  request.responder->respond(200, std::move(headers), *document.body);
}

// Go clients ask for protobuf, with a type that their own library cannot parse ("@").
void serve_openapi_v2(Request& request) {
  const std::string accept(request.http.headers.get("accept").value_or("*/*"));
  if (accept.find("com.github.proto-openapi.spec.v2") != std::string::npos)
    return send_openapi(request, openapi_v2_protobuf(), kOpenApiV2Type);
  if (negotiate(accept, false, false) == Accepted::kNothing)
    return request.fail(not_acceptable(std::string("application/json, ") + kOpenApiV2Type));
  send_openapi(request, openapi_v2(), "application/json");
}

bool is_group_version(std::string_view group, std::string_view version) {
  for (const auto& [g, v] : Kinds::builtin().group_versions())
    if (g == group && v == version) return true;
  return false;
}

}  // namespace

Front::Front(Loop& loop, Registry& registry, FrontOptions options,
             std::unique_ptr<PodLogSource> logs)
    : loop_(loop), registry_(registry), options_(std::move(options)), logs_(std::move(logs)) {}

Front::~Front() {
  alive_.reset();
  streams_.clear();
}

void Front::keep(std::shared_ptr<Stream> stream) {
  streams_.insert(std::move(stream));
}

void Front::handle(HttpServerRequest http, std::shared_ptr<HttpResponder> responder) {
  auto request = std::make_shared<Request>();
  request->http = std::move(http);
  request->responder = std::move(responder);
  const bool watch = is_true(request->http.query_value("watch"));
  request->info = read_request(request->http.method, request->http.path, watch);
  auto user = options_.authenticator->identify(request->http);
  if (!user) return request->fail(user.error());
  if (!*user && !open_to_everyone(request->http.path)) return request->fail(unauthorized());
  if (*user)
    if (auto refused = authorize(**user, request->info, request->http.path))
      return request->fail(*refused);
  read_common(*request);
  if (request->info.is_resource) return serve_resource(request);
  serve_plain(request);
}

void Front::serve_plain(const RequestRef& request) {
  const std::string& path = request->http.path;
  OpsEndpoints ops{options_.metrics, {}};
  if (auto health = health_text(path, request->http.query))
    ops.checks[path] = [text = std::move(*health)] { return HealthAnswer{true, text}; };
  if (serve_ops(ops, request->http, *request->responder)) return;
  if (request->info.verb != "get") return request->fail(path_not_found());
  const auto accept = request->http.headers.get("accept");
  if (path == "/version") return request->send_json(200, version_info());
  if (path == "/openapi/v2") return serve_openapi_v2(*request);
  if (const auto document = openapi_v3(path))
    return send_openapi(*request, *document, "application/json");
  const Accepted accepted = negotiate(accept, false, path == "/api" || path == "/apis");
  if (accepted == Accepted::kDiscoveryV2 || accepted == Accepted::kDiscoveryV2Beta1) {
    const std::string version = accepted == Accepted::kDiscoveryV2 ? "v2" : "v2beta1";
    return request->send(
        200, dump(aggregated_discovery(path, version)),
        "application/json;g=apidiscovery.k8s.io;v=" + version + ";as=APIGroupDiscoveryList");
  }
  if (accepted == Accepted::kNothing) return request->fail(not_acceptable("application/json"));
  if (auto discovery = legacy_discovery(path, options_.server_address))
    return request->send_json(200, *discovery);
  request->fail(path_not_found());
}

void Front::serve_resource(const RequestRef& request) {
  const RequestInfo& info = request->info;
  const std::string& path = request->http.path;
  request->kind = Kinds::builtin().find(info.group, info.version, info.resource);
  if (info.resource == "bindings" && info.group.empty() && info.verb == "create") {
    if (auto wrong = read_write_options(*request)) return request->fail(*wrong);
    return serve_pod_create(request);
  }
  const bool scoped = request->kind && (request->kind->namespaced || info.ns.empty());
  if (scoped)
    if (const auto missing = missing_feature(*request->kind, info.subresource))
      return request->fail(*missing);
  if (!scoped || !is_group_version(info.group, info.version) ||
      !has_subresource(*request->kind, info.subresource))
    return request->fail(path_not_found());
  // Only lists and watches reach over all namespaces.
  const bool needs_ns = request->kind->namespaced && info.ns.empty();
  if (needs_ns && !info.name.empty()) return request->fail(path_not_found());
  if (!has_verb(info) || (needs_ns && info.verb != "list" && info.verb != "watch"))
    return request->fail(
        method_not_allowed("the server does not allow this method on the requested resource"));
  request->accepted = negotiate(request->http.headers.get("accept"), true, false);
  if (request->accepted == Accepted::kNothing && info.subresource != "log")
    return request->fail(not_acceptable("application/json"));
  if (auto wrong = check_table(*request)) return request->fail(*wrong);
  if (auto wrong = read_write_options(*request)) return request->fail(*wrong);
  log::debug("api: {} {}", info.verb, path);
  if (!request->kind->deprecation.empty()) request->warnings.push_back(request->kind->deprecation);
  if (info.subresource == "log") return serve_log(request);
  if (info.subresource == "binding" || info.subresource == "eviction")
    return serve_pod_create(request);
  if (info.subresource == "scale") return serve_scale(request);
  if (info.verb == "get") return serve_get(request);
  if (info.verb == "update") return serve_update(request);
  if (info.verb == "patch") return serve_patch(request);
  if (info.verb == "list") return serve_list(request);
  if (info.verb == "watch") return serve_watch(request);
  if (info.verb == "create") return serve_create(request);
  if (info.verb == "delete") return serve_delete(request);
  serve_delete_collection(request);
}

WrittenDone Front::written(const RequestRef& request) {
  return [request](const Outcome<Written>& outcome) {
    if (!outcome) return request->fail(outcome.error());
    request->warn_of(*outcome);
    request->send_object(outcome->created ? 201 : 200, outcome->object);
  };
}

}  // namespace fairlead::orchestrator::apiserver
