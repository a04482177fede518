// SPDX-License-Identifier: Apache-2.0
// EndpointSlices and Endpoints, owners and namespaces, against the fake API.
#include "orchestrator/controllers/recorder.h"
#include "tests/unit/orchestrator_controllers/world.h"

namespace fairlead::orchestrator::controllers {
namespace {

using std::chrono::seconds;

test::FakeApi::Json pod_of(World& world, size_t i) {
  return world.api.all(kPods).at(i);
}

TEST(Slices, FollowPodsAndServices) {
  World world;
  world.start();
  world.api.put(kServices, service());
  world.api.put(kDeployments, World::deployment(3, "v1"));
  ASSERT_TRUE(world.settle());
  ASSERT_EQ(world.api.all(kSlices).size(), 1u);
  const Json slice = world.api.all(kSlices)[0];
  EXPECT_EQ(slice["metadata"]["labels"]["kubernetes.io/service-name"], "web");
  EXPECT_EQ(slice["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"],
            "endpointslice-controller.k8s.io");
  EXPECT_EQ(slice["metadata"]["ownerReferences"][0]["kind"], "Service");
  EXPECT_TRUE(slice["metadata"]["annotations"].contains(
      "endpoints.kubernetes.io/last-change-trigger-time"));
  EXPECT_EQ(slice["addressType"], "IPv4");
  EXPECT_EQ(slice["ports"][0]["port"], 8080);
  ASSERT_EQ(slice["endpoints"].size(), 3u);
  EXPECT_EQ(slice["endpoints"][0]["targetRef"]["kind"], "Pod");
  EXPECT_FALSE(slice["endpoints"][0]["nodeName"].get<std::string>().empty());

  world.api.merge(
      kServices, {"default", "web"},
      {{"spec", {{"ports", {{{"name", "http"}, {"port", 80}, {"targetPort", 9090}}}}}}});
  ASSERT_TRUE(world.settle());
  ASSERT_EQ(world.api.all(kSlices).size(), 1u) << "taken over in place";
  EXPECT_EQ(world.api.all(kSlices)[0]["ports"][0]["port"], 9090);

  world.set_replicas(0);
  ASSERT_TRUE(world.settle());
  ASSERT_EQ(world.api.all(kSlices).size(), 1u);
  EXPECT_TRUE(world.api.all(kSlices)[0]["endpoints"].empty());

  world.api.erase(kServices, {"default", "web"});
  ASSERT_TRUE(world.settle());
  EXPECT_TRUE(world.api.all(kSlices).empty()) << "collected with their owner";
}

TEST(Slices, HintsFollowTheServiceAndTheNodes) {
  World world;
  world.start();
  for (const char* node : {"n1", "n2", "n3"})
    world.api.merge(kNodes, {"", node},
                    {{"metadata", {{"labels", {{"topology.kubernetes.io/zone", "z"}}}}}});
  world.api.put(kServices, service({{"trafficDistribution", "PreferSameNode"}}));
  world.api.put(kDeployments, World::deployment(1, "v1"));
  ASSERT_TRUE(world.settle());
  const auto endpoint = [&] { return Json(world.api.all(kSlices).at(0)["endpoints"].at(0)); };
  const auto names = [](const Json& name) { return Json::array({{{"name", name}}}); };
  EXPECT_EQ(endpoint()["hints"],
            (Json{{"forZones", names("z")}, {"forNodes", names(endpoint()["nodeName"])}}));
  const size_t writes = world.api.writes().size();
  world.turn(seconds(60));
  EXPECT_EQ(world.api.writes().size(), writes) << "what was written is what was wanted";
  world.api.merge(kServices, {"default", "web"},
                  {{"spec", {{"trafficDistribution", "PreferClose"}}}});
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(endpoint()["hints"], (Json{{"forZones", names("z")}}));
  world.api.merge(kServices, {"default", "web"}, {{"spec", {{"trafficDistribution", nullptr}}}});
  ASSERT_TRUE(world.settle());
  EXPECT_FALSE(endpoint().contains("hints"));
}

TEST(Slices, ADeletedPodTerminatesBeforeItGoes) {
  World world;
  world.start();
  world.api.put(kServices, service());
  world.api.put(kDeployments, World::deployment(1, "v1"));
  ASSERT_TRUE(world.settle());
  const std::string name = pod_of(world, 0)["metadata"]["name"];
  world.api.erase(kPods, {"default", name});
  world.clock.advance(std::chrono::milliseconds(20));  // the kubelet does nothing yet
  const Json slice = world.api.all(kSlices)[0];
  ASSERT_EQ(slice["endpoints"].size(), 1u);
  const Json& conditions = slice["endpoints"][0]["conditions"];
  EXPECT_FALSE(conditions["ready"].get<bool>());
  EXPECT_TRUE(conditions["serving"].get<bool>());
  EXPECT_TRUE(conditions["terminating"].get<bool>());
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(ready_endpoints(world), 1);
}

TEST(Slices, ARollingUpdateNeverLeavesTheServiceEmpty) {
  World world;
  world.start();
  world.api.put(kServices, service());
  world.api.put(kDeployments, World::deployment(3, "v1"));
  ASSERT_TRUE(world.settle());
  world.check = [&] { EXPECT_GE(ready_endpoints(world), 2); };
  world.set_image("v2");
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(ready_endpoints(world), 3);
}

TEST(Slices, ManyEndpointsAreSplit) {
  World world;
  world.start();
  world.api.put(kServices, service());
  world.api.put(kDeployments, World::deployment(230, "v1"));
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(world.api.all(kSlices).size(), 3u);
  EXPECT_EQ(ready_endpoints(world), 230);
}

TEST(Slices, HeadlessIsLabelledAndExternalNameHasNone) {
  World world;
  world.start();
  world.api.put(kServices, service({{"clusterIP", "None"}, {"ports", Json::array()}}));
  world.api.put(kDeployments, World::deployment(1, "v1"));
  ASSERT_TRUE(world.settle());
  const Json slice = world.api.all(kSlices).at(0);
  EXPECT_TRUE(slice["metadata"]["labels"].contains("service.kubernetes.io/headless"));
  EXPECT_TRUE(slice["ports"].empty());
  EXPECT_EQ(slice["endpoints"].size(), 1u);
  world.api.merge(kServices, {"default", "web"},
                  {{"spec", {{"type", "ExternalName"}, {"externalName", "example.org"}}}});
  ASSERT_TRUE(world.settle());
  EXPECT_TRUE(world.api.all(kSlices).empty());
}

Json endpoints_of(World& world, const std::string& name = "web") {
  return world.api.find(kEndpoints, {"default", name}).value_or(Json());
}

size_t writes_of(const World& world, const Resource& resource) {
  size_t count = 0;
  for (const auto& write : world.api.writes()) count += write.resource == resource ? 1 : 0;
  return count;
}

TEST(Endpoints, FollowTheSlicesAndGoWithTheService) {
  World world;
  world.start();
  Json object = service();
  object["metadata"]["labels"] = {{"tier", "front"}};
  world.api.put(kServices, object);
  world.api.put(kDeployments, World::deployment(3, "v1"));
  ASSERT_TRUE(world.settle());
  Json endpoints = endpoints_of(world);
  EXPECT_EQ(
      endpoints["metadata"]["labels"],
      (Json{{"tier", "front"}, {"endpoints.kubernetes.io/managed-by", "endpoint-controller"}}));
  EXPECT_TRUE(endpoints["metadata"]["annotations"].contains(
      "endpoints.kubernetes.io/last-change-trigger-time"));
  EXPECT_FALSE(endpoints["metadata"].contains("ownerReferences"));
  ASSERT_EQ(endpoints["subsets"].size(), 1u);
  EXPECT_EQ(endpoints["subsets"][0]["ports"],
            Json::parse(R"([{"name":"http","port":8080,"protocol":"TCP"}])"));
  ASSERT_EQ(endpoints["subsets"][0]["addresses"].size(), 3u);
  const Json address = endpoints["subsets"][0]["addresses"][0];
  EXPECT_EQ(address["targetRef"]["kind"], "Pod");
  const Json pod = *world.api.find(kPods, {"default", address["targetRef"]["name"]});
  EXPECT_EQ(address["ip"], pod["status"]["podIP"]);
  EXPECT_EQ(address["nodeName"], pod["spec"]["nodeName"]);
  EXPECT_EQ(address["targetRef"]["uid"], pod["metadata"]["uid"]);

  world.api.merge(kServices, {"default", "web"}, {{"metadata", {{"labels", {{"tier", nullptr}}}}}});
  world.set_replicas(0);
  ASSERT_TRUE(world.settle());
  endpoints = endpoints_of(world);
  EXPECT_TRUE(endpoints.value("subsets", Json()).empty());
  EXPECT_FALSE(endpoints["metadata"]["labels"].contains("tier"));

  world.api.erase(kEndpoints, {"default", "web"});
  ASSERT_TRUE(world.settle());
  EXPECT_FALSE(endpoints_of(world).is_null()) << "written again";
  world.api.erase(kServices, {"default", "web"});
  ASSERT_TRUE(world.settle());
  EXPECT_TRUE(world.api.all(kEndpoints).empty());
}

// A write takes long: whatever the data plane reads is there before the older form.
TEST(Endpoints, ComeAfterTheSlices) {
  World world;
  world.start();
  world.api.put(kServices, service());
  world.api.put(kDeployments, World::deployment(3, "v1"));
  ASSERT_TRUE(world.settle());
  world.api.write_delay = std::chrono::milliseconds(300);
  world.check = [&] {
    std::set<std::string> in_slices;
    for (const Json& slice : world.api.all(kSlices))
      for (const Json& endpoint : slice["endpoints"])
        in_slices.insert(endpoint["addresses"][0].get<std::string>());
    const Json endpoints = endpoints_of(world);
    for (const Json& subset : endpoints.value("subsets", Json::array()))
      for (const Json& address : subset.value("addresses", Json::array()))
        EXPECT_TRUE(in_slices.contains(address["ip"])) << address;
  };
  world.set_replicas(6);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(world.settle());
  EXPECT_EQ(endpoints_of(world)["subsets"][0]["addresses"].size(), 6u);
}

TEST(Endpoints, CostOneWriteForManyChangesAndNoneForNoChange) {
  World world;
  world.start();
  world.api.put(kServices, service());
  world.api.put(kDeployments, World::deployment(2, "v1"));
  ASSERT_TRUE(world.settle());
  const size_t before = writes_of(world, kEndpoints);
  const std::string name = pod_of(world, 0)["metadata"]["name"];
  const auto ready = [&](const char* status) {
    world.api.merge(kPods, {"default", name},
                    {{"status", {{"conditions", {{{"type", "Ready"}, {"status", status}}}}}}},
                    "status");
    world.clock.advance(std::chrono::milliseconds(10));
  };
  const size_t slices_before = writes_of(world, kSlices);
  for (const char* status : {"False", "True", "False"}) ready(status);
  world.clock.advance(seconds(1));
  EXPECT_EQ(writes_of(world, kSlices) - slices_before, 3u);
  EXPECT_EQ(writes_of(world, kEndpoints) - before, 1u);
  EXPECT_EQ(endpoints_of(world)["subsets"][0]["notReadyAddresses"].size(), 1u);
  for (const char* status : {"True", "False"}) ready(status);
  world.clock.advance(seconds(1));
  EXPECT_EQ(writes_of(world, kEndpoints) - before, 1u) << "as it was before";
  world.restart();
  world.clock.advance(seconds(1));
  EXPECT_EQ(writes_of(world, kEndpoints) - before, 1u) << "a new process finds it right";
}

TEST(Endpoints, HandWrittenOnesStayTheUsers) {
  World world;
  const auto by_hand = [&](const char* name) {
    world.api.put(kEndpoints,
                  Json{{"metadata", {{"name", name}, {"namespace", "default"}}},
                       {"subsets", Json::parse(R"([{"addresses":[{"ip":"192.0.2.1"}]}])")}});
  };
  by_hand("alone");
  by_hand("web");
  Json object = service();
  object["spec"].erase("selector");
  world.api.put(kServices, object);
  world.start();
  ASSERT_TRUE(world.settle());
  EXPECT_EQ(writes_of(world, kEndpoints), 0u);
  world.api.erase(kServices, {"default", "web"});
  ASSERT_TRUE(world.settle());
  EXPECT_TRUE(endpoints_of(world).is_null()) << "goes with its Service";
  EXPECT_FALSE(endpoints_of(world, "alone").is_null());
}

// What the slices of a family say: "IPv4 192.0.2.1 192.0.2.2! p:80", ! for one that is not ready.
std::multiset<std::string> slices_say(World& world) {
  std::multiset<std::string> list;
  for (const Json& slice : world.api.all(kSlices)) {
    std::string text = slice["addressType"].get<std::string>();
    for (const Json& endpoint : slice["endpoints"])
      text += " " + endpoint["addresses"][0].get<std::string>() +
              (endpoint["conditions"]["ready"] == true ? "" : "!");
    for (const Json& port : slice["ports"])
      text += " " + port["name"].get<std::string>() + ":" + port["port"].dump();
    list.insert(text);
  }
  return list;
}

// What a Service without a selector is given in the older form is served in the newer one.
TEST(Endpoints, HandWrittenOnesAreMirrored) {
  using Says = std::multiset<std::string>;
  for (int kill_after = 0; kill_after < 6; ++kill_after) {
    SCOPED_TRACE(kill_after);
    World world;
    const auto by_hand = [&](const char* subsets, Json labels = {{"a", "b"}}) {
      world.api.put(
          kEndpoints,
          Json{{"metadata",
                {{"name", "web"}, {"namespace", "default"}, {"labels", std::move(labels)}}},
               {"subsets", Json::parse(subsets)}});
      ASSERT_TRUE(world.settle());
      if (world.api.crashed()) world.restart();
      ASSERT_TRUE(world.settle());
    };
    Json object = service();
    object["spec"].erase("selector");
    world.api.put(kServices, object);
    world.start();
    if (kill_after > 0) world.api.crash_after(kill_after);
    by_hand(R"([{"addresses":[{"ip":"192.0.2.1"},{"ip":"2001:db8::1"}],
                 "notReadyAddresses":[{"ip":"192.0.2.2"}],"ports":[{"name":"p","port":80}]}])");
    EXPECT_EQ(slices_say(world), (Says{"IPv4 192.0.2.1 192.0.2.2! p:80", "IPv6 2001:db8::1 p:80"}));
    const Json slice = world.api.all(kSlices)[0];
    EXPECT_EQ(slice["metadata"]["labels"], (Json{{"a", "b"},
                                                 {"kubernetes.io/service-name", "web"},
                                                 {"endpointslice.kubernetes.io/managed-by",
                                                  "endpointslicemirroring-controller.k8s.io"}}));
    EXPECT_EQ(slice["metadata"]["ownerReferences"][0]["kind"], "Endpoints");
    by_hand(R"([{"addresses":[{"ip":"192.0.2.3"}],"ports":[{"name":"p","port":81}]}])");
    EXPECT_EQ(slices_say(world), (Says{"IPv4 192.0.2.3 p:81"}));
    by_hand(R"([{"addresses":[{"ip":"192.0.2.3"}],"ports":[{"name":"p","port":81}]}])",
            {{"endpointslice.kubernetes.io/skip-mirror", "true"}});
    EXPECT_EQ(slices_say(world), Says{});
    by_hand(R"([{"addresses":[{"ip":"192.0.2.3"}]}])");
    EXPECT_EQ(slices_say(world), (Says{"IPv4 192.0.2.3"}));
    world.api.erase(kServices, {"default", "web"});
    ASSERT_TRUE(world.settle());
    EXPECT_EQ(slices_say(world), Says{});
  }
}

