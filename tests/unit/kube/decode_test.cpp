// SPDX-License-Identifier: Apache-2.0
#include "kube/decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kube/stream.h"

namespace fairlead::kube {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}
Cidr cidr(const char* text) {
  return *Cidr::parse(text);
}

std::string service_with(const std::string& spec, const std::string& status = "{}") {
  return R"({"metadata":{"name":"web","namespace":"default"},"spec":)" + spec + R"(,"status":)" +
         status + "}";
}
Service service(const std::string& spec, const std::string& status = "{}") {
  const Result<Service> result = decode<Service>(service_with(spec, status));
  EXPECT_TRUE(result.ok()) << spec << ": " << result.error().message();
  return result.ok() ? *result : Service{};
}
EndpointSlice slice(const std::string& rest) {
  const std::string json = R"({"metadata":{"name":"web-1","namespace":"default",)"
                           R"("labels":{"kubernetes.io/service-name":"web"}},)" +
                           rest + "}";
  const Result<EndpointSlice> result = decode<EndpointSlice>(json);
  EXPECT_TRUE(result.ok()) << json << ": " << result.error().message();
  return result.ok() ? *result : EndpointSlice{};
}

TEST(DecodeMeta, KeepsWhatIsRead) {
  const Result<Namespace> result = decode<Namespace>(R"({
    "kind": "Namespace", "apiVersion": "v1",
    "metadata": {"name": "shop", "uid": "u-1", "resourceVersion": "42",
      "labels": {"team": "a", "empty": null},
      "annotations": {"note": "x\u00e9\n", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
      "deletionTimestamp": "2026-01-01T00:00:00Z", "managedFields": [{"manager": "kubectl"}]},
    "spec": {"finalizers": ["kubernetes"]}})");
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->meta.key(), (ObjectKey{"", "shop"}));
  EXPECT_EQ(result->meta.uid, "u-1");
  EXPECT_EQ(result->meta.resource_version, "42");
  EXPECT_EQ(result->meta.labels,
            (std::map<std::string, std::string>{{"team", "a"}, {"empty", ""}}));
  EXPECT_EQ(result->meta.annotations,
            (std::map<std::string, std::string>{{"note", "x\xc3\xa9\n"}}));
  EXPECT_TRUE(result->meta.deleting);
}

TEST(DecodeMeta, EqualityIgnoresTheResourceVersion) {
  ObjectMeta a, b;
  a.resource_version = "1";
  b.resource_version = "2";
  EXPECT_EQ(a, b);
  b.labels["x"] = "y";
  EXPECT_NE(a, b);
}

TEST(DecodeService, Whole) {
  const Service s = service(
      R"({"type":"LoadBalancer","clusterIP":"10.96.0.9","clusterIPs":["10.96.0.9","fd00::9"],
          "ipFamilies":["IPv4","IPv6"],"externalIPs":["192.0.2.1"],
          "loadBalancerSourceRanges":[" 10.0.0.0/8 ","junk","fd00::/8"],
          "ports":[{"name":"http","port":80,"targetPort":"web","nodePort":30080,"appProtocol":"h2c"},
                   {"name":"dns","protocol":"UDP","port":53,"targetPort":53},
                   {"name":"sig","protocol":"SCTP","port":7777}],
          "internalTrafficPolicy":"Local","externalTrafficPolicy":"Local","healthCheckNodePort":31000,
          "sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":60}},
          "publishNotReadyAddresses":true,"selector":{"app":"web"},"trafficDistribution":"PreferClose"})",
      R"({"loadBalancer":{"ingress":[{"ip":"203.0.113.1"},{"hostname":"lb.example"},
          {"ip":"203.0.113.2","ipMode":"Proxy","ports":[]},{"ip":"203.0.113.3","ipMode":"VIP"},
          {"ip":"bad"}]}})");
  EXPECT_EQ(s.type, ServiceType::kLoadBalancer);
  EXPECT_FALSE(s.headless);
  EXPECT_THAT(s.cluster_ips, ElementsAre(ip("10.96.0.9"), ip("fd00::9")));
  EXPECT_THAT(s.ip_families, ElementsAre(Family::kIpv4, Family::kIpv6));
  EXPECT_THAT(s.external_ips, ElementsAre(ip("192.0.2.1")));
  EXPECT_THAT(s.load_balancer_source_ranges, ElementsAre(cidr("10.0.0.0/8"), cidr("fd00::/8")));
  EXPECT_THAT(s.load_balancer_ingress, ElementsAre(LoadBalancerIngress{ip("203.0.113.1"), true},
                                                   LoadBalancerIngress{ip("203.0.113.2"), false},
                                                   LoadBalancerIngress{ip("203.0.113.3"), true}));
  EXPECT_THAT(s.ports, ElementsAre(ServicePort{"http", Protocol::kTcp, 80, 30080},
                                   ServicePort{"dns", Protocol::kUdp, 53, 0},
                                   ServicePort{"sig", Protocol::kSctp, 7777, 0}));
  EXPECT_EQ(s.internal_traffic_policy, TrafficPolicy::kLocal);
  EXPECT_EQ(s.external_traffic_policy, TrafficPolicy::kLocal);
  EXPECT_EQ(s.health_check_node_port, 31000);
  EXPECT_EQ(s.affinity_timeout_seconds, 60u);
  EXPECT_TRUE(s.publish_not_ready_addresses);
}

