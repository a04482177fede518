// SPDX-License-Identifier: Apache-2.0
// Which endpoints a port of a Service has, row by row of docs/proxy.md's table, with real packets
// and asked of the tracer. Where a row is about how objects are written, they are JSON and go
// through the decoder.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "kube/decode.h"
#include "tests/kernel/proxy/rows.h"
#include "tests/kernel/proxy/udp_client.h"

namespace fairlead::proxy {
namespace {

using namespace test;

const std::set<std::string> kOnNode = {"web-1", "web-2"};

template <typename T>
void put_json(Cluster& cluster, const std::string& json) {
  const Result<T> object = kube::decode<T>(json);
  ASSERT_TRUE(object.ok()) << object.error().message();
  cluster.sink().put(*object);
}

// A Service of port 80, TCP and UDP, as the API server writes it.
void put_service_json(Cluster& cluster, const std::string& name, const std::string& address) {
  put_json<kube::Service>(
      cluster, R"({"metadata":{"namespace":"default","name":")" + name +
                   R"("},"spec":{"clusterIP":")" + address + R"(","clusterIPs":[")" + address +
                   R"("],"ipFamilies":["IPv4"],"ports":[{"name":"t","port":80},)"
                   R"({"name":"u","port":80,"protocol":"UDP"}]}})");
}

constexpr const char* kEndpointsPorts =
    R"([{"name":"t","port":8080,"protocol":"TCP"},{"name":"u","port":8080,"protocol":"UDP"}])";

void put_slice_json(Cluster& cluster, const std::string& name, const std::string& service,
                    const std::string& endpoints, const std::string& ports = kEndpointsPorts) {
  put_json<kube::EndpointSlice>(cluster, R"({"metadata":{"namespace":"default","name":")" + name +
                                             R"(","labels":{"kubernetes.io/service-name":")" +
                                             service + R"("}},"addressType":"IPv4","endpoints":)" +
                                             endpoints + R"(,"ports":)" + ports + "}");
}

void set_node(Cluster& cluster, const std::string& zone) {
  kube::Node node;
  node.meta.name = "node";
  node.meta.labels["topology.kubernetes.io/zone"] = zone;
  node.internal_ips = {ip("192.0.2.1"), ip("2001:db8::1")};
  cluster.sink().set_node(node);
}

using Hint = std::function<void(std::vector<kube::Endpoint>&)>;

// Endpoints of both families with the same hints.
void put_hinted(Cluster& cluster, const std::string& name, int number,
                const std::vector<std::string>& endpoints, const Hint& hint) {
  put(cluster, name, number, {});
  std::vector<std::string> six;
  for (const std::string& endpoint : endpoints) six.push_back(in_ipv6(endpoint));
  for (const auto& list : {endpoints, six}) {
    kube::EndpointSlice hinted = slice(name, list, {"t 8080/TCP", "u 8080/UDP"});
    hint(hinted.endpoints);
    cluster.sink().put(hinted);
  }
}

