// SPDX-License-Identifier: Apache-2.0
// Which upstream server is asked, and what becomes of its reply: the directives that choose.
#include <map>

#include "dns/host.h"
#include "dns/plugins/forward/name_lookup.h"
#include "dns/plugins/forward/setup.h"
#include "tests/unit/dns/forward_support.h"

namespace fairlead::dns {
namespace {

using namespace test;

constexpr uint16_t kServFail = 0x8182;
constexpr uint16_t kNxDomain = 0x8183;
constexpr uint16_t kRefused = 0x8185;

Script says(uint16_t flags, unsigned count = 0) {
  return [=](const Bytes& query) { return reply_to(query, count, flags); };
}
std::optional<Bytes> silence(const Bytes&) {
  return std::nullopt;
}
std::optional<Bytes> answers(const Bytes& query) {
  return reply_to(query);
}

class PluginForwardChoice : public PluginForward {
 protected:
  std::string ask_once(Transport transport = Transport::kUdp) {
    return ask(make_query(kName, Type::kA), transport);
  }
  std::string failure() {
    QueryOptions o;
    o.edns_size = 1232;
    return ask(make_query(kName, Type::kA, o));
  }
};

TEST_F(PluginForwardChoice, FailoverAsksTheNextServer) {
  Upstream first(loop, says(kServFail));
  Upstream second(loop, says(kRefused));
  Upstream third(loop, answers);
  options->failover = {Rcode::kServFail, Rcode::kRefused};
  use({first.address, second.address, third.address});
  EXPECT_EQ(ask_once(), kAnswer);
  EXPECT_EQ(ask_once(), kAnswer);
  EXPECT_EQ(first.queries.size(), 2u) << "such a reply is a sign of health";
}

TEST_F(PluginForwardChoice, FailoverEndsWithTheLastServer) {
  Upstream first(loop, says(kServFail));
  Upstream second(loop, says(kRefused));
  options->failover = {Rcode::kServFail, Rcode::kRefused};
  use({first.address, second.address});
  EXPECT_EQ(ask_once(), "REFUSED rd ra qd=1\n");
  EXPECT_EQ(first.queries.size() + second.queries.size(), 2u);
  Upstream alone(loop, says(kServFail));
  chain.clear();
  use({alone.address});
  EXPECT_EQ(ask_once(), "SERVFAIL rd ra qd=1\n");
  EXPECT_EQ(alone.queries.size(), 1u);
}

// What a server said is better than that the other was silent.
TEST_F(PluginForwardChoice, FailoverIsBetterThanSilence) {
  Upstream first(loop, says(kRefused));
  Upstream silent(loop, silence);
  Upstream mute(loop, silence);
  options->failover = {Rcode::kRefused};
  options->attempts = 2;
  use({first.address, silent.address, mute.address});
  EXPECT_EQ(ask_once(), "REFUSED rd ra qd=1\n");
  EXPECT_EQ(first.queries.size(), 1u);
}

TEST_F(PluginForwardChoice, NextOnNodata) {
  Upstream first(loop, says(0x8180));
  Upstream second(loop, answers);
  auto behind = std::make_shared<ForwardOptions>();
  behind->upstreams = std::make_shared<UpstreamList>(std::vector<UpstreamServer>{second.address});
  use({first.address});
  EXPECT_EQ(ask_once(), "NOERROR rd ra qd=1\n");
  options->next_on_nodata = true;
  EXPECT_EQ(ask_once(), "NOERROR rd ra qd=1\n") << "there is no next one";
  options->others = {behind};
  chain.clear();
  use({first.address});
  EXPECT_EQ(ask_once(), kAnswer);
  first.close();
  Upstream nothing(loop, says(kNxDomain));
  chain.clear();
  use({nothing.address});
  EXPECT_EQ(ask_once(), "NXDOMAIN rd ra qd=1\n") << "that is no NODATA";
}

TEST_F(PluginForwardChoice, FailFast) {
  Upstream silent(loop, silence);
  options->failfast = true;
  options->max_fails = 1;
  options->probe_period = seconds(20);
  use({silent.address});
  EXPECT_EQ(failure(), "SERVFAIL rd qd=1\nopt 1232 ede=22\n");
  EXPECT_EQ(silent.queries.size(), 1u) << "down at the first failure, not asked a second time";
  EXPECT_EQ(failure(), "SERVFAIL rd qd=1\nopt 1232 ede=22\n");
  EXPECT_EQ(silent.queries.size(), 1u);
  EXPECT_EQ(options->metrics->all_down, 2u);
}

TEST_F(PluginForwardChoice, WithoutFailFastTheyAreTried) {
  Upstream silent(loop, silence);
  options->max_fails = 1;
  options->probe_period = seconds(20);
  use({silent.address});
  ask_once();
  ask_once();
  EXPECT_EQ(silent.queries.size(), 4u);
  EXPECT_EQ(options->metrics->all_down, 3u);
}

TEST_F(PluginForwardChoice, MaxConnectAttempts) {
  const std::pair<std::optional<size_t>, size_t> kCases[] = {{std::nullopt, 4}, {1, 1}, {3, 3}};
  for (const auto& [most, expected] : kCases) {
    Upstream silent(loop, silence);
    Upstream mute(loop, silence);
    options->attempts = most;
    options->max_fails = 0;
    options->limits.udp_reply = milliseconds(20);
    chain.clear();
    use({silent.address, mute.address});
    EXPECT_EQ(ask_once(), "SERVFAIL rd qd=1\n");
    EXPECT_EQ(silent.queries.size() + mute.queries.size(), expected);
  }
}

// Without a limit the time is one, and for what fails at once a number that nobody will miss.
TEST_F(PluginForwardChoice, AttemptsWithoutALimitEnd) {
  options->attempts = 0;
  use({{ip("127.0.0.1"), fairlead::test::free_port()}});
  EXPECT_EQ(failure(), "SERVFAIL rd qd=1\nopt 1232 ede=23\n");
  EXPECT_EQ(options->metrics->all_down, ForwardOptions::kMaxAttempts - options->max_fails);
}

TEST_F(PluginForwardChoice, SourceAddress) {
  std::vector<std::string> sources;
  Upstream up(loop, says(0x8380), answers);
  options->source = ip("127.0.0.5");
  up.on_peer = [&](const SocketAddress& peer) { sources.push_back(peer.address.to_string()); };
  use({up.address});
  EXPECT_EQ(ask_once(), kAnswer);
  EXPECT_EQ(sources, (std::vector<std::string>{"127.0.0.5", "127.0.0.5"})) << "UDP, TCP";
}

TEST_F(PluginForwardChoice, ASourceThatIsNotOurs) {
  Upstream up(loop, answers, answers);
  for (const char* source : {"192.0.2.77", "::1"}) {
    options->source = ip(source);
    chain.clear();
    use({up.address});
    EXPECT_EQ(failure(), "SERVFAIL rd qd=1\nopt 1232 ede=23\n");
    EXPECT_EQ(ask_once(Transport::kTcp), "SERVFAIL rd qd=1\n");
  }
}

// A probe is what is not asked with a client's name.
std::string probe_of(const std::vector<Bytes>& queries) {
  for (const Bytes& packet : queries) {
    Query query;
    parse_query(packet, query);
    if (query.type == Type::kNs)
      return query.name.to_text() + (query.recursion_desired() ? " rd" : "");
  }
  return "";
}

TEST_F(PluginForwardChoice, HealthChecks) {
  struct Case {
    const char* name;
    bool recursion;
    const char* asked;
  };
  const Case kCases[] = {{".", true, ". rd"}, {"example.org", false, "example.org."}};
  for (const Case& c : kCases) {
    Upstream silent(loop, silence);
    options->probe_name = dns_name(c.name);
    options->probe_recursion = c.recursion;
    chain.clear();
    use({silent.address});
    ask_once();
    EXPECT_TRUE(loop.run_until([&] { return !probe_of(silent.queries).empty(); }, seconds(20)));
    EXPECT_EQ(probe_of(silent.queries), c.asked);
    auto& counts = options->metrics->server(silent.address);
    EXPECT_TRUE(loop.run_until([&] { return counts.failed_probes > 0; }, seconds(20)));
  }
}

TEST_F(PluginForwardChoice, HealthChecksOverTcp) {
  int asked = 0;
  Upstream up(loop, silence, [&](const Bytes&) -> std::optional<Bytes> {
    ++asked;
    return std::nullopt;
  });
  options->force_tcp = true;
  use({up.address});
  ask_once();
  EXPECT_TRUE(loop.run_until([&] { return asked > 2; }, seconds(20)));
  EXPECT_TRUE(up.queries.empty());
}

TEST_F(PluginForwardChoice, OldConnectionsAreNotUsed) {
  Upstream up(loop, silence, answers);
  options->force_tcp = true;
  options->idle.age = milliseconds(1);
  use({up.address});
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(ask_once(), kAnswer);
    loop.run_until([] { return false; }, milliseconds(3));
  }
  EXPECT_EQ(up.tcp_connections, 3);
  options->idle = {.disuse = Duration::zero()};
  chain.clear();
  use({up.address});
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(ask_once(), kAnswer);
  EXPECT_EQ(up.tcp_connections, 6) << "expire 0s: none is kept";
}

TEST_F(PluginForwardChoice, MaxIdleConnections) {
  Upstream up(loop, silence, answers);
  options->force_tcp = true;
  options->idle.most = 1;
  use({up.address});
  for (int round = 1; round <= 2; ++round) {
    const size_t before = replies.size();
    for (int i = 0; i < 3; ++i) send(make_query(kName, Type::kA));
    EXPECT_TRUE(loop.run_until([&] { return replies.size() == before + 3; }, seconds(20)));
  }
  EXPECT_EQ(up.tcp_connections, 5) << "one of three was kept";
}

TEST_F(PluginForwardChoice, Metrics) {
  Upstream up(loop, says(kNxDomain), answers);
  options->in_flight = std::make_shared<InFlightLimit>(1);
  use({up.address});
  EXPECT_EQ(ask_once(), "NXDOMAIN rd ra qd=1\n");
  EXPECT_EQ(ask_once(Transport::kTcp), kAnswer);
  EXPECT_EQ(ask_once(Transport::kTcp), kAnswer);
  send(make_query(kName, Type::kA));
  send(make_query(kName, Type::kA));
  EXPECT_TRUE(loop.run_until([&] { return replies.size() == 5; }, seconds(20)));
  std::string text;
  options->metrics->render(text);
  const std::string labels = "{proxy_name=\"forward\",to=\"" + up.address.to_string() + "\"";
  for (const std::string& line :
       {"coredns_proxy_request_duration_seconds_count" + labels + ",rcode=\"NXDOMAIN\"} 2\n",
        "coredns_proxy_request_duration_seconds_bucket" + labels +
            ",rcode=\"NOERROR\",le=\"+Inf\"} 2\n",
        "coredns_proxy_conn_cache_hits_total" + labels + ",proto=\"tcp\"} 1\n",
        "coredns_proxy_conn_cache_misses_total" + labels + ",proto=\"tcp\"} 1\n",
        "coredns_proxy_conn_cache_misses_total" + labels + ",proto=\"udp\"} 2\n",
        "coredns_proxy_healthcheck_failures_total" + labels + "} 0\n",
        std::string("coredns_forward_max_concurrent_rejects_total 1\n"),
        std::string("coredns_forward_healthcheck_broken_total 0\n")})
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
}

TEST(PluginForwardMetrics, ServersWithoutEndAreOne) {
  ForwardMetrics metrics;
  for (uint16_t port = 1; port <= 300; ++port)
    metrics.server({ip("127.0.0.1"), port}).observe(Rcode::kNoError, milliseconds(1));
  std::string text;
  metrics.render(text);
  EXPECT_NE(text.find("_count{proxy_name=\"forward\",to=\"other\",rcode=\"NOERROR\"} 44\n"),
            std::string::npos);
}

// A resolver that knows names as the test says.
class Resolver : public Upstream {
 public:
  explicit Resolver(Loop& loop) : Upstream(loop, [this](const Bytes& q) { return answer(q); }) {}
  std::map<std::string, std::vector<std::string>> addresses;