TEST(DecodeService, EmptySpecIsAService) {
  const Service s = service("{}");
  EXPECT_EQ(s.type, ServiceType::kClusterIp);
  EXPECT_THAT(s.cluster_ips, IsEmpty());
  EXPECT_THAT(s.ports, IsEmpty());
  EXPECT_FALSE(s.affinity_timeout_seconds);
  EXPECT_EQ(s, service("null", "null"));
}

struct IpsCase {
  const char* what;
  const char* spec;
  bool headless;
  std::vector<IpAddress> ips;
  std::vector<Family> families;
};
const IpsCase kIpsCases[] = {
    {"before dual stack", R"({"clusterIP":"10.0.0.1"})", false, {ip("10.0.0.1")}, {Family::kIpv4}},
    {"before dual stack, v6",
     R"({"clusterIP":"fd00::1"})",
     false,
     {ip("fd00::1")},
     {Family::kIpv6}},
    {"empty clusterIPs",
     R"({"clusterIP":"10.0.0.1","clusterIPs":[]})",
     false,
     {ip("10.0.0.1")},
     {Family::kIpv4}},
    {"null clusterIPs",
     R"({"clusterIP":"10.0.0.1","clusterIPs":null})",
     false,
     {ip("10.0.0.1")},
     {Family::kIpv4}},
    {"clusterIPs alone",
     R"({"clusterIPs":["10.0.0.2"]})",
     false,
     {ip("10.0.0.2")},
     {Family::kIpv4}},
    {"clusterIPs win",
     R"({"clusterIP":"10.0.0.1","clusterIPs":["10.0.0.2"]})",
     false,
     {ip("10.0.0.2")},
     {Family::kIpv4}},
    {"leading zeros", R"({"clusterIP":"010.000.0.01"})", false, {ip("10.0.0.1")}, {Family::kIpv4}},
    {"mapped", R"({"clusterIP":"::ffff:10.0.0.1"})", false, {ip("10.0.0.1")}, {Family::kIpv4}},
    {"headless",
     R"({"clusterIP":"None","clusterIPs":["None"],"ipFamilies":["IPv6"]})",
     true,
     {},
     {Family::kIpv6}},
    {"headless by clusterIPs", R"({"clusterIPs":["None"]})", true, {}, {}},
    {"headless, older", R"({"clusterIP":"None"})", true, {}, {}},
    {"not assigned yet", R"({"clusterIP":""})", false, {}, {}},
    {"unreadable", R"({"clusterIP":"10.0.0.300"})", false, {}, {}},
    {"one unreadable",
     R"({"clusterIPs":["x","fd00::1"]})",
     false,
     {ip("fd00::1")},
     {Family::kIpv6}},
    {"unknown family", R"({"ipFamilies":["IPv8","IPv4"]})", false, {}, {Family::kIpv4}},
};

TEST(DecodeService, ClusterIps) {
  for (const IpsCase& c : kIpsCases) {
    const Service s = service(c.spec);
    EXPECT_EQ(s.headless, c.headless) << c.what;
    EXPECT_EQ(s.cluster_ips, c.ips) << c.what;
    EXPECT_EQ(s.ip_families, c.families) << c.what;
  }
}

