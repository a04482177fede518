// SPDX-License-Identifier: Apache-2.0
// What a write of a status takes of its object, and what it refuses; deletions, bindings.
#include "tests/unit/orchestrator_apiserver/bad_input.h"

namespace fairlead::orchestrator {
namespace {

using apiserver::at_path;

struct StatusRow {
  const char* what;
  const char* plural;
  const char* made;     // RFC 7386, over the least of the kind
  const char* patch;    // of its status, RFC 7386
  const char* message;  // of the refusal; empty: it is taken
  const char* path;     // then this is
  const char* value;    // JSON
};

#define BALANCER R"({"spec":{"type":"LoadBalancer"}})"
#define INGRESS(member) R"({"status":{"loadBalancer":{"ingress":[{)" member "}]}}}"

const StatusRow kRows[] = {
    {"labels", "pods", "{}", R"({"metadata":{"labels":{"a":"b"}}})", "", "metadata.labels",
     R"({"a":"b"})"},
    {"owners of a pod", "pods", "{}",
     R"({"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"n","uid":"u"}]}})",
     "", "metadata.ownerReferences", "null"},
    {"annotations", "services", "{}", R"({"metadata":{"annotations":{"a":"b"}}})", "",
     "metadata.annotations", R"({"a":"b"})"},
    {"annotations", "deployments", "{}", R"({"metadata":{"annotations":{"a":"b"}}})", "",
     "metadata.annotations", R"({"a":"b"})"},
    {"labels of a deployment", "deployments", "{}", R"({"metadata":{"labels":{"a":"b"}}})", "",
     "metadata.labels", "null"},
    {"labels of a set", "replicasets", "{}", R"({"metadata":{"labels":{"a":"b"}}})", "",
     "metadata.labels", R"({"a":"b"})"},
    {"a wrong label", "replicasets", "{}", R"({"metadata":{"labels":{"a":"b c"}}})",
     "metadata.labels: Invalid value: \"b c\"", "", ""},
    {"a namespace's own label", "namespaces", "{}", R"({"metadata":{"labels":null}})", "",
     "metadata.labels", R"({"kubernetes.io/metadata.name":"it"})"},
    {"a phase of the end", "namespaces", "{}", R"({"status":{"phase":"Terminating"}})",
     "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is "
     "empty",
     "", ""},
    {"more than there are", "deployments", "{}", R"({"status":{"replicas":1,"readyReplicas":2}})",
     "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas", "", ""},
    {"less than none", "replicasets", "{}", R"({"status":{"replicas":-1}})",
     "status.replicas: Invalid value: -1: must be greater than or equal to 0", "", ""},
    {"available and not ready", "replicasets", "{}",
     R"({"status":{"replicas":2,"readyReplicas":1,"availableReplicas":2}})",
     "status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas", "", ""},
    {"an address of a balancer", "services", BALANCER, INGRESS(R"("ip":"1.2.3.4")"), "",
     "status.loadBalancer.ingress", R"([{"ip":"1.2.3.4","ipMode":"VIP"}])"},
    {"a name of a balancer", "services", BALANCER, INGRESS(R"("hostname":"A_")"),
     "status.loadBalancer.ingress[0].hostname: Invalid value: \"A_\"", "", ""},
    {"an address for a name", "services", BALANCER, INGRESS(R"("hostname":"1.2.3.4")"),
     "must be a DNS name, not an IP address", "", ""},
    {"a mode of a name", "services", BALANCER, INGRESS(R"("hostname":"a.b","ipMode":"VIP")"),
     "ipMode: Forbidden: may not be specified when `ip` is not set", "", ""},
    {"no balancer", "services", "{}", INGRESS(R"("ip":"1.2.3.4")"),
     "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'",
     "", ""},
    {"what a node has is what it gives", "nodes", "{}", R"({"status":{"capacity":{"cpu":"2"}}})",
     "", "status.allocatable", R"({"cpu":"2"})"},
};

class StatusTest : public BadInput {
 protected:
  const Kind& kind_of(const std::string& plural) {
    const auto& kinds = Kinds::builtin().all();
    return *std::find_if(kinds.begin(), kinds.end(),
                         [&](const Kind& kind) { return kind.plural == plural; });
  }
  std::string made(const std::string& plural, const char* patch) {
    const Kind& kind = kind_of(plural);
    const HttpResponse answer = ask("POST", path_of(kind), merged(kind, Json::parse(patch)));
    EXPECT_EQ(answer.status, 201) << answer.body;
    return path_of(kind) + "/it";
  }
  HttpResponse change(const std::string& path, const char* patch) {
    return ask("PATCH", path, patch, "application/merge-patch+json");
  }
};

TEST_F(StatusTest, Table) {
  for (const StatusRow& row : kRows) {
    SCOPED_TRACE(std::string(row.plural) + ": " + row.what);
    const std::string path = made(row.plural, row.made);
    const HttpResponse answer = change(path + "/status", row.patch);
    EXPECT_EQ(answer.status, *row.message == '\0' ? 200 : 422) << answer.body;
    if (*row.message != '\0')
      EXPECT_THAT(string_at(json(answer), "message"), testing::HasSubstr(row.message));
    else
      EXPECT_EQ(at_path(json(answer), row.path), Json::parse(row.value));
    EXPECT_EQ(ask("DELETE", path).status, 200);
    if (std::string(row.plural) == "namespaces")
      EXPECT_EQ(ask("PUT", path + "/finalize", R"({"metadata":{"name":"it"}})").status, 200);
  }
}