 private:
  Bytes answer(const Bytes& packet) {
    Query query;
    parse_query(packet, query);
    Bytes reply = reply_to(packet, 0);
    uint16_t count = 0;
    for (const std::string& each : addresses[query.name.to_text()]) {
      const IpAddress known = ip(each);
      if ((query.type == Type::kA) != known.is_v4()) continue;
      const uint8_t size = known.is_v4() ? 4 : 16;
      const Bytes head = {0xc0, 0x0c, 0,   static_cast<uint8_t>(query.type), 0, 1, 0, 0, 0,
                          60,   0,    size};
      reply.insert(reply.end(), head.begin(), head.end());
      reply.insert(reply.end(), known.bytes().begin(), known.bytes().end());
      ++count;
    }
    write_u16(&reply[6], count);
    return reply;
  }
};

class PluginForwardNames : public PluginForward {
 protected:
  PluginForwardNames() {
    options->resolvers = {{ip("127.0.0.1"), fairlead::test::free_port()}, resolver.address};
    options->look_up = options->look_up_retry = milliseconds(10);
    options->upstreams = std::make_shared<UpstreamList>(std::vector<UpstreamServer>());
  }
  void follow(const std::string& name, bool tls = false) {
    Target target;
    target.host = name;
    target.port = 5353;
    if (tls) target.way = UpstreamWay::kTls;
    target.tls_name = tls ? name : "";
    options->targets.push_back(target);
  }
  void start() { service = *start_forward(host, *options); }
  // The list once it has so many servers.
  std::string list(size_t size) {
    loop.run_until([&] { return options->upstreams->get()->size() == size; }, seconds(20));
    std::string text;
    for (const UpstreamServer& server : *options->upstreams->get())
      text += server.address.to_string() + (server.is_plain() ? "" : "%" + server.tls_name) + " ";
    return text;
  }