TEST(DecodeService, Affinity) {
  EXPECT_EQ(service(R"({"sessionAffinity":"ClientIP"})").affinity_timeout_seconds, 10800u);
  EXPECT_EQ(service(R"({"sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":null}})")
                .affinity_timeout_seconds,
            10800u);
  EXPECT_FALSE(service(R"({"sessionAffinity":"None"})").affinity_timeout_seconds);
}

TEST(DecodeService, TypesAndPoliciesWeDoNotKnow) {
  EXPECT_EQ(service(R"({"type":"Teleport"})").type, ServiceType::kClusterIp);
  EXPECT_EQ(service(R"({"type":"ExternalName","externalName":"a.example"})").external_name,
            "a.example");
  EXPECT_EQ(service(R"({"type":"NodePort"})").type, ServiceType::kNodePort);
  EXPECT_EQ(service(R"({"internalTrafficPolicy":"Near"})").internal_traffic_policy,
            TrafficPolicy::kCluster);
  EXPECT_THAT(service(R"({"ports":[{"port":1,"protocol":"QUIC"},{"port":2}]})").ports,
              ElementsAre(ServicePort{"", Protocol::kTcp, 2, 0}));
}

struct BadCase {
  const char* spec;
  const char* message;
};
const BadCase kBadServices[] = {
    {R"({"ports":[{"port":1},{"port":2},{"port":"80"}]})",
     "Service default/web: spec.ports[2].port: expected a number"},
    {R"({"ports":[{"port":70000}]})",
     "spec.ports[0].port: expected a whole number from 0 to 65535"},
    {R"({"ports":[{"port":-1}]})", "spec.ports[0].port: expected a whole number"},
    {R"({"ports":[{"port":80.5}]})", "spec.ports[0].port: expected a whole number"},
    {R"({"ports":[{"port":99999999999999999999}]})", "not JSON"},
    {R"({"ports":[{"port":18446744073709551615}]})", "spec.ports[0].port: expected a whole number"},
    {R"({"ports":{}})", "Service default/web: spec.ports: expected a list"},
    {R"({"ports":["80"]})", "Service default/web: spec.ports[0]: expected an object"},
    {R"({"ports":[{"port":80,"name":1}]})", "spec.ports[0].name: expected a string"},
    {R"({"ports":[{"port":80,"protocol":6}]})", "spec.ports[0].protocol: expected a string"},
    {R"({"clusterIP":10})", "Service default/web: spec.clusterIP: expected a string"},
    {R"({"clusterIPs":"10.0.0.1"})", "spec.clusterIPs: expected a list"},
    {R"({"clusterIPs":[1]})", "spec.clusterIPs[0]: expected a string"},
    {R"({"ipFamilies":[4]})", "spec.ipFamilies[0]: expected a string"},
    {R"({"externalIPs":[{}]})", "spec.externalIPs[0]: expected a string"},
    {R"({"publishNotReadyAddresses":"true"})",
     "spec.publishNotReadyAddresses: expected true or false"},
    {R"({"sessionAffinityConfig":[]})", "spec.sessionAffinityConfig: expected an object"},
    {R"({"sessionAffinityConfig":{"clientIP":{"timeoutSeconds":"1"}}})",
     "spec.sessionAffinityConfig.clientIP.timeoutSeconds: expected a number"},
    {R"({"loadBalancerSourceRanges":["10.0.0.0/33"]})",
     "spec.loadBalancerSourceRanges: none of them is a CIDR"},
    {R"("spec")", "Service default/web: spec: expected an object"},
    {R"([])", "spec: expected an object"},
};

