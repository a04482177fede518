// SPDX-License-Identifier: Apache-2.0
// What the registry refuses to store, and what it lets go or keeps although it would not take it.
#include <gmock/gmock.h>

#include "tests/unit/orchestrator_apiserver/registry_fixture.h"

namespace fairlead::orchestrator::apiserver {
namespace {

using testing::HasSubstr;

// Nobody would take the finalizer off again.
TEST_F(RegistryTest, EventsHaveNoDependentsToWaitFor) {
  const Json event = {{"metadata", {{"name", "e"}}},
                      {"involvedObject", {{"namespace", "default"}}}};
  for (const char* policy : {"Orphan", "Foreground", "Background"}) {
    ASSERT_TRUE(create({"", "events"}, event).ok()) << policy;
    EXPECT_TRUE(remove({"", "events"}, "e",
                       {.uid = {}, .resource_version = {}, .propagation_policy = policy})
                    .ok());
    EXPECT_FALSE(exists({"", "events"}, "e")) << policy;
  }
}

TEST_F(RegistryTest, AnObjectIsOnlySoLarge) {
  Json large = pod("p");
  Json& argument = large["spec"]["containers"][0]["args"][0];
  argument = std::string(Registry::kMaxObjectBytes, 'x');
  const auto refused = create(kPods, large);
  EXPECT_THAT(refused.error().message(), HasSubstr("Request entity too large: limit is 1572864"));
  EXPECT_FALSE(exists(kPods, "p"));
  argument = std::string(Registry::kMaxObjectBytes - 4096, 'x');
  ASSERT_TRUE(create(kPods, large).ok());
  const auto grown =
      patch(kPods, "p", {{"metadata", {{"annotations", {{"a", std::string(8192, 'x')}}}}}});
  EXPECT_THAT(grown.error().message(), HasSubstr("Request entity too large"));
  EXPECT_TRUE(patch(kPods, "p", {{"metadata", {{"labels", {{"a", "b"}}}}}}).ok());
  EXPECT_TRUE(remove(kPods, "p").ok());
}

TEST_F(RegistryTest, ABindingIsOfOnePod) {
  const auto made = create(kPods, pod("p"));
  ASSERT_TRUE(made.ok());
  const auto bind = [&](const std::string& uid) {
    return wait([&](WriteDone done) { api_->bind({"default", "p"}, uid, "n1", done); });
  };
  const auto refused = bind("another");
  EXPECT_TRUE(refused.error().is_conflict());
  EXPECT_THAT(refused.error().message(),
              HasSubstr("Precondition failed: UID in precondition: another, UID in object meta: " +
                        string_at(*made, "metadata.uid")));
  const auto bound = bind(string_at(*made, "metadata.uid"));
  ASSERT_TRUE(bound.ok()) << bound.error().message();
  EXPECT_EQ(string_at(*bound, "spec.nodeName"), "n1");
}

// A server that starts with other ranges leaves the Services there are as they are.
TEST_F(RegistryTest, ServicesOfFormerRangesCanBeChanged) {
  const Json node_port = {{"type", "NodePort"},
                          {"ports", Json::array({{{"port", 80}, {"nodePort", 30001}}})}};
  ASSERT_TRUE(create(kServices, service("n", node_port)).ok());
  api_.reset();
  registry_ = std::make_unique<Registry>(
      *store_, RegistryOptions{*Cidr::parse("10.97.0.0/24"), {31000, 31009}});
  registry_->rebuild();
  api_ = make_in_process_api(*registry_, loop_);
  const auto changed = patch(kServices, "n", {{"metadata", {{"labels", {{"a", "b"}}}}}});
  ASSERT_TRUE(changed.ok()) << changed.error().message();
  EXPECT_EQ((*changed)["spec"]["ports"][0]["nodePort"], 30001);
  const auto elsewhere = patch(
      kServices, "n", {{"spec", {{"ports", Json::array({{{"port", 80}, {"nodePort", 30002}}})}}}});
  EXPECT_THAT(elsewhere.error().message(), HasSubstr("is not in the valid range"));
}

}  // namespace
}  // namespace fairlead::orchestrator::apiserver
