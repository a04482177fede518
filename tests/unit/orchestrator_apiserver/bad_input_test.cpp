// SPDX-License-Identifier: Apache-2.0
// Every noun meets every kind of bad body: a Status says why, and nothing is stored.
#include "tests/unit/orchestrator_apiserver/bad_input.h"

namespace fairlead::orchestrator {
namespace {

struct Row {
  const char* what;
  const char* type;
  const char* query;
  std::function<std::string(const Kind&)> body;
  int status;
  const char* reason;
  const char* message;
};

const Row kRows[] = {
    {"malformed JSON", "application/json", "", [](const Kind&) { return R"({"metadata":{)"; }, 400,
     "BadRequest", "unexpected end of JSON input"},
    {"malformed YAML", "application/yaml", "", [](const Kind&) { return "metadata: {name: [}"; },
     400, "BadRequest", "yaml: line 1"},
    {"no object", "application/json", "", [](const Kind&) { return "[1]"; }, 400, "BadRequest", ""},
    {"nested too deep", "application/json", "",
     [](const Kind&) { return std::string(1000, '[') + std::string(1000, ']'); }, 400, "BadRequest",
     "nested deeper than 64"},
    {"unknown field", "application/json", "?fieldValidation=Strict",
     [](const Kind& kind) {
       return merged(kind, {{"metadata", {{"frob", 1}}}});
     },
     400, "BadRequest", R"(strict decoding error: unknown field "metadata.frob")"},
    {"unknown field in YAML", "application/yaml", "?fieldValidation=Strict",
     [](const Kind& kind) {
       return merged(kind, {{"frob", 1}});
     },
     400, "BadRequest", R"(strict decoding error: unknown field "frob")"},
    {"repeated field", "application/json", "?fieldValidation=Strict",
     [](const Kind&) { return R"({"metadata":{"name":"it","name":"it"}})"; }, 400, "BadRequest",
     R"(duplicate field "metadata.name")"},
    {"wrong type", "application/json", "",
     [](const Kind& kind) {
       return merged(kind, {{"metadata", {{"labels", {{"a", 7}}}}}});
     },
     400, "BadRequest", "cannot unmarshal number into Go struct field ObjectMeta.metadata.labels"},
    {"list for object", "application/json", "",
     [](const Kind& kind) {
       return merged(kind, {{"metadata", Json::array()}});
     },
     400, "BadRequest", ".metadata of type v1.ObjectMeta"},
    {"bad label", "application/json", "",
     [](const Kind& kind) {
       return merged(kind, {{"metadata", {{"labels", {{"a", "b c"}}}}}});
     },
     422, "Invalid", "metadata.labels"},
    {"bad name", "application/json", "",
     [](const Kind& kind) {
       return merged(kind, {{"metadata", {{"name", "Not_A_Name"}}}});
     },
     422, "Invalid", R"(metadata.name: Invalid value: "Not_A_Name")"},
    {"no name", "application/json", "",
     [](const Kind& kind) {
       return merged(kind, {{"metadata", {{"name", nullptr}}}});
     },
     422, "Invalid", "metadata.name: Required value"},
    {"kind of another", "application/json", "",
     [](const Kind& kind) {
       return merged(kind, {{"kind", "Frob"}});
     },
     400, "BadRequest", "does not match the expected kind"},
    {"oversize body", "application/json", "",
     [](const Kind& kind) {
       return merged(kind, {{"metadata", {{"annotations", {{"a", std::string(4 << 20, 'x')}}}}}});
     },
     413, "RequestEntityTooLarge", ""},
    {"oversize annotations", "application/json", "",
     [](const Kind& kind) {
       return merged(kind, {{"metadata", {{"annotations", {{"a", std::string(300000, 'x')}}}}}});
     },
     422, "Invalid", "metadata.annotations: Too long"},
    {"a type nobody reads", "text/plain", "", [](const Kind& kind) { return valid(kind).dump(); },
     415, "UnsupportedMediaType", "accepted media types include"},
    {"unknown dry run", "application/json", "?dryRun=Some",
     [](const Kind& kind) { return valid(kind).dump(); }, 422, "Invalid", "dryRun"},
    {"unknown field validation", "application/json", "?fieldValidation=Maybe",
     [](const Kind& kind) { return valid(kind).dump(); }, 422, "Invalid", "fieldValidation"},
};

TEST_F(BadInput, IsRefusedForEveryNoun) {
  for (const Kind& kind : Kinds::builtin().all()) {
    const std::string before = stored(kind);
    for (const Row& row : kRows)
      refused(kind, row.what, ask("POST", path_of(kind) + row.query, row.body(kind), row.type),
              row.status, row.reason, row.message);
    HttpRequest forged;
    forged.method = "POST";
    forged.url = path_of(kind);
    forged.body = valid(kind).dump();
    forged.headers = {{"content-type", "application/json"}, {"authorization", "Bearer forged"}};
    refused(kind, "bad token", ask(*anonymous_, forged), 401, "Unauthorized", "Unauthorized");
    EXPECT_EQ(stored(kind), before) << kind.kind;
  }
}

// The same object is taken: it was what the rows changed that was wrong. In YAML, too, dry or not,
// and a change that is bad leaves it as it was.
TEST_F(BadInput, WhatIsLeftIsGood) {
  for (const Kind& kind : Kinds::builtin().all()) {
    if (!kind.renames.empty()) continue;  // another face of objects that were made already
    SCOPED_TRACE(kind.group + "/" + kind.kind);
    const std::string object = path_of(kind) + "/it";
    HttpRequest warned;
    warned.method = "POST";
    warned.url = path_of(kind) + "?dryRun=All&fieldValidation=Warn";
    warned.body = merged(kind, {{"metadata", {{"frob", 1}}}});
    const HttpResponse dry = ask(*admin_, warned);
    EXPECT_EQ(dry.status, 201) << dry.body;
    const std::string always =
        kind.deprecation.empty() ? "" : "299 - " + Json(kind.deprecation).dump();
    EXPECT_EQ(dry.headers.get("warning"),
              always.empty() ? R"(299 - "unknown field \"metadata.frob\"")" : always);
    warned.url = path_of(kind) + "?dryRun=All&fieldValidation=Ignore";
    EXPECT_EQ(ask(*admin_, warned).headers.get("warning").value_or(""), always);
    EXPECT_EQ(ask("GET", object).status, 404) << "a dry run stores nothing";
    const HttpResponse made = ask("POST", path_of(kind), valid(kind).dump(), "application/yaml");
    ASSERT_EQ(made.status, 201) << made.body;
    const std::string before = ask("GET", object).body;
    for (const char* query : {"?fieldValidation=Strict", "?dryRun=All"}) {
      const Json patch = {{"metadata", {{"labels", {{"x", "y"}}}, {"frob", 1}}}};
      const HttpResponse patched =
          ask("PATCH", object + query, patch.dump(), "application/merge-patch+json");
      EXPECT_EQ(patched.status, std::string_view(query) == "?dryRun=All" ? 200 : 422)
          << patched.body;
      EXPECT_EQ(ask("GET", object).body, before) << query;
    }
    EXPECT_EQ(ask("DELETE", object + "?dryRun=All").status, 200);
    EXPECT_EQ(ask("DELETE", object, R"({"dryRun":["All"]})").status, 200);
    refused(kind, "unknown dry run in a delete", ask("DELETE", object, R"({"dryRun":["Some"]})"),
            422, "Invalid", "dryRun");
    EXPECT_EQ(ask("GET", object).body, before) << "dry deletes";
  }
}

// Service addresses and ports: which field, which value, why; the first owner keeps it.
TEST_F(BadInput, ServiceAddressesAndPorts) {
  const Kind& services = *Kinds::builtin().find(Resource{"", "services"});
  const auto create = [&](const char* name, const Json& spec) {
    Json object = valid(services);
    object["metadata"]["name"] = name;
    object["spec"].merge_patch(spec);
    return ask("POST", path_of(services), object.dump());
  };
  const auto with_port = [](int port) {
    return Json{{"type", "NodePort"}, {"ports", Json::array({{{"port", 80}, {"nodePort", port}}})}};
  };
  ASSERT_EQ(create("first", {{"clusterIP", "10.96.7.7"}}).status, 201);
  ASSERT_EQ(create("port", with_port(30123)).status, 201);
  const std::string before = stored(services);
  struct Wrong {
    const char* what;
    Json spec;
    const char* field;
    const char* message;
  };
  const Wrong kWrong[] = {
      {"outside the range", {{"clusterIP", "10.97.0.1"}}, "spec.clusterIPs", "10.96.0.0/16"},
      {"the network's own", {{"clusterIP", "10.96.0.0"}}, "spec.clusterIPs", "Invalid value"},
      {"not an address", {{"clusterIP", "ten"}}, "spec.clusterIPs[0]", "Invalid value"},
      {"in use", {{"clusterIP", "10.96.7.7"}}, "spec.clusterIPs", "already allocated"},
      {"two that differ",
       {{"clusterIP", "10.96.7.8"}, {"clusterIPs", {"10.96.7.9"}}},
       "spec.clusterIPs",
       ""},
      {"node port in use", with_port(30123), "spec.ports[0].nodePort", "already allocated"},
      {"node port outside", with_port(29999), "spec.ports[0].nodePort", "30000-32767"},
      {"node port negative", with_port(-1), "spec.ports[0].nodePort", ""},
      {"node port twice",
       {{"type", "NodePort"},
        {"ports", Json::array({{{"name", "a"}, {"port", 80}, {"nodePort", 30200}},
                               {{"name", "b"}, {"port", 81}, {"nodePort", 30200}}})}},
       "spec.ports[1].nodePort",
       ""},
      {"port twice",
       {{"ports", Json::array({{{"name", "a"}, {"port", 80}}, {{"name", "b"}, {"port", 80}}})}},
       "spec.ports[1]",
       "Duplicate value"},
  };
  for (const Wrong& c : kWrong) {
    const HttpResponse answer = create("second", c.spec);
    refused(services, c.what, answer, 422, "Invalid", c.message);
    EXPECT_EQ(string_at(at(at(json(answer), "details"), "causes")[0], "field"), c.field) << c.what;
  }
  EXPECT_EQ(stored(services), before);
  EXPECT_EQ(create("second", with_port(30200)).status, 201) << "what was refused is free";
}

}  // namespace
}  // namespace fairlead::orchestrator
