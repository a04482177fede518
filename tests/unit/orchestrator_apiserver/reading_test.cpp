// SPDX-License-Identifier: Apache-2.0
// What is read: health by check, JSON for people, Scales as tables, versions that are not there
// yet.
#include "tests/unit/orchestrator_apiserver/bad_input.h"

namespace fairlead::orchestrator {
namespace {

class Reading : public BadInput {};

TEST_F(Reading, HealthByCheck) {
  struct Health {
    const char* path;
    int status;
    const char* body;
  };
  for (const Health& row : {
           Health{"/healthz", 200, "ok"},
           Health{"/healthz/ping", 200, "ok"},
           Health{"/readyz/etcd", 200, "ok"},
           Health{"/livez?verbose", 200, "[+]ping ok\n[+]log ok\n[+]etcd ok\nlivez check passed\n"},
           Health{"/readyz?verbose&exclude=etcd&exclude=frob", 200,
                  "[+]ping ok\n[+]log ok\n[+]etcd excluded: ok\nwarn: some health checks cannot be "
                  "excluded: no matches for \"frob\"\nreadyz check passed\n"},
           Health{"/livez?exclude=etcd", 200, "ok"},
       }) {
    const HttpResponse answer = ask(*anonymous_, "GET", row.path);
    EXPECT_EQ(answer.status, row.status) << row.path;
    EXPECT_EQ(answer.body, row.body) << row.path;
  }
  EXPECT_EQ(ask("GET", "/healthz/frob").status, 404);
}

TEST_F(Reading, PrettyJson) {
  for (const char* path : {"/api/v1/namespaces/default", "/api/v1/namespaces", "/version",
                           "/api/v1/namespaces/frob"}) {
    const HttpResponse plain = ask("GET", path);
    const HttpResponse pretty = ask("GET", std::string(path) + "?pretty=true");
    EXPECT_EQ(pretty.status, plain.status);
    EXPECT_EQ(pretty.body, json(plain).dump(2)) << path;
    EXPECT_EQ(ask("GET", std::string(path) + "?pretty=false").body, plain.body);
  }
}

TEST_F(Reading, AScaleAsATable) {
  const Kind& kind = *Kinds::builtin().find(Resource{"apps", "deployments"});
  ASSERT_EQ(ask("POST", path_of(kind), merged(kind, {{"spec", {{"replicas", 3}}}})).status, 201);
  const Json table = json(ask("GET", path_of(kind) + "/it/scale", "", "",
                              {{"accept", "application/json;as=Table;v=v1;g=meta.k8s.io"}}));
  EXPECT_EQ(string_at(table, "kind"), "Table");
  std::vector<std::string> names;
  for (const Json& column : table["columnDefinitions"]) names.push_back(column["name"]);
  EXPECT_EQ(names, (std::vector<std::string>{"Name", "Desired", "Available", "Age"}));
  const Json& cells = table["rows"][0]["cells"];
  EXPECT_EQ(cells[0], "it");
  EXPECT_EQ(cells[1], 3);
  EXPECT_EQ(cells[2], 0);
}

// What kube-controller-manager, kube-scheduler and extension servers ask for.
TEST_F(Reading, WhoseCertificatesToTrust) {
  const Json map = json(
      ask("GET", "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"));
  EXPECT_THAT(map["data"].value("client-ca-file", ""),
              testing::StartsWith("-----BEGIN CERTIFICATE-----"));
}

TEST_F(Reading, VersionsThatAreNotThereYet) {
  const std::string base = "/api/v1/namespaces";
  for (const char* path : {"/api/v1/namespaces/default", "/api/v1/namespaces"}) {
    EXPECT_EQ(ask("GET", path + std::string("?resourceVersion=0")).status, 200);
    const HttpResponse answer = ask("GET", path + std::string("?resourceVersion=99999"));
    EXPECT_EQ(answer.status, 504);
    const Json status = json(answer);
    EXPECT_THAT(string_at(status, "message"),
                testing::StartsWith("Timeout: Too large resource version: 99999, current: "));
    EXPECT_EQ(string_at(status, "reason"), "Timeout");
    EXPECT_EQ(status["details"], Json::parse(R"({"retryAfterSeconds":1,"causes":[
        {"reason":"ResourceVersionTooLarge","message":"Too large resource version"}]})"));
    EXPECT_EQ(ask("GET", path + std::string("?resourceVersion=frob")).status, 400);
  }
  const HttpResponse both = ask("GET", base + "?resourceVersionMatch=Frob&sendInitialEvents=true");
  EXPECT_EQ(both.status, 422);
  EXPECT_EQ(at(at(json(both), "details"), "causes").size(), 3u) << both.body;
}

}  // namespace
}  // namespace fairlead::orchestrator
