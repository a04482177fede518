// SPDX-License-Identifier: Apache-2.0
// The pure halves: rolling bounds, one step of a rollout, deletion order, node health, owners.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>

#include "orchestrator/controllers/decode.h"
#include "orchestrator/controllers/deployment_plan.h"
#include "orchestrator/controllers/node_plan.h"
#include "orchestrator/controllers/object_graph.h"
#include "orchestrator/controllers/replicaset_plan.h"

namespace fairlead::orchestrator::controllers {
namespace {

using std::chrono::seconds;

struct BoundsCase {
  int replicas;
  IntOrPercent surge;
  IntOrPercent unavailable;
  RollingBounds expected;
};

TEST(DeploymentPlan, Bounds) {
  const BoundsCase cases[] = {
      {4, {25, true}, {25, true}, {1, 1}}, {10, {25, true}, {25, true}, {3, 2}},
      {1, {25, true}, {25, true}, {1, 0}}, {3, {0, false}, {0, false}, {0, 1}},
      {3, {0, true}, {10, true}, {0, 1}},  {3, {100, true}, {100, true}, {3, 3}},
      {2, {1, false}, {5, false}, {1, 2}}, {0, {25, true}, {25, true}, {0, 0}},
      {100, {1, true}, {1, true}, {1, 1}}, {7, {50, true}, {50, true}, {4, 3}},
  };
  for (const BoundsCase& c : cases) {
    Deployment deployment;
    deployment.replicas = c.replicas;
    deployment.max_surge = c.surge;
    deployment.max_unavailable = c.unavailable;
    EXPECT_EQ(rolling_bounds(deployment), c.expected) << c.replicas << " " << c.surge.value;
  }
}

ReplicaSetRef replica_set(const char* name, const char* print, int replicas, int available,
                          int desired) {
  auto set = std::make_shared<ReplicaSet>();
  set->meta.name = name;
  set->meta.uid = name;
  set->meta.labels = {{"app", "web"}};
  set->meta.annotations = {{kRevisionAnnotation, std::string(print) == "new" ? "2" : "1"},
                           {kDesiredAnnotation, std::to_string(desired)},
                           {kMaxAnnotation, std::to_string(desired + 1)}};
  set->template_print = print;
  set->replicas = replicas;
  set->status.replicas = replicas;
  set->status.available = available;
  set->status.ready = available;
  return set;
}

struct StepCase {
  const char* what;
  int replicas;
  int surge;
  int unavailable;
  int old_replicas, old_available;
  int new_replicas, new_available;
  int old_wanted, new_wanted;
};

TEST(DeploymentPlan, StepsOfARollout) {
  const StepCase cases[] = {
      {"the surge first", 4, 1, 0, 4, 4, 0, 0, 4, 1},
      {"surge full: wait", 4, 1, 0, 4, 4, 1, 0, 4, 1},
      {"one is available: one old goes", 4, 1, 0, 4, 4, 1, 1, 3, 1},
      {"then the next new comes", 4, 1, 0, 3, 3, 1, 1, 3, 2},
      {"the last old", 4, 1, 0, 1, 1, 4, 4, 0, 4},
      {"no surge: old ones make room", 4, 0, 1, 4, 4, 0, 0, 3, 0},
      {"no surge: new ones fill it", 4, 0, 1, 3, 3, 0, 0, 3, 1},
      {"dead old ones go at once", 4, 1, 1, 4, 0, 1, 1, 2, 1},
      {"new ones that never get ready stop it", 4, 1, 1, 3, 3, 2, 0, 3, 2},
      {"too many new ones", 2, 1, 1, 0, 0, 5, 5, 0, 2},
      {"done", 4, 1, 1, 0, 0, 4, 4, 0, 4},
  };
  for (const StepCase& c : cases) {
    SCOPED_TRACE(c.what);
    Deployment deployment;
    deployment.meta.name = "web";
    deployment.selector.match_labels = {{"app", "web"}};
    deployment.template_print = "new";
    deployment.replicas = c.replicas;
    deployment.max_surge = {c.surge, false};
    deployment.max_unavailable = {c.unavailable, false};
    const auto old_set = replica_set("old", "old", c.old_replicas, c.old_available, c.replicas);
    const auto new_set = replica_set("new", "new", c.new_replicas, c.new_available, c.replicas);
    const DeploymentPlan result = plan({deployment,
                                        {old_set, new_set},
                                        {},
                                        [](const std::string&) { return false; },
                                        [](const ReplicaSet&) { return 0; },
                                        WallTime{}});
    int old_wanted = c.old_replicas;
    int new_wanted = c.new_replicas;
    for (const PatchReplicaSet& patch : result.patches)
      if (patch.replicas) (patch.set == old_set ? old_wanted : new_wanted) = *patch.replicas;
    EXPECT_EQ(old_wanted, c.old_wanted);
    EXPECT_EQ(new_wanted, c.new_wanted);
    EXPECT_FALSE(result.create);
  }
}

TEST(DeploymentPlan, CountsOfBeforeAChangeTakeNothingDown) {
  Deployment deployment;
  deployment.meta.name = "web";
  deployment.selector.match_labels = {{"app", "web"}};
  deployment.template_print = "new";
  deployment.replicas = 4;
  deployment.max_surge = {1, false};
  deployment.max_unavailable = {0, false};
  const auto shrink = [&](int new_replicas, int64_t observed) {
    auto old_set = std::make_shared<ReplicaSet>(*replica_set("old", "old", 3, 3, 4));
    auto new_set = std::make_shared<ReplicaSet>(*replica_set("new", "new", new_replicas, 2, 4));
    new_set->meta.generation = 3;
    new_set->status.observed_generation = observed;
    const DeploymentPlan result = plan({deployment,
                                        {old_set, new_set},
                                        {},
                                        [](const std::string&) { return false; },
                                        [](const ReplicaSet&) { return 0; },
                                        WallTime{}});
    for (const PatchReplicaSet& patch : result.patches)
      if (patch.set == ReplicaSetRef(old_set) && patch.replicas) return *patch.replicas;
    return 3;
  };
  EXPECT_EQ(shrink(2, 3), 2);
  EXPECT_EQ(shrink(2, 2), 3) << "its status is of an older spec";
}

TEST(DeploymentPlan, ScalesInProportionInAMiddleOfARollout) {
  Deployment deployment;
  deployment.meta.name = "web";
  deployment.selector.match_labels = {{"app", "web"}};
  deployment.template_print = "new";
  deployment.replicas = 20;
  deployment.max_surge = {0, false};
  deployment.max_unavailable = {2, false};
  auto old_set = std::make_shared<ReplicaSet>(*replica_set("old", "old", 8, 8, 10));
  auto new_set = std::make_shared<ReplicaSet>(*replica_set("new", "new", 2, 2, 10));
  old_set->meta.annotations[kMaxAnnotation] = new_set->meta.annotations[kMaxAnnotation] = "10";
  const DeploymentPlan result = plan({deployment,
                                      {old_set, new_set},
                                      {},
                                      [](const std::string&) { return false; },
                                      [](const ReplicaSet&) { return 0; },
                                      WallTime{}});
  ASSERT_EQ(result.patches.size(), 2u);
  for (const PatchReplicaSet& patch : result.patches) {
    EXPECT_EQ(*patch.replicas, patch.set == ReplicaSetRef(old_set) ? 16 : 4);
    EXPECT_EQ(patch.annotations.at(kDesiredAnnotation), "20");
  }
}

TEST(DeploymentPlan, AnEmptySelectorIsRefused) {
  Deployment deployment;
  const DeploymentPlan result = plan({deployment, {}, {}, {}, {}, WallTime{}});
  EXPECT_FALSE(result.create);
  ASSERT_EQ(result.events.size(), 1u);
  EXPECT_EQ(result.events[0].reason, "SelectingAll");
}

// Its progress is written no more, so its deadline stays in the past.
TEST(DeploymentPlan, NoDeadlineWhileDeleting) {
  Deployment deployment;
  deployment.meta.name = "web";
  deployment.selector.match_labels = {{"app", "web"}};
  deployment.template_print = "new";
  deployment.replicas = 4;
  deployment.status.conditions = {
      {"Progressing", "True", "ReplicaSetUpdated", "", WallTime(seconds(100)), {}}};
  const auto recheck = [&](int64_t now) {
    return plan({deployment,
                 {replica_set("new", "new", 4, 2, 4)},
                 {},
                 [](const std::string&) { return false; },
                 [](const ReplicaSet&) { return 0; },
                 WallTime(seconds(now))})
        .recheck;
  };
  EXPECT_TRUE(recheck(110));
  deployment.meta.deleting = true;
  deployment.meta.finalizers = {"example.com/hold"};
  for (const int64_t now : {110, 10'000}) EXPECT_FALSE(recheck(now)) << now;
}

TEST(DeploymentPlan, HashesAreStableNames) {
  EXPECT_EQ(template_hash("a", std::nullopt), template_hash("a", std::nullopt));
  EXPECT_NE(template_hash("a", std::nullopt), template_hash("b", std::nullopt));
  EXPECT_NE(template_hash("a", std::nullopt), template_hash("a", 1));
  EXPECT_EQ(template_hash("a", 1).size(), 10u);
}

TEST(ReplicaSetPlan, DeletionOrder) {
  const auto pod = [](const char* name, const char* node, const char* phase, bool ready) {
    auto p = std::make_shared<Pod>();
    p->meta.name = name;
    p->node_name = node;
    p->phase = phase;
    p->ready = ready;
    return p;
  };
  auto unassigned = pod("1-unassigned", "", "Pending", false);
  auto pending = pod("2-pending", "n1", "Pending", false);
  auto unknown = pod("3-unknown", "n1", "Unknown", false);
  auto unready = pod("4-unready", "n1", "Running", false);
  auto cheap = pod("5-cheap", "n1", "Running", true);
  cheap->meta.annotations["controller.kubernetes.io/pod-deletion-cost"] = "-5";
  auto crowded = pod("6-crowded", "n1", "Running", true);
  auto young = pod("7-just-ready", "n2", "Running", true);
  young->ready_changed = WallTime(seconds(100));
  auto restarted = pod("8-restarted", "n2", "Running", true);
  restarted->restarts = 3;
  auto newest = pod("9-newest", "n2", "Running", true);
  newest->meta.created = WallTime(seconds(50));
  auto oldest = pod("a-oldest", "n2", "Running", true);
  std::vector<PodRef> expected = {unassigned, pending, unknown,   unready, cheap,
                                  crowded,    young,   restarted, newest,  oldest};
  std::vector<PodRef> shuffled = expected;
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    std::shuffle(shuffled.begin(), shuffled.end(), random);
    const auto order = deletion_order(shuffled, expected);
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_EQ(order[i]->meta.name, expected[i]->meta.name);
  }
}

// KEP-3973.
TEST(ReplicaSetPlan, CountsPodsThatAreLeaving) {
  ReplicaSet set;
  set.replicas = 1;
  const auto pod = [](const char* name, bool deleting, const char* phase) {
    auto made = std::make_shared<Pod>();
    made->meta.name = made->meta.uid = name;
    made->meta.deleting = deleting;
    made->phase = phase;
    return made;
  };
  const std::vector<PodRef> owned = {pod("a", false, "Running"), pod("b", true, "Running"),
                                     pod("c", true, "Pending"), pod("d", true, "Succeeded"),
                                     pod("e", false, "Failed")};
  const ReplicaSetPlan todo = plan(ReplicaSetState{set, owned, {}, owned, std::nullopt, {}});
  ASSERT_TRUE(todo.status);
  EXPECT_EQ(todo.status->replicas, 1);
  EXPECT_EQ(todo.status->terminating, 2);
}

TEST(NodePlan, TaintsFollowConditions) {
  Node node;
  const WallTime now(seconds(1000));
  node.conditions = {{"Ready", "True", "", "", {}, {}}};
  EXPECT_FALSE(wanted_taints(node, now));
  node.unschedulable = true;
  node.taints = {{"mine", "x", "NoSchedule", {}},
                 {"node.kubernetes.io/not-ready", "", "NoExecute", {}}};
  const auto taints = wanted_taints(node, now);
  ASSERT_TRUE(taints);
  ASSERT_EQ(taints->size(), 2u);
  EXPECT_EQ((*taints)[0].key, "mine");
  EXPECT_EQ((*taints)[1].key, "node.kubernetes.io/unschedulable");
  node.conditions[0].status = "False";
  EXPECT_EQ(wanted_taints(node, now)->size(), 4u);
  const auto silent = silent_conditions(node, now);
  ASSERT_TRUE(silent);
  EXPECT_EQ((*silent)[0].status, "Unknown");
  node.conditions = *silent;
  EXPECT_FALSE(silent_conditions(node, now));
}

TEST(NodePlan, TolerationsSayHowLongAPodMayStay) {
  const Taint a{"a", "", "NoExecute", {}}, b{"b", "", "NoExecute", {}};
  const Toleration long_a{"a", "Exists", "", "", 300}, short_b{"b", "Exists", "", "", 100},
      ever_a{"a", "Exists", "", "", std::nullopt}, ever{"", "Exists", "", "", std::nullopt},
      endless_a{"a", "Exists", "", "", std::numeric_limits<int64_t>::max()};
  struct Case {
    const char* what;
    std::vector<Taint> taints;
    std::vector<Toleration> tolerations;
    std::optional<Duration> stay;
  };
  const Case cases[] = {
      {"no taint", {}, {}, std::nullopt},
      {"not tolerated", {a}, {}, Duration::zero()},
      {"one of two", {a, b}, {long_a}, Duration::zero()},
      {"the shortest counts", {a, b}, {long_a, short_b}, seconds(100)},
      {"a time beside for ever", {a}, {ever, long_a}, seconds(300)},
      {"for ever", {a, b}, {ever}, std::nullopt},
      {"one for ever, one for a time", {a, b}, {ever_a, short_b}, seconds(100)},
      {"longer than a Duration", {a}, {endless_a}, seconds(1'000'000'000)},
  };
  for (const Case& c : cases) {
    Pod pod;
    pod.tolerations = c.tolerations;
    EXPECT_EQ(allowed_stay(pod, c.taints), c.stay) << c.what;
  }
}

TEST(NodePlan, OurTaintsEvictOnlyWhileSomeNodeIsReady) {
  Node node;
  node.taints = {{"mine", "", "NoExecute", {}},
                 {"mine", "", "NoSchedule", {}},
                 {"node.kubernetes.io/unreachable", "", "NoExecute", {}},
                 {"node.kubernetes.io/unreachable", "", "NoSchedule", {}}};
  EXPECT_EQ(evicting_taints(node, true), (std::vector<Taint>{node.taints[0], node.taints[2]}));
  EXPECT_EQ(evicting_taints(node, false), std::vector<Taint>{node.taints[0]});
}

TEST(Graph, OwnersInOtherNamespacesDoNotCount) {
  ObjectGraph graph;
  Meta owner;
  owner.ns = "a";
  owner.name = "o";
  owner.uid = "o";
  Meta dependent;
  dependent.ns = "b";
  dependent.name = "d";
  dependent.uid = "d";
  dependent.owners = {{"v1", "ConfigMap", "o", "o"}};
  graph.put(0, owner);
  graph.put(0, dependent);
  const auto absent = [](const OwnerRef&, const std::string&) { return false; };
  auto actions = collect(graph, "d", absent);
  ASSERT_EQ(actions.size(), 1u);
  EXPECT_EQ(actions[0].verb, CollectVerb::kRemove);
  dependent.ns = "a";
  graph.put(0, dependent);
  EXPECT_TRUE(collect(graph, "d", absent).empty());
  dependent.owners.push_back({"v1", "ConfigMap", "gone", "gone"});
  graph.put(0, dependent);
  actions = collect(graph, "d", absent);
  ASSERT_EQ(actions.size(), 1u);
  EXPECT_EQ(actions[0].verb, CollectVerb::kSetOwners);
  ASSERT_EQ(actions[0].owners.size(), 1u);
  EXPECT_EQ(actions[0].owners[0].uid, "o");
}

// Who is deleted in the foreground takes all of its dependents along, and waits for those that
// block.
TEST(Graph, DependentsThatDoNotBlockGoToo) {
  const auto absent = [](const OwnerRef&, const std::string&) { return false; };
  const auto object = [](const char* name, std::vector<OwnerRef> owners) {
    Meta meta;
    meta.ns = "a";
    meta.name = meta.uid = name;
    meta.owners = std::move(owners);
    return meta;
  };
  const auto owned_by = [](const char* name, bool blocks) {
    return OwnerRef{"v1", "ConfigMap", name, name, false, blocks};
  };
  ObjectGraph graph;
  Meta root = object("root", {});
  root.deleting = true;
  root.finalizers = {kForegroundFinalizer};
  graph.put(0, root);
  graph.put(0, object("other", {}));
  graph.put(0, object("leaf", {owned_by("root", false)}));
  graph.put(0, object("branch", {owned_by("root", false)}));
  graph.put(0, object("twig", {owned_by("branch", false)}));
  graph.put(0, object("both", {owned_by("root", false), owned_by("other", false)}));
  std::map<std::string, std::string> told;
  const auto tell = [&] {
    told.clear();
    for (const CollectAction& action : collect(graph, "root", absent))
      told[action.uid] = action.verb == CollectVerb::kRemove      ? action.policy
                         : action.verb == CollectVerb::kSetOwners ? "forgets"
                                                                  : "goes";
  };
  using Told = std::map<std::string, std::string>;
  tell();
  EXPECT_EQ(told, (Told{{"both", "forgets"},
                        {"branch", "Foreground"},
                        {"leaf", "Background"},
                        {"root", "goes"}}));
  graph.put(0, object("leaf", {owned_by("root", true)}));
  tell();
  EXPECT_EQ(told, (Told{{"both", "forgets"}, {"branch", "Foreground"}, {"leaf", "Background"}}));
}

// Kubernetes 1.20 and later: such an owner cannot be found, which is no reason to delete anything.
TEST(Graph, NobodyInANamespaceOwnsWhatIsInNone) {
  const auto absent = [](const OwnerRef&, const std::string&) { return false; };
  Meta owner;
  owner.ns = "a";
  owner.name = owner.uid = "o";
  Meta dependent;
  dependent.name = dependent.uid = "d";
  dependent.owners = {{"v1", "ConfigMap", "o", "o", false, true}};
  ObjectGraph graph;
  graph.put(0, owner);
  graph.put(1, dependent);
  EXPECT_TRUE(collect(graph, "d", absent).empty());
  owner.deleting = true;
  owner.finalizers = {kForegroundFinalizer};
  graph.put(0, owner);
  EXPECT_TRUE(collect(graph, "d", absent).empty());
  const auto actions = collect(graph, "o", absent);
  ASSERT_EQ(actions.size(), 1u);
  EXPECT_EQ(actions[0].verb, CollectVerb::kRemoveFinalizer) << "it waits for nobody";
}

Result<Deployment> decoded_deployment(const std::string& pod_spec) {
  return decode_deployment(std::make_shared<const std::string>(
      R"({"metadata":{"name":"web"},"spec":{"template":{"metadata":{"labels":{"app":"web"}},"spec":)" +
      pod_spec + "}}}"));
}

// What is stored has the defaults of the version that wrote it last.
TEST(Decode, TemplatesAreComparedWithTodaysDefaults) {
  const auto bare = decoded_deployment(R"({"containers":[{"name":"c","image":"i:1"}]})");
  const auto full = decoded_deployment(
      R"({"containers":[{"name":"c","image":"i:1","imagePullPolicy":"IfNotPresent"}],
          "restartPolicy":"Always","dnsPolicy":"ClusterFirst"})");
  const auto other = decoded_deployment(R"({"containers":[{"name":"c","image":"i:2"}]})");
  ASSERT_TRUE(bare.ok() && full.ok() && other.ok());
  EXPECT_EQ(bare->template_print, full->template_print);
  EXPECT_NE(bare->template_print, other->template_print);
}

}  // namespace
}  // namespace fairlead::orchestrator::controllers
