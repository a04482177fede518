// SPDX-License-Identifier: Apache-2.0
// The pure half of EndpointSlices and Endpoints.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "orchestrator/controllers/decode.h"
#include "orchestrator/controllers/endpointslice_plan.h"
#include "orchestrator/controllers/mirror_plan.h"
#include "tests/unit/orchestrator_controllers/world.h"

namespace fairlead::orchestrator::controllers {
namespace {

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

TEST(SlicePlan, PodsOfOneAddressStandBesideEachOther) {
  const Service service = web_service();
  const auto twin = [](const char* name, bool ready) {
    auto pod = std::make_shared<Pod>(*web_pod(1, ready));
    pod->meta.name = pod->meta.uid = name;
    return PodRef(pod);
  };
  const std::vector<PodRef> pods = {twin("a", false), twin("b", true)};
  const SlicePlan todo = plan({service, pods, {}, {}});
  const std::vector<Endpoint>& endpoints = todo.first.at(0).endpoints;
  ASSERT_EQ(endpoints.size(), 2u);
  EXPECT_FALSE(endpoints[0].ready);
  EXPECT_TRUE(endpoints[1].ready);
  EXPECT_EQ(text_of(*todo.endpoints), "8080:b!a");
  const auto slices = carried_out({}, todo);
  EXPECT_TRUE(plan({service, pods, slices, {}}).empty());
  const SlicePlan next = plan({service, {pods[1]}, slices, {}});
  ASSERT_EQ(next.then.size(), 1u);
  EXPECT_EQ(next.then[0].endpoints.at(0).pod_name, "b");
}

// Addresses by the ports they offer, as endpointslicemirroring and RepackSubsets make it.
TEST(MirrorPlan, Table) {
  struct Case {
    const char* what;
    const char* subsets;
    const char* slices;  // endpoints and ports of each
  };
  const Case cases[] = {
      {"nothing", "[]", "[]"},
      {"no address", R"([{"addresses":[{"ip":"there"}],"ports":[{"port":1}]}])", "[]"},
      {"hostname, node and reference",
       R"([{"addresses":[{"ip":"192.0.2.1","hostname":"h","nodeName":"n",
            "targetRef":{"kind":"Pod","name":"p"}}]}])",
       R"([[[{"addresses":["192.0.2.1"],"conditions":{"ready":true},"hostname":"h","nodeName":"n",
            "targetRef":{"kind":"Pod","name":"p"}}],[]]])"},
      {"two subsets of the same ports",
       R"([{"addresses":[{"ip":"192.0.2.2"}],"ports":[{"port":1,"appProtocol":"http"}]},
           {"notReadyAddresses":[{"ip":"192.0.2.1"}],
            "ports":[{"port":1,"protocol":"TCP","appProtocol":"http"}]}])",
       R"([[[{"addresses":["192.0.2.1"],"conditions":{"ready":false}},
             {"addresses":["192.0.2.2"],"conditions":{"ready":true}}],
            [{"name":"","protocol":"TCP","port":1,"appProtocol":"http"}]]])"},
      {"one address in two subsets",
       R"([{"addresses":[{"ip":"192.0.2.1"}],"ports":[{"name":"a","port":1}]},
           {"addresses":[{"ip":"192.0.2.1"}],"ports":[{"name":"b","port":2}]}])",
       R"([[[{"addresses":["192.0.2.1"],"conditions":{"ready":true}}],
            [{"name":"a","protocol":"TCP","port":1},{"name":"b","protocol":"TCP","port":2}]]])"},
  };
  using Json = nlohmann::json;
  for (const Case& one : cases) {
    SCOPED_TRACE(one.what);
    const Json document = {
        {"metadata",
         {{"name", "web"},
          {"annotations", {{"k", "v"}, {kTriggerTimeAnnotation, "2000-01-01T00:00:00Z"}}}}},
        {"subsets", Json::parse(one.subsets)}};
    Json list = Json::array();
    for (const Json& slice : mirrored_slices(document)) {
      list.push_back(Json::array({slice["endpoints"], slice["ports"]}));
      EXPECT_EQ(slice["metadata"]["annotations"], (Json{{"k", "v"}}));
      EXPECT_TRUE(mirror_patch(slice, slice).is_null());
    }
    EXPECT_EQ(list, Json::parse(one.slices));
  }
}

