// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/registry/prepare.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>

#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/formats.h"
#include "orchestrator/apiserver/table/columns.h"

namespace fairlead::orchestrator::apiserver {
namespace {

constexpr size_t kMaxAnnotationBytes = 256 * 1024;
constexpr size_t kMaxGeneratedBase = 58;  // 63 minus the suffix
constexpr const char* kServerOwned[] = {"creationTimestamp",
                                        "deletionGracePeriodSeconds",
                                        "deletionTimestamp",
                                        "generation",
                                        "managedFields",
                                        "selfLink",
                                        "uid"};
constexpr std::initializer_list<const char*> kKeptOnUpdate = {
    "creationTimestamp", "deletionGracePeriodSeconds",
    "deletionTimestamp", "generateName",
    "generation",        "uid"};

Outcome<Json> check_identity(const Kind& kind, Json document) {
  if (auto wrong = wrong_identity(document, kind.api_version(), kind.kind)) return *wrong;
  document["apiVersion"] = kind.api_version();
  document["kind"] = kind.kind;
  return document;
}

std::string cannot_be_handled(const Kind& kind) {
  return kind.kind + " in version \"" + kind.version + "\" cannot be handled as a " + kind.kind +
         ": ";
}

ApiError undecodable(const Kind& kind, const DocumentOptions& options, const std::string& why) {
  if (!options.patch) return bad_request(cannot_be_handled(kind) + why);
  return invalid({}, {invalid_value("patch", go_value(*options.patch), why)});
}

schema::Complaint check_name(const Kind& kind, std::string_view name) {
  return kind.name_format == "dns1123label" ? schema::check_dns1123_label(name)
                                            : schema::check_dns1123_subdomain(name);
}

void validate_metadata(const Kind& kind, const Json& object, std::vector<Cause>& causes) {
  const std::string name = string_at(object, "metadata.name");
  if (name.empty())
    causes.push_back(required("metadata.name", "name or generateName is required"));
  else if (auto wrong = check_name(kind, name))
    causes.push_back(invalid_value("metadata.name", go_value(name), *wrong));
  // What begins a name may end as one does not.
  std::string base = string_at(object, "metadata.generateName");
  if (base.ends_with('-')) base.back() = 'a';
  if (auto wrong = base.empty() ? std::nullopt : check_name(kind, base))
    causes.push_back(invalid_value("metadata.generateName",
                                   go_value(at_path(object, "metadata.generateName")), *wrong));
  size_t bytes = 0;
  const Json& annotations = at_path(object, "metadata.annotations");
  if (annotations.is_object())
    for (const auto& [key, value] : annotations.items())
      bytes += key.size() + value.get_ref<const std::string&>().size();
  if (bytes > kMaxAnnotationBytes)
    causes.push_back({"FieldValueTooLong", "Too long: may not be more than 262144 bytes",
                      "metadata.annotations"});
}

ApiError invalid_object(const Kind& kind, const Json& object, std::vector<Cause> causes) {
  return invalid(kind.subject(string_at(object, "metadata.name")), std::move(causes));
}

void set_name(Json& metadata, const std::string& suffix) {
  const std::string base = string_at(metadata, "generateName");
  if (!string_at(metadata, "name").empty() || base.empty()) return;
  metadata["name"] = base.substr(0, kMaxGeneratedBase) + suffix;
}

void new_status(const Kind& kind, Json& object) {
  if (!kind.has_status || kind.keeps_status_on_create) return;
  object["status"] = Json::object();
}

void prepare_behaviour(const Kind& kind, Json& object, WallTime now) {
  switch (kind.behaviour) {
    case Behaviour::kPlain:
    case Behaviour::kEvent:
      break;
    case Behaviour::kNode:
      prepare_node_create(object);
      break;
    case Behaviour::kNamespace:
      object["metadata"]["labels"]["kubernetes.io/metadata.name"] =
          string_at(object, "metadata.name");
      object["spec"] = {{"finalizers", {"kubernetes"}}};
      break;
    case Behaviour::kPod:
      prepare_pod_create(object, now);
      break;
    case Behaviour::kService:
      prepare_service_create(object);
      break;
  }
}

void keep_metadata(Json& metadata, const Json& current, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const Json& before = at(at(current, "metadata"), name);
    if (before.is_null())
      metadata.erase(name);
    else
      metadata[name] = before;
  }
}

void keep_own_metadata(const Kind& kind, Json& metadata, const Json& current) {
  keep_metadata(metadata, current, kKeptOnUpdate);
  metadata.erase("managedFields");
  metadata.erase("selfLink");
  if (kind.behaviour == Behaviour::kNamespace)
    metadata["labels"]["kubernetes.io/metadata.name"] = string_at(current, "metadata.name");
}

// A status brings the labels and annotations of its object along (pkg/registry, the strategies for
// statuses), but for what two of them keep.
Json with_status(const Kind& kind, const Json& next, const Json& current) {
  Json result = current;
  result["status"] = at(next, "status").is_null() ? Json::object() : at(next, "status");
  Json& metadata = result["metadata"];
  metadata = at(next, "metadata");
  keep_own_metadata(kind, metadata, current);
  if (kind.kind == "Deployment") keep_metadata(metadata, current, {"labels"});
  if (kind.behaviour == Behaviour::kPod) keep_metadata(metadata, current, {"ownerReferences"});
  return result;
}

// Everything the server owns, and the side of the object this request may not touch, is as it was.
Json keep_what_is_ours(const Kind& kind, std::string_view subresource, Json next,
                       const Json& current) {
  if (subresource == "status") return with_status(kind, next, current);
  if (subresource == "binding") return next;  // the server's own change
  if (subresource == "finalize") {
    Json result = current;
    const Json finalizers = at_path(next, "spec.finalizers");
    result["spec"] = finalizers.is_null() ? Json::object() : Json({{"finalizers", finalizers}});
    return result;
  }
  keep_own_metadata(kind, next["metadata"], current);
  if (kind.has_status) {
    next.erase("status");
    if (current.contains("status")) next["status"] = current["status"];
  }
  if (kind.behaviour == Behaviour::kNamespace) next["spec"] = at(current, "spec");
  return next;
}

Outcome<Json> check_preconditions(const Kind& kind, Json next, const Json& current) {
  const std::string name = string_at(current, "metadata.name");
  if (!next.contains("metadata") || !next["metadata"].is_object())
    next["metadata"] = Json::object();
  Json& metadata = next["metadata"];
  if (string_at(metadata, "name").empty())
    return bad_request("the name of the object (" + name +
                       " based on URL) was undeterminable: name must be provided");
  if (kind.namespaced && string_at(metadata, "namespace").empty())
    metadata["namespace"] = string_at(current, "metadata.namespace");
  if (string_at(metadata, "name") != name)
    return bad_request("the name of the object (" + string_at(metadata, "name") +
                       ") does not match the name on the URL (" + name + ")");
  if (kind.namespaced &&
      string_at(metadata, "namespace") != string_at(current, "metadata.namespace"))
    return bad_request(
        "the namespace of the provided object does not match the namespace sent on the request");
  const std::string uid = string_at(metadata, "uid");
  if (!uid.empty() && uid != string_at(current, "metadata.uid"))
    return conflict(kind.subject(name),
                    "Precondition failed: UID in precondition: " + uid +
                        ", UID in object meta: " + string_at(current, "metadata.uid"));
  const std::string version = string_at(metadata, "resourceVersion");
  if (!version.empty() && version != string_at(current, "metadata.resourceVersion"))
    return conflict(kind.subject(name),
                    "the object has been modified; please apply your changes to the latest version "
                    "and try again");
  if (version.empty() && kind.updated_by_version_only)
    return invalid(
        {kind.group, kind.plural, kind.plural, name},
        {invalid_value("metadata.resourceVersion", "0", "must be specified for an update")});
  metadata["resourceVersion"] = string_at(current, "metadata.resourceVersion");
  return next;
}

void check_finalizers(const Json& next, const Json& current, std::vector<Cause>& causes) {
  if (at_path(current, "metadata.deletionTimestamp").is_null()) return;
  const Json& before = at_path(current, "metadata.finalizers");
  const Json& now = at_path(next, "metadata.finalizers");
  if (!now.is_array()) return;
  for (const Json& one : now)
    if (!before.is_array() || std::find(before.begin(), before.end(), one) == before.end())
      causes.push_back(forbidden_field(
          "metadata.finalizers",
          "no new finalizers can be added if the object is being deleted, found new "
          "finalizers []string{" +
              go_value(one) + "}"));
}

void check_immutable_flag(const Json& next, const Json& current, std::vector<Cause>& causes) {
  if (!at(current, "immutable").is_boolean() || !bool_at(current, "immutable")) return;
  for (const char* name : {"data", "binaryData", "immutable"})
    if (at(next, name) != at(current, name))
      causes.push_back(forbidden_field(name, "field is immutable when `immutable` is set"));
}

void validate_whole_update(const Kind& kind, const Json& object, const Json& current,
                           std::vector<Cause>& causes) {
  schema::validate_update(*kind.type, object, current, "", causes);
  check_immutable_flag(object, current, causes);
  switch (kind.behaviour) {
    case Behaviour::kPlain:
    case Behaviour::kNamespace:
      break;
    case Behaviour::kEvent:
      validate_event(kind, object, causes);
      validate_event_update(kind, object, current, causes);
      break;
    case Behaviour::kNode:
      validate_node_update(object, current, causes);
      break;
    case Behaviour::kPod:
      validate_pod_update(object, current, causes);
      break;
    case Behaviour::kService:
      validate_service_update(object, current, causes);
      break;
  }
}

// Labels of an EndpointSlice count: they are how its readers find it (endpointSliceStrategy).
bool content_differs(const Kind& kind, Json a, Json b) {
  if (kind.kind == "EndpointSlice" &&
      at_path(a, "metadata.labels") != at_path(b, "metadata.labels"))
    return true;
  for (Json* one : {&a, &b}) {
    one->erase("metadata");
    one->erase("status");
  }
  return a != b;
}

// One owner twice is once (dedupOwnerReferences of apiserver's pkg/endpoints/handlers).
void merge_owners(Json& object, std::vector<std::string>& warnings) {
  const Json owners = at_path(object, "metadata.ownerReferences");
  if (!owners.is_array()) return;
  Json kept = Json::array();
  std::string twice;
  for (const Json& owner : owners)
    if (std::find(kept.begin(), kept.end(), owner) == kept.end())
      kept.push_back(owner);
    else
      twice += (twice.empty() ? "" : ", ") + string_at(owner, "uid");
  if (twice.empty()) return;
  object["metadata"]["ownerReferences"] = std::move(kept);
  warnings.push_back(
      ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in "
      "1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate "
      "UID(s) observed: " +
      twice);
}

}  // namespace

