// SPDX-License-Identifier: Apache-2.0
// The table of record semantics, which is the Kubernetes DNS specification and what CoreDNS adds to
// it, row by row: what each question is answered. Whole messages are in answer_test.cpp.
#include "tests/unit/dns/table_a1.h"

#include "kube/decode.h"

namespace fairlead::dns::test {
namespace {

// The zone, `svc` and `pod` below it have no records of any type but the zone's own.
TEST_F(TableA1, Containers) {
  check({
      {"cluster.local", "A", "NODATA"},
      {"svc.cluster.local", "A", "NODATA"},
      {"pod.cluster.local", "SRV", "NODATA"},
  });
  const std::string soa = "authority cluster.local." + kSoa + "\n";
  for (const char* name : {"cluster.local", "svc.cluster.local", "pod.cluster.local"})
    for (const char* type : {"A", "AAAA", "SRV", "TXT", "MX", "PTR", "CNAME", "HTTPS"})
      EXPECT_EQ(text(name, type), "NOERROR aa rd qd=1\n" + soa) << name << " " << type;
}

TEST_F(TableA1, NamespacesThatExist) {
  check({
      {"default.svc.cluster.local", "A", "NODATA"},
      {"empty.svc.cluster.local", "AAAA", "NODATA"},
      {"nobody.svc.cluster.local", "A", "NXDOMAIN"},
      {"default.pod.cluster.local", "A", "NODATA"},
      {"nobody.pod.cluster.local", "A", "NXDOMAIN"},
  });
}

TEST_F(TableA1, OtherLabels) {
  check({
      {"dns-version.cluster.local", "TXT", "\"1.1.0\""},
      {"dns-version.cluster.local", "A", "NODATA"},
      {"other.cluster.local", "A", "NXDOMAIN"},
      {"web.default.cluster.local", "A", "NXDOMAIN"},
      {"dns.cluster.local", "A", "NODATA"},  // ns.dns stands below it
  });
  EXPECT_EQ(text("dns-version.cluster.local", "TXT"),
            "NOERROR aa rd qd=1\nanswer dns-version.cluster.local. 28800 TXT \"1.1.0\"\n");
}

TEST_F(TableA1, ClusterIp) {
  check({
      {"web.default.svc.cluster.local", "A", "10.96.0.10"},
      {"WEB.Default.svc.CLUSTER.local", "A", "10.96.0.10"},
      {"web.default.svc.cluster.local", "AAAA", "NODATA"},
      {"web.kube-system.svc.cluster.local", "A", "NXDOMAIN"},
      {"idle.default.svc.cluster.local", "A", "10.96.0.12"},  // no endpoint, and still an address
      {"portless.default.svc.cluster.local", "A", "10.96.0.13"},
      {"dual.default.svc.cluster.local", "A", "10.96.0.11"},
      {"dual.default.svc.cluster.local", "AAAA", "fd00:96::11"},
      {"nobody.default.svc.cluster.local", "A", "NXDOMAIN"},
  });
}

TEST_F(TableA1, Headless) {
  check({
      {"db.default.svc.cluster.local", "A", "10.244.1.1, 10.244.1.2"},
      {"db.default.svc.cluster.local", "AAAA", "NODATA"},
      {"plain.default.svc.cluster.local", "A", "10.244.2.1, 10.244.2.2, 10.244.2.3"},
      {"six-only.default.svc.cluster.local", "A", "NODATA"},
      {"six-only.default.svc.cluster.local", "AAAA", "fd00:244::, fd00:244::1:2"},
      {"waiting.default.svc.cluster.local", "A", "NXDOMAIN"},  // 2.4.1: nothing is ready
  });
}

// As the API server tells it: `ready` decides alone, and when it is absent the endpoint is ready.
// Where unready addresses are to be published the endpoint slice controller says ready.
TEST_F(TableA1, HeadlessIsReadyAsTheApiServerSays) {
  const auto slice_with = [](const std::string& conditions) {
    const auto decoded = kube::decode<kube::EndpointSlice>(
        R"({"metadata":{"name":"odd-1","namespace":"default",)"
        R"("labels":{"kubernetes.io/service-name":"odd"}},"addressType":"IPv4",)"
        R"("endpoints":[{"addresses":["10.244.7.1"],"conditions":)" +
        conditions + "}]}");
    EXPECT_TRUE(decoded.ok()) << conditions;
    return decoded.ok() ? *decoded : kube::EndpointSlice{};
  };
  zone.put(headless("odd", "default"));
  const std::pair<const char*, const char*> kConditions[] = {
      {R"({})", "10.244.7.1"},
      {R"({"ready":null})", "10.244.7.1"},
      {R"({"ready":true})", "10.244.7.1"},
      {R"({"ready":false})", "NXDOMAIN"},
      {R"({"ready":false,"serving":true,"terminating":true})", "NXDOMAIN"},
      {R"({"ready":true,"serving":false,"terminating":true})", "10.244.7.1"},
  };
  for (const auto& [conditions, answer] : kConditions) {
    zone.put(slice_with(conditions));
    zone.publish(kSerial);
    EXPECT_EQ(brief(ask_for("odd.default.svc.cluster.local", "A")), answer) << conditions;
  }
}

TEST_F(TableA1, EndpointNames) {
  zone.put(headless("low", "default"));
  zone.put(slice("low-1", "low", "default", {{"::1:2"}}));
  zone.publish(kSerial);
  check({
      {"10-244-0-1.web.default.svc.cluster.local", "A", "10.244.0.1"},
      {"10-244-0-9.web.default.svc.cluster.local", "A", "NXDOMAIN"},  // not ready
      {"10-244-0-1.web.default.svc.cluster.local", "AAAA", "NODATA"},
      {"10-244-0-1.web.default.svc.cluster.local", "SRV",
       "0 50 8000 10-244-0-1.web.default.svc.cluster.local., "
       "0 50 8001 10-244-0-1.web.default.svc.cluster.local."},
      {"db-0.db.default.svc.cluster.local", "A", "10.244.1.1"},
      {"db-2.db.default.svc.cluster.local", "A", "NXDOMAIN"},
      {"10-244-1-1.db.default.svc.cluster.local", "A", "NXDOMAIN"},  // it has a host name
      {"10-244-2-2.plain.default.svc.cluster.local", "A", "10.244.2.2"},
      {"fd00-244--0.six-only.default.svc.cluster.local", "AAAA", "fd00:244::"},
      {"fd00-244--1-2.six-only.default.svc.cluster.local", "AAAA", "fd00:244::1:2"},
      {"fd00-244-0-0-0-0-1-2.six-only.default.svc.cluster.local", "AAAA", "NXDOMAIN"},
      {"--1-2.low.default.svc.cluster.local", "AAAA", "::0.1.0.2"},
      {"a.twins.default.svc.cluster.local", "A", "10.244.4.1, 10.244.4.2"},
      {"a.twins.default.svc.cluster.local", "AAAA", "fd00:244::4:1"},
  });
}

TEST_F(TableA1, SrvOfAPort) {
  check({
      {"_http._tcp.web.default.svc.cluster.local", "SRV",
       "0 100 80 web.default.svc.cluster.local."},
      {"http.tcp.web.default.svc.cluster.local", "SRV", "0 100 80 web.default.svc.cluster.local."},
      {"_HTTP._Tcp.web.default.svc.cluster.local", "SRV",
       "0 100 80 web.default.svc.cluster.local."},
      {"_http._tcp.dual.default.svc.cluster.local", "SRV",
       "0 50 80 dual.default.svc.cluster.local."},
      {"_http._udp.web.default.svc.cluster.local", "SRV", "NXDOMAIN"},
      {"_https._tcp.web.default.svc.cluster.local", "SRV", "NXDOMAIN"},
      {"_http._tcp.web.default.svc.cluster.local", "A", "10.96.0.10"},
      {"_http._tcp.web.default.svc.cluster.local", "TXT", "NODATA"},
      {"_sql._tcp.db.default.svc.cluster.local", "SRV",
       "0 50 5432 db-0.db.default.svc.cluster.local., 0 50 5432 "
       "db-1.db.default.svc.cluster.local."},
      {"_sql._tcp.db.default.svc.cluster.local", "A", "10.244.1.1, 10.244.1.2"},
      {"_http._tcp.waiting.default.svc.cluster.local", "SRV", "NXDOMAIN"},
  });
}

TEST_F(TableA1, SrvOfAService) {
  check({
      {"portless.default.svc.cluster.local", "SRV", "NODATA"},
      {"web.default.svc.cluster.local", "SRV",
       "0 50 80 web.default.svc.cluster.local., 0 50 8080 web.default.svc.cluster.local."},
      {"six.default.svc.cluster.local", "SRV", "0 100 443 six.default.svc.cluster.local."},
      {"kube-dns.kube-system.svc.cluster.local", "SRV",
       "0 50 53 kube-dns.kube-system.svc.cluster.local."},
      {"plain.default.svc.cluster.local", "SRV", "NODATA"},
      {"twins.default.svc.cluster.local", "SRV", "0 33 80 a.twins.default.svc.cluster.local."},
  });
}

TEST_F(TableA1, ExtraLabels) {
  check({
      {"a.b.c.web.default.svc.cluster.local", "A", "NXDOMAIN"},
      {"_tcp.web.default.svc.cluster.local", "A", "NODATA"},  // an empty non-terminal, RFC 8020
      {"_udp.web.default.svc.cluster.local", "A", "NXDOMAIN"},
      {"_tcp.db.default.svc.cluster.local", "SRV", "NODATA"},
      {"x.1-2-3-4.default.pod.cluster.local", "A", "1.2.3.4"},  // as of a service's endpoint
      {"_http._tcp.1-2-3-4.default.pod.cluster.local", "A", "1.2.3.4"},
      {"a.b.c.1-2-3-4.default.pod.cluster.local", "A", "NXDOMAIN"},
      {"1-2-3-4.x.default.pod.cluster.local", "A", "NXDOMAIN"},
  });
}

TEST_F(TableA1, Ptr) {
  check({
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
  });
}

TEST_F(TableA1, ExternalName) {
  check({
      {"out.default.svc.cluster.local", "CNAME", "www.example.com."},
      {"out.default.svc.cluster.local", "SRV", "NODATA"},
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
  });
}

TEST_F(TableA1, PodNames) {
  check({
      {"web.default.pod.cluster.local", "A", "NXDOMAIN"},
      {"1-2-3-4.default.pod.cluster.local", "A", "1.2.3.4"},
      {"1-2-3-4.default.pod.cluster.local", "AAAA", "NODATA"},
      {"fd00--5.default.pod.cluster.local", "AAAA", "fd00::5"},
      {"--ffff-102-304.default.pod.cluster.local", "A", "1.2.3.4"},
      {"--ffff-102-304.default.pod.cluster.local", "AAAA", "NODATA"},
      {"fd00-0-0-0-0-0-0-5.default.pod.cluster.local", "AAAA", "fd00::5"},
      {"1--2-3.default.pod.cluster.local", "AAAA", "1::2:3"},
      {"1-2-3-256.default.pod.cluster.local", "A", "NXDOMAIN"},
      {"podname.default.pod.cluster.local", "A", "NXDOMAIN"},
      {"1-2-3-4.nobody.pod.cluster.local", "A", "NXDOMAIN"},
  });
}

TEST_F(TableA1, OtherTypes) {
  check({
      {"web.default.svc.cluster.local", "MX", "NODATA"},
      {"web.default.svc.cluster.local", "HTTPS", "NODATA"},
      {"web.default.svc.cluster.local", "ANY", "10.96.0.10"},  // one set of them, RFC 8482
      {"six.default.svc.cluster.local", "ANY", "fd00:96::6"},
      {"out.default.svc.cluster.local", "ANY", "www.example.com."},
      {"out.default.svc.cluster.local", "TXT", "NODATA"},
  });
}

// AA always; RA, AD and CD never for names of the cluster, whatever the query has; RD as it came.
TEST_F(TableA1, Header) {
  const std::pair<const char*, const char*> kNames[] = {
      {"web.default.svc.cluster.local", "NOERROR"},
      {"nobody.default.svc.cluster.local", "NXDOMAIN"},
      {"out.default.svc.cluster.local", "NOERROR"}};
  const std::pair<uint16_t, const char*> kFlags[] = {
      {0x0000, " aa qd=1"}, {0x0100, " aa rd qd=1"}, {0x0130, " aa rd qd=1"}, {0x00f0, " aa qd=1"}};
  for (const auto& [name, rcode] : kNames)
    for (const auto& [flags, reply] : kFlags) {
      QueryOptions options;
      options.flags = flags;
      const std::string got = to_text(ask_for(name, "A", options));
      EXPECT_EQ(got.substr(0, got.find('\n')), std::string(rcode) + reply) << name << " " << flags;
    }
}

}  // namespace
}  // namespace fairlead::dns::test
