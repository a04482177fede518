// SPDX-License-Identifier: Apache-2.0
// Deployments and ReplicaSets together, against the fake API.
#include <cstdlib>
#include <random>
#include <set>

#include "tests/unit/orchestrator_controllers/world.h"

namespace fairlead::orchestrator::controllers {
namespace {

using std::chrono::seconds;

bool ready(const Json& pod) {
  for (const Json& condition : pod["status"].value("conditions", Json::array()))
    if (condition["type"] == "Ready") return condition["status"] == "True";
  return false;
}

TEST(DeploymentScenario, LivesThroughCreateScaleUpdateRollbackDelete) {
  World world;
  world.start();
  world.api.put(kDeployments, World::deployment(3, "v1"));
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.pods("v1"), 3);
  EXPECT_EQ(world.status("availableReplicas"), 3);
  EXPECT_EQ(world.condition("Available"), "True MinimumReplicasAvailable");
  EXPECT_EQ(world.condition("Progressing"), "True NewReplicaSetAvailable");
  EXPECT_EQ(world.web()["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");
  const Json first = world.api.all(kReplicaSets).at(0);
  EXPECT_EQ(first["metadata"]["ownerReferences"][0]["kind"], "Deployment");
  std::set<std::string> told;
  for (const Json& event : world.api.all(kEvents))
    if (event["reason"] == "SuccessfulCreate") told.insert(event["message"]);
  for (const Json& pod : world.api.all(kPods))
    EXPECT_TRUE(told.contains("Created pod: " + pod["metadata"]["name"].get<std::string>()));
  EXPECT_TRUE(first["metadata"]["ownerReferences"][0]["controller"].get<bool>());

  world.set_replicas(5);
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.pods("v1"), 5);
  EXPECT_EQ(world.api.all(kReplicaSets).size(), 1u);

  world.set_image("v2");
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.pods("v1"), 0);
  EXPECT_EQ(world.pods("v2"), 5);
  EXPECT_EQ(world.status("updatedReplicas"), 5);
  EXPECT_EQ(world.web()["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "2");
  EXPECT_EQ(world.api.all(kReplicaSets).size(), 2u);

  // As `kubectl rollout undo` does: the old template again finds the old set again.
  world.set_image("v1");
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.pods("v1"), 5);
  EXPECT_EQ(world.api.all(kReplicaSets).size(), 2u);
  EXPECT_EQ(world.web()["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "3");
  const Json again = *world.api.find(kReplicaSets, {"default", first["metadata"]["name"]});
  EXPECT_EQ(again["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"], "1");
  EXPECT_EQ(world.condition("Progressing"), "True NewReplicaSetAvailable");

  world.api.erase(kDeployments, {"default", "web"});
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.api.all(kReplicaSets).size(), 0u);
  EXPECT_EQ(world.api.all(kPods).size(), 0u);
}

TEST(DeploymentScenario, SettledMeansSilent) {
  World world;
  world.start();
  world.api.put(kDeployments, World::deployment(3, "v1"));
  ASSERT_TRUE(world.settle());
  const size_t writes = world.api.writes().size();
  world.turn(std::chrono::hours(2));
  EXPECT_EQ(world.api.writes().size(), writes);
}

TEST(DeploymentScenario, PodsThatDieOrEndAreReplaced) {
  World world;
  world.start();
  world.api.put(kDeployments, World::deployment(2, "v1"));
  ASSERT_TRUE(world.settle());
  const auto pods = world.api.all(kPods);
  test::FakeApi& api = world.api;
  api.erase(kPods, {"default", pods[0]["metadata"]["name"]});
  api.merge(kPods, {"default", pods[1]["metadata"]["name"]}, {{"status", {{"phase", "Failed"}}}},
            "status");
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.api.all(kPods).size(), 3u) << "two replaced; the failed one is kept for its log";
  EXPECT_EQ(world.status("availableReplicas"), 2);
}

TEST(DeploymentScenario, AdoptsAndReleasesByLabels) {
  World world;
  world.start();
  Json orphan = {
      {"metadata", {{"name", "stray"}, {"namespace", "default"}, {"labels", {{"app", "x"}}}}},
      {"spec", {{"containers", {{{"name", "c"}, {"image", "v1"}}}}}}};
  world.api.put(kPods, orphan);
  Json set = {{"metadata", {{"name", "x"}, {"namespace", "default"}}},
              {"spec",
               {{"replicas", 2},
                {"selector", {{"matchLabels", {{"app", "x"}}}}},
                {"template",
                 {{"metadata", {{"labels", {{"app", "x"}}}}},
                  {"spec", {{"containers", {{{"name", "c"}, {"image", "v1"}}}}}}}}}}};
  world.api.put(kReplicaSets, set);
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.api.all(kPods).size(), 2u) << "one adopted, one created";
  EXPECT_EQ(
      (*world.api.find(kPods, {"default", "stray"}))["metadata"]["ownerReferences"][0]["name"],
      "x");
  world.api.merge(kPods, {"default", "stray"}, {{"metadata", {{"labels", {{"app", "y"}}}}}});
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.api.all(kPods).size(), 3u) << "the released one is replaced and left alone";
  EXPECT_TRUE(
      (*world.api.find(kPods, {"default", "stray"}))["metadata"]["ownerReferences"].empty());
}

