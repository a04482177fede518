// SPDX-License-Identifier: Apache-2.0
// Nodes that fall silent, are tainted or go, and their pods, against the fake API.
#include "tests/unit/orchestrator_controllers/world.h"

namespace fairlead::orchestrator::controllers {
namespace {

using std::chrono::seconds;

std::string node_ready(World& world, const std::string& name) {
  const Json node = *world.api.find(kNodes, {"", name});
  for (const Json& condition : node["status"]["conditions"])
    if (condition["type"] == "Ready") return condition["status"];
  return "";
}

TEST(Nodes, SilenceIsNoticedAndEndsWithEviction) {
  World world;
  world.start();
  world.api.put(kServices, service());
  Json spec = {{"containers", {{{"name", "c"}, {"image", "v1"}}}},
               {"tolerations",
                {{{"key", "node.kubernetes.io/unreachable"},
                  {"operator", "Exists"},
                  {"effect", "NoExecute"},
                  {"tolerationSeconds", 300}}}}};
  Json deployment = World::deployment(3, "v1");
  deployment["spec"]["template"]["spec"] = spec;
  world.api.put(kDeployments, deployment);
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(ready_endpoints(world), 3);
  world.silent = {"n1"};
  world.turn(seconds(45));
  EXPECT_EQ(node_ready(world, "n1"), "True");
  world.turn(seconds(20));
  EXPECT_EQ(node_ready(world, "n1"), "Unknown");
  EXPECT_EQ(node_ready(world, "n2"), "True");
  EXPECT_EQ((*world.api.find(kNodes, {"", "n1"}))["spec"]["taints"].size(), 2u);
  EXPECT_EQ(ready_endpoints(world), 2);
  const size_t writes = world.api.writes().size();
  world.turn(seconds(200));
  EXPECT_EQ(world.api.writes().size(), writes) << "nothing more to say";
  world.turn(seconds(120));
  int deleting = 0;
  for (const Json& pod : world.api.all(kPods))
    deleting += pod["metadata"].contains("deletionTimestamp") ? 1 : 0;
  EXPECT_EQ(deleting, 1);
  EXPECT_EQ(world.pods(), 3) << "a replacement exists";

  // It comes back.
  world.silent.clear();
  world.api.merge(kNodes, {"", "n1"},
                  {{"status", {{"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}},
                  "status");
  world.turn(seconds(60));
  EXPECT_EQ(node_ready(world, "n1"), "True");
  EXPECT_TRUE((*world.api.find(kNodes, {"", "n1"}))["spec"].value("taints", Json::array()).empty());
}

// What the API server gives to every pod: five minutes beside a node that is not ready or silent.
Json default_tolerations() {
  Json list = Json::array();
  for (const char* key : {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"})
    list.push_back({{"key", key},
                    {"operator", "Exists"},
                    {"effect", "NoExecute"},
                    {"tolerationSeconds", 300}});
  return list;
}

// How long the node is silent, or says of itself that it is not ready; who is gone at its end.
struct Outage {
  const char* what;
  bool silent;
  Json tolerations;
  Duration length;
  int evicted;
};

TEST(Nodes, AShortOutageEvictsNobody) {
  const Outage outages[] = {
      {"silent, a restart of fairlead", true, default_tolerations(), seconds(60), 0},
      {"silent, just before its time", true, default_tolerations(), seconds(330), 0},
      {"silent, too long", true, default_tolerations(), seconds(400), 1},
      {"not ready", false, default_tolerations(), seconds(280), 0},
      {"not ready, too long", false, default_tolerations(), seconds(330), 1},
      {"not ready, without a toleration", false, Json::array(), seconds(5), 1},
  };
  for (const Outage& outage : outages) {
    SCOPED_TRACE(outage.what);
    World world;
    world.start();
    Json deployment = World::deployment(3, "v1");
    deployment["spec"]["template"]["spec"]["tolerations"] = outage.tolerations;
    world.api.put(kDeployments, deployment);
    ASSERT_TRUE(world.settle());
    const auto says = [&](const char* status) {
      world.api.merge(kNodes, {"", "n1"},
                      {{"status", {{"conditions", {{{"type", "Ready"}, {"status", status}}}}}}},
                      "status");
    };
    if (outage.silent)
      world.silent = {"n1"};
    else
      says("False");
    world.turn(outage.length);
    world.silent.clear();
    says("True");
    world.turn(seconds(900));  // nothing of the outage is left that could come true later
    int evicted = 0;
    for (const Json& pod : world.api.all(kPods))
      evicted += pod["metadata"].contains("deletionTimestamp") ? 1 : 0;
    EXPECT_EQ(evicted, outage.evicted);
    EXPECT_EQ(node_ready(world, "n1"), "True");
  }
}

// On n1, with tolerations, bound by the test.
void put_pod(World& world, const std::string& name, const Json& tolerations) {
  world.api.put(kPods, {{"metadata", {{"name", name}, {"namespace", "default"}}},
                        {"spec",
                         {{"nodeName", "n1"},
                          {"tolerations", tolerations},
                          {"containers", {{{"name", "c"}, {"image", "v1"}}}}}}});
}
bool is_leaving(World& world, const std::string& name) {
  const auto pod = world.api.find(kPods, {"default", name});
  return !pod || (*pod)["metadata"].contains("deletionTimestamp");
}

// kubectl taint writes no timeAdded.
TEST(Nodes, ATaintOfAUserEvictsAfterTheToleration) {
  World world;
  world.start();
  const auto stays = [](const Json& how_long) {
    Json toleration = {{"key", "mine"}, {"operator", "Exists"}};
    if (!how_long.is_null()) toleration["tolerationSeconds"] = how_long;
    return Json::array({toleration});
  };
  put_pod(world, "at-once", Json::array());
  put_pod(world, "a-minute", stays(60));
  put_pod(world, "for-ever", stays(nullptr));
  ASSERT_TRUE(world.settle());
  const auto taint = [&](const Json& taints) {
    world.api.merge(kNodes, {"", "n1"}, {{"spec", {{"taints", taints}}}});
  };
  const Json mine = Json::array({{{"key", "mine"}, {"effect", "NoExecute"}}});
  taint(mine);
  world.turn(seconds(40));
  EXPECT_TRUE(is_leaving(world, "at-once"));
  EXPECT_FALSE(is_leaving(world, "a-minute"));
  taint(nullptr);
  world.turn(seconds(1));
  taint(mine);
  world.turn(seconds(50));
  EXPECT_FALSE(is_leaving(world, "a-minute")) << "its time begins again with the taint";
  world.turn(seconds(15));
  EXPECT_TRUE(is_leaving(world, "a-minute"));
  world.turn(seconds(1000));
  EXPECT_FALSE(is_leaving(world, "for-ever"));
}

TEST(Nodes, WhoComesToATroubledNodeHasItsTimeToo) {
  World world;
  world.start();
  world.silent = {"n1"};
  world.turn(seconds(600));
  put_pod(world, "late", default_tolerations());
  world.turn(seconds(290));
  EXPECT_FALSE(is_leaving(world, "late"));
  world.turn(seconds(20));
  EXPECT_TRUE(is_leaving(world, "late"));
}

// Nobody can be reached: that says more about this side than about the nodes.
TEST(Nodes, WhileNoneIsReadyNobodyIsEvicted) {
  World world;
  world.start();
  put_pod(world, "p", default_tolerations());
  world.silent = {"n1"};
  world.turn(seconds(200));
  EXPECT_EQ(node_ready(world, "n1"), "Unknown");
  world.silent = {"n1", "n2", "n3"};
  world.turn(seconds(3000));
  EXPECT_EQ(node_ready(world, "n3"), "Unknown");
  EXPECT_FALSE(is_leaving(world, "p"));
  world.silent = {"n1", "n2"};
  world.api.merge(kNodes, {"", "n3"},
                  {{"status", {{"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}},
                  "status");
  world.turn(seconds(290));
  EXPECT_FALSE(is_leaving(world, "p")) << "its time begins again";
  world.turn(seconds(20));
  EXPECT_TRUE(is_leaving(world, "p"));
}

std::multiset<std::string> events_of(World& world, const std::string& kind) {
  std::multiset<std::string> list;
  for (const Json& event : world.api.all(kEvents))
    if (event["involvedObject"]["kind"] == kind)
      list.insert(event["source"]["component"].get<std::string>() + " " +
                  event["reason"].get<std::string>() + ": " + event["message"].get<std::string>());
  return list;
}

// What an outage leaves in pods and Events is what Kubernetes leaves.
TEST(Nodes, AnOutageIsTold) {
  World world;
  world.start();
  Json hasty = default_tolerations();
  hasty[1]["tolerationSeconds"] = 5;
  put_pod(world, "patient", default_tolerations());
  put_pod(world, "hasty", hasty);
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(
      events_of(world, "Node")
          .count("node-controller RegisteredNode: Node n1 event: Registered Node n1 in Controller"),
      1u);
  world.silent = {"n1"};
  world.turn(seconds(75));
  const auto condition = [&](const char* pod, const char* type) {
    const Json object = *world.api.find(kPods, {"default", pod});
    for (const Json& one : object["status"]["conditions"])
      if (one["type"] == type)
        return one["status"].get<std::string>() + " " + one.value("reason", "");
    return std::string();
  };
  EXPECT_EQ(condition("patient", "Ready"), "False ") << "and nothing of why";
  EXPECT_EQ(condition("patient", "DisruptionTarget"), "");
  ASSERT_TRUE(is_leaving(world, "hasty"));
  EXPECT_EQ(condition("hasty", "DisruptionTarget"), "True DeletionByTaintManager");
  world.silent.clear();
  world.api.merge(kNodes, {"", "n1"},
                  {{"status", {{"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}},
                  "status");
  world.turn(seconds(10));
  EXPECT_EQ(events_of(world, "Pod"),
            (std::multiset<std::string>{
                "node-controller NodeNotReady: Node is not ready",
                "node-controller NodeNotReady: Node is not ready",
                "taint-eviction-controller TaintManagerEviction: Cancelling deletion of Pod "
                "default/patient",
                "taint-eviction-controller TaintManagerEviction: Marking for deletion Pod "
                "default/hasty"}));
}

TEST(Nodes, PodsOfANodeThatIsGoneAreRemoved) {
  World world;
  world.start();
  world.api.put(kDeployments, World::deployment(3, "v1"));
  ASSERT_TRUE(world.settle());
  world.kubelet.set_nodes({"n2", "n3"});
  world.api.erase(kNodes, {"", "n1"});
  world.turn(seconds(30));
  EXPECT_EQ(world.pods(), 3);
  world.turn(seconds(15));
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.pods(), 3);
  for (const Json& pod : world.api.all(kPods)) EXPECT_NE(pod["spec"]["nodeName"], "n1");
}

}  // namespace
}  // namespace fairlead::orchestrator::controllers
