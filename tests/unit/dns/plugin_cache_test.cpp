// SPDX-License-Identifier: Apache-2.0
// The cache plugin with a clock that the test turns.
#include <fmt/format.h>

#include <algorithm>

#include "dns/host.h"
#include "dns/plugins/cache/cache.h"
#include "dns/registry.h"
#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns::test {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class PluginCache : public PluginTest {
 protected:
  void cache(const std::string& directive, LastPlugin last) {
    use(directive);
    chain = std::make_unique<Chain>();
    chain->append(make_cache(loop, clock, options<CacheOptions>("cache")));
    upstream = std::move(last);
    chain->append(std::make_unique<FakePlugin>([this](Request& request) {
      ++asked;
      return upstream(request);
    }));
    asked = 0;
  }
  // The TTL of the first record of a reply, -1 without one.
  static long ttl_of(const std::string& reply) {
    const size_t at = reply.find("\nanswer ") != std::string::npos ? reply.find("\nanswer ")
                                                                   : reply.find("\nauthority ");
    if (at == std::string::npos) return -1;
    std::istringstream in(reply.substr(at));
    std::string word;
    in >> word >> word >> word;
    return std::stol(word);
  }
  // How often upstream is asked for two queries, `apart` from each other.
  int asked_for_two(Duration apart, const AskOptions& first = {}, const AskOptions& second = {},
                    const std::string& name = "a.test") {
    asked = 0;
    ask(name, "A", first);
    clock.advance(apart);
    ask(name, "A", second);
    return asked;
  }

  struct Kept {
    const char* what;
    const char* directive;
    const char* reply;
    long ttl;  // -1: not kept
  };
  void kept_for(std::initializer_list<Kept> cases) {
    for (const Kept& c : cases) {
      cache(c.directive, replies_with(c.reply));
      const std::string first = ask("a.test");
      if (c.ttl < 0) {
        ask("a.test");
        EXPECT_EQ(asked, 2) << c.what;
        continue;
      }
      EXPECT_EQ(ttl_of(first), c.ttl) << c.what;
      EXPECT_EQ(ttl_of(ask("A.test")), c.ttl) << c.what;
      clock.advance(seconds(c.ttl) - std::chrono::milliseconds(1));
      EXPECT_EQ(ttl_of(ask("a.test")), 1) << c.what;
      EXPECT_EQ(asked, 1) << c.what;
      clock.advance(std::chrono::milliseconds(1));
      ask("a.test");
      EXPECT_EQ(asked, 2) << c.what;
    }
  }

  ManualClock clock;
  LastPlugin upstream;
};

constexpr const char* kAnswer = "NOERROR ra rd\nanswer @ 60 A 10.0.0.1";
constexpr const char* kNxDomain = "NXDOMAIN ra rd\nauthority test 100 SOA a. b. 1 2 3 4 20";

