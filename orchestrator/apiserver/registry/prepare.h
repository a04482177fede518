// SPDX-License-Identifier: Apache-2.0
// What happens to an object between a client's document and the store: decoding, defaults, the
// fields the server owns, validation. Pure: time and identifiers are given.
#pragma once

#include <optional>
#include <vector>

#include "orchestrator/apiserver/kind.h"
#include "orchestrator/apiserver/schema/decode.h"

namespace fairlead::orchestrator::apiserver {

enum class FieldValidation { kIgnore, kWarn, kStrict };

// What is about a document beside its content.
struct DocumentOptions {
  FieldValidation validation = FieldValidation::kWarn;
  std::vector<std::string> duplicates;  // found while parsing
  // Of a patched document: the patch, as Kubernetes shows it. What does not decode is its fault.
  std::optional<std::string> patch = std::nullopt;
  schema::Words words = schema::Words::kJson;
};

// What a document says of its kind and version, when it does, must be what is asked for. An empty
// `api_version` asks for none.
std::optional<ApiError> wrong_identity(const Json& document, const std::string& api_version,
                                       const std::string& kind);

// A document of a client, in the served form, as a well-typed one in the stored form. Unknown or
// repeated fields are an error, a warning or nothing.
Outcome<Json> admit_document(const Kind& kind, Json document, const DocumentOptions& options,
                             std::vector<std::string>& warnings);

struct Origin {
  WallTime now{};
  std::string uid;          // for a new object
  std::string name_suffix;  // for metadata.generateName
};

Outcome<Json> prepare_create(const Kind& kind, const std::string& ns, Json object,
                             const Origin& origin);

// `subresource`: "", "status", "finalize" (namespaces: spec.finalizers), "binding" (pods:
// nodeName). Of a status only that side is looked at, so that a new rule holds up no controller.
Outcome<Json> prepare_update(const Kind& kind, std::string_view subresource, Json next,
                             const Json& current);

// Whether an object marked as deleted has nothing left to wait for.
bool ready_to_go(const Kind& kind, const Json& object);

// The pod as it is once the Binding is done.
Outcome<Json> bound_pod(const std::string& name, const Json& binding, const Json& current);

std::string new_uid();          // RFC 9562 version 4
std::string new_name_suffix();  // five characters of Kubernetes' alphabet
std::string qos_class(const Json& pod_spec);

// Rules of kinds that are more than data.
void validate_event(const Kind& kind, const Json& event, std::vector<Cause>& causes);
void validate_event_update(const Kind& kind, const Json& event, const Json& before,
                           std::vector<Cause>& causes);
// No pod is to come before the node says that it is ready (admission TaintNodesByCondition).
void prepare_node_create(Json& node);
void validate_node_update(const Json& node, const Json& before, std::vector<Cause>& causes);
void prepare_pod_create(Json& pod, WallTime now);
// It stays on a node that fell silent for five minutes, unless it says otherwise: of new pods, and
// of what takes a pod's place, which need not say what was added here (Kubernetes
// plugin/pkg/admission/defaulttolerationseconds).
void tolerate_silent_node(Json& pod);
// A pod's number is that of its class, not its user's.
std::optional<ApiError> check_priority(const Kind& kind, const Json& pod);
void settle_grace(Json& pod);  // less than none is a second
// Its priority: of its class, or none; what it was given once it keeps (admission Priority).
void prioritize_pod(Json& pod, const Json& before);
void validate_pod_update(const Json& pod, const Json& before, std::vector<Cause>& causes);
// What a node does not say again in a status it writes.
void carry_pod_status(Json& pod, const Json& before);
// What a status may say depends on its object and on the status before.
void validate_status_update(const Kind& kind, const Json& object, const Json& before,
                            std::vector<Cause>& causes);
void prepare_service_create(Json& service);
void carry_service_values(Json& service, const Json& before);
void validate_service_update(const Json& service, const Json& before, std::vector<Cause>& causes);

}  // namespace fairlead::orchestrator::apiserver
