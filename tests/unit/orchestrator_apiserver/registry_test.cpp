// SPDX-License-Identifier: Apache-2.0
// The in-process Api over a real store.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/unit/orchestrator_apiserver/registry_fixture.h"

namespace fairlead::orchestrator::apiserver {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

TEST_F(RegistryTest, BootstrapObjectsAreThereAndStayAsTheyAre) {
  for (const char* name : {"default", "kube-system", "kube-public", "kube-node-lease"})
    EXPECT_TRUE(api_->get(kNamespaces, {"", name}).ok()) << name;
  auto dns = api_->get(kServices, {"kube-system", "kube-dns"});
  ASSERT_TRUE(dns.ok());
  EXPECT_EQ(string_at(decode_stored(*dns), "spec.clusterIP"), "10.96.0.10");
  const int64_t revision = store_->revision();
  close();
  open();
  EXPECT_EQ(store_->revision(), revision);
}

TEST_F(RegistryTest, CreateGetUpdateDelete) {
  auto made = create(kConfigMaps, config_map("c", "1"));
  ASSERT_TRUE(made.ok()) << made.error().message();
  EXPECT_FALSE(string_at(*made, "metadata.uid").empty());
  EXPECT_EQ(int_at(Json{{"r", resource_version_of(*made)}}, "r"), store_->revision());
  EXPECT_TRUE(create(kConfigMaps, config_map("c")).error().is_already_exists());
  auto changed = patch(kConfigMaps, "c", {{"data", {{"k", "2"}}}});
  ASSERT_TRUE(changed.ok());
  EXPECT_GT(resource_version_of(*changed), resource_version_of(*made));
  auto same = patch(kConfigMaps, "c", {{"data", {{"k", "2"}}}});
  EXPECT_EQ(resource_version_of(*same), resource_version_of(*changed)) << "no change, no write";
  Json old = *made;
  auto conflict = wait([&](WriteDone done) { api_->update(kConfigMaps, "", old, done); });
  EXPECT_TRUE(conflict.error().is_conflict());
  EXPECT_TRUE(
      remove(kConfigMaps, "c", {.uid = "other", .resource_version = {}, .propagation_policy = {}})
          .error()
          .is_conflict());
  EXPECT_TRUE(remove(kConfigMaps, "c").ok());
  EXPECT_TRUE(remove(kConfigMaps, "c").error().is_not_found());
  EXPECT_TRUE(create({"", "nosuch"}, {}).error().is_not_found());
  EXPECT_TRUE(create(kConfigMaps, config_map("c"), "nowhere").error().is_not_found());
  EXPECT_TRUE(create(kConfigMaps, {{"metadata", {{"name", "x"}}}, {"frob", 1}})
                  .error()
                  .is(ErrorCode::kInvalid));
}

TEST_F(RegistryTest, GenerateNameMakesNewNames) {
  Json object = config_map("");
  object["metadata"] = {{"generateName", "gen-"}};
  auto a = create(kConfigMaps, object), b = create(kConfigMaps, object);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_NE(string_at(*a, "metadata.name"), string_at(*b, "metadata.name"));
  EXPECT_THAT(string_at(*a, "metadata.name"),
              testing::MatchesRegex("gen-[bcdfghjklmnpqrstvwxz2456789]{5}"));
}

TEST_F(RegistryTest, PodsTolerateASilentNodeForFiveMinutes) {
  const auto plain = create(kPods, pod("plain"));
  ASSERT_TRUE(plain.ok());
  const Json added = (*plain)["spec"]["tolerations"];
  ASSERT_EQ(added.size(), 2u);
  EXPECT_EQ(string_at(added[0], "key"), "node.kubernetes.io/not-ready");
  EXPECT_EQ(string_at(added[1], "key"), "node.kubernetes.io/unreachable");
  for (const Json& toleration : added) {
    EXPECT_EQ(string_at(toleration, "effect"), "NoExecute");
    EXPECT_EQ(int_at(toleration, "tolerationSeconds"), 300);
  }
  Json hasty = pod("hasty");
  hasty["spec"]["tolerations"] = {{{"key", "node.kubernetes.io/unreachable"},
                                   {"operator", "Exists"},
                                   {"effect", "NoExecute"},
                                   {"tolerationSeconds", 5}}};
  const auto own = create(kPods, hasty);
  ASSERT_TRUE(own.ok());
  ASSERT_EQ((*own)["spec"]["tolerations"].size(), 2u);
  EXPECT_EQ(int_at((*own)["spec"]["tolerations"][0], "tolerationSeconds"), 5);
  Json patient = pod("patient");
  patient["spec"]["tolerations"] = {{{"operator", "Exists"}}};
  const auto all = create(kPods, patient);
  ASSERT_TRUE(all.ok());
  EXPECT_EQ((*all)["spec"]["tolerations"].size(), 1u) << "tolerates everything already";
  // `kubectl replace` of what was created, and a list of one's own in its place.
  Json again = *plain;
  again["spec"].erase("tolerations");
  const auto replaced = wait([&](WriteDone d) { api_->update(kPods, "", again, d); });
  ASSERT_TRUE(replaced.ok()) << replaced.error().message();
  EXPECT_EQ((*replaced)["spec"]["tolerations"], added);
  const auto patched = patch(
      kPods, "plain", {{"spec", {{"tolerations", {{{"key", "mine"}, {"operator", "Exists"}}}}}}});
  ASSERT_TRUE(patched.ok()) << patched.error().message();
  EXPECT_EQ((*patched)["spec"]["tolerations"].size(), 3u);
}

TEST_F(RegistryTest, GracefulDeletionOfAPod) {
  ASSERT_TRUE(create(kPods, pod("idle")).ok());
  EXPECT_TRUE(remove(kPods, "idle").ok());
  EXPECT_FALSE(exists(kPods, "idle")) << "runs nowhere: goes at once";
  ASSERT_TRUE(create(kPods, pod("p")).ok());
  const auto bound = wait([&](WriteDone done) { api_->bind({"default", "p"}, "", "n1", done); });
  ASSERT_TRUE(bound.ok());
  EXPECT_EQ(int_at(*bound, "metadata.generation"), 1) << "a node is no new wish";
  auto second = wait([&](WriteDone done) { api_->bind({"default", "p"}, "", "n2", done); });
  EXPECT_TRUE(second.error().is_conflict());
  auto marked = remove(kPods, "p");
  ASSERT_TRUE(marked.ok());
  EXPECT_EQ(int_at(*marked, "metadata.deletionGracePeriodSeconds"), 30);
  EXPECT_EQ(string_at(*marked, "status.conditions").size(), 0u);
  EXPECT_EQ((*marked)["status"]["conditions"][0]["type"], "PodScheduled");
  EXPECT_TRUE(exists(kPods, "p"));
  auto longer = remove(
      kPods, "p",
      {.uid = {}, .resource_version = {}, .grace_period_seconds = 60, .propagation_policy = {}});
  EXPECT_EQ(int_at(*longer, "metadata.deletionGracePeriodSeconds"), 30) << "grace may only shrink";
  auto shorter = remove(
      kPods, "p",
      {.uid = {}, .resource_version = {}, .grace_period_seconds = 5, .propagation_policy = {}});
  EXPECT_EQ(int_at(*shorter, "metadata.deletionGracePeriodSeconds"), 5);
  EXPECT_TRUE(
      remove(
          kPods, "p",
          {.uid = {}, .resource_version = {}, .grace_period_seconds = 0, .propagation_policy = {}})
          .ok());
  EXPECT_FALSE(exists(kPods, "p"));
}

TEST_F(RegistryTest, FinalizersHoldAnObject) {
  Json object = config_map("c");
  object["metadata"]["finalizers"] = {"example.com/hold"};
  ASSERT_TRUE(create(kConfigMaps, object).ok());
  ASSERT_TRUE(remove(kConfigMaps, "c").ok());
  ASSERT_TRUE(exists(kConfigMaps, "c"));
  auto more = patch(kConfigMaps, "c",
                    {{"metadata", {{"finalizers", {"example.com/hold", "example.com/more"}}}}});
  EXPECT_THAT(more.error().message(), HasSubstr("no new finalizers can be added"));
  ASSERT_TRUE(patch(kConfigMaps, "c", {{"metadata", {{"finalizers", Json::array()}}}}).ok());
  EXPECT_FALSE(exists(kConfigMaps, "c"));
  ASSERT_TRUE(create(kConfigMaps, config_map("d")).ok());
  auto foreground = remove(kConfigMaps, "d",
                           {.uid = {}, .resource_version = {}, .propagation_policy = "Foreground"});
  EXPECT_EQ(foreground->at("metadata").at("finalizers"), Json::array({"foregroundDeletion"}));
}

// Kubernetes' garbage collector acts on the last policy.
TEST_F(RegistryTest, TheLastPolicyOfADeletionCounts) {
  Json object = config_map("c");
  object["metadata"]["finalizers"] = {"example.com/hold"};
  ASSERT_TRUE(create(kConfigMaps, object).ok());
  const struct {
    const char* policy;
    Json finalizers;
  } kSteps[] = {{"Orphan", {"example.com/hold", "orphan"}},
                {"", {"example.com/hold", "orphan"}},
                {"Background", {"example.com/hold"}},
                {"Foreground", {"example.com/hold", "foregroundDeletion"}},
                {"Orphan", {"example.com/hold", "orphan"}}};
  for (const auto& [policy, finalizers] : kSteps) {
    const auto left =
        remove(kConfigMaps, "c", {.uid = {}, .resource_version = {}, .propagation_policy = policy});
    ASSERT_TRUE(left.ok());
    EXPECT_EQ(left->at("metadata").at("finalizers"), finalizers) << policy;
  }
}

TEST_F(RegistryTest, NamespaceLifecycle) {
  ASSERT_TRUE(create(kNamespaces, {{"metadata", {{"name", "t"}}}}, "").ok());
  EXPECT_THAT(remove(kNamespaces, "default").error().message(),
              HasSubstr("this namespace may not be deleted"));
  auto dying = remove(kNamespaces, "t");
  ASSERT_TRUE(dying.ok());
  EXPECT_EQ(string_at(*dying, "status.phase"), "Terminating");
  auto refused = create(kConfigMaps, config_map("c"), "t");
  EXPECT_TRUE(refused.error().is(ErrorCode::kPermission));
  EXPECT_THAT(refused.error().message(), HasSubstr("because it is being terminated"));
  Json done = *dying;
  done["spec"]["finalizers"] = Json::array();
  ASSERT_TRUE(wait([&](WriteDone d) { api_->update(kNamespaces, "finalize", done, d); }).ok());
  EXPECT_FALSE(exists(kNamespaces, "t"));
}

TEST_F(RegistryTest, ServiceAddressesAreUnique) {
  auto fixed = create(kServices, service("a", {{"clusterIP", "10.96.0.5"}}));
  ASSERT_TRUE(fixed.ok()) << fixed.error().message();
  EXPECT_EQ((*fixed)["spec"]["clusterIPs"], Json::array({"10.96.0.5"}));
  EXPECT_EQ((*fixed)["spec"]["ports"][0]["targetPort"], 80);
  EXPECT_THAT(create(kServices, service("b", {{"clusterIP", "10.96.0.5"}})).error().message(),
              HasSubstr("failed to allocate IP 10.96.0.5: provided IP is already allocated"));
  EXPECT_THAT(create(kServices, service("b", {{"clusterIP", "10.97.0.5"}})).error().message(),
              HasSubstr("is not in the valid range. The range of valid IPs is 10.96.0.0/24"));
  const Json node_port = {{"type", "NodePort"},
                          {"ports", Json::array({{{"port", 80}, {"nodePort", 30001}}})}};
  ASSERT_TRUE(create(kServices, service("n", node_port)).ok());
  EXPECT_THAT(
      create(kServices, service("m", node_port)).error().message(),
      HasSubstr(
          "spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated"));
  EXPECT_FALSE(exists(kServices, "m"));
  close();
  open();  // allocations are found again
  EXPECT_FALSE(create(kServices, service("m", node_port)).ok());
  ASSERT_TRUE(remove(kServices, "a").ok());
  EXPECT_TRUE(create(kServices, service("b", {{"clusterIP", "10.96.0.5"}})).ok());
  auto back = patch(kServices, "n",
                    {{"spec", {{"type", "ClusterIP"}, {"ports", Json::array({{{"port", 80}}})}}}});
  ASSERT_TRUE(back.ok()) << back.error().message();
  EXPECT_TRUE(create(kServices, service("m", node_port)).ok()) << "a port given up is free";
}

TEST_F(RegistryTest, NodePortsRunOutAndNothingLeaks) {
  const Json node_port = {{"type", "NodePort"}};
  int made = 0;
  for (int i = 0; i < 12; ++i)
    made += create(kServices, service("s" + std::to_string(i), node_port)).ok() ? 1 : 0;
  EXPECT_EQ(made, 10);
  ASSERT_TRUE(remove(kServices, "s3").ok());
  EXPECT_TRUE(create(kServices, service("again", node_port)).ok());
}

// A health check's port is held by those who need one, and by nobody else: who may not have it
// neither takes it from its owner nor frees it.
TEST_F(RegistryTest, HealthCheckPortsHaveOneOwner) {
  const Json node_port = {{"type", "NodePort"},
                          {"ports", Json::array({{{"port", 80}, {"nodePort", 30001}}})}};
  const Json local = {{"type", "LoadBalancer"}, {"externalTrafficPolicy", "Local"}};
  ASSERT_TRUE(create(kServices, service("owner", node_port)).ok());
  const auto thief = create(kServices, service("thief", {{"healthCheckNodePort", 30001}}));
  EXPECT_THAT(thief.error().message(), HasSubstr("spec.healthCheckNodePort: Invalid value: 30001"));
  EXPECT_FALSE(create(kServices, service("second", node_port)).ok());

  Json taken = local;
  taken["healthCheckNodePort"] = 30001;
  EXPECT_THAT(
      create(kServices, service("lb", taken)).error().message(),
      HasSubstr("spec.healthCheckNodePort: Invalid value: 30001: provided port is already"));
  Json own = taken;
  own["healthCheckNodePort"] = 30002;
  own["ports"] = Json::array({{{"port", 80}, {"nodePort", 30002}}});
  EXPECT_THAT(create(kServices, service("lb", own)).error().message(),
              HasSubstr("spec.healthCheckNodePort: Invalid value: 30002: provided port is already"))
      << "a node port of its own";
  taken["healthCheckNodePort"] = 30003;
  ASSERT_TRUE(create(kServices, service("lb", taken)).ok());
  const Json check = {{"type", "NodePort"},
                      {"ports", Json::array({{{"port", 80}, {"nodePort", 30003}}})}};
  EXPECT_FALSE(create(kServices, service("late", check)).ok());
  close();
  open();
  EXPECT_FALSE(create(kServices, service("late", check)).ok()) << "found again";

  // A client that says nothing of it keeps it; it cannot be exchanged.
  Json silent = service("lb", local);
  silent["metadata"]["namespace"] = "default";
  auto kept = wait([&](WriteDone done) { api_->update(kServices, "", silent, done); });
  ASSERT_TRUE(kept.ok()) << kept.error().message();
  EXPECT_EQ(int_at(*kept, "spec.healthCheckNodePort"), 30003);
  EXPECT_THAT(
      patch(kServices, "lb", {{"spec", {{"healthCheckNodePort", 30004}}}}).error().message(),
      HasSubstr("spec.healthCheckNodePort: Forbidden: field is immutable"));
  auto everywhere = patch(kServices, "lb", {{"spec", {{"externalTrafficPolicy", "Cluster"}}}});
  ASSERT_TRUE(everywhere.ok()) << everywhere.error().message();
  EXPECT_FALSE((*everywhere)["spec"].contains("healthCheckNodePort"));
  ASSERT_TRUE(create(kServices, service("late", check)).ok()) << "given up and free";
  ASSERT_TRUE(remove(kServices, "lb").ok());
  EXPECT_FALSE(create(kServices, service("third", check)).ok()) << "not freed by its former owner";
  ASSERT_TRUE(remove(kServices, "late").ok());
  EXPECT_TRUE(create(kServices, service("third", check)).ok());
}

// Nine numbers are asked for and one is chosen: it is the tenth.
TEST_F(RegistryTest, ChosenPortsLeaveWhatWasAskedFor) {
  Json ports = Json::array();
  for (int i = 0; i < 9; ++i)
    ports.push_back({{"name", "p" + std::to_string(i)}, {"port", 80 + i}, {"nodePort", 30001 + i}});
  ports[0].erase("nodePort");
  ports[8]["nodePort"] = 30001;
  const Json spec = {{"type", "LoadBalancer"},
                     {"externalTrafficPolicy", "Local"},
                     {"healthCheckNodePort", 30009},
                     {"ports", ports}};
  auto made = create(kServices, service("s", spec));
  ASSERT_TRUE(made.ok()) << made.error().message();
  EXPECT_EQ((*made)["spec"]["ports"][0]["nodePort"], 30000);
}

// What the last write of a dying Service asked for goes with it.
TEST_F(RegistryTest, ADyingServiceLeavesNoPortBehind) {
  Json dying = service("dying", {{"type", "NodePort"}});
  dying["metadata"]["finalizers"] = {"example.com/hold"};
  dying["spec"]["ports"][0]["nodePort"] = 30004;
  ASSERT_TRUE(create(kServices, dying).ok());
  ASSERT_TRUE(remove(kServices, "dying").ok());
  ASSERT_TRUE(patch(kServices, "dying",
                    {{"metadata", {{"finalizers", Json::array()}}},
                     {"spec", {{"ports", Json::array({{{"port", 80}, {"nodePort", 30005}}})}}}})
                  .ok());
  ASSERT_FALSE(exists(kServices, "dying"));
  for (const int port : {30004, 30005})
    EXPECT_TRUE(
        create(kServices, service("s" + std::to_string(port),
                                  {{"type", "NodePort"},
                                   {"ports", Json::array({{{"port", 80}, {"nodePort", port}}})}}))
            .ok())
        << port;
}

// Node ports that a balancer without automatic ones was given stay; a change of type takes them.
TEST_F(RegistryTest, TypesTakeTheirFieldsAlong) {
  Json given = {{"type", "LoadBalancer"},
                {"allocateLoadBalancerNodePorts", false},
                {"loadBalancerClass", "example.com/lb"},
                {"ports", Json::array({{{"port", 80}, {"nodePort", 30007}}})}};
  ASSERT_TRUE(create(kServices, service("lb", given)).ok());
  auto labelled = patch(kServices, "lb", {{"metadata", {{"labels", {{"a", "b"}}}}}});
  ASSERT_TRUE(labelled.ok()) << labelled.error().message();
  EXPECT_EQ((*labelled)["spec"]["ports"][0]["nodePort"], 30007);
  EXPECT_THAT(
      patch(kServices, "lb", {{"spec", {{"loadBalancerClass", "example.com/x"}}}})
          .error()
          .message(),
      HasSubstr(
          "spec.loadBalancerClass: Invalid value: \"example.com/x\": may not change once set"));
  auto plain = patch(kServices, "lb", {{"spec", {{"type", "ClusterIP"}}}});
  ASSERT_TRUE(plain.ok()) << plain.error().message();
  for (const char* name : {"allocateLoadBalancerNodePorts", "loadBalancerClass",
                           "externalTrafficPolicy", "healthCheckNodePort"})
    EXPECT_FALSE((*plain)["spec"].contains(name)) << name;
  EXPECT_FALSE((*plain)["spec"]["ports"][0].contains("nodePort"));
  auto name =
      patch(kServices, "lb", {{"spec", {{"type", "ExternalName"}, {"externalName", "a.example"}}}});
  ASSERT_TRUE(name.ok()) << name.error().message();
  for (const char* field : {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"})
    EXPECT_FALSE((*name)["spec"].contains(field)) << field;
  auto back = patch(kServices, "lb", {{"spec", {{"type", "ClusterIP"}}}});
  ASSERT_TRUE(back.ok()) << back.error().message();
  EXPECT_EQ((*back)["spec"]["ipFamilies"], Json::array({"IPv4"}));
  EXPECT_EQ(string_at(*back, "spec.ipFamilyPolicy"), "SingleStack");
  // Another one than it was given, of whichever was free.
  const bool given_it = string_at(*back, "spec.clusterIP") == "10.96.0.77";
  const std::string other = given_it ? "10.96.0.78" : "10.96.0.77";
  auto moved = patch(kServices, "lb", {{"spec", {{"clusterIP", other}}}});
  ASSERT_FALSE(moved.ok()) << other;
  EXPECT_THAT(moved.error().message(), HasSubstr("spec.clusterIPs[0]: Invalid value: [\"" + other +
                                                 "\"]: may not change once"));
}

// What is stored from before a rule can still be told about.
TEST_F(RegistryTest, StatusIsTakenOfAnObjectWhoseSpecWouldNotBe) {
  ASSERT_TRUE(create(kPods, pod("p")).ok());
  const std::string key = "core/pods/default/p";
  Json old = decode_stored(store_->get(key)->value);
  old["spec"]["containers"][0]["livenessProbe"] = {{"exec", {{"command", {"x"}}}},
                                                   {"successThreshold", 7}};
  std::optional<Result<store::TxnResult>> stored;
  store_->commit({{}, {{store::Op::Kind::kPut, key, encode(old)}}}, loop_,
                 [&](Result<store::TxnResult> result) { stored = std::move(result); });
  ASSERT_TRUE(loop_.run_until([&] { return stored.has_value(); }, seconds(30)));
  auto told = patch(kPods, "p", {{"status", {{"phase", "Running"}}}}, "status");
  ASSERT_TRUE(told.ok()) << told.error().message();
  EXPECT_THAT(patch(kPods, "p", {{"status", {{"phase", "Sleeping"}}}}, "status").error().message(),
              HasSubstr("status.phase: Unsupported value"));
}

// Zeros that are not stored any more, in what an earlier version stored.
TEST_F(RegistryTest, WhatAnEarlierVersionKeptIsNoChange) {
  ASSERT_TRUE(create(kPods, pod("p")).ok());
  const std::string key = "core/pods/default/p";
  Json old = decode_stored(store_->get(key)->value);
  old["spec"]["nodeSelector"] = Json::object();
  old["spec"]["containers"][0]["tty"] = false;
  old["spec"]["containers"][0]["env"] = {{{"name", "A"}, {"value", ""}}};
  std::optional<Result<store::TxnResult>> stored;
  store_->commit({{}, {{store::Op::Kind::kPut, key, encode(old)}}}, loop_,
                 [&](Result<store::TxnResult> result) { stored = std::move(result); });
  ASSERT_TRUE(loop_.run_until([&] { return stored.has_value(); }, seconds(30)));
  const auto labelled = patch(kPods, "p", {{"metadata", {{"labels", {{"a", "b"}}}}}});
  ASSERT_TRUE(labelled.ok()) << labelled.error().message();
  const Json now = decode_stored(store_->get(key)->value);
  EXPECT_EQ(at_path(now, "metadata.generation"), at_path(old, "metadata.generation"));
  EXPECT_FALSE(now["spec"].contains("nodeSelector"));
}

TEST_F(RegistryTest, SelectorsAndPages) {
  for (int i = 0; i < 7; ++i) {
    Json object = config_map("c" + std::to_string(i));
    object["metadata"]["labels"] = {{"even", i % 2 == 0 ? "yes" : "no"}};
    ASSERT_TRUE(create(kConfigMaps, object).ok());
  }
  auto even = api_->list(kConfigMaps, {"default", "even=yes", ""});
  ASSERT_TRUE(even.ok());
  EXPECT_EQ(even->items.size(), 4u);
  EXPECT_EQ(api_->list(kConfigMaps, {"", "", "metadata.name=c3"})->items.size(), 1u);
  EXPECT_FALSE(api_->list(kConfigMaps, {"", "", "data.k=x"}).ok());
  const Kind& kind = *Kinds::builtin().find(kConfigMaps);
  auto filter = Filter::make(kind, "", "");
  auto first = registry_->list(kind, *filter, {"default", 3, "", 0, false});
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->remaining, 4u);
  ASSERT_TRUE(remove(kConfigMaps, "c4").ok());  // the pages are of one moment
  auto second = registry_->list(kind, *filter, {"default", 100, first->continue_token, 0, false});
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->items.size(), 4u);
  EXPECT_EQ(second->revision, first->revision);
  store_->compact(store_->revision());
  auto late = registry_->list(kind, *filter, {"default", 100, first->continue_token, 0, false});
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().status, 410);
  auto resumed =
      registry_->list(kind, *filter, {"default", 100, late.error().continue_token, 0, false});
  ASSERT_TRUE(resumed.ok());
  EXPECT_EQ(resumed->items.size(), 3u);
  EXPECT_EQ(registry_->list(kind, *filter, {"default", 1, "garbage!", 0, false}).error().status,
            400);
}

