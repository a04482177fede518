// SPDX-License-Identifier: Apache-2.0
// A client that keeps its socket, as a resolver does, and with it its flow.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "tests/kernel/proxy/cluster.h"

namespace fairlead::proxy::test {

class UdpClient {
 public:
  UdpClient(Cluster& cluster, const std::string& from, const std::string& to) {
    const auto inside = cluster.at(from).enter();
    const SocketAddress target = SocketAddress::parse(to).value();
    sockaddr_storage storage{};
    const socklen_t length = target.to_sockaddr(storage);
    fd_ = new_udp_socket(storage.ss_family);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&storage), length), 0);
  }
  ~UdpClient() { close(fd_); }
  // Who answers; "refused" or "silence".
  std::string ask() {
    const std::string text = hear();
    return text.substr(0, text.find(' '));
  }
  // And whom he sees: "web-1 10.244.1.2".
  std::string hear() {
    char buffer[128];
    (void)!send(fd_, "?", 1, 0);
    pollfd one{fd_, POLLIN, 0};
    if (poll(&one, 1, 1000) <= 0) return "silence";
    const ssize_t got = recv(fd_, buffer, sizeof buffer, 0);
    if (got < 0) return errno == ECONNREFUSED ? "refused" : "error";
    return std::string(buffer, static_cast<size_t>(got));
  }

 private:
  int fd_;
};

}  // namespace fairlead::proxy::test