TEST(DecodeService, WrongTypesAreNamedByPath) {
  for (const BadCase& c : kBadServices) {
    const Result<Service> result = decode<Service>(service_with(c.spec));
    ASSERT_FALSE(result.ok()) << c.spec;
    EXPECT_EQ(result.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(result.error().message(), HasSubstr(c.message)) << c.spec;
  }
  EXPECT_THAT(decode<Service>(service_with("{}", R"({"loadBalancer":{"ingress":[{"ip":1}]}})"))
                  .error()
                  .message(),
              HasSubstr("status.loadBalancer.ingress[0].ip: expected a string"));
}

const BadCase kNoObjects[] = {
    {"", "Service is not JSON"},
    {"{", "Service is not JSON"},
    {"nonsense", "Service is not JSON"},
    {R"({"metadata":{"name":"a"}} trailing)", "Service is not JSON"},
    {"{\"metadata\":{\"name\":\"\xff\"}}", "Service is not JSON"},
    {R"({"metadata":{"name":"a"},"unread":tru})", "Service is not JSON"},
    {"[]", "expected an object"},
    {"7", "expected an object"},
    {"null", "metadata.name: an object must have a name"},
    {"{}", "Service without a name: metadata.name: an object must have a name"},
    {R"({"metadata":null})", "metadata.name: an object must have a name"},
    {R"({"metadata":{"name":""}})", "metadata.name: an object must have a name"},
    {R"({"metadata":{"name":7}})", "metadata.name: expected a string"},
    {R"({"metadata":"x"})", "metadata: expected an object"},
    {R"({"metadata":{"name":"a","labels":{"x":1}}})",
     "Service a: metadata.labels: expected a string"},
    {R"({"metadata":{"name":"a","labels":[]}})", "metadata.labels: expected an object"},
};

TEST(DecodeService, WhatIsNoObject) {
  for (const BadCase& c : kNoObjects) {
    const Result<Service> result = decode<Service>(c.spec);
    ASSERT_FALSE(result.ok()) << c.spec;
    EXPECT_THAT(result.error().message(), HasSubstr(c.message)) << c.spec;
  }
  std::string deep(5000, '[');
  EXPECT_FALSE(decode<Service>(deep + std::string(5000, ']')).ok());
}

TEST(DecodeSlice, Whole) {
  const EndpointSlice s = slice(
      R"("addressType":"IPv4","endpoints":[
          {"addresses":["10.1.0.1","10.1.0.2"],"conditions":{"ready":false,"serving":true,"terminating":true},
           "hostname":"web-0","nodeName":"n1","zone":"z1","deprecatedTopology":{"a":"b"},
           "targetRef":{"kind":"Pod","name":"web-0","namespace":"default","uid":"u"},
           "hints":{"forZones":[{"name":"z1"},{"name":"z2"}],"forNodes":[{"name":"n1"}]}}],
         "ports":[{"name":"http","protocol":"TCP","port":8080,"appProtocol":"http"},
                  {"name":null,"protocol":null,"port":null},{},{"port":53,"protocol":"UDP"},
                  {"port":1,"protocol":"QUIC"}])");
  EXPECT_EQ(s.service_name, "web");
  EXPECT_EQ(s.family, Family::kIpv4);
  EXPECT_FALSE(s.fqdn);
  Endpoint e;
  e.addresses = {ip("10.1.0.1"), ip("10.1.0.2")};
  e.ready = false;
  e.terminating = true;
  e.hostname = "web-0";
  e.node_name = "n1";
  e.zone = "z1";
  e.target_kind = "Pod";
  e.target_name = "web-0";
  e.target_namespace = "default";
  e.hint_zones = {"z1", "z2"};
  e.hint_nodes = {"n1"};
  EXPECT_THAT(s.endpoints, ElementsAre(e));
  EXPECT_THAT(s.ports, ElementsAre(EndpointPort{"http", Protocol::kTcp, 8080},
                                   EndpointPort{"", Protocol::kTcp, 0, false},
                                   EndpointPort{"", Protocol::kTcp, 0, false},
                                   EndpointPort{"", Protocol::kUdp, 53, false}));
  EXPECT_THAT(slice(R"("addressType":"IPv4","ports":[{"name":"","port":53}])").ports,
              ElementsAre(EndpointPort{"", Protocol::kTcp, 53}));
}

struct ConditionCase {
  const char* conditions;
  bool ready, serving, terminating;
};
const ConditionCase kConditions[] = {
    {"null", true, true, false},
    {"{}", true, true, false},
    {R"({"ready":null,"serving":null,"terminating":null})", true, true, false},
    {R"({"ready":false})", false, true, false},
    {R"({"ready":false,"serving":false,"terminating":true})", false, false, true},
    {R"({"ready":true,"terminating":false})", true, true, false},
};

