// SPDX-License-Identifier: Apache-2.0
// Swagger's JSON as gnostic's messages (openapiv2/OpenAPIv2.proto): each function writes the fields
// of one message, their numbers beside their names. Every field is a string or a message.
#include "orchestrator/apiserver/openapi.h"

namespace fairlead::orchestrator::apiserver {
namespace {

void add_varint(std::string& out, size_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7f) | 0x80);
  out += static_cast<char>(value);
}

// One length-delimited field.
std::string field(size_t number, std::string_view content) {
  std::string out;
  add_varint(out, number << 3 | 2);
  add_varint(out, content.size());
  return out.append(content);
}

std::string text_field(size_t number, const Json& object, const char* name) {
  const auto it = object.find(name);
  return it == object.end() ? "" : field(number, it->get_ref<const std::string&>());
}

// Any { string yaml = 2 }: JSON is YAML.
std::string any(const Json& value) {
  return field(2, dump(value));
}

// NamedX { string name = 1; X value = 2 }
std::string named(const std::string& name, std::string_view value) {
  return field(1, name) + field(2, value);
}

std::string extensions(size_t number, const Json& object) {
  std::string out;
  for (const auto& [name, value] : object.items())
    if (name.starts_with("x-")) out += field(number, named(name, any(value)));
  return out;
}

std::string schema_message(const Json& schema);

// Properties and Definitions { repeated NamedSchema additional_properties = 1 }
std::string named_schemas(const Json& schemas) {
  std::string out;
  for (const auto& [name, schema] : schemas.items())
    out += field(1, named(name, schema_message(schema)));
  return out;
}

std::string schema_message(const Json& schema) {
  std::string out = text_field(1, schema, "$ref") + text_field(2, schema, "format") +
                    text_field(4, schema, "description");
  if (schema.contains("default")) out += field(5, any(schema["default"]));
  for (const Json& name : at(schema, "required"))
    out += field(19, name.get_ref<const std::string&>());
  for (const Json& value : at(schema, "enum")) out += field(20, any(value));
  if (schema.contains("additionalProperties"))
    out += field(21, field(1, schema_message(schema["additionalProperties"])));
  if (schema.contains("type")) out += field(22, text_field(1, schema, "type"));
  if (schema.contains("items")) out += field(23, field(1, schema_message(schema["items"])));
  if (schema.contains("properties")) out += field(25, named_schemas(schema["properties"]));
  return out + extensions(31, schema);
}

// ParametersItem { Parameter parameter = 1 { NonBodyParameter = 2 { QueryParameterSubSchema = 3 }}}
std::string parameter(const Json& query) {
  const std::string message =
      text_field(2, query, "in") + text_field(4, query, "name") + text_field(6, query, "type");
  return field(1, field(2, field(3, message)));
}

// Responses { repeated NamedResponseValue response_code = 1 }
// ResponseValue { Response response = 1 { description = 1; SchemaItem schema = 2 { schema = 1 }}}
std::string responses(const Json& by_code) {
  std::string out;
  for (const auto& [code, response] : by_code.items()) {
    const std::string message = text_field(1, response, "description") +
                                field(2, field(1, schema_message(at(response, "schema"))));
    out += field(1, named(code, field(1, message)));
  }
  return out;
}

std::string operation(const Json& json) {
  std::string out;
  for (const Json& one : at(json, "parameters")) out += field(8, parameter(one));
  return out + field(9, responses(at(json, "responses"))) + extensions(13, json);
}

std::string path_item(const Json& json) {
  static constexpr std::pair<const char*, size_t> kVerbs[] = {
      {"get", 2}, {"put", 3}, {"post", 4}, {"delete", 5}, {"patch", 8}};
  std::string out;
  for (const auto& [verb, number] : kVerbs)
    if (json.contains(verb)) out += field(number, operation(json[verb]));
  return out;
}

// Paths { repeated NamedPathItem path = 2 }
std::string paths(const Json& by_path) {
  std::string out;
  for (const auto& [path, item] : by_path.items()) out += field(2, named(path, path_item(item)));
  return out;
}

}  // namespace

std::string encode_openapi_v2(const Json& document) {
  const Json& info = at(document, "info");
  return text_field(1, document, "swagger") +
         field(2, text_field(1, info, "title") + text_field(2, info, "version")) +
         field(8, paths(at(document, "paths"))) +
         field(9, named_schemas(at(document, "definitions")));
}

}  // namespace fairlead::orchestrator::apiserver
