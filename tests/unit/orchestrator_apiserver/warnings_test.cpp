// SPDX-License-Identifier: Apache-2.0
// What is taken with a warning, and when it is said.
#include "tests/unit/orchestrator_apiserver/bad_input.h"

namespace fairlead::orchestrator {
namespace {

struct Warned {
  const char* what;
  const char* plural;
  const char* patch;
  const char* warning;  // empty: none
};

#define CONTAINER(members) R"({"spec":{"containers":[{"name":"c","image":"i",)" members "}]}}"

const Warned kWarned[] = {
    {"nothing", "pods", "{}", ""},
    {"a name with a dot", "pods", R"({"metadata":{"name":"a.b"}})",
     "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; "
     "a DNS label is recommended: [must not contain dots]"},
    {"a variable twice", "pods",
     CONTAINER(R"("env":[{"name":"A","value":"1"},{"name":"A","value":"2"}])"),
     R"(spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply)"},
    {"a variable that builds on itself", "pods",
     CONTAINER(R"("env":[{"name":"A","value":"1"},{"name":"A","value":"$(A)2"}])"), ""},
    {"a port twice", "pods", CONTAINER(R"("ports":[{"containerPort":1},{"containerPort":1}])"),
     "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]"},
    {"a port on the host and not", "pods",
     CONTAINER(R"("ports":[{"containerPort":1,"hostPort":2},{"containerPort":1}])"),
     "spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]"},
    {"parts of bytes", "pods", CONTAINER(R"("resources":{"limits":{"memory":"100m"}})"),
     R"(spec.containers[0].resources.limits[memory]: fractional byte value "100m" is invalid, must be an integer)"},
    {"an old label", "pods", R"({"spec":{"nodeSelector":{"beta.kubernetes.io/os":"linux"}}})",
     R"(spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead)"},
    {"a secret twice", "pods", R"({"spec":{"imagePullSecrets":[{"name":"a"},{"name":"a"}]}})",
     R"(spec.imagePullSecrets[1].name: duplicate name "a")"},
    {"in a template", "deployments",
     R"({"spec":{"template":{"spec":{"volumes":[{"name":"v","gitRepo":{"repository":"r"}}]}}}})",
     "spec.template.spec.volumes[0].gitRepo: deprecated in v1.11"},
    {"a template's name", "replicasets", R"({"metadata":{"name":"a.b"}})",
     "metadata.name: this is used in Pod names and hostnames, which can result in surprising "
     "behavior; a DNS label is recommended: [must not contain dots]"},
    {"less grace than none", "deployments",
     R"({"spec":{"template":{"spec":{"terminationGracePeriodSeconds":-1}}}})",
     "spec.template.spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid "
     "and will be treated as 1"},
    {"names for addresses", "endpointslices",
     R"({"addressType":"FQDN","endpoints":[{"addresses":["a.b"]}]})",
     "spec.addressType: FQDN endpoints are deprecated"},
    {"affinity of nobody", "services",
     R"({"spec":{"clusterIP":"None","sessionAffinity":"ClientIP"}})",
     "spec.SessionAffinity is ignored for headless services"},
    {"an old kind", "endpoints", "{}",
     "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"},
};

class WarningsTest : public BadInput {
 protected:
  static const Kind& kind_of(const std::string& plural) {
    const auto& kinds = Kinds::builtin().all();
    return *std::find_if(kinds.begin(), kinds.end(),
                         [&](const Kind& kind) { return kind.plural == plural; });
  }
  HttpResponse send(const std::string& method, const std::string& path, const std::string& body) {
    return ask(method, path, body,
               method == "PATCH" ? "application/merge-patch+json" : "application/json");
  }
  static std::string warning(const HttpResponse& answer) {
    return std::string(answer.headers.get("warning").value_or(""));
  }
};

TEST_F(WarningsTest, Table) {
  for (const Warned& row : kWarned) {
    const Kind& kind = kind_of(row.plural);
    const HttpResponse answer =
        send("POST", path_of(kind) + "?dryRun=All", merged(kind, Json::parse(row.patch)));
    EXPECT_EQ(answer.status, 201) << row.what << answer.body;
    const std::string expected = *row.warning == '\0' ? "" : "299 - " + Json(row.warning).dump();
    EXPECT_EQ(warning(answer), expected) << row.what;
  }
}

// What was said of the document is said with its refusal, too.
TEST_F(WarningsTest, ARefusalHasThem) {
  const Json frob = {{"metadata", {{"labels", {{"a", "b c"}}}}}, {"frob", 1}};
  const HttpResponse answer =
      send("POST", path_of(kind_of("configmaps")), merged(kind_of("configmaps"), frob));
  EXPECT_EQ(answer.status, 422);
  EXPECT_EQ(warning(answer), R"(299 - "unknown field \"frob\"")");
}

// Of a pod once; of a template whenever it changes; of an old kind always.
TEST_F(WarningsTest, AreSaidWhenThereIsNews) {
  const Json container = {{"name", "c"},
                          {"image", "i"},
                          {"ports", Json::parse(R"([{"containerPort":1},{"containerPort":1}])")}};
  const Json pod = {{"spec", {{"containers", Json::array({container})}}}};
  const std::string pods = path_of(kind_of("pods"));
  EXPECT_NE(warning(send("POST", pods, merged(kind_of("pods"), pod))), "");
  EXPECT_EQ(warning(send("PATCH", pods + "/it", R"({"spec":{"activeDeadlineSeconds":9}})")), "");
  const std::string deployments = path_of(kind_of("deployments"));
  const Json deployment = {{"spec", {{"template", pod}}}};
  EXPECT_NE(warning(send("POST", deployments, merged(kind_of("deployments"), deployment))), "");
  const std::string it = deployments + "/it";
  EXPECT_EQ(warning(send("PATCH", it, R"({"metadata":{"labels":{"x":"y"}}})")), "");
  EXPECT_NE(warning(send("PATCH", it, R"({"spec":{"replicas":2}})")), "");
  EXPECT_EQ(warning(send("PATCH", it + "/status", R"({"status":{"replicas":2}})")), "");
  EXPECT_NE(warning(ask("GET", path_of(kind_of("endpoints")))), "");
}

TEST_F(WarningsTest, PodsHaveAPriority) {
  const Kind& kind = kind_of("pods");
  const std::string it = path_of(kind) + "/it";
  const Json none = json(send("POST", path_of(kind), merged(kind, Json::object())));
  EXPECT_EQ(none["spec"]["priority"], 0);
  EXPECT_EQ(none["spec"]["preemptionPolicy"], "PreemptLowerPriority");
  EXPECT_EQ(send("PUT", it, merged(kind, Json::object())).status, 200) << "need not say so again";
  EXPECT_EQ(ask("DELETE", it).status, 200);
  for (const char* wrong :
       {R"({"spec":{"priority":5}})", R"({"spec":{"preemptionPolicy":"Never"}})",
        R"({"spec":{"priorityClassName":"system-node-critical","priority":0}})"}) {
    const HttpResponse refused = send("POST", path_of(kind), merged(kind, Json::parse(wrong)));
    EXPECT_EQ(refused.status, 403) << wrong;
    EXPECT_NE(refused.body.find("must not be provided in pod spec"), std::string::npos);
  }
  const Json patch = {{"spec", {{"priorityClassName", "system-node-critical"}}}};
  EXPECT_EQ(json(send("POST", path_of(kind), merged(kind, patch)))["spec"]["priority"], 2000001000);
}

#undef CONTAINER

}  // namespace
}  // namespace fairlead::orchestrator
