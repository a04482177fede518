// SPDX-License-Identifier: Apache-2.0
// Forwarding over UDP, and over TCP where that does not do.
#include "dns/plugins/forward/forward.h"

#include <set>

#include "tests/unit/dns/forward_support.h"

namespace fairlead::dns {
namespace {

using namespace test;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_F(PluginForward, RelaysQueryAndReply) {
  Upstream up(loop, [](const Bytes& query) { return reply_to(query); });
  use({up.address});
  QueryOptions o;
  o.flags = 0x0170;  // RD, Z, AD, CD
  EXPECT_EQ(ask(make_query(kName, Type::kA, o)), kAnswer);
  EXPECT_EQ(read_u16(replies[0].data()), 0x1234) << "the client's ID comes back";
  ASSERT_EQ(up.queries.size(), 1u);
  EXPECT_EQ(read_u16(&up.queries[0][2]), 0x0130) << "RD and CD go on, Z does not";
  EXPECT_EQ(up.queries[0].size(), make_query(kName, Type::kA).size()) << "no EDNS, none added";
  std::set<uint16_t> ids;
  std::set<uint16_t> ports;
  up.on_peer = [&](const SocketAddress& peer) { ports.insert(peer.port); };
  for (int i = 0; i < 20; ++i) ask(make_query(kName, Type::kA));
  EXPECT_EQ(read_u16(&up.queries[1][2]), 0x0120) << "AD is always asked for: a cache keeps it";
  for (const Bytes& query : up.queries) ids.insert(read_u16(query.data()));
  EXPECT_GT(ids.size(), 10u) << "a new ID each time";
  EXPECT_GT(ports.size(), 10u) << "and a new port: both have to be guessed";
}

// What `cancel` says.
TEST_F(PluginForward, GivesUpWhenNobodyWaitsAnyMore) {
  Upstream silent(loop, [](const Bytes&) { return std::nullopt; });
  options->max_fails = 0;  // nothing but questions is sent
  use({silent.address});
  EXPECT_EQ(ask(make_query(kName, Type::kA)), "SERVFAIL rd qd=1\n");
  silent.catch_up();
  EXPECT_GT(silent.queries.size(), 1u);
  silent.queries.clear();
  until = loop.clock().now() + milliseconds(50);
  EXPECT_EQ(ask(make_query(kName, Type::kA)), "SERVFAIL rd qd=1\n");
  EXPECT_GE(loop.clock().now(), *until);
  silent.catch_up();
  EXPECT_EQ(silent.queries.size(), 1u) << "in 50 ms there is time for one of 200";
  until = loop.clock().now();
  EXPECT_EQ(ask(make_query(kName, Type::kA)), "SERVFAIL rd qd=1\n");
  silent.catch_up();
  EXPECT_EQ(silent.queries.size(), 1u) << "there was no time at all";
}

TEST_F(PluginForward, ATruncatedReplyIsFetchedOverTcp) {
  Upstream up(
      loop, [](const Bytes& query) { return reply_to(query, 0, 0x8380); },
      [](const Bytes& query) { return reply_to(query, 3); });
  use({up.address});
  const std::string text = ask(make_query(kName, Type::kA));
  EXPECT_EQ(text.substr(0, 19), "NOERROR rd ra qd=1\n");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4);
  EXPECT_EQ(up.tcp_queries, 1);
}

// The client gets what fits, not nothing.
TEST_F(PluginForward, WhatTcpBroughtIsCutToTheClientsSize) {
  Upstream up(
      loop, [](const Bytes& query) { return reply_to(query, 0, 0x8380); },
      [](const Bytes& query) { return reply_to(query, 100); });
  use({up.address});
  EXPECT_EQ(ask(make_query(kName, Type::kA)).substr(0, 21), "NOERROR tc rd ra qd=1");
  EXPECT_LE(replies.back().size(), 512u);
  EXPECT_GT(replies.back().size(), 512u - 16);
  QueryOptions o;
  o.edns_size = 1000;
  const std::string text = ask(make_query(kName, Type::kA, o));
  EXPECT_NE(text.find("opt 1232"), std::string::npos) << text;
  EXPECT_LE(replies.back().size(), 1000u);
  EXPECT_EQ(ask(make_query(kName, Type::kA), Transport::kTcp).substr(0, 18), "NOERROR rd ra qd=1");
  EXPECT_GT(replies.back().size(), 1600u);
}

TEST_F(PluginForward, ATruncatedReplyIsBetterThanNone) {
  Upstream up(loop, [](const Bytes& query) { return reply_to(query, 2, 0x8380); });
  use({up.address});
  const std::string text = ask(make_query(kName, Type::kA));
  EXPECT_EQ(text.substr(0, 21), "NOERROR tc rd ra qd=1") << "TCP is refused there";
}

TEST_F(PluginForward, LiesAreNotPassedOn) {
  int wrong = 0;
  Upstream up(
      loop,
      [&](Bytes query) {
        Bytes reply = reply_to(query);
        switch (wrong++) {
          case 0:
            reply[0] ^= 1;
            break;  // another ID
          case 1:
            reply[13] ^= 1;
            break;  // another name
          case 2:
            reply[reply.size() - 19] ^= 1;
            break;  // another type
          case 3:
            reply.resize(reply.size() - 1);
            break;
          default:
            reply.assign(5, 0);
            break;
        }
        return std::optional(reply);
      },
      [](const Bytes& query) { return reply_to(query); });
  use({up.address});
  for (int i = 1; i <= 5; ++i) {
    EXPECT_EQ(ask(make_query(kName, Type::kA)), kAnswer) << "asked again over TCP: " << i;
    EXPECT_EQ(up.tcp_queries, i);
  }
}

TEST_F(PluginForward, RefusalsArePassedOnAndCountAsHealthy) {
  Upstream up(loop, [](const Bytes& query) { return reply_to(query, 0, 0x8185); });
  Upstream other(loop, [](const Bytes& query) { return reply_to(query); });
  use({up.address, other.address});
  EXPECT_EQ(ask(make_query(kName, Type::kA)), "REFUSED rd ra qd=1\n");
  EXPECT_EQ(other.queries.size(), 0u);
}

TEST_F(PluginForward, ARefusalWithoutAQuestionGetsTheClientsQuestion) {
  Upstream up(loop, [](const Bytes& query) {
    return Bytes{query[0], query[1], 0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0};
  });
  use({up.address});
  EXPECT_EQ(ask(make_query(kName, Type::kA)), "FORMERR rd ra qd=1\n");
}

TEST_F(PluginForward, TheNextServerIsAskedWhenOneIsSilent) {
  Upstream silent(loop, [](const Bytes&) { return std::nullopt; });
  Upstream up(loop, [](const Bytes& query) { return reply_to(query); });
  use({silent.address, up.address});
  EXPECT_EQ(ask(make_query(kName, Type::kA)), kAnswer);
  EXPECT_EQ(ask(make_query(kName, Type::kA)), kAnswer);
  const size_t asked = silent.queries.size();
  EXPECT_GE(asked, 2u);
  // Two failures: it is down, and only probed.
  EXPECT_EQ(ask(make_query(kName, Type::kA)), kAnswer);
  for (size_t i = asked; i < silent.queries.size(); ++i)
    EXPECT_EQ(silent.queries[i].size(), 17u) << "a probe";
}

TEST_F(PluginForward, AServerThatCameBackIsUsedAgain) {
  Upstream first(loop, [](const Bytes& query) { return reply_to(query, 2); });
  Upstream second(loop, [](const Bytes& query) { return reply_to(query); });
  use({first.address, second.address});
  first.close();
  EXPECT_EQ(ask(make_query(kName, Type::kA)), kAnswer);
  EXPECT_EQ(ask(make_query(kName, Type::kA)), kAnswer);
  first.open();
  ASSERT_TRUE(loop.run_until([&] { return !first.queries.empty(); }, seconds(20))) << "probed";
  const bool used = loop.run_until(
      [&] { return ask(make_query(kName, Type::kA)).find("192.0.2.2") != std::string::npos; },
      seconds(20));
  EXPECT_TRUE(used);
}

// What a log is looked through for ends as in CoreDNS.
std::string end_of(const Bytes& reply, size_t size) {
  return {reply.end() - static_cast<ptrdiff_t>(std::min(size, reply.size())), reply.end()};
}

TEST_F(PluginForward, NobodyAnswers) {
  Upstream silent(loop, [](const Bytes&) { return std::nullopt; });
  use({silent.address});
  QueryOptions o;
  o.edns_size = 1232;
  EXPECT_EQ(ask(make_query(kName, Type::kA, o)), "SERVFAIL rd qd=1\nopt 1232 ede=22\n");
  EXPECT_EQ(silent.queries.size(), 2u);
  EXPECT_EQ(end_of(replies.back(), 19), "n time: i/o timeout");
}

TEST_F(PluginForward, TheNetworkRefuses) {
  use({{ip("127.0.0.1"), fairlead::test::free_port()}});
  QueryOptions o;
  o.edns_size = 1232;
  EXPECT_EQ(ask(make_query(kName, Type::kA, o)), "SERVFAIL rd qd=1\nopt 1232 ede=23\n");
  EXPECT_EQ(end_of(replies.back(), 28), "upstream: connection refused");
}

TEST_F(PluginForward, WithoutServers) {
  use({});
  QueryOptions o;
  o.edns_size = 1232;
  EXPECT_EQ(ask(make_query(kName, Type::kA, o)), "SERVFAIL rd qd=1\nopt 1232 ede=22\n");
  Upstream up(loop, [](const Bytes& query) { return reply_to(query); });
  options->upstreams->replace({up.address});
  EXPECT_EQ(ask(make_query(kName, Type::kA)), kAnswer) << "the list is followed";
}

TEST_F(PluginForward, TooManyAtOnceAreRefused) {
  Upstream silent(loop, [](const Bytes&) { return std::nullopt; });
  options->in_flight = std::make_shared<InFlightLimit>(3);
  use({silent.address});
  for (int i = 0; i < 3; ++i) send(make_query(kName, Type::kA));
  EXPECT_TRUE(replies.empty());
  QueryOptions edns;
  edns.edns_size = 1232;
  send(make_query(kName, Type::kA, edns));
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(to_text(replies[0]), "REFUSED rd qd=1\nopt 1232 ede=0\n");
  EXPECT_EQ(end_of(replies[0], 37), "concurrent queries exceeded maximum 3");
  EXPECT_TRUE(loop.run_until([&] { return replies.size() == 4; }, seconds(20)))
      << "each completes once";
}

// One client cannot have all places, so that another finds one.
TEST_F(PluginForward, AClientThatHasItsShareIsRefused) {
  Upstream silent(loop, [](const Bytes&) { return std::nullopt; });
  options->in_flight = std::make_shared<InFlightLimit>(90);
  options->server = "dns://:53";
  use({silent.address});
  QueryOptions edns;
  edns.edns_size = 1232;
  for (int i = 0; i < 80; ++i) send(make_query(kName, Type::kA, edns));
  EXPECT_TRUE(replies.empty());
  for (int i = 0; i < 3; ++i) send(make_query(kName, Type::kA, edns));
  ASSERT_EQ(replies.size(), 3u);
  EXPECT_EQ(to_text(replies[0]), "REFUSED rd qd=1\nopt 1232 ede=0\n");
  for (int i = 0; i < 8; ++i)
    send(make_query(kName, Type::kA), Transport::kUdp, "192.0.2." + std::to_string(100 + i));
  EXPECT_EQ(replies.size(), 3u) << "the others wait for the upstream server";
  const auto shed = options->metrics->shed();
  ASSERT_EQ(shed.size(), 1u);
  EXPECT_EQ(shed[0], (std::pair<std::string, uint64_t>("dns://:53", 3)));
  EXPECT_EQ(options->metrics->rejects, 0u);
}

// The limit is one for all workers.
TEST_F(PluginForward, TheLimitIsSharedByAllWorkers) {
  Upstream silent(loop, [](const Bytes&) { return std::nullopt; });
  options->in_flight = std::make_shared<InFlightLimit>(3);
  use({silent.address});
  InFlightLimit::Place elsewhere[] = {options->in_flight->take(), options->in_flight->take()};
  send(make_query(kName, Type::kA));
  EXPECT_TRUE(replies.empty());
  send(make_query(kName, Type::kA));
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(to_text(replies[0]), "REFUSED rd qd=1\n");
  elsewhere[0] = InFlightLimit::Place();
  send(make_query(kName, Type::kA));
  EXPECT_EQ(replies.size(), 1u) << "it waits";
  EXPECT_TRUE(loop.run_until([&] { return replies.size() == 3; }, seconds(20)));
  EXPECT_TRUE(options->in_flight->take()) << "places come back";
}

TEST_F(PluginForward, AnExternalNameIsChasedThroughTheChain) {
  Upstream up(loop, [](const Bytes& query) { return reply_to(query, 2); });
  zone.put(external("out", "default", "www.example.com"));
  zone.publish(1);
  use({up.address});
  EXPECT_EQ(ask(make_query("out.default.svc.cluster.local", Type::kA)),
            "NOERROR aa rd qd=1\n"
            "answer out.default.svc.cluster.local. 5 CNAME www.example.com.\n"
            "answer www.example.com. 60 A 192.0.2.1\n"
            "answer www.example.com. 60 A 192.0.2.2\n");
}

TEST_F(PluginForward, AnExternalNameThatDoesNotResolveIsACnameAlone) {
  uint16_t flags = 0;
  Upstream up(loop, [&](const Bytes& query) { return reply_to(query, 0, flags); });
  zone.put(external("out", "default", "www.example.com"));
  zone.publish(1);
  use({up.address});
  for (const int failure : {0x8183, 0x8182, 0x8185, 0x8180}) {
    flags = static_cast<uint16_t>(failure);
    EXPECT_EQ(
        ask(make_query("out.default.svc.cluster.local", Type::kA)),
        "NOERROR aa rd qd=1\nanswer out.default.svc.cluster.local. 5 CNAME www.example.com.\n")
        << failure;
  }
}

TEST_F(PluginForward, AnExternalNameWhoseTargetIsCutIsCutToo) {
  Upstream up(loop, [](const Bytes& query) { return reply_to(query, 1, 0x8380); });
  zone.put(external("out", "default", "www.example.com"));
  zone.publish(1);
  use({up.address});
  EXPECT_EQ(ask(make_query("out.default.svc.cluster.local", Type::kA)),
            "NOERROR aa tc rd qd=1\n"
            "answer out.default.svc.cluster.local. 5 CNAME www.example.com.\n"
            "answer www.example.com. 60 A 192.0.2.1\n");
}

TEST_F(PluginForward, WhatWasNotAskedIsNotChased) {
  Upstream up(loop, [](Bytes query) {
    Bytes reply = reply_to(query, 1);
    reply[6 + 1] = 1;
    // The record's owner becomes another name: the root.
    Query q;
    parse_query(query, q);
    reply.erase(reply.begin() + static_cast<ptrdiff_t>(q.question_end));
    reply[q.question_end] = 0;
    return reply;
  });
  zone.put(external("out", "default", "www.example.com"));
  zone.publish(1);
  use({up.address});
  EXPECT_EQ(ask(make_query("out.default.svc.cluster.local", Type::kA)),
            "NOERROR aa rd qd=1\nanswer out.default.svc.cluster.local. 5 CNAME www.example.com.\n");
}

// What is under way when the end comes is dropped without a trace.
TEST_F(PluginForward, DestroyedWhileWaiting) {
  Upstream silent(loop, [](const Bytes&) { return std::nullopt; });
  auto other = std::make_unique<Chain>();
  options->upstreams = std::make_shared<UpstreamList>(std::vector<UpstreamServer>{silent.address});
  config = {{"forward", options}};
  ASSERT_TRUE(other->assemble({loop, readers, router}, config).ok());
  const Bytes packet = make_query(kName, Type::kA);
  Query query;
  parse_query(packet, query);
  Bytes buffer(512);
  Reply reply(buffer);
  reply.begin(query, 512);
  LatePath path(replies);
  const Client client;
  Request request(query, client, reply, path);
  EXPECT_EQ(other->serve(request), Step::kPending);
  other.reset();
  loop.run_until([] { return false; }, milliseconds(300));
  EXPECT_TRUE(replies.empty());
}

TEST(Chain, RefusesPluginsItDoesNotKnow) {
  Loop loop;
  Readers readers;
  Router router;
  Chain chain;
  const auto result =
      chain.assemble({loop, readers, router}, {{"frobnicate", std::make_shared<ForwardOptions>()}});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().message(), "there is no plugin 'frobnicate'");
}

// A plugin before the one that answers sees every answer, at once or later.
TEST_F(PluginForward, PluginsBeforeSeeEveryAnswer) {
  class Marker : public Plugin {
   public:
    void on_reply(const Query&, const Client&, Reply&) override { ++seen; }
    int seen = 0;
  };
  Upstream up(loop, [](const Bytes& query) { return reply_to(query); });
  auto marker = std::make_unique<Marker>();
  Marker& seen = *marker;
  chain.append(std::move(marker));
  use({up.address});
  ask(make_query("x.cluster.local", Type::kA));
  EXPECT_EQ(seen.seen, 1);
  ask(make_query(kName, Type::kA));
  EXPECT_EQ(seen.seen, 2);
}

}  // namespace
}  // namespace fairlead::dns
