// SPDX-License-Identifier: Apache-2.0
// OpenAPI made from the schema: one version 2 document for everything (kubectl before 1.27:
// explain, diff, server-side dry run, client-side validation) and version 3 documents, one for each
// group version. Pure; each document is made once, when first asked for. Any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "orchestrator/apiserver/kind.h"

namespace fairlead::orchestrator::apiserver {

struct OpenApiDocument {
  Bytes body;
  std::string hash;  // of the body; "" for the index
};

// "/openapi/v3" or "/openapi/v3/apis/apps/v1".
std::optional<OpenApiDocument> openapi_v3(std::string_view path);

OpenApiDocument openapi_v2();
// The same as gnostic's openapi.v2.Document, the only form that Go clients ask for.
OpenApiDocument openapi_v2_protobuf();
inline constexpr const char* kOpenApiV2Type =
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

// A version 2 document in JSON to gnostic's protobuf: the members that openapi_v2() writes.
std::string encode_openapi_v2(const Json& document);

}  // namespace fairlead::orchestrator::apiserver
