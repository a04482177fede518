// SPDX-License-Identifier: Apache-2.0
// create, update, patch, delete, and the subresources that write.
#include "orchestrator/apiserver/front/request.h"
#include "orchestrator/apiserver/patch/patch.h"
#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/table/columns.h"

namespace fairlead::orchestrator::apiserver {
namespace {

constexpr size_t kMaxDeletesAtOnce = 100'000;

enum class PatchType { kJson, kMerge, kStrategic };

std::optional<PatchType> patch_type_of(Request& request) {
  const std::string type = media_type(request.http.headers.get("content-type"));
  if (type == "application/json-patch+json") return PatchType::kJson;
  if (type == "application/merge-patch+json") return PatchType::kMerge;
  if (type == "application/strategic-merge-patch+json") return PatchType::kStrategic;
  std::string message =
      "the body of the request was in an unknown format - accepted media types include: "
      "application/json-patch+json, application/merge-patch+json, "
      "application/strategic-merge-patch+json";
  if (type == "application/apply-patch+yaml")
    message += ". Server-side apply is not supported yet: use kubectl apply without --server-side";
  request.fail(unsupported_media_type(std::move(message)));
  return std::nullopt;
}

// Go's words for a document of another form than is read.
std::string not_a(const Json& document, const char* go_type) {
  const std::string found = document.is_boolean() ? "bool" : document.type_name();
  return "json: cannot unmarshal " + found + " into Go value of type " + go_type;
}

ApiError undeterminable(const std::string& name) {
  return bad_request("the name of the object (" + name +
                     " based on URL) was undeterminable: name must be provided");
}

Outcome<Json> patched(PatchType type, const schema::Type& schema_type, Json document,
                      const Json& patch) {
  switch (type) {
    case PatchType::kMerge: {
      if (!patch.is_object())
        return bad_request("error decoding patch: " + not_a(patch, "map[string]interface {}"));
      return apply_merge_patch(std::move(document), patch);
    }
    case PatchType::kStrategic: {
      if (!patch.is_object()) return bad_request(not_a(patch, "map[string]interface {}"));
      auto result = apply_strategic_patch(schema_type, std::move(document), patch);
      if (!result) return bad_request(result.error().message());
      return std::move(*result);
    }
    case PatchType::kJson: {
      if (!patch.is_array())
        return bad_request("error decoding patch: " + not_a(patch, "[]handlers.jsonPatchOp"));
      auto result = apply_json_patch(std::move(document), patch);
      if (result) return std::move(*result);
      ApiError error = invalid({}, {});
      error.has_details = true;
      error.message = "the server rejected our request due to an error in our request: " +
                      result.error().message();
      return error;
    }
  }
  return internal("unknown patch type");
}

// The merge keys of the served form are those of the stored one; only top-level names differ.
Outcome<Json> patched_object(const Kind& kind, PatchType type, const Json& current,
                             const Json& patch) {
  return patched(type, *kind.type, to_served(kind, current), patch);
}

Json scale_of(const Kind& kind, const Json& object) {
  Json metadata = Json::object();
  for (const char* name : {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"})
    metadata[name] = at(at(object, "metadata"), name);
  (void)kind;
  return {{"kind", "Scale"},
          {"apiVersion", "autoscaling/v1"},
          {"metadata", std::move(metadata)},
          {"spec", {{"replicas", int_at(object, "spec.replicas")}}},
          {"status",
           {{"replicas", int_at(object, "status.replicas")},
            {"selector", label_selector_text(at_path(object, "spec.selector"))}}}};
}

void send_scale(Request& request, const Json& scale) {
  if (!request.wants_table()) return request.send_json(200, scale);
  static const Kind kScale = {.group = "autoscaling",
                              .version = "v1",
                              .kind = "Scale",
                              .plural = "scales",
                              .singular = "scale",
                              .short_names = {},
                              .categories = {},
                              .name_format = {},
                              .field_labels = {},
                              .columns = kScaleColumns,
                              .stored_group = {},
                              .renames = {}};
  const Json metadata = {{"resourceVersion", string_at(scale, "metadata.resourceVersion")}};
  request.send_json(200, make_table(kScale, {scale}, metadata, request.table_options(),
                                    std::chrono::system_clock::now()));
}

// A client's Scale written into its object.
Outcome<Json> with_scale(const Kind& kind, Json scale, const Json& current) {
  std::vector<std::string> unknown;
  if (auto decoded = schema::decode(*schema::Types::builtin().find("Scale"), scale, unknown);
      !decoded)
    return bad_request("Scale in version \"v1\" cannot be handled as a Scale: " +
                       decoded.error().message());
  const int64_t replicas = int_at(scale, "spec.replicas");
  const std::string name = string_at(current, "metadata.name");
  if (replicas < 0)
    return invalid({"autoscaling", "", "Scale", name},
                   {invalid_value("spec.replicas", std::to_string(replicas),
                                  "must be greater than or equal to 0")});
  const std::string version = string_at(scale, "metadata.resourceVersion");
  if (!version.empty() && version != string_at(current, "metadata.resourceVersion"))
    return conflict(kind.subject(name),
                    "the object has been modified; please apply your changes to the latest version "
                    "and try again");
  Json next = current;
  next["spec"]["replicas"] = replicas;
  return next;
}

// The older word for a policy, in the body or in the query; both at once contradict.
std::optional<ApiError> read_orphaning(const Request& request, const Json& given,
                                       DeleteOptions& options) {
  const auto query = request.http.query_value("orphanDependents");
  if (given.is_null() && !query) return std::nullopt;
  if (!options.propagation_policy.empty())
    return invalid({"meta.k8s.io", "", "DeleteOptions", ""},
                   {invalid_value("propagationPolicy", go_value(options.propagation_policy),
                                  "orphanDependents and deletionPropagation cannot be both set")});
  if (given == true || is_true(query)) options.propagation_policy = "Orphan";
  return std::nullopt;
}

// Less than none is a second (BeforeDelete of apiserver's pkg/registry/rest).
int grace_of(int64_t seconds) {
  return seconds < 0 ? 1 : static_cast<int>(std::min<int64_t>(seconds, 1 << 30));
}

Outcome<DeleteOptions> read_delete_options(Request& request, const Json& body) {
  DeleteOptions options;
  Json document = body.is_null() ? Json::object() : body;
  std::vector<std::string> unknown;
  if (auto decoded =
          schema::decode(*schema::Types::builtin().find("DeleteOptions"), document, unknown);
      !decoded)
    return bad_request("DeleteOptions in version \"v1\" cannot be handled as DeleteOptions: " +
                       decoded.error().message());
  if (!at(document, "gracePeriodSeconds").is_null()) {
    options.grace_period_seconds = grace_of(int_at(document, "gracePeriodSeconds"));
  }
  options.propagation_policy = string_at(document, "propagationPolicy");
  options.uid = string_at(document, "preconditions.uid");
  options.resource_version = string_at(document, "preconditions.resourceVersion");
  if (const std::string grace = request.query("gracePeriodSeconds"); !grace.empty()) {
    const auto seconds = parse_number(grace);
    if (!seconds) return seconds.error();
    options.grace_period_seconds = grace_of(*seconds);
  }
  if (const std::string policy = request.query("propagationPolicy"); !policy.empty())
    options.propagation_policy = policy;
  if (auto wrong = read_orphaning(request, at(document, "orphanDependents"), options))
    return *wrong;
  const Json& dry_run = at(document, "dryRun");
  for (const Json& value : dry_run) {
    if (value != "All")
      return invalid({"meta.k8s.io", "", "DeleteOptions", ""},
                     {unsupported_value("dryRun", go_value(value), {"All"})});
    request.dry_run = true;
  }
  return options;
}

// Whose registry has ReturnDeletedObject; others tell of a Status.
bool returns_deleted(const Kind& kind) {
  return kind.behaviour == Behaviour::kPod || kind.behaviour == Behaviour::kService ||
         kind.behaviour == Behaviour::kNamespace;
}

Json success_status(const Kind& kind, const Json& object) {
  Json details = {{"name", string_at(object, "metadata.name")},
                  {"kind", kind.plural},
                  {"uid", string_at(object, "metadata.uid")}};
  if (!kind.group.empty()) details["group"] = kind.group;
  return {{"kind", "Status"},
          {"apiVersion", "v1"},
          {"metadata", Json::object()},
          {"status", "Success"},
          {"details", details}};
}

// The document of a PUT must be about what the URL names.
std::optional<ApiError> check_url(const Request& request, const Json& document) {
  const std::string name = string_at(document, "metadata.name");
  if (name.empty()) return undeterminable(request.info.name);
  if (name != request.info.name)
    return bad_request("the name of the object (" + name +
                       ") does not match the name on the URL (" + request.info.name + ")");
  return std::nullopt;
}

std::optional<ApiError> check_binding(Json& binding) {
  std::vector<std::string> unknown;
  if (auto decoded = schema::decode(*schema::Types::builtin().find("Binding"), binding, unknown);
      !decoded)
    return bad_request("Binding in version \"v1\" cannot be handled as a Binding: " +
                       decoded.error().message());
  std::vector<Cause> causes;
  const std::string kind = string_at(binding, "target.kind");
  if (!kind.empty() && kind != "Node")
    causes.push_back(unsupported_value("target.kind", go_value(kind), {"<empty>", "Node"}));
  if (string_at(binding, "target.name").empty()) causes.push_back(required("target.name"));
  if (causes.empty()) return std::nullopt;
  return invalid({"", "bindings", "Binding", string_at(binding, "metadata.name")},
                 std::move(causes));
}

}  // namespace

void Front::serve_create(const RequestRef& request) {
  DocumentOptions options{request->validation, {}};
  auto body = request->read_body(BodyKind::of(*request->kind), &options.duplicates);
  if (!body) return;
  auto admitted = admit_document(*request->kind, std::move(*body), options, request->warnings);
  if (!admitted) return request->fail(admitted.error());
  registry_.create(*request->kind, request->info.ns, std::move(*admitted), {request->dry_run},
                   loop_, written(request));
}

void Front::serve_update(const RequestRef& request) {
  DocumentOptions options{request->validation, {}};
  auto body = request->read_body(BodyKind::of(*request->kind), &options.duplicates);
  if (!body) return;
  auto admitted = admit_document(*request->kind, std::move(*body), options, request->warnings);
  if (!admitted) return request->fail(admitted.error());
  if (auto wrong = check_url(*request, *admitted)) return request->fail(*wrong);
  Change change = [document = std::move(*admitted)](const Json&) -> Outcome<Json> {
    return document;
  };
  registry_.update(*request->kind, request->info.subresource, request->key(), std::move(change),
                   {request->dry_run, request->info.subresource.empty()}, loop_, written(request));
}

void Front::serve_patch(const RequestRef& request) {
  const auto type = patch_type_of(*request);
  if (!type) return;
  std::vector<std::string> duplicates;
  auto patch = parse_json(request->http.body, &duplicates);
  if (!patch) return request->fail(bad_request("error decoding patch: " + patch.error().message()));
  Change change = [request, type = *type, patch = std::move(*patch), duplicates,
                   kept = request->warnings.size()](const Json& current) -> Outcome<Json> {
    auto next = patched_object(*request->kind, type, current, patch);
    if (!next) return next;
    request->warnings.resize(kept);  // without those of an earlier attempt
    // Kubernetes shows what came of the patch, of a strategic one the patch itself.
    const bool strategic = type == PatchType::kStrategic;
    const DocumentOptions options{request->validation, duplicates,
                                  strategic ? go_print(patch) : dump(*next),
                                  strategic ? schema::Words::kConverter : schema::Words::kJson};
    return admit_document(*request->kind, std::move(*next), options, request->warnings);
  };
  registry_.update(*request->kind, request->info.subresource, request->key(), std::move(change),
                   {request->dry_run}, loop_, written(request));
}

void Front::serve_scale(const RequestRef& request) {
  const Kind& kind = *request->kind;
  const std::string& verb = request->info.verb;
  if (verb == "get") {
    auto object = registry_.get(kind, request->key());
    if (!object) return request->fail(object.error());
    return send_scale(*request, scale_of(kind, decode_stored(*object)));
  }
  Change change;
  if (verb == "update") {
    auto body = request->read_body(BodyKind::named("Scale"), nullptr);
    if (!body) return;
    if (auto wrong = check_url(*request, *body)) return request->fail(*wrong);
    change = [&kind, scale = std::move(*body)](const Json& current) {
      return with_scale(kind, scale, current);
    };
  } else {
    const auto type = patch_type_of(*request);
    if (!type) return;
    auto patch = parse_json(request->http.body);
    if (!patch)
      return request->fail(bad_request("error decoding patch: " + patch.error().message()));
    change = [&kind, type = *type,
              patch = std::move(*patch)](const Json& current) -> Outcome<Json> {
      auto scale =
          patched(type, *schema::Types::builtin().find("Scale"), scale_of(kind, current), patch);
      if (!scale) return scale;
      return with_scale(kind, std::move(*scale), current);
    };
  }
  registry_.update(kind, "", request->key(), std::move(change), {request->dry_run}, loop_,
                   [request](const Outcome<Written>& outcome) {
                     if (!outcome) return request->fail(outcome.error());
                     send_scale(*request, scale_of(*request->kind, decode_stored(outcome->object)));
                   });
}

void Front::serve_delete(const RequestRef& request) {
  Json body;
  if (!request->http.body.empty()) {
    auto read = request->read_body(BodyKind::named("DeleteOptions"), nullptr);
    if (!read) return;
    body = std::move(*read);
  }
  auto options = read_delete_options(*request, body);
  if (!options) return request->fail(options.error());
  registry_.remove(*request->kind, request->key(), std::move(*options), {request->dry_run}, loop_,
                   [request](const Outcome<Written>& outcome) {
                     if (!outcome) return request->fail(outcome.error());
                     if (!outcome->removed || returns_deleted(*request->kind))
                       return request->send_object(200, outcome->object);
                     request->send_json(
                         200, success_status(*request->kind, decode_stored(outcome->object)));
                   });
}

void Front::serve_delete_collection(const RequestRef& request) {
  if (request->kind->behaviour == Behaviour::kNamespace)
    return request->fail(
        method_not_allowed("the server does not allow this method on the requested resource"));
  Json body;
  if (!request->http.body.empty()) {
    auto read = request->read_body(BodyKind::named("DeleteOptions"), nullptr);
    if (!read) return;
    body = std::move(*read);
  }
  auto options = read_delete_options(*request, body);
  if (!options) return request->fail(options.error());
  auto filter = Filter::make(*request->kind, request->query("labelSelector"),
                             request->query("fieldSelector"));
  if (!filter) return request->fail(filter.error());
  auto page =
      registry_.list(*request->kind, *filter, {request->info.ns, kMaxDeletesAtOnce, "", 0, false});
  if (!page) return request->fail(page.error());
  struct Progress {
    ListPage page;  // what the client is told: they as they were
    size_t left;
    std::optional<ApiError> failure;
  };
  const size_t count = page->items.size();
  auto progress = std::make_shared<Progress>(Progress{std::move(*page), count, std::nullopt});
  const auto finish = [request, progress] {
    if (progress->failure) return request->fail(*progress->failure);
    send_list(*request, progress->page);
  };
  if (count == 0) return finish();
  for (const Bytes& item : progress->page.items) {
    const Json object = decode_stored(item);
    const kube::ObjectKey key{string_at(object, "metadata.namespace"),
                              string_at(object, "metadata.name")};
    registry_.remove(*request->kind, key, *options, {request->dry_run}, loop_,
                     [progress, finish](const Outcome<Written>& outcome) {
                       if (!outcome && outcome.error().status != 404)
                         progress->failure = outcome.error();
                       if (--progress->left == 0) finish();
                     });
  }
}

// POST pods/NAME/binding, bindings, pods/NAME/eviction.
void Front::serve_pod_create(const RequestRef& request) {
  const bool eviction = request->info.subresource == "eviction";
  auto body = request->read_body(BodyKind::named(eviction ? "Eviction" : "Binding"), nullptr);
  if (!body) return;
  const auto done = [request](const Outcome<Written>& outcome) {
    if (!outcome) return request->fail(outcome.error());
    request->send_json(201, {{"kind", "Status"},
                             {"apiVersion", "v1"},
                             {"metadata", Json::object()},
                             {"status", "Success"},
                             {"code", 201}});
  };
  const Kind& pods = *Kinds::builtin().find(Resource{"", "pods"});
  kube::ObjectKey key = request->key();
  const std::string name = string_at(*body, "metadata.name");
  if (request->info.resource == "bindings")
    key.name = name;
  else if (name != key.name)
    return request->fail(bad_request("name in URL does not match name in " +
                                     std::string(eviction ? "Eviction" : "Binding") + " object"));
  if (eviction) {
    auto options = read_delete_options(*request, at(*body, "deleteOptions"));
    if (!options) return request->fail(options.error());
    return registry_.remove(pods, key, std::move(*options), {request->dry_run}, loop_, done);
  }
  if (auto wrong = check_binding(*body)) return request->fail(*wrong);
  registry_.bind(key, std::move(*body), {request->dry_run}, loop_, done);
}

}  // namespace fairlead::orchestrator::apiserver
