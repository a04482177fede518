// SPDX-License-Identifier: Apache-2.0
// Which packets shadow mode tries, and what it makes of two answers.
#include "proxy/shadow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/iptables_save.h"
#include "tests/unit/proxy/iptables_text.h"
#include "tests/unit/proxy/objects.h"

namespace fairlead::proxy {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;

class ShadowTest : public testing::Test {
 protected:
  ShadowTest() : services_("node") {
    config_.cluster_cidrs = {cidr("10.244.0.0/15")};
    parameters_.service_cidrs = {cidr("10.96.0.0/16")};
    parameters_.node_addresses = {ip("192.0.2.1")};
    kube::Service lb = service("lb", {"10.96.0.2"}, {"http 80/TCP"});
    lb.load_balancer_ingress = {{ip("203.0.113.10")}};
    lb.load_balancer_source_ranges = {cidr("198.51.100.0/24")};
    kube::Service local = service("local", {"10.96.0.3"}, {"http 80/TCP"});
    local.load_balancer_ingress = {{ip("203.0.113.11")}};
    local.external_traffic_policy = kube::TrafficPolicy::kLocal;
    kube::Service sticky = service("sticky", {"10.96.0.4"}, {"http 80/TCP"});
    sticky.affinity_timeout_seconds = 10800;
    const kube::Service web = service("web", {"10.96.0.1"}, {"http 80/TCP 30080"});
    const kube::Service empty = service("empty", {"10.96.0.5"}, {"http 80/TCP 30084"});
    for (const kube::Service& one : {web, lb, local, sticky, empty}) services_.put(one);
    for (const char* name : {"web", "local", "sticky"})
      services_.put(slice(name, {"10.244.2.2 @node", "10.244.3.2 @other"}, {"http 8080/TCP"}));
    services_.put(slice("lb", {"10.244.2.2 @node"}, {"http 8080/TCP"}));
  }
  Comparison compare_with(const OtherProxy& other) {
    const Ruleset ruleset = wanted_ruleset(services_, config_, parameters_);
    ShadowView view{&services_, &ruleset, local_};
    return compare(view, other);
  }
  Comparison compare_with(std::string text) {
    const auto families = parse_iptables_save(text);
    EXPECT_TRUE(families.ok()) << families.error().message();
    const IptablesRules& rules = families->at(Family::kIpv4);
    return compare_with({[&](const Packet& packet) { return trace(rules, packet); },
                         frontends_of(rules, Family::kIpv4), true});
  }
  std::vector<std::string> froms(const Frontend& frontend) {
    const Ruleset ruleset = wanted_ruleset(services_, config_, parameters_);
    const ShadowView view{&services_, &ruleset, {ip("192.0.2.1")}};
    std::vector<std::string> result;
    for (const Probe& probe : Prober(view).probes(frontend, services_.find(frontend)))
      result.push_back(probe.from);
    return result;
  }
  static std::string changed(const std::string& from, const std::string& to) {
    std::string text = kIptablesSave;
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  }

