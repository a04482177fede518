// SPDX-License-Identifier: Apache-2.0
// Choosing among endpoints: policies, the Maglev table, ejection, affinity, and a group that has
// all of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <set>

#include "proxy/stream/affinity.h"
#include "proxy/stream/balance.h"
#include "proxy/stream/ejection.h"
#include "proxy/stream/endpoint_group.h"
#include "tests/support/seed.h"
#include "tests/unit/proxy/objects.h"

namespace fairlead::proxy::stream {
namespace {

using std::chrono::seconds;
using test::ip;

constexpr MonoTime kStart{seconds(1000)};

std::vector<SocketAddress> some_endpoints(size_t count) {
  std::vector<SocketAddress> result;
  for (size_t i = 0; i < count; ++i)
    result.push_back(
        {IpAddress::v4(10, 244, static_cast<uint8_t>(i / 250), static_cast<uint8_t>(1 + i % 250)),
         8080});
  return result;
}

IpAddress client(size_t number) {
  return IpAddress::v4(192, static_cast<uint8_t>(number >> 16), static_cast<uint8_t>(number >> 8),
                       static_cast<uint8_t>(number));
}

struct FakeLoads : LoadView {
  std::vector<uint32_t> loads;
  std::set<size_t> unusable;
  uint32_t open(size_t index) const override { return loads[index]; }
  bool usable(size_t index) const override { return !unusable.contains(index); }
};

Balancer balancer(Policy policy, size_t endpoints, uint64_t seed = 1) {
  Balancer result(policy, seed);
  result.set_endpoints(some_endpoints(endpoints));
  return result;
}

// Whose next turn is the first one's.
Balancer at_the_first(Policy policy, size_t endpoints) {
  Balancer result = balancer(policy, endpoints);
  FakeLoads idle;
  idle.loads.assign(endpoints, 0);
  while (result.choose(client(0), idle) != endpoints - 1) {
  }
  return result;
}

TEST(StreamBalance, PoliciesHaveNames) {
  for (const Policy policy : {Policy::kRoundRobin, Policy::kRandom, Policy::kLeastConnections,
                              Policy::kTwoChoices, Policy::kSourceHash})
    EXPECT_EQ(parse_policy(to_string(policy)), policy);
  EXPECT_EQ(parse_policy("fastest"), std::nullopt);
}

struct ChoiceCase {
  const char* what;
  Policy policy;
  std::vector<uint32_t> loads;
  std::set<size_t> unusable;
  std::vector<size_t> chosen;  // in this order
};

TEST(StreamBalance, ChoosesInTurn) {
  const ChoiceCase cases[] = {
      {"one after the other", Policy::kRoundRobin, {0, 0, 0}, {}, {0, 1, 2, 0, 1}},
      {"loads do not matter", Policy::kRoundRobin, {9, 0, 0}, {}, {0, 1, 2, 0}},
      {"the unusable one is passed over", Policy::kRoundRobin, {0, 0, 0}, {1}, {0, 2, 0, 2}},
      {"the least busy", Policy::kLeastConnections, {3, 1, 2}, {}, {1, 1, 1}},
      {"the least busy that is usable", Policy::kLeastConnections, {3, 1, 2}, {1}, {2, 2}},
      {"equals take turns", Policy::kLeastConnections, {1, 0, 0}, {}, {1, 2, 1, 2}},
      {"only one is usable", Policy::kRandom, {0, 0, 0}, {0, 2}, {1, 1, 1, 1}},
      {"only one is usable", Policy::kTwoChoices, {0, 9, 0}, {0, 2}, {1, 1, 1, 1}},
      {"only one is usable", Policy::kSourceHash, {0, 0, 0}, {0, 2}, {1, 1, 1, 1}},
  };
  for (const ChoiceCase& c : cases) {
    SCOPED_TRACE(std::string(c.what) + ", " + to_string(c.policy));
    Balancer chooser = at_the_first(c.policy, c.loads.size());
    FakeLoads loads;
    loads.loads = c.loads;
    loads.unusable = c.unusable;
    for (size_t i = 0; i < c.chosen.size(); ++i)
      EXPECT_EQ(chooser.choose(client(i), loads), c.chosen[i]) << i;
  }
}

// A client on each of many nodes.
TEST(StreamBalance, NotEverybodyBeginsAtTheFirst) {
  for (const Policy policy : {Policy::kRoundRobin, Policy::kLeastConnections}) {
    std::map<size_t, int> firsts;
    FakeLoads idle;
    idle.loads.assign(4, 0);
    for (uint64_t seed = 0; seed < 400; ++seed)
      ++firsts[balancer(policy, 4, seed).choose(client(1), idle).value()];
    for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(firsts[i], 100, 50) << to_string(policy) << i;
  }
}

TEST(StreamBalance, NothingIsChosenFromNothing) {
  for (const Policy policy : {Policy::kRoundRobin, Policy::kRandom, Policy::kLeastConnections,
                              Policy::kTwoChoices, Policy::kSourceHash}) {
    FakeLoads loads;
    EXPECT_EQ(balancer(policy, 0).choose(client(1), loads), std::nullopt);
    loads.loads = {0, 0};
    loads.unusable = {0, 1};
    EXPECT_EQ(balancer(policy, 2).choose(client(1), loads), std::nullopt);
  }
}

TEST(StreamBalance, RandomIsEvenAmongTheUsable) {
  Balancer chooser = balancer(Policy::kRandom, 100, fairlead::test::random_seed());
  FakeLoads loads;
  loads.loads.assign(100, 0);
  for (size_t i = 10; i < 100; ++i) loads.unusable.insert(i);
  std::map<size_t, int> hits;
  for (size_t i = 0; i < 20000; ++i) ++hits[*chooser.choose(client(i), loads)];
  ASSERT_EQ(hits.size(), 10u);
  for (const auto& [index, count] : hits) EXPECT_NEAR(count, 2000, 250) << index;  // five sigmas
}

// What makes it worth its second draw: with connections that stay, the busiest of many endpoints
// is hardly busier than the mean (Mitzenmacher: by log log n).
TEST(StreamBalance, TwoChoicesKeepLoadsTogether) {
  const uint64_t seed = fairlead::test::random_seed();
  const auto busiest = [&](Policy policy) {
    Balancer chooser = balancer(policy, 100, seed);
    FakeLoads loads;
    loads.loads.assign(100, 0);
    for (size_t i = 0; i < 10000; ++i) ++loads.loads[*chooser.choose(client(i), loads)];
    return *std::max_element(loads.loads.begin(), loads.loads.end());
  };
  EXPECT_LE(busiest(Policy::kTwoChoices), 106u);
  EXPECT_GE(busiest(Policy::kRandom), 110u);
}

TEST(StreamMaglev, SharesAreEvenAndNothingElseMoves) {
  for (const size_t count : {2ul, 3ul, 10ul, 40ul, 41ul, 500ul}) {
    SCOPED_TRACE(count);
    const std::vector<SocketAddress> before = some_endpoints(count);
    const MaglevTable table(before);
    std::vector<size_t> share(count);
    for (size_t place = 0; place < table.size(); ++place) ++share[table.at(place)];
    const auto [least, most] = std::minmax_element(share.begin(), share.end());
    EXPECT_LE(*most - *least, 1u) << "they take turns";

    // One goes: its places must move, and few others do.
    std::vector<SocketAddress> after = before;
    const size_t gone = count / 2;
    after.erase(after.begin() + static_cast<ptrdiff_t>(gone));
    const MaglevTable smaller(after);
    if (smaller.size() != table.size()) continue;  // the step from 41 to 40
    size_t moved = 0;
    for (size_t place = 0; place < table.size(); ++place)
      if (table.at(place) != gone && before[table.at(place)] != after[smaller.at(place)]) ++moved;
    EXPECT_LT(static_cast<double>(moved), 0.10 * static_cast<double>(table.size()));
  }
}

TEST(StreamMaglev, IsTheSameEverywhere) {
  // Figures of this table: another version of the program must send clients where this one does.
  const MaglevTable table(some_endpoints(5));
  std::vector<size_t> first;
  for (size_t i = 0; i < 16; ++i) first.push_back(table.at(i));
  EXPECT_EQ(first, (std::vector<size_t>{0, 1, 2, 2, 3, 0, 0, 0, 0, 2, 2, 3, 1, 4, 3, 2}));
  EXPECT_EQ(hash_of(ip("10.0.0.1")), 7090727784557086525u);
  EXPECT_EQ(hash_of(ip("fd00::1"), 80), 172787837292140888u);
  EXPECT_NE(hash_of(ip("10.0.0.1")), hash_of(ip("10.0.0.2")));
  EXPECT_NE(hash_of(ip("10.0.0.1"), 80), hash_of(ip("10.0.0.1"), 81));
  EXPECT_NE(hash_of(ip("0.0.0.0")), hash_of(ip("::")));
}

TEST(StreamBalance, ASourceStaysUnlessItsEndpointGoes) {
  Balancer chooser = balancer(Policy::kSourceHash, 10);
  FakeLoads loads;
  loads.loads.assign(10, 0);
  std::vector<size_t> first;
  for (size_t i = 0; i < 1000; ++i) first.push_back(*chooser.choose(client(i), loads));
  loads.unusable = {4};
  std::set<size_t> refuges;
  for (size_t i = 0; i < 1000; ++i) {
    const size_t now = *chooser.choose(client(i), loads);
    if (first[i] != 4) EXPECT_EQ(now, first[i]);
    if (first[i] == 4) refuges.insert(now);
  }
  EXPECT_GT(refuges.size(), 5u) << "the clients of one that fails spread over the others";
}

TEST(StreamEjection, AfterFailuresInARowThenByTrial) {
  const EjectionRules rules{3, seconds(5), seconds(15)};
  Ejection one;
  EXPECT_FALSE(one.failed(kStart, rules));
  EXPECT_FALSE(one.failed(kStart, rules));
  one.answered();
  EXPECT_FALSE(one.failed(kStart, rules)) << "in a row";
  EXPECT_FALSE(one.failed(kStart, rules));
  EXPECT_TRUE(one.usable(kStart));
  EXPECT_TRUE(one.failed(kStart, rules));
  EXPECT_TRUE(one.ejected());
  EXPECT_FALSE(one.usable(kStart + seconds(5) - Duration(1)));
  EXPECT_FALSE(one.failed(kStart + seconds(4), rules)) << "one that was on its way";

  MonoTime now = kStart + seconds(5);
  for (const int64_t next : {10, 15, 15}) {  // doubled, up to the limit
    SCOPED_TRACE(next);
    EXPECT_TRUE(one.usable(now));
    EXPECT_TRUE(one.begin(now));
    EXPECT_FALSE(one.usable(now)) << "one trial at a time";
    EXPECT_FALSE(one.begin(now));
    EXPECT_TRUE(one.failed(now, rules));
    EXPECT_FALSE(one.usable(now + seconds(next) - Duration(1)));
    now += seconds(next);
  }
  EXPECT_TRUE(one.begin(now));
  one.abandoned();
  EXPECT_TRUE(one.usable(now)) << "the next one tries";
  EXPECT_TRUE(one.begin(now));
  EXPECT_FALSE(one.usable(now + Ejection::kTrial - Duration(1)));
  EXPECT_TRUE(one.begin(now + Ejection::kTrial)) << "without a verdict another one tries";
  one.answered();
  EXPECT_FALSE(one.ejected());
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(one.failed(now, rules));
  EXPECT_TRUE(one.failed(now, rules));
  EXPECT_TRUE(one.usable(now + seconds(5))) << "from the beginning again";
}

// It takes every connection, and nothing comes of them.
TEST(StreamEjection, ResetsOfWhatNothingHadComeOfCountToo) {
  const EjectionRules rules{3, seconds(5), seconds(60)};
  Ejection one;
  const auto taken_and_reset = [&](MonoTime now) {
    one.connected();
    return one.broke(now, rules);
  };
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(taken_and_reset(kStart));
  one.answered();
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(taken_and_reset(kStart)) << "in a row";
  EXPECT_TRUE(taken_and_reset(kStart));
  MonoTime now = kStart + seconds(5);
  EXPECT_TRUE(one.begin(now));
  one.connected();
  EXPECT_FALSE(one.usable(now)) << "that it takes one is no verdict";
  EXPECT_TRUE(one.broke(now, rules));
  EXPECT_FALSE(one.usable(now + seconds(9)));
  now += seconds(10);
  EXPECT_TRUE(one.begin(now));
  one.connected();
  one.answered();
  EXPECT_FALSE(one.ejected());
  // One that never says anything is well when its trial is not reset for a while, and no sooner,
  // whatever else has happened.
  for (int i = 0; i < 3; ++i) taken_and_reset(now);
  now += seconds(5);
  EXPECT_TRUE(one.begin(now));
  EXPECT_TRUE(one.failed(now, rules)) << "refused, this time";
  now += seconds(10);
  EXPECT_TRUE(one.begin(now));
  one.connected();
  EXPECT_TRUE(one.ejected());
  EXPECT_FALSE(one.usable(now + Ejection::kTrial - Duration(1)));
  now += Ejection::kTrial;
  EXPECT_FALSE(one.begin(now)) << "like any other";
  EXPECT_FALSE(one.ejected());
  // Connections that are none of the trial, and old ones, are no verdict on an ejected one.
  for (int i = 0; i < 3; ++i) taken_and_reset(now);
  now += seconds(5);
  EXPECT_TRUE(one.begin(now));
  one.connected(false);
  one.lasted();
  EXPECT_FALSE(one.failed(now, rules, false));
  EXPECT_FALSE(one.broke(now, rules, false));
  EXPECT_TRUE(one.ejected());
  EXPECT_TRUE(one.begin(now + Ejection::kTrial)) << "the trial has not been made";
  now += Ejection::kTrial;
  one.answered();
  // In good times a connection that lasts clears what resets there were.
  for (int i = 0; i < 2; ++i) taken_and_reset(now);
  one.lasted();
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(taken_and_reset(now));
  one.answered();
  // Where connections could not be made, one that is made is a verdict.
  for (int i = 0; i < 3; ++i) one.failed(now, rules);
  EXPECT_TRUE(one.begin(now + seconds(5)));
  one.connected();
  EXPECT_FALSE(one.ejected());
}

TEST(StreamEjection, ManyEjectionsDoNotOverflow) {
  const EjectionRules rules{1, std::chrono::minutes(1), std::chrono::minutes(5)};
  Ejection one;
  MonoTime now = kStart;
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(one.failed(now, rules));
    EXPECT_FALSE(one.usable(now));
    now += std::chrono::minutes(5);
    EXPECT_TRUE(one.begin(now));
  }
}

TEST(StreamAffinity, RemembersForTheTimeAfterTheLastUseAndThatItIsOver) {
  AffinityTable table(10);
  const SocketAddress a{ip("10.0.0.1"), 80}, b{ip("10.0.0.2"), 80};
  EXPECT_EQ(table.find(client(1), kStart, seconds(60)), std::nullopt);
  table.remember(client(1), a, kStart, seconds(60));
  EXPECT_EQ(table.find(client(1), kStart + seconds(59), seconds(60)), (Stay{a, false}));
  EXPECT_EQ(table.find(client(1), kStart + seconds(60), seconds(60)), (Stay{a, true}));
  table.remember(client(1), a, kStart + seconds(59), seconds(60));
  EXPECT_EQ(table.find(client(1), kStart + seconds(118), seconds(60)), (Stay{a, false}))
      << "refreshed by use";
  EXPECT_EQ(table.find(client(1), kStart + seconds(118), seconds(30)), (Stay{a, true}))
      << "the time-out has been changed";
  table.remember(client(1), b, kStart + seconds(100), seconds(60));
  EXPECT_EQ(table.find(client(1), kStart + seconds(100), seconds(60)), (Stay{b, false}));
  EXPECT_EQ(table.size(), 1u);
}

// Whose stay is over has one choice made for it, whoever else is about to.
TEST(StreamAffinity, TheFirstClaimHolds) {
  AffinityTable table(3);
  const SocketAddress a{ip("10.0.0.1"), 80}, b{ip("10.0.0.2"), 80};
  table.remember(client(1), a, kStart, seconds(60));
  EXPECT_EQ(table.claim(client(1), b, kStart + seconds(70), seconds(60)), b);
  EXPECT_EQ(table.claim(client(1), a, kStart + seconds(70), seconds(60)), b);
  EXPECT_EQ(table.claim(client(2), a, kStart + seconds(70), seconds(60)), a);
}

TEST(StreamAffinity, IsBounded) {
  AffinityTable table(3);
  const SocketAddress a{ip("10.0.0.1"), 80};
  for (size_t i = 0; i < 3; ++i)
    table.remember(client(i), a, kStart + seconds(static_cast<int64_t>(i)), seconds(60));
  table.remember(client(0), a, kStart + seconds(3), seconds(60));
  table.remember(client(9), a, kStart + seconds(4), seconds(60));
  EXPECT_EQ(table.size(), 3u);
  EXPECT_EQ(table.find(client(1), kStart + seconds(4), seconds(60)), std::nullopt)
      << "the one not used for longest";
  EXPECT_TRUE(table.find(client(0), kStart + seconds(4), seconds(60)));
  table.remember(client(5), a, kStart + seconds(200), seconds(60));
  table.remember(client(5), a, kStart + seconds(200), seconds(60));
  EXPECT_EQ(table.size(), 1u) << "what is over for as long again goes";
  table.remember(client(6), a, kStart + seconds(230), seconds(60));
  table.expire(kStart + seconds(320), seconds(60), 10);
  EXPECT_EQ(table.size(), 1u);
  table.expire(kStart + seconds(350), seconds(60), 0);
  EXPECT_EQ(table.size(), 1u);
  table.expire(kStart + seconds(350), seconds(60), 10);
  EXPECT_EQ(table.size(), 0u) << "without anybody coming";
}

TEST(StreamAffinity, ForgetsWhoWentToOneThatIsGone) {
  const auto endpoints = some_endpoints(3);
  SharedAffinity shared;
  for (size_t i = 0; i < 300; ++i)
    shared.remember(client(i), endpoints[i % 3], kStart, seconds(60));
  shared.forget({endpoints[0], endpoints[2]});
  for (size_t i = 0; i < 300; ++i)
    EXPECT_EQ(shared.find(client(i), kStart, seconds(60)).has_value(), i % 3 == 1) << i;
  shared.remember(client(0), endpoints[2], kStart, seconds(60));
  EXPECT_EQ(shared.find(client(0), kStart, seconds(60))->endpoint, endpoints[2]);
}

std::shared_ptr<EndpointSet> set_of(std::vector<SocketAddress> endpoints) {
  auto set = std::make_shared<EndpointSet>();
  set->id = 1;
  set->policy = Policy::kRoundRobin;
  set->endpoints = std::move(endpoints);
  return set;
}

TEST(StreamGroup, KeepsWhatItKnowsOfEndpointsThatStay) {
  EndpointGroup group(Policy::kRoundRobin, {}, 1);
  const auto three = some_endpoints(3);
  group.set(set_of(three));
  std::vector<EndpointPtr> held;
  for (int i = 0; i < 3; ++i) {
    held.push_back(group.choose(client(1), kStart, {}));
    ++held.back()->open;
  }
  std::sort(held.begin(), held.end(),
            [](const auto& left, const auto& right) { return left->address < right->address; });
  auto next = set_of({three[1], {ip("10.244.9.9"), 80}});
  next->leaving = {three[0]};
  group.set(next);
  EXPECT_TRUE(group.serves(three[0])) << "those who have it";
  EXPECT_TRUE(group.serves(three[1]));
  EXPECT_FALSE(group.serves(three[2]));
  std::set<EndpointPtr> chosen;
  for (int i = 0; i < 8; ++i) chosen.insert(group.choose(client(1), kStart, {}));
  EXPECT_EQ(chosen.size(), 2u);
  EXPECT_TRUE(chosen.contains(held[1])) << "with its connections";
  group.set(set_of(three));
  chosen.clear();
  for (int i = 0; i < 8; ++i) chosen.insert(group.choose(client(1), kStart, {}));
  EXPECT_TRUE(chosen.contains(held[0])) << "back, as the one it was";
  EXPECT_TRUE(chosen.contains(held[2])) << "it too: its connection has lasted";
  held[2]->open = 0;
  group.set(set_of({three[0]}));
  group.set(set_of(three));
  chosen.clear();
  for (int i = 0; i < 8; ++i) chosen.insert(group.choose(client(1), kStart, {}));
  EXPECT_FALSE(chosen.contains(held[2])) << "a new one of the same address";
}

// As when a pod fails its readiness probe once.
TEST(StreamGroup, OneThatComesBackHasItsConnectionsStill) {
  EndpointGroup group(Policy::kLeastConnections, {}, 1);
  const auto two = some_endpoints(2);
  group.set(set_of({two[0]}));
  const EndpointPtr busy = group.choose(client(1), kStart, {});
  busy->open = 10;
  group.set(set_of({two[1]}));
  group.choose(client(1), kStart, {})->open = 5;
  group.set(set_of({}));
  group.set(set_of(two));
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(group.choose(client(1), kStart, {})->address, two[1]) << "the less busy of the two";
}

TEST(StreamGroup, OneThatComesBackIsNotEjected) {
  EndpointGroup group(Policy::kRoundRobin, {1, seconds(5), seconds(60)}, 1);
  const auto two = some_endpoints(2);
  group.set(set_of(two));
  const EndpointPtr failing = group.choose(client(1), kStart, {});
  failing->open = 1;
  EXPECT_TRUE(group.failed(*failing, kStart, false));
  group.set(set_of({two[0] == failing->address ? two[1] : two[0]}));
  group.set(set_of(two));
  std::set<EndpointPtr> chosen;
  for (int i = 0; i < 4; ++i) chosen.insert(group.choose(client(1), kStart, {}));
  EXPECT_TRUE(chosen.contains(failing)) << "it may be another pod";
}

TEST(StreamGroup, AffinityForgetsAnEndpointThatGoes) {
  const auto clients = std::make_shared<SharedAffinity>();
  const auto sticky = [&](std::vector<SocketAddress> list) {
    auto set = set_of(std::move(list));
    set->clients = clients;
    set->affinity = seconds(60);
    return set;
  };
  const auto three = some_endpoints(3);
  EndpointGroup group(Policy::kRoundRobin, {}, 1);
  group.set(sticky(three));
  std::map<size_t, SocketAddress> places;
  for (size_t i = 0; i < 60; ++i) places[i] = group.choose(client(i), kStart, {})->address;
  group.set(sticky({three[0], three[1]}));
  group.set(sticky(three));
  for (const auto& [number, place] : places)
    EXPECT_EQ(clients->find(client(number), kStart, seconds(60)).has_value(), place != three[2]);
}

TEST(StreamGroup, NeverEjectsEverybody) {
  EndpointGroup group(Policy::kRoundRobin, {1, seconds(5), seconds(60)}, 1);
  group.set(set_of(some_endpoints(2)));
  const EndpointPtr first = group.choose(client(1), kStart, {});
  EXPECT_TRUE(group.failed(*first, kStart, false));
  for (int i = 0; i < 4; ++i) EXPECT_NE(group.choose(client(1), kStart, {}), first);
  const EndpointPtr second = group.choose(client(1), kStart, {});
  EXPECT_TRUE(group.failed(*second, kStart, false));
  std::set<EndpointPtr> tried;
  for (int i = 0; i < 4; ++i) tried.insert(group.choose(client(1), kStart, {}));
  EXPECT_EQ(tried.size(), 2u);
  const EndpointPtr both[] = {first, second};
  EXPECT_EQ(group.choose(client(1), kStart, std::span(both, 1)), second) << "not the one tried";
  EXPECT_EQ(group.choose(client(1), kStart, both), nullptr);
  // One answers, and has everything until the other's trial.
  EndpointGroup::answered(*second);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(group.choose(client(1), kStart, {}), second);
  std::multiset<EndpointPtr> later;
  for (int i = 0; i < 6; ++i) later.insert(group.choose(client(1), kStart + seconds(5), {}));
  EXPECT_EQ(later.count(first), 1u) << "one trial";
}

TEST(StreamGroup, AffinityHoldsAcrossWorkersAndChanges) {
  const auto endpoints = some_endpoints(5);
  const auto with_affinity = [&](std::vector<SocketAddress> list,
                                 const std::shared_ptr<SharedAffinity>& clients) {
    auto set = set_of(std::move(list));
    set->clients = clients;
    set->affinity = seconds(60);
    return set;
  };
  const auto clients = std::make_shared<SharedAffinity>();
  EndpointGroup one(Policy::kTwoChoices, {}, 1), other(Policy::kTwoChoices, {}, 2);
  for (EndpointGroup* group : {&one, &other}) group->set(with_affinity({endpoints[0]}, clients));
  for (size_t i = 0; i < 100; ++i) one.choose(client(i), kStart, {});
  for (EndpointGroup* group : {&one, &other}) group->set(with_affinity(endpoints, clients));
  for (size_t i = 0; i < 100; ++i)
    EXPECT_EQ(other.choose(client(i), kStart + seconds(1), {})->address, endpoints[0]);
  // A minute without a connection: each has its turn by the policy, known to both.
  std::map<SocketAddress, int> places;
  for (size_t i = 0; i < 100; ++i) {
    const SocketAddress place = one.choose(client(i), kStart + seconds(61), {})->address;
    EXPECT_EQ(other.choose(client(i), kStart + seconds(61), {})->address, place);
    ++places[place];
  }
  EXPECT_EQ(places.size(), 5u);
  // Nobody knows them any more: by their addresses, the same in both, that of others included.
  const auto nobody = std::make_shared<SharedAffinity>(),
             nor_there = std::make_shared<SharedAffinity>();
  one.set(with_affinity(endpoints, nobody));
  other.set(with_affinity(endpoints, nor_there));
  for (size_t i = 0; i < 100; ++i)
    EXPECT_EQ(other.choose(client(i), kStart, {})->address,
              one.choose(client(i), kStart, {})->address);
  // One client, a time-out at a time (as Kubernetes' e2e test of the affinity time-out has it).
  EndpointGroup turns(Policy::kRoundRobin, {}, 1);
  turns.set(with_affinity({endpoints[0], endpoints[1]}, std::make_shared<SharedAffinity>()));
  std::set<SocketAddress> seen;
  for (int i = 0; i < 4; ++i) {
    const MonoTime now = kStart + i * seconds(65);
    const SocketAddress place = turns.choose(client(1), now, {})->address;
    EXPECT_EQ(turns.choose(client(1), now + seconds(1), {})->address, place);
    seen.insert(place);
  }
  EXPECT_EQ(seen.size(), 2u);
  one.set(with_affinity(endpoints, clients));
  // Where it went has gone, or fails.
  one.set(with_affinity({endpoints[1], endpoints[2]}, clients));
  const EndpointPtr first = one.choose(client(7), kStart + seconds(62), {});
  const EndpointPtr failed[] = {first};
  const EndpointPtr second = one.choose(client(7), kStart + seconds(62), failed);
  EXPECT_NE(second, first);
  EXPECT_EQ(one.choose(client(7), kStart + seconds(63), {}), second) << "it goes there now";
}

}  // namespace
}  // namespace fairlead::proxy::stream
