// SPDX-License-Identifier: Apache-2.0
// The table of record semantics as whole messages: what stands in which section, and how much of
// it.
#include "dns/answer.h"

#include <set>

#include "tests/unit/dns/table_a1.h"

namespace fairlead::dns::test {
namespace {

TEST_F(TableA1, CaseOfTheQuestion) {
  EXPECT_EQ(text("Web.default.SVC.cluster.local", "A"),
            "NOERROR aa rd qd=1\nanswer Web.default.SVC.cluster.local. 5 A 10.96.0.10\n");
}

TEST_F(TableA1, ZoneSoaInNegativeAnswers) {
  EXPECT_EQ(text("web.default.svc.Cluster.local", "AAAA"),
            "NOERROR aa rd qd=1\nauthority Cluster.local. 5 SOA ns.dns.Cluster.local. "
            "hostmaster.Cluster.local. 1700000000 7200 1800 86400 5\n");
  EXPECT_EQ(text("x.cluster.local", "A"),
            "NXDOMAIN aa rd qd=1\nauthority cluster.local." + kSoa + "\n");
}

TEST_F(TableA1, ZoneSoa) {
  EXPECT_EQ(text("cluster.local", "SOA"),
            "NOERROR aa rd qd=1\nanswer cluster.local." + kSoa + "\n");
}

TEST_F(TableA1, ZoneSoaTtlIsAtMostFiveMinutes) {
  config.ttl = 3600;
  EXPECT_EQ(text("cluster.local", "SOA"),
            "NOERROR aa rd qd=1\nanswer cluster.local. 300 SOA ns.dns.cluster.local. "
            "hostmaster.cluster.local. 1700000000 7200 1800 86400 3600\n");
}

TEST_F(TableA1, SrvOfAPortBringsAddressesOfItsTargets) {
  EXPECT_EQ(text("_http._tcp.dual.default.svc.cluster.local", "SRV"),
            "NOERROR aa rd qd=1\n"
            "answer _http._tcp.dual.default.svc.cluster.local. 5 SRV 0 50 80 "
            "dual.default.svc.cluster.local.\n"
            "additional dual.default.svc.cluster.local. 5 A 10.96.0.11\n"
            "additional dual.default.svc.cluster.local. 5 AAAA fd00:96::11\n");
  EXPECT_EQ(
      text("twins.default.svc.Cluster.local", "SRV"),
      "NOERROR aa rd qd=1\n"
      "answer twins.default.svc.Cluster.local. 5 SRV 0 33 80 a.twins.default.svc.Cluster.local.\n"
      "additional a.twins.default.svc.Cluster.local. 5 A 10.244.4.1\n"
      "additional a.twins.default.svc.Cluster.local. 5 A 10.244.4.2\n"
      "additional a.twins.default.svc.Cluster.local. 5 AAAA fd00:244::4:1\n");
  EXPECT_EQ(text("_sql._tcp.db.default.svc.cluster.local", "SRV"),
            "NOERROR aa rd qd=1\n"
            "answer _sql._tcp.db.default.svc.cluster.local. 5 SRV 0 50 5432 "
            "db-0.db.default.svc.cluster.local.\n"
            "answer _sql._tcp.db.default.svc.cluster.local. 5 SRV 0 50 5432 "
            "db-1.db.default.svc.cluster.local.\n"
            "additional db-0.db.default.svc.cluster.local. 5 A 10.244.1.1\n"
            "additional db-1.db.default.svc.cluster.local. 5 A 10.244.1.2\n");
}

TEST_F(TableA1, SrvOfAPortWeightOfManyEndpoints) {
  std::vector<TestEndpoint> endpoints;
  for (int i = 0; i < 6; ++i) endpoints.push_back({"10.244.9." + std::to_string(i + 1)});
  zone.put(headless("many", "default", {port("http", 80)}));
  zone.put(slice("many-1", "many", "default", endpoints, {{"http", kube::Protocol::kTcp, 80}}));
  zone.publish(kSerial);
  EXPECT_NE(text("many.default.svc.cluster.local", "SRV").find("SRV 0 16 80 10-244-9-6.many"),
            std::string::npos);
  endpoints.clear();
  for (int i = 0; i < 150; ++i) endpoints.push_back({"10.244.9." + std::to_string(i + 1)});
  zone.put(slice("many-1", "many", "default", endpoints, {{"http", kube::Protocol::kTcp, 80}}));
  zone.publish(kSerial);
  EXPECT_NE(text("many.default.svc.cluster.local", "SRV").find("SRV 0 1 80 "), std::string::npos);
}

// Endpoints that share a label are one target: one record for each of its port numbers, and the
// addresses of those that have a port that was asked for.
TEST_F(TableA1, SrvOfAServiceWithTargetsThatShareALabel) {
  using kube::Protocol;
  zone.put(headless("pair", "default"));
  zone.put(slice("pair-4", "pair", "default", {{"10.244.8.1", "a"}, {"10.244.8.2", "b"}},
                 {{"http", Protocol::kTcp, 80}}));
  zone.put(slice("pair-6", "pair", "default", {{"fd00::8:1", "a"}},
                 {{"http", Protocol::kTcp, 80},
                  {"quic", Protocol::kUdp, 80},
                  {"metrics", Protocol::kTcp, 9090}}));
  zone.publish(kSerial);
  const std::string all = text("pair.default.svc.cluster.local", "SRV");
  const std::string name = "pair.default.svc.cluster.local.";
  EXPECT_EQ(all,
            "NOERROR aa rd qd=1\n"
            "answer " +
                name + " 5 SRV 0 20 80 a." + name +
                "\n"
                "answer " +
                name + " 5 SRV 0 20 9090 a." + name +
                "\n"
                "answer " +
                name + " 5 SRV 0 20 80 b." + name +
                "\n"
                "additional a." +
                name +
                " 5 A 10.244.8.1\n"
                "additional a." +
                name +
                " 5 AAAA fd00::8:1\n"
                "additional b." +
                name + " 5 A 10.244.8.2\n");
  EXPECT_EQ(text("_metrics._tcp." + name, "SRV"),
            "NOERROR aa rd qd=1\n"
            "answer _metrics._tcp." +
                name + " 5 SRV 0 100 9090 a." + name +
                "\n"
                "additional a." +
                name + " 5 AAAA fd00::8:1\n");
}

// A target whose name would be over 255 bytes has no record, and takes nothing from the others.
TEST_F(TableA1, SrvOfAServiceWithTargetsThatAreTooLong) {
  const std::string label(63, 'x');
  config.zone = dns_name(label + "." + label + "." + label);
  zone.put(headless("db", "default", {port("sql", 5432)}));
  zone.put(slice("db-1", "db", "default", {{"10.244.1.1", label}, {"10.244.1.2", "z"}},
                 {{"sql", kube::Protocol::kTcp, 5432}}));
  zone.publish(kSerial);
  const std::string name = "db.default.svc." + label + "." + label + "." + label;
  EXPECT_EQ(brief(ask_for(name, "SRV")), "0 50 5432 z." + name + ".");
  EXPECT_NE(text(name, "SRV").find("additional z." + name + ". 5 A 10.244.1.2\n"),
            std::string::npos);
  EXPECT_EQ(brief(ask_for("1.1.244.10.in-addr.arpa", "PTR")), "NODATA");
}

TEST_F(TableA1, ZoneNsAreTheServicesThatReachUs) {
  config.local_addresses = {ip("10.96.0.53")};
  EXPECT_EQ(text("cluster.local", "NS"),
            "NOERROR aa rd qd=1\n"
            "answer cluster.local. 5 NS kube-dns.kube-system.svc.cluster.local.\n"
            "additional kube-dns.kube-system.svc.cluster.local. 5 A 10.96.0.53\n");
  config.local_addresses = {ip("192.0.2.1"), ip("2001:db8::1")};
  EXPECT_EQ(text("cluster.local", "NS"),
            "NOERROR aa rd qd=1\nanswer cluster.local. 5 NS ns.dns.cluster.local.\n"
            "additional ns.dns.cluster.local. 5 A 192.0.2.1\n"
            "additional ns.dns.cluster.local. 5 AAAA 2001:db8::1\n");
  EXPECT_EQ(brief(ask_for("ns.dns.cluster.local", "A")), "192.0.2.1");
  EXPECT_EQ(brief(ask_for("ns.dns.cluster.local", "AAAA")), "2001:db8::1");
  EXPECT_EQ(brief(ask_for("web.default.svc.cluster.local", "NS")), "NODATA");
  EXPECT_EQ(brief(ask_for("nobody.cluster.local", "NS")), "NXDOMAIN");
}

TEST_F(TableA1, ZoneNsAndTheirAddressesAreThoseOfTheServices) {
  config.local_addresses = {ip("10.96.0.53")};
  EXPECT_EQ(brief(ask_for("ns.dns.cluster.local", "A")), "10.96.0.53");
  EXPECT_EQ(brief(ask_for("ns.dns.cluster.local", "AAAA")), "NODATA");
  zone.put(headless("dns", "kube-system", {port("dns", 53)}));
  zone.put(slice("dns-1", "dns", "kube-system",
                 {{.address = "10.244.9.1"},
                  {.address = "10.244.9.2", .hostname = "two"},
                  {.address = "10.244.9.3", .hostname = "two"}},
                 {{"dns", kube::Protocol::kUdp, 53}}));
  zone.put(headless("again", "kube-system", {port("dns", 53)}));
  zone.put(slice("again-1", "again", "kube-system", {{.address = "10.244.9.4"}},
                 {{"dns", kube::Protocol::kUdp, 53}}));
  zone.publish(kSerial);
  config.local_addresses = {ip("10.244.9.1")};
  EXPECT_EQ(text("cluster.local", "NS"),
            "NOERROR aa rd qd=1\n"
            "answer cluster.local. 5 NS two.dns.kube-system.svc.cluster.local.\n"
            "answer cluster.local. 5 NS 10-244-9-1.dns.kube-system.svc.cluster.local.\n"
            "additional two.dns.kube-system.svc.cluster.local. 5 A 10.244.9.2\n"
            "additional two.dns.kube-system.svc.cluster.local. 5 A 10.244.9.3\n"
            "additional 10-244-9-1.dns.kube-system.svc.cluster.local. 5 A 10.244.9.1\n");
  EXPECT_EQ(brief(ask_for("ns.dns.cluster.local", "A")), "10.244.9.1, 10.244.9.2, 10.244.9.3");
  // Two services with the same endpoint.
  zone.put(slice("again-1", "again", "kube-system", {{.address = "10.244.9.1"}},
                 {{"dns", kube::Protocol::kUdp, 53}}));
  zone.publish(kSerial);
  EXPECT_EQ(brief(ask_for("ns.dns.cluster.local", "A")), "10.244.9.1, 10.244.9.2, 10.244.9.3");
}

TEST_F(TableA1, ZoneSoaOfAReverseZoneNamesWhatCanBeAsked) {
  config.local_addresses = {ip("192.0.2.1")};
  config.fallthrough.clear();
  for (const char* parent : {"in-addr.arpa", "10.in-addr.arpa"}) {
    config.reverse = {*Name::from_text(parent)};
    const std::string zone_name = parent;
    const std::string soa = "answer " + zone_name + ". 5 SOA ns.dns." + zone_name + ". ";
    EXPECT_NE(text(zone_name, "SOA").find(soa), std::string::npos) << text(zone_name, "SOA");
    EXPECT_EQ(brief(ask_for(zone_name, "NS")), "ns.dns.cluster.local.");
    EXPECT_EQ(brief(ask_for("ns.dns." + zone_name, "A")), "192.0.2.1");
    EXPECT_EQ(brief(ask_for("dns." + zone_name, "A")), "NODATA");
    EXPECT_EQ(brief(ask_for("x.dns." + zone_name, "A")), "NXDOMAIN");
  }
}

// A port of a slice may have no number: "all ports" (discovery.k8s.io/v1, EndpointPort).
TEST_F(TableA1, SrvOfAPortHasNothingOfOneWithoutNumber) {
  zone.put(headless("nil", "default"));
  zone.put(slice("nil-1", "nil", "default", {{.address = "10.244.9.1"}},
                 {{"x", kube::Protocol::kTcp, 0}, {"y", kube::Protocol::kTcp, 80}}));
  zone.publish(kSerial);
  EXPECT_EQ(brief(ask_for("nil.default.svc.cluster.local", "A")), "10.244.9.1");
  EXPECT_EQ(brief(ask_for("nil.default.svc.cluster.local", "SRV")),
            "0 50 80 10-244-9-1.nil.default.svc.cluster.local.");
  EXPECT_EQ(brief(ask_for("_x._tcp.nil.default.svc.cluster.local", "SRV")), "NODATA");
  EXPECT_EQ(brief(ask_for("_x._tcp.nil.default.svc.cluster.local", "A")), "10.244.9.1");
}

TEST_F(TableA1, ExternalNameOutOfTheZoneIsToBeChased) {
  const std::string chased = to_text(ask_for("out.default.svc.cluster.local", "A"));
  EXPECT_EQ(chased,
            "NOERROR aa rd qd=1\nanswer out.default.svc.cluster.local. 5 CNAME www.example.com.\n");
  EXPECT_EQ(outcome, Outcome::kChase);
  EXPECT_EQ(target.to_text(), "www.example.com.");
  EXPECT_EQ(to_text(ask_for("via-out.default.svc.cluster.local", "AAAA")),
            "NOERROR aa rd qd=1\n"
            "answer via-out.default.svc.cluster.local. 5 CNAME out.default.svc.cluster.local.\n"
            "answer out.default.svc.cluster.local. 5 CNAME www.example.com.\n");
  EXPECT_EQ(outcome, Outcome::kChase);
}

TEST_F(TableA1, ExternalNameChainIsTenLong) {
  for (int length : {10, 11}) {
    for (int i = 0; i < length; ++i)
      zone.put(external("c" + std::to_string(i), "empty",
                        i + 1 < length ? "c" + std::to_string(i + 1) + ".empty.svc.cluster.local"
                                       : "web.default.svc.cluster.local"));
    zone.publish(kSerial);
    const std::string got = brief(ask_for("c0.empty.svc.cluster.local", "A"));
    EXPECT_EQ(got == "NODATA", length == 11) << got;
  }
}

TEST_F(TableA1, OtherLabelsOutsideTheZoneAreNotOurs) {
  for (const char* name :
       {"example.com", ".", "local", "xcluster.local", "arpa", "10.in-addr.arpa.x"}) {
    ask_for(name, "A");
    EXPECT_EQ(outcome, Outcome::kNotOurs) << name;
  }
}

TEST_F(TableA1, PtrOfUnknownAddressesFallsThroughUnlessToldOtherwise) {
  const char* const kUnknown[] = {"1.2.0.192.in-addr.arpa", "192.in-addr.arpa",
                                  "x.in-addr.arpa",         "010.0.96.10.in-addr.arpa",
                                  "5.4.3.2.1.in-addr.arpa", "a.b.ip6.arpa"};
  for (const char* name : kUnknown) {
    ask_for(name, "PTR");
    EXPECT_EQ(outcome, Outcome::kFallsThrough) << name;
  }
  config.fallthrough.clear();
  for (const char* name : kUnknown) EXPECT_EQ(brief(ask_for(name, "PTR")), "NXDOMAIN") << name;
}

// `fallthrough` for the cluster domain, or a part of it; not before everything is known.
TEST_F(TableA1, FallthroughIsForNxdomainAlone) {
  config.fallthrough = {dns_name("default.svc.cluster.local")};
  ask_for("nobody.default.svc.cluster.local", "A");
  EXPECT_EQ(outcome, Outcome::kFallsThrough);
  EXPECT_EQ(brief(ask_for("nobody.empty.svc.cluster.local", "A")), "NXDOMAIN");
  EXPECT_EQ(brief(ask_for("web.default.svc.cluster.local", "MX")), "NODATA");
}

// `ignore empty_service`.
TEST_F(TableA1, ClusterIpWithoutEndpointsIsIgnoredWhenTold) {
  zone.put(service("idle", "default", {"10.96.0.99"}, {port("http", 80)}));
  zone.put(service("busy", "default", {"10.96.0.98"}, {port("http", 80)}));
  zone.put(slice("busy-1", "busy", "default", {{"10.244.9.9"}}));
  zone.publish(kSerial);
  EXPECT_EQ(brief(ask_for("idle.default.svc.cluster.local", "A")), "10.96.0.99");
  config.ignore_empty = true;
  EXPECT_EQ(brief(ask_for("idle.default.svc.cluster.local", "A")), "NXDOMAIN");
  EXPECT_EQ(brief(ask_for("_http._tcp.idle.default.svc.cluster.local", "SRV")), "NXDOMAIN");
  EXPECT_EQ(brief(ask_for("busy.default.svc.cluster.local", "A")), "10.96.0.98");
}

TEST_F(TableA1, PtrOfSeveralEndpoints) {
  zone.put(headless("again", "default"));
  zone.put(slice("again-1", "again", "default", {{"10.244.1.1", "x"}, {"10.96.0.10"}}));
  zone.publish(kSerial);
  EXPECT_EQ(brief(ask_for("1.1.244.10.in-addr.arpa", "PTR")),
            "db-0.db.default.svc.cluster.local., x.again.default.svc.cluster.local.");
  // A service's own address has its one name.
  EXPECT_EQ(brief(ask_for("10.0.96.10.in-addr.arpa", "PTR")), "web.default.svc.cluster.local.");
}

TEST_F(TableA1, HeadlessEveryAddressComesFirstInTurn) {
  std::set<std::string> first;
  for (uint32_t rotation = 0; rotation < 6; ++rotation) {
    const std::string reply =
        to_text(ask(config, zone.snapshot(),
                    make_query("plain.default.svc.cluster.local", Type::kA), rotation));
    const size_t at = reply.find(" A ");
    first.insert(reply.substr(at, reply.find('\n', at) - at));
    EXPECT_EQ(std::count(reply.begin(), reply.end(), '\n'), 4) << reply;
  }
  EXPECT_EQ(first.size(), 3u);
}

TEST_F(TableA1, NotSyncedAnswersWhatIsKnownAndDeniesNothing) {
  Zone young;
  young.put(service("web", "default", {"10.96.0.10"}));
  young.put(external("known", "default", "web.default.svc.cluster.local"));
  young.put(external("unknown", "default", "x.default.svc.cluster.local"));
  young.put(external("twice", "default", "unknown.default.svc.cluster.local"));
  young.publish(7);
  const auto text = [&](const char* name, Type type) {
    QueryOptions options;
    options.edns_size = 1232;
    return to_text(ask(config, young.snapshot(), make_query(name, type, options)));
  };
  EXPECT_EQ(text("web.default.svc.cluster.local", Type::kA),
            "NOERROR aa rd qd=1\nanswer web.default.svc.cluster.local. 5 A 10.96.0.10\nopt 1232\n");
  const std::string cannot_say =
      "SERVFAIL aa rd qd=1\nauthority cluster.local. 5 SOA ns.dns.cluster.local. "
      "hostmaster.cluster.local. 7 7200 1800 86400 5\nopt 1232 ede=14\n";
  EXPECT_EQ(text("x.default.svc.cluster.local", Type::kA), cannot_say);
  EXPECT_EQ(text("1.0.0.10.in-addr.arpa", Type::kPtr).substr(0, 8), "SERVFAIL");
  // By another name it is the same, whether nothing has been heard yet or a file is answered from.
  const auto by_other_names = [&] {
    for (const char* name : {"unknown", "twice"})
      for (const Type type : {Type::kA, Type::kAaaa})
        EXPECT_EQ(text((std::string(name) + ".default.svc.cluster.local").c_str(), type),
                  cannot_say)
            << name;
    EXPECT_EQ(text("unknown.default.svc.cluster.local", Type::kCname).substr(0, 7), "NOERROR");
    EXPECT_EQ(text("known.default.svc.cluster.local", Type::kA).substr(0, 7), "NOERROR");
    EXPECT_EQ(text("known.default.svc.cluster.local", Type::kAaaa).substr(0, 7), "NOERROR");
  };
  by_other_names();
  young.set_stale();
  young.publish(7);
  by_other_names();
  young.set_synced();
  young.publish(8);
  EXPECT_EQ(text("x.default.svc.cluster.local", Type::kA).substr(0, 8), "NXDOMAIN");
  EXPECT_EQ(text("unknown.default.svc.cluster.local", Type::kA).substr(0, 17), "NOERROR aa rd qd=");
}

struct TruncationCase {
  std::optional<uint16_t> edns_size;
  size_t limit;
};

// As many records as fit, and TC: not an empty answer.
TEST_F(TableA1, UdpSizeKeepsWhatFits) {
  std::vector<TestEndpoint> endpoints;
  for (int i = 0; i < 200; ++i) endpoints.push_back({"10.1.0." + std::to_string(i)});
  zone.put(headless("big", "default", {port("http", 80)}));
  zone.put(slice("big-1", "big", "default", endpoints, {{"http", kube::Protocol::kTcp, 80}}));
  zone.publish(1);
  const TruncationCase kSizes[] = {{std::nullopt, 512}, {0, 512},     {511, 512},
                                   {800, 800},          {1232, 1232}, {4096, 1232}};
  for (const TruncationCase& c : kSizes) {
    QueryOptions options;
    options.edns_size = c.edns_size;
    const Bytes query = make_query("big.default.svc.cluster.local", Type::kA, options);
    const Bytes reply = ask(config, zone.snapshot(), query);
    const std::string text = to_text(reply);
    EXPECT_EQ(text.substr(0, 16), "NOERROR aa tc rd") << text;
    EXPECT_LE(reply.size(), c.limit);
    EXPECT_GT(reply.size() + 16, c.limit) << "one more A record would have fitted";
    EXPECT_EQ(text.find("authority"), std::string::npos);
    if (c.edns_size) EXPECT_NE(text.find("opt 1232"), std::string::npos);
  }
  // Over TCP all of it, also with targets beyond the reach of a compression pointer.
  const Bytes all =
      ask(config, zone.snapshot(), make_query("big.default.svc.cluster.local", Type::kSrv), 0,
          nullptr, nullptr, true);
  const std::string text = to_text(all);
  EXPECT_EQ(text.find(" tc"), std::string::npos);
  EXPECT_NE(text.find("SRV 0 1 80 10-1-0-199.big"), std::string::npos);
  EXPECT_EQ(text.find("malformed"), std::string::npos);
}

// What is only additional is left out without a word (RFC 2181 section 9).
TEST_F(TableA1, UdpSizeDoesNotCountAdditionalRecords) {
  std::vector<TestEndpoint> endpoints;
  for (int i = 0; i < 6; ++i) endpoints.push_back({"10.1.0." + std::to_string(i)});
  zone.put(headless("half-dozen", "default", {port("http", 80)}));
  zone.put(slice("half-dozen-1", "half-dozen", "default", endpoints,
                 {{"http", kube::Protocol::kTcp, 80}}));
  zone.publish(1);
  const Bytes reply =
      ask(config, zone.snapshot(), make_query("half-dozen.default.svc.cluster.local", Type::kSrv));
  const std::string text = to_text(reply);
  EXPECT_EQ(text.substr(0, 13), "NOERROR aa rd") << text;
  EXPECT_LE(reply.size(), 512u);
  size_t targets = 0;
  for (size_t at = 0; (at = text.find(" SRV ", at)) != std::string::npos; ++at) ++targets;
  EXPECT_EQ(targets, 6u);
}

}  // namespace
}  // namespace fairlead::dns::test
