// SPDX-License-Identifier: Apache-2.0
// Kubernetes' protobuf to the JSON that the same client would send instead, so that all that comes
// after (decode.h, defaults, validation) is one. Pure.
//
// Sources: the envelope is k8s.io/apimachinery pkg/runtime/serializer/protobuf; messages are as
// gogo-proto writes Go's structs: what is not a pointer is always written, zero or not, while JSON
// leaves a zero out where Go's tag says omitempty. The schema says which (type.h, #N and #N*).
// Fields with numbers that the schema does not know are passed over, as in Kubernetes; so
// fieldValidation finds nothing unknown in protobuf. A field given twice: messages are merged,
// lists go on, of the rest the last one wins. Numbers of a list may be packed.
#pragma once

#include <string>
#include <string_view>

#include "orchestrator/apiserver/json.h"
#include "orchestrator/apiserver/schema/type.h"

namespace fairlead::orchestrator::apiserver::schema {

// "k8s\0" and a runtime.Unknown.
struct ProtobufBody {
  std::string api_version;   // "apps/v1"; either may be empty
  std::string kind;          // "Deployment"
  std::string_view message;  // points into the body
};
Result<ProtobufBody> open_protobuf(std::string_view body);

// `type` is a struct whose fields have numbers. An Error names the field's path and what is wrong
// with it; quantities and the like are left to decode.h. Messages are nested no deeper than
// kMaxJsonDepth, and so is each JSON text inside (`any`: Go's FieldsV1).
Result<Json> decode_protobuf(const Type& type, std::string_view message);

}  // namespace fairlead::orchestrator::apiserver::schema
