// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/scheduler/fit.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fairlead::orchestrator::scheduling {
namespace {

using Json = nlohmann::json;

Node node(const char* name, const char* changes = "{}") {
  Json json = {{"metadata", {{"name", name}, {"labels", {{"zone", "a"}, {"cores", "8"}}}}},
               {"spec", Json::object()},
               {"status",
                {{"allocatable", {{"cpu", "2"}, {"memory", "4Gi"}, {"pods", "3"}}},
                 {"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}};
  json.merge_patch(Json::parse(changes));
  return *decode_node(std::make_shared<std::string>(json.dump()));
}

Pod pod(const char* spec = "{}", const char* owner = "") {
  Json json = {{"metadata", {{"name", "p"}, {"namespace", "default"}, {"uid", "p"}}},
               {"spec", Json::parse(spec)}};
  if (*owner)
    json["metadata"]["ownerReferences"] = {
        {{"kind", "ReplicaSet"}, {"name", owner}, {"uid", owner}, {"controller", true}}};
  return *decode_pod(std::make_shared<std::string>(json.dump()));
}

NodeInfo info(const Node& n) {
  return {std::make_shared<Node>(n), {}, 0, {}, {}};
}

struct FitCase {
  const char* what;
  const char* pod;
  const char* node;
  const char* obstacle;  // first; "": fits
};

TEST(Fit, Table) {
  const FitCase cases[] = {
      {"plain", "{}", "{}", ""},
      {"cpu fits exactly", R"({"containers":[{"resources":{"requests":{"cpu":"2"}}}]})", "{}", ""},
      {"too much cpu", R"({"containers":[{"resources":{"requests":{"cpu":"2001m"}}}]})", "{}",
       "Insufficient cpu"},
      {"limits count without requests",
       R"({"containers":[{"resources":{"limits":{"memory":"5Gi"}}}]})", "{}",
       "Insufficient memory"},
      {"sum of containers",
       R"({"containers":[{"resources":{"requests":{"cpu":"1500m"}}},{"resources":{"requests":{"cpu":"600m"}}}]})",
       "{}", "Insufficient cpu"},
      {"a large init container",
       R"({"initContainers":[{"resources":{"requests":{"cpu":"3"}}}],"containers":[{}]})", "{}",
       "Insufficient cpu"},
      {"init containers run one by one",
       R"({"initContainers":[{"resources":{"requests":{"cpu":"2"}}},{"resources":{"requests":{"cpu":"2"}}}],"containers":[{"resources":{"requests":{"cpu":"2"}}}]})",
       "{}", ""},
      {"a sidecar stays",
       R"({"initContainers":[{"restartPolicy":"Always","resources":{"requests":{"cpu":"1"}}}],"containers":[{"resources":{"requests":{"cpu":"1500m"}}}]})",
       "{}", "Insufficient cpu"},
      {"an unknown resource",
       R"({"containers":[{"resources":{"requests":{"example.org/gpu":"1"}}}]})", "{}",
       "Insufficient example.org/gpu"},
      {"no pod slots", "{}", R"({"status":{"allocatable":{"pods":"0"}}})", "Too many pods"},
      {"cordoned", "{}", R"({"spec":{"unschedulable":true}})", "node(s) were unschedulable"},
      {"cordoned but tolerated",
       R"({"tolerations":[{"key":"node.kubernetes.io/unschedulable","operator":"Exists"}]})",
       R"({"spec":{"unschedulable":true}})", ""},
      {"not ready", "{}", R"({"status":{"conditions":[{"type":"Ready","status":"False"}]}})",
       "node(s) were not ready"},
      {"tainted", "{}", R"({"spec":{"taints":[{"key":"k","value":"v","effect":"NoSchedule"}]}})",
       "node(s) had untolerated taint(s)"},
      {"tolerated by value", R"({"tolerations":[{"key":"k","value":"v","effect":"NoSchedule"}]})",
       R"({"spec":{"taints":[{"key":"k","value":"v","effect":"NoSchedule"}]}})", ""},
      {"another value", R"({"tolerations":[{"key":"k","value":"w"}]})",
       R"({"spec":{"taints":[{"key":"k","value":"v","effect":"NoExecute"}]}})",
       "node(s) had untolerated taint(s)"},
      {"tolerates everything", R"({"tolerations":[{"operator":"Exists"}]})",
       R"({"spec":{"taints":[{"key":"k","effect":"NoExecute"}]}})", ""},
      {"PreferNoSchedule does not forbid", "{}",
       R"({"spec":{"taints":[{"key":"k","effect":"PreferNoSchedule"}]}})", ""},
      {"selector holds", R"({"nodeSelector":{"zone":"a"}})", "{}", ""},
      {"selector does not", R"({"nodeSelector":{"zone":"b"}})", "{}",
       "node(s) didn't match Pod's node affinity/selector"},
      {"Gt",
       R"({"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"cores","operator":"Gt","values":["4"]}]}]}}}})",
       "{}", ""},
      {"NotIn",
       R"({"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"zone","operator":"NotIn","values":["a"]}]}]}}}})",
       "{}", "node(s) didn't match Pod's node affinity/selector"},
      {"one of several terms",
       R"({"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"no","operator":"Exists"}]},{"matchFields":[{"key":"metadata.name","operator":"In","values":["n"]}]}]}}}})",
       "{}", ""},
      {"an empty term holds nowhere",
       R"({"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{}]}}}})",
       "{}", "node(s) didn't match Pod's node affinity/selector"},
  };
  for (const FitCase& c : cases) {
    const auto list = obstacles(pod(c.pod), info(node("n", c.node)));
    EXPECT_EQ(list.empty() ? "" : list.front(), c.obstacle) << c.what;
  }
}