// The one slice that says that there are no endpoints says nothing of ports either.
TEST(SlicePlan, WhatIsLeftOfASliceHasNoPorts) {
  const Service service = web_service();
  std::vector<SliceRef> slices = carried_out({}, plan({service, {web_pod(1)}, {}, {}}));
  ASSERT_EQ(slices.size(), 1u);
  slices = carried_out(slices, plan({service, {}, slices, {}}));
  ASSERT_EQ(slices.size(), 1u);
  EXPECT_TRUE(slices[0]->endpoints.empty());
  EXPECT_TRUE(slices[0]->ports.empty());
  EXPECT_TRUE(plan({service, {}, slices, {}}).empty());
  slices = carried_out(slices, plan({service, {web_pod(1)}, slices, {}}));
  ASSERT_EQ(slices.size(), 1u) << "it is used again";
  EXPECT_EQ(slices[0]->ports.size(), 1u);
}

TEST(SlicePlan, AServiceBeingDeletedKeepsItsSlicesCurrent) {
  Service service = web_service();
  const auto slices = carried_out({}, plan({service, {web_pod(1), web_pod(2)}, {}, {}}));
  service.meta.deleting = true;
  const SlicePlan todo = plan({service, {web_pod(2)}, slices, {}});
  ASSERT_EQ(todo.then.size(), 1u);
  EXPECT_EQ(todo.then[0].endpoints.size(), 1u);
  EXPECT_TRUE(plan({service, {web_pod(1)}, {}, {}}).first.empty()) << "no new ones";
}

TEST(SlicePlan, HintsSayForWhomAnEndpointIs) {
  struct Case {
    const char* distribution;
    bool ready;
    const char *zone, *node;  // of the hints
  };
  const Case cases[] = {{"", true, "", ""},
                        {"PreferClose", true, "z", ""},
                        {"PreferSameZone", true, "z", ""},
                        {"PreferSameNode", true, "z", "n1"},
                        {"PreferSameNode", false, "", ""}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.distribution);
    const auto decoded = decode_service(std::make_shared<const std::string>(
        R"({"metadata":{"name":"web"},"spec":{"trafficDistribution":")" +
        std::string(c.distribution) +
        R"(","selector":{"app":"web"},"ports":[{"name":"http","port":80,"targetPort":8080}]}})"));
    ASSERT_TRUE(decoded.ok());
    auto pod = std::make_shared<Pod>(*web_pod(1, c.ready));
    pod->node_name = "n1";
    const Endpoint endpoint =
        plan({*decoded, {pod}, {}, {{"n1", "z"}}}).first.at(0).endpoints.at(0);
    EXPECT_EQ(endpoint.hint_zone, c.zone);
    EXPECT_EQ(endpoint.hint_node, c.node);
  }
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

// A time in a status is of seconds; a pod may be ready, or not any more, within the same one.
TEST(Slices, TellSinceWhenWithinASecondToo) {
  World world;
  world.start();
  world.api.put(kServices, service());
  world.api.put(kDeployments, World::deployment(1, "v1"));
  ASSERT_TRUE(world.settle());
  const Json pod = world.api.all(kPods)[0];
  Json conditions = pod["status"]["conditions"];
  for (Json& condition : conditions)
    if (condition["type"] == "Ready") condition["status"] = "False";
  ASSERT_NE(conditions, pod["status"]["conditions"]);
  world.api.merge(kPods, {"default", pod["metadata"]["name"]},
                  {{"status", {{"conditions", conditions}}}}, "status");
  for (int i = 0; i < 50; ++i) world.turn(std::chrono::milliseconds(10));
  const Json slice = world.api.all(kSlices)[0];
  EXPECT_EQ(slice["endpoints"][0]["conditions"]["ready"], false);
  EXPECT_TRUE(slice["metadata"]["annotations"].contains(
      "endpoints.kubernetes.io/last-change-trigger-time"));
}

}  // namespace
}  // namespace fairlead::orchestrator::controllers
