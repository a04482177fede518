// SPDX-License-Identifier: Apache-2.0
// Beside kube-proxy, and in its place: shadow mode against rules in the kernel, and taking over
// from them while connections are made. The rules have the form of kube-proxy 1.36 in nftables
// mode.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>

#include "proxy/shadow_command.h"
#include "tests/kernel/proxy/cluster.h"

namespace fairlead::proxy {
namespace {

using namespace test;
using testing::HasSubstr;

// web: node port 30080, an endpoint here and one elsewhere. lb: 203.0.113.10 for sources in
// 198.51.100.0/24 and one pod. local: 203.0.113.11 and node port 30082 with externalTrafficPolicy
// Local. sticky: affinity. empty: no endpoints, node port 30084.
constexpr const char* kRules = R"(table ip kube-proxy {
  set cluster-ips {
    type ipv4_addr
    elements = { 10.96.0.1, 10.96.0.2, 10.96.0.3, 10.96.0.4, 10.96.0.5 }
  }
  set nodeport-ips {
    type ipv4_addr
    elements = { 192.0.2.1 }
  }
  set hairpin-connections {
    type ipv4_addr . ipv4_addr . inet_proto . inet_service
    elements = { 10.244.2.2 . 10.244.2.2 . tcp . 8080, 10.244.2.2 . 10.244.2.2 . udp . 8080 }
  }
  set affinity-a {
    type ipv4_addr
    flags dynamic,timeout
    timeout 3h
    elements = { 10.244.2.2, 198.51.100.77 }
  }
  set affinity-b {
    type ipv4_addr
    flags dynamic,timeout
    timeout 3h
  }
  map no-endpoint-services {
    type ipv4_addr . inet_proto . inet_service : verdict
    elements = { 10.96.0.5 . tcp . 80 : goto reject-chain }
  }
  map no-endpoint-nodeports {
    type inet_proto . inet_service : verdict
    elements = { tcp . 30084 : goto reject-chain }
  }
  map firewall-ips {
    type ipv4_addr . inet_proto . inet_service : verdict
    elements = { 203.0.113.10 . tcp . 80 : goto firewall-lb }
  }
  map service-ips {
    type ipv4_addr . inet_proto . inet_service : verdict
    elements = {
      10.96.0.1 . udp . 53 : goto service-dns, 10.96.0.1 . tcp . 80 : goto service-web, 10.96.0.2 . tcp . 80 : goto service-lb,
      10.96.0.3 . tcp . 80 : goto service-local, 10.96.0.4 . tcp . 80 : goto service-sticky,
      203.0.113.10 . tcp . 80 : goto external-lb, 203.0.113.11 . tcp . 80 : goto external-local
    }
  }
  map service-nodeports {
    type inet_proto . inet_service : verdict
    elements = { tcp . 30080 : goto external-web, tcp . 30082 : goto external-local }
  }
  chain filter-prerouting-pre-dnat {
    type filter hook prerouting priority -110; policy accept;
    ct state new jump firewall-check
  }
  chain filter-output-pre-dnat {
    type filter hook output priority -110; policy accept;
    ct state new jump firewall-check
  }
  chain filter-input {
    type filter hook input priority 0; policy accept;
    ct state new jump nodeport-endpoints-check
    ct state new jump service-endpoints-check
  }
  chain filter-forward {
    type filter hook forward priority 0; policy accept;
    ct state new jump service-endpoints-check
    ct state new jump cluster-ips-check
  }
  chain filter-output {
    type filter hook output priority 0; policy accept;
    ct state new jump service-endpoints-check
    ct state new jump cluster-ips-check
  }
  chain nat-prerouting {
    type nat hook prerouting priority -100; policy accept;
    jump services
  }
  chain nat-output {
    type nat hook output priority -100; policy accept;
    jump services
  }
  chain nat-postrouting {
    type nat hook postrouting priority 100; policy accept;
    jump masquerading
  }
  chain firewall-check {
    ip daddr . meta l4proto . th dport vmap @firewall-ips
  }
  chain firewall-lb {
    ip saddr != { 10.244.1.0/24, 198.51.100.0/24 } drop
  }
  chain service-endpoints-check {
    ip daddr . meta l4proto . th dport vmap @no-endpoint-services
  }
  chain nodeport-endpoints-check {
    ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports
  }
  chain cluster-ips-check {
    ip daddr @cluster-ips reject
    ip daddr { 10.96.0.0/16 } drop
  }
  chain reject-chain {
    reject
  }
  chain mark-for-masquerade {
    meta mark set meta mark | 0x00004000
  }
  chain masquerading {
    meta mark & 0x00004000 == 0x00004000 meta mark set meta mark ^ 0x00004000 masquerade fully-random
    ct status dnat ip saddr . ip daddr . meta l4proto . th dport @hairpin-connections masquerade fully-random
  }
  chain services {
    ip daddr @cluster-ips ip saddr != 10.244.0.0/15 jump mark-for-masquerade
    ip daddr . meta l4proto . th dport vmap @service-ips
    ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
  }
  chain service-web {
    meta l4proto tcp dnat ip addr . port to numgen random mod 2 map { 0 : 10.244.2.2 . 8080, 1 : 10.244.3.2 . 8080 }
  }
  chain service-dns {
    meta l4proto udp dnat ip addr . port to numgen random mod 2 map { 0 : 10.244.2.2 . 8080, 1 : 10.244.3.2 . 8080 }
  }
  chain external-web {
    jump mark-for-masquerade
    goto service-web
  }
  chain service-lb {
    meta l4proto tcp dnat ip addr . port to numgen random mod 2 map { 0 : 10.244.2.2 . 8080, 1 : 10.244.3.2 . 8080 }
  }
  chain external-lb {
    jump mark-for-masquerade
    goto service-lb
  }
  chain service-local {
    meta l4proto tcp dnat ip addr . port to numgen random mod 2 map { 0 : 10.244.2.2 . 8080, 1 : 10.245.4.2 . 8080 }
  }
  chain external-local {
    ip saddr 10.244.0.0/15 goto service-local
    fib saddr type local jump mark-for-masquerade
    fib saddr type local goto service-local
    goto local-local
  }
  chain local-local {
    meta l4proto tcp dnat ip addr . port to numgen random mod 1 map { 0 : 10.244.2.2 . 8080 }
  }
  chain service-sticky {
    ip saddr @affinity-a goto endpoint-a
    ip saddr @affinity-b goto endpoint-b
    numgen random mod 2 vmap { 0 : goto endpoint-a, 1 : goto endpoint-b }
  }
  chain endpoint-a {
    update @affinity-a { ip saddr }
    meta l4proto tcp dnat to 10.244.2.2:8080
  }
  chain endpoint-b {
    update @affinity-b { ip saddr }
    meta l4proto tcp dnat to 10.244.3.2:8080
  }
}
)";

