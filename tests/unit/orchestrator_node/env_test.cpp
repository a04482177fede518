// SPDX-License-Identifier: Apache-2.0
// What a container's environment is made of, and what a pod may ask of the kernel.
#include "orchestrator/node/env.h"

#include "orchestrator/node/node_api.h"
#include "tests/unit/orchestrator_node/pods.h"

namespace fairlead::orchestrator {
namespace {

TEST(Env, Expands) {
  const std::map<std::string, std::string> values = {{"A", "1"}, {"B", "$(A)"}};
  const std::pair<const char*, const char*> rows[] = {
      {"$(A)", "1"},    {"x$(A)y", "x1y"}, {"$$(A)", "$(A)"}, {"$(C)", "$(C)"},
      {"$A", "$A"},     {"$", "$"},        {"$(A", "$(A"},    {"$(B)", "$(A)"},
      {"$$$(A)", "$1"}, {"a$$b", "a$b"},   {"", ""}};
  for (const auto& [text, expected] : rows) EXPECT_EQ(expand(text, values), expected) << text;
}

TEST(Env, BuildsInOrder) {
  const PodSpec pod = pod_of(
      {{"containers",
        {{{"name", "c"},
          {"resources", {{"limits", {{"cpu", "250m"}, {"memory", "64Mi"}}}}},
          {"envFrom",
           {{{"prefix", "P_"}, {"configMapRef", {{"name", "m"}}}},
            {{"secretRef", {{"name", "absent"}, {"optional", true}}}}}},
          {"env",
           {{{"name", "A"}, {"value", "1"}},
            {{"name", "B"}, {"value", "$(A)$(P_k)$(SVC_SERVICE_HOST)$(LATER)"}},
            {{"name", "LATER"}, {"value", "x"}},
            {{"name", "IP"}, {"valueFrom", {{"fieldRef", {{"fieldPath", "status.podIP"}}}}}},
            {{"name", "APP"},
             {"valueFrom", {{"fieldRef", {{"fieldPath", "metadata.labels['app']"}}}}}},
            {{"name", "CPU"}, {"valueFrom", {{"resourceFieldRef", {{"resource", "limits.cpu"}}}}}},
            {{"name", "MEM"},
             {"valueFrom",
              {{"resourceFieldRef", {{"resource", "limits.memory"}, {"divisor", "1Mi"}}}}}},
            {{"name", "NONE"},
             {"valueFrom",
              {{"configMapKeyRef", {{"name", "m"}, {"key", "q"}, {"optional", true}}}}}}}}}}}});
  NodeFacts node{"n1", "192.0.2.1", {"10.0.0.2"}, 2000, 1 << 30};
  Objects objects = {{{false, "m"}, {{"k", "v"}}}};
  const auto env =
      build_env(pod, pod.containers[0], node, objects, {{"SVC_SERVICE_HOST", "10.96.0.7"}});
  ASSERT_TRUE(env.ok()) << env.error().message();
  const std::map<std::string, std::string> values(env->begin(), env->end());
  EXPECT_EQ(values.at("B"), "1v10.96.0.7$(LATER)");
  EXPECT_EQ(values.at("IP"), "10.0.0.2");
  EXPECT_EQ(values.at("APP"), "web");
  EXPECT_EQ(values.at("CPU"), "1") << "rounded up";
  EXPECT_EQ(values.at("MEM"), "64");
  EXPECT_FALSE(values.contains("NONE"));
  const auto missing = build_env(pod, pod.containers[0], node, {}, {});
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().message(), "configmap \"m\" not found");
}

// kubelet makeEnvironmentVariables reads data alone.
TEST(Env, BinaryDataIsForVolumes) {
  const Result<ObjectData> data =
      decode_object_data(false, {{"data", {{"a", "1"}}}, {"binaryData", {{"b", "AAEC"}}}});
  ASSERT_TRUE(data.ok());
  EXPECT_EQ(data->size(), 2u);
  const Objects objects = {{{false, "o"}, *data}};
  PodSpec pod = pod_of(
      {{"containers", {{{"name", "c"}, {"envFrom", {{{"configMapRef", {{"name", "o"}}}}}}}}}});
  const auto env = build_env(pod, pod.containers[0], {}, objects, {});
  ASSERT_TRUE(env.ok());
  EXPECT_EQ(*env, (std::vector<std::pair<std::string, std::string>>{{"a", "1"}}));
  EnvVar var;
  var.name = "X";
  var.source = EnvVar::Source::kConfigMap;
  var.object = "o";
  var.key = "b";
  pod.containers[0].env = {var};
  const auto none = build_env(pod, pod.containers[0], {}, objects, {});
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.error().message().find("couldn't find key b"), std::string::npos);
}

