// SPDX-License-Identifier: Apache-2.0
// What outlives a packet: UDP flows in connection tracking, the node's own DNS server, and SCTP,
// for which this kernel has no sockets but conntrack and NAT.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/ip.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/conntrack_cleaner.h"
#include "tests/kernel/proxy/cluster.h"
#include "tests/kernel/proxy/udp_client.h"

namespace fairlead::proxy {
namespace {

using namespace test;

struct FlowCase {
  const char* what;
  const char* from;
  const char* to;
};
const FlowCase kFlows[] = {
    {"cluster IP", "client", "10.96.0.10:53"},
    {"cluster IP, IPv6", "client", "[fd00:96::a]:53"},
    {"node port", "outside", "192.0.2.1:30053"},
};

// By rules or, as its kernel twin, relayed.
class Row26 : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(, Row26, testing::Bool(),
                         [](const auto& p) { return p.param ? "Relayed" : "ByRules"; });

TEST_P(Row26, FlowsFollowTheServiceNotTheFirstChoice) {
  Cluster cluster;
  cluster.relay = GetParam();
  cluster.start_proxy();
  cluster.sink().start();
  for (const FlowCase& c : kFlows) {
    SCOPED_TRACE(c.what);
    ObjectSink& proxy = cluster.sink();
    const auto serve_with = [&](const std::string& v4, const std::string& v6) {
      proxy.put(slice("dns", {v4}, {"dns 8080/UDP"}));
      proxy.put(slice("dns", {v6}, {"dns 8080/UDP"}));
      cluster.settle();
    };
    proxy.put(service("dns", {"10.96.0.10", "fd00:96::a"}, {"dns 53/UDP 30053"}));
    serve_with("10.244.2.2", "fd00:244:2::2");
    UdpClient client(cluster, c.from, c.to);
    EXPECT_EQ(client.ask(), "web-1");
    serve_with("10.244.3.2", "fd00:244:3::2");
    EXPECT_EQ(client.ask(), "web-2") << "the flow still goes to an endpoint that is gone";
    serve_with("10.244.3.2 terminating serving", "fd00:244:3::2 terminating serving");
    EXPECT_EQ(client.ask(), "web-2") << "a serving endpoint keeps its flows";
    serve_with("10.244.3.2 terminating", "fd00:244:3::2 terminating");
    // Nobody serves: what there is goes on, but through a relay that has nowhere to go any more.
    EXPECT_EQ(client.ask(), GetParam() ? "refused" : "web-2");
    serve_with("10.244.2.2", "fd00:244:2::2");
    EXPECT_EQ(client.ask(), "web-1") << "somebody serves again";
    proxy.remove_service({"default", "dns"});
    cluster.settle();
    const std::string after = client.ask();
    EXPECT_TRUE(after == "silence" || after == "refused")
        << after << " answers for a deleted Service";
  }
}

// Somebody else translates the node port's number on an address of this node that has no node
// ports, as a CNI's host ports do: a flow there keeps its end, whatever happens to the Service.
TEST(Row26_UdpFlows, ToTheSamePortNumberOnAnotherAddressAreLeftAlone) {
  Cluster cluster;
  cluster.start_proxy([](Config& config) {
    config.node_port_cidrs = {{cidr("192.0.2.0/24"), cidr("2001:db8::/64")}};
  });
  Proxy& proxy = cluster.proxy();
  proxy.put(service("dns", {"10.96.0.10"}, {"dns 53/UDP 30053"}));
  proxy.put(slice("dns", {"10.244.2.2"}, {"dns 8080/UDP"}));
  proxy.start();
  cluster.settle();
  const auto host_port_leads_to = [&](const std::string& endpoint) {
    cluster.at("node").must(
        "nft flush chain ip other pre; nft add rule ip other pre ip daddr 10.244.1.1 "
        "udp dport 30053 dnat to " +
        endpoint + ":8080");
  };
  cluster.at("node").must(
      "nft add table ip other; "
      "nft 'add chain ip other pre { type nat hook prerouting priority -110; }'");
  host_port_leads_to("10.245.4.2");
  UdpClient theirs(cluster, "client", "10.244.1.1:30053");
  UdpClient ours(cluster, "outside", "192.0.2.1:30053");
  EXPECT_EQ(theirs.ask(), "web-3");
  EXPECT_EQ(ours.ask(), "web-1");
  host_port_leads_to("10.244.2.2");  // for new flows
  proxy.put(slice("dns", {"10.244.3.2"}, {"dns 8080/UDP"}));
  cluster.settle();
  EXPECT_EQ(ours.ask(), "web-2");
  EXPECT_EQ(theirs.ask(), "web-3") << "not ours to end";
}

TEST(Row26_UdpFlows, OnlyOurs) {
  ServiceMap services("");
  services.put(service("dns", {"10.96.0.10"}, {"dns 53/UDP 30053"}));
  services.put(slice("dns", {"10.244.2.2"}, {"dns 8080/UDP"}));
  services.put(service("idle", {"10.96.0.12"}, {"dns 53/UDP"}));
  services.put(slice("idle", {"10.244.3.2 notready"}, {"dns 8080/UDP"}));
  const std::set<Frontend> changed = {udp("10.96.0.10", 53), udp("10.96.0.12", 53),
                                      udp("10.96.0.13", 53),
                                      Frontend::node(Family::kIpv4, Protocol::kUdp, 30053)};
  const std::vector<IpAddress> node_addresses = {ip("192.0.2.1")};
  struct {
    const char* what;
    const char *destination, *answered_by;
    uint8_t protocol;
    bool stale;
  } cases[] = {
      {"served", "10.96.0.10:53", "10.244.2.2:8080", IPPROTO_UDP, false},
      {"another endpoint", "10.96.0.10:53", "10.244.3.2:8080", IPPROTO_UDP, true},
      {"another port of the endpoint", "10.96.0.10:53", "10.244.2.2:53", IPPROTO_UDP, true},
      {"TCP", "10.96.0.10:53", "10.244.3.2:8080", IPPROTO_TCP, false},
      {"nobody serves", "10.96.0.12:53", "10.244.3.2:8080", IPPROTO_UDP, false},
      {"a service that has gone", "10.96.0.13:53", "10.244.3.2:8080", IPPROTO_UDP, true},
      {"another service", "10.96.0.11:53", "10.244.3.2:8080", IPPROTO_UDP, false},
      {"node port, stale", "192.0.2.1:30053", "10.244.3.2:8080", IPPROTO_UDP, true},
      {"the same port number elsewhere", "198.51.100.9:30053", "198.51.100.9:30053", IPPROTO_UDP,
       false},
  };
  for (const auto& c : cases) {
    netlink::conntrack::Entry entry;
    const SocketAddress destination = SocketAddress::parse(c.destination).value();
    const SocketAddress source = SocketAddress::parse(c.answered_by).value();
    entry.original.protocol = entry.reply.protocol = c.protocol;
    entry.original.destination = destination.address;
    entry.original.destination_port = destination.port;
    entry.reply.source = source.address;
    entry.reply.source_port = source.port;
    EXPECT_EQ(StaleFlows(changed, node_addresses, services).contains(entry), c.stale) << c.what;
  }
}

// A cleaner by itself, with a clock that stands still, beside a proxy that has no part in it.
class CleanerTest : public testing::Test {
 protected:
  CleanerTest() {
    cluster_.start_proxy();
    cluster_.proxy().put(service("dns", {"10.96.0.10"}, {"dns 53/UDP"}));
    cluster_.proxy().put(slice("dns", {"10.244.2.2"}, {"dns 8080/UDP"}));
    cluster_.proxy().start();
    cluster_.settle();
    // The cleaner knows of another endpoint: every flow is stale.
    services_.put(service("dns", {"10.96.0.10"}, {"dns 53/UDP"}));
    services_.put(slice("dns", {"10.244.3.2"}, {"dns 8080/UDP"}));
    const auto inside = cluster_.at("node").enter();
    netfilter_ = netlink::Connection::open(cluster_.loop(), netlink::Protocol::kNetfilter).value();
    cleaner_ = std::make_unique<ConntrackCleaner>(clock_, *netfilter_, services_,
                                                  [](Family) { return std::vector<IpAddress>(); });
  }
  void make_flows(uint16_t count) {
    const auto inside = cluster_.at("client").enter();
    sockaddr_storage to{}, from{};
    const socklen_t length = SocketAddress{ip("10.96.0.10"), 53}.to_sockaddr(to);
    for (uint16_t i = 0; i < count; ++i) {
      const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      SocketAddress{ip("10.244.1.2"), static_cast<uint16_t>(20000 + i)}.to_sockaddr(from);
      ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&from), length), 0);
      ASSERT_EQ(sendto(fd, "?", 1, 0, reinterpret_cast<sockaddr*>(&to), length), 1);
      close(fd);
    }
  }
  bool at_rest() {
    return cluster_.run_until([&] {
      clock_.advance({});
      return cleaner_->idle() && netfilter_->in_flight() == 0 && netfilter_->queued() == 0;
    });
  }

  Cluster cluster_;
  ManualClock clock_;
  ServiceMap services_{std::string("node")};
  std::unique_ptr<netlink::Connection> netfilter_;
  std::unique_ptr<ConntrackCleaner> cleaner_;
};

