// SPDX-License-Identifier: Apache-2.0
// What elements say, added up: each case is a history and the totals it must come to.
#include "proxy/service_counters.h"

#include <gmock/gmock.h>

#include "tests/unit/proxy/objects.h"

namespace fairlead::proxy {
namespace {

using namespace test;
using nft::TableFamily;

const KernelSet kSvc = {TableFamily::kIp, "svc"};
const KernelSet kGrown = {TableFamily::kIp, "svc_1"};
const KernelSet kSvc6 = {TableFamily::kIp6, "svc"};
const KernelSet kNode = {TableFamily::kIp, "node_svc"};

nft::Element element(const Frontend& frontend, uint64_t packets,
                     const nft::Verdict& verdict = nft::Verdict::go_to("sel_4")) {
  nft::Element element;
  if (!frontend.node_port) element.key.concat(frontend.address);
  element.key.concat_u8(protocol_number(frontend.protocol)).concat_be16(frontend.port);
  element.data = verdict;
  element.counter = nft::Counter{packets, packets * 60};
  return element;
}

class Counters : public testing::Test {
 protected:
  Counters() {
    kube::Service web = service("web", {"10.96.0.1", "fd00:96::1"}, {"http 80/TCP 30080"});
    web.external_ips = {ip("198.51.100.7")};
    web.load_balancer_ingress = {{ip("198.51.100.1"), true}};
    services_.put(web);
    services_.put(service("dns", {"10.96.0.10"}, {"dns 53/UDP", "dns-tcp 53/TCP"}));
  }
  ServiceTotals of(const std::string& name, const std::string& port,
                   Protocol protocol = Protocol::kTcp) const {
    const auto found = counters_.totals().find({{"default", name}, port, protocol});
    return found == counters_.totals().end() ? ServiceTotals{} : found->second;
  }
  uint64_t web() const { return of("web", "http").all_connections(); }