TEST(DeploymentScenario, RecreateNeverMixesVersions) {
  World world;
  world.check = [&] {
    std::set<std::string> images;
    for (const Json& pod : world.api.all(kPods))
      images.insert(pod["spec"]["containers"][0]["image"].get<std::string>());
    EXPECT_LE(images.size(), 1u);
  };
  world.start();
  world.api.put(kDeployments, World::deployment(3, "v1", {{"strategy", {{"type", "Recreate"}}}}));
  ASSERT_TRUE(world.settle());
  world.set_image("v2");
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.pods("v2"), 3);
}

TEST(DeploymentScenario, PausedRolloutWaitsAndScales) {
  World world;
  world.start();
  world.api.put(kDeployments, World::deployment(2, "v1", {{"paused", true}}));
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.api.all(kReplicaSets).size(), 0u);
  EXPECT_EQ(world.condition("Progressing"), "Unknown DeploymentPaused");
  world.api.merge(kDeployments, {"default", "web"}, {{"spec", {{"paused", false}}}});
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.pods("v1"), 2);
  world.api.merge(kDeployments, {"default", "web"}, {{"spec", {{"paused", true}}}});
  world.set_image("v2");
  world.set_replicas(4);
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.pods("v1"), 4) << "paused: scaled but not updated";
  EXPECT_EQ(world.pods("v2"), 0);
}

TEST(DeploymentScenario, TellsWhenTheDeadlinePasses) {
  World world;
  world.kubelet.may_be_ready = [](const Json& pod) {
    return pod["spec"]["containers"][0]["image"] != "broken";
  };
  world.start();
  world.api.put(kDeployments, World::deployment(3, "v1", {{"progressDeadlineSeconds", 60}}));
  ASSERT_TRUE(world.settle());
  world.set_image("broken");
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.condition("Progressing"), "True ReplicaSetUpdated");
  EXPECT_EQ(world.condition("Available"), "True MinimumReplicasAvailable");
  world.turn(seconds(40));
  EXPECT_EQ(world.condition("Progressing"), "True ReplicaSetUpdated");
  world.turn(seconds(25));
  EXPECT_EQ(world.condition("Progressing"), "False ProgressDeadlineExceeded");
  world.set_image("v1");
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.condition("Progressing"), "True NewReplicaSetAvailable");
}

TEST(DeploymentScenario, MinReadySecondsDelaysAvailability) {
  World world;
  world.start();
  world.api.put(kDeployments, World::deployment(2, "v1", {{"minReadySeconds", 30}}));
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.status("readyReplicas"), 2);
  EXPECT_EQ(world.status("availableReplicas"), 0);
  world.turn(seconds(31));
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.status("availableReplicas"), 2);
}

TEST(DeploymentScenario, KeepsOnlySoMuchHistory) {
  World world;
  world.start();
  world.api.put(kDeployments, World::deployment(1, "v0", {{"revisionHistoryLimit", 2}}));
  for (const char* image : {"v1", "v2", "v3", "v4", "v5"}) {
    ASSERT_TRUE(world.settle());
    world.set_image(image);
  }
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.api.all(kReplicaSets).size(), 3u);
  EXPECT_EQ(world.pods("v5"), 1);
}

TEST(DeploymentScenario, ANameThatIsTakenIsAvoided) {
  World probe;
  probe.start();
  probe.api.put(kDeployments, World::deployment(1, "v1"));
  ASSERT_TRUE(probe.settle());
  const std::string name = probe.api.all(kReplicaSets).at(0)["metadata"]["name"];

  World world;
  world.api.put(kReplicaSets, {{"metadata", {{"name", name}, {"namespace", "default"}}},
                               {"spec",
                                {{"replicas", 0},
                                 {"selector", {{"matchLabels", {{"app", "other"}}}}},
                                 {"template", Json::object()}}}});
  world.start();
  world.api.put(kDeployments, World::deployment(1, "v1"));
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.api.all(kReplicaSets).size(), 2u);
  EXPECT_EQ(world.pods("v1"), 1);
  EXPECT_EQ(world.status("collisionCount"), 1);
}

TEST(DeploymentScenario, RefusedPodsAreReportedAndRetried) {
  World world;
  bool refuse = true;
  int refused = 0;
  world.api.intercept = [&](const test::FakeApi::Write& write) -> std::optional<Error> {
    if (!refuse || write.verb != "create" || !(write.resource == kPods)) return std::nullopt;
    ++refused;
    return Error(ErrorCode::kPermission, "pods are forbidden: exceeded quota");
  };
  world.start();
  world.api.put(kDeployments, World::deployment(50, "v1"));
  world.turn(seconds(10));
  EXPECT_EQ(world.condition("ReplicaFailure"), "True FailedCreate");
  EXPECT_GT(refused, 3);
  EXPECT_LT(refused, 40) << "one try a pass, with backoff";
  refuse = false;
  world.turn(seconds(20));
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.pods(), 50);
  EXPECT_EQ(world.condition("ReplicaFailure"), "");
}