std::optional<ApiError> wrong_identity(const Json& document, const std::string& api_version,
                                       const std::string& kind) {
  const Json& version = at(document, "apiVersion");
  const Json& name = at(document, "kind");
  if (!version.is_null() && !api_version.empty() && version != api_version)
    return bad_request("the API version in the data (" + string_at(document, "apiVersion") +
                       ") does not match the expected API version (" + api_version + ")");
  if (!name.is_null() && name != kind)
    return bad_request("the kind in the data (" + string_at(document, "kind") +
                       ") does not match the expected kind (" + kind + ")");
  return std::nullopt;
}

Outcome<Json> admit_document(const Kind& kind, Json document, const DocumentOptions& options,
                             std::vector<std::string>& warnings) {
  if (!document.is_object())
    return undecodable(kind, options,
                       "json: cannot unmarshal " + std::string(document.type_name()) +
                           " into Go value of type v1." + kind.kind);
  auto named = check_identity(kind, std::move(document));
  if (!named) return named;
  Json stored = to_stored(kind, std::move(*named));
  std::vector<std::string> unknown;
  if (auto decoded = schema::decode(*kind.type, stored, unknown, options.words); !decoded)
    return undecodable(kind, options, decoded.error().message());
  merge_owners(stored, warnings);
  if (options.validation == FieldValidation::kIgnore) return stored;
  std::vector<std::string> complaints;
  for (const std::string& path : unknown) complaints.push_back("unknown field \"" + path + "\"");
  for (const std::string& path : options.duplicates)
    complaints.push_back("duplicate field \"" + path + "\"");
  if (complaints.empty()) return stored;
  if (options.validation == FieldValidation::kWarn) {
    warnings.insert(warnings.end(), complaints.begin(), complaints.end());
    return stored;
  }
  std::string text;
  for (const std::string& one : complaints) text += (text.empty() ? "" : ", ") + one;
  return undecodable(kind, options, "strict decoding error: " + text);
}

