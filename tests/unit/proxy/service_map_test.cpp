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
  EXPECT_EQ(map.count(Family::kIpv4).endpoints, 1u);
  EXPECT_EQ(map.count(Family::kIpv6).node_port_endpoints, 1u);
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
  EXPECT_TRUE(map.services().empty());
  EXPECT_TRUE(map.slices().empty());
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
  EXPECT_TRUE(map.slices().empty());
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

TEST(ServiceMap, NamesWhatIsNotSupportedYet) {
  kube::Service web = service("web", {"10.96.0.1"}, {"http 80"});
  EXPECT_TRUE(unsupported_features(web).empty());
  web.affinity_timeout_seconds = 10800;
  web.external_traffic_policy = kube::TrafficPolicy::kLocal;
  EXPECT_EQ(unsupported_features(web), (std::vector<std::string>{"sessionAffinity: ClientIP",
                                                                 "externalTrafficPolicy: Local"}));
}

}  // namespace
}  // namespace fairlead::proxy
