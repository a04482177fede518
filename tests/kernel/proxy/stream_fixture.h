// SPDX-License-Identifier: Apache-2.0
// What tests of the program as a stream proxy have in common: Services and who answers at them, and
// a connection whose every byte is compared.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/kernel/proxy/program_cluster.h"
#include "tests/kernel/proxy/rows.h"

namespace fairlead::proxy::test {

// The program with Services of both families, and who answers at their addresses.
class StreamTest : public testing::Test {
 protected:
  // Number N with these endpoints, in both families.
  void put(const std::string& name, int number, const std::vector<std::string>& endpoints,
           const std::string& more = "", const std::string& status = "",
           const std::string& annotations = "") {
    cluster_.put_service(name, spec_json(number, more), "", status, annotations);
    put_endpoints(name, endpoints);
  }
  void put_endpoints(const std::string& name, const std::vector<std::string>& endpoints) {
    std::vector<std::string> six;
    for (const std::string& endpoint : endpoints) six.push_back(in_ipv6(endpoint));
    cluster_.put_slice(name, endpoints);
    cluster_.put_slice(name,
                       six.empty() ? std::vector<std::string>{"fd00:244:9::9 notready"} : six);
  }
  static std::string balancer_json(int number) {
    const std::string last = std::to_string(number);
    return R"("loadBalancer":{"ingress":[{"ip":"198.51.100.)" + last +
           R"("},{"ip":"2001:db8:ff::)" + last + R"("}]})";
  }
  // Who answers, of both families and by TCP and UDP: exactly these.
  void check(const char* what, const std::string& from, const std::string& to4,
             const std::string& to6, const std::set<std::string>& ends, bool udp = true) {
    for (const std::string& to : {to4, to6}) {
      if (to.empty()) continue;
      for (const bool tcp : {true, false}) {
        if (!tcp && !udp) continue;
        SCOPED_TRACE(std::string(what) + ", " + (tcp ? "TCP" : "UDP") + " from " + from + " to " +
                     to);
        std::set<std::string> seen;
        const bool answered = ends != kRefused && ends != kDropped;
        const int attempts = !answered ? 1 : ends.size() == 1 ? 6 : 50;
        for (int i = 0; i < attempts; ++i) {
          const Outcome outcome = tcp ? cluster_.tcp(from, to) : cluster_.udp(from, to);
          seen.insert(outcome.reached.empty() ? outcome.to_string() : outcome.reached);
        }
        EXPECT_EQ(seen, ends);
      }
    }
  }
  // TCP port 7 of 10.96.0.7, of an Echo (below) in web-1.
  void put_echo(const std::string& annotations = "") {
    cluster_.put_service(
        "echo",
        R"("clusterIP":"10.96.0.7","clusterIPs":["10.96.0.7"],"ipFamilies":["IPv4"],)"
        R"("type":"NodePort","ports":[{"name":"e","port":7,"nodePort":30107}])",
        "", "", annotations);
    put_echo_endpoints(kEcho1);
  }
  void put_echo_endpoints(const std::string& endpoints) {
    cluster_.api().put(
        "/apis/discovery.k8s.io/v1/endpointslices", "echo",
        R"({"metadata":{"namespace":"default","name":"echo","resourceVersion":"@RV@","labels":)"
        R"({"kubernetes.io/service-name":"echo"}},"addressType":"IPv4","endpoints":[)" +
            endpoints + R"(],"ports":[{"name":"e","port":8081,"protocol":"TCP"}]})");
  }
  static inline const std::string kEcho1 =
      R"({"addresses":["10.244.2.2"],"conditions":{"ready":true}})";
  static inline const std::string kEcho2 =
      R"({"addresses":["10.244.3.2"],"conditions":{"ready":true}})";

  // Service number 1 as put() makes it, with external and balancer addresses, by each of them.
  void check_every_address(const std::set<std::string>& ends) {
    check("cluster IP, a pod", "client", "10.96.0.1:80", "[fd00:96::1]:80", ends);
    check("cluster IP, the node", "node", "10.96.0.1:80", "[fd00:96::1]:80", ends);
    check("cluster IP, an endpoint itself", "web-1", "10.96.0.1:80", "[fd00:96::1]:80", ends);
    check("node port", "outside", "192.0.2.1:30101", "[2001:db8::1]:30101", ends);
    check("node port, another address", "client", "10.244.1.1:30101", "[fd00:244:1::1]:30101",
          ends);
    check("external IP", "outside", "203.0.113.1:80", "[2001:db8:ee::1]:80", ends);
    check("load balancer", "outside", "198.51.100.1:80", "[2001:db8:ff::1]:80", ends);
    check("a port it does not have", "client", "10.96.0.1:81", "[fd00:96::1]:81", kRefused);
    check("an address without a Service", "client", "10.96.0.9:80", "[fd00:96::9]:80", kDropped,
          false);
  }
  bool ends_at(const std::string& from, const std::string& to, const std::string& who) {
    return cluster_.run_until([&] {
      const Outcome outcome = cluster_.tcp(from, to);
      return (outcome.reached.empty() ? outcome.to_string() : outcome.reached) == who;
    });
  }
  std::string routes() {
    return cluster_.at("node").must(
        "ip -4 route show table all proto 251; ip -6 route show table all proto 251");
  }
  std::string metrics() { return cluster_.get("node", "http://127.0.0.1:10249/metrics"); }

  ProgramCluster cluster_;
};

