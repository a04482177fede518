// SPDX-License-Identifier: Apache-2.0
#include "proxy/stat.h"

#include <gmock/gmock.h>

#include "proxy/stat_command.h"

namespace fairlead::proxy {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

StatRow row(const std::string& name, uint64_t connections, uint64_t refused = 0,
            uint64_t bytes = 0) {
  StatRow row;
  row.port = {{"default", name}, "http", Protocol::kTcp};
  row.cluster_ips = {"10.96.0.1"};
  row.number = 80;
  row.ready = 2;
  row.endpoints = 3;
  row.totals.connections[0] = connections;
  row.totals.refused = refused;
  row.totals.flows.server_bytes = bytes;
  return row;
}

StatDocument document(double seconds, std::vector<StatRow> rows) {
  StatDocument document;
  document.node = "n1";
  document.since = "2026-01-02T03:04:05Z";
  document.seconds = seconds;
  document.families = {{"IPv4", true, 3.25, 12, 0, 0}, {"IPv6", true, std::nullopt, 0, 1, 2}};
  document.services = 12311;
  document.ports = 13000;
  document.endpoints = 1;
  document.rows = std::move(rows);
  return document;
}

double rate(const StatDocument& before, const StatDocument& after, const std::string& name) {
  const auto rates = rates_between(before, after);
  return rates ? rates->at({{"default", name}, "http", Protocol::kTcp}).connections : -1;
}

TEST(StatRates, WhatTwoLooksSayOfTheTimeBetween) {
  const StatDocument before = document(100, {row("web", 50)});
  EXPECT_EQ(rate(before, document(104, {row("web", 70)}), "web"), 5);
  EXPECT_EQ(rate(before, document(104, {row("web", 50), row("new", 8)}), "new"), 2);
  EXPECT_EQ(rate(before, document(104, {row("web", 50)}), "web"), 0);
  EXPECT_EQ(rate(before, document(104, {row("web", 20)}), "web"), 5) << "a Service made anew";
  EXPECT_EQ(rate(before, document(100, {row("web", 70)}), "web"), -1) << "one look, seen twice";
  StatDocument restarted = document(4, {row("web", 60)});
  restarted.since = "2026-01-02T05:00:00Z";
  EXPECT_EQ(rate(before, restarted, "web"), 15) << "more than before, and all of it new";
}

TEST(StatRates, OfEveryKind) {
  StatDocument before = document(0, {row("web", 0)}), after = document(2, {row("web", 2, 4, 600)});
  after.rows[0].totals.connections[3] = 2;
  after.rows[0].totals.dropped = 8;
  after.rows[0].totals.flows.client_bytes = 100;
  const StatRates rates = rates_between(before, after)->begin()->second;
  EXPECT_EQ(rates.connections, 2);
  EXPECT_EQ(rates.refused, 2);
  EXPECT_EQ(rates.dropped, 4);
  EXPECT_EQ(rates.client_bytes, 50);
  EXPECT_EQ(rates.server_bytes, 300);
}

std::string order(StatSort sort, size_t top = 0, bool with_rates = true) {
  const StatDocument before =
      document(0, {row("idle", 900), row("busy", 10), row("broken", 0, 1), row("same", 900)});
  const StatDocument after =
      document(1, {row("idle", 900), row("busy", 60), row("broken", 0, 9), row("same", 900, 0, 5)});
  std::string names;
  for (const StatRow& row :
       busiest(after, with_rates ? rates_between(before, after) : std::nullopt, sort, top))
    names += (names.empty() ? "" : " ") + row.port.service.name;
  return names;
}

TEST(StatOrder, MostFirstThenByName) {
  EXPECT_EQ(order(StatSort::kRate), "busy idle same broken");
  EXPECT_EQ(order(StatSort::kRate, 2), "busy idle");
  EXPECT_EQ(order(StatSort::kRate, 0, false), "idle same busy broken") << "totals, without rates";
  EXPECT_EQ(order(StatSort::kConnections), "idle same busy broken");
  EXPECT_EQ(order(StatSort::kRefused, 1), "broken");
  EXPECT_EQ(order(StatSort::kBytes, 1), "same");
  EXPECT_EQ(order(StatSort::kName), "broken busy idle same");
}

TEST(StatText, WhatAPersonWantsFirst) {
  StatDocument before = document(8000, {row("web", 0)});
  StatDocument after = document(8002, {row("web", 4812), row("broken", 0, 1200)});
  after.rows[0].totals.connections[3] = 7;
  after.rows[1].port = {{"kube-system", "dns"}, "", Protocol::kUdp};
  after.rows[1].cluster_ips = {"fd00:96::a"};
  after.rows[1].number = 53;
  after.rows[1].ready = after.rows[1].endpoints = 0;
  EXPECT_EQ(stat_text(after, rates_between(before, after), 0),
            "n1: programmed\n"
            "IPv4: last commit 3.2s ago, 12 commits, 0 failures, 0 changes by others\n"
            "IPv6: nothing to commit yet, 0 commits, 1 failure, 2 changes by others\n"
            "12,311 services, 13,000 ports, 1 endpoint; counted for 2h13m\n"
            "\n"
            "SERVICE           PROTO  ADDRESS          VIA           READY  CONN/S  CONNS  REFUSED"
            "  DROPPED\n"
            "default/web:http  tcp    10.96.0.1:80     cluster+node    2/3    2.4k  4,819        0"
            "        0\n"
            "kube-system/dns   udp    [fd00:96::a]:53  -               0/0       0      0    1,200"
            "        0\n");
}

TEST(StatText, WhatIsRelayedHasATableOfItsOwn) {
  StatDocument after = document(10, {row("web", 5), row("shop", 0)});
  after.families.clear();
  stream::Totals relayed;
  relayed.opened = 9310, relayed.open = 3, relayed.retried = 12, relayed.held = 4;
  relayed.ejected = 1, relayed.connected = 4, relayed.connect_micros = 1240;
  relayed.client_bytes = 1200000, relayed.server_bytes = 3400000000;
  after.rows[1].relayed = relayed;
  const std::string text = stat_text(after, std::nullopt, 0);
  EXPECT_THAT(text, HasSubstr("n1: relaying\n12,311 services"));
  EXPECT_THAT(text, HasSubstr("    2/3       -  9,310        0        0\n"))
      << "connections, where no rule counts them";
  EXPECT_THAT(text, HasSubstr("\n\nRELAYED            PROTO  OPEN    NEW  FAILED  RETRIED  HELD  "
                              "WAITING  EJECTED  CONNECT    IN   OUT\n"
                              "default/shop:http  tcp       3  9,310       0       12     4  "
                              "      0        1   0.31ms  1.2M  3.4G\n"));
  after.problem = "a worker does not answer";
  EXPECT_THAT(stat_text(after, std::nullopt, 0),
              HasSubstr("n1: NOT RELAYING: a worker does not answer\n"));
  EXPECT_EQ(busiest(after, std::nullopt, StatSort::kConnections, 1)[0].port.service.name, "shop");
}

TEST(StatText, BytesAndTrouble) {
  StatDocument before = document(0, {row("web", 0)});
  StatDocument after = document(4, {row("web", 2, 0, 6000000)});
  after.problem = "IPv4: not programmed yet";
  after.counters_problem = "no such set";
  after.bytes = before.bytes = true;
  after.event_losses = 1;
  after.uncounted_flows = 2;
  const std::string text = stat_text(after, rates_between(before, after), 0);
  EXPECT_THAT(text, HasSubstr("n1: NOT PROGRAMMED: IPv4: not programmed yet\n"));
  EXPECT_THAT(text, HasSubstr("counted for 4.0s\ncounters could not be read: no such set\n"
                              "bytes are too low: the kernel dropped events 1 time\n"
                              "bytes are too low: 2 flows ended uncounted"));
  EXPECT_THAT(text, HasSubstr("  IN B/S  OUT B/S\n"));
  EXPECT_THAT(text, HasSubstr("     0.5      2        0        0       0     1.5M\n"));
  EXPECT_THAT(stat_text(after, std::nullopt, 0),
              HasSubstr("     -      2        0        0       -        -\n"))
      << "one look says nothing of rates";
  const std::string narrow = stat_text(after, std::nullopt, 20);
  EXPECT_THAT(narrow, HasSubstr("\nSERVICE           PR\n"));
}

TEST(StatJson, ReadsBackWhatItWrites) {
  StatDocument full = document(1.5, {row("web", 3, 4, 5), row("api", 1)});
  full.problem = "why \"not\"";
  full.counters_problem = "because";
  full.bytes = true;
  full.event_losses = 6;
  full.uncounted_flows = 7;
  full.rows[0].totals.connections = {1, 2, 3, 4};
  full.rows[0].totals.flows = {1, 2, 3, 4, 5};
  full.rows[0].totals.dropped = 9;
  full.rows[0].port.protocol = Protocol::kSctp;
  full.rows[0].node_port = 30080;
  full.rows[1].relayed = stream::Totals{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  const Result<StatDocument> again = parse_stat(to_json(full));
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_EQ(*again, full);
  const std::string json = to_json(full, rates_between(document(0.5, {}), full));
  EXPECT_THAT(json, HasSubstr("\"connectionsPerSecond\":10.0"));
  EXPECT_THAT(json, HasSubstr("\"serverBytesPerSecond\":5.0"));
  EXPECT_EQ(json.find('\n'), json.size() - 1) << "one line";
}

TEST(StatJson, RefusesWhatIsNoSuchDocument) {
  for (const char* text : {"", "not found\n", "[]", "{}", R"({"node":7})", "{\"node\":\"n1\""})
    EXPECT_FALSE(parse_stat(text).ok()) << text;
}

TEST(StatOptions, WhatCanBeSaid) {
  const auto defaults = parse_stat_options({});
  ASSERT_TRUE(defaults.ok());
  EXPECT_EQ(defaults->address, "127.0.0.1:10249");
  EXPECT_EQ(defaults->interval, 2s);
  EXPECT_EQ(defaults->top, 20u);
  EXPECT_FALSE(defaults->once);
  const auto all = parse_stat_options({"--address=[::1]:9", "--interval=1m", "--top", "0",
                                       "--sort=bytes", "--output=json", "--once"});
  ASSERT_TRUE(all.ok()) << all.error().message();
  EXPECT_EQ(all->address, "[::1]:9");
  EXPECT_EQ(all->interval, 60s);
  EXPECT_EQ(all->top, 0u);
  EXPECT_EQ(all->sort, StatSort::kBytes);
  EXPECT_TRUE(all->once);
  EXPECT_TRUE(all->json);
  EXPECT_THAT(parse_stat_options({"--help"})->print, HasSubstr("fairlead-proxy stat"));
}

TEST(StatOptions, WhatCannot) {
  constexpr std::pair<const char*, const char*> kCases[] = {
      {"--address=localhost", "is not IP:PORT"},
      {"--interval=100ms", "not a time from 1s"},
      {"--interval=soon", "not a time from 1s"},
      {"--sort=beauty", "none of rate, connections"},
      {"--output=xml", "neither table nor json"},
      {"--top=many", "--top"},
      {"--color", "--color"},
  };
  for (const auto& [argument, message] : kCases) {
    const auto options = parse_stat_options({argument});
    ASSERT_FALSE(options.ok()) << argument;
    EXPECT_THAT(options.error().message(), HasSubstr(message));
  }
}

}  // namespace
}  // namespace fairlead::proxy