TEST_F(RegistryTest, WatchesSeeEverythingInOrder) {
  ASSERT_TRUE(create(kConfigMaps, config_map("a")).ok());
  std::vector<std::string> seen;
  bool synced = false;
  WatchHandle watch = api_->watch(
      kConfigMaps,
      [&](const WatchEvent& event) {
        const char* sign = event.type == WatchEventType::kAdded      ? "+"
                           : event.type == WatchEventType::kModified ? "~"
                                                                     : "-";
        seen.push_back(sign + event.key.to_string());
        EXPECT_EQ(resource_version_of(decode_stored(event.object)), event.revision);
      },
      [&] { synced = true; });
  EXPECT_TRUE(seen.empty());
  EXPECT_TRUE(loop_.run_until([&] { return synced; }, seconds(10)));
  ASSERT_TRUE(create(kConfigMaps, config_map("b")).ok());
  ASSERT_TRUE(patch(kConfigMaps, "a", {{"data", {{"k", "2"}}}}).ok());
  ASSERT_TRUE(remove(kConfigMaps, "a").ok());
  EXPECT_THAT(seen, ElementsAre("+default/a", "+default/b", "~default/a", "-default/a"));
  watch = {};
  ASSERT_TRUE(create(kConfigMaps, config_map("z")).ok());
  EXPECT_EQ(seen.size(), 4u);
}

