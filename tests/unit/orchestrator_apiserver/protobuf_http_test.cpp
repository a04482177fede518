// SPDX-License-Identifier: Apache-2.0
// A client that sends protobuf gets what it would get had it sent JSON.
#include "orchestrator/apiserver/schema/type.h"
#include "tests/unit/orchestrator_apiserver/bad_input.h"
#include "tests/unit/orchestrator_apiserver/protobuf_writer.h"

namespace fairlead::orchestrator {
namespace {

using apiserver::string_at;
using apiserver::schema::Type;
using apiserver::schema::Types;
using testing::HasSubstr;

const char* const kProtobuf = "application/vnd.kubernetes.protobuf";

class ProtobufHttp : public BadInput {
 protected:
  static std::string encoded(const Kind& kind, const Json& object) {
    return apiserver::protobuf::body(kind.api_version(), kind.kind,
                                     apiserver::protobuf::message(*kind.served_type, object));
  }
  static std::string encoded(const char* api_version, const char* kind, const Json& object) {
    return apiserver::protobuf::body(
        api_version, kind, apiserver::protobuf::message(*Types::builtin().find(kind), object));
  }
  HttpResponse send(const std::string& method, const std::string& path, const std::string& body) {
    return ask(method, path, body, kProtobuf);
  }
  static std::string one(const Kind& kind) { return path_of(kind) + "/it"; }