  Resolver resolver{loop};
  Host host{loop, ""};
  std::unique_ptr<Service> service;
};

TEST_F(PluginForwardNames, AreLookedUpAgain) {
  resolver.addresses["a.test."] = {"192.0.2.2", "2001:db8::1", "192.0.2.1"};
  resolver.addresses["b.test."] = {"192.0.2.9"};
  follow("b.test", true);
  follow("a.test");
  start();
  EXPECT_EQ(list(4), "192.0.2.9:5353%b.test 192.0.2.1:5353 192.0.2.2:5353 [2001:db8::1]:5353 ");
  resolver.addresses["a.test."] = {"192.0.2.7"};
  EXPECT_EQ(list(2), "192.0.2.9:5353%b.test 192.0.2.7:5353 ");
  // What was known stays.
  resolver.addresses.clear();
  const size_t asked = resolver.queries.size();
  loop.run_until([&] { return resolver.queries.size() > asked + 8; }, seconds(20));
  EXPECT_EQ(list(2), "192.0.2.9:5353%b.test 192.0.2.7:5353 ");
}

TEST_F(PluginForwardNames, FewOfManyAddresses) {
  for (int i = 1; i <= 30; ++i)
    resolver.addresses["a.test."].push_back("192.0.2." + std::to_string(i));
  follow("a.test");
  start();
  loop.run_until([&] { return !options->upstreams->get()->empty(); }, seconds(20));
  EXPECT_EQ(options->upstreams->get()->size(), 15u);
}

TEST_F(PluginForwardNames, TheSystemsResolvers) {
  options->resolvers.clear();
  options->resolv_conf = "/does/not/exist";
  follow("a.test");
  start();
  loop.run_until([] { return false; }, milliseconds(40));
  EXPECT_EQ(list(0), "") << "without any it is tried again, and nothing else happens";
}

TEST_F(PluginForwardNames, OverTlsTheyAreNamesInCertificates) {
  resolver.addresses["a.test."] = {"192.0.2.1"};
  follow("a.test", true);
  start();
  EXPECT_EQ(list(1), "192.0.2.1:5353%a.test ");
  resolver.addresses["a.test."] = {"192.0.2.2"};
  loop.run_until(
      [&] { return options->upstreams->get()->at(0).address.address == ip("192.0.2.2"); },
      seconds(20));
  EXPECT_EQ(list(1), "192.0.2.2:5353%a.test ");
}

// The next configuration goes on counting, for all directives together.
TEST_F(PluginForwardNames, CountersOutliveTheConfiguration) {
  start();
  options->metrics->rejects = 3;
  auto next = std::make_shared<ForwardOptions>();
  next->upstreams = std::make_shared<UpstreamList>(std::vector<UpstreamServer>());
  service = *start_forward(host, *next);
  options.reset();
  next->metrics->rejects += 1;
  const std::string text = host.metrics();
  const size_t at = text.find("\ncoredns_forward_max_concurrent_rejects_total 4\n");
  ASSERT_NE(at, std::string::npos) << text;
  EXPECT_EQ(text.find("\ncoredns_forward_max_concurrent_rejects_total ", at + 1), std::string::npos)
      << "once";
  service.reset();
  EXPECT_EQ(host.metrics().find("coredns_forward"), std::string::npos);
}

TEST_F(PluginForwardNames, AreAskedForClients) {
  Upstream up(loop, answers);
  resolver.addresses["a.test."] = {"127.0.0.1"};
  follow("a.test");
  options->targets.back().port = up.address.port;
  start();
  config = {{"forward", options}};
  ASSERT_TRUE(chain.assemble({loop, readers, router}, config).ok());
  EXPECT_EQ(list(1), up.address.to_string() + " ");
  EXPECT_EQ(ask(make_query(kName, Type::kA)), kAnswer);
  EXPECT_NE(host.metrics().find("coredns_proxy_request_duration_seconds_count{proxy_name="),
            std::string::npos)
      << "what is counted is told";
}

}  // namespace
}  // namespace fairlead::dns