TEST(DecodeSlice, ConditionsThatAreAbsent) {
  for (const ConditionCase& c : kConditions) {
    const EndpointSlice s =
        slice(R"("addressType":"IPv4","endpoints":[{"addresses":["10.0.0.1"],"conditions":)" +
              std::string(c.conditions) + "}]");
    ASSERT_EQ(s.endpoints.size(), 1u);
    EXPECT_EQ(s.endpoints[0].ready, c.ready) << c.conditions;
    EXPECT_EQ(s.endpoints[0].serving, c.serving) << c.conditions;
    EXPECT_EQ(s.endpoints[0].terminating, c.terminating) << c.conditions;
  }
}

TEST(DecodeSlice, AddressesThatAreNotOfTheFamily) {
  const EndpointSlice s = slice(
      R"("addressType":"IPv6","endpoints":[{"addresses":["fd00::1","10.0.0.1"]},{"addresses":["10.0.0.2"]},
         {"addresses":[]},{"addresses":null},{},{"addresses":["junk"]},{"addresses":["fd00::2"]}],"ports":null)");
  EXPECT_EQ(s.family, Family::kIpv6);
  ASSERT_EQ(s.endpoints.size(), 2u);
  EXPECT_THAT(s.endpoints[0].addresses, ElementsAre(ip("fd00::1")));
  EXPECT_THAT(s.endpoints[1].addresses, ElementsAre(ip("fd00::2")));
  EXPECT_THAT(s.ports, IsEmpty());
}

TEST(DecodeSlice, OddSlices) {
  const EndpointSlice fqdn =
      slice(R"("addressType":"FQDN","endpoints":[{"addresses":["a.example"]}])");
  EXPECT_TRUE(fqdn.fqdn);
  EXPECT_THAT(fqdn.endpoints, IsEmpty());
  EXPECT_THAT(slice(R"("addressType":"IPv4","endpoints":null)").endpoints, IsEmpty());
  EXPECT_THAT(slice(R"("addressType":"IPv4")").endpoints, IsEmpty());
  EXPECT_THAT(slice(R"("addressType":"IPv4","endpoints":[{"addresses":["010.0.0.1"]}])")
                  .endpoints[0]
                  .addresses,
              ElementsAre(ip("10.0.0.1")));
  const Result<EndpointSlice> orphan =
      decode<EndpointSlice>(R"({"metadata":{"name":"x","namespace":"n"},"addressType":"IPv4"})");
  ASSERT_TRUE(orphan.ok());
  EXPECT_EQ(orphan->service_name, "");
}

const BadCase kBadSlices[] = {
    {R"("endpoints":[])", "EndpointSlice n/s: addressType: expected IPv4, IPv6 or FQDN"},
    {R"("addressType":"IPX")", "addressType: expected IPv4, IPv6 or FQDN"},
    {R"("addressType":4)", "addressType: expected a string"},
    {R"("addressType":"IPv4","endpoints":{})", "endpoints: expected a list"},
    {R"("addressType":"IPv4","endpoints":[{"addresses":"10.0.0.1"}])",
     "endpoints[0].addresses: expected a list"},
    {R"("addressType":"IPv4","endpoints":[{},{"addresses":[1]}])",
     "endpoints[1].addresses[0]: expected a string"},
    {R"("addressType":"IPv4","endpoints":[{"conditions":{"ready":"yes"}}])",
     "endpoints[0].conditions.ready: expected true or false"},
    {R"("addressType":"IPv4","endpoints":[{"targetRef":{"name":1}}])",
     "endpoints[0].targetRef.name: expected a string"},
    {R"("addressType":"IPv4","endpoints":[{"hints":{"forZones":[{"name":3}]}}])",
     "endpoints[0].hints.forZones[0].name: expected a string"},
    {R"("addressType":"IPv4","ports":[{"port":"http"}])", "ports[0].port: expected a number"},
};

TEST(DecodeSlice, WrongTypesAreNamedByPath) {
  for (const BadCase& c : kBadSlices) {
    const Result<EndpointSlice> result = decode<EndpointSlice>(
        R"({"metadata":{"name":"s","namespace":"n"},)" + std::string(c.spec) + "}");
    ASSERT_FALSE(result.ok()) << c.spec;
    EXPECT_THAT(result.error().message(), HasSubstr(c.message)) << c.spec;
  }
}