  // What two creations of one object have in common.
  static Json lasting(Json object) {
    for (const char* name : {"uid", "creationTimestamp", "resourceVersion"})
      object["metadata"].erase(name);
    return object;
  }
};

Json sample(const Kind& kind) {
  Json object = valid(kind);
  object["metadata"]["labels"] = {{"a", "b"}};
  object["metadata"]["managedFields"] = Json::array(
      {{{"manager", "m"}, {"fieldsV1", {{"f:data", Json::object()}}}, {"fieldsType", "FieldsV1"}}});
  if (kind.kind == "ConfigMap") object["data"] = {{"k", "v"}, {"empty", ""}};
  if (kind.kind == "ConfigMap") object["binaryData"] = {{"b", "AP8="}};
  if (kind.kind == "Service") object["spec"]["clusterIP"] = "10.96.0.50";
  if (kind.kind == "Secret") object["stringData"] = {{"k", "v"}};
  if (kind.kind == "Lease") object["spec"] = {{"renewTime", "2026-01-02T03:04:05.000006Z"}};
  if (kind.group == "events.k8s.io")
    object.update({{"note", "n"},
                   {"regarding", {{"kind", "Pod"}, {"namespace", "default"}}},
                   {"reason", "r"},
                   {"action", "a"},
                   {"type", "Normal"},
                   {"eventTime", "2026-01-02T03:04:05.000006Z"},
                   {"reportingController", "example.com/c"},
                   {"reportingInstance", "i"}});
  return object;
}

TEST_F(ProtobufHttp, EveryKindIsStoredAsFromJson) {
  const std::string options = encoded(
      "v1", "DeleteOptions", {{"gracePeriodSeconds", 0}, {"propagationPolicy", "Background"}});
  for (const Kind& kind : Kinds::builtin().all()) {
    SCOPED_TRACE(kind.api_version() + "/" + kind.kind);
    const Json object = sample(kind);
    Json stored[2];
    for (const bool protobuf : {false, true}) {
      const HttpResponse made = protobuf ? send("POST", path_of(kind), encoded(kind, object))
                                         : ask("POST", path_of(kind), object.dump());
      EXPECT_EQ(made.status, 201) << made.body;
      EXPECT_EQ(made.headers.get("content-type"), "application/json");
      stored[protobuf] = json(ask("GET", one(kind)));
      Json changed = stored[protobuf];
      changed["metadata"]["annotations"] = {{"c", protobuf ? "protobuf" : "json"}};
      const HttpResponse put = send("PUT", one(kind), encoded(kind, changed));
      EXPECT_EQ(put.status, 200) << put.body;
      EXPECT_EQ(at(at(json(put), "metadata"), "annotations"),
                at(changed["metadata"], "annotations"));
      if (kind.kind == "Namespace") break;  // it would take its time to go
      const HttpResponse gone = send("DELETE", one(kind), options);
      EXPECT_EQ(gone.status, 200) << gone.body;
      EXPECT_EQ(ask("GET", one(kind)).status, 404);
    }
    if (kind.kind != "Namespace") EXPECT_EQ(lasting(stored[0]), lasting(stored[1]));
  }
}

// Of fields that Go writes into JSON zero or not, a zero is refused in the same words.
struct Zero {
  const char* plural;
  const char* patch;
};
const Zero kZeros[] = {
    {"pods", R"({"spec":{"containers":[{"name":"c","image":"i","ports":[{"containerPort":0}]}]}})"},
    {"pods", R"({"spec":{"containers":[{"name":"c","image":"i","env":[{"name":""}]}]}})"},
    {"pods", R"({"spec":{"containers":[{"name":"","image":"i"}]}})"},
    {"pods", R"({"spec":{"activeDeadlineSeconds":-1}})"},
    {"pods",
     R"({"spec":{"containers":[{"name":"c","image":"i","resources":{"limits":{"cpu":"x"}}}]}})"},
    {"services", R"({"spec":{"ports":[{"port":0}]}})"},
    {"services", R"({"spec":{"ports":[{"port":1,"targetPort":70000}]}})"},
    {"deployments", R"({"spec":{"replicas":-1}})"},
    {"deployments", R"({"metadata":{"name":"","labels":{"a":"-"}}})"},
};

TEST_F(ProtobufHttp, WhatIsWrongIsRefusedAsInJson) {
  for (const Zero& row : kZeros)
    for (const Kind& kind : Kinds::builtin().all()) {
      if (kind.plural != row.plural) continue;
      SCOPED_TRACE(row.patch);
      const std::string text = merged(kind, Json::parse(row.patch));
      const HttpResponse json_answer = ask("POST", path_of(kind), text);
      const HttpResponse answer = send("POST", path_of(kind), encoded(kind, Json::parse(text)));
      EXPECT_GE(answer.status, 400);
      EXPECT_EQ(answer.body, json_answer.body);
    }
}

TEST_F(ProtobufHttp, AZeroOfAPointerIsAValue) {
  const Kind& deployments = *Kinds::builtin().find("apps", "v1", "deployments");
  Json object = valid(deployments);
  object["spec"]["replicas"] = 0;
  object["spec"]["revisionHistoryLimit"] = 0;
  EXPECT_EQ(send("POST", path_of(deployments), encoded(deployments, object)).status, 201);
  const Json stored = json(ask("GET", one(deployments)));
  EXPECT_EQ(stored["spec"]["replicas"], 0);
  EXPECT_EQ(stored["spec"]["revisionHistoryLimit"], 0);
  EXPECT_EQ(stored["spec"]["progressDeadlineSeconds"], 600);

  const HttpResponse scaled =
      send("PUT", one(deployments) + "/scale",
           encoded("autoscaling/v1", "Scale",
                   {{"metadata", {{"name", "it"}}}, {"spec", {{"replicas", 4}}}}));
  EXPECT_EQ(scaled.status, 200) << scaled.body;
  EXPECT_EQ(json(scaled)["spec"]["replicas"], 4);
  // ScaleSpec.replicas has omitempty: none is written, and none is 0.
  EXPECT_EQ(send("PUT", one(deployments) + "/scale",
                 encoded("autoscaling/v1", "Scale",
                         {{"metadata", {{"name", "it"}}}, {"spec", Json::object()}}))
                .status,
            200);
  EXPECT_EQ(json(ask("GET", one(deployments)))["spec"]["replicas"], 0);
}

TEST_F(ProtobufHttp, BindingsEvictionsAndPreconditions) {
  const Kind& pods = *Kinds::builtin().find("", "v1", "pods");
  EXPECT_EQ(send("POST", path_of(pods), encoded(pods, valid(pods))).status, 201);
  const Json binding = {{"metadata", {{"name", "it"}}}, {"target", {{"name", "n1"}}}};
  const HttpResponse bound =
      send("POST", one(pods) + "/binding", encoded("v1", "Binding", binding));
  EXPECT_EQ(bound.status, 201) << bound.body;
  EXPECT_EQ(string_at(json(ask("GET", one(pods))), "spec.nodeName"), "n1");

  const Json other = {{"preconditions", {{"uid", "another"}}}};
  const Json now = {{"gracePeriodSeconds", 0}};
  EXPECT_EQ(send("DELETE", one(pods), encoded("v1", "DeleteOptions", other)).status, 409);
  EXPECT_EQ(send("POST", one(pods) + "/eviction",
                 encoded("policy/v1", "Eviction",
                         {{"metadata", {{"name", "it"}}}, {"deleteOptions", other}}))
                .status,
            409);
  const HttpResponse evicted = send(
      "POST", one(pods) + "/eviction",
      encoded("policy/v1", "Eviction", {{"metadata", {{"name", "it"}}}, {"deleteOptions", now}}));
  EXPECT_EQ(evicted.status, 201) << evicted.body;
  EXPECT_EQ(ask("GET", one(pods)).status, 404);
  EXPECT_EQ(send("POST", path_of(pods), encoded(pods, valid(pods))).status, 201);
  EXPECT_EQ(send("DELETE", path_of(pods), encoded("v1", "DeleteOptions", now)).status, 200);
  EXPECT_EQ(ask("GET", one(pods)).status, 404);
}

TEST_F(ProtobufHttp, AnotherKindOrVersionIsRefused) {
  const Kind& pods = *Kinds::builtin().find("", "v1", "pods");
  const Kind& maps = *Kinds::builtin().find("", "v1", "configmaps");
  const Kind& deployments = *Kinds::builtin().find("apps", "v1", "deployments");
  refused(maps, "a Pod", send("POST", path_of(maps), encoded(pods, valid(pods))), 400, "BadRequest",
          "the kind in the data (Pod) does not match the expected kind (ConfigMap)");
  refused(deployments, "an old version",
          send("POST", path_of(deployments), encoded("apps/v1beta1", "Deployment", {})), 400,
          "BadRequest",
          "the API version in the data (apps/v1beta1) does not match the expected API version "
          "(apps/v1)");
  refused(maps, "Scale for DeleteOptions",
          send("DELETE", one(maps), encoded("autoscaling/v1", "Scale", {})), 400, "BadRequest",
          "the kind in the data (Scale) does not match the expected kind (DeleteOptions)");
  refused(
      maps, "a wrong field",
      send("POST", path_of(maps), apiserver::protobuf::body("v1", "ConfigMap", "\x08\x01")), 400,
      "BadRequest",
      R"(ConfigMap in version "v1" cannot be handled as a ConfigMap: protobuf: metadata: wire)");
  // Without a kind and a version it is what the path says.
  EXPECT_EQ(send("POST", path_of(maps),
                 apiserver::protobuf::body(
                     "", "", apiserver::protobuf::message(*maps.served_type, valid(maps))))
                .status,
            201);
}

TEST_F(ProtobufHttp, AnswersAreJson) {
  const auto get = [&](const char* accept) {
    return ask("GET", "/api/v1/namespaces/default", "", "", {{"accept", accept}});
  };
  for (const char* accept : {"application/vnd.kubernetes.protobuf,application/json",
                             "application/vnd.kubernetes.protobuf, application/json",
                             "application/vnd.kubernetes.protobuf, */*",
                             "application/vnd.kubernetes.protobuf;q=1,*/*"}) {
    const HttpResponse answer = get(accept);
    EXPECT_EQ(answer.status, 200) << accept;
    EXPECT_EQ(answer.headers.get("content-type"), "application/json") << accept;
  }
  const HttpResponse refused_answer = get("application/vnd.kubernetes.protobuf");
  EXPECT_EQ(refused_answer.status, 406);
  EXPECT_EQ(string_at(json(refused_answer), "reason"), "NotAcceptable");
}

}  // namespace
}  // namespace fairlead::orchestrator
