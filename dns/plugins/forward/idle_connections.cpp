// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/forward/idle_connections.h"

#include <algorithm>

namespace fairlead::dns {

struct IdleConnections::Connection {
  Connection(Loop& loop, Fd fd, MonoTime now)
      : socket(std::move(fd)), poll(loop, socket.get()), since(now) {}
  Fd socket;
  Poll poll;  // closed before the socket
  MonoTime since;
};

IdleConnections::IdleConnections(Loop& loop, Duration limit)
    : loop_(loop), limit_(limit), timer_(loop) {}

IdleConnections::~IdleConnections() = default;

Fd IdleConnections::take(const SocketAddress& server) {
  const auto at = servers_.find(server);
  if (at == servers_.end()) return Fd();
  const std::unique_ptr<Connection> newest = std::move(at->second.back());
  at->second.pop_back();
  if (at->second.empty()) servers_.erase(at);
  newest->poll.stop();
  return std::move(newest->socket);
}

void IdleConnections::put(const SocketAddress& server, Fd socket) {
  List& list = servers_[server];
  if (list.size() == kPerServer) list.erase(list.begin());
  const int fd = socket.get();
  list.push_back(std::make_unique<Connection>(loop_, std::move(socket), loop_.clock().now()));
  list.back()->poll.start(UV_READABLE, [this, server, fd](int) { close(server, fd); });
  if (!timer_.active()) timer_.start_every(limit_ / 4, [this] { close_old(); });
}

size_t IdleConnections::size() const {
  size_t size = 0;
  for (const auto& [server, list] : servers_) size += list.size();
  return size;
}

void IdleConnections::close(const SocketAddress& server, int fd) {
  const auto at = servers_.find(server);
  std::erase_if(at->second, [fd](const auto& each) { return each->socket.get() == fd; });
  if (at->second.empty()) servers_.erase(at);
}

void IdleConnections::close_old() {
  const MonoTime now = loop_.clock().now();
  for (auto& [server, list] : servers_)
    std::erase_if(list, [&](const auto& each) { return now - each->since >= limit_; });
  std::erase_if(servers_, [](const auto& each) { return each.second.empty(); });
  if (servers_.empty()) timer_.stop();
}

}  // namespace fairlead::dns