TEST_F(RegistryTest, RacingPatchesAllHappen) {
  ASSERT_TRUE(create(kConfigMaps, config_map("c")).ok());
  int done = 0;
  for (int i = 0; i < 20; ++i)
    api_->merge_patch(kConfigMaps, "", {"default", "c"},
                      {{"data", {{"k" + std::to_string(i), "v"}}}},
                      [&](const Result<Bytes>& result) { done += result.ok() ? 1 : 0; });
  EXPECT_TRUE(loop_.run_until([&] { return done == 20; }, seconds(30)));
  EXPECT_EQ(decode_stored(*api_->get(kConfigMaps, {"default", "c"}))["data"].size(), 21u);
}

TEST_F(RegistryTest, DryRunChangesNothing) {
  const Kind& kind = *Kinds::builtin().find(kServices);
  const int64_t revision = store_->revision();
  for (int i = 0; i < 2; ++i) {  // twice: nothing is held either
    std::vector<std::string> warnings;
    auto document = admit_document(kind, service("d", {{"clusterIP", "10.96.0.77"}}), {}, warnings);
    std::optional<Outcome<Written>> outcome;
    registry_->create(kind, "default", *document, {true}, loop_,
                      [&](Outcome<Written> o) { outcome = std::move(o); });
    EXPECT_TRUE(loop_.run_until([&] { return outcome.has_value(); }, seconds(10)));
    ASSERT_TRUE(outcome->ok());
    const Json object = decode_stored((*outcome)->object);
    EXPECT_FALSE(object["metadata"].contains("resourceVersion")) << "of what is not stored";
    EXPECT_FALSE(string_at(object, "metadata.uid").empty());
  }
  EXPECT_EQ(store_->revision(), revision);
}

