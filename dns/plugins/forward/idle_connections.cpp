// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/forward/idle_connections.h"

#include <algorithm>

namespace fairlead::dns {

struct IdleConnections::Connection {
  Connection(Loop& loop, std::unique_ptr<Stream> connection, MonoTime now)
      : stream(std::move(connection)), poll(loop, stream->fd()), since(now) {}
  std::unique_ptr<Stream> stream;
  Poll poll;  // closed before the socket
  MonoTime since;
};

IdleConnections::IdleConnections(Loop& loop, const IdleLimits& limits)
    : loop_(loop), limits_(limits), timer_(loop) {}

IdleConnections::~IdleConnections() = default;

std::unique_ptr<Stream> IdleConnections::take(const UpstreamServer& server) {
  const auto at = servers_.find(server);
  if (at == servers_.end()) return nullptr;
  std::erase_if(at->second, [this](const auto& each) { return over(*each); });
  std::unique_ptr<Stream> stream;
  if (!at->second.empty()) {
    const std::unique_ptr<Connection> newest = std::move(at->second.back());
    at->second.pop_back();
    newest->poll.stop();
    stream = std::move(newest->stream);
  }
  if (at->second.empty()) servers_.erase(at);
  return stream;
}

void IdleConnections::put(const UpstreamServer& server, std::unique_ptr<Stream> stream) {
  auto made = std::make_unique<Connection>(loop_, std::move(stream), loop_.clock().now());
  if (over(*made)) return;
  List& list = servers_[server];
  if (list.size() >= limits_.most) list.erase(list.begin());
  made->poll.start(UV_READABLE, [this, server, raw = made.get()](int) {
    on_readable(UpstreamServer(server), *raw);
  });
  list.push_back(std::move(made));
  if (timer_.active()) return;
  const Duration period = std::max<Duration>(limits_.disuse / 4, std::chrono::milliseconds(1));
  timer_.start_every(period, [this] { close_old(); });
}

size_t IdleConnections::size() const {
  size_t size = 0;
  for (const auto& [server, list] : servers_) size += list.size();
  return size;
}

bool IdleConnections::over(const Connection& connection) const {
  const MonoTime now = loop_.clock().now();
  return now - connection.since >= limits_.disuse ||
         (limits_.age != Duration::zero() && now - connection.stream->born() >= limits_.age);
}

void IdleConnections::on_readable(const UpstreamServer& server, Connection& connection) {
  if (connection.stream->still_idle()) return;
  const auto at = servers_.find(server);
  std::erase_if(at->second, [&](const auto& each) { return each.get() == &connection; });
  if (at->second.empty()) servers_.erase(at);
}

void IdleConnections::close_old() {
  for (auto& [server, list] : servers_)
    std::erase_if(list, [this](const auto& each) { return over(*each); });
  std::erase_if(servers_, [](const auto& each) { return each.second.empty(); });
  if (servers_.empty()) timer_.stop();
}

}  // namespace fairlead::dns