TEST_F(CleanerTest, GoesOnAtOnceWhenThereAreMoreThanItMayHold) {
  make_flows(ConntrackCleaner::kMaxDeletes + 300);
  int looks = 0;
  cleaner_->set_on_listed([&](Family, Duration) { ++looks; });
  cleaner_->changed({udp("10.96.0.10", 53)});
  ASSERT_TRUE(at_rest()) << "the clock stands still";
  EXPECT_EQ(cleaner_->deleted(), ConntrackCleaner::kMaxDeletes + 300);
  EXPECT_EQ(looks, 2);
}

TEST_F(CleanerTest, WhoServesAgainWhenTheFlowsAreKnownKeepsThem) {
  make_flows(3);
  cleaner_->set_on_listed(
      [&](Family, Duration) { services_.put(slice("dns", {"10.244.2.2"}, {"dns 8080/UDP"})); });
  cleaner_->changed({udp("10.96.0.10", 53)});
  ASSERT_TRUE(at_rest());
  EXPECT_EQ(cleaner_->deleted(), 0u);
}

TEST_F(CleanerTest, RestsBetweenListings) {
  using namespace std::chrono_literals;
  const Dirty changed = {udp("10.96.0.10", 53)};
  make_flows(1);
  cleaner_->changed(changed);
  EXPECT_EQ(netfilter_->in_flight(), 1u) << "the first change is acted on at once";
  clock_.advance(20ms);
  ASSERT_TRUE(at_rest());
  EXPECT_EQ(cleaner_->deleted(), 1u);

  make_flows(1);
  cleaner_->changed(changed);
  clock_.advance(20ms * ConntrackCleaner::kRest - 1ms);
  EXPECT_EQ(netfilter_->in_flight(), 0u);
  EXPECT_FALSE(cleaner_->idle()) << "but it is not forgotten";
  clock_.advance(1ms);
  EXPECT_EQ(netfilter_->in_flight(), 1u);
  clock_.advance(1h);
  ASSERT_TRUE(cluster_.run_until([&] { return cleaner_->deleted() == 2; }));

  make_flows(1);
  cleaner_->changed(changed);
  clock_.advance(ConntrackCleaner::kMaxRest - 1ms);
  EXPECT_FALSE(cleaner_->idle());
  clock_.advance(1ms);
  ASSERT_TRUE(at_rest());
  EXPECT_EQ(cleaner_->deleted(), 3u) << "however long the listing took";
}