const Row kEndpointsRows[] = {
    {"Row02_APortIsItsNameAndItsProtocol",
     [](Cluster& c) {
       c.sink().put(service("web", {"10.96.0.1", "fd00:96::1"},
                            {"a 80/TCP", "a 80/UDP", "b 81/TCP", "b 81/UDP", "c 82", "c 82/UDP"}));
       for (const auto& [port, endpoint] : {std::pair{"a", kOn1}, std::pair{"b", kOn2}})
         for (const auto& one : {endpoint, in_ipv6(endpoint)})
           c.sink().put(slice("web", {one},
                              {std::string(port) + " 8080/TCP", std::string(port) + " 8080/UDP"},
                              std::string("-") + port));
       // A name that is none of the Service's.
       c.sink().put(slice("web", {kOn3}, {"d 8080/TCP", "d 8080/UDP"}, "-d"));
     },
     {{"one name", "client", "10.96.0.1:80", "[fd00:96::1]:80", kHere},
      {"the other", "client", "10.96.0.1:81", "[fd00:96::1]:81", {"web-2"}},
      {"a name nobody has", "client", "10.96.0.1:82", "[fd00:96::1]:82", kRefused}}},
    {"Row02_AddressesWithLeadingZeros",
     [](Cluster& c) {
       put_service_json(c, "web", "010.096.000.001");
       put_slice_json(c, "web-x", "web", R"([{"addresses":["010.244.002.002"]}])");
     },
     {{"as if without", "client", "10.96.0.1:80", "", kHere}}},
    {"Row03_SlicesAreMerged",
     [](Cluster& c) {
       for (const auto& [endpoint, suffix] : {std::pair{kOn1, "-x"}, std::pair{kOn2, "-y"},
                                              std::pair{kOn3, "-z"}, std::pair{kOn1, "-again"}})
         for (const auto& one : {endpoint, in_ipv6(endpoint)})
           c.sink().put(slice("web", {one}, {"t 8080/TCP", "u 8080/UDP"}, suffix));
       put(c, "web", 1, {});
     },
     {{"endpoints of each", "client", "10.96.0.1:80", "[fd00:96::1]:80", kAll}}},
    {"Row03_APortWithoutNumberIsIgnored",
     [](Cluster& c) {
       put_service_json(c, "web", "10.96.0.1");
       put_slice_json(c, "web-x", "web", R"([{"addresses":["10.244.2.2"]}])");
       put_slice_json(c, "web-y", "web", R"([{"addresses":["10.244.3.2"]}])",
                      R"([{"name":"t","protocol":"TCP"},{"name":"u","port":0,"protocol":"UDP"}])");
       put_service_json(c, "none", "10.96.0.2");
       put_slice_json(c, "none-x", "none", R"([{"addresses":["10.244.3.2"]}])",
                      R"([{"name":"t","port":null},{"name":"u","port":null,"protocol":"UDP"}])");
     },
     {{"the others serve", "client", "10.96.0.1:80", "", kHere},
      {"there are no others", "client", "10.96.0.2:80", "", kRefused}}},
    {"Row03_OnlyTheFirstAddressCounts",
     [](Cluster& c) {
       put_service_json(c, "web", "10.96.0.1");
       put_slice_json(c, "web-x", "web", R"([{"addresses":["10.244.2.2","10.244.3.2"]}])");
     },
     {{"the first", "client", "10.96.0.1:80", "", kHere}}},
    {"Row03_OneAddressTwiceIsTheOneNotTerminating",
     [](Cluster& c) {
       // Whichever slice comes first.
       for (const int number : {1, 2}) {
         const std::string name = "web" + std::to_string(number);
         put(c, name, number, {});
         for (const auto& one : {kOn1, in_ipv6(kOn1)}) {
           c.sink().put(slice(name, {one + " terminating serving"}, {"t 8080/TCP", "u 8080/UDP"},
                              number == 1 ? "-a" : "-b"));
           c.sink().put(
               slice(name, {one}, {"t 8080/TCP", "u 8080/UDP"}, number == 1 ? "-b" : "-a"));
         }
         for (const auto& one : {kOn2, in_ipv6(kOn2)})
           c.sink().put(
               slice(name, {one + " terminating serving"}, {"t 8080/TCP", "u 8080/UDP"}, "-c"));
       }
     },
     {{"draining told first", "client", "10.96.0.1:80", "[fd00:96::1]:80", kHere},
      {"draining told last", "client", "10.96.0.2:80", "[fd00:96::2]:80", kHere}}},
    {"Row04_ConditionsNotToldAreReadyAndServingAndNotTerminating",
     [](Cluster& c) {
       put_service_json(c, "web", "10.96.0.1");
       put_slice_json(c, "web-x", "web",
                      R"([{"addresses":["10.244.2.2"]},)"
                      R"({"addresses":["10.244.3.2"],"conditions":{"ready":null,"serving":null}},)"
                      R"({"addresses":["10.245.4.2"],"conditions":{"ready":false}}])");
       put_service_json(c, "drains", "10.96.0.2");
       put_slice_json(
           c, "drains-x", "drains",
           R"([{"addresses":["10.244.2.2"],"conditions":{"ready":false,"terminating":true}},)"
           R"({"addresses":["10.244.3.2"],"conditions":{"ready":false,"serving":true}}])");
       put_service_json(c, "none", "10.96.0.3");
       put_slice_json(c, "none-x", "none",
                      R"([{"addresses":["10.244.2.2"],"conditions":{"ready":false}}])");
     },
     {{"no conditions, or null: ready", "client", "10.96.0.1:80", "", kOnNode},
      {"terminating: serving, if nobody says otherwise", "client", "10.96.0.2:80", "", kHere},
      {"not ready: not terminating, if nobody says so", "client", "10.96.0.3:80", "", kRefused}}},
    {"Row05_ClusterSetIsReadyElseServingAndTerminating",
     [](Cluster& c) {
       put(c, "ready", 1, {kOn1, kOn2 + " terminating serving", kOn3 + " notready"});
       put(c, "drains", 2, {kOn1 + " terminating", kOn2 + " terminating serving", kOn3});
       put(c, "drained", 3, {kOn1 + " terminating", kOn2 + " terminating serving"});
       put(c, "gone", 4, {kOn1 + " terminating", kOn2 + " notready"});
     },
     {{"a ready one", "client", "10.96.0.1:80", "[fd00:96::1]:80", kHere},
      {"a ready one elsewhere", "client", "10.96.0.2:80", "[fd00:96::2]:80", kThere},
      {"none is ready: one that drains", "client", "10.96.0.3:80", "[fd00:96::3]:80", {"web-2"}},
      {"none is ready, by node port",
       "outside",
       "192.0.2.1:30103",
       "[2001:db8::1]:30103",
       {"web-2"},
       Source::kMasqueraded},
      {"none drains", "client", "10.96.0.4:80", "[fd00:96::4]:80", kRefused}}},
    {"Row05_DrainingEndpointsServeWhateverTheirHints",
     [](Cluster& c) {
       set_node(c, "a");
       put_hinted(c, "web", 1, {kOn1 + " terminating serving", kOn2 + " terminating serving"},
                  [](auto& endpoints) { endpoints[0].hint_zones = {"b"}; });
     },
     {{"both", "client", "10.96.0.1:80", "[fd00:96::1]:80", kOnNode}}},
    {"Row08_NodeHints",
     [](Cluster& c) {
       set_node(c, "a");
       put_hinted(c, "all", 1, {kOn1, kOn2, kOn3}, [](auto& endpoints) {
         endpoints[0].hint_nodes = {"other"};
         endpoints[1].hint_nodes = {"node", "other"};
         endpoints[2].hint_nodes = {"node"};
         endpoints[0].hint_zones = {"a"};
       });
       put_hinted(c, "one-without", 2, {kOn1, kOn2, kOn3}, [](auto& endpoints) {
         endpoints[0].hint_nodes = endpoints[1].hint_nodes = {"node"};
       });
       put_hinted(c, "not-ours", 3, {kOn1, kOn2}, [](auto& endpoints) {
         endpoints[0].hint_nodes = endpoints[1].hint_nodes = {"other"};
         endpoints[0].hint_zones = {"b"};
         endpoints[1].hint_zones = {"a"};
       });
       put_hinted(c, "neither", 4, {kOn1, kOn2}, [](auto& endpoints) {
         for (kube::Endpoint& one : endpoints) one.hint_nodes = {"other"}, one.hint_zones = {"b"};
       });
       // One that is not ready has no say.
       put_hinted(c, "not-ready", 5, {kOn1, kOn2 + " notready"},
                  [](auto& endpoints) { endpoints[0].hint_nodes = {"node"}; });
       kube::Service local = service("local", {"10.96.0.6", "fd00:96::6"}, {"t 80", "u 80/UDP"});
       local.internal_traffic_policy = kube::TrafficPolicy::kLocal;
       put_hinted(c, "local", 6, {kOn1, kOn2}, [](auto& endpoints) {
         endpoints[0].hint_nodes = {"other"};
         endpoints[1].hint_nodes = {"node"};
       });
       c.sink().put(local);
     },
     {{"all ready ones have them", "client", "10.96.0.1:80", "[fd00:96::1]:80", {"web-2", "web-3"}},
      {"external addresses too",
       "outside",
       "198.51.100.1:80",
       "[2001:db8:ff::1]:80",
       {"web-2", "web-3"},
       Source::kMasqueraded},
      {"one has none: ignored", "client", "10.96.0.2:80", "[fd00:96::2]:80", kAll},
      {"none for this node: the zone's", "client", "10.96.0.3:80", "[fd00:96::3]:80", {"web-2"}},
      {"neither node nor zone: ignored", "client", "10.96.0.4:80", "[fd00:96::4]:80", kOnNode},
      {"of ready ones only", "client", "10.96.0.5:80", "[fd00:96::5]:80", kHere},
      {"not for the local set", "client", "10.96.0.6:80", "[fd00:96::6]:80", kOnNode}}},
    {"Row22_FamiliesAreIndependent",
     [](Cluster& c) {
       const std::vector<std::string> ports = {"t 80/TCP 30101", "u 80/UDP 30101"};
       c.sink().put(service("dual", {"10.96.0.1", "fd00:96::1"}, ports));
       c.sink().put(slice("dual", {in_ipv6(kOn1)}, {"t 8080/TCP", "u 8080/UDP"}));
       c.sink().put(service("four", {"10.96.0.2"}, {"t 80/TCP 30102", "u 80/UDP 30102"}));
       c.sink().put(slice("four", {kOn2}, {"t 8080/TCP", "u 8080/UDP"}));
       // Endpoints of a family the Service does not have.
       c.sink().put(slice("four", {in_ipv6(kOn1)}, {"t 8080/TCP", "u 8080/UDP"}));
     },
     {{"endpoints in IPv6 only, by IPv4", "client", "10.96.0.1:80", "", kRefused},
      {"by IPv4 node port", "outside", "192.0.2.1:30101", "", kRefused},
      {"by IPv6", "client", "[fd00:96::1]:80", "", kHere},
      {"by IPv6 node port", "outside", "[2001:db8::1]:30101", "", kHere, Source::kMasqueraded},
      {"a Service of IPv4 alone", "client", "10.96.0.2:80", "", {"web-2"}},
      {"not ours: its node port in IPv6", "outside", "[2001:db8::1]:30102", "", kRefused}}},
};