  ServiceMap services_;
  Config config_;
  Parameters parameters_;
  std::vector<IpAddress> local_ = {ip("192.0.2.1")};
};

TEST_F(ShadowTest, TriesEveryKindOfSource) {
  EXPECT_THAT(
      froms(tcp("10.96.0.1", 80)),
      ElementsAre("a pod (10.245.255.254)", "this node (192.0.2.1)", "outside (198.51.100.77)",
                  "endpoint 10.244.2.2 itself", "a pod to port 1"));
  EXPECT_THAT(froms(Frontend::node(Family::kIpv4, Protocol::kTcp, 30080)),
              ElementsAre("a pod (10.245.255.254)", "this node (192.0.2.1)",
                          "outside (198.51.100.77)", "endpoint 10.244.2.2 itself"));
  EXPECT_THAT(
      froms(tcp("203.0.113.10", 80)),
      ElementsAre("a pod (10.245.255.254)", "this node (192.0.2.1)", "outside (198.51.100.77)",
                  "a source in 198.51.100.0/24", "endpoint 10.244.2.2 itself"));
  EXPECT_EQ(froms(tcp("10.97.0.1", 80)).size(), 3u) << "nobody's: the three usual sources";
}

TEST_F(ShadowTest, APodIsNoEndpoint) {
  services_.put(slice("web", {"10.245.255.254", "10.245.255.253"}, {"http 8080/TCP"}));
  EXPECT_EQ(froms(tcp("10.96.0.1", 80)).front(), "a pod (10.245.255.252)");
  config_.cluster_cidrs = {cidr("10.244.7.7/32")};
  EXPECT_EQ(froms(tcp("10.96.0.1", 80)).front(), "a pod (10.244.7.7)");
  config_.cluster_cidrs.clear();
  EXPECT_EQ(froms(tcp("10.96.0.1", 80)).front(), "a pod (198.18.0.1)");
}

TEST_F(ShadowTest, PodsComeInByTheInterfaceOfPods) {
  config_.cluster_cidrs.clear();
  config_.interface_prefix = "veth";
  const Ruleset ruleset = wanted_ruleset(services_, config_, parameters_);
  const ShadowView view{&services_, &ruleset, {ip("192.0.2.1")}};
  const Frontend web = tcp("10.96.0.1", 80);
  const std::vector<Probe> probes = Prober(view).probes(web, services_.find(web));
  EXPECT_EQ(probes[0].packet.interface, "veth0");
  EXPECT_EQ(probes[1].packet.interface, "") << "this node";
  EXPECT_EQ(probes[2].packet.interface, "*") << "outside";
  EXPECT_EQ(probes[3].packet.interface, "veth0") << "an endpoint";
}

TEST_F(ShadowTest, IptablesModeDecidesAlike) {
  const std::string text = to_text(compare_with(kIptablesSave));
  EXPECT_THAT(text, HasSubstr("not counted, 5 times: a port that no Service has"));
  EXPECT_THAT(text, HasSubstr("not counted, 1 time: node ports do not answer on 127.0.0.1 here"));
  EXPECT_THAT(text, testing::EndsWith("\n5 services, 0 differences\n"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
}

// kube-proxy's iptables mode has node ports at every address, what is programmed here may not.
TEST_F(ShadowTest, NodePortsAreLookedForAtEveryAddress) {
  local_ = {ip("192.0.2.1"), ip("192.0.2.7"), ip("2001:db8::1"), ip("203.0.113.99")};
  const std::string text = to_text(compare_with(kIptablesSave));
  EXPECT_THAT(text, HasSubstr("default/web node port 30080/tcp (IPv4), from outside to 192.0.2.7, "
                              "outside to 203.0.113.99: here passed, kube-proxy balanced to "
                              "10.244.2.2:8080 (masqueraded), 10.244.3.2:8080 (masqueraded)\n"));
  EXPECT_THAT(text, HasSubstr("5 services, 2 differences\n"));
  parameters_.node_addresses = {ip("192.0.2.1"), ip("192.0.2.7"), ip("203.0.113.99")};
  EXPECT_THAT(to_text(compare_with(kIptablesSave)), HasSubstr("5 services, 0 differences\n"));
  parameters_.node_addresses = {};
  EXPECT_THAT(to_text(compare_with(kIptablesSave)), HasSubstr("5 services, 3 differences\n"));
}

struct ChangeCase {
  const char* what;
  const char* from;
  const char* to;
  const char* line;  // of the report
};
const ChangeCase kChanges[] = {
    {"another endpoint", "--to-destination 10.244.3.2:8080\n-A KUBE-SEP-STICKYA",
     "--to-destination 10.244.9.9:8080\n-A KUBE-SEP-STICKYA",
     "default/web 10.96.0.1:80/tcp, from a pod (10.245.255.254), endpoint 10.244.2.2 itself: only "
     "here to 10.244.3.2:8080"},
    {"no masquerading of others", "-A KUBE-SVC-WEB ! -s 10.244.0.0/15 -d 10.96.0.1/32",
     "-A KUBE-SVC-WEB ! -s 0.0.0.0/0 -d 10.96.0.1/32",
     "default/web 10.96.0.1:80/tcp, from this node (192.0.2.1), outside (198.51.100.77): only here "
     "to 10.244.2.2:8080 (masqueraded), 10.244.3.2:8080 (masqueraded), only kube-proxy to "
     "10.244.2.2:8080, 10.244.3.2:8080\n"},
    {"no hairpin", "-A KUBE-SEP-STICKYA -s 10.244.2.2/32", "-A KUBE-SEP-STICKYA -s 10.244.9.9/32",
     "default/sticky 10.96.0.4:80/tcp, from endpoint 10.244.2.2 itself: only here to "
     "10.244.2.2:8080 (masqueraded), only kube-proxy to 10.244.2.2:8080\n"},
    {"another source range", "-A KUBE-FW-LB -s 198.51.100.0/24", "-A KUBE-FW-LB -s 10.9.0.0/24",
     "from outside (198.51.100.77), a source in 198.51.100.0/24: here balanced to "
     "10.244.2.2:8080 (masqueraded), kube-proxy dropped\n"},
    {"no refusal", "--dport 30084 -j REJECT --reject-with icmp-port-unreachable",
     "--dport 30084 -j DROP", "here refused, kube-proxy dropped\n"},
    {"a service too many", "-A KUBE-SERVICES -d 10.96.0.4/32",
     "-A KUBE-SERVICES -d 10.96.0.9/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-WEB\n"
     "-A KUBE-SERVICES -d 10.96.0.4/32",
     "(only kube-proxy) 10.96.0.9:80/tcp, from a pod (10.245.255.254)"},
    {"what is not understood", "-A KUBE-SVC-LB ! -s",
     "-A KUBE-SVC-LB -m set --match-set x dst -j DROP\n-A KUBE-SVC-LB ! -s",
     "not evaluated, taken as not matching: -m set\n5 services, 0 differences, 1 kind of rule not "
     "evaluated\n"},
};

TEST_F(ShadowTest, NamesWhatDiffers) {
  for (const ChangeCase& c : kChanges) {
    const Comparison result = compare_with(changed(c.from, c.to));
    EXPECT_FALSE(result.clean()) << c.what;
    EXPECT_THAT(to_text(result), HasSubstr(c.line)) << c.what;
  }
}

// What kube-proxy 1.36 writes in iptables mode for a balancer's address without endpoints: a
// refusal that OUTPUT does not lead to, and nothing of its source ranges.
TEST_F(ShadowTest, IptablesModeDoesWithAnEmptyBalancerWhatItsNftablesModeDoesNot) {
  kube::Service gone = service("gone", {"10.96.0.6"}, {"http 80/TCP"});
  gone.load_balancer_ingress = {{ip("203.0.113.12")}};
  gone.load_balancer_source_ranges = {cidr("10.9.0.0/24")};
  services_.put(gone);
  const std::string text = to_text(compare_with(changed(
      "COMMIT\n*nat",
      "-A KUBE-EXTERNAL-SERVICES -d 203.0.113.12/32 -p tcp -m tcp --dport 80 -j REJECT\n"
      "-A KUBE-SERVICES -d 10.96.0.6/32 -p tcp -m tcp --dport 80 -j REJECT\nCOMMIT\n*nat")));
  EXPECT_THAT(text, HasSubstr("not counted, 1 time: an external or balancer's address without "
                              "endpoints is closed to this node's own processes, too"));
  EXPECT_THAT(text, HasSubstr("not counted, 2 times: a source that no source range lets in is "
                              "dropped even while a Service has no endpoints"));
  EXPECT_THAT(text, testing::EndsWith("\n6 services, 0 differences\n"));
}

TEST_F(ShadowTest, EveryServiceDiffersFromNoProxyAtAll) {
  const Comparison result = compare_with(
      {[](const Packet& packet) { return trace(IptablesRules{}, packet); }, {}, false});
  std::set<std::string> differing;
  for (const Difference& one : result.differences) differing.insert(one.service);
  EXPECT_EQ(differing, result.services);
  EXPECT_TRUE(result.divergences.empty()) << "counted in nftables mode";
}

TEST(ShadowComparison, OnlyWhatStaysIsKept) {
  const auto difference = [](const char* address, const char* from) {
    return Difference{"default/web", tcp(address, 80), from, "here refused, kube-proxy dropped"};
  };
  Comparison first, second;
  first.differences = {difference("10.96.0.1", "a pod"), difference("10.96.0.2", "a pod")};
  second.differences = {difference("10.96.0.1", "a pod"), difference("10.96.0.1", "outside")};
  second.keep_only(first);
  ASSERT_EQ(second.differences.size(), 1u);
  EXPECT_EQ(second.differences[0].from, "a pod");
}

TEST(ShadowComparison, CountsAsPeopleWrite) {
  Comparison comparison;
  for (int i = 0; i < 12311; ++i) comparison.services.insert("default/s" + std::to_string(i));
  EXPECT_EQ(to_text(comparison), "12,311 services, 0 differences\n");
  Comparison one;
  one.services = {"default/a"};
  one.differences = {{"default/a", tcp("10.96.0.1", 80), "a pod", "x"}};
  EXPECT_EQ(to_text(one), "default/a 10.96.0.1:80/tcp, from a pod: x\n1 service, 1 difference\n");
}

TEST(ShadowTable, KnowsKubeProxysMapsAndForgetsWhatWasLearnt) {
  nft::TableContent table;
  const auto add = [&](const char* name, nft::Value key, bool dynamic) {
    nft::Set set;
    set.name = name;
    set.dynamic = dynamic;
    table.sets.push_back(set);
    nft::Element element;
    element.key = key;
    table.elements.push_back({element});
  };
  add("service-ips", nft::Value().concat(ip("10.96.0.1")).concat_u8(17).concat_be16(53), false);
  add("service-nodeports", nft::Value().concat_u8(6).concat_be16(30080), false);
  add("cluster-ips", nft::Value::of(ip("10.96.0.1")), false);
  add("nodeport-ips", nft::Value::of(ip("192.0.2.7")), false);
  add("affinity-x", nft::Value::of(ip("10.244.0.1")), true);
  forget_learnt(table);
  EXPECT_TRUE(table.elements[4].empty());
  EXPECT_EQ(table.elements[2].size(), 1u);
  EXPECT_THAT(node_addresses_of(table), ElementsAre(ip("192.0.2.7")));
  EXPECT_THAT(frontends_of(table),
              testing::UnorderedElementsAre(udp("10.96.0.1", 53),
                                            Frontend::node(Family::kIpv4, Protocol::kTcp, 30080)));
}

}  // namespace
}  // namespace fairlead::proxy