TEST_F(PluginCache, HowLong) {
  kept_for({
      {"its own", "cache", kAnswer, 60},
      {"no longer than the first argument", "cache 30", kAnswer, 30},
      {"or as a duration", "cache 1m", "NOERROR\nanswer @ 90 A 10.0.0.1", 60},
      {"success caps", "cache {\nsuccess 100 40\n}", kAnswer, 40},
      {"an hour", "cache", "NOERROR\nanswer @ 86400 A 10.0.0.1", 3600},
      {"at least five seconds", "cache", "NOERROR\nanswer @ 1 A 10.0.0.1", 5},
      {"unless it is said", "cache {\nsuccess 100 3600 1\n}", "NOERROR\nanswer @ 2 A 10.0.0.1", 2},
      {"not with TTL 0 then", "cache {\nsuccess 100 3600 0\n}", "NOERROR\nanswer @ 0 A 10.0.0.1",
       -1},
      {"the least of the records", "cache",
       "NOERROR\nanswer @ 60 CNAME b.test\nanswer b.test 50 A 10.0.0.1\n"
       "additional c.test 40 A 10.0.0.2",
       40},
      {"the SOA's minimum", "cache", kNxDomain, 20},
      {"the SOA's TTL", "cache", "NXDOMAIN\nauthority test 10 SOA a. b. 1 2 3 4 20", 10},
      {"no such records", "cache", "NOERROR\nauthority test 10 SOA a. b. 1 2 3 4 20", 10},
      {"denial caps", "cache {\ndenial 100 7\n}", kNxDomain, 7},
      {"half an hour", "cache", "NXDOMAIN\nauthority test 86400 SOA a. b. 1 2 3 4 86400", 1800},
      {"an alias to nowhere", "cache",
       "NXDOMAIN\nanswer @ 60 CNAME b.test\nauthority test 99 SOA a. b. 1 2 3 4 20", 20},
      {"no denial without SOA", "cache", "NXDOMAIN", -1},
      {"no empty answer without SOA", "cache", "NOERROR", -1},
      {"no referral", "cache", "NOERROR\nauthority test 10 NS ns.test", -1},
      {"nothing truncated", "cache", "NOERROR tc\nanswer @ 60 A 10.0.0.1", -1},
      {"no refusal", "cache", "REFUSED", -1},
      {"failures", "cache", "SERVFAIL\nauthority test 10 NS ns.test", 5},
      {"what upstream cannot do", "cache", "NOTIMP\nauthority test 10 NS ns.test", 5},
      {"failures as said", "cache {\nservfail 1m\n}", "SERVFAIL\nauthority test 10 NS ns.test", 60},
      {"no failures", "cache {\nservfail 0s\n}", "SERVFAIL\nauthority test 10 NS ns.test", -1},
      {"not where it is disabled", "cache {\ndisable success test\n}", kAnswer, -1},
      {"where it is not", "cache {\ndisable success a.example\ndisable denial\n}", kAnswer, 60},
      {"the last of two lines counts", "cache {\ndisable success test\ndisable success b.test\n}",
       kAnswer, 60},
      {"and disables", "cache {\ndisable success b.test\ndisable success\n}", kAnswer, -1},
      {"of its own kind", "cache {\ndisable success\ndisable denial b.test\n}", kAnswer, -1},
      {"words behind the bounds are nothing", "cache {\nsuccess 100 40 1 more words\n}", kAnswer,
       40},
      {"denials disabled", "cache {\ndisable denial\n}", kNxDomain, -1},
      {"zones", "cache 30 test example", kAnswer, 30},
      {"other zones", "cache 30 example", kAnswer, -1},
  });
}

TEST_F(PluginCache, HowLongAliases) {
  kept_for({
      {"no such records behind an alias", "cache {\ndenial 100 7\n}",
       "NOERROR\nanswer @ 60 CNAME b.test\nauthority test 99 SOA a. b. 1 2 3 4 20", 7},
      {"which is a denial", "cache {\ndisable denial\n}",
       "NOERROR\nanswer @ 60 CNAME b.test\nauthority test 99 SOA a. b. 1 2 3 4 20", -1},
      {"aliases in any order", "cache",
       "NOERROR\nanswer b.test 60 A 10.0.0.1\nanswer @ 60 CNAME b.test", 60},
      {"no alias without its end", "cache", "NOERROR\nanswer @ 60 CNAME b.test", -1},
      {"no other name's address", "cache", "NOERROR\nanswer b.test 60 A 10.0.0.1", -1},
      {"no name with two aliases", "cache",
       "NOERROR\nanswer @ 60 CNAME b.test\nanswer @ 60 CNAME c.test\nanswer b.test 60 A 10.0.0.1",
       -1},
      {"no circle", "cache",
       "NOERROR\nanswer @ 60 CNAME b.test\nanswer b.test 60 CNAME a.test\nanswer @ 60 A 10.0.0.1",
       -1},
  });
}

TEST_F(PluginCache, TheClientsQuestionAndFlags) {
  cache("cache", replies_with("NOERROR ra rd ad\nanswer @ 60 A 10.0.0.1"));
  EXPECT_TRUE(ask("a.test").starts_with("NOERROR rd ra qd=1\n")) << "AD is not for everybody";
  AskOptions other;
  other.query.id = 0x4321;
  other.query.edns_size = 1232;
  const Bytes reply = ask_bytes(make_query("A.tEsT", Type::kA, other.query), other);
  EXPECT_EQ(read_u16(reply.data()), 0x4321);
  EXPECT_EQ(to_text(reply), "NOERROR aa rd ra qd=1\nanswer A.tEsT. 60 A 10.0.0.1\nopt 1232\n");
  other.query.flags |= 0x20;  // AD: wants to know
  EXPECT_TRUE(ask("a.test", "A", other).starts_with("NOERROR aa rd ra ad qd=1\n"));
  EXPECT_EQ(asked, 1);
}