TEST(DeploymentScenario, AConflictOnEveryWriteOnceChangesNothing) {
  World world;
  std::set<std::string> seen;
  world.api.intercept = [&](const test::FakeApi::Write& write) -> std::optional<Error> {
    const std::string id = write.verb + write.resource.plural + write.subresource +
                           write.key.to_string() + std::to_string(seen.size() % 3);
    if (write.resource == kEvents || !seen.insert(id).second) return std::nullopt;
    return Error(ErrorCode::kConflict, "the object has been modified");
  };
  world.start();
  world.api.put(kDeployments, World::deployment(4, "v1"));
  world.turn(seconds(30));
  ASSERT_TRUE(world.settle());
  world.set_image("v2");
  world.turn(seconds(30));
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.pods("v2"), 4);
  EXPECT_EQ(world.pods("v1"), 0);
  EXPECT_EQ(world.api.all(kReplicaSets).size(), 2u);
  for (const Json& event : world.api.all(kEvents))
    if (event["type"] == "Normal")
      EXPECT_EQ(event["count"], 1) << "told when it was done: " << event["message"];
}

// Killed after its k-th write took effect but before it heard so, for every k: the new process ends
// in the same state.
TEST(DeploymentScenario, SurvivesAKillAfterEveryWrite) {
  const auto story = [](World& world, int kill_after) {
    bool killed = false;
    const auto settle = [&] {
      EXPECT_TRUE(world.settle());
      if (!world.api.crashed()) return;
      killed = true;
      world.restart();
      EXPECT_TRUE(world.settle());
    };
    if (kill_after > 0) world.api.crash_after(kill_after);
    world.start();
    world.api.put(kDeployments, World::deployment(3, "v1"));
    settle();
    world.set_image("v2");
    settle();
    world.set_replicas(2);
    settle();
    EXPECT_EQ(world.pods("v2"), 2) << "killed after " << kill_after;
    EXPECT_EQ(world.pods(), 2) << "killed after " << kill_after;
    EXPECT_EQ(world.api.all(kReplicaSets).size(), 2u) << "killed after " << kill_after;
    EXPECT_EQ(world.status("availableReplicas"), 2);
    EXPECT_EQ(world.status("updatedReplicas"), 2);
    EXPECT_EQ(world.condition("Progressing"), "True NewReplicaSetAvailable");
    EXPECT_EQ(world.web()["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "2");
    return killed;
  };
  int kills = 0;
  for (int k = 1;; ++k) {
    World world;
    if (!story(world, k)) break;
    ++kills;
    if (testing::Test::HasFailure()) break;
  }
  EXPECT_GT(kills, 30);
}

// Random requests, kubelet steps, delays and kills: never more pods than allowed, never fewer
// available ones, and in the end what was asked for.
TEST(DeploymentScenario, RandomRolloutsStayInBounds) {
  const char* given = std::getenv("FAIRLEAD_SEED");
  const unsigned base = given ? std::atoi(given) : std::random_device{}() % 1000000;
  for (unsigned seed = base; seed < base + (given ? 1 : 15); ++seed) {
    SCOPED_TRACE("FAIRLEAD_SEED=" + std::to_string(seed));
    std::mt19937 random(seed);
    const auto pick = [&](int n) { return static_cast<int>(random() % n); };
    World world;
    world.api.watch_delay = std::chrono::milliseconds(pick(4));
    const int replicas = 1 + pick(8);
    const int surge = pick(3);
    const int unavailable = surge == 0 ? 1 + pick(2) : pick(3);
    world.start();
    world.api.put(
        kDeployments,
        World::deployment(
            replicas, "v0",
            {{"strategy",
              {{"type", "RollingUpdate"},
               {"rollingUpdate", {{"maxSurge", surge}, {"maxUnavailable", unavailable}}}}}}));
    ASSERT_TRUE(world.settle());
    ASSERT_EQ(world.pods("v0"), replicas);
    world.check = [&] {
      int total = 0;
      int available = 0;
      for (const Json& pod : world.api.all(kPods)) {
        if (pod["metadata"].contains("deletionTimestamp")) continue;
        ++total;
        available += ready(pod) ? 1 : 0;
      }
      EXPECT_LE(total, replicas + surge);
      EXPECT_GE(available, replicas - unavailable);
    };
    std::string image = "v0";
    for (int step = 0; step < 60; ++step) {
      switch (pick(6)) {
        case 0:
          image = "v" + std::to_string(pick(3));
          world.set_image(image);
          break;
        case 1:
          world.restart();
          break;
        default:
          world.kubelet.step_one(random());
      }
      world.clock.advance(std::chrono::milliseconds(pick(30)));
      if (testing::Test::HasFailure()) return;
    }
    ASSERT_TRUE(world.settle());
    EXPECT_EQ(world.pods(image), replicas);
    EXPECT_EQ(world.pods(), replicas);
  }
}

}  // namespace
}  // namespace fairlead::orchestrator::controllers