class EndpointRows : public testing::TestWithParam<std::tuple<Row, bool>> {};
INSTANTIATE_TEST_SUITE_P(TableA, EndpointRows,
                         testing::Combine(testing::ValuesIn(kEndpointsRows), testing::Bool()),
                         [](const auto& p) { return name_of(p.param); });

TEST_P(EndpointRows, HoldWithRealPacketsAndForTheTracer) {
  const auto& [row, relayed] = GetParam();
  check_row(row, relayed);
}

// By rules or, as its kernel twin, relayed.
class Row28 : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(, Row28, testing::Bool(),
                         [](const auto& p) { return p.param ? "Relayed" : "ByRules"; });

TEST_P(Row28, AnotherZoneAnswersAtOnce) {
  Cluster cluster;
  cluster.relay = GetParam();
  cluster.start_proxy();
  set_node(cluster, "a");
  put_hinted(cluster, "web", 1, {kOn1, kOn2, kOn3}, [](auto& endpoints) {
    endpoints[0].hint_zones = {"a"};
    endpoints[1].hint_zones = {"b"};
    endpoints[2].hint_zones = {"a", "b"};
  });
  cluster.sink().start();
  cluster.settle();
  const struct {
    const char* zone;
    std::set<std::string> ends;
  } kZones[] = {{"a", {"web-1", "web-3"}}, {"b", {"web-2", "web-3"}}, {"c", kAll}, {"", kAll}};
  for (const auto& [zone, ends] : kZones) {
    SCOPED_TRACE(std::string("zone ") + zone);
    set_node(cluster, zone);
    cluster.settle();
    for (const PacketCase& c :
         {PacketCase{"cluster IP", "client", "10.96.0.1:80", "[fd00:96::1]:80", ends},
          PacketCase{"node port", "outside", "192.0.2.1:30101", "[2001:db8::1]:30101", ends,
                     Source::kMasqueraded}}) {
      check_packets(cluster, c, true);
      check_packets(cluster, c, false);
    }
  }
}