// Killed after any write, the next process ends with the same.
TEST(Endpoints, SurviveKills) {
  for (int kill_after = 1; kill_after < 16; ++kill_after) {
    SCOPED_TRACE(kill_after);
    World world;
    world.start();
    world.api.put(kServices, service());
    world.api.put(kDeployments, World::deployment(2, "v1"));
    world.api.crash_after(kill_after);
    ASSERT_TRUE(world.settle());
    if (world.api.crashed()) world.restart();
    ASSERT_TRUE(world.settle());
    ASSERT_EQ(endpoints_of(world)["subsets"].at(0)["addresses"].size(), 2u);
    world.api.crash_after(kill_after % 3);
    world.api.erase(kServices, {"default", "web"});
    ASSERT_TRUE(world.settle());
    if (world.api.crashed()) world.restart();
    ASSERT_TRUE(world.settle());
    EXPECT_TRUE(world.api.all(kEndpoints).empty());
    EXPECT_TRUE(world.api.all(kSlices).empty());
  }
}

TEST(Endpoints, ManyAreTruncated) {
  World world;
  world.start();
  world.api.put(kServices, service());
  Json pod = {{"metadata", {{"namespace", "default"}, {"labels", {{"app", "web"}}}}},
              {"spec", {{"nodeName", "n1"}, {"containers", {{{"name", "c"}, {"image", "v1"}}}}}}};
  const auto set_pods = [&](int from, int to) {
    for (int i = from; i < to; ++i) {
      pod["metadata"]["name"] = "p" + std::to_string(i);
      pod["status"] = {{"phase", "Running"},
                       {"podIP", "10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250)},
                       {"conditions", {{{"type", "Ready"}, {"status", "True"}}}}};
      world.api.put(kPods, pod);
    }
    world.clock.advance(seconds(2));
  };
  constexpr const char* kTooMany = "endpoints.kubernetes.io/over-capacity";
  set_pods(0, 1001);
  Json endpoints = endpoints_of(world);
  EXPECT_EQ(endpoints["subsets"][0]["addresses"].size(), 1000u);
  EXPECT_EQ(endpoints["metadata"]["annotations"][kTooMany], "truncated");
  world.api.erase(kPods, {"default", "p0"});
  world.clock.advance(seconds(40));
  endpoints = endpoints_of(world);
  EXPECT_EQ(endpoints["subsets"][0]["addresses"].size(), 1000u);
  EXPECT_FALSE(endpoints["metadata"].value("annotations", Json::object()).contains(kTooMany));
}

TEST(Owners, ForegroundWaitsForPods) {
  World world;
  world.start();
  world.api.put(kDeployments, World::deployment(2, "v1"));
  ASSERT_TRUE(world.settle());
  DeleteOptions foreground;
  foreground.propagation_policy = "Foreground";
  world.api.erase(kDeployments, {"default", "web"}, foreground);
  world.check = [&] {
    if (!world.api.all(kPods).empty()) {
      EXPECT_FALSE(world.api.all(kReplicaSets).empty());
      EXPECT_FALSE(world.api.all(kDeployments).empty());
    }
  };
  ASSERT_TRUE(world.settle());
  EXPECT_TRUE(world.api.all(kPods).empty());
  EXPECT_TRUE(world.api.all(kReplicaSets).empty());
  EXPECT_TRUE(world.api.all(kDeployments).empty());
}

TEST(Owners, OrphanLeavesDependentsBehind) {
  World world;
  world.start();
  world.api.put(kDeployments, World::deployment(2, "v1"));
  ASSERT_TRUE(world.settle());
  DeleteOptions orphan;
  orphan.propagation_policy = "Orphan";
  world.api.erase(kDeployments, {"default", "web"}, orphan);
  ASSERT_TRUE(world.settle());
  EXPECT_TRUE(world.api.all(kDeployments).empty());
  ASSERT_EQ(world.api.all(kReplicaSets).size(), 1u);
  EXPECT_TRUE(world.api.all(kReplicaSets)[0]["metadata"]["ownerReferences"].empty());
  EXPECT_EQ(world.pods(), 2);
}

TEST(Owners, UnknownKindsKeepTheirDependents) {
  World world;
  Json map = {
      {"metadata",
       {{"name", "a"},
        {"namespace", "default"},
        {"ownerReferences",
         {{{"apiVersion", "example.org/v1"}, {"kind", "Thing"}, {"name", "t"}, {"uid", "u"}}}}}}};
  world.api.put(kConfigMaps, map);
  map["metadata"]["name"] = "b";
  map["metadata"]["ownerReferences"][0]["apiVersion"] = "v1";
  map["metadata"]["ownerReferences"][0]["kind"] = "Pod";
  world.api.put(kConfigMaps, map);
  world.start();
  ASSERT_TRUE(world.settle());
  ASSERT_EQ(world.api.all(kConfigMaps).size(), 1u)
      << "the one whose owner is known to be gone went";
  EXPECT_EQ(world.api.all(kConfigMaps)[0]["metadata"]["name"], "a");
}

TEST(Owners, WhatIsInNoNamespaceOutlivesAnOwnerInOne) {
  World world;
  world.api.put(
      kNamespaces,
      {{"metadata",
        {{"name", "kept"},
         {"ownerReferences",
          {{{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"name", "m"}, {"uid", "u"}}}}}}});
  world.start();
  ASSERT_TRUE(world.settle());
  EXPECT_FALSE(
      (*world.api.find(kNamespaces, {"", "kept"}))["metadata"].contains("deletionTimestamp"));
}

TEST(Namespaces, AreEmptiedThenGo) {
  for (int kill_after = 0; kill_after < 20; ++kill_after) {
    SCOPED_TRACE(kill_after);
    World world;
    world.start();
    world.api.put(kNamespaces, {{"metadata", {{"name", "default"}}}});
    world.api.put(kNamespaces, {{"metadata", {{"name", "other"}}}});
    world.api.put(kConfigMaps, {{"metadata", {{"name", "keep"}, {"namespace", "other"}}}});
    world.api.put(kConfigMaps, {{"metadata", {{"name", "a"}, {"namespace", "default"}}}});
    world.api.put(kEvents, {{"metadata", {{"name", "e"}, {"namespace", "default"}}}});
    world.api.put(kServices, service());
    world.api.put(kDeployments, World::deployment(2, "v1"));
    ASSERT_TRUE(world.settle());
    if (kill_after > 0) world.api.crash_after(kill_after);
    world.api.erase(kNamespaces, {"", "default"});
    ASSERT_TRUE(world.settle());
    if (world.api.crashed()) world.restart();
    ASSERT_TRUE(world.settle());
    EXPECT_FALSE(world.api.find(kNamespaces, {"", "default"}));
    EXPECT_TRUE(world.api.find(kNamespaces, {"", "other"}));
    for (const Resource& resource :
         {kPods, kReplicaSets, kDeployments, kServices, kSlices, kEndpoints})
      EXPECT_TRUE(world.api.all(resource, "default").empty()) << resource.plural;
    for (const Json& event : world.api.all(kEvents, "default"))
      EXPECT_EQ(event["involvedObject"]["kind"], "Node") << "the next process greets nodes";
    EXPECT_EQ(world.api.all(kConfigMaps).size(), 1u);
  }
}

// Its finalizer is nobody's business but its owner's: the namespace waits for it, and not busily.
TEST(Namespaces, WaitForEventsThatAreHeld) {
  World world;
  world.start();
  world.api.put(kNamespaces, {{"metadata", {{"name", "default"}}}});
  world.api.put(
      kEvents, {{"metadata",
                 {{"name", "e"}, {"namespace", "default"}, {"finalizers", {"example.com/hold"}}}}});
  world.api.erase(kNamespaces, {"", "default"});
  ASSERT_TRUE(world.settle());
  const size_t writes = world.api.writes().size();
  world.turn(seconds(30));
  EXPECT_EQ(world.api.writes().size(), writes);
  const auto space = world.api.find(kNamespaces, {"", "default"});
  ASSERT_TRUE(space);
  std::map<std::string, std::string> says;
  for (const Json& condition : (*space)["status"]["conditions"])
    says[condition["type"]] = condition["status"].get<std::string>() + " " +
                              condition["reason"].get<std::string>() + ": " +
                              condition["message"].get<std::string>();
  EXPECT_EQ(says.size(), 5u);
  EXPECT_EQ(says["NamespaceContentRemaining"],
            "True SomeResourcesRemain: Some resources are remaining: events. has 1 resource "
            "instances");
  EXPECT_EQ(says["NamespaceFinalizersRemaining"],
            "True SomeFinalizersRemain: Some content in the namespace has finalizers remaining: "
            "example.com/hold in 1 resource instances");
  world.api.merge(kEvents, {"default", "e"}, {{"metadata", {{"finalizers", nullptr}}}});
  world.turn(seconds(3));
  EXPECT_FALSE(world.api.find(kNamespaces, {"", "default"}));
}

TEST(Manager, WorksOnARealLoopAndStopsAnywhere) {
  Loop loop;
  test::FakeApi api(loop.clock());
  api.put(kDeployments, World::deployment(5, "v1"));
  bool synced = false;
  ControllerManager::Options options;
  options.on_synced = [&] { synced = true; };
  ControllerManager manager(loop, api, options);
  EXPECT_FALSE(manager.synced());
  manager.start();
  ASSERT_TRUE(loop.run_until([&] { return api.all(kPods).size() >= 2; }, seconds(30)));
  EXPECT_TRUE(synced);
  manager.stop();
  manager.start();
  ASSERT_TRUE(loop.run_until([&] { return api.all(kPods).size() == 5; }, seconds(30)));
  manager.stop();
}

// client-go's tools/record: the tenth of its kind and all after it are one, of the last message.
TEST(Events, ThatDifferInTheirMessageOnlyAreCombined) {
  World world;
  Recorder recorder(world.clock, world.api, "replicaset-controller");
  Meta meta;
  meta.ns = "default";
  meta.name = "web";
  meta.uid = "u1";
  meta.revision = 7;
  const auto record = [&](int i) {
    recorder.record(subject("apps/v1", "ReplicaSet", meta), false, "SuccessfulCreate",
                    "Created pod: web-" + std::to_string(i));
    world.clock.advance(seconds(1));
  };
  for (int i = 0; i < 12; ++i) record(i);
  std::vector<std::string> combined;
  for (const Json& event : world.api.all(kEvents)) {
    EXPECT_EQ(event["source"]["component"], "replicaset-controller");
    EXPECT_EQ(event["involvedObject"]["resourceVersion"], "7");
    if (event["count"] != 1)
      combined.push_back(event["message"].get<std::string>() + " x" + event["count"].dump());
  }
  EXPECT_EQ(world.api.all(kEvents).size(), 10u);
  EXPECT_EQ(combined,
            (std::vector<std::string>{"(combined from similar events): Created pod: web-11 x3"}));
  world.clock.advance(seconds(601));
  record(12);
  EXPECT_EQ(world.api.all(kEvents).size(), 11u) << "told alone again";
}

// However long ago the first was.
TEST(Events, AreCountedOnTheFirstAsLongAsItIsThere) {
  World world;
  Recorder recorder(world.clock, world.api, "test");
  Meta meta;
  meta.ns = "default";
  meta.name = "web";
  meta.uid = "u1";
  const auto record = [&] {
    recorder.record(subject("v1", "Pod", meta), true, "BackOff", "again");
    world.clock.advance(seconds(1800));
  };
  record();
  record();
  ASSERT_EQ(world.api.all(kEvents).size(), 1u);
  EXPECT_EQ(world.api.all(kEvents)[0]["count"], 2);
  world.api.erase(kEvents, {"default", world.api.all(kEvents)[0]["metadata"]["name"]});
  record();
  ASSERT_EQ(world.api.all(kEvents).size(), 1u);
  EXPECT_EQ(world.api.all(kEvents)[0]["count"], 1);
}

TEST(Events, AreCountedAndBounded) {
  World world;
  Recorder recorder(world.clock, world.api, "test");
  Meta meta;
  meta.ns = "default";
  meta.name = "web";
  meta.uid = "u1";
  for (int i = 0; i < 5; ++i) {
    recorder.record(subject("v1", "Pod", meta), true, "BackOff", "again");
    world.clock.advance(seconds(1));
  }
  ASSERT_EQ(world.api.all(kEvents).size(), 1u);
  EXPECT_EQ(world.api.all(kEvents)[0]["count"], 5);
  EXPECT_EQ(world.api.all(kEvents)[0]["type"], "Warning");
  for (int i = 0; i < 100; ++i)
    recorder.record(subject("v1", "Pod", meta), false, "Chatter" + std::to_string(i), "");
  world.clock.advance(seconds(10));
  EXPECT_LE(world.api.all(kEvents).size(), 25u);
  EXPECT_GE(world.api.all(kEvents).size(), 20u);
}

}  // namespace
}  // namespace fairlead::orchestrator::controllers
