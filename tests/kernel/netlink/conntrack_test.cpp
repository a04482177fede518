// SPDX-License-Identifier: Apache-2.0
// Real UDP flows through a DNAT rule, listed, filtered and deleted.
#include "netlink/conntrack.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink/nftables/rule_builder.h"
#include "tests/kernel/netlink/fixture.h"

namespace fairlead::netlink::conntrack {
namespace {

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

// Sends one datagram from an own socket; returns its local port.
uint16_t send_udp(const SocketAddress& to) {
  sockaddr_storage storage;
  const socklen_t length = to.to_sockaddr(storage);
  const int fd = socket(storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&storage), length), 0);
  EXPECT_EQ(send(fd, "x", 1, 0), 1);
  sockaddr_storage own;
  socklen_t own_length = sizeof own;
  getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_length);
  close(fd);
  return SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&own)).port;
}

class ConntrackTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    connection_ = open(Protocol::kNetfilter);
    // lo carries a service address; UDP to it is sent on to a backend address on lo.
    space_.must(
        "ip addr add 10.96.0.10/32 dev lo; ip addr add 10.0.0.5/32 dev lo;"
        "ip -6 addr add fd00::10/128 dev lo nodad");
    using namespace nft;
    Transaction rules;
    for (const Family family : {Family::kIpv4, Family::kIpv6}) {
      const Table table{table_family(family), "fairlead", false, "", 0};
      const Chain chain{table.family, "fairlead", "out",
                        BaseChain{ChainType::kNat, NF_INET_LOCAL_OUT, -100, Policy::kAccept}, 0};
      rules.add(table);
      rules.add(chain);
      const bool v4 = family == Family::kIpv4;
      rules.add(RuleBuilder(chain)
                    .match(ip_daddr(family), Cidr::host(ip(v4 ? "10.96.0.10" : "fd00::99")))
                    .match(meta_l4proto(), Value::u8(IPPROTO_UDP))
                    .match(th_dport(), Value::be16(53))
                    .dnat(ip(v4 ? "10.0.0.5" : "fd00::10"), 5353)
                    .build());
    }
    const auto result = commit_sync(*connection_, std::move(rules), kPatience);
    ASSERT_TRUE(result.ok()) << result.error().message();
  }
  std::vector<Entry> entries(const Filter& filter) {
    std::optional<Result<std::vector<Entry>>> result;
    list(*connection_, filter, [&](Result<std::vector<Entry>> rows) { result = std::move(rows); });
    EXPECT_TRUE(loop_.run_until([&] { return result.has_value(); }, kPatience));
    EXPECT_TRUE(result->ok()) << result->error().message();
    return result->ok() ? **result : std::vector<Entry>{};
  }
  std::unique_ptr<Connection> connection_;
};

TEST_F(ConntrackTest, ListsFiltersAndDeletesUdpFlows) {
  const SocketAddress service{ip("10.96.0.10"), 53};
  const uint16_t first = send_udp(service);
  const uint16_t second = send_udp(service);
  send_udp({ip("10.96.0.10"), 54});
  send_udp({ip("10.0.0.5"), 53});
  send_udp({ip("fd00::10"), 53});

  Filter udp;
  udp.protocol = IPPROTO_UDP;
  EXPECT_EQ(entries(udp).size(), 4u);
  Filter to_service = udp;
  to_service.destination = service.address;
  EXPECT_EQ(entries(to_service).size(), 3u);
  to_service.destination_port = 53;
  std::vector<Entry> flows = entries(to_service);
  ASSERT_EQ(flows.size(), 2u);
  for (const Entry& flow : flows) {
    EXPECT_TRUE(flow.original.source_port == first || flow.original.source_port == second);
    EXPECT_EQ(flow.original.destination, service.address);
    EXPECT_EQ(flow.reply.source, ip("10.0.0.5"));
    EXPECT_EQ(flow.reply.source_port, 5353);
    EXPECT_NE(flow.status & IPS_DST_NAT, 0u);
    EXPECT_GT(flow.timeout_seconds, 0u);
  }
  // By port alone, as for node ports.
  Filter by_port = udp;
  by_port.destination_port = 53;
  EXPECT_EQ(entries(by_port).size(), 3u);
  Filter translated = udp;
  translated.status = IPS_DST_NAT;
  EXPECT_EQ(entries(translated).size(), 2u);
  Filter v6;
  v6.family = Family::kIpv6;
  v6.destination = ip("fd00::10");
  ASSERT_EQ(entries(v6).size(), 1u);
  Filter tcp;
  tcp.protocol = IPPROTO_TCP;
  EXPECT_TRUE(entries(tcp).empty());

  // A flow is deleted once; another with the same tuples has another id.
  ASSERT_TRUE(connection_->request_sync(delete_entry(flows[0]), kPatience).ok());
  const auto again = connection_->request_sync(delete_entry(flows[0]), kPatience);
  ASSERT_FALSE(again.ok());
  EXPECT_TRUE(again.error().is_not_found());
  Entry other = flows[1];
  other.id ^= 1;
  EXPECT_FALSE(connection_->request_sync(delete_entry(other), kPatience).ok());
  flows = entries(to_service);
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(flows[0].original, other.original);
  ASSERT_TRUE(connection_->request_sync(delete_entry(entries(v6)[0]), kPatience).ok());
  EXPECT_TRUE(entries(v6).empty());
}