// A table ip6 fairlead that belongs to another process: ours is refused, for as long as that one
// lives.
class Owner {
 public:
  explicit Owner(const NetNamespace& ns) {
    EXPECT_NE(mkdtemp(directory_), nullptr);
    const std::string pipe = std::string(directory_) + "/commands";
    EXPECT_EQ(mkfifo(pipe.c_str(), 0600), 0);
    commands_.open(pipe, std::ios::in | std::ios::out);
    const auto inside = ns.enter();
    nft_ = std::make_unique<fairlead::test::BackgroundProcess>(
        std::vector<std::string>{"sh", "-c", "exec nft -i < " + pipe + " > /dev/null 2>&1"});
    commands_ << "add table ip6 fairlead { flags owner; }\n" << std::flush;
  }
  ~Owner() {
    nft_.reset();
    unlink((std::string(directory_) + "/commands").c_str());
    rmdir(directory_);
  }

 private:
  char directory_[32] = "/tmp/fairlead-owner-XXXXXX";
  std::fstream commands_;
  std::unique_ptr<fairlead::test::BackgroundProcess> nft_;
};

TEST(Row22_DualStack, OneFamilyThatCannotBeProgrammedLeavesTheOtherServing) {
  Cluster cluster;
  auto owner = std::make_unique<Owner>(cluster.at("node"));
  ASSERT_TRUE(cluster.run_until(
      [&] { return cluster.list_ruleset().find("table ip6 fairlead") != std::string::npos; }));
  cluster.start_proxy();
  put(cluster, "web", 1, {kOn1});
  cluster.sink().start();
  ASSERT_TRUE(cluster.run_until([&] {
    const auto six = cluster.proxy().programmer(Family::kIpv6).status();
    return cluster.proxy().programmer(Family::kIpv4).status().ready && six.last_error.has_value();
  }));
  const auto expect_four = [&](const std::set<std::string>& ends) {
    const PacketCase c{"IPv4", "client", "10.96.0.1:80", "", ends};
    check_packets(cluster, c, true);
    check_packets(cluster, c, false);
  };
  expect_four(kHere);
  UdpClient kept(cluster, "client", "10.96.0.1:80");
  EXPECT_EQ(kept.ask(), "web-1");
  put(cluster, "web", 1, {kOn2});
  ASSERT_TRUE(cluster.run_until([&] { return cluster.proxy().programmer(Family::kIpv4).idle(); }));
  expect_four({"web-2"});
  EXPECT_TRUE(cluster.run_until([&] { return kept.ask() == "web-2"; })) << "its flow was ended";
  cluster.at("node").must("nft flush map ip fairlead ep");
  EXPECT_TRUE(cluster.run_until([&] {
    return cluster.list_ruleset().find("10.96.0.1 . tcp . 80 . 0 : 10.244.3.2") !=
           std::string::npos;
  })) << "damage is noticed";
  expect_four({"web-2"});
  EXPECT_FALSE(cluster.proxy().check().ok()) << "and health tells";
  owner.reset();
  cluster.settle();
  check_packets(cluster, {"IPv6, once it can be", "client", "[fd00:96::1]:80", "", {"web-2"}},
                true);
  EXPECT_TRUE(cluster.proxy().check().ok());
}

}  // namespace
}  // namespace fairlead::proxy