TEST(Fit, HostPortsConflictByAddressAndProtocol) {
  const char* tcp80 = R"({"containers":[{"ports":[{"hostPort":80}]}]})";
  const char* udp80 = R"({"containers":[{"ports":[{"hostPort":80,"protocol":"UDP"}]}]})";
  const char* local80 = R"({"containers":[{"ports":[{"hostPort":80,"hostIP":"127.0.0.1"}]}]})";
  const char* other80 = R"({"containers":[{"ports":[{"hostPort":80,"hostIP":"10.0.0.1"}]}]})";
  NodeInfo on = info(node("n"));
  on.add(pod(local80));
  EXPECT_FALSE(feasible(pod(tcp80), on));
  EXPECT_FALSE(feasible(pod(local80), on));
  EXPECT_TRUE(feasible(pod(udp80), on));
  EXPECT_TRUE(feasible(pod(other80), on));
  on.remove(pod(local80));
  EXPECT_TRUE(feasible(pod(tcp80), on));
}

// Sums of what int64 can just hold do not come out negative, and so as nothing.
TEST(Fit, HugeRequestsNeverFit) {
  const Pod huge = pod(
      R"({"containers":[{"resources":{"requests":{"cpu":"1e30"}}},{"resources":{"requests":{"cpu":"9P"}}}],
          "overhead":{"cpu":"1e30"}})");
  NodeInfo on = info(node("n"));
  EXPECT_EQ(obstacles(huge, on), std::vector<std::string>{"Insufficient cpu"});
  for (int i = 0; i < 1000; ++i) on.add(huge);
  EXPECT_GT(on.used.at("cpu"), 0);
  EXPECT_FALSE(feasible(pod(R"({"containers":[{"resources":{"requests":{"cpu":"1m"}}}]})"), on));
  for (int i = 0; i < 1000; ++i) on.remove(huge);
  EXPECT_TRUE(on.used.empty());
}

TEST(Fit, AddAndRemoveAreInverse) {
  const Pod p = pod(
      R"({"containers":[{"resources":{"requests":{"cpu":"1","memory":"1Gi"}},"ports":[{"hostPort":80}]}]})",
      "rs");
  NodeInfo on = info(node("n"));
  on.add(p);
  EXPECT_EQ(on.used.at("cpu"), 1000);
  EXPECT_EQ(on.by_owner.at("rs"), 1);
  on.remove(p);
  EXPECT_TRUE(on.used.empty());
  EXPECT_TRUE(on.ports.empty());
  EXPECT_TRUE(on.by_owner.empty());
  EXPECT_EQ(on.pods, 0);
}

TEST(Fit, MessageCountsReasons) {
  EXPECT_EQ(unschedulable_message({}), "no nodes available to schedule pods");
  EXPECT_EQ(unschedulable_message({{"node(s) had untolerated taint(s)"},
                                   {"Insufficient cpu", "Insufficient memory"},
                                   {"node(s) had untolerated taint(s)"}}),
            "0/3 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 2 node(s) had "
            "untolerated taint(s).");
}

TEST(Score, PrefersRoomThenSpreadThenWishes) {
  NodeInfo a = info(node("a"));
  NodeInfo b = info(node("b"));
  const std::vector<const NodeInfo*> both = {&a, &b};
  EXPECT_EQ(best(pod(), both)->node->meta.name, "a") << "equals go by name";
  a.add(pod(R"({"containers":[{"resources":{"requests":{"cpu":"1"}}}]})"));
  EXPECT_EQ(best(pod(), both)->node->meta.name, "b") << "room";
  b.add(pod("{}", "rs"));
  EXPECT_EQ(best(pod("{}", "rs"), both)->node->meta.name, "a") << "spread outweighs room";
  const char* wish =
      R"({"affinity":{"nodeAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":5,"preference":{"matchFields":[{"key":"metadata.name","operator":"In","values":["a"]}]}}]}}})";
  EXPECT_EQ(best(pod(wish), both)->node->meta.name, "a");
  NodeInfo c = info(node("c", R"({"spec":{"taints":[{"key":"k","effect":"PreferNoSchedule"}]}})"));
  EXPECT_EQ(best(pod(), {&a, &c})->node->meta.name, "a") << "unwelcome";
  EXPECT_EQ(best(pod(), {}), nullptr);
}

}  // namespace
}  // namespace fairlead::orchestrator::scheduling