TEST(DecodeServiceCidr, Ranges) {
  const Result<ServiceCidr> range = decode<ServiceCidr>(R"({"metadata":{"name":"kubernetes"},
      "spec":{"cidrs":["10.96.0.0/12","fd00:10:96::/112","no"]},"status":{}})");
  ASSERT_TRUE(range.ok());
  EXPECT_EQ(range->meta.name, "kubernetes");
  EXPECT_THAT(range->cidrs, ElementsAre(cidr("10.96.0.0/12"), cidr("fd00:10:96::/112")));
  EXPECT_THAT(decode<ServiceCidr>(R"({"metadata":{"name":"x"}})")->cidrs, IsEmpty());
  EXPECT_FALSE(decode<ServiceCidr>(R"({"metadata":{"name":"x"},"spec":{"cidrs":{}}})").ok());
}

TEST(DecodeNode, AddressesPrefixesAndTaints) {
  const Result<Node> node = decode<Node>(R"({"metadata":{"name":"n1"},
    "spec":{"podCIDR":"10.1.0.0/24","podCIDRs":["10.1.0.0/24","bad","fd00:1::/64"],
            "taints":[{"key":"node.kubernetes.io/unreachable","effect":"NoExecute"},{"effect":"x"}]},
    "status":{"addresses":[{"type":"Hostname","address":"n1"},{"type":"InternalIP","address":"192.0.2.7"},
              {"type":"InternalIP","address":"2001:db8::7"},{"type":"ExternalIP","address":"203.0.113.7"},
              {"type":"InternalIP","address":"oops"}],"capacity":{"cpu":"2"}}})");
  ASSERT_TRUE(node.ok());
  EXPECT_THAT(node->pod_cidrs, ElementsAre(cidr("10.1.0.0/24"), cidr("fd00:1::/64")));
  EXPECT_THAT(node->internal_ips, ElementsAre(ip("192.0.2.7"), ip("2001:db8::7")));
  EXPECT_THAT(node->external_ips, ElementsAre(ip("203.0.113.7")));
  EXPECT_THAT(node->taint_keys, ElementsAre("node.kubernetes.io/unreachable"));
  const Result<Node> old =
      decode<Node>(R"({"metadata":{"name":"n"},"spec":{"podCIDR":"10.2.0.0/24"}})");
  ASSERT_TRUE(old.ok());
  EXPECT_THAT(old->pod_cidrs, ElementsAre(cidr("10.2.0.0/24")));
  EXPECT_THAT(decode<Node>(R"({"metadata":{"name":"n"},"spec":{"taints":"no"}})").error().message(),
              "Node n: spec.taints: expected a list");
}

TEST(DecodePod, PlaceAndAddresses) {
  const Result<Pod> pod = decode<Pod>(R"({"metadata":{"name":"p","namespace":"d"},
    "spec":{"nodeName":"n1","hostNetwork":true},
    "status":{"phase":"Running","podIP":"10.1.0.5","podIPs":[{"ip":"10.1.0.5"},{"ip":"fd00::5"},{}]}})");
  ASSERT_TRUE(pod.ok());
  EXPECT_EQ(pod->node_name, "n1");
  EXPECT_TRUE(pod->host_network);
  EXPECT_EQ(pod->phase, "Running");
  EXPECT_THAT(pod->pod_ips, ElementsAre(ip("10.1.0.5"), ip("fd00::5")));
  const Result<Pod> old = decode<Pod>(R"({"metadata":{"name":"p"},"status":{"podIP":"10.1.0.6"}})");
  ASSERT_TRUE(old.ok());
  EXPECT_THAT(old->pod_ips, ElementsAre(ip("10.1.0.6")));
  EXPECT_THAT(
      decode<Pod>(R"({"metadata":{"name":"p"},"spec":{"hostNetwork":1}})").error().message(),
      "Pod p: spec.hostNetwork: expected true or false");
}