TEST_F(ConntrackTest, FiltersByMark) {
  using namespace nft;
  const Chain chain{TableFamily::kIp, "fairlead", "mark",
                    BaseChain{ChainType::kFilter, NF_INET_LOCAL_OUT, 0, Policy::kAccept}, 0};
  Transaction rules;
  rules.add(chain);
  rules.add(RuleBuilder(chain)
                .match(th_dport(), Value::be16(77))
                .raw(ImmediateData{{0}, Value::host32(0x4001)})
                .raw(CtSet{NFT_CT_MARK, {0}})
                .build());
  ASSERT_TRUE(commit_sync(*connection_, std::move(rules), kPatience).ok());
  send_udp({ip("10.0.0.5"), 77});
  send_udp({ip("10.0.0.5"), 78});
  Filter marked;
  marked.mark = 0x4000;
  marked.mark_mask = 0x4000;
  const auto flows = entries(marked);
  ASSERT_EQ(flows.size(), 1u);
  EXPECT_EQ(flows[0].mark, 0x4001u);
  EXPECT_EQ(flows[0].original.destination_port, 77);
}

// Of both families and protocols: the other side sees another source, and its answers come back.
TEST_F(ConntrackTest, AFlowThatIsToldOfBeforehandHasAnotherSource) {
  space_.must(
      "ip addr add 10.0.0.6/32 dev lo; ip addr add 10.0.0.7/32 dev lo;"
      "ip -6 addr add fd00::6/128 dev lo nodad; ip -6 addr add fd00::7/128 dev lo nodad");
  for (const bool v4 : {true, false}) {
    for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
      SCOPED_TRACE(std::string(v4 ? "IPv4 " : "IPv6 ") + (type == SOCK_STREAM ? "TCP" : "UDP"));
      const SocketAddress server{ip(v4 ? "10.0.0.5" : "fd00::10"), 8080};
      const SocketAddress own{ip(v4 ? "10.0.0.6" : "fd00::6"), 40000};
      const IpAddress seen = ip(v4 ? "10.0.0.7" : "fd00::7");
      const auto bound = [&](const SocketAddress& at) {
        sockaddr_storage storage;
        const socklen_t length = at.to_sockaddr(storage);
        const int fd = socket(storage.ss_family, type | SOCK_CLOEXEC, 0);
        EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&storage), length), 0);
        return fd;
      };
      const int listener = bound(server), client = bound(own);
      if (type == SOCK_STREAM) EXPECT_EQ(listen(listener, 1), 0);
      const auto protocol = static_cast<uint8_t>(type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP);
      const Tuple tuple{own.address, server.address, protocol, own.port, server.port};
      const auto tell = [&] {
        return connection_->request_sync(create_entry(tuple, seen, 41000, std::chrono::seconds(30)),
                                         kPatience);
      };
      const Result<void> told = tell();
      ASSERT_TRUE(told.ok()) << told.error().message();
      EXPECT_TRUE(tell().error().is_already_exists());
      sockaddr_storage storage;
      socklen_t length = server.to_sockaddr(storage);
      ASSERT_EQ(connect(client, reinterpret_cast<sockaddr*>(&storage), length), 0);
      EXPECT_EQ(send(client, "?", 1, 0), 1);
      length = sizeof storage;
      auto* peer = reinterpret_cast<sockaddr*>(&storage);
      const int accepted = type == SOCK_STREAM ? accept(listener, peer, &length) : listener;
      char byte = 0;
      ASSERT_EQ(type == SOCK_STREAM ? recv(accepted, &byte, 1, 0)
                                    : recvfrom(accepted, &byte, 1, 0, peer, &length),
                1);
      EXPECT_EQ(SocketAddress::from_sockaddr(peer), (SocketAddress{seen, 41000}));
      EXPECT_EQ(type == SOCK_STREAM ? send(accepted, "!", 1, 0)
                                    : sendto(accepted, "!", 1, 0, peer, length),
                1);
      ASSERT_EQ(recv(client, &byte, 1, 0), 1);
      EXPECT_EQ(byte, '!');
      if (type == SOCK_STREAM) close(accepted);
      close(client);
      close(listener);
    }
  }
}

}  // namespace
}  // namespace fairlead::netlink::conntrack
