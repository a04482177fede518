// SPDX-License-Identifier: Apache-2.0
// Sockets that somebody else has opened: which are ours, and what they must be.
#include "dns/server/inherited.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstdlib>

#include "dns/server/socket.h"

namespace fairlead::dns {
namespace {

TEST(InheritedSockets, AreCountedAsTheVariablesSay) {
  const struct {
    const char* pid;
    const char* sockets;
    int count;  // -1: an error
  } rows[] = {
      {nullptr, nullptr, 0},
      {"7", nullptr, 0},
      {nullptr, "2", 0},
      {"7", "2", 2},
      {"7", "0", 0},
      {"8", "2", 0},
      {"8", "x", 0},
      {"7", "128", 128},
      {"7", "129", -1},
      {"7", "-1", -1},
      {"7", "", -1},
      {"7", "2 ", -1},
      {"", "2", -1},
      {"seven", "2", -1},
      {"7x", "2", -1},
      {"7", "0x2", -1},
      {"7", "99999999999999999999", -1},
  };
  for (const auto& row : rows) {
    const auto count = InheritedSockets::count(row.pid, row.sockets, 7);
    EXPECT_EQ(count.ok() ? static_cast<int>(*count) : -1, row.count)
        << (row.pid ? row.pid : "-") << " " << (row.sockets ? row.sockets : "-");
  }
}

TEST(InheritedSockets, AreForThisProcessAlone) {
  setenv("LISTEN_PID", "1", 1);
  setenv("LISTEN_FDS", "3", 1);
  const auto none = InheritedSockets::from_environment();
  ASSERT_TRUE(none.ok()) << none.error().message();
  EXPECT_TRUE(none->addresses().empty());
  EXPECT_EQ(getenv("LISTEN_PID"), nullptr);
  EXPECT_EQ(getenv("LISTEN_FDS"), nullptr);
}

// Bound to one port of the loopback address.
InheritedSockets::Pair open_pair() {
  for (;;) {
    Result<Fd> tcp = open_tcp({IpAddress::v4(127, 0, 0, 1), 0});
    if (!tcp.ok()) continue;
    Result<Fd> udp = open_udp(*bound_address(*tcp));
    if (udp.ok()) return {*std::move(udp), *std::move(tcp)};
  }
}

std::string why(const Result<InheritedSockets>& result) {
  return result.ok() ? "taken" : result.error().message();
}

TEST(InheritedSockets, ComeInPairsThatAllWorkersShare) {
  InheritedSockets::Pair pair = open_pair();
  const SocketAddress address = *bound_address(pair.udp);
  fcntl(pair.udp.get(), F_SETFL, 0);
  std::vector<Fd> sockets;
  sockets.push_back(std::move(pair.tcp));
  sockets.push_back(std::move(pair.udp));
  const auto inherited = InheritedSockets::of(std::move(sockets));
  ASSERT_TRUE(inherited.ok()) << why(inherited);
  EXPECT_EQ(inherited->addresses(), std::vector<SocketAddress>{address});
  EXPECT_EQ(inherited->pairs(address), 1u);
  EXPECT_EQ(inherited->pairs({address.address, 1}), 0u);
  const auto first = inherited->pair_for(address, 0);
  const auto second = inherited->pair_for(address, 1);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_NE(first->udp.get(), second->udp.get());
  EXPECT_EQ(*bound_address(second->udp), address);
  EXPECT_NE(fcntl(second->udp.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(fcntl(second->udp.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(InheritedSockets, SayWhatIsMissing) {
  InheritedSockets::Pair pair = open_pair();
  const std::string address = bound_address(pair.udp)->to_string();
  std::vector<Fd> sockets;
  sockets.push_back(std::move(pair.udp));
  EXPECT_EQ(why(InheritedSockets::of(std::move(sockets))),
            "inherited sockets (LISTEN_FDS): " + address + " needs as many TCP as UDP sockets");
  sockets.clear();
  sockets.push_back(std::move(pair.tcp));
  EXPECT_EQ(
      why(InheritedSockets::of(std::move(sockets))),
      "inherited sockets (LISTEN_FDS): " + address + " needs a UDP socket beside the TCP one");
  sockets.clear();
  sockets.emplace_back(::socket(AF_UNIX, SOCK_STREAM, 0));
  const std::string number = std::to_string(sockets[0].get());
  EXPECT_EQ(why(InheritedSockets::of(std::move(sockets))),
            "inherited sockets (LISTEN_FDS): descriptor " + number + " is no UDP or TCP socket");
}

}  // namespace
}  // namespace fairlead::dns