void load(Cluster& cluster, const std::string& rules) {
  char path[] = "/tmp/fairlead-switch-XXXXXX";
  const int fd = mkstemp(path);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(write(fd, rules.data(), rules.size()), static_cast<ssize_t>(rules.size()));
  close(fd);
  cluster.at("node").must("nft -f " + std::string(path));
  std::filesystem::remove(path);
}

void put_services(ObjectSink& sink) {
  kube::Service web = service("web", {"10.96.0.1"}, {"http 80/TCP 30080", "dns 53/UDP"});
  kube::Service lb = service("lb", {"10.96.0.2"}, {"http 80/TCP"});
  lb.load_balancer_ingress = {{ip("203.0.113.10")}};
  lb.load_balancer_source_ranges = {cidr("198.51.100.0/24"), cidr("10.244.1.0/24")};
  kube::Service local = service("local", {"10.96.0.3"}, {"http 80/TCP 30082"});
  local.load_balancer_ingress = {{ip("203.0.113.11")}};
  local.external_traffic_policy = kube::TrafficPolicy::kLocal;
  kube::Service sticky = service("sticky", {"10.96.0.4"}, {"http 80/TCP"});
  sticky.affinity_timeout_seconds = 10800;
  const kube::Service empty = service("empty", {"10.96.0.5"}, {"http 80/TCP 30084"});
  for (const kube::Service& one : {web, lb, local, sticky, empty}) sink.put(one);
  for (const char* name : {"web", "lb", "sticky"})
    sink.put(
        slice(name, {"10.244.2.2 @node", "10.244.3.2 @other"}, {"http 8080/TCP", "dns 8080/UDP"}));
  sink.put(slice("local", {"10.244.2.2 @node", "10.245.4.2 @other"}, {"http 8080/TCP"}));
}