  const Frontend vip_ = tcp("10.96.0.1", 80);
  ServiceMap services_{""};
  ServiceCounters counters_{services_};
};

TEST_F(Counters, AddUpOverLooks) {
  for (const uint64_t count : {0, 3, 3, 10}) counters_.listed(kSvc, element(vip_, count), true);
  EXPECT_EQ(web(), 10u);
}

TEST_F(Counters, AReplacedElementBeginsAnewAndNothingIsLost) {
  counters_.listed(kSvc, element(vip_, 10), true);
  counters_.removed(kSvc, element(vip_, 12), true);
  EXPECT_EQ(web(), 12u);
  counters_.listed(kSvc, element(vip_, 11), true);
  EXPECT_EQ(web(), 23u) << "less than its predecessor said, and none of it known";
  counters_.removed(kSvc, element(vip_, 11), true);
  counters_.removed(kSvc, element(vip_, 4), true);
  EXPECT_EQ(web(), 27u) << "nobody looked in between";
}

TEST_F(Counters, AGrownSetCountsBesideTheOldOne) {
  counters_.listed(kSvc, element(vip_, 10), true);
  counters_.listed(kGrown, element(vip_, 2), true);
  counters_.removed(kSvc, element(vip_, 11), true);
  counters_.forget(kSvc);
  counters_.listed(kGrown, element(vip_, 5), true);
  EXPECT_EQ(web(), 16u);
}

TEST_F(Counters, WhatWasCountedBeforeUsIsNotOurs) {
  counters_.listed(kSvc, element(vip_, 1000), false);
  EXPECT_EQ(web(), 0u);
  counters_.listed(kSvc, element(vip_, 1007), true);
  EXPECT_EQ(web(), 7u);
  counters_.removed(kSvc, element(udp("10.96.0.10", 53), 500), false);
  EXPECT_EQ(of("dns", "dns", Protocol::kUdp), ServiceTotals{});
}

TEST_F(Counters, AnElementWhoseRemovalWasMissedNeverCountsBackwards) {
  counters_.listed(kSvc, element(vip_, 10), true);
  counters_.listed(kSvc, element(vip_, 4), true);
  EXPECT_EQ(web(), 14u);
  counters_.removed(kSvc, element(vip_, 2), true);
  EXPECT_EQ(web(), 16u);
}

TEST_F(Counters, ATableThatWentTakesWhatWasKnownOfItWithIt) {
  counters_.listed(kSvc, element(vip_, 10), true);
  counters_.listed(kSvc6, element(tcp("fd00:96::1", 80), 5), true);
  counters_.forget(TableFamily::kIp);
  counters_.listed(kSvc, element(vip_, 25), true);
  counters_.listed(kSvc6, element(tcp("fd00:96::1", 80), 6), true);
  EXPECT_EQ(web(), 10u + 25u + 6u);
}

TEST_F(Counters, EveryAddressOfAPortByItsKind) {
  counters_.listed(kSvc, element(vip_, 1), true);
  counters_.listed(kSvc6, element(tcp("fd00:96::1", 80), 2), true);
  counters_.listed(kSvc, element(tcp("198.51.100.7", 80), 4), true);
  counters_.listed(kSvc, element(tcp("198.51.100.1", 80), 8), true);
  const Frontend node = Frontend::node(Family::kIpv4, Protocol::kTcp, 30080);
  counters_.listed(kNode, element(node, 16, nft::Verdict::go_to("node_ext_4")), true);
  EXPECT_THAT(of("web", "http").connections, testing::ElementsAre(3, 4, 8, 16));
}

TEST_F(Counters, WhereAnElementGoesSaysWhatItsPacketsMet) {
  counters_.listed(kSvc, element(vip_, 3, nft::Verdict::go_to("refuse")), true);
  counters_.removed(kSvc, element(vip_, 5, nft::Verdict::go_to("refuse")), true);
  counters_.listed(kSvc, element(vip_, 7, nft::Verdict::drop()), true);
  counters_.removed(kSvc, element(vip_, 7, nft::Verdict::drop()), true);
  counters_.listed(kSvc, element(vip_, 1), true);
  const ServiceTotals totals = of("web", "http");
  EXPECT_EQ(totals.refused, 5u);
  EXPECT_EQ(totals.dropped, 7u);
  EXPECT_EQ(totals.all_connections(), 1u);
}

TEST_F(Counters, WhatIsNobodysOrNoCounterIsIgnored) {
  counters_.listed(kSvc, element(tcp("10.96.0.99", 80), 3), true);
  nft::Element bare = element(vip_, 3);
  bare.counter.reset();
  counters_.listed(kSvc, bare, true);
  nft::Element other = element(vip_, 3);
  other.key = nft::Value::of(ip("10.96.0.1"));
  counters_.listed(kSvc, other, true);
  nft::Element data = element(vip_, 3);
  data.data = nft::Value::of(ip("10.96.0.1"));
  counters_.removed(kSvc, data, true);
  EXPECT_TRUE(counters_.totals().empty());
}

TEST_F(Counters, AServiceThatGoesIsForgotten) {
  counters_.listed(kSvc, element(vip_, 3), true);
  counters_.listed(kSvc, element(udp("10.96.0.10", 53), 3), true);
  services_.remove_service({"default", "web"});
  counters_.removed(kSvc, element(vip_, 9), true);
  counters_.prune();
  EXPECT_EQ(counters_.totals().size(), 1u);
  services_.put(service("dns", {"10.96.0.10"}, {"dns-tcp 53/TCP"}));
  counters_.prune();
  EXPECT_TRUE(counters_.totals().empty());
}

TEST_F(Counters, ServicesThatComeAndGoTakeNoMemory) {
  for (int i = 0; i < 5000; ++i) {
    const std::string name = "s" + std::to_string(i);
    services_.put(service(name, {"10.96.1.1"}, {"p 80"}));
    counters_.ended({{"default", name}, "p", Protocol::kTcp}, {1, 1, 1, 1, 1});
    services_.remove_service({"default", name});
    ASSERT_LE(counters_.totals().size(), 1024u);
  }
}

TEST(CountedSets, AreThoseOfServices) {
  for (const char* name : {"svc", "svc_1", "svc_12", "node_svc", "node_svc_3"})
    EXPECT_TRUE(counts_connections(name)) << name;
  for (const char* name : {"ep", "ep_1", "svcs", "vips", "node_ep", "inside_ep", "learn", ""})
    EXPECT_FALSE(counts_connections(name)) << name;
}

TEST_F(Counters, AsMetrics) {
  counters_.listed(kSvc, element(vip_, 3), true);
  const Frontend node = Frontend::node(Family::kIpv4, Protocol::kTcp, 30080);
  counters_.listed(kNode, element(node, 2, nft::Verdict::go_to("node_ext_4")), true);
  counters_.listed(kSvc, element(udp("10.96.0.10", 53), 4, nft::Verdict::go_to("refuse")), true);
  EXPECT_EQ(
      metrics_text(counters_, false),
      R"(# HELP fairlead_proxy_service_connections_total Flows to a Service, by the kind of address they were sent to
# TYPE fairlead_proxy_service_connections_total counter
fairlead_proxy_service_connections_total{namespace="default",service="web",port="http",protocol="tcp",address="cluster_ip"} 3
fairlead_proxy_service_connections_total{namespace="default",service="web",port="http",protocol="tcp",address="node_port"} 2
# HELP fairlead_proxy_service_refused_total Packets refused, for the Service has no usable endpoint
# TYPE fairlead_proxy_service_refused_total counter
fairlead_proxy_service_refused_total{namespace="default",service="dns",port="dns",protocol="udp"} 4
# HELP fairlead_proxy_service_dropped_total Packets dropped, for all endpoints of the Service are on other nodes
# TYPE fairlead_proxy_service_dropped_total counter
)");
  counters_.ended({{"default", "web"}, "http", Protocol::kTcp}, {1, 5, 500, 4, 9000});
  counters_.ended({{"default", "web"}, "http", Protocol::kTcp}, {1, 1, 60, 1, 40});
  const std::string text = metrics_text(counters_, true);
  for (
      const char* line :
      {R"(fairlead_proxy_service_ended_flows_total{namespace="default",service="web",port="http",protocol="tcp"} 2)",
       R"(fairlead_proxy_service_bytes_total{namespace="default",service="web",port="http",protocol="tcp",from="client"} 560)",
       R"(fairlead_proxy_service_bytes_total{namespace="default",service="web",port="http",protocol="tcp",from="server"} 9040)",
       R"(fairlead_proxy_service_packets_total{namespace="default",service="web",port="http",protocol="tcp",from="client"} 6)",
       R"(fairlead_proxy_service_packets_total{namespace="default",service="web",port="http",protocol="tcp",from="server"} 5)"})
    EXPECT_THAT(text, testing::HasSubstr(std::string(line) + "\n"));
}

}  // namespace
}  // namespace fairlead::proxy