// kubelet makeMounts and ExpandContainerVolumeMounts.
TEST(Env, SubPathsAreExpanded) {
  const std::tuple<const char*, const char*, const char*> rows[] = {
      {"x/$(A)", "x/1", ""},
      {"$$(A)", "$(A)", ""},
      {"$(NONE)/x", "", "missing value for NONE"},
      {"$(NONE)/$(EMPTY)/$(A)", "", "missing value for EMPTY, NONE"},
      {"$(ABS)", "", "error SubPath `/abs` must not be an absolute path"},
      {"$(UP)/y", "", "unable to provision SubPath `../y`: must not contain '..'"},
  };
  for (const auto& [expression, path, error] : rows) {
    ContainerSpec container;
    VolumeMount mount;
    mount.sub_path_expr = expression;
    container.mounts = {mount};
    const Result<ContainerSpec> done =
        with_sub_paths(container, {{"A", "1"}, {"ABS", "/abs"}, {"UP", ".."}, {"EMPTY", ""}});
    EXPECT_EQ(done.ok() ? "" : done.error().message(), error) << expression;
    if (done.ok()) EXPECT_EQ(done->mounts[0].sub_path, path) << expression;
  }
}

// kubelet sysctl/safe_sysctls.go.
TEST(PodSpec, LetsInOnlyItsOwnSysctls) {
  const std::tuple<const char*, bool, const char*> rows[] = {
      {"kernel.shm_rmid_forced", false, ""},
      {"net/ipv4/ip_local_port_range", false, ""},
      {"net.ipv4.tcp_rmem", false, ""},
      {"kernel.msgmax", false, "forbidden sysctl: \"kernel.msgmax\" not allowlisted"},
      {"net.ipv4.tcp_rmem", true,
       "forbidden sysctl: \"net.ipv4.tcp_rmem\" not allowed with host Net enabled"},
  };
  for (const auto& [name, host, message] : rows) {
    const PodSpec pod =
        pod_of({{"containers", {{{"name", "c"}}}},
                {"hostNetwork", host},
                {"securityContext", {{"sysctls", {{{"name", name}, {"value", "1"}}}}}}});
    EXPECT_EQ(pod.rejected ? pod.rejected->message : "", message) << name;
  }
}

TEST(Env, ServicesBecomeVariables) {
  kube::Service service;
  service.meta.name = "my-web";
  service.cluster_ips = {IpAddress::v4(10, 96, 0, 7)};
  service.ports = {{"http", kube::Protocol::kTcp, 80, 0}, {"dns", kube::Protocol::kUdp, 53, 0}};
  const auto env = service_env({service});
  EXPECT_EQ(env.at("MY_WEB_SERVICE_HOST"), "10.96.0.7");
  EXPECT_EQ(env.at("MY_WEB_SERVICE_PORT"), "80");
  EXPECT_EQ(env.at("MY_WEB_SERVICE_PORT_DNS"), "53");
  EXPECT_EQ(env.at("MY_WEB_PORT"), "tcp://10.96.0.7:80");
  EXPECT_EQ(env.at("MY_WEB_PORT_53_UDP_ADDR"), "10.96.0.7");
  service.headless = true;
  EXPECT_TRUE(service_env({service}).empty());
}

}  // namespace
}  // namespace fairlead::orchestrator
