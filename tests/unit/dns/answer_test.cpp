// SPDX-License-Identifier: Apache-2.0
// The Kubernetes DNS specification as a table: one cluster, and what each question to it is
// answered.
#include "dns/answer.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/unit/dns/support.h"

namespace fairlead::dns {
namespace {

using namespace test;

constexpr uint32_t kSerial = 1700000000;
const std::string kSoa =
    " 5 SOA ns.dns.cluster.local. hostmaster.cluster.local. 1700000000 7200 1800 86400 5";

class Cluster : public ::testing::Test {
 protected:
  Cluster() {
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

  Bytes ask_for(const std::string& name, const std::string& type, QueryOptions options = {}) {
    outcome = Outcome::kAnswered;
    return ask(config, zone.snapshot(), make_query(name, type_of(type), options), 0, &outcome,
               &target);
  }
  std::string text(const std::string& name, const std::string& type) {
    return to_text(ask_for(name, type));
  }

  Zone zone;
  ZoneConfig config;
  Outcome outcome{};
  Name target;
};

struct Case {
  const char* name;
  const char* type;
  const char* answer;  // brief(): sorted data, NODATA, NXDOMAIN
};

const Case kCases[] = {
    // 2.2: the zone itself.
    {"cluster.local", "A", "NODATA"},
    {"svc.cluster.local", "A", "NODATA"},
    {"pod.cluster.local", "SRV", "NODATA"},
    {"dns-version.cluster.local", "TXT", "\"1.1.0\""},
    {"dns-version.cluster.local", "A", "NODATA"},
    {"default.svc.cluster.local", "A", "NODATA"},
    {"empty.svc.cluster.local", "AAAA", "NODATA"},
    {"nobody.svc.cluster.local", "A", "NXDOMAIN"},
    {"default.pod.cluster.local", "A", "NODATA"},
    {"nobody.pod.cluster.local", "A", "NXDOMAIN"},
    {"other.cluster.local", "A", "NXDOMAIN"},
    {"web.default.cluster.local", "A", "NXDOMAIN"},
    {"dns.cluster.local", "A", "NODATA"},  // ns.dns stands below it

    // 2.3: services with a cluster IP.
    {"web.default.svc.cluster.local", "A", "10.96.0.10"},
    {"WEB.Default.svc.CLUSTER.local", "A", "10.96.0.10"},
    {"web.default.svc.cluster.local", "AAAA", "NODATA"},
    {"web.default.svc.cluster.local", "MX", "NODATA"},
    {"web.default.svc.cluster.local", "HTTPS", "NODATA"},
    {"web.default.svc.cluster.local", "ANY", "10.96.0.10"},  // one set of them, RFC 8482
    {"six.default.svc.cluster.local", "ANY", "fd00:96::6"},
    {"web.kube-system.svc.cluster.local", "A", "NXDOMAIN"},
    {"web.default.pod.cluster.local", "A", "NXDOMAIN"},
    {"idle.default.svc.cluster.local", "A", "10.96.0.12"},  // no endpoint, and still an address
    {"portless.default.svc.cluster.local", "A", "10.96.0.13"},
    {"portless.default.svc.cluster.local", "SRV", "NODATA"},
    {"dual.default.svc.cluster.local", "A", "10.96.0.11"},
    {"dual.default.svc.cluster.local", "AAAA", "fd00:96::11"},
    {"nobody.default.svc.cluster.local", "A", "NXDOMAIN"},
    {"a.b.c.web.default.svc.cluster.local", "A", "NXDOMAIN"},

    // 2.3.2: SRV of a cluster IP; weight is 100 divided by what there is to choose from.
    {"_http._tcp.web.default.svc.cluster.local", "SRV", "0 100 80 web.default.svc.cluster.local."},
    {"http.tcp.web.default.svc.cluster.local", "SRV", "0 100 80 web.default.svc.cluster.local."},
    {"_HTTP._Tcp.web.default.svc.cluster.local", "SRV", "0 100 80 web.default.svc.cluster.local."},
    {"_http._tcp.dual.default.svc.cluster.local", "SRV", "0 50 80 dual.default.svc.cluster.local."},
    {"web.default.svc.cluster.local", "SRV",
     "0 50 80 web.default.svc.cluster.local., 0 50 8080 web.default.svc.cluster.local."},
    {"six.default.svc.cluster.local", "SRV", "0 100 443 six.default.svc.cluster.local."},
    {"kube-dns.kube-system.svc.cluster.local", "SRV",
     "0 50 53 kube-dns.kube-system.svc.cluster.local."},
    {"_http._udp.web.default.svc.cluster.local", "SRV", "NXDOMAIN"},
    {"_https._tcp.web.default.svc.cluster.local", "SRV", "NXDOMAIN"},
    {"_http._tcp.web.default.svc.cluster.local", "A", "10.96.0.10"},
    {"_http._tcp.web.default.svc.cluster.local", "TXT", "NODATA"},
    {"_tcp.web.default.svc.cluster.local", "A", "NODATA"},  // an empty non-terminal, RFC 8020
    {"_udp.web.default.svc.cluster.local", "A", "NXDOMAIN"},

    // Endpoints have names, also those of a service with a cluster IP.
    {"10-244-0-1.web.default.svc.cluster.local", "A", "10.244.0.1"},
    {"10-244-0-9.web.default.svc.cluster.local", "A", "NXDOMAIN"},  // not ready
    {"10-244-0-1.web.default.svc.cluster.local", "AAAA", "NODATA"},
    {"10-244-0-1.web.default.svc.cluster.local", "SRV",
     "0 50 8000 10-244-0-1.web.default.svc.cluster.local., "
     "0 50 8001 10-244-0-1.web.default.svc.cluster.local."},

    // 2.4: headless services.
    {"db.default.svc.cluster.local", "A", "10.244.1.1, 10.244.1.2"},
    {"db.default.svc.cluster.local", "AAAA", "NODATA"},
    {"db-0.db.default.svc.cluster.local", "A", "10.244.1.1"},
    {"db-2.db.default.svc.cluster.local", "A", "NXDOMAIN"},
    {"10-244-1-1.db.default.svc.cluster.local", "A", "NXDOMAIN"},  // it has a host name
    {"_sql._tcp.db.default.svc.cluster.local", "SRV",
     "0 50 5432 db-0.db.default.svc.cluster.local., 0 50 5432 db-1.db.default.svc.cluster.local."},
    {"_sql._tcp.db.default.svc.cluster.local", "A", "10.244.1.1, 10.244.1.2"},
    {"_tcp.db.default.svc.cluster.local", "SRV", "NODATA"},
    {"plain.default.svc.cluster.local", "A", "10.244.2.1, 10.244.2.2, 10.244.2.3"},
    {"plain.default.svc.cluster.local", "SRV", "NODATA"},
    {"10-244-2-2.plain.default.svc.cluster.local", "A", "10.244.2.2"},
    {"six-only.default.svc.cluster.local", "A", "NODATA"},
    {"six-only.default.svc.cluster.local", "AAAA", "fd00:244::, fd00:244::1:2"},
    {"fd00-244--0.six-only.default.svc.cluster.local", "AAAA", "fd00:244::"},
    {"fd00-244--1-2.six-only.default.svc.cluster.local", "AAAA", "fd00:244::1:2"},
    {"fd00-244-0-0-0-0-1-2.six-only.default.svc.cluster.local", "AAAA", "NXDOMAIN"},
    {"waiting.default.svc.cluster.local", "A", "NXDOMAIN"},  // 2.4.1: nothing is ready
    {"_http._tcp.waiting.default.svc.cluster.local", "SRV", "NXDOMAIN"},
    {"a.twins.default.svc.cluster.local", "A", "10.244.4.1, 10.244.4.2"},
    {"a.twins.default.svc.cluster.local", "AAAA", "fd00:244::4:1"},
    {"twins.default.svc.cluster.local", "SRV", "0 33 80 a.twins.default.svc.cluster.local."},

    // 2.5: ExternalName.
    {"out.default.svc.cluster.local", "CNAME", "www.example.com."},
    {"out.default.svc.cluster.local", "ANY", "www.example.com."},
    {"out.default.svc.cluster.local", "SRV", "NODATA"},
    {"out.default.svc.cluster.local", "TXT", "NODATA"},
    {"x.out.default.svc.cluster.local", "A", "NXDOMAIN"},
    {"_http._tcp.out.default.svc.cluster.local", "SRV", "NXDOMAIN"},
    {"in.default.svc.cluster.local", "A", "10.96.0.10, web.default.svc.cluster.local."},
    {"in.default.svc.cluster.local", "AAAA", "NODATA"},
    {"in-twice.default.svc.cluster.local", "A",
     "10.96.0.10, in.default.svc.cluster.local., web.default.svc.cluster.local."},
    {"dangling.default.svc.cluster.local", "A", "NODATA"},
    {"dangling.default.svc.cluster.local", "CNAME", "nobody.default.svc.cluster.local."},
    {"loop.default.svc.cluster.local", "A", "NODATA"},
    {"literal.default.svc.cluster.local", "A", "NXDOMAIN"},
    {"literal.default.svc.cluster.local", "CNAME", "NXDOMAIN"},

    // Pods, as kubeadm configures it: any address, if the namespace exists.
    {"1-2-3-4.default.pod.cluster.local", "A", "1.2.3.4"},
    {"1-2-3-4.default.pod.cluster.local", "AAAA", "NODATA"},
    {"fd00--5.default.pod.cluster.local", "AAAA", "fd00::5"},
    {"fd00-0-0-0-0-0-0-5.default.pod.cluster.local", "AAAA", "fd00::5"},
    {"1--2-3.default.pod.cluster.local", "AAAA", "1::2:3"},
    {"1-2-3-256.default.pod.cluster.local", "A", "NXDOMAIN"},
    {"podname.default.pod.cluster.local", "A", "NXDOMAIN"},
    {"1-2-3-4.nobody.pod.cluster.local", "A", "NXDOMAIN"},
    {"x.1-2-3-4.default.pod.cluster.local", "A", "NXDOMAIN"},

    // Addresses to names.
    {"10.0.96.10.in-addr.arpa", "PTR", "web.default.svc.cluster.local."},
    {"1.0.244.10.in-addr.arpa", "PTR", "10-244-0-1.web.default.svc.cluster.local."},
    {"1.1.244.10.in-addr.arpa", "PTR", "db-0.db.default.svc.cluster.local."},
    {"1.1.244.10.in-addr.arpa", "A", "NODATA"},
    {"6.9.0.0.0.0.d.f.ip6.arpa", "PTR", "NODATA"},
    {"6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.0.d.f.ip6.arpa", "PTR",
     "six.default.svc.cluster.local."},
    {"96.10.in-addr.arpa", "PTR", "NODATA"},  // names below
    {"in-addr.arpa", "PTR", "NODATA"},
    {"ip6.arpa", "SOA", "ns.dns.ip6.arpa. hostmaster.ip6.arpa. 1700000000 7200 1800 86400 5"},
};

TEST_F(Cluster, AnswersAsTheSpecificationSays) {
  for (const Case& c : kCases) {
    EXPECT_EQ(brief(ask_for(c.name, c.type)), c.answer) << c.name << " " << c.type;
    EXPECT_EQ(outcome, Outcome::kAnswered) << c.name;
  }
}

// Messages in full: what stands in which section.
TEST_F(Cluster, PositiveAnswer) {
  EXPECT_EQ(text("Web.default.SVC.cluster.local", "A"),
            "NOERROR aa rd qd=1\nanswer Web.default.SVC.cluster.local. 5 A 10.96.0.10\n");
}

TEST_F(Cluster, NoDataAndNxdomainCarryTheSoaInTheCaseOfTheQuestion) {
  EXPECT_EQ(text("web.default.svc.Cluster.local", "AAAA"),
            "NOERROR aa rd qd=1\nauthority Cluster.local. 5 SOA ns.dns.Cluster.local. "
            "hostmaster.Cluster.local. 1700000000 7200 1800 86400 5\n");
  EXPECT_EQ(text("x.cluster.local", "A"),
            "NXDOMAIN aa rd qd=1\nauthority cluster.local." + kSoa + "\n");
}

TEST_F(Cluster, ApexSoa) {
  EXPECT_EQ(text("cluster.local", "SOA"),
            "NOERROR aa rd qd=1\nanswer cluster.local." + kSoa + "\n");
}

TEST_F(Cluster, SoaTtlIsAtMostFiveMinutes) {
  config.ttl = 3600;
  EXPECT_EQ(text("cluster.local", "SOA"),
            "NOERROR aa rd qd=1\nanswer cluster.local. 300 SOA ns.dns.cluster.local. "
            "hostmaster.cluster.local. 1700000000 7200 1800 86400 3600\n");
}

TEST_F(Cluster, SrvBringsAddressesOfItsTargets) {
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

TEST_F(Cluster, WeightOfManyEndpoints) {
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
TEST_F(Cluster, TargetsThatShareALabel) {
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
TEST_F(Cluster, TargetsWithNamesThatAreTooLong) {
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

TEST_F(Cluster, NameServersAreTheServicesThatReachUs) {
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

TEST_F(Cluster, AnAliasOutOfTheZoneIsToBeChased) {
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

TEST_F(Cluster, AChainOfAliasesIsTenLong) {
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

TEST_F(Cluster, OtherNamesAreNotOurs) {
  for (const char* name :
       {"example.com", ".", "local", "xcluster.local", "arpa", "10.in-addr.arpa.x"}) {
    ask_for(name, "A");
    EXPECT_EQ(outcome, Outcome::kNotOurs) << name;
  }
}

TEST_F(Cluster, UnknownAddressesFallThroughUnlessToldOtherwise) {
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
TEST_F(Cluster, UnknownNamesFallThroughWhereTold) {
  config.fallthrough = {dns_name("default.svc.cluster.local")};
  ask_for("nobody.default.svc.cluster.local", "A");
  EXPECT_EQ(outcome, Outcome::kFallsThrough);
  EXPECT_EQ(brief(ask_for("nobody.empty.svc.cluster.local", "A")), "NXDOMAIN");
  EXPECT_EQ(brief(ask_for("web.default.svc.cluster.local", "MX")), "NODATA");
}

// `ignore empty_service`.
TEST_F(Cluster, EmptyServicesAreIgnoredWhenTold) {
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

TEST_F(Cluster, OneAddressOfSeveralEndpointsHasSeveralNames) {
  zone.put(headless("again", "default"));
  zone.put(slice("again-1", "again", "default", {{"10.244.1.1", "x"}, {"10.96.0.10"}}));
  zone.publish(kSerial);
  EXPECT_EQ(brief(ask_for("1.1.244.10.in-addr.arpa", "PTR")),
            "db-0.db.default.svc.cluster.local., x.again.default.svc.cluster.local.");
  // A service's own address has its one name.
  EXPECT_EQ(brief(ask_for("10.0.96.10.in-addr.arpa", "PTR")), "web.default.svc.cluster.local.");
}

TEST_F(Cluster, EveryAddressComesFirstInTurn) {
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

TEST(Unsynced, WhatIsKnownIsAnsweredAndNothingIsDenied) {
  Zone zone;
  ZoneConfig config;
  config.zone = dns_name("cluster.local");
  zone.put(service("web", "default", {"10.96.0.10"}));
  zone.publish(7);
  const auto text = [&](const char* name, Type type) {
    QueryOptions options;
    options.edns_size = 1232;
    return to_text(ask(config, zone.snapshot(), make_query(name, type, options)));
  };
  EXPECT_EQ(text("web.default.svc.cluster.local", Type::kA),
            "NOERROR aa rd qd=1\nanswer web.default.svc.cluster.local. 5 A 10.96.0.10\nopt 1232\n");
  EXPECT_EQ(text("x.default.svc.cluster.local", Type::kA),
            "SERVFAIL aa rd qd=1\nauthority cluster.local. 5 SOA ns.dns.cluster.local. "
            "hostmaster.cluster.local. 7 7200 1800 86400 5\nopt 1232 ede=14\n");
  EXPECT_EQ(text("1.0.0.10.in-addr.arpa", Type::kPtr).substr(0, 8), "SERVFAIL");
  zone.set_synced();
  zone.publish(8);
  EXPECT_EQ(text("x.default.svc.cluster.local", Type::kA).substr(0, 8), "NXDOMAIN");
}

struct TruncationCase {
  std::optional<uint16_t> edns_size;
  size_t limit;
};

// As many records as fit, and TC: not an empty answer.
TEST(Truncation, KeepsWhatFits) {
  Zone zone;
  ZoneConfig config;
  config.zone = dns_name("cluster.local");
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
TEST(Truncation, AdditionalRecordsDoNotCount) {
  Zone zone;
  ZoneConfig config;
  config.zone = dns_name("cluster.local");
  std::vector<TestEndpoint> endpoints;
  for (int i = 0; i < 6; ++i) endpoints.push_back({"10.1.0." + std::to_string(i)});
  zone.put(headless("six", "default", {port("http", 80)}));
  zone.put(slice("six-1", "six", "default", endpoints, {{"http", kube::Protocol::kTcp, 80}}));
  zone.publish(1);
  const Bytes reply =
      ask(config, zone.snapshot(), make_query("six.default.svc.cluster.local", Type::kSrv));
  const std::string text = to_text(reply);
  EXPECT_EQ(text.substr(0, 13), "NOERROR aa rd") << text;
  EXPECT_LE(reply.size(), 512u);
  size_t targets = 0;
  for (size_t at = 0; (at = text.find(" SRV ", at)) != std::string::npos; ++at) ++targets;
  EXPECT_EQ(targets, 6u);
}

}  // namespace
}  // namespace fairlead::dns