TEST(DecodeVersion, AlsoOfWhatDecodeRefuses) {
  const Result<ObjectVersion> version =
      decode_version(R"({"metadata":{"name":"a","namespace":"b","resourceVersion":"7"},"spec":3})");
  ASSERT_TRUE(version.ok());
  EXPECT_EQ(version->key, (ObjectKey{"b", "a"}));
  EXPECT_EQ(version->resource_version, "7");
  EXPECT_FALSE(version->initial_events_end);
  const Result<ObjectVersion> bookmark = decode_version(
      R"({"kind":"Service","metadata":{"resourceVersion":"9","annotations":{"k8s.io/initial-events-end":"true"}}})");
  ASSERT_TRUE(bookmark.ok());
  EXPECT_TRUE(bookmark->initial_events_end);
  EXPECT_FALSE(decode_version(R"({"metadata":{"resourceVersion":9}})").ok());
  EXPECT_FALSE(decode_version("{").ok());
}

TEST(DecodeStatus, ReasonsAndCauses) {
  const Result<StatusObject> status = decode_status(
      R"({"kind":"Status","apiVersion":"v1","status":"Failure","message":"Too large resource version: 9, current: 3",
          "reason":"Timeout","details":{"causes":[{"reason":"ResourceVersionTooLarge","message":"x"}],"retryAfterSeconds":1},"code":504})");
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(status->code, 504);
  EXPECT_EQ(status->reason, "Timeout");
  EXPECT_EQ(status->retry_after_seconds, 1);
  EXPECT_TRUE(status->resource_version_too_large);
  EXPECT_FALSE(decode_status(R"({"kind":"Pod"})").ok());
  EXPECT_FALSE(decode_status(R"({"kind":"Status","code":"504"})").ok());
  EXPECT_FALSE(decode_status("<html>").ok());
}

TEST(DecodeEvent, TypesAndSlices) {
  const std::pair<const char*, WatchEvent::Type> kTypes[] = {
      {"ADDED", WatchEvent::Type::kAdded},     {"MODIFIED", WatchEvent::Type::kModified},
      {"DELETED", WatchEvent::Type::kDeleted}, {"BOOKMARK", WatchEvent::Type::kBookmark},
      {"ERROR", WatchEvent::Type::kError},
  };
  for (const auto& [name, type] : kTypes) {
    const std::string line = std::string(R"( {"object": {"a":"}\"{"} , "type":")") + name + "\"} ";
    const Result<WatchEvent> event = decode_event(line);
    ASSERT_TRUE(event.ok()) << line << event.error().message();
    EXPECT_EQ(event->type, type);
    EXPECT_EQ(event->object, R"({"a":"}\"{"})");
  }
}

TEST(DecodeEvent, Malformed) {
  const BadCase kCases[] = {
      {"", "expected '{'"},
      {"[]", "expected '{'"},
      {"{", "expected a member's name"},
      {"{}", "watch event: type is"},
      {R"({"type":"ADDED"})", "object: expected an object"},
      {R"({"type":"ADDED","object":[]})", "object: expected an object"},
      {R"({"type":"ADDED","object":null})", "object: expected an object"},
      {R"({"type":"ADDED","object":{})", "watch event"},
      {R"({"type":"ADDED","object":{}},)", "expected nothing more"},
      {R"({"type":"MOVED","object":{}})", "type is \"MOVED\""},
      {R"({"type":1,"object":{}})", "type is 1"},
      {R"({"type":"ADDED" "object":{}})", "expected ',' or '}'"},
      {R"({"type":"ADDED",})", "expected a member's name"},
      {R"({"type" "ADDED"})", "expected ':'"},
      {R"({"type":})", "expected a complete value"},
      {R"({"type":"ADDED)", "expected a complete value"},
  };
  for (const BadCase& c : kCases) {
    const Result<WatchEvent> event = decode_event(c.spec);
    ASSERT_FALSE(event.ok()) << c.spec;
    EXPECT_THAT(event.error().message(), HasSubstr(c.message)) << c.spec;
  }
}

// One document larger than what the workspace keeps, then small ones again.
TEST(Decode, HugeDocumentsBetweenSmallOnes) {
  for (int round = 0; round < 3; ++round) {
    const std::string big(600000, 'x');
    const Result<Namespace> huge =
        decode<Namespace>(R"({"metadata":{"name":"n","annotations":{"a":")" + big + "\"}}}");
    ASSERT_TRUE(huge.ok());
    EXPECT_EQ(huge->meta.annotations.at("a"), big);
    EXPECT_TRUE(decode<Namespace>(R"({"metadata":{"name":"n"}})").ok());
  }
}

}  // namespace
}  // namespace fairlead::kube
