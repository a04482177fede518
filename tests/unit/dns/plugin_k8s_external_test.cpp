// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns::test {
namespace {

using kube::Protocol;

kube::Service with_external(kube::Service service, const std::vector<std::string>& addresses,
                            const std::vector<std::string>& ingress = {},
                            const std::vector<std::string>& hosts = {}) {
  for (const std::string& address : addresses) service.external_ips.push_back(ip(address));
  for (const std::string& address : ingress)
    service.load_balancer_ingress.push_back({ip(address), true});
  service.load_balancer_hosts = hosts;
  return service;
}

class PluginK8sExternal : public PluginTest {
 protected:
  PluginK8sExternal() {
    cluster = &zone;
    zone.put(ns("shop"));
    zone.put(ns("empty"));
    zone.put(
        with_external(service("web", "shop", {"10.96.0.1"}, {port("http", 80), port("https", 443)}),
                      {"192.0.2.1"}, {"192.0.2.2", "2001:db8::2"}));
    zone.put(with_external(service("cloud", "shop", {"10.96.0.2"}, {port("http", 80)}), {}, {},
                           {"lb.example.net"}));
    zone.put(with_external(service("dns", "shop", {"10.96.0.3"}, {port("dns", 53, Protocol::kUdp)}),
                           {"192.0.2.53"}));
    zone.put(slice("dns-1", "dns", "shop", {{"127.0.0.1"}}, {{"dns", Protocol::kUdp, 53}}));
    zone.put(service("inside", "shop", {"10.96.0.4"}, {port("http", 80)}));
    zone.put(slice("inside-1", "inside", "shop", {{"10.244.0.9", "i-0"}},
                   {{"http", Protocol::kTcp, 80}}));
    zone.put(headless("db", "shop", {port("sql", 5432)}));
    zone.put(slice("db-1", "db", "shop", {{"10.244.0.1", "db-0"}, {"10.244.0.2", "db-1"}},
                   {{"sql", Protocol::kTcp, 5432}}));
    zone.set_synced();
    zone.publish(7);
  }
  std::string brief_of(const std::string& name, const std::string& type) {
    return brief(ask_bytes(make_query(name, type_of(type))));
  }
  void use_it(const std::string& properties = "", LastPlugin last = nullptr) {
    use("kubernetes cluster.local\nk8s_external example.org 192.0.2.0/24 {\n" + properties + "\n}",
        std::move(last));
    options<KubernetesOptions>("kubernetes").zones.front().local_addresses = {ip("127.0.0.1")};
  }
  Zone zone;
};

TEST_F(PluginK8sExternal, WhatServicesHaveOutside) {
  use_it();
  const struct {
    const char* name;
    const char* type;
    const char* answer;
  } kRows[] = {
      {"web.shop.example.org", "A", "192.0.2.1, 192.0.2.2"},
      {"web.shop.example.org", "AAAA", "2001:db8::2"},
      {"WEB.Shop.example.ORG", "A", "192.0.2.1, 192.0.2.2"},
      {"web.shop.example.org", "MX", "NODATA"},
      {"_http._tcp.web.shop.example.org", "A", "192.0.2.1, 192.0.2.2"},
      {"_http._udp.web.shop.example.org", "A", "NXDOMAIN"},
      {"_none._tcp.web.shop.example.org", "SRV", "NXDOMAIN"},
      {"_tcp.web.shop.example.org", "A", "NODATA"},
      {"x.web.shop.example.org", "A", "NXDOMAIN"},
      {"a._http._tcp.web.shop.example.org", "A", "NXDOMAIN"},
      {"inside.shop.example.org", "A", "NXDOMAIN"},
      {"db.shop.example.org", "A", "NXDOMAIN"},
      {"nobody.shop.example.org", "A", "NXDOMAIN"},
      {"shop.example.org", "A", "NODATA"},
      {"empty.example.org", "A", "NODATA"},
      {"web.nowhere.example.org", "A", "NXDOMAIN"},
      {"nowhere.example.org", "A", "NXDOMAIN"},
      {"web.shop.example.org", "SRV",
       "0 16 443 web.shop.example.org., 0 16 80 web.shop.example.org."},
      {"_http._tcp.web.shop.example.org", "SRV", "0 33 80 web.shop.example.org."},
      {"cloud.shop.example.org", "SRV", "0 100 80 lb.example.net."},
      {"cloud.shop.example.org", "CNAME", "lb.example.net."},
      {"cloud.shop.example.org", "TXT", "NODATA"},
      {"1.2.0.192.in-addr.arpa", "PTR", "web.shop.example.org."},
      {"53.2.0.192.in-addr.arpa", "PTR", "dns.shop.example.org."},
      {"53.2.0.192.in-addr.arpa", "A", "NODATA"},
      {"9.2.0.192.in-addr.arpa", "PTR", "NXDOMAIN"},
      {"dns.example.org", "A", "NODATA"},
      {"ns1.dns.example.org", "A", "192.0.2.53"},
      {"ns1.dns.example.org", "AAAA", "NODATA"},
      {"ns2.dns.example.org", "A", "NXDOMAIN"},
      {"a.ns1.dns.example.org", "A", "NXDOMAIN"},
      {"example.org", "A", "NODATA"},
  };
  for (const auto& row : kRows)
    EXPECT_EQ(brief_of(row.name, row.type), row.answer) << row.name << " " << row.type;
}

TEST_F(PluginK8sExternal, TheApex) {
  use_it();
  const std::string soa =
      "example.org. 5 SOA ns1.dns.example.org. hostmaster.dns.example.org. 7 "
      "7200 1800 86400 5\n";
  EXPECT_EQ(ask("example.org", "SOA"), "NOERROR aa rd qd=1\nanswer " + soa);
  EXPECT_EQ(ask("example.org", "NS"),
            "NOERROR aa rd qd=1\nanswer example.org. 5 NS ns1.dns.example.org.\n"
            "additional ns1.dns.example.org. 5 A 192.0.2.53\n");
  EXPECT_EQ(ask("x.shop.example.org"), "NXDOMAIN aa rd qd=1\nauthority " + soa);
  EXPECT_EQ(ask("_http._tcp.web.shop.example.org", "SRV"),
            "NOERROR aa rd qd=1\n"
            "answer _http._tcp.web.shop.example.org. 5 SRV 0 33 80 web.shop.example.org.\n"
            "additional web.shop.example.org. 5 A 192.0.2.1\n"
            "additional web.shop.example.org. 5 A 192.0.2.2\n"
            "additional web.shop.example.org. 5 AAAA 2001:db8::2\n");
  use_it("apex Server\nttl 60");
  EXPECT_EQ(ask("example.org", "SOA"),
            "NOERROR aa rd qd=1\nanswer example.org. 60 SOA ns1.server.example.org. "
            "hostmaster.server.example.org. 7 7200 1800 86400 60\n");
  EXPECT_EQ(brief_of("ns1.server.example.org", "A"), "192.0.2.53");
  EXPECT_EQ(brief_of("ns1.dns.example.org", "A"), "NXDOMAIN");
}

TEST_F(PluginK8sExternal, Headless) {
  use_it("headless");
  EXPECT_EQ(brief_of("db.shop.example.org", "A"), "10.244.0.1, 10.244.0.2");
  EXPECT_EQ(brief_of("db-1.db.shop.example.org", "A"), "10.244.0.2");
  EXPECT_EQ(brief_of("db-2.db.shop.example.org", "A"), "NXDOMAIN");
  EXPECT_EQ(brief_of("_sql._tcp.db.shop.example.org", "SRV"),
            "0 50 5432 db-0.db.shop.example.org., 0 50 5432 db-1.db.shop.example.org.");
  EXPECT_EQ(brief_of("_sql._udp.db.shop.example.org", "SRV"), "NXDOMAIN");
  // Endpoints of a service that has but a cluster IP; not the cluster IP.
  EXPECT_EQ(brief_of("i-0.inside.shop.example.org", "A"), "10.244.0.9");
  EXPECT_EQ(brief_of("inside.shop.example.org", "A"), "NXDOMAIN");
}

TEST_F(PluginK8sExternal, ALoadBalancersHostNameIsLookedUp) {
  use_it("", replies_with("NOERROR\nanswer @ 60 A 203.0.113.7\n"));
  EXPECT_EQ(ask("cloud.shop.example.org"),
            "NOERROR aa rd qd=1\n"
            "answer cloud.shop.example.org. 5 CNAME lb.example.net.\n"
            "answer lb.example.net. 60 A 203.0.113.7\n");
  EXPECT_EQ(asked, 1);
}

TEST_F(PluginK8sExternal, FallsThroughWhereItIsToldTo) {
  use_it("fallthrough example.org", replies_with("NOERROR\nanswer @ 60 A 203.0.113.7\n"));
  EXPECT_EQ(ask("nobody.shop.example.org"),
            "NOERROR qd=1\nanswer nobody.shop.example.org. 60 A 203.0.113.7\n");
  EXPECT_EQ(brief_of("9.2.0.192.in-addr.arpa", "PTR"), "NXDOMAIN");
  EXPECT_EQ(brief_of("web.shop.example.org", "MX"), "NODATA");
  EXPECT_EQ(brief_of("web.shop.example.org", "ANY"), "192.0.2.1, 192.0.2.2");
  EXPECT_EQ(asked, 1);
}

TEST_F(PluginK8sExternal, DeniesNothingBeforeItKnows) {
  Zone unsynced;
  unsynced.put(with_external(service("web", "shop", {"10.96.0.1"}, {}), {"192.0.2.1"}));
  unsynced.publish(7);
  cluster = &unsynced;
  use_it("fallthrough");
  EXPECT_EQ(brief_of("web.shop.example.org", "A"), "192.0.2.1");
  EXPECT_EQ(brief_of("x.shop.example.org", "A"), "SERVFAIL");
  chain->clear();  // before the zone it reads
}

// An address that stands in spec and in status is one.
TEST_F(PluginK8sExternal, AnAddressTwiceIsOne) {
  use_it();
  zone.put(with_external(service("web", "shop", {"10.96.0.1"}, {port("http", 80)}), {"192.0.2.1"},
                         {"192.0.2.1"}));
  zone.publish(8);
  EXPECT_EQ(brief_of("web.shop.example.org", "A"), "192.0.2.1");
  EXPECT_EQ(brief_of("web.shop.example.org", "SRV"), "0 100 80 web.shop.example.org.");
  zone.put(with_external(service("web", "shop", {"10.96.0.1"}, {port("http", 80)}), {"192.0.2.1"}));
  zone.publish(9);
  EXPECT_EQ(brief_of("1.2.0.192.in-addr.arpa", "PTR"), "web.shop.example.org.");
}

TEST_F(PluginK8sExternal, FollowsChanges) {
  use_it();
  zone.put(with_external(service("web", "shop", {"10.96.0.1"}, {port("http", 80)}), {"192.0.2.9"}));
  zone.publish(8);
  EXPECT_EQ(brief_of("web.shop.example.org", "A"), "192.0.2.9");
  EXPECT_EQ(brief_of("1.2.0.192.in-addr.arpa", "PTR"), "NXDOMAIN");
  EXPECT_EQ(brief_of("9.2.0.192.in-addr.arpa", "PTR"), "web.shop.example.org.");
  zone.remove_service({"shop", "web"});
  zone.publish(9);
  EXPECT_EQ(brief_of("9.2.0.192.in-addr.arpa", "PTR"), "NXDOMAIN");
}

TEST_F(PluginK8sExternal, WhatIsRefused) {
  EXPECT_EQ(refusal("k8s_external example.org"),
            "Corefile:2: this needs the plugin 'kubernetes' in the same server block");
  const std::string kubernetes = "kubernetes cluster.local\n";
  EXPECT_EQ(refusal(kubernetes + "k8s_external example.org {\nttl 3601\n}"),
            "Corefile:4: '3601' is not a whole number from 0 to 3600");
  EXPECT_EQ(refusal(kubernetes + "k8s_external example.org {\napex a.b\n}"),
            "Corefile:4: 'a.b' is no label such as dns");
  EXPECT_EQ(refusal(kubernetes + "k8s_external example.org {\nheadles\n}"),
            "Corefile:4: plugin 'k8s_external' has no property 'headles', did you mean 'headless'? "
            "CoreDNS does not know it either");
}

}  // namespace
}  // namespace fairlead::dns::test
