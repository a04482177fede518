// SPDX-License-Identifier: Apache-2.0
// Names of services that other clusters of a set export (KEP-1645): what they answer, and how
// ServiceImports come from the API server.
#include <gtest/gtest.h>

#include "dns/feed.h"
#include "dns/plugins/kubernetes/describe.h"
#include "kube/cluster.h"
#include "tests/support/cluster_api.h"
#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns::test {
namespace {

kube::ServiceImport import(const std::string& name, const std::string& ns,
                           const std::vector<std::string>& ips,
                           const std::vector<kube::ServicePort>& ports) {
  kube::ServiceImport made;
  made.meta.name = name;
  made.meta.ns = ns;
  made.headless = ips.empty();
  for (const std::string& each : ips) made.ips.push_back(ip(each));
  made.ports = ports;
  return made;
}

// As an implementation of the API mirrors a slice of `cluster`: it has no label of a Service here.
kube::EndpointSlice imported(kube::EndpointSlice slice, const std::string& cluster) {
  slice.meta.labels[kube::kImportNameLabel] = slice.service_name;
  slice.meta.labels[kube::kSourceClusterLabel] = cluster;
  slice.service_name.clear();
  return slice;
}

class Multicluster : public ::testing::Test {
 protected:
  Multicluster() {
    config.zone = dns_name("clusterset.local");
    config.multicluster = true;
    const kube::EndpointPort sql{"sql", kube::Protocol::kTcp, 5432};
    zone.put(ns("empty"));
    zone.put(import("web", "shop", {"10.96.1.1", "fd00::1"}, {port("http", 80)}));
    zone.put(imported(slice("web-a", "web", "shop", {{"10.1.0.1", "web-0"}}), "east"));
    zone.put(import("unset", "shop", {"10.96.1.2"}, {}));
    zone.put(import("db", "shop", {}, {port("sql", 5432)}));
    zone.put(imported(
        slice("db-a", "db", "shop", {{"10.1.0.3", "db-0"}, {"10.1.0.4", "", true, "db-x"}}, {sql}),
        "east"));
    zone.put(
        imported(slice("db-b", "db", "shop",
                       {{"10.2.0.3", "db-0"}, {"10.1.0.4"}, {"10.2.0.5", "db-2", false}}, {sql}),
                 "West"));
    zone.put(imported(slice("db-6", "db", "shop", {{"fd00::3", "db-0"}}, {sql}), "east"));
    zone.put(imported(slice("db-c", "db", "shop", {{"10.3.0.1"}}, {sql}), ""));
    zone.put(slice("own", "db", "shop", {{"10.4.0.1"}}, {sql}));  // of a Service of this cluster
    zone.set_synced();
    zone.publish(1700000000);
  }
  std::string look(const std::string& name, Type type) const {
    const std::string whole = name.empty() ? "clusterset.local" : name + ".clusterset.local";
    return brief(ask(config, zone.snapshot(), make_query(whole, type)));
  }
  ZoneConfig config;
  Zone zone{{.imports = true}};
};

TEST_F(Multicluster, Names) {
  struct Case {
    const char* name;
    Type type;
    const char* answer;
  };
  const Case kCases[] = {
      {"web.shop.svc", Type::kA, "10.96.1.1"},
      {"web.shop.svc", Type::kAaaa, "fd00::1"},
      {"web.shop.svc", Type::kTxt, "NODATA"},
      {"WEB.shop.svc", Type::kA, "10.96.1.1"},
      {"_http._tcp.web.shop.svc", Type::kA, "10.96.1.1"},
      {"_http._tcp.web.shop.svc", Type::kSrv, "0 50 80 web.shop.svc.clusterset.local."},
      {"web.shop.svc", Type::kSrv, "0 50 80 web.shop.svc.clusterset.local."},
      {"unset.shop.svc", Type::kA, "10.96.1.2"},  // NXDOMAIN in CoreDNS: it has no port
      {"none.shop.svc", Type::kA, "NXDOMAIN"},
      {"db.shop.svc", Type::kA, "10.1.0.3, 10.1.0.4, 10.2.0.3"},
      {"db.shop.svc", Type::kAaaa, "fd00::3"},
      {"_sql._tcp.db.shop.svc", Type::kA, "10.1.0.3, 10.1.0.4, 10.2.0.3"},
      // Of one endpoint, also of an import with an address.
      {"db-0.east.db.shop.svc", Type::kA, "10.1.0.3"},
      {"db-0.east.db.shop.svc", Type::kAaaa, "fd00::3"},
      {"db-0.west.db.shop.svc", Type::kA, "10.2.0.3"},
      {"DB-0.West.db.shop.svc", Type::kA, "10.2.0.3"},
      {"db-0.north.db.shop.svc", Type::kA, "NXDOMAIN"},
      {"db-2.west.db.shop.svc", Type::kA, "NXDOMAIN"},
      {"10-1-0-4.east.db.shop.svc", Type::kA, "10.1.0.4"},
      {"10-1-0-4.west.db.shop.svc", Type::kA, "10.1.0.4"},
      {"10-1-0-3.east.db.shop.svc", Type::kA, "NXDOMAIN"},
      {"web-0.east.web.shop.svc", Type::kA, "10.1.0.1"},
      {"db-0.east.db.shop.svc", Type::kSrv, "0 50 5432 db-0.east.db.shop.svc.clusterset.local."},
      // Empty non-terminals: NXDOMAIN in CoreDNS.
      {"east.db.shop.svc", Type::kA, "NODATA"},
      {"west.db.shop.svc", Type::kSrv, "NODATA"},
      {"_tcp.db.shop.svc", Type::kA, "NODATA"},
      {"_udp.db.shop.svc", Type::kA, "NXDOMAIN"},
      {"north.db.shop.svc", Type::kA, "NXDOMAIN"},
      {"tcp.db.shop.svc", Type::kA, "NXDOMAIN"},
      // What needs a cluster, or has too much.
      {"db-0.db.shop.svc", Type::kA, "NXDOMAIN"},
      {"sql.tcp.db.shop.svc", Type::kSrv, "NXDOMAIN"},
      {"a.db-0.east.db.shop.svc", Type::kA, "NXDOMAIN"},
      {"a.pin._zone.db.shop.svc", Type::kA, "NXDOMAIN"},
      {"shop.svc", Type::kA, "NODATA"},
      {"empty.svc", Type::kA, "NODATA"},
      {"none.svc", Type::kA, "NXDOMAIN"},
      {"svc", Type::kA, "NODATA"},
      {"1-2-3-4.shop.pod", Type::kA, "1.2.3.4"},
      {"dns-version", Type::kTxt, "\"1.1.0\""},
  };
  for (const Case& c : kCases)
    EXPECT_EQ(look(c.name, c.type), c.answer) << c.name << " " << static_cast<int>(c.type);
}

// One target for each endpoint and cluster, in both families; a target's addresses follow.
TEST_F(Multicluster, ServiceRecords) {
  QueryOptions edns;
  edns.edns_size = 1232;
  const Bytes reply =
      ask(config, zone.snapshot(),
          make_query("_sql._tcp.db.shop.svc.clusterset.local", Type::kSrv, edns), 0);
  EXPECT_EQ(brief(reply),
            "0 20 5432 10-1-0-4.east.db.shop.svc.clusterset.local., "
            "0 20 5432 10-1-0-4.west.db.shop.svc.clusterset.local., "
            "0 20 5432 db-0.east.db.shop.svc.clusterset.local., "
            "0 20 5432 db-0.west.db.shop.svc.clusterset.local.");
  const std::string text = to_text(reply);
  for (const char* line : {"additional 10-1-0-4.east.db.shop.svc.clusterset.local. 5 A 10.1.0.4\n",
                           "additional 10-1-0-4.west.db.shop.svc.clusterset.local. 5 A 10.1.0.4\n",
                           "additional db-0.east.db.shop.svc.clusterset.local. 5 A 10.1.0.3\n",
                           "additional db-0.east.db.shop.svc.clusterset.local. 5 AAAA fd00::3\n",
                           "additional db-0.west.db.shop.svc.clusterset.local. 5 A 10.2.0.3\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
}

TEST_F(Multicluster, ChangesAndOptions) {
  config.ignore_empty = true;
  EXPECT_EQ(look("unset.shop.svc", Type::kA), "NXDOMAIN");
  EXPECT_EQ(look("web.shop.svc", Type::kA), "10.96.1.1");
  zone.remove_slice({"shop", "db-a"});
  zone.remove_service({"shop", "web"});
  zone.publish(1700000001);
  EXPECT_EQ(look("db-0.east.db.shop.svc", Type::kA), "NODATA");  // it has an IPv6 address
  EXPECT_EQ(look("db.shop.svc", Type::kA), "10.1.0.4, 10.2.0.3");
  EXPECT_EQ(look("web.shop.svc", Type::kA), "NXDOMAIN");
  zone.remove_slice({"shop", "db-6"});
  zone.publish(1700000002);
  EXPECT_EQ(look("east.db.shop.svc", Type::kA), "NXDOMAIN");
}

// An endpoint that moves to another slice is there in between, whatever other clusters call theirs.
TEST(MulticlusterHold, OfEachCluster) {
  ZoneConfig config;
  config.zone = dns_name("clusterset.local");
  config.multicluster = true;
  Zone zone{{.hold = std::chrono::seconds(2), .imports = true}};
  const kube::EndpointPort sql{"sql", kube::Protocol::kTcp, 5432};
  zone.set_time(MonoTime());
  zone.put(import("db", "shop", {}, {port("sql", 5432)}));
  for (const char* cluster : {"east", "west"})
    zone.put(imported(slice(std::string("db-") + cluster, "db", "shop",
                            {{cluster[0] == 'e' ? "10.1.0.3" : "10.2.0.3", "db-0"}}, {sql}),
                      cluster));
  zone.set_synced();
  zone.publish(1);
  zone.remove_slice({"shop", "db-east"});
  zone.publish(2);
  const auto east = [&] {
    return brief(ask(config, zone.snapshot(),
                     make_query("db-0.east.db.shop.svc.clusterset.local", Type::kA)));
  };
  EXPECT_EQ(east(), "10.1.0.3");
  zone.set_time(MonoTime() + std::chrono::seconds(3));
  zone.publish(3);
  EXPECT_EQ(east(), "NXDOMAIN");
}

TEST_F(Multicluster, Described) {
  const auto text = [&](const std::string& name) {
    return describe(config, zone.snapshot(), dns_name(name + ".clusterset.local"));
  };
  EXPECT_EQ(text("web.shop.svc"), "ServiceImport shop/web, ClusterSetIP 10.96.1.1, fd00::1");
  EXPECT_EQ(text("db-0.east.db.shop.svc"),
            "ServiceImport shop/db, headless, 5 ready endpoints, endpoint db-0, in one cluster");
  EXPECT_EQ(text("none.shop.svc"), "there is no ServiceImport shop/none");
  EXPECT_EQ(kubernetes_label(config, "kubernetes/cluster",
                             dns_name("db-0.east.db.shop.svc.clusterset.local")),
            "east");
  EXPECT_EQ(kubernetes_label(config, "kubernetes/endpoint",
                             dns_name("db-0.east.db.shop.svc.clusterset.local")),
            "db-0");
  EXPECT_EQ(kubernetes_label(config, "kubernetes/port-name",
                             dns_name("_sql._tcp.db.shop.svc.clusterset.local")),
            "sql");
}

TEST(ServiceImport, Decoded) {
  const auto read = kube::decode<kube::ServiceImport>(
      R"({"metadata":{"name":"web","namespace":"shop","resourceVersion":"7"},"spec":{"type":)"
      R"("ClusterSetIP","ips":["10.96.1.1","no address"],"ports":[{"name":"http","port":80},)"
      R"({"name":"dns","protocol":"UDP","port":53},{"protocol":"NEW","port":1}]}})");
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_EQ(read->meta.key().to_string(), "shop/web");
  EXPECT_EQ(read->meta.resource_version, "7");
  EXPECT_FALSE(read->headless);
  EXPECT_EQ(read->ips, std::vector<IpAddress>{ip("10.96.1.1")});
  ASSERT_EQ(read->ports.size(), 2u);
  EXPECT_EQ(read->ports[1].protocol, kube::Protocol::kUdp);
  const std::pair<const char*, const char*> kWrong[] = {
      {"{", "not JSON"}, {R"({"metadata":{"name":"a"},"spec":{"ips":"x"}})", "spec.ips"}};
  for (const auto& [json, error] : kWrong) {
    const auto wrong = kube::decode<kube::ServiceImport>(json);
    ASSERT_FALSE(wrong.ok());
    EXPECT_NE(wrong.error().message().find(error), std::string::npos) << wrong.error().message();
  }
}

// ---- from the API server ----

constexpr const char* kAlpha = "/apis/multicluster.x-k8s.io/v1alpha1/serviceimports";
constexpr const char* kBeta = "/apis/multicluster.x-k8s.io/v1beta1/serviceimports";
constexpr const char* kSlices = "/apis/discovery.k8s.io/v1/endpointslices";
constexpr const char* kImport =
    R"({"metadata":{"name":"db","namespace":"shop","resourceVersion":"@RV@"},)"
    R"("spec":{"type":"Headless","ports":[{"name":"sql","port":5432}]}})";

class ImportFeed : public ::testing::Test {
 protected:
  ImportFeed() {
    const auto address = api.listen({IpAddress::v4(127, 0, 0, 1), 0});
    kube::ClientConfig client;
    client.server = "http://" + address->to_string();
    cluster = *kube::Cluster::connect(loop, client, "test");
    config.zone = dns_name("clusterset.local");
    config.multicluster = true;
    api.put("/api/v1/namespaces", "shop", fairlead::test::namespace_json("shop"));
    std::string slice = fairlead::test::slice_json(
        "shop", "db-east", "db", {"10.1.0.3"}, R"([{"name":"sql","protocol":"TCP","port":5432}])");
    const std::string label = "kubernetes.io/service-name";
    slice.replace(
        slice.find(label), label.size(),
        std::string(kube::kSourceClusterLabel) + R"(":"east",")" + kube::kImportNameLabel);
    api.put(kSlices, "shop/db-east", slice);
    api.put(kSlices, "shop/own",
            fairlead::test::slice_json("shop", "own", "db", {"10.4.0.1"}, "[]"));
  }
  void start() {
    FeedFilter filter;
    filter.imports = true;
    feed = std::make_unique<ClusterFeed>(loop, cluster->api(), zone, filter, histograms, [] {});
    feed->on_lacking([this] { ++lacking; });
    feed->start();
  }
  bool answers(const std::string& wanted) {
    const auto query = make_query("10-1-0-3.east.db.shop.svc.clusterset.local", Type::kA);
    const auto look = [&] { return brief(ask(config, zone.snapshot(), query)) == wanted; };
    return loop.run_until(look, std::chrono::seconds(20));
  }

  Loop loop;
  fairlead::test::ClusterApi api{loop};
  std::unique_ptr<kube::Cluster> cluster;
  ZoneConfig config;
  Zone zone{{.imports = true}};
  ChangeHistograms histograms;
  std::unique_ptr<ClusterFeed> feed;
  int lacking = 0;
};

TEST_F(ImportFeed, FirstVersion) {
  api.put(kAlpha, "shop/db", kImport);
  start();
  EXPECT_TRUE(answers("10.1.0.3"));
  EXPECT_TRUE(zone.snapshot().synced);
  EXPECT_EQ(zone.endpoints(), 1u);  // the cluster's own slice was not asked for
  EXPECT_EQ(lacking, 0);
  api.remove(kAlpha, "shop/db");
  EXPECT_TRUE(answers("NXDOMAIN"));
}

TEST_F(ImportFeed, OtherVersion) {
  api.set_missing({kAlpha});
  api.put(kBeta, "shop/db", kImport);
  start();
  EXPECT_TRUE(answers("10.1.0.3"));
  EXPECT_EQ(lacking, 0);
}

// Until the CustomResourceDefinition is there nobody can say that a name is not.
TEST_F(ImportFeed, NoVersionAtFirst) {
  api.set_missing({kAlpha, kBeta});
  start();
  EXPECT_TRUE(loop.run_until([&] { return lacking == 1; }, std::chrono::seconds(20)));
  EXPECT_TRUE(feed->lacks_imports());
  EXPECT_TRUE(answers("SERVFAIL"));
  for (const char* version : {kAlpha, kBeta}) api.put(version, "shop/db", kImport);
  api.set_missing({});
  EXPECT_TRUE(answers("10.1.0.3"));
  EXPECT_TRUE(loop.run_until([&] { return !feed->lacks_imports(); }, std::chrono::seconds(20)));
  EXPECT_EQ(lacking, 1);
}

// ---- as the Corefile says ----

class MulticlusterSetup : public PluginTest {};

TEST_F(MulticlusterSetup, Zones) {
  struct Case {
    const char* directive;
    const char* zones;  // "+" behind those of imports, "~" behind the one with reverse zones
  };
  const Case kCases[] = {
      {"kubernetes cluster.local clusterset.local in-addr.arpa {\nmulticluster clusterset.local\n}",
       "cluster.local.~ clusterset.local.+ "},
      {"kubernetes clusterset.local cluster.local in-addr.arpa {\nmulticluster clusterset.local\n}",
       "clusterset.local.+ cluster.local.~ "},
      {"kubernetes clusterset.local in-addr.arpa {\nmulticluster ClusterSet.local.\n}",
       "clusterset.local.+ "},
      {"kubernetes a.test b.a.test {\nmulticluster a.test\n}", "a.test.+ b.a.test.+ "},
      {"kubernetes a.test b.test {\nmulticluster a.test\nmulticluster b.test\n}",
       "a.test. b.test.+ "},
      {"kubernetes a.test {\nmulticluster\n}", "a.test. "}};
  Zone own;
  Zone imports({.imports = true});
  cluster = &own;
  for (const Case& c : kCases) {
    imports_of_cluster = &imports;
    use(c.directive);
    std::string zones;
    for (const ZoneConfig& zone : options<KubernetesOptions>("kubernetes").zones)
      zones += zone.zone.to_text() + (zone.multicluster ? "+" : "") +
               (zone.reverse.empty() ? "" : "~") + " ";
    EXPECT_EQ(zones, c.zones) << c.directive;
  }
  chain.reset();
}

TEST_F(MulticlusterSetup, Refusals) {
  EXPECT_EQ(refusal("kubernetes cluster.local {\nmulticluster clusterset.local\n}"),
            "Corefile:3: kubernetes does not answer for the multicluster zone clusterset.local., "
            "only for cluster.local.");
  EXPECT_EQ(refusal("kubernetes cluster.local in-addr.arpa {\nmulticluster in-addr.arpa\n}"),
            "Corefile:3: kubernetes does not answer for the multicluster zone in-addr.arpa., only "
            "for cluster.local.");
}

// Each zone answers from its own objects, and both are asked in one block.
TEST_F(MulticlusterSetup, BothInOneBlock) {
  Zone own;
  Zone imports({.imports = true});
  own.put(service("web", "shop", {"10.96.0.10"}));
  imports.put(import("web", "shop", {"10.96.1.1"}, {port("http", 80)}));
  for (Zone* each : {&own, &imports}) {
    each->set_synced();
    each->publish(1);
  }
  cluster = &own;
  imports_of_cluster = &imports;
  use("kubernetes cluster.local clusterset.local {\nmulticluster clusterset.local\n}");
  EXPECT_EQ(brief(ask_bytes(make_query("web.shop.svc.cluster.local", Type::kA))), "10.96.0.10");
  EXPECT_EQ(brief(ask_bytes(make_query("web.shop.svc.clusterset.local", Type::kA))), "10.96.1.1");
  imports_of_cluster = &imports;
  use("kubernetes cluster.local mcs.cluster.local {\nmulticluster mcs.cluster.local\n}");
  EXPECT_EQ(brief(ask_bytes(make_query("web.shop.svc.cluster.local", Type::kA))), "10.96.0.10");
  EXPECT_EQ(brief(ask_bytes(make_query("web.shop.svc.mcs.cluster.local", Type::kA))), "10.96.1.1");
  chain.reset();
}

}  // namespace
}  // namespace fairlead::dns::test