Config v4_config() {
  Config config;
  config.cluster_cidrs = {cidr("10.244.0.0/15")};
  config.service_cidrs = {cidr("10.96.0.0/16")};
  return config;
}

kube::Node this_node() {
  kube::Node node;
  node.meta.name = "node";
  node.internal_ips = {ip("192.0.2.1")};
  return node;
}

class ShadowMode : public testing::Test {
 protected:
  Result<std::unique_ptr<Shadow>> open(std::vector<std::string> files = {}) {
    ShadowSettings settings;
    settings.node_name = "node";
    settings.families = {v4_config()};
    settings.rules_files = std::move(files);
    settings.settle = std::chrono::milliseconds(300);
    settings.look_again = std::chrono::milliseconds(100);
    const auto inside = cluster_.at("node").enter();
    return Shadow::open(cluster_.loop(), std::move(settings));
  }
  // What it prints.
  std::string look(Shadow& shadow) {
    EXPECT_TRUE(cluster_.run_until([&] { return shadow.ready(); }));
    const Result<Comparison> result = shadow.compare();
    return result.ok() ? to_text(*result) : result.error().message();
  }
  std::unique_ptr<Shadow> started() {
    auto shadow = open();
    EXPECT_TRUE(shadow.ok()) << shadow.error().message();
    (*shadow)->set_node(this_node());
    put_services(**shadow);
    (*shadow)->start();
    return std::move(*shadow);
  }
  void nft(const std::string& command) { cluster_.at("node").must("nft '" + command + "'"); }

  Cluster cluster_;
};

TEST_F(ShadowMode, FindsNothingWhereBothDecideAlike) {
  load(cluster_, kRules);
  const auto shadow = started();
  const auto rules = [&] { return cluster_.at("node").must("nft --terse --handle list ruleset"); };
  const std::string before = rules();
  EXPECT_EQ(look(*shadow), "5 services, 0 differences\n");
  EXPECT_EQ(rules(), before) << "shadow mode programs nothing";
}

TEST_F(ShadowMode, NamesTheServiceThatIsDecidedOtherwise) {
  load(cluster_, kRules);
  const auto shadow = started();
  nft("flush chain ip kube-proxy endpoint-b");
  nft("add rule ip kube-proxy endpoint-b meta l4proto tcp dnat to 10.244.9.9:8080");
  const std::string changed = look(*shadow);
  EXPECT_THAT(changed, HasSubstr("default/sticky 10.96.0.4:80/tcp, from a pod"));
  EXPECT_THAT(changed, HasSubstr("only here to 10.244.3.2:8080, only kube-proxy to 10.244.9.9"));
  EXPECT_THAT(changed, Not(HasSubstr("default/web")));
  EXPECT_THAT(changed, HasSubstr("5 services, 4 differences\n"));

  nft("flush chain ip kube-proxy endpoint-b");
  nft("add rule ip kube-proxy endpoint-b meta l4proto tcp dnat to 10.244.3.2:8080");
  nft("delete element ip kube-proxy nodeport-ips { 192.0.2.1 }");
  EXPECT_THAT(look(*shadow), HasSubstr("default/empty node port 30084/tcp (IPv4)"));
  nft("add element ip kube-proxy nodeport-ips { 192.0.2.99 }");
  EXPECT_THAT(look(*shadow), HasSubstr("from outside to 192.0.2.99: here passed, kube-proxy "));
  nft("delete element ip kube-proxy nodeport-ips { 192.0.2.99 }");
  nft("add element ip kube-proxy nodeport-ips { 192.0.2.1 }");

  nft("flush set ip kube-proxy hairpin-connections");
  EXPECT_THAT(look(*shadow), HasSubstr("from endpoint 10.244.2.2 itself"));
}

