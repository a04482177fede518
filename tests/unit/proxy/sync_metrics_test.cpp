// SPDX-License-Identifier: Apache-2.0
#include "proxy/sync_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/proxy/objects.h"

namespace fairlead::proxy {
namespace {

using namespace test;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

class SyncMetricsTest : public testing::Test {
 protected:
  SyncMetricsTest() { sync_.add_family(Family::kIpv4); }
  static kube::EndpointSlice changed_at(const std::string& when) {
    kube::EndpointSlice changed = slice("web", {"10.0.0.1"}, {"http 8080"});
    changed.meta.annotations["endpoints.kubernetes.io/last-change-trigger-time"] = when;
    return changed;
  }
  Dirty all() const { return {tcp("10.96.0.1", 80), tcp("10.96.0.1", 443), tcp("fd00::1", 80)}; }
  void acknowledge() {
    sync_.acknowledged(Family::kIpv4, {{all()[0], now_}, {all()[1], std::nullopt}},
                       now_ + milliseconds(3), wall_ + seconds(30));
  }

  Metrics metrics_;
  const WallTime wall_{seconds(1'767'225'600)};  // 2026-01-01T00:00:00Z
  const MonoTime now_{seconds(100)};
  SyncMetrics sync_{metrics_, wall_};
  ServiceMap services_{"here"};
};

TEST_F(SyncMetricsTest, OneChangeIsOneObservationWhateverItsFrontends) {
  const std::string count =
      "kubeproxy_network_programming_duration_seconds_count{ip_family=\"IPv4\"} ";
  for (const char* when : {"2026-01-01T00:00:10Z", "2026-01-01T00:00:20Z"}) {
    const kube::EndpointSlice changed = changed_at(when);
    sync_.slice_changed(&changed, all(), wall_);
  }
  for (const char* when : {"2025-12-31T23:59:59Z", "soon"}) {  // before our time; no time
    const kube::EndpointSlice changed = changed_at(when);
    sync_.slice_changed(&changed, all(), wall_);
  }
  EXPECT_THAT(metrics_.text(), HasSubstr(count + "0\n"));
  acknowledge();
  EXPECT_THAT(metrics_.text(), HasSubstr(count + "2\n"));
  EXPECT_THAT(
      metrics_.text(),
      HasSubstr("kubeproxy_network_programming_duration_seconds_sum{ip_family=\"IPv4\"} 30\n"));
  for (const char* bound : {"0.25", "0.5", "1", "30", "59", "60", "65", "300"})
    EXPECT_THAT(
        metrics_.text(),
        HasSubstr("kubeproxy_network_programming_duration_seconds_bucket{ip_family=\"IPv4\","
                  "le=\"" +
                  std::string(bound) + "\"}"))
        << "as kube-proxy has them";
  EXPECT_THAT(metrics_.text(),
              HasSubstr("fairlead_proxy_change_to_kernel_seconds_count{ip_family=\"IPv4\"} 1\n"));
  acknowledge();
  EXPECT_THAT(metrics_.text(), HasSubstr(count + "2\n"));
}

TEST_F(SyncMetricsTest, WithItsSliceAChangeGoes) {
  const kube::EndpointSlice changed = changed_at("2026-01-01T00:00:10Z");
  sync_.slice_changed(&changed, all(), wall_);
  sync_.slice_changed(nullptr, all(), wall_);
  acknowledge();
  EXPECT_THAT(
      metrics_.text(),
      HasSubstr("kubeproxy_network_programming_duration_seconds_count{ip_family=\"IPv4\"} 0\n"));
}

TEST_F(SyncMetricsTest, WhatIsPendingIsUntilAllIsProgrammed) {
  sync_.service_changed(all(), wall_ + seconds(1));
  sync_.service_changed({}, wall_ + seconds(2));
  sync_.slice_changed(nullptr, all(), wall_ + seconds(3));
  sync_.refresh(Family::kIpv4, 2, false, wall_ + seconds(4), services_);
  const std::string prefix = "\nkubeproxy_sync_proxy_rules_", v4 = "{ip_family=\"IPv4\"} ";
  std::string text = metrics_.text();
  EXPECT_THAT(text, HasSubstr(prefix + "service_changes_total 2\n"));
  EXPECT_THAT(text, HasSubstr(prefix + "service_changes_pending 1\n"));
  EXPECT_THAT(text, HasSubstr(prefix + "endpoint_changes_pending 1\n"));
  EXPECT_THAT(text, HasSubstr(prefix + "last_queued_timestamp_seconds" + v4 + "1767225603\n"));
  EXPECT_THAT(text, HasSubstr(prefix + "last_timestamp_seconds" + v4 + "0\n"));
  EXPECT_THAT(text, HasSubstr(prefix + "nftables_sync_failures_total" + v4 + "2\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE kubeproxy_sync_proxy_rules_nftables_sync_failures_total "
                              "counter\n"));
  sync_.refresh(Family::kIpv4, 3, true, wall_ + seconds(5), services_);
  sync_.nothing_is_pending();
  text = metrics_.text();
  EXPECT_THAT(text, HasSubstr(prefix + "service_changes_pending 0\n"));
  EXPECT_THAT(text, HasSubstr(prefix + "last_timestamp_seconds" + v4 + "1767225605\n"));
  EXPECT_THAT(text, HasSubstr(prefix + "nftables_sync_failures_total" + v4 + "3\n"));
}

TEST_F(SyncMetricsTest, TransactionsAndFlowsHaveTheirFamily) {
  sync_.committed(Family::kIpv4, milliseconds(2), true, wall_);
  sync_.committed(Family::kIpv4, milliseconds(1), false, wall_);
  sync_.flow_deleted(Family::kIpv4);
  sync_.flows_listed(Family::kIpv4, milliseconds(5));
  const std::string text = metrics_.text(), v4 = "{ip_family=\"IPv4\"} ";
  for (const auto& [name, count] : {std::pair{"sync_proxy_rules_duration_seconds_count", "2"},
                                    {"sync_full_proxy_rules_duration_seconds_count", "1"},
                                    {"sync_partial_proxy_rules_duration_seconds_count", "1"},
                                    {"conntrack_reconciler_sync_duration_seconds_count", "1"},
                                    {"conntrack_reconciler_deleted_entries_total", "1"}})
    EXPECT_THAT(text, HasSubstr(std::string("\nkubeproxy_") + name + v4 + count + "\n"));
}

TEST_F(SyncMetricsTest, PortsWithoutAnEndpointHere) {
  kube::Service inner = service("inner", {"10.96.0.1"}, {"http 80", "https 443"});
  inner.internal_traffic_policy = kube::TrafficPolicy::kLocal;
  services_.put(inner);
  kube::Service outer = service("outer", {"10.96.0.2"}, {"http 80"});
  outer.external_traffic_policy = kube::TrafficPolicy::kLocal;
  services_.put(outer);
  services_.put(slice("inner", {"10.0.0.1 @there"}, {"http 8080", "https 8443"}));
  services_.put(slice("outer", {"10.0.0.2 @here"}, {"http 8080"}));
  EXPECT_EQ(services_.count_without_local(Family::kIpv4, true), 2u);
  EXPECT_EQ(services_.count_without_local(Family::kIpv4, false), 0u);
  EXPECT_EQ(services_.count_without_local(Family::kIpv6, true), 0u);
  services_.put(slice("inner", {"10.0.0.1 @there notready"}, {"http 8080", "https 8443"}));
  EXPECT_EQ(services_.count_without_local(Family::kIpv4, true), 0u) << "refused, not dropped";
  sync_.refresh(Family::kIpv4, 0, true, wall_, services_);
  EXPECT_THAT(metrics_.text(), HasSubstr("no_local_endpoints_total{ip_family=\"IPv4\","
                                         "traffic_policy=\"external\"} 0\n"));
}

}  // namespace
}  // namespace fairlead::proxy