Outcome<Json> prepare_create(const Kind& kind, const std::string& ns, Json object,
                             const Origin& origin) {
  Json& metadata = object["metadata"];
  if (!metadata.is_object()) metadata = Json::object();
  if (!string_at(metadata, "resourceVersion").empty())
    return bad_request("resourceVersion should not be set on objects to be created");
  for (const char* name : kServerOwned) metadata.erase(name);
  metadata.erase("resourceVersion");
  const std::string given = string_at(metadata, "namespace");
  if (kind.namespaced) {
    if (!given.empty() && given != ns)
      return bad_request(
          "the namespace of the provided object does not match the namespace sent on the request");
    metadata["namespace"] = ns;
  } else {
    metadata.erase("namespace");
  }
  set_name(metadata, origin.name_suffix);
  new_status(kind, object);
  if (kind.behaviour == Behaviour::kPod)
    if (auto refused = check_priority(kind, object)) return *refused;
  prepare_behaviour(kind, object, origin.now);
  schema::apply_defaults(*kind.type, object);
  if (kind.behaviour == Behaviour::kPod)
    object["status"]["qosClass"] = qos_class(at(object, "spec"));
  std::vector<Cause> causes;
  validate_metadata(kind, object, causes);
  schema::validate(*kind.type, object, "", causes);
  if (kind.behaviour == Behaviour::kEvent) validate_event(kind, object, causes);
  if (!causes.empty()) return invalid_object(kind, object, std::move(causes));
  Json& ours = object["metadata"];
  ours["uid"] = origin.uid;
  ours["creationTimestamp"] = timestamp(origin.now);
  if (kind.has_generation) ours["generation"] = 1;
  return object;
}

