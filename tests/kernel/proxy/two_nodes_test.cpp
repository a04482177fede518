// SPDX-License-Identifier: Apache-2.0
// Two nodes that each have a proxy and know the same objects: what a packet meets that comes in at
// one and belongs to the other.
//
//   client-a --- 10.244.1.0/24 ---+                      +--- 10.244.65.0/24 --- client-b
//                                 node-a -- 172.16.0.0/24 -- node-b
//   web-a ------ 10.244.2.0/24 ---+                      +--- 10.244.66.0/24 --- web-b
//                                 |                      |
//                             192.0.2.0/24 - outside - 198.18.0.0/24
//
// In IPv6 likewise: fd00:244:N::/64, fd00:172::/64, 2001:db8:a::/64 and 2001:db8:b::/64. Load
// balancer addresses that end with .1 come in at node-a, those with .2 at node-b.
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "tests/kernel/proxy/answers.h"
#include "tests/kernel/proxy/cluster.h"

namespace fairlead::proxy {
namespace {

using namespace test;

struct Link {
  const char *left, *right;  // the left end has .1, the right one .2
  const char *prefix4, *prefix6;
};
const Link kLinks[] = {
    {"node-a", "outside", "192.0.2", "2001:db8:a"},
    {"node-b", "outside", "198.18.0", "2001:db8:b"},
    {"node-a", "node-b", "172.16.0", "fd00:172"},
    {"node-a", "client-a", "10.244.1", "fd00:244:1"},
    {"node-a", "web-a", "10.244.2", "fd00:244:2"},
    {"node-b", "client-b", "10.244.65", "fd00:244:65"},
    {"node-b", "web-b", "10.244.66", "fd00:244:66"},
};

struct Route {
  const char *at, *to4, *to6, *via4, *via6;
};
const Route kRoutes[] = {
    // Pods of the other node, and its way to the outside.
    {"node-a", "10.244.64.0/18", "fd00:244:60::/43", "172.16.0.2", "fd00:172::2"},
    {"node-b", "10.244.0.0/18", "fd00:244::/43", "172.16.0.1", "fd00:172::1"},
    {"node-a", "198.18.0.0/24", "2001:db8:b::/64", "172.16.0.2", "fd00:172::2"},
    {"node-b", "192.0.2.0/24", "2001:db8:a::/64", "172.16.0.1", "fd00:172::1"},
    {"node-a", "default", "default", "192.0.2.2", "2001:db8:a::2"},
    {"node-b", "default", "default", "198.18.0.2", "2001:db8:b::2"},
    {"client-a", "default", "default", "10.244.1.1", "fd00:244:1::1"},
    {"web-a", "default", "default", "10.244.2.1", "fd00:244:2::1"},
    {"client-b", "default", "default", "10.244.65.1", "fd00:244:65::1"},
    {"web-b", "default", "default", "10.244.66.1", "fd00:244:66::1"},
    {"outside", "10.244.64.0/18", "fd00:244:60::/43", "198.18.0.1", "2001:db8:b::1"},
    {"outside", "default", "default", "192.0.2.1", "2001:db8:a::1"},
    {"outside", "198.51.100.2/32", "2001:db8:ff::2/128", "198.18.0.1", "2001:db8:b::1"},
};

// A proxy in a thread of its own, which stays in its node's namespace: what relays opens sockets
// there at any time.
class Node {
 public:
  Node(const NetNamespace& ns, Settings settings, bool relayed);
  ~Node();
  // In its thread; returns when it is done.
  void run(const std::function<void()>& task);
  void put(const kube::Service& service) {
    run([&] { sink_->put(service); });
  }
  void put(const kube::EndpointSlice& slice) {
    run([&] { sink_->put(slice); });
  }
  void start() {
    run([&] { sink_->start(); });
  }
  bool idle();
  Fate trace(const Packet& packet);

 private:
  void open(Settings settings);

