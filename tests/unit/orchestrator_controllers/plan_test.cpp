// SPDX-License-Identifier: Apache-2.0
// The pure halves: rolling bounds, one step of a rollout, deletion order, slices, node health.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <random>
#include <set>

#include "orchestrator/controllers/deployment_plan.h"
#include "orchestrator/controllers/endpointslice_plan.h"
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

PodRef web_pod(int i, bool ready = true) {
  auto pod = std::make_shared<Pod>();
  pod->meta.name = "p" + std::to_string(i);
  pod->meta.uid = pod->meta.name;
  pod->phase = "Running";
  pod->ready = ready;
  pod->ips = {IpAddress::v4(10, 0, i / 250, i % 250),
              *IpAddress::parse("fd00::" + std::to_string(i))};
  pod->ports = {{"web", kube::Protocol::kTcp, static_cast<uint16_t>(i % 2 ? 8080 : 9090)}};
  return pod;
}

Service web_service() {
  Service service;
  service.meta.name = "web";
  service.selector = {{"app", "web"}};
  service.families = {Family::kIpv4};
  service.ports = {{"http", kube::Protocol::kTcp, "", 80, 8080, ""}};
  return service;
}

// What the slices would be after the plan was carried out.
std::vector<SliceRef> carried_out(std::vector<SliceRef> slices, const SlicePlan& todo) {
  static int next = 0;
  for (const auto* stage : {&todo.first, &todo.then})
    for (const SliceWrite& write : *stage) {
      auto slice = std::make_shared<EndpointSlice>();
      slice->meta.name = write.existing ? write.existing->meta.name : "s" + std::to_string(next++);
      slice->meta.labels = write.labels;
      slice->family = write.family;
      slice->ports = write.ports;
      slice->endpoints = write.endpoints;
      std::erase(slices, write.existing);
      slices.push_back(slice);
    }
  for (const SliceRef& gone : todo.removals) std::erase(slices, gone);
  return slices;
}

TEST(SlicePlan, NamedPortsMakeGroupsAndFamiliesMakeSlices) {
  Service service = web_service();
  service.families = {Family::kIpv4, Family::kIpv6};
  service.ports[0].target_port = 0;
  service.ports[0].target_name = "web";
  const SlicePlan todo = plan({service, {web_pod(1), web_pod(2), web_pod(3)}, {}, {}});
  ASSERT_EQ(todo.first.size(), 4u) << "two ports, two families";
  EXPECT_TRUE(
      plan({service, {web_pod(1), web_pod(2), web_pod(3)}, carried_out({}, todo), {}}).empty());
}

TEST(SlicePlan, ConditionsAndNames) {
  Service service = web_service();
  auto going = std::make_shared<Pod>(*web_pod(1));
  going->meta.deleting = true;
  going->hostname = "h";
  going->subdomain = "web";
  going->node_name = "n1";
  const Endpoint endpoint = plan({service, {going}, {}, {{"n1", "z"}}}).first.at(0).endpoints.at(0);
  EXPECT_FALSE(endpoint.ready);
  EXPECT_TRUE(endpoint.serving);
  EXPECT_TRUE(endpoint.terminating);
  EXPECT_EQ(endpoint.hostname, "h");
  EXPECT_EQ(endpoint.zone, "z");
  service.publish_not_ready = true;
  EXPECT_TRUE(plan({service, {web_pod(1, false)}, {}, {}}).first.at(0).endpoints.at(0).ready);
  auto ended = std::make_shared<Pod>(*web_pod(1));
  ended->phase = "Failed";
  EXPECT_TRUE(plan({service, {ended}, {}, {}}).first.at(0).endpoints.empty());
}

// "8080:p1,p3!p5 9090:p2": each subset's ports, who is ready and, after a !, who is not.
std::string text_of(const EndpointsContent& content) {
  std::string text;
  for (const Subset& subset : content.subsets) {
    if (!text.empty()) text += " ";
    for (size_t i = 0; i < subset.ports.size(); ++i)
      text += (i > 0 ? "+" : "") + std::to_string(subset.ports[i].port);
    for (size_t i = 0; i < subset.ready.size(); ++i)
      text += (i > 0 ? "," : ":") + subset.ready[i].pod_name;
    for (const Endpoint& endpoint : subset.not_ready) text += "!" + endpoint.pod_name;
  }
  return text;
}

