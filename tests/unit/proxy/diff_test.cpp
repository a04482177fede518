// SPDX-License-Identifier: Apache-2.0
#include "proxy/diff.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "tests/unit/proxy/objects.h"

namespace fairlead::proxy {
namespace {

using namespace test;

std::string to_text(const Operation& operation) {
  const char* verb = "";
  switch (operation.kind) {
    case Operation::Kind::kAddChain:
      return "add chain " + operation.choice.name();
    case Operation::Kind::kRemoveChain:
      return "remove chain " + operation.choice.name();
    case Operation::Kind::kAddAffinity:
      return "add map " + affinity_map_name(operation.choice.affinity);
    case Operation::Kind::kRemoveAffinity:
      return "remove map " + affinity_map_name(operation.choice.affinity);
    case Operation::Kind::kAdd:
      verb = "add ";
      break;
    case Operation::Kind::kRemove:
      verb = "remove ";
      break;
    case Operation::Kind::kReplace:
      verb = "replace ";
      break;
  }
  std::string text = std::string(verb) + base_name(operation.set);
  if (holds_services(operation.set) || holds_learning(operation.set))
    return text + " " + operation.choice.name();
  if (holds_endpoints(operation.set)) text += " " + std::to_string(operation.index);
  if (holds_endpoints(operation.set) || operation.set == SetId::kHairpin)
    return text + " " + operation.backend.to_string();
  return operation.set == SetId::kClusterIps ? text : text + " " + operation.frontend.to_string();
}

std::vector<std::string> to_text(const std::vector<Operation>& operations) {
  std::vector<std::string> lines;
  for (const Operation& operation : operations) lines.push_back(to_text(operation));
  return lines;
}

using Lines = std::vector<std::string>;
const Frontend kWeb = tcp("10.96.0.1", 80);

struct DiffCase {
  const char* what;
  std::optional<Target> before;
  std::optional<Target> after;
  Lines operations;
};
const std::vector<std::string> kThree = {"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"};
std::vector<std::string> some_endpoints(int count) {
  std::vector<std::string> result;
  for (int i = 1; i <= count; ++i) result.push_back("10.0.0." + std::to_string(i) + ":80");
  return result;
}
Target without_cluster_ip(Target made) {
  made.cluster_ip = false;
  return made;
}
const DiffCase kCases[] = {
    {"a new service: endpoints, then the way to them, then its address",
     std::nullopt,
     target({"10.0.0.1:80", "10.0.0.2:80"}),
     {"add chain sel_2", "add ep 0 10.0.0.1:80", "add ep 1 10.0.0.2:80", "add svc sel_2",
      "add vips"}},
    {"a new service without endpoints", std::nullopt, target({}), {"add svc refuse", "add vips"}},
    {"nothing to do", target(kThree), target(kThree), {}},
    {"to a Service that has the address from outside, no cluster IP",
     target(kThree),
     without_cluster_ip(target(kThree)),
     {"replace svc sel_3", "remove vips"}},
    {"an endpoint replaced: one element",
     target(kThree),
     target({"10.0.0.1:80", "10.0.0.9:80", "10.0.0.3:80"}),
     {"replace ep 1 10.0.0.9:80"}},
    {"one more of four or more: there is room for it",
     target(some_endpoints(10)),
     target(some_endpoints(11)),
     {"add ep 10 10.0.0.11:80"}},
    {"and one more: the chain that it has will do",
     target(some_endpoints(11)),
     target(some_endpoints(12)),
     {"add ep 11 10.0.0.12:80"}},
    {"two more: it will not",
     target(some_endpoints(11)),
     target(some_endpoints(13)),
     {"add chain sel_14", "add ep 11 10.0.0.12:80", "add ep 12 10.0.0.13:80",
      "replace svc sel_14"}},
    {"fewer: the chain that it has repeats draws that miss",
     target(some_endpoints(6)),
     target(some_endpoints(4)),
     {"remove ep 5 10.0.0.6:80", "remove ep 4 10.0.0.5:80"}},
    {"as few as half of what it draws",
     target(some_endpoints(5)),
     target(kThree),
     {"add chain sel_3", "replace svc sel_3", "remove ep 4 10.0.0.5:80",
      "remove ep 3 10.0.0.4:80"}},
    {"one more than it draws: the index is filled before anything draws it",
     target({"10.0.0.1:80", "10.0.0.2:80"}),
     target(kThree),
     {"add chain sel_3", "add ep 2 10.0.0.3:80", "replace svc sel_3"}},
    {"the first of three goes: the last moves into the hole before its place goes",
     target(kThree),
     target({"10.0.0.2:80", "10.0.0.3:80"}),
     {"add chain sel_2", "replace ep 0 10.0.0.3:80", "replace svc sel_2",
      "remove ep 2 10.0.0.3:80"}},
    {"the last endpoint goes: refuse before emptying",
     target({"10.0.0.1:80"}),
     target({}),
     {"replace svc refuse", "remove ep 0 10.0.0.1:80"}},
    {"the first endpoint comes",
     target({}),
     target({"10.0.0.1:80"}),
     {"add chain sel_1", "add ep 0 10.0.0.1:80", "replace svc sel_1"}},
    {"the service goes",
     target({"10.0.0.1:80"}),
     std::nullopt,
     {"remove svc sel_1", "remove vips", "remove ep 0 10.0.0.1:80"}},
};

TEST(Diff, Cases) {
  for (const DiffCase& c : kCases) {
    SCOPED_TRACE(c.what);
    Ruleset ruleset{Config()};
    settle(ruleset, kWeb, c.before);
    EXPECT_EQ(to_text(diff(ruleset, kWeb, c.after)), c.operations);
  }
}

// What changes `ruleset` into that it does what is wanted by a chain of the right count.
Lines fitted(Ruleset& ruleset, const Frontend& frontend, const Target& wanted) {
  std::vector<Operation> operations;
  fit(ruleset, frontend, wanted, operations);
  ruleset.apply(operations);
  EXPECT_FALSE(is_loose(ruleset, frontend, wanted));
  return to_text(operations);
}

TEST(Diff, FitMovesAServiceToTheChainOfItsCount) {
  Ruleset ruleset{Config()};
  settle(ruleset, kWeb, target(some_endpoints(11)));
  EXPECT_FALSE(is_loose(ruleset, kWeb, target(some_endpoints(11))));
  EXPECT_EQ(fitted(ruleset, kWeb, target(some_endpoints(11))), Lines{});
  settle(ruleset, kWeb, target(some_endpoints(12)));
  EXPECT_TRUE(is_loose(ruleset, kWeb, target(some_endpoints(12))));
  EXPECT_EQ(fitted(ruleset, kWeb, target(some_endpoints(12))),
            (Lines{"add chain sel_14", "replace svc sel_14"}));
  settle(ruleset, kWeb, target(some_endpoints(9)));
  EXPECT_EQ(fitted(ruleset, kWeb, target(some_endpoints(9))),
            (Lines{"add chain sel_10", "replace svc sel_10"}));
}

TEST(Diff, ACountOfEndpointsHereMayWaitButNotThatThereAreNone) {
  Ruleset ruleset{Config()};
  const auto anywhere = some_endpoints(9);
  settle(ruleset, kWeb, local_target(some_endpoints(5), anywhere));
  EXPECT_EQ(to_text(diff(ruleset, kWeb, local_target(some_endpoints(4), anywhere))),
            (Lines{"replace inside_ep 4 10.0.0.5:80", "remove ep 4 10.0.0.5:80",
                   "remove hairpin 10.0.0.5:80"}));
  EXPECT_EQ(to_text(diff(ruleset, kWeb, local_target({}, anywhere))).front(),
            "add chain local_0_10");
}

TEST(Diff, AnExternalAddressThatKeepsSources) {
  Ruleset ruleset{Config()};
  const Target before = local_target({"10.0.0.1:80"}, {"10.0.0.1:80", "10.0.0.2:80"});
  EXPECT_EQ(to_text(diff(ruleset, kWeb, before)),
            (Lines{"add chain inside_2", "add chain local_1_2", "add hairpin 10.0.0.1:80",
                   "add ep 0 10.0.0.1:80", "add inside_ep 0 10.0.0.1:80",
                   "add inside_ep 1 10.0.0.2:80", "add svc local_1_2"}));
  settle(ruleset, kWeb, before);
  EXPECT_TRUE(diff(ruleset, kWeb, before).empty());
  EXPECT_EQ(to_text(diff(ruleset, kWeb, local_target({}, {"10.0.0.2:80"}))),
            (Lines{"add chain inside_1", "add chain local_0_1", "replace inside_ep 0 10.0.0.2:80",
                   "replace svc local_0_1", "remove ep 0 10.0.0.1:80",
                   "remove inside_ep 1 10.0.0.2:80", "remove hairpin 10.0.0.1:80"}));
  settle(ruleset, kWeb, local_target({}, {"10.0.0.2:80"}));
  EXPECT_EQ(to_text(unused_chains(ruleset)), Lines{"remove chain local_1_2"})
      << "what it goes to is used until it is gone";
  for (const Operation& operation : unused_chains(ruleset)) ruleset.apply(operation);
  EXPECT_EQ(to_text(unused_chains(ruleset)), Lines{"remove chain inside_2"});
}

TEST(Diff, SourceRangesAreAChainBeforeTheShared) {
  Ruleset ruleset{Config()};
  Target guarded = target({"10.0.0.1:80"}, false);
  guarded.guard = 0xab;
  guarded.ranges = std::make_shared<const std::vector<Cidr>>(std::vector{cidr("192.0.2.0/24")});
  EXPECT_EQ(to_text(diff(ruleset, kWeb, guarded)),
            (Lines{"add chain ext_1", "add chain ext_1_g00000000000000ab", "add ep 0 10.0.0.1:80",
                   "add svc ext_1_g00000000000000ab"}));
  settle(ruleset, kWeb, guarded);
  EXPECT_EQ(to_text(diff(ruleset, kWeb, target({"10.0.0.1:80"}, false))),
            Lines{"replace svc ext_1"});
}

TEST(Diff, SourceRangesHoldBeforeAServiceWithoutEndpoints) {
  Ruleset ruleset{Config()};
  Target guarded = target({}, false);
  guarded.guard = 0xab;
  guarded.ranges = std::make_shared<const std::vector<Cidr>>(std::vector{cidr("192.0.2.0/24")});
  EXPECT_EQ(to_text(diff(ruleset, kWeb, guarded)),
            (Lines{"add chain refuse_g00000000000000ab", "add svc refuse_g00000000000000ab"}));
  settle(ruleset, kWeb, guarded);
  EXPECT_EQ(to_text(diff(ruleset, kWeb, target({}, false))), Lines{"replace svc refuse"});
}

TEST(Diff, AffinityIsLearntInAMapOfItsOwn) {
  Ruleset ruleset{Config()};
  Target sticky = target({"10.0.0.1:80"});
  sticky.affinity = 0xaa;
  sticky.affinity_seconds = 60;
  EXPECT_EQ(to_text(diff(ruleset, kWeb, sticky)),
            (Lines{"add map aff_00000000000000aa", "add chain sel_1_a00000000000000aa",
                   "add chain learn_60_a00000000000000aa", "add ep 0 10.0.0.1:80",
                   "add svc sel_1_a00000000000000aa", "add vips",
                   "add learn learn_60_a00000000000000aa"}));
  settle(ruleset, kWeb, sticky);
  EXPECT_TRUE(diff(ruleset, kWeb, sticky).empty());
  sticky.affinity_seconds = 90;
  EXPECT_EQ(
      to_text(diff(ruleset, kWeb, sticky)),
      (Lines{"add chain learn_90_a00000000000000aa", "replace learn learn_90_a00000000000000aa"}));
  settle(ruleset, kWeb, sticky);
  settle(ruleset, kWeb, target({"10.0.0.1:80"}));
  EXPECT_EQ(to_text(unused_chains(ruleset)), (Lines{"remove chain sel_1_a00000000000000aa",
                                                    "remove chain learn_60_a00000000000000aa",
                                                    "remove chain learn_90_a00000000000000aa"}));
  for (const Operation& operation : unused_chains(ruleset)) ruleset.apply(operation);
  EXPECT_EQ(to_text(unused_chains(ruleset)), Lines{"remove map aff_00000000000000aa"});
}

TEST(Diff, AffinityOfAnAddressThatKeepsSourcesHasTwoMaps) {
  Ruleset ruleset{Config()};
  Target sticky = local_target({"10.0.0.1:80"}, {"10.0.0.1:80", "10.0.0.2:80"});
  sticky.affinity = 0xab;
  sticky.affinity_seconds = 60;
  EXPECT_EQ(
      to_text(diff(ruleset, kWeb, sticky)),
      (Lines{"add map aff_00000000000000aa", "add chain inside_2_a00000000000000aa",
             "add map aff_00000000000000ab", "add chain local_1_2_a00000000000000ab",
             "add chain learn_60_a00000000000000ab", "add chain learn_60_a00000000000000aa",
             "add chain split_60_a00000000000000ab", "add hairpin 10.0.0.1:80",
             "add ep 0 10.0.0.1:80", "add inside_ep 0 10.0.0.1:80", "add inside_ep 1 10.0.0.2:80",
             "add svc local_1_2_a00000000000000ab", "add learn split_60_a00000000000000ab"}));
}

TEST(Diff, AnAddressStaysKnownUntilItsLastPortGoes) {
  Ruleset ruleset{Config()};
  settle(ruleset, kWeb, target({}));
  EXPECT_EQ(to_text(diff(ruleset, tcp("10.96.0.1", 81), target({}))), Lines{"add svc refuse"});
  settle(ruleset, tcp("10.96.0.1", 81), target({}));
  EXPECT_EQ(to_text(diff(ruleset, kWeb, std::nullopt)), Lines{"remove svc refuse"});
  settle(ruleset, kWeb, std::nullopt);
  EXPECT_EQ(to_text(diff(ruleset, tcp("10.96.0.1", 81), std::nullopt)),
            (Lines{"remove svc refuse", "remove vips"}));
}

TEST(Diff, HairpinsOfLocalEndpointsAreSharedByFrontends) {
  Ruleset ruleset{Config()};
  Target here = target(std::vector{backend("10.0.0.1:80", true)});
  const Frontend node = Frontend::node(Family::kIpv4, Protocol::kTcp, 30080);
  EXPECT_EQ(to_text(diff(ruleset, kWeb, here)),
            (Lines{"add chain sel_1", "add hairpin 10.0.0.1:80", "add ep 0 10.0.0.1:80",
                   "add svc sel_1", "add vips"}));
  settle(ruleset, kWeb, here);
  here = target(here.backends, false);
  EXPECT_EQ(
      to_text(diff(ruleset, node, here)),
      (Lines{"add chain node_ext_1", "add node_ep 0 10.0.0.1:80", "add node_svc node_ext_1"}));
  settle(ruleset, node, here);
  EXPECT_EQ(to_text(diff(ruleset, kWeb, target({"10.0.0.2:80"}))),
            Lines{"replace ep 0 10.0.0.2:80"});
  settle(ruleset, kWeb, target({"10.0.0.2:80"}));
  EXPECT_EQ(to_text(diff(ruleset, node, std::nullopt)),
            (Lines{"remove node_svc node_ext_1", "remove node_ep 0 10.0.0.1:80",
                   "remove hairpin 10.0.0.1:80"}));
}

TEST(Diff, ChainsNobodyUsesAreRemovedAfterwards) {
  Ruleset ruleset{Config()};
  settle(ruleset, kWeb, target(kThree));
  EXPECT_TRUE(unused_chains(ruleset).empty());
  settle(ruleset, kWeb, target({"10.0.0.1:80"}));
  EXPECT_EQ(to_text(unused_chains(ruleset)), Lines{"remove chain sel_3"});
  for (const Operation& operation : unused_chains(ruleset)) ruleset.apply(operation);
  EXPECT_TRUE(unused_chains(ruleset).empty());
  EXPECT_EQ(ruleset.choice_chains().size(), 1u);
}

TEST(Diff, LocalDns) {
  Config config;
  config.local_dns = {ip("10.96.0.10")};
  Ruleset ruleset{config};
  EXPECT_TRUE(diff_local_dns(ruleset, false).empty());
  const auto on = diff_local_dns(ruleset, true);
  EXPECT_EQ(to_text(on),
            (Lines{"add local_dns 10.96.0.10:53/udp", "add local_dns 10.96.0.10:53/tcp"}));
  for (const Operation& operation : on) ruleset.apply(operation);
  EXPECT_TRUE(diff_local_dns(ruleset, true).empty());
  EXPECT_EQ(diff_local_dns(ruleset, false).size(), 2u);
}

TEST(Diff, SetsGrowWhenThreeQuartersFull) {
  Ruleset ruleset{Config()};
  Ruleset::SetState& state = ruleset.state(SetId::kEndpoints);
  state.size = 1000;
  state.used = 750;
  EXPECT_FALSE(too_full(ruleset, SetId::kEndpoints, 750));
  EXPECT_TRUE(too_full(ruleset, SetId::kEndpoints, 751));
  EXPECT_EQ(size_for(ruleset, SetId::kEndpoints, 751), 2000u);
  EXPECT_EQ(size_for(ruleset, SetId::kEndpoints, 7000), 16000u);
  EXPECT_EQ(size_for(ruleset, SetId::kEndpoints, 10), 1000u) << "never smaller";
  Operation add;
  add.set = SetId::kEndpoints;
  Operation remove = add;
  remove.kind = Operation::Kind::kRemove;
  EXPECT_EQ(peak_use(ruleset, SetId::kEndpoints, std::vector{add, add, remove}), 752u);
  EXPECT_EQ(peak_use(ruleset, SetId::kServices, std::vector{add, add, remove}), 0u);
}

// The promise of diff.h, on random changes: after every prefix of the operations a packet of a
// service with endpoints before and after goes to one of those, and in the end everything is as
// wanted.
TEST(Diff, EveryPrefixServes) {
  const char* given = std::getenv("FAIRLEAD_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "seed " << seed << "\n";
  std::mt19937_64 random(seed);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };

  for (const bool node_port : {false, true}) {
    const Frontend frontend =
        node_port ? Frontend::node(Family::kIpv4, Protocol::kTcp, 30080) : kWeb;
    Parameters parameters;
    parameters.node_addresses = {ip("192.0.2.9")};
    Ruleset ruleset{Config(), parameters};
    Target before = target({}, !node_port);
    settle(ruleset, frontend, before);
    for (int round = 0; round < 60; ++round) {
      Target after = target({}, !node_port);
      for (size_t i = 0; i < 20; ++i)
        if (below(3) == 0)
          after.backends.push_back(
              {IpAddress::v4(10, 0, 0, static_cast<uint8_t>(i)), 80, i % 2 == 0});
      after = target(after.backends, !node_port);
      if (below(4) == 0) {  // to the stream proxy
        after.backends = {{ip("192.0.2.1"), static_cast<uint16_t>(40000 + round), false}};
        after.treatment = Treatment::kRelay;
      }
      const Packet packet{ip("192.0.2.1"), node_port ? ip("192.0.2.9") : frontend.address,
                          Protocol::kTcp,  frontend.port,
                          false,           "eth0"};
      std::set<SocketAddress> allowed;
      for (const Target* target : {&before, &after})
        for (const Backend& one : target->backends) allowed.insert({one.address, one.port});
      const bool healthy = !before.backends.empty() && !after.backends.empty();
      std::vector<Operation> operations;
      if (below(3) == 0) fit(ruleset, frontend, before, operations);
      ruleset.apply(operations);
      operations = diff(ruleset, frontend, after);
      for (const Operation& operation : operations) {
        ruleset.apply(operation);
        const Fate fate = trace(ruleset, packet);
        if (healthy) {
          ASSERT_EQ(fate.kind, Fate::Kind::kBalanced) << to_text(operation) << ", seed " << seed;
        }
        for (const Fate::End& end : fate.ends) ASSERT_TRUE(allowed.contains(end.to)) << seed;
      }
      const Fate fate = trace(ruleset, packet);
      std::vector<SocketAddress> ends, wanted;
      for (const Fate::End& end : fate.ends) ends.push_back(end.to);
      for (const Backend& one : after.backends) wanted.push_back({one.address, one.port});
      ASSERT_EQ(ends, wanted) << "seed " << seed;
      for (const Backend& one : after.backends)
        ASSERT_EQ(ruleset.has_hairpin(frontend, one), one.local) << "seed " << seed;
      ASSERT_EQ(ruleset.state(SetId::kHairpin).used,
                static_cast<size_t>(std::count_if(after.backends.begin(), after.backends.end(),
                                                  [](const Backend& b) { return b.local; })));
      before = after;
    }
  }
}

}  // namespace
}  // namespace fairlead::proxy