// Against a naive model: a map of names to values.
TEST_F(RegistryTest, RandomOperationsAgreeWithAMap) {
  const char* given = std::getenv("FAIRLEAD_SEED");
  const uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 rng(seed);
  std::map<std::string, std::string> model;
  std::map<std::string, std::string> watched;
  WatchHandle watch = api_->watch(
      kConfigMaps,
      [&](const WatchEvent& event) {
        if (event.type == WatchEventType::kDeleted)
          watched.erase(event.key.name);
        else
          watched[event.key.name] = string_at(decode_stored(event.object), "data.k");
      },
      [] {});
  for (int step = 0; step < 400; ++step) {
    const std::string name = "c" + std::to_string(rng() % 8), value = std::to_string(rng() % 5);
    const bool there = model.contains(name);
    switch (rng() % 4) {
      case 0: {
        EXPECT_EQ(create(kConfigMaps, config_map(name, value)).ok(), !there);
        if (!there) model[name] = value;
        break;
      }
      case 1: {
        EXPECT_EQ(patch(kConfigMaps, name, {{"data", {{"k", value}}}}).ok(), there);
        if (there) model[name] = value;
        break;
      }
      case 2: {
        EXPECT_EQ(remove(kConfigMaps, name).ok(), there);
        model.erase(name);
        break;
      }
      case 3: {
        EXPECT_EQ(exists(kConfigMaps, name), there);
        break;
      }
    }
    ASSERT_EQ(api_->list(kConfigMaps, {"default", "", ""})->items.size(), model.size())
        << "step " << step;
  }
  EXPECT_TRUE(loop_.run_until([&] { return watched == model; }, seconds(10)));
  close();
  open();
  for (const auto& [name, value] : model)
    EXPECT_EQ(string_at(decode_stored(*api_->get(kConfigMaps, {"default", name})), "data.k"),
              value);
}

}  // namespace
}  // namespace fairlead::orchestrator::apiserver