struct EndpointsCase {
  const char* what;
  std::vector<ServicePort> ports;
  std::vector<PodRef> pods;
  const char* text;
  bool headless = false;
  bool publish_not_ready = false;
};

TEST(EndpointsPlan, SubsetsAreOfPortsThatTheSamePodsOffer) {
  const ServicePort fixed{"http", kube::Protocol::kTcp, "", 80, 8080, ""};
  const ServicePort named{"web", kube::Protocol::kTcp, "", 81, 0, "web"};  // odd: 8080, even: 9090
  const ServicePort nobody{"nobody", kube::Protocol::kTcp, "", 82, 0, "nobody"};
  const auto going = [](int i) {
    auto pod = std::make_shared<Pod>(*web_pod(i));
    pod->meta.deleting = true;
    return pod;
  };
  const auto ended = [](int i) {
    auto pod = std::make_shared<Pod>(*web_pod(i));
    pod->phase = "Succeeded";
    return pod;
  };
  const auto twin = [](int i, const char* name) {  // on the host network of one node
    auto pod = std::make_shared<Pod>(*web_pod(i));
    pod->meta.name = pod->meta.uid = name;
    pod->ports[0].port = 7070;
    return pod;
  };
  const EndpointsCase cases[] = {
      {"one subset", {fixed}, {web_pod(1), web_pod(2)}, "8080:p1,p2"},
      {"nobody", {fixed}, {}, ""},
      {"not ready", {fixed}, {web_pod(1, false), web_pod(2)}, "8080:p2!p1"},
      {"none is ready", {fixed}, {web_pod(1, false)}, "8080!p1"},
      {"told to be ready", {fixed}, {web_pod(1, false), going(2)}, "8080:p1,p2", false, true},
      {"going, ended", {fixed}, {going(1), ended(2), web_pod(3)}, "8080:p3"},
      {"two ports of all", {fixed, named}, {web_pod(1), web_pod(3)}, "8080+8080:p1,p3"},
      {"one port of all, another of each kind",
       {fixed, named},
       {web_pod(1), web_pod(2), web_pod(3)},
       "8080:p1,p2,p3 8080:p1,p3 9090:p2"},
      {"a port of no pod", {nobody}, {web_pod(1)}, ""},
      {"a port of no pod beside another", {nobody, fixed}, {web_pod(1)}, "8080:p1"},
      {"headless without ports", {}, {web_pod(1), web_pod(2, false)}, ":p1!p2", true},
      {"headless, a port of no pod", {nobody}, {web_pod(1)}, "", true},
      {"two pods of one address", {named}, {web_pod(1), twin(1, "t")}, "7070:t 8080:p1"},
  };
  for (const EndpointsCase& c : cases) {
    SCOPED_TRACE(c.what);
    Service service = web_service();
    service.ports = c.ports;
    service.headless = c.headless;
    service.publish_not_ready = c.publish_not_ready;
    const SlicePlan todo = plan({service, c.pods, {}, {}});
    ASSERT_TRUE(todo.endpoints);
    EXPECT_EQ(text_of(*todo.endpoints), c.text);
    EXPECT_FALSE(todo.endpoints->truncated);
  }
}

TEST(EndpointsPlan, LabelsAreTheServicesAndTheFamilyItsFirst) {
  Service service = web_service();
  service.meta.labels = {{"app", "web"}, {kHeadlessLabel, "no"}};
  service.families = {Family::kIpv6, Family::kIpv4};
  EndpointsContent content = *plan({service, {web_pod(1)}, {}, {}}).endpoints;
  EXPECT_EQ(
      content.labels,
      (Labels{{"app", "web"}, {"endpoints.kubernetes.io/managed-by", "endpoint-controller"}}));
  EXPECT_EQ(content.subsets.at(0).ready.at(0).address.to_string(), "fd00::1");
  service.headless = true;
  content = *plan({service, {}, {}, {}}).endpoints;
  EXPECT_EQ(content.labels.at(kHeadlessLabel), "");
  service.external_name = true;
  EXPECT_FALSE(plan({service, {}, {}, {}}).endpoints);
}