TEST_F(ShadowMode, WaitsForTheSlowerSide) {
  load(cluster_, kRules);
  const auto shadow = started();
  nft("delete element ip kube-proxy service-ips { 10.96.0.1 . tcp . 80 }");
  const Alarm late = cluster_.loop().clock().after(std::chrono::milliseconds(50), [this] {
    nft("add element ip kube-proxy service-ips { 10.96.0.1 . tcp . 80 : goto service-web }");
  });
  EXPECT_EQ(look(*shadow), "5 services, 0 differences\n");
}

TEST_F(ShadowMode, SaysWhatKubeProxyAloneHas) {
  load(cluster_, kRules);
  const auto shadow = started();
  shadow->remove_service({"default", "web"});
  EXPECT_THAT(look(*shadow), HasSubstr("(only kube-proxy) 10.96.0.1:80/tcp, from a pod"));
}

TEST_F(ShadowMode, NeedsAKubeProxy) {
  const auto without = open();
  ASSERT_FALSE(without.ok());
  EXPECT_THAT(without.error().message(), HasSubstr("neither a table ip kube-proxy"));
  const auto no_file = open({"/nowhere/rules"});
  ASSERT_FALSE(no_file.ok());
  EXPECT_THAT(no_file.error().message(), HasSubstr("/nowhere/rules"));
}

// A client that keeps its socket.
class Flow {
 public:
  explicit Flow(Cluster& cluster) {
    const auto inside = cluster.at("client").enter();
    sockaddr_storage storage{};
    const socklen_t length = SocketAddress{ip("10.96.0.1"), 53}.to_sockaddr(storage);
    fd_.reset(new int(new_udp_socket(AF_INET)));
    EXPECT_EQ(connect(*fd_, reinterpret_cast<sockaddr*>(&storage), length), 0);
  }
  // Who answers.
  std::string ask() {
    char buffer[128];
    (void)!send(*fd_, "?", 1, 0);
    pollfd one{*fd_, POLLIN, 0};
    if (poll(&one, 1, 2500) <= 0) return "silence";
    const ssize_t got = recv(*fd_, buffer, sizeof buffer, 0);
    return got < 0 ? "error" : std::string(buffer, static_cast<size_t>(got));
  }

 private:
  struct Close {
    void operator()(int* fd) const {
      close(*fd);
      delete fd;
    }
  };
  std::unique_ptr<int, Close> fd_;
};

