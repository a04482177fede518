// SPDX-License-Identifier: Apache-2.0
// One cluster for the tests of the table of record semantics: suite TableA1, a test or more for
// each row, whose names begin alike (docs/dns-tables.md). What the pure function answers is also
// what a server says over UDP and over TCP.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <set>
#include <sstream>

#include "dns/answer.h"
#include "tests/unit/dns/server_support.h"

namespace fairlead::dns::test {

inline constexpr uint32_t kSerial = 1700000000;
inline const std::string kSoa =
    " 5 SOA ns.dns.cluster.local. hostmaster.cluster.local. 1700000000 7200 1800 86400 5";

class TableA1 : public ::testing::Test {
 protected:
  TableA1() {
    config.zone = dns_name("cluster.local");
    for (const char* name : {"default", "kube-system", "empty"}) zone.put(ns(name));
    add_services();
    zone.set_synced();
    zone.publish(kSerial);
  }

  void add_services() {
    using kube::Protocol;
    zone.put(service("web", "default", {"10.96.0.10"}, {port("http", 80), port("admin", 8080)}));
    zone.put(slice("web-1", "web", "default",
                   {{"10.244.0.1"}, {"10.244.0.2"}, {"10.244.0.9", "", false}},
                   {{"http", Protocol::kTcp, 8000}, {"admin", Protocol::kTcp, 8001}}));
    zone.put(service("dual", "default", {"10.96.0.11", "fd00:96::11"}, {port("http", 80)}));
    zone.put(service("six", "default", {"fd00:96::6"}, {port("", 443)}));
    zone.put(service("idle", "default", {"10.96.0.12"}, {port("http", 80)}));
    zone.put(service("portless", "default", {"10.96.0.13"}));
    zone.put(service("kube-dns", "kube-system", {"10.96.0.53"},
                     {port("dns", 53, Protocol::kUdp), port("dns-tcp", 53)}));

    zone.put(headless("db", "default", {port("sql", 5432)}));
    zone.put(slice("db-1", "db", "default",
                   {{"10.244.1.1", "db-0"}, {"10.244.1.2", "db-1"}, {"10.244.1.3", "db-2", false}},
                   {{"sql", Protocol::kTcp, 5432}}));
    zone.put(headless("plain", "default"));
    zone.put(slice("plain-1", "plain", "default", {{"10.244.2.1"}, {"10.244.2.2"}}));
    zone.put(slice("plain-2", "plain", "default", {{"10.244.2.2"}, {"10.244.2.3"}}));
    zone.put(headless("six-only", "default", {port("http", 80)}));
    zone.put(slice("six-only-1", "six-only", "default", {{"fd00:244::"}, {"fd00:244::1:2"}},
                   {{"http", Protocol::kTcp, 80}}));
    zone.put(headless("waiting", "default", {port("http", 80)}));
    zone.put(slice("waiting-1", "waiting", "default", {{"10.244.3.1", "", false}},
                   {{"http", Protocol::kTcp, 80}}));
    zone.put(headless("twins", "default", {port("http", 80)}));
    zone.put(slice("twins-4", "twins", "default", {{"10.244.4.1", "a"}, {"10.244.4.2", "a"}},
                   {{"http", Protocol::kTcp, 80}}));
    zone.put(slice("twins-6", "twins", "default", {{"fd00:244::4:1", "a"}},
                   {{"http", Protocol::kTcp, 80}}));

    zone.put(external("out", "default", "www.example.com"));
    zone.put(external("in", "default", "web.default.svc.cluster.local."));
    zone.put(external("in-twice", "default", "in.default.svc.cluster.local"));
    zone.put(external("dangling", "default", "nobody.default.svc.cluster.local"));
    zone.put(external("loop", "default", "loop.default.svc.cluster.local"));
    zone.put(external("via-out", "default", "out.default.svc.cluster.local"));
    zone.put(external("literal", "default", "192.0.2.1"));
  }

  // The answer to one question.
  Bytes ask_for(const std::string& name, const std::string& type, QueryOptions options = {}) {
    outcome = Outcome::kAnswered;
    const Bytes query = make_query(name, type_of(type), options);
    Bytes reply = ask(config, zone.snapshot(), query, 0, &outcome, &target);
    if (outcome == Outcome::kAnswered) compare_with_server(query, reply);
    return reply;
  }
  std::string text(const std::string& name, const std::string& type) {
    return to_text(ask_for(name, type));
  }

  void compare_with_server(const Bytes& query, const Bytes& reply) {
    auto kubernetes = std::make_shared<KubernetesOptions>();
    kubernetes->zones = {config};
    kubernetes->published = &zone.published();
    const SocketAddress address{ip("127.0.0.1"), fairlead::test::free_port()};
    const auto server =
        Server::open(std::make_shared<Plan>(Plan::of({address}, {{"kubernetes", kubernetes}})), 1);
    ASSERT_TRUE(server.ok()) << server.error().message();
    (*server)->run();
    Socket udp(address, SOCK_DGRAM);
    udp.send(query);
    EXPECT_EQ(sorted(udp.receive()), sorted(reply)) << "over UDP";
    if ((read_u16(&reply[2]) & kFlagTruncated) != 0) return;  // over TCP it is not
    Socket tcp(address, SOCK_STREAM);
    tcp.send_framed(query);
    EXPECT_EQ(sorted(tcp.receive_framed()), sorted(reply)) << "over TCP";
  }
  // The lines of a message, since a server rotates its answers.
  static std::multiset<std::string> sorted(const Bytes& message) {
    std::istringstream lines(to_text(message));
    std::multiset<std::string> out;
    for (std::string line; std::getline(lines, line);) out.insert(line);
    return out;
  }
  struct Case {
    const char* name;
    const char* type;
    const char* answer;  // brief(): sorted data, NODATA, NXDOMAIN
  };
  void check(std::initializer_list<Case> cases) {
    for (const Case& c : cases) {
      EXPECT_EQ(brief(ask_for(c.name, c.type)), c.answer) << c.name << " " << c.type;
      EXPECT_EQ(outcome, Outcome::kAnswered) << c.name;
    }
  }

  Zone zone;
  ZoneConfig config;
  Outcome outcome{};
  Name target;
};

}  // namespace fairlead::dns::test