// Echoes what it gets on TCP port 8081 of a pod; with the last connection it goes.
class Echo {
 public:
  explicit Echo(const NetNamespace& ns) {
    const auto inside = ns.enter();
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in any = {AF_INET, htons(8081), {}, {}};
    EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&any), sizeof any), 0);
    EXPECT_EQ(listen(fd_, 10), 0);
    thread_ = std::thread([this] { accept_all(); });
  }
  ~Echo() {
    shutdown(fd_, SHUT_RDWR);
    thread_.join();
    close(fd_);
  }

 private:
  void accept_all() const {
    std::vector<std::thread> connections;
    for (int fd = 0; (fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;)
      connections.emplace_back([fd] { serve(fd); });
    for (std::thread& connection : connections) connection.join();
  }
  static void serve(int fd) {
    std::string buffer(50000, '\0');
    for (ssize_t got = 1; got > 0;) {
      got = recv(fd, buffer.data(), buffer.size(), 0);
      for (ssize_t sent = 0; sent < got;) {
        const ssize_t more =
            send(fd, buffer.data() + sent, static_cast<size_t>(got - sent), MSG_NOSIGNAL);
        if (more <= 0) break;
        sent += more;
      }
    }
    close(fd);
  }
  int fd_;
  std::thread thread_;
};

// A client that keeps one connection busy and compares every byte that comes back.
class Checker {
 public:
  Checker(const NetNamespace& ns, const std::string& to, uint64_t seed) {
    const auto inside = ns.enter();
    sockaddr_storage storage{};
    const socklen_t length = SocketAddress::parse(to).value().to_sockaddr(storage);
    fd_ = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&storage), length) == 0;
    fcntl(fd_, F_SETFL, O_NONBLOCK);
    thread_ = std::thread([this, seed] { work(seed); });
  }
  ~Checker() {
    end_ = true;
    thread_.join();
    close(fd_);
  }
  size_t compared() const { return compared_; }
  bool good() const { return connected_ && good_; }

 private:
  void work(uint64_t seed) {
    std::mt19937_64 out(seed), in(seed);
    std::string unsent;
    while (!end_ && good_) {
      pollfd one{fd_, POLLIN | POLLOUT, 0};
      poll(&one, 1, 100);
      while (unsent.size() < 60000) unsent += static_cast<char>(out());
      const ssize_t sent = send(fd_, unsent.data(), unsent.size(), MSG_NOSIGNAL);
      if (sent > 0) unsent.erase(0, static_cast<size_t>(sent));
      char buffer[60000];
      const ssize_t got = recv(fd_, buffer, sizeof buffer, 0);
      if (got == 0 || (got < 0 && errno != EAGAIN)) good_ = false;
      for (ssize_t i = 0; i < got; ++i)
        if (buffer[i] != static_cast<char>(in())) good_ = false;
      if (got > 0) compared_ += static_cast<size_t>(got);
    }
  }
  int fd_;
  bool connected_ = false;
  std::atomic<bool> end_{false}, good_{true};
  std::atomic<size_t> compared_{0};
  std::thread thread_;
};

}  // namespace fairlead::proxy::test