TEST(Row30_TakingOver, FailsNoConnection) {
  Cluster cluster;
  load(cluster, kRules);
  cluster.at("node").must("nft add table ip6 kube-proxy");
  cluster.start_proxy([](Config& config) { config.take_over_from = {kKubeProxyTable}; });
  cluster.proxy().set_node(this_node());
  put_services(cluster.proxy());
  ASSERT_EQ(cluster.tcp("client", "10.96.0.1:80").refused, false) << "kube-proxy's rules work";

  // Flows from before stay where they are.
  std::vector<Flow> flows;
  for (int i = 0; i < 12; ++i) flows.emplace_back(cluster);
  std::vector<std::string> before, after;
  for (Flow& flow : flows) before.push_back(flow.ask());

  std::atomic<bool> stop{false};
  std::atomic<int> made{0}, failed{0};
  std::thread client([&] {
    const auto inside = cluster.at("client").enter();
    while (!stop) (ask(SOCK_STREAM, "10.96.0.1:80", 2500).reached.empty() ? failed : made) += 1;
  });
  EXPECT_TRUE(cluster.run_until([&] { return made > 50; }));
  cluster.proxy().start();
  cluster.settle();
  const int at_switch = made;
  EXPECT_TRUE(cluster.run_until([&] { return made > at_switch + 50; }));
  stop = true;
  client.join();
  EXPECT_EQ(failed, 0) << "of " << made;

  for (Flow& flow : flows) after.push_back(flow.ask());
  EXPECT_EQ(after, before);
  // Whichever family was loaded first is listed first.
  EXPECT_THAT(cluster.at("node").must("nft list tables"),
              testing::AnyOf("table ip fairlead\ntable ip6 fairlead\n",
                             "table ip6 fairlead\ntable ip fairlead\n"));
}

TEST(Row30_TakingOver, HappensOnlyWhenAskedForAndLaterToo) {
  Cluster cluster;
  load(cluster, kRules);
  cluster.start_proxy();
  cluster.proxy().start();
  cluster.settle();
  EXPECT_THAT(cluster.list_ruleset(), HasSubstr("table ip kube-proxy"));
  cluster.stop_proxy();
  cluster.start_proxy([](Config& config) { config.take_over_from = {kKubeProxyTable}; });
  cluster.proxy().start();
  cluster.settle();
  EXPECT_THAT(cluster.list_ruleset(), Not(HasSubstr("kube-proxy")));
  EXPECT_THAT(cluster.list_ruleset(), HasSubstr("hook prerouting"));
}

// As iptables-nft makes them for kube-proxy's iptables mode, with what others have in its tables.
constexpr const char* kIptablesMode = R"(table ip nat {
  chain KUBE-MARK-MASQ {
    counter meta mark set meta mark | 0x00004000
  }
  chain KUBE-SEP-A {
    meta l4proto tcp counter dnat to 10.244.3.2:8080
  }
  chain KUBE-SVC-OLD {
    ip saddr != 10.244.0.0/16 ip daddr 10.96.9.9 tcp dport 80 counter jump KUBE-MARK-MASQ
    counter jump KUBE-SEP-A
  }
  chain KUBE-NODEPORTS {
    tcp dport 30099 counter jump KUBE-SVC-OLD
  }
  chain KUBE-SERVICES {
    ip daddr 10.96.9.9 tcp dport 80 counter jump KUBE-SVC-OLD
    fib daddr type local counter jump KUBE-NODEPORTS
  }
  chain KUBE-POSTROUTING {
    meta mark & 0x00004000 != 0x00004000 counter return
    counter masquerade fully-random
  }
  chain DOCKER {
    tcp dport 8081 counter dnat to 10.244.2.2:8080
  }
  chain PREROUTING {
    type nat hook prerouting priority dstnat; policy accept;
    counter jump KUBE-SERVICES
    fib daddr type local counter jump DOCKER
  }
  chain OUTPUT {
    type nat hook output priority -100; policy accept;
    counter jump KUBE-SERVICES
  }
  chain POSTROUTING {
    type nat hook postrouting priority srcnat; policy accept;
    counter jump KUBE-POSTROUTING
  }
}
table ip filter {
  chain KUBE-FIREWALL { }
  chain KUBE-EXTERNAL-SERVICES {
    fib daddr type local tcp dport 30084 counter reject
  }
  chain INPUT {
    type filter hook input priority filter; policy accept;
    ct state new counter jump KUBE-EXTERNAL-SERVICES
    counter jump KUBE-FIREWALL
  }
}
)";

std::string chains_of(Cluster& cluster) {
  return cluster.at("node").must("nft list ruleset | grep -Eo 'chain [A-Z]+[-A-Z]*' | sort");
}