TEST(EndpointsPlan, AtMostAThousandAddressesReadyOnesFirst) {
  struct Case {
    int ready, not_ready;         // of each of two subsets
    size_t kept_ready, kept_not;  // of both
    bool truncated;
  };
  const Case cases[] = {{300, 200, 600, 400, false},
                        {300, 201, 600, 400, true},
                        {500, 10, 1000, 0, true},
                        {501, 10, 1000, 0, true},
                        {0, 600, 0, 1000, true}};
  for (const Case& c : cases) {
    SCOPED_TRACE(std::to_string(c.ready) + " " + std::to_string(c.not_ready));
    Service service = web_service();
    service.ports[0].target_port = 0;
    service.ports[0].target_name = "web";
    std::vector<PodRef> pods;
    for (int i = 0; i < 2 * (c.ready + c.not_ready); ++i)
      pods.push_back(web_pod(i, i < 2 * c.ready));
    const EndpointsContent content = *plan({service, pods, {}, {}}).endpoints;
    size_t ready = 0, not_ready = 0;
    ASSERT_EQ(content.subsets.size(), 2u);
    for (const Subset& subset : content.subsets) {
      ready += subset.ready.size();
      not_ready += subset.not_ready.size();
      EXPECT_NEAR(static_cast<double>(subset.ready.size()), c.kept_ready / 2.0, 1)
          << "in proportion";
    }
    EXPECT_EQ(ready, c.kept_ready);
    EXPECT_EQ(not_ready, c.kept_not);
    EXPECT_EQ(content.truncated, c.truncated);
  }
}

// Random changes: slices hold exactly the pods, within limits; a second plan is empty; and after
// the first stage no endpoint that was there and is still wanted is missing.
TEST(SlicePlan, RandomChangesConvergeWithoutAGap) {
  const char* given = std::getenv("FAIRLEAD_SEED");
  const unsigned seed = given ? std::atoi(given) : std::random_device{}();
  SCOPED_TRACE("FAIRLEAD_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  Service service = web_service();
  std::vector<SliceRef> slices;
  for (int round = 0; round < 150; ++round) {
    if (random() % 10 == 0) service.ports[0].target_port = 8000 + random() % 3;
    if (random() % 10 == 0) {
      const bool named = random() % 2;
      service.ports[0].target_port = named ? 0 : 8080;
      service.ports[0].target_name = named ? "web" : "";
    }
    std::vector<PodRef> pods;
    const int count = random() % 350;
    for (int i = 0; i < 350; ++i)
      if (static_cast<int>(random() % 350) < count) pods.push_back(web_pod(i));
    const SlicePlan todo = plan({service, pods, slices, {}});
    const auto addresses = [](const std::vector<SliceRef>& list) {
      std::multiset<IpAddress> all;
      for (const SliceRef& slice : list)
        for (const Endpoint& endpoint : slice->endpoints) all.insert(endpoint.address);
      return all;
    };
    const auto before = addresses(slices);
    SlicePlan first_stage = todo;
    first_stage.then.clear();
    first_stage.removals.clear();
    const auto between = addresses(carried_out(slices, first_stage));
    slices = carried_out(slices, todo);
    const auto after = addresses(slices);
    std::multiset<IpAddress> wanted;
    for (const PodRef& pod : pods) wanted.insert(pod->ips[0]);
    ASSERT_EQ(after, wanted);
    for (const IpAddress& address : wanted)
      if (before.contains(address)) {
        ASSERT_TRUE(between.contains(address));
      }
    for (const SliceRef& slice : slices) ASSERT_LE(slice->endpoints.size(), kMaxEndpointsPerSlice);
    ASSERT_TRUE(plan({service, pods, slices, {}}).empty());
  }
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

}  // namespace
}  // namespace fairlead::orchestrator::controllers