// Listens on an address no interface has, as the DNS server of a node does.
class NodeDns {
 public:
  explicit NodeDns(Cluster& cluster) {
    const auto inside = cluster.at("node").enter();
    fd_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1;
    setsockopt(fd_, SOL_IP, IP_FREEBIND, &on, sizeof on);
    sockaddr_storage storage{};
    const socklen_t length = SocketAddress{ip("10.96.0.10"), 53}.to_sockaddr(storage);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&storage), length), 0);
    thread_ = std::thread([this] {
      while (!stop_) {
        pollfd one{fd_, POLLIN, 0};
        if (poll(&one, 1, 20) <= 0) continue;
        sockaddr_storage peer{};
        socklen_t size = sizeof peer;
        char byte;
        recvfrom(fd_, &byte, 1, 0, reinterpret_cast<sockaddr*>(&peer), &size);
        sendto(fd_, "node-dns x", 10, 0, reinterpret_cast<sockaddr*>(&peer), size);
      }
    });
  }
  ~NodeDns() {
    stop_ = true;
    thread_.join();
    close(fd_);
  }

 private:
  int fd_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

TEST(LocalDns, AnswersOnTheNodeWhileItIsReady) {
  Cluster cluster;
  cluster.start_proxy([](Config& config) {
    if (config.family == Family::kIpv4) config.local_dns = {ip("10.96.0.10")};
  });
  cluster.proxy().put(service("dns", {"10.96.0.10"}, {"dns 53/UDP 30053", "metrics 9153/TCP"}));
  cluster.proxy().put(slice("dns", {"10.244.2.2"}, {"dns 8080/UDP", "metrics 8080/TCP"}));
  cluster.proxy().start();
  cluster.settle();
  NodeDns server(cluster);
  const auto asked = [&](const std::string& from) {
    return UdpClient(cluster, from, "10.96.0.10:53").ask();
  };
  const auto exempt = [&](bool wanted) {
    return cluster.run_until([&] {
      return cluster.proxy().idle() && cluster.proxy()
                                               .programmer(Family::kIpv4)
                                               .programmed()
                                               .has_local_dns(udp("10.96.0.10", 53)) == wanted;
    });
  };
  EXPECT_EQ(asked("client"), "web-1") << "not ready: balanced";
  cluster.http().status = 200;
  ASSERT_TRUE(exempt(true));
  cluster.run_for(std::chrono::milliseconds(50));
  EXPECT_EQ(asked("client"), "node-dns");
  EXPECT_EQ(asked("node"), "node-dns");
  const std::string flows =
      cluster.at("node").must("sh -c 'conntrack -L -p udp --orig-port-dst 53 2>/dev/null; true'");
  EXPECT_EQ(flows.find("[UNREPLIED] src=10.96.0.10"), std::string::npos);
  EXPECT_EQ(cluster.tcp("client", "10.96.0.10:9153").reached, "web-1")
      << "its other ports are balanced";
  EXPECT_EQ(UdpClient(cluster, "outside", "192.0.2.1:30053").ask(), "web-1");
  cluster.http().status = 503;
  ASSERT_TRUE(exempt(false));
  cluster.run_for(std::chrono::milliseconds(50));
  EXPECT_EQ(asked("client"), "web-1") << "gone: balanced again";
  EXPECT_EQ(cluster.at("node").must("ip route show table local proto 250").find("10.96.0.10"),
            std::string::npos);
  // A restart while it is ready keeps the exemption until it knows better.
  cluster.http().status = 200;
  ASSERT_TRUE(exempt(true));
  const auto has_route = [&] {
    return cluster.at("node").must("ip route show table local").find("10.96.0.10") !=
           std::string::npos;
  };
  cluster.stop_proxy();
  EXPECT_TRUE(has_route());
  // One that is not told of the address gives it back.
  cluster.start_proxy();
  cluster.proxy().start();
  cluster.settle();
  EXPECT_TRUE(cluster.run_until([&] { return !has_route(); }));
  cluster.stop_proxy();
  {
    const auto inside = cluster.at("node").enter();
    EXPECT_TRUE(clean_up(cluster.loop()).ok());
  }
  EXPECT_EQ(cluster.list_ruleset(), "");
}

