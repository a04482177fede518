// SPDX-License-Identifier: Apache-2.0
// A whole server on loopback, and clients of it.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include "dns/plugins/forward/forward.h"
#include "dns/plugins/kubernetes/kubernetes.h"
#include "dns/server/server.h"
#include "dns/server/socket.h"
#include "tests/support/ports.h"
#include "tests/unit/dns/support.h"

namespace fairlead::dns::test {

inline constexpr int kWaitMillis = 10'000;
inline constexpr int kSilenceMillis = 150;  // for what must not come

class Socket {
 public:
  Socket(const SocketAddress& server, int type) {
    fd_ = Fd(::socket(server.address.is_v4() ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0));
    sockaddr_storage storage;
    const socklen_t length = server.to_sockaddr(storage);
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<sockaddr*>(&storage), length), 0);
  }
  void send(const Bytes& bytes) {
    EXPECT_EQ(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  bool readable(int millis) {
    pollfd p{fd_.get(), POLLIN, 0};
    return ::poll(&p, 1, millis) == 1;
  }
  Bytes receive(int millis = kWaitMillis) {
    if (!readable(millis)) return {};
    Bytes buffer(65535);
    const ssize_t size = recv(fd_.get(), buffer.data(), buffer.size(), 0);
    buffer.resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
    return buffer;
  }
  // One message over TCP; empty when the connection ended.
  Bytes receive_framed() {
    while (in_.size() < 2 || in_.size() < 2u + read_u16(in_.data())) {
      const Bytes more = receive();
      if (more.empty()) return {};
      in_.insert(in_.end(), more.begin(), more.end());
    }
    const auto end = in_.begin() + 2 + read_u16(in_.data());
    Bytes message(in_.begin() + 2, end);
    in_.erase(in_.begin(), end);
    return message;
  }
  void send_framed(const Bytes& message) {
    Bytes framed(2);
    write_u16(framed.data(), static_cast<uint16_t>(message.size()));
    framed.insert(framed.end(), message.begin(), message.end());
    send(framed);
  }
  // Whether the server closes the connection before long.
  bool closed() { return readable(kWaitMillis) && receive().empty(); }
  int fd() const { return fd_.get(); }

 private:
  Fd fd_;
  Bytes in_;
};

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    zone.put(ns("default"));
    zone.put(service("web", "default", {"10.96.0.10"}, {port("http", 80)}));
    std::vector<TestEndpoint> endpoints;
    for (int i = 1; i <= 60; ++i) endpoints.push_back({"10.244.0." + std::to_string(i)});
    zone.put(headless("big", "default"));
    zone.put(slice("big-1", "big", "default", endpoints));
    zone.put(external("out", "default", "www.example.com"));
    zone.set_synced();
    zone.publish(7);
  }

  void start(const std::string& host = "127.0.0.1", size_t workers = 2, TcpLimits tcp = {}) {
    open(host, workers, tcp);
    server->run();
  }
  // Queries wait until the server runs.
  void open(const std::string& host = "127.0.0.1", size_t workers = 2, TcpLimits tcp = {}) {
    auto kubernetes = std::make_shared<KubernetesOptions>();
    kubernetes->zones.emplace_back().zone = dns_name(domain);
    kubernetes->zones.front().pods = PodNames::kInsecure;
    kubernetes->published = &zone.published();
    auto forward = std::make_shared<ForwardOptions>();
    forward->upstreams = std::make_shared<UpstreamList>(
        std::vector<UpstreamServer>(upstreams.begin(), upstreams.end()));
    const IpAddress bind = ip(host);
    address = {bind.is_unspecified() ? ip(bind.is_v4() ? "127.0.0.2" : "::1") : bind, free_port()};
    first_plan = std::make_shared<Plan>(
        Plan::of({{bind, address.port}}, {{"kubernetes", kubernetes}, {"forward", forward}}, tcp));
    auto opened = Server::open(first_plan, workers, on_released);
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    server = *std::move(opened);
  }

  std::string udp(const Bytes& query) {
    Socket socket(address, SOCK_DGRAM);
    socket.send(query);
    return to_text(socket.receive());
  }
  uint64_t metric(Counter WorkerMetrics::*counter) const {
    uint64_t sum = 0;
    for (const auto& worker : server->metrics()) sum += (worker.get()->*counter).get();
    return sum;
  }

  static uint16_t free_port() { return fairlead::test::free_port(); }

  Zone zone;
  std::string domain = "cluster.local";
  std::vector<SocketAddress> upstreams;
  SocketAddress address;
  std::shared_ptr<Plan> first_plan;  // that open() serves
  Server::Released on_released;      // for open()
  std::unique_ptr<Server> server;
};

inline const char* const kWeb = "web.default.svc.cluster.local";
inline const char* const kWebAnswer =
    "NOERROR aa rd qd=1\nanswer web.default.svc.cluster.local. 5 A 10.96.0.10\n";

}  // namespace fairlead::dns::test
