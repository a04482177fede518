// SPDX-License-Identifier: Apache-2.0
// OpenAPI made from the schema. v3 documents are JSON, one for each group version; v2 is the
// smallest protobuf document that kubectl 1.20's apply accepts. Pure; each document is made once,
// when first asked for.
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

// "/openapi/v3" or "/openapi/v3/apis/apps/v1". Any thread.
std::optional<OpenApiDocument> openapi_v3(std::string_view path);
std::string openapi_v2_protobuf();
inline constexpr const char* kOpenApiV2Type =
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

}  // namespace fairlead::orchestrator::apiserver
