// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/proxy/answers.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/address.h"

namespace fairlead::proxy::test {

namespace {

int listening_socket(Family family, int type) {
  const int domain = family == Family::kIpv4 ? AF_INET : AF_INET6;
  const int fd = socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (family == Family::kIpv6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  sockaddr_storage storage{};
  const socklen_t length = SocketAddress{IpAddress::any(family), 8080}.to_sockaddr(storage);
  if (bind(fd, reinterpret_cast<sockaddr*>(&storage), length) != 0 ||
      (type == SOCK_STREAM && listen(fd, 1024) != 0)) {
    perror("test server");
    abort();
  }
  return fd;
}

void answer(int fd, const std::string& name, bool stream) {
  for (;;) {
    sockaddr_storage peer{};
    socklen_t length = sizeof peer;
    char buffer[64];
    const auto to = reinterpret_cast<sockaddr*>(&peer);
    const long got = stream ? accept4(fd, to, &length, SOCK_CLOEXEC)
                            : recvfrom(fd, buffer, sizeof buffer, 0, to, &length);
    if (got < 0) return;
    const std::string text = name + " " + SocketAddress::from_sockaddr(to).address.to_string();
    if (stream) {
      (void)!write(static_cast<int>(got), text.data(), text.size());
      close(static_cast<int>(got));
    } else {
      sendto(fd, text.data(), text.size(), 0, to, length);
    }
  }
}

}  // namespace

Answers::~Answers() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
  for (const Server& server : servers_) close(server.fd);
}

void Answers::add(const fairlead::test::NetNamespace& ns, const std::string& name) {
  const auto inside = ns.enter();
  for (const Family family : {Family::kIpv4, Family::kIpv6})
    for (const int type : {SOCK_STREAM, SOCK_DGRAM})
      servers_.push_back({name, listening_socket(family, type), type == SOCK_STREAM});
}

void Answers::start() {
  thread_ = std::thread([this] { serve(); });
}

void Answers::serve() {
  std::vector<pollfd> polls;
  for (const Server& server : servers_) polls.push_back({server.fd, POLLIN, 0});
  while (!stop_) {
    if (poll(polls.data(), polls.size(), 50) <= 0) continue;
    for (size_t i = 0; i < polls.size(); ++i)
      if (polls[i].revents != 0) answer(servers_[i].fd, servers_[i].name, servers_[i].stream);
  }
}

}  // namespace fairlead::proxy::test