TEST_F(StatusTest, ABalancersReportGoesWithIt) {
  const std::string path = made("services", BALANCER);
  EXPECT_EQ(change(path + "/status", INGRESS(R"("ip":"1.2.3.4")")).status, 200);
  const Json now = json(change(path, R"({"spec":{"type":"ExternalName","externalName":"a.b"}})"));
  EXPECT_EQ(now["status"], Json::parse(R"({"loadBalancer":{}})"));
  EXPECT_FALSE(now["spec"].contains("internalTrafficPolicy"));
}

TEST_F(StatusTest, FinalizersOfANamespaceAreQualified) {
  const std::string path = made("namespaces", "{}") + "/finalize";
  EXPECT_EQ(ask("PUT", path, R"({"metadata":{"name":"it"},"spec":{"finalizers":["frob"]}})").status,
            422);
  EXPECT_EQ(
      ask("PUT", path, R"({"metadata":{"name":"it"},"spec":{"finalizers":["a.b/c"]}})").status,
      200);
}

// Which kinds come back as they were, and which as a word, is the registry's choice.
TEST_F(StatusTest, WhatADeletionAnswers) {
  for (const auto& [plural, shown] :
       {std::pair("services", "Service"), std::pair("pods", "Pod"), std::pair("secrets", "Status"),
        std::pair("deployments", "Status")})
    EXPECT_EQ(string_at(json(ask("DELETE", made(plural, "{}"))), "kind"), shown);
  const std::string path = made("secrets", "{}");
  const std::string list = path.substr(0, path.rfind('/'));
  const Json gone = json(ask("DELETE", list + "?fieldSelector=metadata.name%3Dit"));
  EXPECT_EQ(string_at(gone, "kind"), "SecretList");
  ASSERT_EQ(at(gone, "items").size(), 1u);
  EXPECT_EQ(ask("GET", path).status, 404);
}

TEST_F(StatusTest, PreconditionsOfADeletionNameTheKind) {
  const std::string path = made("secrets", "{}");
  const HttpResponse uid = ask("DELETE", path, R"({"preconditions":{"uid":"x"}})");
  EXPECT_EQ(uid.status, 409);
  EXPECT_THAT(string_at(json(uid), "message"),
              testing::AllOf(testing::HasSubstr(
                                 "Operation cannot be fulfilled on Secret \"it\": the UID in the "
                                 "precondition (x) does not match the UID in record ("),
                             testing::EndsWith("The object might have been deleted and then "
                                               "recreated")));
  const HttpResponse version = ask("DELETE", path, R"({"preconditions":{"resourceVersion":"1"}})");
  EXPECT_EQ(version.status, 409);
  EXPECT_THAT(string_at(json(version), "message"),
              testing::EndsWith("The object might have been modified"));
  EXPECT_EQ(ask("DELETE", path, R"({"gracePeriodSeconds":-5})").status, 200);
}

TEST_F(StatusTest, ABindingBringsLabelsAlong) {
  const std::string path = made("pods", R"({"metadata":{"labels":{"a":"b"}}})");
  EXPECT_EQ(change(path + "/status", R"({"status":{"nominatedNodeName":"m"}})").status, 200);
  const char* binding = R"({"metadata":{"name":"it","labels":{"zone":"z"},"annotations":{"c":"d"}},
                            "target":{"kind":"Node","name":"n"}})";
  EXPECT_EQ(ask("POST", path + "/binding", binding).status, 201);
  const Json pod = json(ask("GET", path));
  EXPECT_EQ(pod["metadata"]["labels"], Json::parse(R"({"a":"b","zone":"z"})"));
  EXPECT_EQ(string_at(pod, "metadata.annotations.c"), "d");
  EXPECT_EQ(string_at(pod, "spec.nodeName"), "n");
  EXPECT_FALSE(pod["status"].contains("nominatedNodeName"));
}

TEST_F(StatusTest, ServicesWithoutSelectorAreOfBothFamilies) {
  const std::string path = made("services", R"({"spec":{"clusterIP":"None"}})");
  const Json spec = json(ask("GET", path))["spec"];
  EXPECT_EQ(spec["ipFamilies"], Json::parse(R"(["IPv4","IPv6"])"));
  EXPECT_EQ(spec["ipFamilyPolicy"], "RequireDualStack");
  EXPECT_EQ(ask("DELETE", path).status, 200);
  made("services", R"({"spec":{"clusterIP":"None","selector":{"a":"b"}}})");
  EXPECT_EQ(json(ask("GET", path))["spec"]["ipFamilyPolicy"], "SingleStack");
}

TEST_F(StatusTest, LessGraceThanNoneIsASecond) {
  const std::string path = made("pods", R"({"spec":{"terminationGracePeriodSeconds":-5}})");
  EXPECT_EQ(json(ask("GET", path))["spec"]["terminationGracePeriodSeconds"], 1);
}

#undef BALANCER
#undef INGRESS

}  // namespace
}  // namespace fairlead::orchestrator
