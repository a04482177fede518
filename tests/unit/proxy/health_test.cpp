// SPDX-License-Identifier: Apache-2.0
#include "proxy/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fairlead::proxy {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

kube::Node node(bool deleting, std::vector<std::string> taints = {}) {
  kube::Node node;
  node.meta.name = "n1";
  node.meta.deleting = deleting;
  node.taint_keys = std::move(taints);
  return node;
}

TEST(NodeEligible, OnlyWhatIsKnownCounts) {
  EXPECT_EQ(why_not_eligible(false, std::nullopt), "");
  EXPECT_EQ(why_not_eligible(true, std::nullopt), "the API server has no such Node");
  EXPECT_EQ(why_not_eligible(false, node(false)), "");
  EXPECT_EQ(why_not_eligible(false, node(false, {"node.kubernetes.io/unschedulable"})), "");
  EXPECT_EQ(why_not_eligible(false, node(true)), "the Node is being deleted");
  EXPECT_EQ(why_not_eligible(false, node(false, {"a", "ToBeDeletedByClusterAutoscaler"})),
            "the Node has taint ToBeDeletedByClusterAutoscaler");
}

TEST(Health, TimeAsGoWritesIt) {
  EXPECT_EQ(rfc3339_nano(WallTime(0s)), "1970-01-01T00:00:00Z");
  EXPECT_EQ(rfc3339_nano(WallTime(86401s + 250ms)), "1970-01-02T00:00:01.25Z");
  EXPECT_EQ(rfc3339_nano(WallTime(1ns)), "1970-01-01T00:00:00.000000001Z");
  EXPECT_EQ(rfc3339_nano(WallTime(-1ns)), "1969-12-31T23:59:59.999999999Z");
}

TEST(Health, BodyAsKubeProxyWritesIt) {
  HealthReport report;
  report.healthy = true;
  report.now = WallTime(100s);
  report.last_updated = WallTime(50s);
  report.families = {{Family::kIpv4, true, WallTime(50s)}, {Family::kIpv6, false, WallTime(40s)}};
  EXPECT_EQ(
      to_json(report),
      R"({"lastUpdated":"1970-01-01T00:01:40Z","currentTime":"1970-01-01T00:01:40Z",)"
      R"("healthy":true,"status":{"IPv4":{"lastUpdated":"1970-01-01T00:00:50Z","healthy":true},)"
      R"("IPv6":{"lastUpdated":"1970-01-01T00:00:40Z","healthy":false}}})"
      "\n");
  report.node_eligible = false;
  report.reason = "\"quoted\" \xff";
  report.families.clear();
  const auto json = nlohmann::json::parse(to_json(report));
  EXPECT_EQ(json["lastUpdated"], "1970-01-01T00:00:50Z");
  EXPECT_EQ(json["nodeEligible"], false);
  EXPECT_EQ(json["healthy"], true);
  EXPECT_THAT(json["reason"].get<std::string>(), HasSubstr("\"quoted\""));
}

class ProxyHealthTest : public testing::Test {
 protected:
  ProxyHealthTest()
      : health_(clock_, metrics_,
                {[this] { return synced_; },
                 [this] {
                   ++checks_;
                   return good_ ? ok()
                                : Result<void>(Error(ErrorCode::kUnavailable, "tables are gone"));
                 },
                 [](bool well) {
                   return std::vector<FamilyHealth>{{Family::kIpv4, well, WallTime{}}};
                 },
                 [this] { return why_not_; }}) {}

  ManualClock clock_;
  Metrics metrics_;
  bool synced_ = true, good_ = true;
  std::string why_not_;
  int checks_ = 0;
  ProxyHealth health_;
};

TEST_F(ProxyHealthTest, BeforeTheFirstAnswerItLivesButGetsNoTraffic) {
  synced_ = false;
  clock_.advance(1h);
  EXPECT_TRUE(health_.livez().healthy);
  EXPECT_FALSE(health_.healthz().healthy);
  EXPECT_THAT(health_.healthz().body, HasSubstr("Services and EndpointSlices are not known yet"));
  EXPECT_FALSE(health_.healthy());
  EXPECT_EQ(checks_, 0);
}

TEST_F(ProxyHealthTest, TheFirstProgrammingHasAMinute) {
  good_ = false;
  EXPECT_TRUE(health_.livez().healthy);
  EXPECT_FALSE(health_.healthz().healthy);
  clock_.advance(59s);
  EXPECT_TRUE(health_.livez().healthy);
  clock_.advance(1s);
  EXPECT_FALSE(health_.livez().healthy);
}

TEST_F(ProxyHealthTest, ThenBothFollowTheKernel) {
  EXPECT_TRUE(health_.livez().healthy);
  EXPECT_TRUE(health_.healthz().healthy);
  EXPECT_EQ(health_.healthz().content_type, "application/json");
  good_ = false;
  EXPECT_FALSE(health_.livez().healthy);
  EXPECT_FALSE(health_.healthz().healthy);
  EXPECT_THAT(health_.healthz().body, HasSubstr(R"("reason":"tables are gone")"));
  EXPECT_THAT(metrics_.text(), HasSubstr("kubeproxy_proxy_healthz_total{code=\"503\"} 2"));
  EXPECT_THAT(metrics_.text(), HasSubstr("kubeproxy_proxy_livez_total{code=\"503\"} 1"));
}

TEST_F(ProxyHealthTest, ANodeThatGoesGetsNoTrafficButLives) {
  why_not_ = "the Node is being deleted";
  EXPECT_FALSE(health_.healthz().healthy);
  EXPECT_THAT(health_.healthz().body, HasSubstr(R"("nodeEligible":false,"healthy":true)"));
  EXPECT_TRUE(health_.livez().healthy);
  EXPECT_THAT(health_.livez().body, testing::Not(HasSubstr("nodeEligible")));
  EXPECT_TRUE(health_.healthy());
}

TEST_F(ProxyHealthTest, ThoseWhoAskOftenGetARecentAnswer) {
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(health_.healthy());
  EXPECT_EQ(checks_, 1);
  good_ = false;
  clock_.advance(1s);
  EXPECT_FALSE(health_.healthy());
  EXPECT_EQ(checks_, 2);
}

}  // namespace
}  // namespace fairlead::proxy