uint32_t crc32c(const std::vector<uint8_t>& bytes) {
  uint32_t crc = ~0u;
  for (const uint8_t byte : bytes) {
    crc ^= byte;
    for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

// An SCTP packet with an INIT chunk (RFC 9260 section 3.3.2).
std::vector<uint8_t> sctp_init(uint16_t source, uint16_t destination) {
  std::vector<uint8_t> packet(12 + 20, 0);
  const auto put16 = [&](size_t at, uint16_t v) {
    packet[at] = static_cast<uint8_t>(v >> 8);
    packet[at + 1] = static_cast<uint8_t>(v);
  };
  put16(0, source);
  put16(2, destination);
  packet[12] = 1;     // INIT
  put16(14, 20);      // chunk length
  put16(18, 77);      // initiate tag
  put16(22, 0xffff);  // receiver window
  put16(24, 1);       // outbound streams
  put16(26, 1);       // inbound streams
  put16(30, 5);       // initial TSN
  const uint32_t crc = crc32c(packet);
  std::memcpy(packet.data() + 8, &crc, 4);  // little endian (RFC 9260 appendix A)
  return packet;
}

// An SCTP packet that came, and from where; the sender's address is in the family's header, which
// only IPv4 gives to raw sockets.
struct SctpPacket {
  std::string source;
  std::vector<uint8_t> bytes;
  int port() const { return bytes[2] << 8 | bytes[3]; }
  bool checksum_is_right() const {
    std::vector<uint8_t> body = bytes;
    uint32_t crc = 0;
    std::memcpy(&crc, body.data() + 8, 4);
    std::memset(body.data() + 8, 0, 4);
    return crc == crc32c(body);
  }
};

// A raw socket for SCTP in a namespace.
class SctpSocket {
 public:
  SctpSocket(Cluster& cluster, const std::string& name, Family family) : family_(family) {
    const auto inside = cluster.at(name).enter();
    fd_ =
        socket(family == Family::kIpv4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_SCTP);
    EXPECT_GE(fd_, 0);
  }
  ~SctpSocket() { close(fd_); }
  void send_init(const std::string& to, uint16_t port) {
    sockaddr_storage storage{};
    const socklen_t length = SocketAddress{ip(to), 0}.to_sockaddr(storage);
    const std::vector<uint8_t> packet = sctp_init(4000, port);
    EXPECT_EQ(
        sendto(fd_, packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&storage), length),
        static_cast<ssize_t>(packet.size()));
  }
  // nullopt: none within a second.
  std::optional<SctpPacket> receive() {
    pollfd one{fd_, POLLIN, 0};
    if (poll(&one, 1, 1000) <= 0) return std::nullopt;
    uint8_t packet[256];
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    const auto source = reinterpret_cast<sockaddr*>(&from);
    const ssize_t got = recvfrom(fd_, packet, sizeof packet, 0, source, &length);
    const size_t header = family_ == Family::kIpv4 ? static_cast<size_t>(packet[0] & 15) * 4 : 0;
    EXPECT_GE(got, static_cast<ssize_t>(header) + 32);
    return SctpPacket{SocketAddress::from_sockaddr(source).address.to_string(),
                      {packet + header, packet + got}};
  }

 private:
  Family family_;
  int fd_ = -1;
};

TEST(Row21_Protocols, TcpUdpAndSctpAreIndependentOnOnePortNumber) {
  Cluster cluster;
  cluster.start_proxy();
  cluster.proxy().put(
      service("sig", {"10.96.0.5", "fd00:96::5"}, {"s 3868/SCTP", "t 3868/TCP", "u 3868/UDP"}));
  cluster.proxy().put(service("sig-tcp", {"10.96.0.5", "fd00:96::5"}, {"s 3869/TCP"}));
  for (const auto& [s, t, u] : {std::tuple{"10.244.2.2", "10.244.3.2", "10.245.4.2"},
                                std::tuple{"fd00:244:2::2", "fd00:244:3::2", "fd00:244:4::2"}}) {
    cluster.proxy().put(slice("sig", {s}, {"s 9000/SCTP"}, "-s"));
    cluster.proxy().put(slice("sig", {t}, {"t 8080/TCP"}, "-t"));
    cluster.proxy().put(slice("sig", {u}, {"u 8080/UDP"}, "-u"));
  }
  cluster.proxy().start();
  cluster.settle();
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    const bool four = family == Family::kIpv4;
    SCOPED_TRACE(four ? "IPv4" : "IPv6");
    const std::string address = four ? "10.96.0.5" : "fd00:96::5";
    const std::string to = SocketAddress{ip(address), 3868}.to_string();
    EXPECT_EQ(cluster.tcp("client", to).reached, "web-2");
    EXPECT_EQ(cluster.udp("client", to).reached, "web-3");
    SctpSocket receiver(cluster, "web-1", family), sender(cluster, "client", family);
    sender.send_init(address, 3868);
    const std::optional<SctpPacket> packet = receiver.receive();
    ASSERT_TRUE(packet.has_value());
    EXPECT_EQ(packet->source, cluster.address("client", family));
    EXPECT_EQ(packet->port(), 9000) << "the port is translated too";
    EXPECT_TRUE(packet->checksum_is_right());
    sender.send_init(address, 3869);
    EXPECT_FALSE(receiver.receive().has_value()) << "a TCP port is not an SCTP port";
    cluster.proxy().remove_slice({"default", four ? "sig-v4-t" : "sig-v6-t"});
    cluster.settle();
    EXPECT_TRUE(cluster.tcp("client", to).refused) << "nobody serves TCP any more";
    EXPECT_EQ(cluster.udp("client", to).reached, "web-3");
    const Ruleset& ruleset = cluster.proxy().programmer(family).programmed();
    const auto fate = [&](Protocol protocol) {
      return trace(ruleset, {ip(cluster.address("client", family)), ip(address), protocol, 3868,
                             false, "veth1"})
          .to_string();
    };
    const auto balanced = [&](const char* name, uint16_t port) {
      const SocketAddress end{ip(cluster.address(name, family)), port};
      return "balanced to " + end.to_string();
    };
    EXPECT_EQ(fate(Protocol::kSctp), balanced("web-1", 9000));
    EXPECT_EQ(fate(Protocol::kUdp), balanced("web-3", 8080));
    EXPECT_EQ(fate(Protocol::kTcp), "refused");
  }
}

}  // namespace
}  // namespace fairlead::proxy
