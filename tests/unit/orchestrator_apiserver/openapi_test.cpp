// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/openapi.h"

#include <gtest/gtest.h>

#include <functional>

namespace fairlead::orchestrator::apiserver {
namespace {

struct Dialect {
  std::vector<Json> documents;
  const char* schemas;  // where the named schemas are
};

Dialect v2() {
  return {{*parse_json(*openapi_v2().body)}, "definitions"};
}
Dialect v3() {
  Dialect dialect{{}, "components.schemas"};
  const Json index = *parse_json(*openapi_v3("/openapi/v3")->body);
  for (const auto& [path, entry] : index["paths"].items())
    dialect.documents.push_back(*parse_json(*openapi_v3("/openapi/v3/" + path)->body));
  return dialect;
}

void each_reference(const Json& json, const std::function<void(const std::string&)>& visit) {
  if (json.is_object() && json.contains("$ref")) visit(json["$ref"]);
  if (json.is_structured())
    for (const Json& item : json) each_reference(item, visit);
}

TEST(OpenApi, EveryReferenceLeadsSomewhere) {
  for (const Dialect& dialect : {v2(), v3()})
    for (const Json& document : dialect.documents) {
      size_t count = 0;
      each_reference(document, [&](const std::string& reference) {
        const std::string pointer = reference.substr(1);
        EXPECT_TRUE(document.contains(Json::json_pointer(pointer))) << reference;
        ++count;
      });
      EXPECT_GT(count, 0u);
    }
}

// kubectl finds a kind's schema and what its PATCH understands by group, version and kind.
TEST(OpenApi, EveryKindIsFoundAndTakesDryRuns) {
  for (const Dialect& dialect : {v2(), v3()})
    for (const Kind& kind : Kinds::builtin().all()) {
      const Json gvk = {{"group", kind.group}, {"version", kind.version}, {"kind", kind.kind}};
      int schemas = 0, patches = 0;
      for (const Json& document : dialect.documents) {
        for (const Json& schema : at_path(document, dialect.schemas))
          for (const Json& one : at(schema, "x-kubernetes-group-version-kind"))
            schemas += one == gvk ? 1 : 0;
        for (const Json& path : document["paths"]) {
          const Json& patch = at(path, "patch");
          if (at(patch, "x-kubernetes-group-version-kind") != gvk) continue;
          for (const Json& parameter : patch["parameters"])
            patches += parameter["name"] == "dryRun" ? 1 : 0;
        }
      }
      EXPECT_EQ(schemas, 1) << kind.kind;
      EXPECT_EQ(patches, 1) << kind.kind;
    }
}

TEST(OpenApi, FieldsSayWhatTheSchemaKnows) {
  const Json document = v2().documents.front();
  const auto property = [&](const char* type, const char* field) {
    return document["definitions"]["io.k8s.api." + std::string(type)]["properties"][field];
  };
  EXPECT_EQ(property("ServicePort", "nodePort")["type"], "integer");
  EXPECT_EQ(property("ServicePort", "targetPort")["format"], "int-or-string");
  EXPECT_EQ(property("EmptyDirVolumeSource", "sizeLimit")["type"], "string");
  EXPECT_EQ(property("Volume", "rbd")["$ref"], "#/definitions/io.k8s.api.RBDVolumeSource");
  const Json& managed =
      document["definitions"]["io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry"];
  EXPECT_EQ(managed["properties"]["fieldsV1"], Json::object()) << "any value";
  EXPECT_EQ(property("PodSpec", "containers")["x-kubernetes-patch-merge-key"], "name");
  EXPECT_EQ(property("PodSpec", "containers")["description"], "A patch merges items by name.");
  EXPECT_EQ(property("DeploymentSpec", "replicas")["description"], "At least 0. Default: 1.");
  EXPECT_EQ(property("DeploymentSpec", "replicas")["default"], 1);
  EXPECT_EQ(property("DeploymentSpec", "strategy")["x-kubernetes-patch-strategy"], "retainKeys");
  EXPECT_EQ(property("DeploymentSpec", "strategy")["$ref"],
            "#/definitions/io.k8s.api.DeploymentStrategy");
  EXPECT_EQ(document["definitions"]["io.k8s.api.KeyToPath"]["required"], Json({"key", "path"}));
}

TEST(OpenApi, RenamedKindsHaveTheirOwnNames) {
  const Json document = v2().documents.front();
  const Json& properties = document["definitions"]["io.k8s.api.events.Event"]["properties"];
  EXPECT_TRUE(properties.contains("regarding"));
  EXPECT_FALSE(properties.contains("involvedObject"));
  EXPECT_TRUE(document["definitions"]["io.k8s.api.Event"]["properties"].contains("involvedObject"));
}

// One length-delimited field of a message shorter than 128 bytes or 16384.
std::string f(unsigned number, const std::string& content) {
  const auto varint = [](size_t value) {
    std::string out;
    if (value >= 128) out += static_cast<char>(value % 128 + 128);
    return out + static_cast<char>(value >= 128 ? value / 128 : value);
  };
  return varint(number * 8 + 2) + varint(content.size()) + content;
}

// The field numbers are those of gnostic's OpenAPIv2.proto.
TEST(OpenApi, ProtobufGolden) {
  EXPECT_EQ(encode_openapi_v2({{"swagger", "2.0"}, {"info", {{"title", "t"}, {"version", "v"}}}}),
            std::string("\x0a\x03\x32.0"              // swagger = 1
                        "\x12\x06\x0a\x01t\x12\x01v"  // info = 2 { title = 1, version = 2 }
                        "\x42\x00"                    // paths = 8
                        "\x4a\x00",                   // definitions = 9
                        17));
  const Json query = {{"name", "d"}, {"in", "query"}, {"type", "string"}};
  const Json patch = {
      {"parameters", Json::array({query})},
      {"responses", {{"200", {{"description", "OK"}, {"schema", {{"$ref", "#/r"}}}}}}},
      {"x-g", {{"k", "v"}}}};
  const Json properties = {
      {"a", {{"type", "array"}, {"items", {{"type", "string"}, {"format", "f"}}}}},
      {"b", {{"additionalProperties", Json::object()}, {"enum", {"e"}}}},
      {"c", {{"default", 1}}}};
  const Json definition = {
      {"type", "object"}, {"description", "w"}, {"required", {"a"}}, {"properties", properties}};
  const Json document = {{"swagger", "2.0"},
                         {"info", {{"title", "t"}, {"version", "v"}}},
                         {"paths", {{"/p", {{"patch", patch}}}}},
                         {"definitions", {{"D", definition}}}};
  const std::string parameter = f(2, "query") + f(4, "d") + f(6, "string");
  const std::string response = f(1, "OK") + f(2, f(1, f(1, "#/r")));  // SchemaItem { schema }
  const std::string operation = f(8, f(1, f(2, f(3, parameter)))) +   // Parameter, NonBody, Query
                                f(9, f(1, f(1, "200") + f(2, f(1, response)))) +
                                f(13, f(1, "x-g") + f(2, f(2, R"({"k":"v"})")));
  const std::string a = f(22, f(1, "array")) + f(23, f(1, f(2, "f") + f(22, f(1, "string"))));
  const std::string b = f(20, f(2, "\"e\"")) + f(21, f(1, ""));
  const std::string c = f(5, f(2, "1"));
  const std::string schema =
      f(4, "w") + f(19, "a") + f(22, f(1, "object")) +
      f(25, f(1, f(1, "a") + f(2, a)) + f(1, f(1, "b") + f(2, b)) + f(1, f(1, "c") + f(2, c)));
  EXPECT_EQ(encode_openapi_v2(document), f(1, "2.0") + f(2, f(1, "t") + f(2, "v")) +
                                             f(8, f(2, f(1, "/p") + f(2, f(8, operation)))) +
                                             f(9, f(1, f(1, "D") + f(2, schema))));
}

TEST(OpenApi, ProtobufIsMadeOfWholeFields) {
  // Every length leads to the next field: the document can be walked to its end.
  const std::string& bytes = *openapi_v2_protobuf().body;
  size_t at = 0;
  std::vector<size_t> numbers;
  const auto varint = [&] {
    size_t value = 0;
    for (int shift = 0; at < bytes.size(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes[at++]);
      value |= static_cast<size_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) break;
    }
    return value;
  };
  while (at < bytes.size()) {
    const size_t tag = varint();
    EXPECT_EQ(tag & 7, 2u);
    numbers.push_back(tag >> 3);
    at += varint();
  }
  EXPECT_EQ(at, bytes.size());
  EXPECT_EQ(numbers, (std::vector<size_t>{1, 2, 8, 9}));
}

}  // namespace
}  // namespace fairlead::orchestrator::apiserver