  const bool relayed_;
  Loop loop_;
  FakeHttp http_{loop_.clock()};
  Metrics metrics_;
  std::unique_ptr<Proxy> proxy_;
  std::unique_ptr<ObjectSink> relay_;  // before it, or null
  stream::OptIn* opt_in_ = nullptr;    // within relay_
  ObjectSink* sink_ = nullptr;
  std::thread thread_;
};

Node::Node(const NetNamespace& ns, Settings settings, bool relayed) : relayed_(relayed) {
  thread_ = std::thread([this, &ns] {
    const auto inside = ns.enter();
    loop_.run();
  });
  run([&] { open(std::move(settings)); });
}

Node::~Node() {
  run([this] {
    relay_.reset();
    proxy_.reset();
  });
  loop_.stop();
  thread_.join();
}

void Node::open(Settings settings) {
  auto opened = Proxy::open(loop_, http_, metrics_, settings);
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  proxy_ = std::move(*opened);
  sink_ = proxy_.get();
  if (!relayed_) return;
  stream::PlaneSettings plane;
  plane.node_name = settings.node_name;
  plane.families = settings.families;
  auto opt_in = std::make_unique<stream::OptIn>(loop_, *proxy_, std::move(plane));
  opt_in_ = opt_in.get();
  relay_ = asking_to_be_relayed(std::move(opt_in));
  sink_ = relay_.get();
}

void Node::run(const std::function<void()>& task) {
  std::promise<void> done;
  loop_.post([&] {
    task();
    done.set_value();
  });
  done.get_future().wait();
}

bool Node::idle() {
  bool result = false;
  run([&] { result = proxy_->idle() && (opt_in_ == nullptr || opt_in_->idle()); });
  return result;
}

Fate Node::trace(const Packet& packet) {
  Fate fate;
  run([&] {
    fate = proxy::trace(proxy_->programmer(packet.destination.family()).programmed(), packet);
  });
  return fate;
}

class TwoNodes {
 public:
  explicit TwoNodes(bool relayed = false);
  void start_proxies();
  // The first packet of a flow `from` one of the names, over `to`.
  std::string outcome(const std::string& from, const std::string& to, bool tcp) {
    const auto inside = at(from).enter();
    const Outcome outcome = ask(tcp ? SOCK_STREAM : SOCK_DGRAM, to, kDropMs);
    if (outcome.reached.empty()) return outcome.to_string();
    return outcome.reached + " sees " + name_of(ip(outcome.source));
  }
  // The same as the tracer of node `node` says, which sees it first.
  std::set<std::string> traced(const std::string& node, const std::string& from,
                               const std::string& to, bool tcp);
  Node& node(const std::string& name) { return *nodes_.at(name); }
  void settle();

 private:
  NetNamespace& at(const std::string& name) { return *namespaces_.at(name); }
  void connect(const Link& link);
  static Settings settings_of(const std::string& node);
  std::string name_of(const IpAddress& address) const {
    const auto found = names_.find(address);
    return found == names_.end() ? address.to_string() : found->second;
  }

