// SPDX-License-Identifier: Apache-2.0
#include "proxy/service_map.h"

#include <gtest/gtest.h>

#include "tests/unit/proxy/objects.h"

namespace fairlead::proxy {
namespace {

using namespace test;

std::string names(const Dirty& dirty) {
  std::string text;
  for (const Frontend& frontend : dirty) text += (text.empty() ? "" : ", ") + frontend.to_string();
  return text;
}

// Which endpoints a service uses: KEP-1669 and kube-proxy's pkg/proxy/topology.go.
struct UsableCase {
  const char* what;
  std::vector<std::string> endpoints;
  const char* used;
};
const UsableCase kUsable[] = {
    {"every ready one", {"10.0.0.1", "10.0.0.2"}, "10.0.0.1:8080 10.0.0.2:8080"},
    {"not the one that is not ready", {"10.0.0.1", "10.0.0.2 notready"}, "10.0.0.1:8080"},
    {"ready before terminating", {"10.0.0.1", "10.0.0.2 terminating serving"}, "10.0.0.1:8080"},
    {"terminating when all that is left still serves",
     {"10.0.0.1 terminating serving", "10.0.0.2 terminating"},
     "10.0.0.1:8080"},
    {"no one: all terminating, none serving", {"10.0.0.1 terminating"}, "refuses"},
    {"no one: serving, but neither ready nor terminating",
     {"10.0.0.1 notready serving"},
     "refuses"},
    {"ready although terminating (publishNotReadyAddresses)",
     {"10.0.0.1 terminating serving ready"},
     "10.0.0.1:8080"},
    {"the same address once, and the living one of the two",
     {"10.0.0.1 terminating", "10.0.0.1"},
     "10.0.0.1:8080"},
    {"local ones known as such",
     {"10.0.0.1 @here", "10.0.0.2 @there"},
     "10.0.0.1:8080(local) 10.0.0.2:8080"},
    {"none at all", {}, "refuses"},
};

TEST(ServiceMap, UsesTheRightEndpoints) {
  for (const UsableCase& c : kUsable) {
    SCOPED_TRACE(c.what);
    ServiceMap map("here");
    map.put(service("web", {"10.96.0.1"}, {"http 80/TCP"}));
    map.put(slice("web", c.endpoints, {"http 8080/TCP"}));
    EXPECT_EQ(to_text(map.find(tcp("10.96.0.1", 80))), c.used);
  }
}

TEST(ServiceMap, MergesSlicesOfOneService) {
  ServiceMap map("");
  map.put(service("web", {"10.96.0.1"}, {"http 80"}));
  map.put(slice("web", {"10.0.0.1", "10.0.0.2"}, {"http 8080"}, "-a"));
  map.put(slice("web", {"10.0.0.2", "10.0.0.3"}, {"http 8080"}, "-b"));
  EXPECT_EQ(to_text(map.find(tcp("10.96.0.1", 80))), "10.0.0.1:8080 10.0.0.2:8080 10.0.0.3:8080");
  map.remove_slice({"default", "web-v4-a"});
  EXPECT_EQ(to_text(map.find(tcp("10.96.0.1", 80))), "10.0.0.2:8080 10.0.0.3:8080");
}

TEST(ServiceMap, PortsAreMatchedByNameAndProtocol) {
  ServiceMap map("");
  map.put(service("dns", {"10.96.0.10"}, {"dns 53/UDP", "dns-tcp 53/TCP", "metrics 9153/TCP"}));
  map.put(slice("dns", {"10.0.0.1"}, {"dns 5353/UDP", "dns-tcp 5354/TCP", "nil 0/TCP"}));
  EXPECT_EQ(to_text(map.find(udp("10.96.0.10", 53))), "10.0.0.1:5353");
  EXPECT_EQ(to_text(map.find(tcp("10.96.0.10", 53))), "10.0.0.1:5354");
  EXPECT_EQ(to_text(map.find(tcp("10.96.0.10", 9153))), "refuses");
  EXPECT_EQ(to_text(map.find(tcp("10.96.0.10", 54))), "nobody's");
  kube::Service one = service("one", {"10.96.0.11"}, {"x 80/TCP"});
  kube::EndpointSlice unnamed = slice("one", {"10.0.0.1"}, {"x 8080/TCP"});
  one.ports[0].name = unnamed.ports[0].name = "";
  map.put(one);
  map.put(unnamed);
  EXPECT_EQ(to_text(map.find(tcp("10.96.0.11", 80))), "10.0.0.1:8080");
  unnamed.ports[0].named = false;
  map.put(unnamed);
  EXPECT_EQ(to_text(map.find(tcp("10.96.0.11", 80))), "refuses") << "a nil name is ignored";
}

TEST(ServiceMap, BothFamiliesEachWithItsOwnEndpoints) {
  ServiceMap map("");
  map.put(service("web", {"10.96.0.1", "fd00:96::1"}, {"http 80/TCP 30080"}));
  map.put(slice("web", {"10.0.0.1"}, {"http 8080"}));
  map.put(slice("web", {"fd00::1"}, {"http 8080"}));
  EXPECT_EQ(to_text(map.find(tcp("10.96.0.1", 80))), "10.0.0.1:8080");
  EXPECT_EQ(to_text(map.find(tcp("fd00:96::1", 80))), "[fd00::1]:8080");
  EXPECT_EQ(to_text(map.find(Frontend::node(Family::kIpv4, Protocol::kTcp, 30080))),
            "10.0.0.1:8080");
  EXPECT_EQ(to_text(map.find(Frontend::node(Family::kIpv6, Protocol::kTcp, 30080))),
            "[fd00::1]:8080");
  EXPECT_EQ(map.frontends(Family::kIpv4).size(), 2u);
  EXPECT_EQ(map.frontends(Family::kIpv6).size(), 2u);
  EXPECT_EQ(map.count(Family::kIpv4).addresses.endpoints, 1u);
  EXPECT_EQ(map.count(Family::kIpv6).node_ports.endpoints, 1u);
}

TEST(ServiceMap, NothingForHeadlessAndExternalName) {
  ServiceMap map("");
  kube::Service headless = service("headless", {}, {"http 80"});
  headless.headless = true;
  EXPECT_EQ(names(map.put(headless)), "");
  kube::Service external = service("external", {"10.96.0.9"}, {"http 80"});
  external.type = kube::ServiceType::kExternalName;
  EXPECT_EQ(names(map.put(external)), "");
  EXPECT_EQ(to_text(map.find(tcp("10.96.0.9", 80))), "nobody's");
  // A Service that becomes headless gives up what it had.
  map.put(service("web", {"10.96.0.1"}, {"http 80"}));
  kube::Service web = service("web", {}, {"http 80"});
  web.headless = true;
  EXPECT_EQ(names(map.put(web)), "10.96.0.1:80/tcp");
  EXPECT_EQ(to_text(map.find(tcp("10.96.0.1", 80))), "nobody's");
}

TEST(ServiceMap, TellsExactlyWhatMayHaveChanged) {
  ServiceMap map("");
  EXPECT_EQ(names(map.put(slice("web", {"10.0.0.1"}, {"http 8080"}))), "") << "no Service yet";
  EXPECT_EQ(names(map.put(service("web", {"10.96.0.1"}, {"http 80", "admin 81"}))),
            "10.96.0.1:80/tcp, 10.96.0.1:81/tcp");
  EXPECT_EQ(names(map.put(service("web", {"10.96.0.1"}, {"http 80", "admin 81"}))), "")
      << "the same";
  EXPECT_EQ(names(map.put(slice("web", {"10.0.0.2"}, {"http 8080"}))), "10.96.0.1:80/tcp");
  EXPECT_EQ(names(map.put(slice("web", {"10.0.0.2"}, {"http 8080"}))), "") << "the same";
  EXPECT_EQ(names(map.put(service("web", {"10.96.0.2"}, {"http 80"}))),
            "10.96.0.1:80/tcp, 10.96.0.1:81/tcp, 10.96.0.2:80/tcp");
  EXPECT_EQ(names(map.remove_service({"default", "web"})), "10.96.0.2:80/tcp");
  EXPECT_EQ(names(map.remove_service({"default", "web"})), "");
  EXPECT_EQ(names(map.remove_slice({"default", "web-v4"})), "");
  EXPECT_TRUE(map.services_besides({}).empty());
  EXPECT_TRUE(map.slices_besides({}).empty());
}

TEST(ServiceMap, ASliceMayMoveToAnotherService) {
  ServiceMap map("");
  map.put(service("a", {"10.96.0.1"}, {"http 80"}));
  map.put(service("b", {"10.96.0.2"}, {"http 80"}));
  kube::EndpointSlice shared = slice("a", {"10.0.0.1"}, {"http 8080"});
  map.put(shared);
  shared.service_name = "b";
  EXPECT_EQ(names(map.put(shared)), "10.96.0.1:80/tcp, 10.96.0.2:80/tcp");
  EXPECT_EQ(to_text(map.find(tcp("10.96.0.1", 80))), "refuses");
  EXPECT_EQ(to_text(map.find(tcp("10.96.0.2", 80))), "10.0.0.1:8080");
  shared.service_name.clear();
  EXPECT_EQ(names(map.put(shared)), "10.96.0.2:80/tcp") << "a slice of no service";
  EXPECT_TRUE(map.slices_besides({}).empty());
}

// While an address changes hands the watch may show both Services with it.
TEST(ServiceMap, OfTwoClaimsTheFirstByNameHoldsWhateverTheOrder) {
  for (const bool b_first : {false, true}) {
    ServiceMap map("");
    map.put(slice("a", {"10.0.0.1"}, {"http 8080"}));
    map.put(slice("b", {"10.0.0.2"}, {"http 8080"}));
    for (const char* name : {b_first ? "b" : "a", b_first ? "a" : "b"})
      map.put(service(name, {"10.96.0.1"}, {"http 80"}));
    EXPECT_EQ(to_text(map.find(tcp("10.96.0.1", 80))), "10.0.0.1:8080");
    EXPECT_EQ(names(map.remove_service({"default", "a"})), "10.96.0.1:80/tcp");
    EXPECT_EQ(to_text(map.find(tcp("10.96.0.1", 80))), "10.0.0.2:8080");
    map.remove_service({"default", "b"});
    EXPECT_EQ(to_text(map.find(tcp("10.96.0.1", 80))), "nobody's");
  }
}

// Whoever may write a Service could take the cluster's DNS otherwise (CVE-2020-8554).
TEST(ServiceMap, NobodyTakesAClusterIpByAnExternalAddress) {
  kube::Service thief = service("a", {"10.96.0.66"}, {"http 80"});
  thief.external_ips = {ip("10.96.0.1"), ip("198.51.100.1")};
  thief.load_balancer_ingress = {{ip("10.96.0.2"), true}};
  kube::Service balanced = service("b", {"10.96.0.1", "10.96.0.2"}, {"http 80"});
  balanced.load_balancer_ingress = {{ip("198.51.100.1"), true}};
  for (const bool thief_first : {false, true}) {
    ServiceMap map("");
    map.put(slice("a", {"10.0.0.66"}, {"http 8080"}));
    map.put(slice("b", {"10.0.0.1"}, {"http 8080"}));
    map.put(thief_first ? thief : balanced);
    map.put(thief_first ? balanced : thief);
    for (const char* address : {"10.96.0.1", "10.96.0.2", "198.51.100.1"})
      EXPECT_EQ(to_text(map.find(tcp(address, 80))), "10.0.0.1:8080") << address;
    map.remove_service({"default", "b"});
    for (const char* address : {"10.96.0.1", "10.96.0.2", "198.51.100.1"})
      EXPECT_EQ(to_text(map.find(tcp(address, 80))), "10.0.0.66:8080") << address;
  }
}

// As `minikube tunnel` has it.
TEST(ServiceMap, AClusterIpThatIsABalancersTooIsTreatedAsThat) {
  kube::Service web = service("web", {"10.96.0.1"}, {"http 80"});
  web.load_balancer_ingress = {{ip("10.96.0.1"), true}};
  web.load_balancer_source_ranges = {cidr("192.0.2.0/24")};
  web.external_traffic_policy = kube::TrafficPolicy::kLocal;
  ServiceMap map("here");
  map.put(web);
  map.put(slice("web", {"10.0.0.1 @here", "10.0.0.2 @there"}, {"http 8080"}));
  const auto target = map.find(tcp("10.96.0.1", 80));
  EXPECT_EQ(to_text(target), "10.0.0.1:8080(local), inside 10.0.0.1:8080(local) 10.0.0.2:8080");
  EXPECT_NE(target->guard, 0u);
  EXPECT_TRUE(target->cluster_ip) << "its other ports are refused";
  EXPECT_EQ(map.owner(tcp("10.96.0.1", 80))->kind, AddressKind::kLoadBalancer);
  web.load_balancer_ingress.clear();
  web.external_ips = {ip("10.96.0.1")};
  map.put(web);
  EXPECT_EQ(to_text(map.find(tcp("10.96.0.1", 80))), to_text(target)) << "as an external IP";
  EXPECT_EQ(map.find(tcp("10.96.0.1", 80))->guard, 0u);
}

TEST(ServiceMap, FlowsStayWhereTheyAreWhileNobodyServes) {
  ServiceMap map("");
  const Frontend dns = udp("10.96.0.10", 53);
  const auto abandons = [&](const std::string& endpoint) {
    return map.abandons(dns, map.serving_addresses(dns), {ip(endpoint), 53});
  };
  EXPECT_TRUE(abandons("10.0.0.1")) << "no such Service";
  map.put(service("dns", {"10.96.0.10"}, {"dns 53/UDP"}));
  EXPECT_FALSE(abandons("10.0.0.1"));
  map.put(slice("dns", {"10.0.0.1 notready"}, {"dns 53/UDP"}));
  EXPECT_FALSE(abandons("10.0.0.1"));
  EXPECT_FALSE(abandons("10.0.0.9"));
  map.put(slice("dns", {"10.0.0.1 notready", "10.0.0.2"}, {"dns 53/UDP"}));
  EXPECT_TRUE(abandons("10.0.0.1"));
  EXPECT_FALSE(abandons("10.0.0.2"));
  map.put(slice("dns", {"10.0.0.1 notready"}, {"dns 53/UDP"}));
  const SocketAddress socket{ip("192.0.2.1"), 53};
  map.set_relay(dns, socket);
  EXPECT_FALSE(abandons("192.0.2.1"));
  map.set_relay(dns, std::nullopt);
  EXPECT_TRUE(abandons("192.0.2.1")) << "a socket that nobody will read from";
}

TEST(ServiceMap, ServesIsWiderThanUses) {
  ServiceMap map("");
  map.put(service("dns", {"10.96.0.10"}, {"dns 53/UDP"}));
  map.put(slice("dns", {"10.0.0.1", "10.0.0.2 terminating serving", "10.0.0.3 terminating"},
                {"dns 53/UDP"}));
  const Frontend frontend = udp("10.96.0.10", 53);
  EXPECT_TRUE(map.serves(frontend, ip("10.0.0.1"), 53));
  EXPECT_TRUE(map.serves(frontend, ip("10.0.0.2"), 53)) << "its flows may end by themselves";
  EXPECT_FALSE(map.serves(frontend, ip("10.0.0.3"), 53));
  EXPECT_FALSE(map.serves(frontend, ip("10.0.0.1"), 54));
  EXPECT_FALSE(map.serves(udp("10.96.0.11", 53), ip("10.0.0.1"), 53));
}

// The stream proxy has it, whatever becomes of the Service; what that comes to is still to be
// known.
TEST(ServiceMap, RelayedFrontends) {
  ServiceMap map("");
  const Frontend web = udp("10.96.0.1", 53), door = udp("192.0.2.1", 40000);
  const SocketAddress socket{ip("192.0.2.1"), 40000};
  EXPECT_EQ(map.set_relay(web, socket), (Dirty{web, door}));
  EXPECT_FALSE(map.find(web)) << "nobody's";
  map.put(service("web", {"10.96.0.1"}, {"dns 53/UDP"}));
  EXPECT_EQ(map.find(web)->treatment, Treatment::kRelay);
  EXPECT_EQ(map.decide(web)->treatment, Treatment::kRefuse);
  map.put(slice("web", {"10.0.0.1", "10.0.0.2"}, {"dns 53/UDP"}));
  EXPECT_EQ(to_text(map.decide(web)), "10.0.0.1:53 10.0.0.2:53");
  EXPECT_EQ(map.find(web)->backends, (std::vector<Backend>{{socket.address, socket.port, false}}));
  EXPECT_TRUE(map.serves(web, socket.address, socket.port)) << "flows to it may stay";
  EXPECT_TRUE(map.serves(web, ip("10.0.0.1"), 53)) << "and those that were there before";
  EXPECT_EQ(map.find(door)->treatment, Treatment::kDrop);
  EXPECT_EQ(map.frontends(Family::kIpv4).size(), 2u);
  const SocketAddress other{ip("192.0.2.1"), 40001};
  EXPECT_EQ(map.set_relay(web, other), (Dirty{web, door, udp("192.0.2.1", 40001)}));
  EXPECT_FALSE(map.find(door));
  EXPECT_FALSE(map.serves(web, socket.address, socket.port));
  map.set_relay(web, std::nullopt);
  EXPECT_EQ(to_text(map.find(web)), "10.0.0.1:53 10.0.0.2:53");
  EXPECT_FALSE(map.serves(web, other.address, other.port));
  EXPECT_EQ(map.find(udp("192.0.2.1", 40001))->treatment, Treatment::kDrop) << "until it has gone";
  map.set_relay(web, other);
  const Dirty node_port = map.put(service("node", {"10.96.0.3"}, {"dns 53/UDP 40001"}));
  EXPECT_NE(std::find(node_port.begin(), node_port.end(), udp("192.0.2.1", 40001)),
            node_port.end());
  EXPECT_FALSE(map.find(udp("192.0.2.1", 40001))) << "a node port comes before a door";
  map.remove_service({"default", "node"});
  EXPECT_TRUE(map.find(udp("192.0.2.1", 40001)));
  map.put(service("own", {"10.96.0.2"}, {"dns 40001/UDP"}));
  kube::Service own = service("own", {"10.96.0.2"}, {"dns 40001/UDP"});
  own.external_ips = {other.address};
  map.put(own);
  EXPECT_EQ(map.find(udp("192.0.2.1", 40001))->treatment, Treatment::kRefuse)
      << "a Service comes before a door";
  EXPECT_EQ(map.forget_relay(web), Dirty{udp("192.0.2.1", 40001)});
  EXPECT_EQ(to_text(map.find(web)), "10.0.0.1:53 10.0.0.2:53");
}

TEST(ServiceMap, WhatOnlyTheStreamProxyCanServeIsDroppedByRules) {
  ServiceMap map("");
  map.put(service("web", {"10.96.0.1"}, {"t 80/TCP", "u 80/UDP"}));
  EXPECT_EQ(map.set_relay_only({"default", "web"}, true).size(), 2u);
  EXPECT_TRUE(map.set_relay_only({"default", "web"}, true).empty());
  EXPECT_EQ(map.find(tcp("10.96.0.1", 80))->treatment, Treatment::kRefuse);
  map.put(slice("web", {"10.0.0.1"}, {"t 80/TCP", "u 80/UDP"}));
  EXPECT_EQ(map.find(tcp("10.96.0.1", 80))->treatment, Treatment::kDrop);
  EXPECT_EQ(to_text(map.find(udp("10.96.0.1", 80))), "10.0.0.1:80");
  map.set_relay(tcp("10.96.0.1", 80), SocketAddress{ip("192.0.2.1"), 40000});
  EXPECT_EQ(map.find(tcp("10.96.0.1", 80))->treatment, Treatment::kRelay);
  map.set_relay(tcp("10.96.0.1", 80), std::nullopt);
  EXPECT_EQ(map.find(tcp("10.96.0.1", 80))->treatment, Treatment::kDrop);
  EXPECT_EQ(map.set_relay_only({"default", "web"}, false).size(), 2u);
  EXPECT_EQ(to_text(map.find(tcp("10.96.0.1", 80))), "10.0.0.1:80");
}

// ---- traffic policies: KEP-2086, KEP-1669; row 5 to 11 of table A ----

struct PolicyCase {
  const char* what;
  std::vector<std::string> endpoints;
  const char* cluster_ip_local;  // internalTrafficPolicy Local
  const char* external_local;    // externalTrafficPolicy Local
};
const PolicyCase kPolicies[] = {
    {"some here, some elsewhere",
     {"10.0.0.1 @here", "10.0.0.2 @there"},
     "10.0.0.1:8080(local)",
     "10.0.0.1:8080(local), inside 10.0.0.1:8080(local) 10.0.0.2:8080"},
    {"only elsewhere: dropped here, but not for pods and this node",
     {"10.0.0.2 @there"},
     "drops",
     "nobody, inside 10.0.0.2:8080"},
    {"nowhere", {}, "refuses", "refuses"},
    {"here only one that drains: it is used although others are ready elsewhere",
     {"10.0.0.1 @here terminating serving", "10.0.0.2 @there"},
     "10.0.0.1:8080(local)",
     "10.0.0.1:8080(local), inside 10.0.0.2:8080"},
    {"elsewhere only one that drains",
     {"10.0.0.2 @there terminating serving"},
     "drops",
     "nobody, inside 10.0.0.2:8080"},
    {"here only one that is not ready", {"10.0.0.1 @here notready"}, "refuses", "refuses"},
};

TEST(ServiceMap, TrafficPolicies) {
  for (const PolicyCase& c : kPolicies) {
    SCOPED_TRACE(c.what);
    ServiceMap map("here");
    kube::Service web = service("web", {"10.96.0.1"}, {"http 80/TCP 30080"});
    web.type = kube::ServiceType::kLoadBalancer;
    web.external_ips = {ip("198.51.100.1")};
    web.load_balancer_ingress = {{ip("198.51.100.2"), true}, {ip("198.51.100.3"), false}};
    map.put(web);
    map.put(slice("web", c.endpoints, {"http 8080/TCP"}));
    const Frontend cluster_ip = tcp("10.96.0.1", 80);
    const Frontend node_port = Frontend::node(Family::kIpv4, Protocol::kTcp, 30080);
    const std::vector<Frontend> external = {tcp("198.51.100.1", 80), tcp("198.51.100.2", 80),
                                            node_port};
    for (const Frontend& frontend : external)
      EXPECT_EQ(to_text(map.find(frontend)), to_text(map.find(cluster_ip)))
          << "policy Cluster: everybody alike";
    EXPECT_EQ(to_text(map.find(tcp("198.51.100.3", 80))), "nobody's") << "ipMode Proxy";

    web.internal_traffic_policy = kube::TrafficPolicy::kLocal;
    map.put(web);
    EXPECT_EQ(to_text(map.find(cluster_ip)), c.cluster_ip_local);
    EXPECT_NE(to_text(map.find(node_port)), "drops") << "not its business";

    web.internal_traffic_policy = kube::TrafficPolicy::kCluster;
    web.external_traffic_policy = kube::TrafficPolicy::kLocal;
    map.put(web);
    for (const Frontend& frontend : external)
      EXPECT_EQ(to_text(map.find(frontend)), c.external_local) << frontend.to_string();
    EXPECT_NE(to_text(map.find(cluster_ip)), "drops");
  }
}

// "10.0.0.1 zone=a,b node=n1": hints of an endpoint.
kube::EndpointSlice hinted(const std::vector<std::string>& texts) {
  kube::EndpointSlice result = slice("web", texts, {"http 8080/TCP"});
  for (size_t i = 0; i < texts.size(); ++i) {
    std::istringstream words(texts[i]);
    for (std::string word; words >> word;) {
      const bool zones = word.starts_with("zone=");
      if (!zones && !word.starts_with("node=")) continue;
      std::istringstream names(word.substr(5));
      for (std::string name; std::getline(names, name, ',');)
        (zones ? result.endpoints[i].hint_zones : result.endpoints[i].hint_nodes).push_back(name);
    }
  }
  return result;
}

struct HintCase {
  const char* what;
  std::vector<std::string> endpoints;
  const char* used;
};
// The node is n1 in zone a.
const HintCase kHints[] = {
    {"zone", {"10.0.0.1 zone=a", "10.0.0.2 zone=b"}, "10.0.0.1:8080"},
    {"several zones", {"10.0.0.1 zone=b,a", "10.0.0.2 zone=b"}, "10.0.0.1:8080"},
    {"one ready without: none count",
     {"10.0.0.1 zone=a", "10.0.0.2"},
     "10.0.0.1:8080 10.0.0.2:8080"},
    {"one without that is not ready does not matter",
     {"10.0.0.1 zone=a", "10.0.0.2 notready", "10.0.0.3 zone=b"},
     "10.0.0.1:8080"},
    {"none for this zone: none count",
     {"10.0.0.1 zone=b", "10.0.0.2 zone=c"},
     "10.0.0.1:8080 10.0.0.2:8080"},
    {"node before zone", {"10.0.0.1 zone=a node=n2", "10.0.0.2 zone=b node=n1"}, "10.0.0.2:8080"},
    {"none for this node: zones decide",
     {"10.0.0.1 zone=a node=n2", "10.0.0.2 zone=b node=n3"},
     "10.0.0.1:8080"},
    {"twice in a slice: the last counts",
     {"10.0.0.1 zone=a", "10.0.0.1 zone=b", "10.0.0.2 zone=a"},
     "10.0.0.2:8080"},
    {"twice in a slice: the last that does not terminate",
     {"10.0.0.1 zone=a", "10.0.0.1 zone=b terminating ready", "10.0.0.2 zone=b"},
     "10.0.0.1:8080"},
    {"draining ones are used without regard to hints",
     {"10.0.0.1 zone=b terminating serving", "10.0.0.2 zone=a terminating"},
     "10.0.0.1:8080"},
};

TEST(ServiceMap, TopologyHints) {
  for (const HintCase& c : kHints) {
    SCOPED_TRACE(c.what);
    ServiceMap map(NodeFacts{"n1", "a", {}});
    map.put(service("web", {"10.96.0.1"}, {"http 80/TCP"}));
    map.put(hinted(c.endpoints));
    EXPECT_EQ(to_text(map.find(tcp("10.96.0.1", 80))), c.used);
  }
}

TEST(ServiceMap, AnotherZoneActsAtOnce) {
  ServiceMap map(NodeFacts{"n1", "a", {}});
  map.put(service("web", {"10.96.0.1"}, {"http 80/TCP"}));
  map.put(service("plain", {"10.96.0.2"}, {"http 80/TCP"}));
  map.put(hinted({"10.0.0.1 zone=a", "10.0.0.2 zone=b"}));
  EXPECT_EQ(names(map.set_node("b", {})), "10.96.0.1:80/tcp");
  EXPECT_EQ(to_text(map.find(tcp("10.96.0.1", 80))), "10.0.0.2:8080");
  EXPECT_EQ(names(map.set_node("b", {})), "");
}

std::string ranges_of(const ServiceMap& map, const Frontend& frontend) {
  const auto target = map.find(frontend);
  if (!target) return "nobody's";
  if (target->guard == 0) return "any";
  EXPECT_EQ(map.ranges(target->guard), target->ranges);
  std::string text;
  for (const Cidr& range : *target->ranges) text += (text.empty() ? "" : " ") + range.to_string();
  return text;
}

// Row 16 of table A: load balancer addresses only.
TEST(ServiceMap, SourceRanges) {
  ServiceMap map(NodeFacts{"here", "", {ip("192.0.2.1")}});
  kube::Service web = service("web", {"10.96.0.1"}, {"http 80/TCP 30080"});
  web.type = kube::ServiceType::kLoadBalancer;
  web.external_ips = {ip("198.51.100.1"), ip("198.51.100.2")};
  web.load_balancer_ingress = {{ip("198.51.100.2"), true}};
  web.load_balancer_source_ranges = {cidr("203.0.113.0/24"), cidr("2001:db8::/32")};
  map.put(web);
  const Frontend balancer = tcp("198.51.100.2", 80);
  EXPECT_EQ(ranges_of(map, balancer), "203.0.113.0/24");
  EXPECT_EQ(ranges_of(map, tcp("10.96.0.1", 80)), "any");
  EXPECT_EQ(ranges_of(map, tcp("198.51.100.1", 80)), "any");
  EXPECT_EQ(ranges_of(map, Frontend::node(Family::kIpv4, Protocol::kTcp, 30080)), "any");
  const uint64_t before = map.find(balancer)->guard;

  web.load_balancer_source_ranges = {cidr("192.0.2.0/24")};
  map.put(web);
  EXPECT_EQ(ranges_of(map, balancer), "192.0.2.0/24 198.51.100.2/32")
      << "this node may, by whatever address it sends";
  EXPECT_EQ(map.ranges(before), nullptr) << "nobody's any more";
  EXPECT_EQ(names(map.set_node("", {ip("192.0.3.1")})),
            "node port 30080/tcp (IPv4), 10.96.0.1:80/tcp, 198.51.100.1:80/tcp, "
            "198.51.100.2:80/tcp");
  EXPECT_EQ(ranges_of(map, balancer), "192.0.2.0/24");

  web.load_balancer_ingress.push_back({ip("198.51.100.3"), true});
  web.load_balancer_source_ranges = {cidr("192.0.3.0/24")};
  map.put(web);
  EXPECT_EQ(ranges_of(map, balancer), "192.0.3.0/24 198.51.100.2/32 198.51.100.3/32");

  web.load_balancer_source_ranges = {cidr("192.0.2.0/24"), cidr("0.0.0.0/0")};
  map.put(web);
  EXPECT_EQ(ranges_of(map, balancer), "any");
  map.remove_service(web.meta.key());
  EXPECT_EQ(ranges_of(map, balancer), "nobody's");
}

TEST(ServiceMap, ExternalAddresses) {
  kube::Service web = service("web", {"10.96.0.1"}, {"http 80"});
  web.external_ips = {ip("198.51.100.1"), ip("2001:db8::1")};
  ServiceMap map("");
  EXPECT_EQ(names(map.put(web)), "10.96.0.1:80/tcp, 198.51.100.1:80/tcp")
      << "not of a family the Service does not have";
  NodeFacts gate_off;
  gate_off.accept_external_ips = false;
  ServiceMap without(gate_off);
  EXPECT_EQ(names(without.put(web)), "10.96.0.1:80/tcp");
}

TEST(ServiceMap, HealthCheckNodePorts) {
  ServiceMap map("here");
  kube::Service web = service("web", {"10.96.0.1"}, {"http 80", "https 443"});
  web.type = kube::ServiceType::kLoadBalancer;
  web.health_check_node_port = 32000;
  map.put(web);
  EXPECT_TRUE(map.health_ports().empty()) << "policy Cluster needs none";
  web.external_traffic_policy = kube::TrafficPolicy::kLocal;
  map.put(web);
  map.put(slice("web", {"10.0.0.1 @here", "10.0.0.2 @there", "10.0.0.3 @here notready"},
                {"http 8080", "https 8443"}));
  ASSERT_EQ(map.health_ports().size(), 1u);
  EXPECT_EQ(map.health_ports()[0], (ServiceMap::HealthPort{{"default", "web"}, 32000, 1}));
  map.put(slice("web", {"fd00::1 @here", "fd00::2 @there"}, {"http 8080"}));
  EXPECT_EQ(map.health_ports()[0].local_ready, 1u) << "a pod of both families is one";
  map.put(slice("web", {"fd00::1 @here", "fd00::2 @here"}, {"http 8080"}));
  EXPECT_EQ(map.health_ports()[0].local_ready, 1u) << "the Service has no IPv6";
  map.put(slice("web", {"10.0.0.1 @here", "10.0.0.3 @here"}, {"other 8080"}));
  EXPECT_EQ(map.health_ports()[0].local_ready, 0u) << "no port leads to them";
  map.put(slice("web", {"10.0.0.1 @here"}, {"https 8443"}));
  EXPECT_EQ(map.health_ports()[0].local_ready, 1u) << "one of its ports does";
}

TEST(ServiceMap, SaysWhoseAnAddressIsAndWhatThereIsToSayOfAPort) {
  ServiceMap map("here");
  kube::Service web =
      service("web", {"10.96.0.1", "fd00:96::1"}, {"http 80/TCP 30080", "u 80/UDP"});
  web.external_ips = {ip("198.51.100.7")};
  web.load_balancer_ingress = {{ip("198.51.100.1"), true}};
  map.put(web);
  map.put(service("zed", {"10.96.0.1"}, {"other 80"}));  // the same address: web has it
  map.put(slice("zed", {"10.0.0.9"}, {"other 8080"}));
  map.put(slice("web", {"10.0.0.1", "10.0.0.2 notready", "10.0.0.3"}, {"http 8080"}));
  map.put(slice("web", {"10.0.0.3"}, {"http 8080"}, "-2"));
  map.put(slice("web", {"fd00::1"}, {"http 8080"}));
  const std::pair<Frontend, AddressKind> cases[] = {
      {tcp("10.96.0.1", 80), AddressKind::kClusterIp},
      {tcp("fd00:96::1", 80), AddressKind::kClusterIp},
      {tcp("198.51.100.7", 80), AddressKind::kExternalIp},
      {tcp("198.51.100.1", 80), AddressKind::kLoadBalancer},
      {Frontend::node(Family::kIpv6, Protocol::kTcp, 30080), AddressKind::kNodePort},
  };
  const ServicePort http = {{"default", "web"}, "http", Protocol::kTcp};
  for (const auto& [frontend, kind] : cases) {
    const auto owner = map.owner(frontend);
    ASSERT_TRUE(owner) << frontend.to_string();
    EXPECT_EQ(owner->port, http) << frontend.to_string();
    EXPECT_EQ(owner->kind, kind) << frontend.to_string();
  }
  EXPECT_EQ(map.owner(udp("10.96.0.1", 80))->port.name, "u");
  EXPECT_FALSE(map.owner(tcp("10.96.0.1", 81)));

  const auto facts = map.facts(http);
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->cluster_ips.size(), 2u);
  EXPECT_EQ(facts->port, 80);
  EXPECT_EQ(facts->node_port, 30080);
  EXPECT_EQ(facts->ready, 2u);
  EXPECT_EQ(facts->endpoints, 3u);
  EXPECT_FALSE(map.facts({{"default", "web"}, "http", Protocol::kUdp}));
  EXPECT_EQ(map.facts({{"default", "zed"}, "other", Protocol::kTcp})->endpoints, 1u) << "its own";
  EXPECT_TRUE(map.has(http));
  EXPECT_FALSE(map.has({{"default", "none"}, "http", Protocol::kTcp}));
  EXPECT_EQ(map.size().services, 2u);
  EXPECT_EQ(map.size().ports, 3u);
  EXPECT_EQ(map.size().endpoints, 6u);
  EXPECT_EQ(http.to_string(), "default/web:http");
  EXPECT_EQ((ServicePort{{"default", "web"}, "", Protocol::kTcp}.to_string()), "default/web");
}

TEST(ServiceMap, AffinityIsOfAServicePortAndOfTheSetItChoosesFrom) {
  ServiceMap map("here");
  kube::Service web = service("web", {"10.96.0.1"}, {"http 80/TCP 30080", "https 443/TCP"});
  web.external_ips = {ip("198.51.100.1")};
  web.affinity_timeout_seconds = 60;
  map.put(web);
  map.put(slice("web", {"10.0.0.1 @here"}, {"http 8080", "https 8443"}));
  const Target http = *map.find(tcp("10.96.0.1", 80));
  EXPECT_TRUE(map.has_affinity());
  EXPECT_EQ(http.affinity_seconds, 60u);
  EXPECT_NE(http.affinity, 0u);
  EXPECT_EQ(map.find(tcp("198.51.100.1", 80))->affinity, http.affinity) << "any of its addresses";
  EXPECT_EQ(map.find(Frontend::node(Family::kIpv4, Protocol::kTcp, 30080))->affinity,
            http.affinity);
  EXPECT_NE(map.find(tcp("10.96.0.1", 443))->affinity, http.affinity) << "another port";
  web.external_traffic_policy = kube::TrafficPolicy::kLocal;
  map.put(web);
  EXPECT_EQ(map.find(tcp("10.96.0.1", 80))->affinity, http.affinity);
  EXPECT_EQ(map.find(tcp("198.51.100.1", 80))->affinity, affinity_here(http.affinity));
  web.affinity_timeout_seconds = 90;
  EXPECT_EQ(map.put(web).size(), 5u) << "an edited timeout acts";
  map.remove_service(web.meta.key());
  EXPECT_FALSE(map.has_affinity());
}

}  // namespace
}  // namespace fairlead::proxy
