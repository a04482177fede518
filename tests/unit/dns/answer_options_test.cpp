// SPDX-License-Identifier: Apache-2.0
// What the options of `kubernetes` change of its answers.
#include <gtest/gtest.h>

#include "dns/answer.h"
#include "tests/unit/dns/support.h"

namespace fairlead::dns {
namespace {

using namespace test;

class KubernetesOption : public ::testing::Test {
 protected:
  KubernetesOption() { config.zone = dns_name("cluster.local"); }
  static void publish(Zone& zone) {
    zone.set_synced();
    zone.publish(1700000000);
  }
  std::string look(const Zone& zone, const std::string& name, Type type = Type::kA) const {
    return brief(ask(config, zone.snapshot(), make_query(name, type)));
  }
  ZoneConfig config;
};

TEST_F(KubernetesOption, PodsDisabled) {
  Zone zone;
  zone.put(ns("default"));
  publish(zone);
  config.pods = PodNames::kDisabled;
  EXPECT_EQ(look(zone, "1-2-3-4.default.pod.cluster.local"), "NXDOMAIN");
  EXPECT_EQ(look(zone, "pod.cluster.local"), "NODATA");
}

TEST_F(KubernetesOption, PodsVerified) {
  Zone zone;
  for (const char* name : {"default", "kube-system"}) zone.put(ns(name));
  publish(zone);
  config.pods = PodNames::kVerified;
  const auto ask_pod = [&](const std::string& name, Type type = Type::kA) {
    return look(zone, name + ".pod.cluster.local", type);
  };
  EXPECT_EQ(ask_pod("1-2-3-4.default"), "NXDOMAIN");
  zone.put(pod("a", "default", {"1.2.3.4", "fd00::4"}));
  zone.put(pod("ended", "default", {"1.2.3.5"}, "Succeeded"));
  publish(zone);
  EXPECT_EQ(ask_pod("1-2-3-4.default"), "1.2.3.4");
  EXPECT_EQ(ask_pod("1-2-3-4.default", Type::kAaaa), "NODATA");
  EXPECT_EQ(ask_pod("fd00--4.default", Type::kAaaa), "fd00::4");
  EXPECT_EQ(ask_pod("x.1-2-3-4.default"), "1.2.3.4");
  EXPECT_EQ(ask_pod("1-2-3-4.kube-system"), "NXDOMAIN");
  EXPECT_EQ(ask_pod("x.1-2-3-4.kube-system"), "NXDOMAIN");
  EXPECT_EQ(ask_pod("1-2-3-5.default"), "NXDOMAIN");
  EXPECT_EQ(ask_pod("default"), "NODATA");
  // Two pods of a host's network have its address: it stays until both are gone.
  zone.put(pod("b", "default", {"1.2.3.4"}));
  zone.remove_pod({"default", "a"});
  publish(zone);
  EXPECT_EQ(ask_pod("1-2-3-4.default"), "1.2.3.4");
  EXPECT_EQ(ask_pod("fd00--4.default", Type::kAaaa), "NXDOMAIN");
  zone.put(pod("b", "default", {"1.2.3.4"}, "Failed"));
  publish(zone);
  EXPECT_EQ(ask_pod("1-2-3-4.default"), "NXDOMAIN");
  zone.put(pod("c", "default", {"1.2.3.7"}));
  zone.put(pod("d", "default", {"1.2.3.8"}));
  zone.retain_pods({{"default", "d"}});
  publish(zone);
  EXPECT_EQ(ask_pod("1-2-3-7.default"), "NXDOMAIN");
  EXPECT_EQ(ask_pod("1-2-3-8.default"), "1.2.3.8");
}

TEST_F(KubernetesOption, Zonal) {
  Zone zoned({.topology = true});
  zoned.put(headless("db", "default", {port("sql", 5432)}));
  zoned.put(slice("db-1", "db", "default",
                  {{"10.244.1.1", "db-0", true, "", "us-west-2a"},
                   {"10.244.1.2", "db-1", true, "", "us-west-2b"},
                   {"10.244.1.3", "db-2", true, "", "us-west-2a"},
                   {"10.244.1.4", "db-3", true, "", "Corp.example.com"},
                   {"10.244.1.5", "db-4"}},
                  {{"sql", kube::Protocol::kTcp, 5432}}));
  zoned.put(service("web", "default", {"10.96.0.10"}, {port("http", 80)}));
  publish(zoned);
  const auto ask_zone = [&](const std::string& name, Type type = Type::kA) {
    return brief(
        ask(config, zoned.snapshot(), make_query(name + ".default.svc.cluster.local", type)));
  };
  const std::string all = "10.244.1.1, 10.244.1.2, 10.244.1.3, 10.244.1.4, 10.244.1.5";
  EXPECT_EQ(ask_zone("us-west-2a.pin._zone.db"), "NXDOMAIN") << "the option is off";
  config.zonal = true;
  const struct {
    const char* name;
    std::string answer;
  } kRows[] = {
      {"us-west-2a.pin._zone.db", "10.244.1.1, 10.244.1.3"},
      {"US-WEST-2B.pin._zone.db", "10.244.1.2"},
      {"us-west-2b.prefer._zone.db", "10.244.1.2"},
      {"corp.example.com.pin._zone.db", "10.244.1.4"},
      {"example.com.pin._zone.db", "NODATA"},
      {"nowhere.pin._zone.db", "NODATA"},
      {"nowhere.prefer._zone.db", all},
      {"us-west-2a.only._zone.db", "NXDOMAIN"},
      {"pin._zone.db", "NODATA"},
      {"_zone.db", "NODATA"},
      {"other._zone.db", "NXDOMAIN"},
      {"us-west-2a.pin._zone.web", "NXDOMAIN"},
      {"us-west-2a.pin._zone.nobody", "NXDOMAIN"},
      {"us-west-2a.pin._zones.db", "NXDOMAIN"},
      {"db", all},
  };
  for (const auto& row : kRows) EXPECT_EQ(ask_zone(row.name), row.answer) << row.name;
  EXPECT_EQ(ask_zone("us-west-2a.pin._zone.db", Type::kAaaa), "NODATA");
  EXPECT_EQ(ask_zone("us-west-2a.pin._zone.db", Type::kSrv),
            "0 50 5432 db-0.db.default.svc.cluster.local., "
            "0 50 5432 db-2.db.default.svc.cluster.local.");
}

TEST_F(KubernetesOption, EndpointPodNames) {
  Zone named({.pod_names = true});
  named.put(service("web", "default", {"10.96.0.10"}, {port("http", 80)}));
  named.put(slice("web-1", "web", "default",
                  {{"10.244.1.1", "host-0", true, "web-0"},
                   {"10.244.1.2", "", true, "web-1"},
                   {"10.244.1.3", "", true, std::string(64, 'a')},
                   {"10.244.1.4", "", true, "web.4"},
                   {"10.244.1.5"}},
                  {{"http", kube::Protocol::kTcp, 80}}));
  publish(named);
  const auto name_of = [&](const std::string& address) {
    return look(named, address + ".in-addr.arpa", Type::kPtr);
  };
  EXPECT_EQ(name_of("1.1.244.10"), "host-0.web.default.svc.cluster.local.");
  EXPECT_EQ(name_of("2.1.244.10"), "web-1.web.default.svc.cluster.local.");
  EXPECT_EQ(name_of("3.1.244.10"), "10-244-1-3.web.default.svc.cluster.local.");
  EXPECT_EQ(name_of("4.1.244.10"), "10-244-1-4.web.default.svc.cluster.local.");
  EXPECT_EQ(name_of("5.1.244.10"), "10-244-1-5.web.default.svc.cluster.local.");
  EXPECT_EQ(look(named, "web-1.web.default.svc.cluster.local"), "10.244.1.2");
}

// Only what is in namespaces that the API server has told of.
TEST_F(KubernetesOption, NamespacesChosen) {
  config.fallthrough.clear();
  Zone chosen({.namespaces = true});
  chosen.put(service("web", "in", {"10.96.0.10"}));
  chosen.put(service("web", "out", {"10.96.0.11"}));
  chosen.put(headless("db", "out"));
  chosen.put(slice("db-1", "db", "out", {{"10.244.1.1", "db-0"}}));
  chosen.put(ns("in"));
  publish(chosen);
  const auto ask_it = [&](const std::string& name, Type type = Type::kA) {
    return look(chosen, name, type);
  };
  EXPECT_EQ(ask_it("web.in.svc.cluster.local"), "10.96.0.10");
  EXPECT_EQ(ask_it("web.out.svc.cluster.local"), "NXDOMAIN");
  EXPECT_EQ(ask_it("out.svc.cluster.local"), "NXDOMAIN");
  EXPECT_EQ(ask_it("db.out.svc.cluster.local"), "NXDOMAIN");
  EXPECT_EQ(ask_it("1.1.244.10.in-addr.arpa", Type::kPtr), "NXDOMAIN");
  chosen.put(ns("out"));
  chosen.remove_namespace({"", "in"});
  publish(chosen);
  EXPECT_EQ(ask_it("web.in.svc.cluster.local"), "NXDOMAIN");
  EXPECT_EQ(ask_it("web.out.svc.cluster.local"), "10.96.0.11");
  EXPECT_EQ(ask_it("db.out.svc.cluster.local"), "10.244.1.1");
  EXPECT_EQ(ask_it("1.1.244.10.in-addr.arpa", Type::kPtr), "db-0.db.out.svc.cluster.local.");
  chosen.remove_service({"out", "web"});
  chosen.remove_namespace({"", "out"});
  publish(chosen);
  EXPECT_EQ(ask_it("db.out.svc.cluster.local"), "NXDOMAIN");
  EXPECT_EQ(ask_it("out.svc.cluster.local"), "NXDOMAIN");
}

}  // namespace
}  // namespace fairlead::dns
