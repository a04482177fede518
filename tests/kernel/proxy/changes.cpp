// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/proxy/changes.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <set>

namespace fairlead::proxy::test {

namespace {

constexpr useconds_t kPauseUs = 2000;  // more would fill the connection tracking table

}  // namespace

void ask_web(ObjectSink& sink, bool relayed) {
  kube::Service web =
      service("web", {"10.96.0.1", "fd00:96::1"}, {"p 80/TCP 30080", "u 80/UDP 30080"});
  web.meta.annotations["stream.fairlead.io/mode"] = relayed ? "userspace" : "nftables";
  sink.put(web);
}

void put_web(ObjectSink& sink) {
  sink.put(service("web", {"10.96.0.1", "fd00:96::1"}, {"p 80/TCP 30080", "u 80/UDP 30080"}));
  sink.put(slice("web", {"10.244.2.2 @node", "10.244.3.2 @node", "10.245.4.2"},
                 {"p 8080", "u 8080/UDP"}));
  sink.put(slice("web", {"fd00:244:2::2 @node"}, {"p 8080", "u 8080/UDP"}));
}

Traffic::Traffic(Cluster& cluster, const std::string& from, const std::string& to)
    : thread_([this, &ns = cluster.at(from), to] {
        const auto inside = ns.enter();
        while (!stop_) {
          const Outcome outcome = ask(SOCK_STREAM, to, 5000);
          ++connections_;
          if (outcome.reached.empty()) ++failures_;
          usleep(kPauseUs);
        }
      }) {}

void Traffic::stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

UdpFlow::UdpFlow(Cluster& cluster, const std::string& from, const std::string& to)
    : thread_([this, &ns = cluster.at(from), to] {
        const auto inside = ns.enter();
        sockaddr_storage storage{};
        const socklen_t length = SocketAddress::parse(to).value().to_sockaddr(storage);
        const int fd = socket(storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        std::set<std::string> ends;
        if (connect(fd, reinterpret_cast<sockaddr*>(&storage), length) != 0) ++stalls_;
        int unanswered = 0;
        while (!stop_) {
          (void)!send(fd, "?", 1, 0);
          pollfd one{fd, POLLIN, 0};
          char answer[128];
          const ssize_t got =
              poll(&one, 1, 1000) > 0 ? recv(fd, answer, sizeof answer, MSG_DONTWAIT) : -1;
          if (got <= 0) {
            // A datagram may be lost; a flow sent to nowhere stays without answer.
            if (++unanswered == 5) ++stalls_;
            continue;
          }
          unanswered = 0;
          usleep(kPauseUs);
          ++answers_;
          const std::string text(answer, static_cast<size_t>(got));
          ends.insert(text.substr(0, text.find(' ')));
          ends_ = static_cast<int>(ends.size());
        }
        close(fd);
      }) {}

void UdpFlow::stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void expect_undisturbed(Traffic& traffic) {
  traffic.stop();
  EXPECT_GT(traffic.connections(), 100);
  EXPECT_EQ(traffic.failures(), 0) << "of " << traffic.connections();
}

void expect_undisturbed(UdpFlow& flow) {
  flow.stop();
  EXPECT_GT(flow.answers(), 100);
  EXPECT_EQ(flow.stalls(), 0) << "of " << flow.answers();
}

void RandomChanges::change() {
  const int n = below(6);
  const std::string name = "s" + std::to_string(n);
  const std::string last = std::to_string(10 + n);
  switch (below(10)) {
    case 8:
      return sink_.set_node(any_node());
    case 9:
      return sink_.set_service_cidrs(any_ranges());
    case 0:
      return sink_.remove_service({"default", name});
    case 1:
      return sink_.remove_slice({"default", name + (below(2) ? "-v4-a" : "-v6")});
    case 2:
    case 3: {
      std::vector<std::string> ports = {std::string("p 80/") + (below(2) ? "TCP" : "UDP") +
                                        (below(2) ? " 3000" + std::to_string(n) : "")};
      if (below(2)) ports.push_back("q 81/SCTP");
      return sink_.put(any_policy(service(name, {"10.96.1." + last, "fd00:96::1:" + last}, ports)));
    }
    case 4:
      return sink_.put(any_hints(slice(name, endpoints("fd00:244:2::"), ports())));
    default:
      return sink_.put(
          any_hints(slice(name, endpoints("10.244.9."), ports(), below(3) ? "-a" : "-b")));
  }
}

void RandomChanges::remove_all() {
  for (int n = 0; n < 6; ++n) {
    const std::string name = "s" + std::to_string(n);
    sink_.remove_service({"default", name});
    for (const char* suffix : {"-v4-a", "-v4-b", "-v6"})
      sink_.remove_slice({"default", name + suffix});
  }
  sink_.set_node({});
  sink_.set_service_cidrs({});
}

kube::Node RandomChanges::any_node() {
  kube::Node node;
  if (below(4)) node.meta.labels["topology.kubernetes.io/zone"] = below(2) ? "a" : "b";
  if (below(4)) node.internal_ips.push_back(ip("192.0.2.1"));
  if (below(2)) node.internal_ips.push_back(ip("2001:db8::1"));
  return node;
}

std::vector<Cidr> RandomChanges::any_ranges() {
  std::vector<Cidr> ranges;
  for (const char* range : {"10.97.0.0/16", "10.98.0.0/24", "fd00:97::/112"})
    if (below(2)) ranges.push_back(cidr(range));
  return ranges;
}

// A third of the slices have hints of zones, a third of nodes, and some lack one.
kube::EndpointSlice RandomChanges::any_hints(kube::EndpointSlice object) {
  const int kind = below(3);
  for (kube::Endpoint& endpoint : object.endpoints) {
    if (below(12) == 0) continue;
    if (kind == 1) endpoint.hint_zones = {below(2) ? "a" : "b"};
    if (kind == 2) endpoint.hint_nodes = {below(2) ? "node" : "other"};
  }
  return object;
}

std::vector<std::string> RandomChanges::endpoints(const std::string& prefix) {
  static constexpr const char* kConditions[] = {"", " @node", " notready", " terminating serving"};
  std::vector<std::string> list;
  for (int i = below(7); i > 0; --i)
    list.push_back(prefix + std::to_string(10 + below(20)) + kConditions[below(4)]);
  if (list.empty() && prefix[0] == 'f') list.push_back("fd00:244:2::99 notready");
  return list;
}

kube::Service RandomChanges::any_policy(kube::Service object) {
  if (below(3) == 0) object.meta.annotations["stream.fairlead.io/mode"] = "userspace";
  if (below(3) == 0) object.internal_traffic_policy = kube::TrafficPolicy::kLocal;
  if (below(2) == 0) object.external_traffic_policy = kube::TrafficPolicy::kLocal;
  if (below(2) == 0) object.external_ips = {ip("203.0.113." + std::to_string(1 + below(3)))};
  if (below(3) == 0) object.affinity_timeout_seconds = 60 + below(2);
  if (below(2) == 0) return object;
  object.type = kube::ServiceType::kLoadBalancer;
  object.load_balancer_ingress = {{ip("198.51.100." + std::to_string(1 + below(3))), true},
                                  {ip("2001:db8:ff::1"), below(2) == 0}};
  if (below(2) == 0) object.load_balancer_source_ranges = {cidr("192.0.2.0/24"), cidr("::/0")};
  if (below(3) == 0) object.load_balancer_source_ranges = {cidr("10.0.0.0/8")};
  return object;
}

std::vector<std::string> RandomChanges::ports() {
  return {std::string("p 8080/") + (below(2) ? "TCP" : "UDP"), "q 8081/SCTP"};
}

namespace {

// What a packet from `source`, a pod of this cluster or from outside, is to meet.
Fate wanted_fate(const Config& config, const Target& target, const IpAddress& source, bool pod) {
  Fate fate;
  fate.kind = Fate::Kind::kDropped;
  const bool let_in =
      target.guard == 0 || std::any_of(target.ranges->begin(), target.ranges->end(),
                                       [&](const Cidr& range) { return range.contains(source); });
  if (!let_in || target.treatment == Treatment::kDrop) return fate;
  fate.kind = Fate::Kind::kRefused;
  if (target.treatment == Treatment::kRefuse) return fate;
  const bool relayed = target.treatment == Treatment::kRelay;
  const bool local = target.treatment == Treatment::kLocal;
  const std::vector<Backend>& backends = local && pod ? target.inside : target.backends;
  const bool masqueraded =
      !relayed && !local && !(target.cluster_ip && pod && !config.masquerade_all);
  for (const Backend& one : backends) fate.ends.push_back({{one.address, one.port}, masqueraded});
  fate.kind = backends.empty() ? Fate::Kind::kDropped : Fate::Kind::kBalanced;
  return fate;
}

void expect_traced(Cluster& cluster, const Tracer& tracer, const Frontend& frontend,
                   const IpAddress& address, bool pod, const std::string& when) {
  const Family family = frontend.family();
  Packet packet;
  packet.source = ip(cluster.address(pod ? "client" : "outside", family));
  packet.destination = address;
  packet.protocol = frontend.protocol;
  packet.port = frontend.port;
  packet.interface = pod ? "veth1" : "veth0";
  const auto result = tracer.trace(packet);
  const Fate wanted = wanted_fate(cluster.config(family),
                                  *cluster.proxy().services().find(frontend), packet.source, pod);
  const std::string what = when + ": " + frontend.to_string() + (pod ? " pod" : " outside");
  ASSERT_EQ(result.fates.size(), 1u) << what;
  EXPECT_EQ(result.fate().to_string(), wanted.to_string()) << what;
  EXPECT_EQ(result.unknown, "") << what;
}

// Every frontend, from a pod and from outside: the tracer ends where the Service wants it to.
void expect_traced(Cluster& cluster, Family family, const std::string& when) {
  const Ruleset& ruleset = cluster.proxy().programmer(family).programmed();
  const Tracer tracer({ruleset.content()});
  for (const Frontend& frontend : cluster.proxy().services().frontends(family)) {
    const std::vector<IpAddress> one = {frontend.address};
    for (const IpAddress& address : frontend.node_port ? ruleset.parameters().node_addresses : one)
      for (const bool pod : {true, false})
        expect_traced(cluster, tracer, frontend, address, pod, when);
  }
}

}  // namespace

void expect_settled(Cluster& cluster, const std::string& when) {
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    EXPECT_EQ(cluster.kernel_state(family), cluster.wanted_state(family)) << when;
    expect_traced(cluster, family, when);
  }
}

}  // namespace fairlead::proxy::test
