// SPDX-License-Identifier: Apache-2.0
#include "proxy/ruleset.h"

#include <gtest/gtest.h>

#include "proxy/adopt.h"
#include "tests/unit/proxy/objects.h"

namespace fairlead::proxy {
namespace {

using namespace test;

Config cluster() {
  Config config;
  config.cluster_cidrs = {cidr("10.244.0.0/16")};
  return config;
}

Parameters parameters() {
  return {{cidr("10.96.0.0/16")}, {ip("192.0.2.9")}};
}

Ruleset with_services(const Config& config) {
  Ruleset ruleset(config, parameters());
  Target web = target({"10.244.0.1:8080", "10.244.1.1:8080", "10.244.1.2:8080"});
  web.backends[0].local = true;
  settle(ruleset, tcp("10.96.0.1", 80), web);
  settle(ruleset, udp("10.96.0.10", 53), target({"10.244.0.2:53"}));
  settle(ruleset, tcp("10.96.0.11", 80), target({}));
  settle(ruleset, Frontend::node(Family::kIpv4, Protocol::kTcp, 30080),
         target(web.backends, false));
  settle(ruleset, Frontend::node(Family::kIpv4, Protocol::kTcp, 30081), target({}, false));
  return ruleset;
}

std::string chain_text(const Ruleset& ruleset, const nft::Chain& chain) {
  std::string text;
  for (const nft::Rule& rule : ruleset.rules(chain)) text += nft::to_nft(rule) + "\n";
  return text;
}

std::string base_text(const Ruleset& ruleset, const std::string& name) {
  for (const nft::Chain& chain : ruleset.base_chains())
    if (chain.name == name) return nft::to_nft(chain, ruleset.rules(chain));
  return "no such chain";
}

TEST(Ruleset, ElementsOfServices) {
  const Ruleset ruleset = with_services(cluster());
  const std::string text = ruleset.text();
  const auto lists = [&](const std::string& line) { return text.find(line) != std::string::npos; };
  EXPECT_TRUE(lists("10.96.0.1 . tcp . 80 counter packets 0 bytes 0 : goto sel_3")) << text;
  EXPECT_TRUE(lists("10.96.0.1 . tcp . 80 . 2 : 10.244.1.2 . 8080")) << text;
  EXPECT_TRUE(lists("10.96.0.10 . udp . 53 counter packets 0 bytes 0 : goto sel_1")) << text;
  EXPECT_TRUE(lists("10.96.0.11 . tcp . 80 counter packets 0 bytes 0 : goto refuse")) << text;
  EXPECT_TRUE(lists("tcp . 30080 counter packets 0 bytes 0 : goto node_ext_3")) << text;
  EXPECT_TRUE(lists("tcp . 30081 counter packets 0 bytes 0 : goto refuse")) << text;
  EXPECT_TRUE(lists("10.244.0.1 . 10.244.0.1 . tcp . 8080")) << text;
  EXPECT_FALSE(lists("10.244.1.1 . 10.244.1.1")) << "hairpin of an endpoint elsewhere\n" << text;
}

TEST(Ruleset, TheWayOfAPacket) {
  const Ruleset ruleset = with_services(cluster());
  EXPECT_EQ(base_text(ruleset, "prerouting"),
            "\tchain prerouting {\n"
            "\t\ttype nat hook prerouting priority dstnat; policy accept;\n"
            "\t\tip daddr . meta l4proto . th dport vmap @svc\n"
            "\t\tip daddr 10.96.0.0/16 goto missed\n"
            "\t\tip daddr 192.0.2.9 goto node_ports\n"
            "\t}\n");
  EXPECT_EQ(chain_text(ruleset, ruleset.chain("node_ports")),
            "meta l4proto . th dport vmap @node_svc\n");
  EXPECT_EQ(chain_text(ruleset, ruleset.chain("missed")),
            "ip daddr @vips goto refuse\n"
            "fib daddr type local return\n"
            "drop\n");
  EXPECT_EQ(chain_text(ruleset, ruleset.chain("refuse")), "reject\n");
  EXPECT_EQ(chain_text(ruleset, ruleset.chain("sel_1")),
            "ip saddr != 10.244.0.0/16 meta mark set meta mark | 0x00004000\n"
            "dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 1 map @ep\n"
            "dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 1 map @ep\n"
            "drop\n");
  EXPECT_EQ(ruleset.rules(ruleset.chain("sel_3")).size(), 1u + 1u + 2u) << "never misses";
  EXPECT_EQ(ruleset.rules(ruleset.chain("sel_5")).size(), 1u + kDraws + 2u);
  const std::string node = chain_text(ruleset, ruleset.chain("node_ext_3"));
  EXPECT_EQ(node.substr(0, node.find("dnat")), "meta mark set meta mark | 0x00004000\n");
  EXPECT_EQ(base_text(ruleset, "postrouting"),
            "\tchain postrouting {\n"
            "\t\ttype nat hook postrouting priority srcnat - 1; policy accept;\n"
            "\t\tmeta mark & 0x00004000 != 0x00000000 goto masq\n"
            "\t\tct status dnat ip saddr . ip daddr . meta l4proto . th dport @hairpin masquerade "
            "fully-random\n"
            "\t}\n");
  EXPECT_EQ(chain_text(ruleset, ruleset.chain("masq")),
            "meta mark set meta mark & 0xffffbfff\n"
            "masquerade fully-random\n");
}

TEST(Ruleset, WithoutServiceRangeOnlyKnownAddressesAreOurs) {
  Config config;
  EXPECT_EQ(chain_text(Ruleset(config), Ruleset(config).chain("prerouting")),
            "ip daddr . meta l4proto . th dport vmap @svc\n"
            "ip daddr @vips goto missed\n");
  Ruleset ruleset(config);
  settle(ruleset, tcp("10.96.0.1", 80), target({"10.0.0.1:80"}));
  EXPECT_EQ(chain_text(ruleset, ruleset.chain("sel_1")).substr(0, 4), "dnat")
      << "no cluster CIDR: nobody is known to be outside, nobody is masqueraded";
}

TEST(Ruleset, MasqueradeAll) {
  Config config = cluster();
  config.masquerade_all = true;
  config.masquerade_mark = 1u << 20;
  const Ruleset ruleset = with_services(config);
  const std::string text = chain_text(ruleset, ruleset.chain("sel_1"));
  EXPECT_EQ(text.substr(0, text.find('\n')), "meta mark set meta mark | 0x00100000");
}

TEST(Ruleset, LookupsAreRepeatedWhereTheKernelMayMiss) {
  Config config = cluster();
  config.repeat_lookups = true;
  const Ruleset ruleset(config, parameters());
  EXPECT_EQ(chain_text(ruleset, ruleset.chain("prerouting")),
            "ip daddr . meta l4proto . th dport vmap @svc\n"
            "ip daddr . meta l4proto . th dport vmap @svc\n"
            "ip daddr 10.96.0.0/16 goto missed\n"
            "ip daddr 192.0.2.9 goto node_ports\n");
  EXPECT_EQ(chain_text(ruleset, ruleset.chain("node_ports")),
            "meta l4proto . th dport vmap @node_svc\n"
            "meta l4proto . th dport vmap @node_svc\n");
}

TEST(Ruleset, ExternalTrafficPolicyLocal) {
  Ruleset ruleset(cluster(), parameters());
  settle(ruleset, tcp("198.51.100.1", 80),
         local_target({"10.244.0.1:8080"}, {"10.244.0.1:8080", "10.244.1.1:8080"}));
  EXPECT_EQ(chain_text(ruleset, ruleset.chain("local_1_2")),
            "ip saddr 10.244.0.0/16 goto inside_2\n"
            "fib saddr type local meta mark set meta mark | 0x00004000\n"
            "fib saddr type local goto inside_2\n"
            "dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 1 map @ep\n"
            "dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 1 map @ep\n"
            "drop\n");
  EXPECT_EQ(chain_text(ruleset, ruleset.chain("inside_2")),
            "dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 2 map @inside_ep\n"
            "dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 1 map @inside_ep\n"
            "drop\n");
  settle(ruleset, tcp("198.51.100.1", 80), local_target({}, {"10.244.1.1:8080"}));
  const std::string none_here = chain_text(ruleset, ruleset.chain("local_0_1"));
  EXPECT_EQ(none_here.substr(none_here.rfind("goto")), "goto inside_1\ndrop\n");
}

TEST(Ruleset, PodsKnownByTheirInterface) {
  Config config;
  config.bridge_interface = "cni0";
  Ruleset ruleset(config);
  settle(ruleset, tcp("10.96.0.1", 80), target({"10.244.0.1:80"}));
  settle(ruleset, tcp("198.51.100.1", 80), local_target({}, {"10.244.1.1:8080"}));
  EXPECT_EQ(chain_text(ruleset, ruleset.chain("sel_1")).substr(0, 24),
            "iifname != \"cni0\" meta m");
  EXPECT_EQ(chain_text(ruleset, ruleset.chain("local_0_1")).substr(0, 28),
            "iifname \"cni0\" goto inside_1");
  config.bridge_interface.clear();
  config.interface_prefix = "cali";
  Ruleset prefixed(config);
  settle(prefixed, tcp("10.96.0.1", 80), target({"10.244.0.1:80"}));
  EXPECT_EQ(chain_text(prefixed, prefixed.chain("sel_1")).substr(0, 25),
            "iifname != \"cali*\" meta m");
}

TEST(Ruleset, Affinity) {
  Parameters with_affinity = parameters();
  with_affinity.affinity = true;
  Ruleset ruleset(cluster(), with_affinity);
  Target sticky = local_target({"10.244.0.1:8080"}, {"10.244.0.1:8080", "10.244.1.1:8080"});
  sticky.affinity = 0xab;
  sticky.affinity_seconds = 3600;
  settle(ruleset, tcp("198.51.100.1", 80), sticky);
  const std::string local = chain_text(ruleset, ruleset.chain("local_1_2_a00000000000000ab"));
  EXPECT_NE(local.find("goto inside_2_a00000000000000aa\n"
                       "dnat ip to ip saddr . meta l4proto map @aff_00000000000000ab\n"
                       "dnat ip to ip daddr . meta"),
            std::string::npos)
      << local;
  EXPECT_EQ(
      chain_text(ruleset, ruleset.chain("learn_3600_a00000000000000aa")),
      "update @aff_00000000000000aa { ip saddr . meta l4proto timeout 1h : ip daddr . th dport "
      "}\n");
  EXPECT_EQ(chain_text(ruleset, ruleset.chain("split_3600_a00000000000000ab")),
            "ip saddr 10.244.0.0/16 goto learn_3600_a00000000000000aa\n"
            "fib saddr type local goto learn_3600_a00000000000000aa\n"
            "goto learn_3600_a00000000000000ab\n");
  EXPECT_EQ(chain_text(ruleset, ruleset.chain("learn")),
            "meta l4proto tcp ct original ip daddr . meta l4proto . ct original proto-dst vmap "
            "@learn\n"
            "meta l4proto udp ct original ip daddr . meta l4proto . ct original proto-dst vmap "
            "@learn\n"
            "meta l4proto sctp ct original ip daddr . meta l4proto . ct original proto-dst vmap "
            "@learn\n"
            "ct original ip daddr 192.0.2.9 goto learn_node\n");
  EXPECT_NE(base_text(ruleset, "postrouting").find("ct status dnat jump learn\n"),
            std::string::npos);
  EXPECT_EQ(base_text(Ruleset(cluster(), parameters()), "postrouting").find("learn"),
            std::string::npos)
      << "only while some service has affinity";
}

// To the rules a socket of this node is the one endpoint, which keeps every source; and nobody
// comes there by its own address.
TEST(Ruleset, Relayed) {
  ServiceMap services("here");
  services.put(service("web", {"10.96.0.1"}, {"http 80/TCP 30080"}));
  services.put(slice("web", {"10.244.0.1 @here", "10.244.1.1 @there"}, {"http 8080/TCP"}));
  const Frontend web = tcp("10.96.0.1", 80);
  const Frontend node = Frontend::node(Family::kIpv4, Protocol::kTcp, 30080);
  services.set_relay(web, SocketAddress{ip("192.0.2.1"), 40000});
  services.set_relay(node, SocketAddress{ip("192.0.2.1"), 40001});
  Ruleset ruleset(cluster(), parameters());
  settle(ruleset, services);
  const std::string text = ruleset.text();
  const auto lists = [&](const std::string& line) { return text.find(line) != std::string::npos; };
  EXPECT_TRUE(lists("10.96.0.1 . tcp . 80 counter packets 0 bytes 0 : goto relay_1")) << text;
  EXPECT_TRUE(lists("10.96.0.1 . tcp . 80 . 0 : 192.0.2.1 . 40000")) << text;
  EXPECT_TRUE(lists("tcp . 30080 counter packets 0 bytes 0 : goto node_relay_1")) << text;
  EXPECT_TRUE(lists("192.0.2.1 . tcp . 40000 counter packets 0 bytes 0 : drop")) << text;
  EXPECT_TRUE(lists("192.0.2.1 . tcp . 40001 counter packets 0 bytes 0 : drop")) << text;
  EXPECT_FALSE(lists("10.244.0.1 . 10.244.0.1")) << "hairpin\n" << text;
  const Packet outside{ip("198.51.100.9"), web.address, Protocol::kTcp, 80, false, "eth0"};
  EXPECT_EQ(trace(ruleset, outside).to_string(), "balanced to 192.0.2.1:40000");
  Packet door = outside;
  door.destination = ip("192.0.2.1");
  door.port = 40000;
  EXPECT_EQ(trace(ruleset, door).to_string(), "dropped");
  services.set_relay(web, std::nullopt);
  settle(ruleset, services);
  EXPECT_EQ(trace(ruleset, outside).ends.size(), 2u);
  EXPECT_EQ(trace(ruleset, door).to_string(), "dropped");
}

TEST(Ruleset, SourceRanges) {
  Ruleset ruleset(cluster(), parameters());
  Target guarded = target({"10.244.0.1:8080"}, false);
  guarded.guard = 0xab;
  guarded.ranges = std::make_shared<const std::vector<Cidr>>(
      std::vector{cidr("192.0.2.0/24"), cidr("198.51.100.1/32")});
  settle(ruleset, tcp("198.51.100.1", 80), guarded);
  EXPECT_EQ(chain_text(ruleset, ruleset.chain("ext_1_g00000000000000ab")),
            "ip saddr 192.0.2.0/24 goto ext_1\n"
            "ip saddr 198.51.100.1 goto ext_1\n"
            "drop\n");
  guarded.backends.clear();
  guarded.treatment = Treatment::kRefuse;
  settle(ruleset, tcp("198.51.100.1", 80), guarded);
  EXPECT_EQ(chain_text(ruleset, ruleset.chain("refuse_g00000000000000ab")),
            "ip saddr 192.0.2.0/24 goto refuse\n"
            "ip saddr 198.51.100.1 goto refuse\n"
            "drop\n");
}

struct NameCase {
  const char* name;
  std::optional<Choice> choice;
};
const NameCase kNames[] = {
    {"sel_8", Choice{false, Treatment::kCluster, 8, 0, 0, 0}},
    {"sel_12", Choice{false, Treatment::kCluster, 12, 0, 0, 0}},
    {"node_ext_1", Choice{true, Treatment::kExternal, 1, 0, 0, 0}},
    {"local_0_16", Choice{false, Treatment::kLocal, 0, 16, 0, 0}},
    {"node_inside_2", Choice{true, Treatment::kInside, 2, 0, 0, 0}},
    {"sel_4_a0123456789abcdef", Choice{false, Treatment::kCluster, 4, 0, 0, 0x0123456789abcdef}},
    {"local_1_2_a00000000000000ff_g0000000000000001",
     Choice{false, Treatment::kLocal, 1, 2, 1, 0xff}},
    {"learn_60_a00000000000000ff", Choice{false, Treatment::kLearn, 60, 0, 0, 0xff}},
    {"split_60_a00000000000000ff", Choice{false, Treatment::kSplit, 60, 0, 0, 0xff}},
    {"refuse_g00000000000000ab", Choice{false, Treatment::kRefuse, 0, 0, 0xab, 0}},
    {"relay_1", Choice{false, Treatment::kRelay, 1, 0, 0, 0}},
    {"node_relay_1", Choice{true, Treatment::kRelay, 1, 0, 0, 0}},
    {"relay_1_g00000000000000ab", Choice{false, Treatment::kRelay, 1, 0, 0xab, 0}},
    {"relay_2", std::nullopt},
    {"relay_1_a00000000000000ab", std::nullopt},
    {"node_refuse_g00000000000000ab", std::nullopt},
    {"refuse_a00000000000000ab", std::nullopt},
    {"refuse_8", std::nullopt},
    {"learn_60", std::nullopt},
    {"learn_0_a00000000000000ff", std::nullopt},
    {"node_learn_60_a00000000000000ff", std::nullopt},
    {"learn", std::nullopt},
    {"refuse", std::nullopt},
    {"sel_", std::nullopt},
    {"sel_11", std::nullopt},
    {"sel_9", std::nullopt},
    {"sel_4294967295", std::nullopt},
    {"sel_0", std::nullopt},
    {"sel_08", std::nullopt},
    {"sel_8x", std::nullopt},
    {"local_4", std::nullopt},
    {"ext_8_g", std::nullopt},
    {"ext_8_g0000000000000000", std::nullopt},
    {"ext_8_g00000000000000AB", std::nullopt},
    {"ext_8_gab", std::nullopt},
    {"services", std::nullopt},
    {"", std::nullopt},
};

TEST(Choice, NamesSayEverything) {
  for (const NameCase& c : kNames) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(parse_choice(c.name), c.choice);
    if (c.choice) EXPECT_EQ(c.choice->name(), c.name);
  }
}

TEST(Ruleset, LocalDnsIsNotTrackedAndHasNoNodePorts) {
  Config config = cluster();
  config.local_dns = {ip("10.96.0.10")};
  const Ruleset ruleset(config, parameters());
  EXPECT_EQ(base_text(ruleset, "raw_output"),
            "\tchain raw_output {\n"
            "\t\ttype filter hook output priority raw; policy accept;\n"
            "\t\tip daddr . meta l4proto . th dport @local_dns notrack\n"
            "\t\tip saddr . meta l4proto . th sport @local_dns notrack\n"
            "\t}\n");
  const std::string hook = chain_text(ruleset, ruleset.chain("prerouting"));
  EXPECT_NE(hook.find("ip daddr 10.96.0.10 return\nip daddr 192.0.2.9 goto node_ports\n"),
            std::string::npos);
  EXPECT_EQ(Ruleset(cluster()).text().find("raw"), std::string::npos)
      << "only where it is asked for";
}

TEST(Ruleset, Ipv6) {
  Config config;
  config.family = Family::kIpv6;
  config.cluster_cidrs = {cidr("fd00:10::/64")};
  Ruleset ruleset(config);
  settle(ruleset, tcp("fd00:96::1", 80), target({"[fd00:10::1]:8080"}));
  const std::string text = ruleset.text();
  EXPECT_NE(text.find("fd00:96::1 . tcp . 80 . 0 : fd00:10::1 . 8080"), std::string::npos) << text;
  EXPECT_NE(
      chain_text(ruleset, ruleset.chain("sel_1"))
          .find("dnat ip6 to ip6 daddr . meta l4proto . th dport . numgen random mod 1 map @ep"),
      std::string::npos);
}

TEST(Ruleset, Choices) {
  const std::pair<size_t, uint32_t> cases[] = {
      {0, 0},  {1, 1},   {2, 2},   {3, 3},   {4, 5},   {5, 6},     {7, 8},     {8, 10},
      {9, 10}, {11, 12}, {12, 14}, {15, 16}, {16, 20}, {100, 112}, {127, 128}, {128, 160}};
  for (const auto& [endpoints, choices] : cases) EXPECT_EQ(choices_for(endpoints), choices);
  for (size_t endpoints = 1; endpoints < 5000; ++endpoints) {
    const uint32_t choices = choices_for(endpoints);
    EXPECT_GE(5 * endpoints, 4 * choices) << endpoints;
    EXPECT_TRUE(choices_will_do(choices, endpoints)) << endpoints;
    EXPECT_EQ(choices_will_do(choices, endpoints + 1), endpoints > kExact) << endpoints;
    EXPECT_FALSE(choices_will_do(choices, choices + 1)) << endpoints;
    EXPECT_FALSE(choices_will_do(choices, choices / 2)) << endpoints;
  }
  double draws = 0;  // as docs/nftables.md has it
  for (size_t endpoints = 1; endpoints <= 1024; ++endpoints)
    draws += static_cast<double>(choices_for(endpoints)) / static_cast<double>(endpoints) / 1024;
  EXPECT_NEAR(draws, 1.09, 0.01);
}

// ---- what the kernel has, read back ----

std::pair<Ruleset, Repairs> adopt(const Config& config, nft::TableContent content) {
  const auto elements = std::move(content.elements);
  const ServiceMap services("");
  Adopter adopter(config, parameters(), services, std::move(content));
  for (size_t set = 0; set < elements.size(); ++set)
    for (const nft::Element& element : elements[set]) adopter.element(set, element);
  return adopter.finish();
}

TEST(Adopt, ReadsBackWhatWasWritten) {
  Config config = cluster();
  config.local_dns = {ip("10.96.0.10")};
  Ruleset ruleset = with_services(config);
  for (const Operation& operation : diff_local_dns(ruleset, true)) ruleset.apply(operation);
  const auto [adopted, repairs] = adopt(config, ruleset.content());
  EXPECT_TRUE(repairs.empty());
  EXPECT_EQ(adopted.text(), ruleset.text());
  for (const SetId id : adopted.sets()) EXPECT_EQ(adopted.state(id).used, ruleset.state(id).used);
  EXPECT_EQ(adopted.choice_chains(), ruleset.choice_chains());
}

TEST(Adopt, WhatElementsHaveCountedIsNoDifference) {
  const Ruleset ruleset = with_services(cluster());
  nft::TableContent content = ruleset.content();
  size_t counted = 0;
  for (std::vector<nft::Element>& list : content.elements)
    for (nft::Element& element : list)
      if (element.counter) element.counter = nft::Counter{7 + counted++, 420};
  EXPECT_EQ(counted, 5u);
  const auto [adopted, repairs] = adopt(cluster(), std::move(content));
  EXPECT_TRUE(repairs.empty());
  EXPECT_EQ(adopted.text(), ruleset.text());
}

TEST(Adopt, ReplacesATableThatDoesNotCount) {
  nft::TableContent content = with_services(cluster()).content();
  for (nft::Set& set : content.sets)
    if (set.name == "svc") set.counter = false;
  EXPECT_TRUE(adopt(cluster(), std::move(content)).second.rebuild);
}

TEST(Adopt, ReadsBackEveryShape) {
  ServiceMap services("here");
  kube::Service web = service("web", {"10.96.0.1"}, {"http 80/TCP 30080", "dns 53/UDP"});
  web.type = kube::ServiceType::kLoadBalancer;
  web.load_balancer_ingress = {{ip("198.51.100.1"), true}};
  web.load_balancer_source_ranges = {cidr("192.0.2.0/24")};
  web.external_traffic_policy = kube::TrafficPolicy::kLocal;
  web.affinity_timeout_seconds = 60;
  services.put(web);
  services.put(
      slice("web", {"10.244.0.1 @here", "10.244.1.1 @there"}, {"http 8080/TCP", "dns 53/UDP"}));
  kube::Service inner = service("inner", {"10.96.0.2"}, {"http 80/TCP"});
  inner.internal_traffic_policy = kube::TrafficPolicy::kLocal;
  services.put(inner);
  services.put(slice("inner", {"10.244.1.1 @there"}, {"http 8080/TCP"}));
  services.put(service("relayed", {"10.96.0.3"}, {"http 80/TCP 30081"}));
  services.put(slice("relayed", {"10.244.1.1 @there"}, {"http 8080/TCP"}));
  services.set_relay(tcp("10.96.0.3", 80), SocketAddress{ip("192.0.2.1"), 40000});
  services.set_relay(Frontend::node(Family::kIpv4, Protocol::kTcp, 30081),
                     SocketAddress{ip("192.0.2.1"), 40001});
  Parameters with_affinity = parameters();
  with_affinity.affinity = true;
  Ruleset ruleset(cluster(), with_affinity);
  settle(ruleset, services);
  nft::TableContent content = ruleset.content();
  const auto elements = content.elements;
  Adopter adopter(cluster(), with_affinity, services, std::move(content));
  for (size_t set = 0; set < elements.size(); ++set)
    for (const nft::Element& element : elements[set]) adopter.element(set, element);
  const auto [adopted, repairs] = adopter.finish();
  EXPECT_TRUE(repairs.empty());
  EXPECT_EQ(adopted.text(), ruleset.text());
  EXPECT_EQ(adopted.choice_chains(), ruleset.choice_chains());
  EXPECT_EQ(adopted.affinities(), ruleset.affinities());
  for (const Frontend& frontend : services.frontends(Family::kIpv4))
    EXPECT_TRUE(diff(adopted, frontend, services.find(frontend)).empty()) << frontend.to_string();
}

TEST(Adopt, AGrownSetKeepsItsNameAndSize) {
  Ruleset ruleset = with_services(cluster());
  ruleset.state(SetId::kEndpoints) = {3, 12345, ruleset.state(SetId::kEndpoints).used};
  const auto [adopted, repairs] = adopt(cluster(), ruleset.content());
  EXPECT_TRUE(repairs.empty());
  EXPECT_EQ(adopted.set(SetId::kEndpoints).name, "ep_3");
  EXPECT_EQ(adopted.state(SetId::kEndpoints).size, 12345u);
}

TEST(Adopt, AnInterruptedGrowthIsThrownAway) {
  Ruleset ruleset = with_services(cluster());
  nft::TableContent content = ruleset.content();
  Ruleset::SetState larger = ruleset.state(SetId::kEndpoints);
  larger.generation = 1;
  Ruleset grown = ruleset;
  grown.state(SetId::kEndpoints) = larger;
  content.sets.push_back(grown.set(SetId::kEndpoints));
  const auto [adopted, repairs] = adopt(cluster(), content);
  EXPECT_EQ(adopted.set(SetId::kEndpoints).name, "ep");
  ASSERT_EQ(repairs.foreign_sets.size(), 1u);
  EXPECT_EQ(repairs.foreign_sets[0].name, "ep_1");
  EXPECT_FALSE(repairs.rebuild);
}

struct DamageCase {
  const char* what;
  std::function<void(nft::TableContent&)> damage;
  std::function<bool(const Repairs&)> noticed;
};

template <typename T>
void erase_named(std::vector<T>& objects, const std::string& name) {
  std::erase_if(objects, [&](const T& object) { return object.name == name; });
}

const DamageCase kDamage[] = {
    {"a rule removed",
     [](nft::TableContent& c) {
       std::erase_if(c.rules, [](const nft::Rule& r) { return r.chain == "refuse"; });
     },
     [](const Repairs& r) {
       return r.changed_chains.size() == 1 && r.changed_chains[0].name == "refuse";
     }},
    {"a rule of someone else's added",
     [](nft::TableContent& c) { c.rules.insert(c.rules.begin(), c.rules.back()); },
     [](const Repairs& r) { return r.changed_chains.size() == 1; }},
    {"a hook removed", [](nft::TableContent& c) { erase_named(c.chains, "prerouting"); },
     [](const Repairs& r) { return r.missing_hooks.size() == 1; }},
    {"a chain removed", [](nft::TableContent& c) { erase_named(c.chains, "missed"); },
     [](const Repairs& r) { return r.missing_chains.size() == 1; }},
    {"a hook of another priority", [](nft::TableContent& c) { c.chains.back().base->priority = 7; },
     [](const Repairs& r) {
       return !r.rebuild && r.moved_hooks.size() == 1 && r.missing_hooks.size() == 1;
     }},
    {"a hook of another priority, and one that is missing",
     [](nft::TableContent& c) {
       c.chains.back().base->priority = 7;
       erase_named(c.chains, c.chains.back().name == "prerouting" ? "output" : "prerouting");
     },
     [](const Repairs& r) { return r.rebuild; }},
    {"a hook at another place",
     [](nft::TableContent& c) { c.chains.back().base->hook = NF_INET_FORWARD; },
     [](const Repairs& r) { return r.rebuild; }},
    {"a chain of someone else's",
     [](nft::TableContent& c) {
       c.chains.push_back(c.chains.front());
       c.chains.back().name = "sel_11";
     },
     [](const Repairs& r) { return r.foreign_chains.size() == 1; }},
    {"a set of another shape", [](nft::TableContent& c) { c.sets[0].key.pop_back(); },
     [](const Repairs& r) { return r.rebuild; }},
    {"a set without size", [](nft::TableContent& c) { c.sets[0].size = 0; },
     [](const Repairs& r) { return r.rebuild; }},
    {"a service that goes to a chain of someone else's",
     [](nft::TableContent& c) { c.elements[0][0].data = nft::Verdict::go_to("elsewhere"); },
     [](const Repairs& r) { return r.wrong_elements.size() == 1; }},
    {"an endpoint behind a gap",
     [](nft::TableContent& c) { c.elements[1].erase(c.elements[1].begin()); },
     [](const Repairs& r) { return r.wrong_elements.size() == 2; }},
    {"an address without service",
     [](nft::TableContent& c) {
       c.elements[6].push_back({});
       c.elements[6].back().key = nft::Value::of(ip("10.96.9.9"));
     },
     [](const Repairs& r) {
       return r.leftovers.size() == 1 && r.leftovers[0].set == SetId::kClusterIps;
     }},
};

TEST(Adopt, NoticesDamage) {
  for (const DamageCase& c : kDamage) {
    SCOPED_TRACE(c.what);
    nft::TableContent content = with_services(cluster()).content();
    c.damage(content);
    const auto [adopted, repairs] = adopt(cluster(), content);
    EXPECT_FALSE(repairs.empty());
    EXPECT_TRUE(c.noticed(repairs));
  }
}

// ---- packets ----

struct PacketCase {
  const char* what;
  const char* from;
  const char* to;
  const char* fate;
};
const PacketCase kPackets[] = {
    {"pod to a Service", "10.244.7.7", "10.96.0.1:80",
     "balanced to 10.244.0.1:8080, 10.244.1.1:8080, 10.244.1.2:8080"},
    {"from outside the cluster", "192.0.2.1", "10.96.0.1:80",
     "balanced to 10.244.0.1:8080 (masqueraded), 10.244.1.1:8080 (masqueraded), 10.244.1.2:8080 "
     "(masqueraded)"},
    {"a pod to itself", "10.244.0.1", "10.96.0.1:80",
     "balanced to 10.244.0.1:8080 (masqueraded), 10.244.1.1:8080, 10.244.1.2:8080"},
    {"no endpoints", "10.244.7.7", "10.96.0.11:80", "refused"},
    {"undefined port", "10.244.7.7", "10.96.0.1:81", "refused"},
    {"unallocated address", "10.244.7.7", "10.96.0.99:80", "dropped"},
    {"another protocol of a known port", "10.244.7.7", "10.96.0.10:53", "refused"},
    {"node port", "10.244.7.7", "192.0.2.9:30080",
     "balanced to 10.244.0.1:8080 (masqueraded), 10.244.1.1:8080 (masqueraded), 10.244.1.2:8080 "
     "(masqueraded)"},
    {"node port number on another machine", "10.244.7.7", "192.0.2.77:30080", "passed"},
    {"node port on loopback", "127.0.0.1", "127.0.0.1:30080", "passed"},
    {"node port without endpoints", "192.0.2.1", "192.0.2.9:30081", "refused"},
    {"nothing of ours", "10.244.7.7", "192.0.2.77:443", "passed"},
};

TEST(Trace, Packets) {
  const Ruleset ruleset = with_services(cluster());
  for (const PacketCase& c : kPackets) {
    SCOPED_TRACE(c.what);
    const SocketAddress to = SocketAddress::parse(c.to).value();
    EXPECT_EQ(trace(ruleset, {ip(c.from), to.address, Protocol::kTcp, to.port, false, "eth0"})
                  .to_string(),
              c.fate);
  }
}

TEST(Trace, LocalDns) {
  Config config = cluster();
  config.local_dns = {ip("10.96.0.10")};
  Ruleset ruleset = with_services(config);
  const Packet query{ip("10.244.7.7"), ip("10.96.0.10"), Protocol::kUdp, 53, false, "eth0"};
  EXPECT_EQ(trace(ruleset, query).to_string(), "balanced to 10.244.0.2:53");
  for (const Operation& operation : diff_local_dns(ruleset, true)) ruleset.apply(operation);
  EXPECT_EQ(trace(ruleset, query).to_string(), "untracked");
}

}  // namespace
}  // namespace fairlead::proxy