// What was wrong before, by a rule that is younger than the object, is not this writer's fault:
// else nobody could scale it down, bind it or let it go.
void validate_changes(const Kind& kind, const Json& object, const Json& current,
                      std::vector<Cause>& causes) {
  std::vector<Cause> found;
  schema::validate(*kind.type, object, "", found);
  if (!found.empty()) {
    Json before = current;
    schema::apply_defaults(*kind.type, before);
    std::vector<Cause> known;
    schema::validate(*kind.type, before, "", known);
    std::erase_if(found, [&](const Cause& cause) {
      return std::find(known.begin(), known.end(), cause) != known.end();
    });
  }
  causes.insert(causes.end(), found.begin(), found.end());
}

// Its own rules, and those of the metadata that came with it.
void validate_status(const Kind& kind, const Json& object, const Json& current,
                     std::vector<Cause>& causes) {
  const Json& metadata = at(object, "metadata");
  if (metadata != at(current, "metadata"))
    schema::validate(*kind.type->field("metadata")->type, metadata, "metadata", causes);
  schema::validate(*kind.type->field("status")->type, at(object, "status"), "status", causes);
  validate_status_update(kind, object, current, causes);
}

Outcome<Json> prepare_update(const Kind& kind, std::string_view subresource, Json next,
                             const Json& current) {
  auto checked = check_preconditions(kind, std::move(next), current);
  if (!checked) return checked;
  Json object = keep_what_is_ours(kind, subresource, std::move(*checked), current);
  if (kind.behaviour == Behaviour::kService && subresource.empty())
    carry_service_values(object, current);
  if (kind.behaviour == Behaviour::kPod && subresource.empty()) {
    tolerate_silent_node(object);
    prioritize_pod(object, current);
    settle_grace(object);
  }
  if (kind.behaviour == Behaviour::kPod && subresource == "status")
    carry_pod_status(object, current);
  schema::apply_defaults(*kind.type, object);
  std::vector<Cause> causes;
  validate_metadata(kind, object, causes);
  if (subresource == "status")
    validate_status(kind, object, current, causes);
  else
    validate_changes(kind, object, current, causes);
  check_finalizers(object, current, causes);
  if (subresource.empty()) validate_whole_update(kind, object, current, causes);
  if (!causes.empty()) return invalid_object(kind, object, std::move(causes));
  // That a pod has a node is no new wish of its user's (pod's BindingREST writes past the
  // strategy).
  const bool by_user = subresource != "status" && subresource != "binding";
  if (kind.has_generation && by_user && content_differs(kind, object, current))
    object["metadata"]["generation"] = int_at(current, "metadata.generation") + 1;
  return object;
}

bool ready_to_go(const Kind& kind, const Json& object) {
  if (at_path(object, "metadata.deletionTimestamp").is_null()) return false;
  if (!is_empty(at_path(object, "metadata.finalizers"))) return false;
  if (kind.behaviour == Behaviour::kNamespace) return is_empty(at_path(object, "spec.finalizers"));
  return int_at(object, "metadata.deletionGracePeriodSeconds") == 0;
}

std::string new_uid() {
  std::array<unsigned char, 16> bytes{};
  RAND_bytes(bytes.data(), static_cast<int>(bytes.size()));
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += kHex[bytes[i] >> 4];
    text += kHex[bytes[i] & 15];
  }
  return text;
}

std::string new_name_suffix() {
  static constexpr std::string_view kAlphabet = "bcdfghjklmnpqrstvwxz2456789";
  std::array<unsigned char, 5> bytes{};
  RAND_bytes(bytes.data(), static_cast<int>(bytes.size()));
  std::string text;
  for (const unsigned char byte : bytes) text += kAlphabet[byte % kAlphabet.size()];
  return text;
}

}  // namespace fairlead::orchestrator::apiserver