TEST(Row30_TakingOver, AKubeProxyThatComesBackIsNoticed) {
  Cluster cluster;
  cluster.start_proxy([](Config& config) { config.take_over_from = {kKubeProxyTable}; });
  cluster.proxy().start();
  cluster.settle();
  cluster.at("node").must("nft add table ip nat");
  cluster.at("node").must("nft 'add chain ip nat KUBE-MARK-MASQ'");
  cluster.settle();
  EXPECT_FALSE(cluster.proxy().kube_proxy_beside()) << "the kubelet makes that too";
  cluster.at("node").must("nft 'add chain ip nat KUBE-SERVICES'");
  EXPECT_TRUE(cluster.run_until([&] { return cluster.proxy().kube_proxy_beside(); }));
  cluster.stop_proxy();
  cluster.start_proxy();
  cluster.proxy().start();
  cluster.settle();
  cluster.at("node").must("nft add table ip6 kube-proxy");
  EXPECT_TRUE(cluster.run_until([&] { return cluster.proxy().kube_proxy_beside(); }));
}

TEST(Row30_TakingOver, IptablesRulesGoAndThoseOfOthersStay) {
  Cluster cluster;
  load(cluster, kIptablesMode);
  EXPECT_EQ(cluster.tcp("outside", "192.0.2.1:30099").refused, false);
  EXPECT_NE(cluster.tcp("outside", "192.0.2.1:30099").reached, "");
  cluster.start_proxy([](Config& config) { config.take_over_from = {kKubeProxyTable}; });
  cluster.proxy().set_node(this_node());
  put_services(cluster.proxy());
  cluster.proxy().start();
  cluster.settle();
  EXPECT_EQ(chains_of(cluster),
            "chain DOCKER\nchain INPUT\nchain KUBE-FIREWALL\nchain KUBE-MARK-MASQ\nchain OUTPUT\n"
            "chain POSTROUTING\nchain PREROUTING\n");
  EXPECT_THAT(cluster.list_ruleset(), HasSubstr("jump DOCKER"));
  EXPECT_THAT(cluster.list_ruleset(), HasSubstr("jump KUBE-FIREWALL"));
  EXPECT_THAT(cluster.list_ruleset(), Not(HasSubstr("KUBE-S")));
  EXPECT_EQ(cluster.tcp("outside", "192.0.2.1:30099").reached, "") << "nobody's any more";
  EXPECT_NE(cluster.tcp("outside", "192.0.2.1:8081").reached, "") << "Docker's";
  EXPECT_NE(cluster.tcp("outside", "192.0.2.1:30080").reached, "") << "ours";
}

TEST(Row30_TakingOver, AChainThatSomebodyElseUsesStaysEmpty) {
  Cluster cluster;
  load(cluster, kIptablesMode);
  cluster.at("node").must("nft 'add rule ip nat DOCKER tcp dport 8082 goto KUBE-SVC-OLD'");
  cluster.start_proxy([](Config& config) { config.take_over_from = {kKubeProxyTable}; });
  cluster.proxy().set_node(this_node());
  put_services(cluster.proxy());
  cluster.proxy().start();
  cluster.settle();
  EXPECT_THAT(cluster.list_ruleset(), HasSubstr("goto KUBE-SVC-OLD"));
  const auto lines_with = [&](const std::string& text) {
    return cluster.at("node").must("nft list ruleset | grep -c '" + text + "' || true");
  };
  EXPECT_EQ(lines_with("jump KUBE-S"), "0\n");
  EXPECT_EQ(lines_with("dnat to 10.244.3.2"), "0\n") << "its chains are empty";
  EXPECT_EQ(cluster.tcp("outside", "192.0.2.1:30099").reached, "");
  EXPECT_NE(cluster.tcp("outside", "192.0.2.1:30080").reached, "");
  EXPECT_TRUE(cluster.proxy().check().ok()) << "what cannot be removed is no failure of ours";
}

}  // namespace
}  // namespace fairlead::proxy