  const bool relayed_;
  std::map<std::string, std::unique_ptr<NetNamespace>> namespaces_;
  std::map<IpAddress, std::string> names_;
  std::map<std::string, std::unique_ptr<Node>> nodes_;
  Answers answers_;
};

TwoNodes::TwoNodes(bool relayed) : relayed_(relayed) {
  for (const char* name :
       {"node-a", "node-b", "outside", "client-a", "web-a", "client-b", "web-b"}) {
    namespaces_[name] = std::make_unique<NetNamespace>();
    at(name).set_sysctl("net.ipv6.conf.default.accept_dad", "0");
  }
  for (const Link& link : kLinks) connect(link);
  for (const char* node : {"node-a", "node-b"}) {
    at(node).set_sysctl("net.ipv4.ip_forward", "1");
    at(node).set_sysctl("net.ipv6.conf.all.forwarding", "1");
  }
  for (const Route& route : kRoutes) {
    const auto add = [&](const std::string& ip, const std::string& to, const std::string& via) {
      at(route.at).must(ip + " route add " + to + " via " + via);
    };
    add("ip", route.to4, route.via4);
    add("ip -6", route.to6, route.via6);
  }
  for (const auto& [name, ns] : namespaces_) answers_.add(*ns, name);
  answers_.start();
}

void TwoNodes::connect(const Link& link) {
  const std::string four = link.prefix4, six = link.prefix6;
  const std::string to = std::string("to-") + link.right, from = std::string("to-") + link.left;
  fairlead::test::connect(at(link.left), to, four + ".1/24", at(link.right), from, four + ".2/24");
  at(link.left).must("ip address add " + six + "::1/64 dev " + to + " nodad");
  at(link.right).must("ip address add " + six + "::2/64 dev " + from + " nodad");
  names_[ip(four + ".1")] = names_[ip(six + "::1")] = link.left;
  names_[ip(four + ".2")] = names_[ip(six + "::2")] = link.right;
}

Settings TwoNodes::settings_of(const std::string& node) {
  Settings settings;
  settings.node_name = node;
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    const bool four = family == Family::kIpv4;
    Config config;
    config.family = family;
    config.cluster_cidrs = {cidr(four ? "10.244.0.0/16" : "fd00:244::/32")};
    config.service_cidrs = {cidr(four ? "10.96.0.0/16" : "fd00:96::/112")};
    config.node_port_cidrs = {Cidr(IpAddress::any(family), 0)};
    settings.families.push_back(config);
  }
  return settings;
}

void TwoNodes::settle() {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  for (const auto& [name, node] : nodes_)
    while (!node->idle()) {
      ASSERT_LT(std::chrono::steady_clock::now(), limit) << name << " never comes to rest";
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  // For the workers of relays.
  if (relayed_) std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

// web has web-b alone, both has web-a and web-b, each once for every traffic policy.
void put_services(Node& node) {
  int number = 0;
  for (const bool both : {false, true}) {
    for (const char* policy : {"cluster", "external-local", "internal-local"}) {
      const std::string last = std::to_string(++number);
      const std::string name = std::string(both ? "both-" : "web-") + policy;
      kube::Service object = service(name, {"10.96.0." + last, "fd00:96::" + last},
                                     {"t 80/TCP 3008" + last, "u 80/UDP 3008" + last});
      object.type = kube::ServiceType::kLoadBalancer;
      if (name == "web-external-local")
        object.load_balancer_ingress = {{ip("198.51.100.1"), true},
                                        {ip("198.51.100.2"), true},
                                        {ip("2001:db8:ff::1"), true},
                                        {ip("2001:db8:ff::2"), true}};
      if (std::string(policy) == "external-local")
        object.external_traffic_policy = kube::TrafficPolicy::kLocal;
      if (std::string(policy) == "internal-local")
        object.internal_traffic_policy = kube::TrafficPolicy::kLocal;
      node.put(object);
      std::vector<std::string> four = {"10.244.66.2 @node-b"}, six = {"fd00:244:66::2 @node-b"};
      if (both) four.push_back("10.244.2.2 @node-a"), six.push_back("fd00:244:2::2 @node-a");
      for (const auto& endpoints : {four, six})
        node.put(slice(name, endpoints, {"t 8080/TCP", "u 8080/UDP"}));
    }
  }
}

void TwoNodes::start_proxies() {
  for (const char* name : {"node-a", "node-b"}) {
    nodes_[name] = std::make_unique<Node>(at(name), settings_of(name), relayed_);
    put_services(node(name));
    node(name).start();
  }
  settle();
}

std::set<std::string> TwoNodes::traced(const std::string& node, const std::string& from,
                                       const std::string& to, bool tcp) {
  const SocketAddress target = SocketAddress::parse(to).value();
  const Family family = target.address.family();
  Packet packet;
  packet.destination = target.address;
  packet.port = target.port;
  packet.protocol = tcp ? Protocol::kTcp : Protocol::kUdp;
  packet.source_is_local = node == from;
  packet.interface = node == from ? "" : "veth";
  for (const auto& [address, name] : names_)
    if (name == from && address.family() == family) packet.source = address;
  const Fate fate = nodes_.at(node)->trace(packet);
  std::set<std::string> ends;
  // To a socket of the node.
  if (relayed_ && fate.kind == Fate::Kind::kBalanced) {
    for (const Fate::End& end : fate.ends) ends.insert(name_of(end.to.address) + " relays");
    return ends;
  }
  for (const Fate::End& end : fate.ends)
    ends.insert(name_of(end.to.address) + " sees " + (end.masqueraded ? node : from));
  return fate.kind == Fate::Kind::kBalanced ? ends : std::set<std::string>{fate.to_string()};
}

struct NodesCase {
  const char* what;
  const char* from;
  const char* node;  // it comes in at
  const char *to4, *to6;
  std::set<std::string> ends;
};

const std::set<std::string> kNobody = {"dropped"};

const NodesCase kCases[] = {
    // External traffic policy Cluster.
    {"endpoint on the other node: it sees the first node",
     "outside",
     "node-a",
     "192.0.2.1:30081",
     "[2001:db8:a::1]:30081",
     {"web-b sees node-a"}},
    {"endpoint on this node: it sees this node",
     "outside",
     "node-b",
     "198.18.0.1:30081",
     "[2001:db8:b::1]:30081",
     {"web-b sees node-b"}},
    {"endpoints on both",
     "outside",
     "node-a",
     "192.0.2.1:30084",
     "[2001:db8:a::1]:30084",
     {"web-a sees node-a", "web-b sees node-a"}},
    {"a pod, by the other node's node port",
     "client-b",
     "node-a",
     "172.16.0.1:30081",
     "[fd00:172::1]:30081",
     {"web-b sees node-a"}},
    {"a pod to itself, by the other node's node port",
     "web-b",
     "node-a",
     "172.16.0.1:30081",
     "[fd00:172::1]:30081",
     {"web-b sees node-a"}},

    // External traffic policy Local.
    {"the node without endpoints drops", "outside", "node-a", "192.0.2.1:30082",
     "[2001:db8:a::1]:30082", kNobody},
    {"the balancer's address there too", "outside", "node-a", "198.51.100.1:80",
     "[2001:db8:ff::1]:80", kNobody},
    {"the node with one keeps the source",
     "outside",
     "node-b",
     "198.18.0.1:30082",
     "[2001:db8:b::1]:30082",
     {"web-b sees outside"}},
    {"the balancer's address there too",
     "outside",
     "node-b",
     "198.51.100.2:80",
     "[2001:db8:ff::2]:80",
     {"web-b sees outside"}},
    {"each node has one: its own",
     "outside",
     "node-a",
     "192.0.2.1:30085",
     "[2001:db8:a::1]:30085",
     {"web-a sees outside"}},
    {"and the other its own",
     "outside",
     "node-b",
     "198.18.0.1:30085",
     "[2001:db8:b::1]:30085",
     {"web-b sees outside"}},
    {"a pod of the node without goes to the other, with its source",
     "client-a",
     "node-a",
     "198.51.100.1:80",
     "[2001:db8:ff::1]:80",
     {"web-b sees client-a"}},
    {"the node without goes to the other, masqueraded",
     "node-a",
     "node-a",
     "198.51.100.1:80",
     "[2001:db8:ff::1]:80",
     {"web-b sees node-a"}},

    // Cluster IPs.
    {"a pod keeps its source to a pod of the other node",
     "client-a",
     "node-a",
     "10.96.0.1:80",
     "[fd00:96::1]:80",
     {"web-b sees client-a"}},
    {"and to either",
     "client-b",
     "node-b",
     "10.96.0.4:80",
     "[fd00:96::4]:80",
     {"web-a sees client-b", "web-b sees client-b"}},
    {"a node to a pod of the other",
     "node-a",
     "node-a",
     "10.96.0.1:80",
     "[fd00:96::1]:80",
     {"web-b sees node-a"}},
    {"a pod to itself sees its node",
     "web-b",
     "node-b",
     "10.96.0.1:80",
     "[fd00:96::1]:80",
     {"web-b sees node-b"}},
    {"a pod to itself or the other",
     "web-b",
     "node-b",
     "10.96.0.4:80",
     "[fd00:96::4]:80",
     {"web-a sees web-b", "web-b sees node-b"}},

    // Internal traffic policy Local.
    {"a pod stays on node-a",
     "client-a",
     "node-a",
     "10.96.0.6:80",
     "[fd00:96::6]:80",
     {"web-a sees client-a"}},
    {"and on node-b",
     "client-b",
     "node-b",
     "10.96.0.6:80",
     "[fd00:96::6]:80",
     {"web-b sees client-b"}},
    {"where there is none it is dropped", "client-a", "node-a", "10.96.0.3:80", "[fd00:96::3]:80",
     kNobody},
    {"where there is one it is reached",
     "client-b",
     "node-b",
     "10.96.0.3:80",
     "[fd00:96::3]:80",
     {"web-b sees client-b"}},
    {"node ports do not care",
     "outside",
     "node-a",
     "192.0.2.1:30083",
     "[2001:db8:a::1]:30083",
     {"web-b sees node-a"}},
};

void check_cases(bool relayed) {
  TwoNodes nodes(relayed);
  nodes.start_proxies();
  for (const NodesCase& c : kCases) {
    for (const char* to : {c.to4, c.to6}) {
      for (const bool tcp : {true, false}) {
        SCOPED_TRACE(std::string(c.what) + ", " + (tcp ? "TCP" : "UDP") + " from " + c.from +
                     " to " + to);
        const std::set<std::string> traced = nodes.traced(c.node, c.from, to, tcp);
        if (!relayed)
          EXPECT_EQ(traced, c.ends);
        else if (c.ends != kNobody)
          EXPECT_EQ(traced, std::set<std::string>{std::string(c.node) + " relays"});
        if (c.ends == kNobody && !tcp) continue;  // each takes seconds to see
        std::set<std::string> ends;
        // Enough that missing one of two ends by chance is a matter of 1 in 10^8.
        const int attempts = c.ends.size() > 1 ? 30 : c.ends == kNobody ? 1 : 3;
        for (int i = 0; i < attempts; ++i) ends.insert(nodes.outcome(c.from, to, tcp));
        EXPECT_EQ(ends, c.ends);
      }
    }
  }
}

TEST(TwoNodes, Rows06To13_WithRealPacketsAndForTheTracer) {
  check_cases(false);
}

TEST(TwoNodes, Rows06To13_Relayed) {
  check_cases(true);
}

// The endpoint moves from one node to the other: both act, and a load balancer finds the new one.
void check_moving_endpoint(bool relayed) {
  TwoNodes nodes(relayed);
  nodes.start_proxies();
  EXPECT_EQ(nodes.outcome("outside", "198.18.0.1:30082", true), "web-b sees outside");
  for (const char* node : {"node-a", "node-b"})
    nodes.node(node).put(
        slice("web-external-local", {"10.244.2.2 @node-a"}, {"t 8080/TCP", "u 8080/UDP"}));
  nodes.settle();
  EXPECT_EQ(nodes.outcome("outside", "192.0.2.1:30082", true), "web-a sees outside");
  EXPECT_EQ(nodes.outcome("outside", "198.18.0.1:30082", true), "dropped");
  EXPECT_EQ(nodes.outcome("client-b", "198.51.100.2:80", true), "web-a sees client-b");
}

TEST(TwoNodes, Row10_AnEndpointThatMovesTakesItsTrafficAlong) {
  check_moving_endpoint(false);
}

TEST(TwoNodes, Row10_AnEndpointThatMovesTakesItsTrafficAlong_Relayed) {
  check_moving_endpoint(true);
}

}  // namespace
}  // namespace fairlead::proxy