// Nobody waits for it, so what `cancel` says is not for it.
TEST_F(PluginCache, WhatIsFetchedAheadHasItsTime) {
  std::vector<bool> limited;
  cache("cache {\nprefetch 1 1h 90%\n}", [&](Request& request) {
    limited.push_back(request.client().until.has_value());
    return replies_with(kAnswer)(request);
  });
  AskOptions options;
  options.until = clock.now() + seconds(1);
  ask("a.test", "A", options);
  clock.advance(seconds(10));
  ask("a.test", "A", options);
  EXPECT_EQ(limited, (std::vector<bool>{true, false}));
}

// For who asks for signatures, RFC 4034 section 3.1.5.
TEST_F(PluginCache, ExpiredSignaturesAreNotKept) {
  constexpr uint32_t kNow = 2'000'000'000;
  clock.set_wall(WallTime(seconds(kNow)));
  const auto signature = [](uint32_t begins, uint32_t expires) {
    return fmt::format(
        "NOERROR\nanswer @ 60 A 10.0.0.1\nanswer @ 60 TYPE46 0001080200000e10{:08x}{:08x}"
        "00010000",
        expires, begins);
  };
  AskOptions dnssec;
  dnssec.query.edns_size = 1232;
  dnssec.query.dnssec_ok = true;
  const struct {
    uint32_t begins, expires;
    int asked;
  } kCases[] = {{kNow - 10, kNow + 10, 1},
                {kNow - 20, kNow - 10, 2},
                {kNow + 10, kNow + 20, 2},
                {kNow - 10, kNow + 0x7000'0000, 1}};
  for (const auto& c : kCases) {
    cache("cache", replies_with(signature(c.begins, c.expires)));
    EXPECT_EQ(asked_for_two(seconds(1), dnssec, dnssec), c.asked) << c.begins << " " << c.expires;
    EXPECT_EQ(asked_for_two(seconds(1)), 1) << "nobody looks at it";
  }
}

TEST_F(PluginCache, Keys) {
  AskOptions dnssec;
  dnssec.query.edns_size = 1232;
  dnssec.query.dnssec_ok = true;
  AskOptions edns;
  edns.query.edns_size = 1232;
  AskOptions checking_disabled;
  checking_disabled.query.flags |= kFlagCheckingDisabled;
  AskOptions not_recursive;
  not_recursive.query.flags = 0;
  AskOptions subnet;
  subnet.query.edns_size = 1232;
  subnet.query.edns_options = {0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2};
  AskOptions tcp;
  tcp.transport = Transport::kTcp;
  const auto asked_for = [&](const AskOptions& second) {
    cache("cache", replies_with(kAnswer));
    return asked_for_two(seconds(1), {}, second);
  };
  EXPECT_EQ(asked_for(edns), 1);
  EXPECT_EQ(asked_for(tcp), 1);
  EXPECT_EQ(asked_for(dnssec), 2);
  EXPECT_EQ(asked_for(checking_disabled), 2);
  EXPECT_EQ(asked_for(not_recursive), 2) << "it may have had less";
  EXPECT_EQ(asked_for(subnet), 2) << "one client's answer";
  cache("cache", replies_with(kAnswer));
  ask("a.test", "A");
  ask("a.test", "AAAA");
  ask("b.test", "A");
  EXPECT_EQ(asked, 3);
}

TEST_F(PluginCache, OwnAnswersAndExplainedFailuresAreNotKept) {
  cache("cache", [](Request& request) {
    request.reply().set_own();
    return replies_with(kAnswer)(request);
  });
  EXPECT_EQ(asked_for_two(seconds(0)), 2);
  EXPECT_EQ(ttl_of(ask("a.test")), 60);
  cache("cache", [](Request& request) {
    request.reply().set_rcode(Rcode::kServFail);
    request.reply().set_error(Ede::kNetworkError, "no network");
    return Step::kAnswered;
  });
  EXPECT_EQ(asked_for_two(seconds(0)), 2);
}

// CoreDNS's cache bounds the TTL of all that passes it; `hosts` has 3600 seconds by default.
TEST_F(PluginCache, OwnAnswersAreNotKeptLongerBehindUs) {
  const struct {
    const char* directive;
    const char* reply;
    const char* seen;
  } kCases[] = {
      {"cache 30", "NOERROR\nanswer @ 3600 A 10.0.0.1\nanswer @ 20 A 10.0.0.2",
       "NOERROR qd=1\nanswer a.test. 30 A 10.0.0.1\nanswer a.test. 20 A 10.0.0.2\n"},
      {"cache", "NOERROR\nanswer @ 1 A 10.0.0.1", "NOERROR qd=1\nanswer a.test. 1 A 10.0.0.1\n"},
      {"cache {\nsuccess 100 40\ndenial 100 7\n}", "NOERROR\nanswer @ 60 A 10.0.0.1",
       "NOERROR qd=1\nanswer a.test. 40 A 10.0.0.1\n"},
      {"cache 30 other", "NOERROR\nanswer @ 60 A 10.0.0.1",
       "NOERROR qd=1\nanswer a.test. 60 A 10.0.0.1\n"},
  };
  for (const auto& c : kCases) {
    cache(c.directive, [&](Request& request) {
      request.reply().set_own();
      return replies_with(c.reply)(request);
    });
    EXPECT_EQ(ask("a.test"), c.seen) << c.directive;
  }
  cache("cache {\ndenial 100 7\n}", [](Request& request) {
    request.reply().set_own();
    return replies_with(kNxDomain)(request);
  });
  EXPECT_EQ(ttl_of(ask("a.test")), 7);
}

TEST_F(PluginCache, WhatIsDisabledHasTheTtlAllTheSame) {
  cache("cache 30 {\ndisable success\n}", replies_with(kAnswer));
  EXPECT_EQ(ttl_of(ask("a.test")), 30);
  EXPECT_EQ(ttl_of(ask("a.test")), 30);
  EXPECT_EQ(asked, 2);
}

TEST_F(PluginCache, AnAnswerReplacesADenial) {
  cache("cache", replies_with(kNxDomain));
  ask("a.test");
  upstream = replies_with(kAnswer);
  clock.advance(seconds(21));
  ask("a.test");
  EXPECT_EQ(ttl_of(ask("a.test")), 60);
  EXPECT_EQ(asked, 2);
}

TEST_F(PluginCache, KeepTtl) {
  cache("cache 30 {\nkeepttl\n}", replies_with(kAnswer));
  EXPECT_EQ(ttl_of(ask("a.test")), 30);
  clock.advance(seconds(29));
  EXPECT_EQ(ttl_of(ask("a.test")), 30);
  EXPECT_EQ(asked, 1);
  cache("cache {\nkeepttl\n}", replies_with("NOERROR\nanswer @ 2 A 10.0.0.1"));
  ask("a.test");
  clock.advance(seconds(3));
  EXPECT_EQ(ttl_of(ask("a.test")), 5);
}

TEST_F(PluginCache, KeepTtlOfWhatIsStale) {
  cache("cache 30 {\nkeepttl\nserve_stale 10m\n}", replies_with(kAnswer));
  ask("a.test");
  clock.advance(seconds(90));
  upstream = replies_with("SERVFAIL");
  EXPECT_EQ(ttl_of(ask("a.test")), 30);
  cache("cache 30 {\nkeepttl\nserve_stale 10m immediate 5s\n}", replies_with(kAnswer));
  ask("a.test");
  clock.advance(seconds(90));
  upstream = replies_with("SERVFAIL");
  EXPECT_EQ(ttl_of(ask("a.test")), 5);
}

TEST_F(PluginCache, FailuresAreNotServedStale) {
  cache("cache {\nserve_stale 10m\n}", replies_with("SERVFAIL"));
  ask("a.test");
  clock.advance(seconds(90));
  upstream = replies_with(kAnswer);
  EXPECT_EQ(ttl_of(ask("a.test")), 60);
}

TEST_F(PluginCache, StaleAtOnce) {
  cache("cache {\nserve_stale 10m\n}", replies_with(kAnswer));
  ask("a.test");
  clock.advance(seconds(90));
  upstream = replies_with("SERVFAIL");
  AskOptions edns;
  edns.query.edns_size = 1232;
  const std::string stale = ask("a.test", "A", edns);
  EXPECT_EQ(ttl_of(stale), 0);
  EXPECT_NE(stale.find("opt 1232"), std::string::npos);
  const Bytes ede = hex("000f 000e 0003");
  EXPECT_NE(std::ranges::search(replies.back(), ede).begin(), replies.back().end());
  EXPECT_EQ(asked, 2);  // it was asked for anew; the failure did not replace it
  EXPECT_EQ(ttl_of(ask("a.test")), 0);
  upstream = replies_with("NOERROR\nanswer @ 60 A 10.0.0.2");
  EXPECT_EQ(ttl_of(ask("a.test")), 0);
  EXPECT_EQ(ask("a.test"), "NOERROR aa rd qd=1\nanswer a.test. 60 A 10.0.0.2\n");
  EXPECT_EQ(asked, 4);
  clock.advance(seconds(60) + minutes(10));
  upstream = replies_with("SERVFAIL");
  EXPECT_EQ(ask("a.test"), "SERVFAIL qd=1\n");
}

TEST_F(PluginCache, StaleWhenUpstreamFails) {
  cache("cache {\nserve_stale 1h verify\n}", replies_with(kAnswer));
  ask("a.test");
  clock.advance(seconds(90));
  upstream = waits();
  EXPECT_EQ(ask("a.test"), "pending");
  EXPECT_EQ(ttl_of(ask("a.test")), 0);  // others do not wait
  answer_waiting("SERVFAIL");
  EXPECT_EQ(to_text(replies.back()), "NOERROR aa rd ra qd=1\nanswer a.test. 0 A 10.0.0.1\n");
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(ask("a.test"), "pending");
  answer_waiting("NOERROR\nanswer @ 60 A 10.0.0.2");
  EXPECT_EQ(to_text(replies.back()), "NOERROR qd=1\nanswer a.test. 60 A 10.0.0.2\n");
  EXPECT_EQ(ttl_of(ask("a.test")), 60);
  EXPECT_EQ(asked, 3);
}

TEST_F(PluginCache, CapacitiesAreCoreDnssShards) {
  const std::pair<const char*, size_t> kCases[] = {
      {"0", 1024}, {"100", 1024}, {"1300", 1280}, {"9984", 9984}};
  for (const auto& [text, capacity] : kCases) {
    use("cache {\nsuccess " + std::string(text) + "\n}");
    EXPECT_EQ(options<CacheOptions>("cache").kinds[0].capacity, capacity) << text;
  }
}

TEST_F(PluginCache, StaleTtlAndRecheck) {
  for (const char* mode : {"immediate 30s 20s", "verify 0 30s 20s"}) {
    cache("cache {\nserve_stale 1h " + std::string(mode) + "\n}", replies_with(kAnswer));
    ask("a.test");
    clock.advance(seconds(90));
    upstream = replies_with("SERVFAIL");
    EXPECT_EQ(ttl_of(ask("a.test")), 30) << mode;
    EXPECT_EQ(asked, 2) << mode;
    clock.advance(seconds(19));
    EXPECT_EQ(ttl_of(ask("a.test")), 30) << mode;
    EXPECT_EQ(asked, 2) << mode << ": a failure is not asked for again at once";
    clock.advance(seconds(1));
    upstream = replies_with(kAnswer);
    ask("a.test");
    EXPECT_EQ(asked, 3) << mode;
    EXPECT_EQ(ttl_of(ask("a.test")), 60) << mode;
  }
}

TEST_F(PluginCache, VerifyOnlyForSoLong) {
  cache("cache {\nserve_stale 1h verify 5ms\n}", replies_with(kAnswer));
  ask("a.test");
  clock.advance(seconds(90));
  upstream = waits();
  EXPECT_EQ(ask("a.test"), "pending");
  const size_t before = replies.size();
  ASSERT_TRUE(loop.run_until([&] { return replies.size() > before; }, seconds(20)));
  EXPECT_EQ(to_text(replies.back()), "NOERROR aa rd ra qd=1\nanswer a.test. 0 A 10.0.0.1\n");
  EXPECT_EQ(ttl_of(ask("a.test")), 0) << "and nobody else asks meanwhile";
  EXPECT_EQ(asked, 2);
  answer_waiting("NOERROR\nanswer @ 60 A 10.0.0.2");
  EXPECT_EQ(ask("a.test"), "NOERROR aa rd qd=1\nanswer a.test. 60 A 10.0.0.2\n");
  EXPECT_EQ(chain->waiting(), 0U);
}

TEST_F(PluginCache, PositivePreferred) {
  constexpr const char* kWithout[] = {kNxDomain, "NOERROR\nanswer @ 60 CNAME b.test",
                                      "NOERROR\nauthority test 100 SOA a. b. 1 2 3 4 20",
                                      "SERVFAIL"};
  for (const char* mode : {"immediate", "verify"}) {
    for (const char* reply : kWithout) {
      cache("cache {\nserve_stale 10m " + std::string(mode) +
                "\nserve_stale_policy prefer_positive\n}",
            replies_with(kAnswer));
      ask("a.test");
      clock.advance(seconds(90));
      upstream = replies_with(reply);
      for (int i = 0; i < 2; ++i)
        EXPECT_EQ(ask("a.test"), "NOERROR aa rd ra qd=1\nanswer a.test. 0 A 10.0.0.1\n")
            << mode << " " << reply;
      upstream = replies_with("NOERROR\nanswer @ 60 A 10.0.0.2");
      ask("a.test");
      EXPECT_EQ(ttl_of(ask("a.test")), 60) << mode << " " << reply;
      clock.advance(seconds(60) + minutes(10));
      upstream = replies_with(kNxDomain);
      EXPECT_TRUE(ask("a.test").starts_with("NXDOMAIN")) << "too old";
    }
  }
}

// Verified, a denial is as fresh as it was at first.
TEST_F(PluginCache, ADenialThatUpstreamRepeatsIsNotStale) {
  cache("cache {\nserve_stale 10m verify\nserve_stale_policy prefer_positive\n}",
        replies_with(kNxDomain));
  ask("a.test");
  clock.advance(seconds(90));
  EXPECT_EQ(ask("a.test"), "NXDOMAIN aa rd ra qd=1\nauthority test. 20 SOA a. b. 1 2 3 4 20\n");
  EXPECT_EQ(asked, 2);
}

TEST_F(PluginCache, Prefetch) {
  cache("cache {\nprefetch 3 1m 50%\n}", replies_with("NOERROR\nanswer @ 100 A 10.0.0.1"));
  ask("a.test");
  for (int i = 0; i < 5; ++i) ask("a.test");
  EXPECT_EQ(asked, 1);
  clock.advance(seconds(49));
  ask("a.test");
  EXPECT_EQ(asked, 1);
  clock.advance(seconds(1));
  EXPECT_EQ(ttl_of(ask("a.test")), 50);
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(ttl_of(ask("a.test")), 100);
  clock.advance(seconds(70));  // a pause: it is not popular any more
  ask("a.test");
  EXPECT_EQ(asked, 2);
}

TEST_F(PluginCache, TheSameQuestionWaits) {
  cache("cache", waits());
  EXPECT_EQ(ask("a.test"), "pending");
  AskOptions other;
  other.query.id = 7;
  EXPECT_EQ(ask("A.TEST", "A", other), "pending");
  EXPECT_EQ(ask("a.test", "AAAA"), "pending");
  EXPECT_EQ(asked, 2);
  answer_waiting("NOERROR rd\nanswer @ 60 A 10.0.0.1");
  ASSERT_EQ(replies.size(), 3U);
  std::map<uint16_t, std::string> by_id;
  for (const Bytes& reply : replies) by_id[read_u16(reply.data())] = to_text(reply);
  EXPECT_EQ(by_id[7], "NOERROR rd qd=1\nanswer A.TEST. 60 A 10.0.0.1\n");
}

TEST_F(PluginCache, WhatDoesNotWait) {
  AskOptions tcp;
  tcp.transport = Transport::kTcp;
  AskOptions no_rd;
  no_rd.query.flags = 0;
  cache("cache", waits());
  ask("a.test", "TYPE13");
  ask("a.test", "TYPE13");
  EXPECT_EQ(asked, 2);  // loop counts them
  ask("b.test");
  ask("b.test", "A", tcp);  // the reply over UDP may be truncated
  EXPECT_EQ(asked, 4);
  ask("c.test");
  ask("c.test", "A", no_rd);
  EXPECT_EQ(asked, 6);
  ask("d.test");
  clock.advance(seconds(7));
  ask("d.test");  // the first was lost
  EXPECT_EQ(asked, 8);
}

// A name that `hosts`, say, has got since: what was kept of it goes, and its answer is not kept.
TEST_F(PluginCache, ANameThatHasBecomeOurOwn) {
  constexpr const char* kOwn = "NOERROR aa\nanswer @ 3600 A 10.0.0.2";
  const auto own = [](const char* reply) -> LastPlugin {
    return [reply](Request& request) {
      request.reply().set_own();
      return replies_with(reply)(request);
    };
  };
  for (const char* refresh : {"prefetch 1 1m 90%", "serve_stale 1h", "serve_stale 1h verify"}) {
    cache("cache {\n" + std::string(refresh) + "\n}", replies_with(kAnswer));
    ask("a.test");
    clock.advance(refresh[0] == 'p' ? seconds(30) : seconds(90));
    upstream = own("SERVFAIL");
    ask("a.test");
    EXPECT_NE(ask("a.test").find("10.0.0.1"), std::string::npos) << refresh << ": not known yet";
    upstream = own(kOwn);
    ask("a.test");
    for (int before = asked, i = 1; i < 3; ++i) {
      EXPECT_EQ(ask("a.test"), "NOERROR aa qd=1\nanswer a.test. 3600 A 10.0.0.2\n") << refresh;
      EXPECT_EQ(asked, before + i) << refresh;
    }
  }
}

TEST_F(PluginCache, Metrics) {
  Host host(loop, "");
  cache("cache", replies_with(kAnswer));
  auto service = registered("cache")->start(host, *config.plan->blocks.at(0).plugins.at("cache"));
  ASSERT_TRUE(service.ok());
  ask("a.test");
  ask("a.test");
  const std::string text = host.metrics();
  for (const char* line : {
           "coredns_cache_requests_total{server=\"dns://:53\",zones=\".\",view=\"\"} 2\n",
           "coredns_cache_misses_total{server=\"dns://:53\",zones=\".\",view=\"\"} 1\n",
           "coredns_cache_hits_total{server=\"dns://:53\",zones=\".\",view=\"\",type=\"success\"} "
           "1\n",
           "coredns_cache_entries{server=\"dns://:53\",zones=\".\",view=\"\",type=\"success\"} 1\n",
           "coredns_cache_entries{server=\"dns://:53\",zones=\".\",view=\"\",type=\"denial\"} 0\n",
           "coredns_cache_drops_total{server=\"dns://:53\",zones=\".\",view=\"\"} 0\n",
       })
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
}

TEST_F(PluginCache, Refusals) {
  const std::pair<const char*, const char*> kCases[] = {
      {"cache 0", "Corefile:2: '0' is no TTL from 1s to 2147483647s"},
      {"cache -1", "Corefile:2: '-1' is no TTL of a cache, such as 30"},
      {"cache {\nsuccess\n}", "Corefile:3: 'success' takes at least 1 argument, not 0"},
      {"cache {\nsuccess -1\n}", "Corefile:3: '-1' is not a whole number from 0 to 1000000000"},
      {"cache {\nservfail 6m\n}", "Corefile:3: 'servfail' is at most 5m"},
      {"cache {\nserve_stale 1h later\n}",
       "Corefile:3: 'later' is not one of immediate, verify: CoreDNS does not know it either"},
      {"cache {\nserve_stale 1h immediate 1s 1s 1s\n}",
       "Corefile:3: serve_stale: '1s' is too much"},
      {"cache {\nserve_stale 1h verify 1s 1500ms\n}",
       "Corefile:3: '1500ms' is no TTL: whole seconds, such as 30s"},
      {"cache {\nserve_stale 1h verify 1s 1s 6m\n}",
       "Corefile:3: serve_stale asks again after 5m at most"},
      {"cache {\nserve_stale_policy prefer_positive\n}",
       "Corefile:2: cache: 'serve_stale_policy' needs 'serve_stale'"},
      {"cache {\nprefetch 10 1m 10\n}", "Corefile:3: '10' is no percentage such as 10%"},
      {"cache {\nprefetch 10 1m 5%\n}", "Corefile:3: '5' is not a whole number from 10 to 90"},
      {"cache {\ndisable all\n}",
       "Corefile:3: 'all' is not one of success, denial: CoreDNS does not know it either"},
      {"cache {\nserve_stale\nserve_stale_policy newest\n}",
       "Corefile:4: 'newest' is not one of prefer_positive: CoreDNS does not know it either"},
  };
  for (const auto& [text, error] : kCases) EXPECT_EQ(refusal(text), error);
  EXPECT_EQ(refusal("cache 3600s {\nserve_stale 3600s verify\nservfail 0\ndenial 9984 30\n}"), "");
  EXPECT_EQ(refusal("cache {\nserve_stale 240h VERIFY 100ms 30s 30s\n}"), "");
  EXPECT_EQ(refusal("cache {\nserve_stale 0\n}"), "");
  EXPECT_EQ(refusal("cache {\ndenial 9984 30 5 and more\n}"), "");
}

}  // namespace
}  // namespace fairlead::dns::test
