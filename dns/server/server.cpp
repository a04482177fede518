// SPDX-License-Identifier: Apache-2.0
#include "dns/server/server.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "dns/server/socket.h"

namespace fairlead::dns {
namespace {

// Per worker, but never so little that ordinary clients notice.
TcpLimits share_of(const TcpLimits& limits, size_t workers) {
  TcpLimits share = limits;
  share.connections = std::max<size_t>(16, limits.connections / workers);
  share.connections_per_client = std::max<size_t>(8, limits.connections_per_client / workers);
  return share;
}

bool no_such_family(const Error& error) {
  return error.error_number() == EAFNOSUPPORT || error.error_number() == EADDRNOTAVAIL;
}

// A new one with each start: clients then simply get new cookies.
CookieMaker::Secret make_secret() {
  CookieMaker::Secret secret;
  while (getrandom(secret.data(), secret.size(), 0) != static_cast<ssize_t>(secret.size())) {
  }
  return secret;
}

}  // namespace

Server::Server(ServerOptions options) : options_(std::move(options)), cookies_(make_secret()) {}

Result<std::unique_ptr<Server>> Server::open(ServerOptions options, const ChainConfig& config,
                                             Published& published) {
  std::unique_ptr<Server> server(new Server(std::move(options)));
  auto& addresses = server->options_.listen;
  for (auto at = addresses.begin(); at != addresses.end();) {
    const Result<void> free = check_free(*at);
    if (!free.ok() && at->address.is_v6() && server->options_.ipv6_optional &&
        no_such_family(free.error())) {
      log::info("no IPv6 here: not listening on {}", at->to_string());
      at = addresses.erase(at);
      continue;
    }
    if (!free.ok()) return free.error();
    ++at;
  }
  const size_t count = std::max<size_t>(1, server->options_.workers);
  const TcpLimits limits = share_of(server->options_.tcp, count);
  for (size_t i = 0; i < count; ++i) {
    server->metrics_.push_back(std::make_unique<WorkerMetrics>());
    auto worker =
        std::make_unique<Worker>(published, *server->metrics_.back(), server->cookies_, limits);
    const Result<void> assembled = worker->assemble(config);
    if (!assembled.ok()) return assembled.error();
    for (const SocketAddress& address : addresses) {
      const Result<void> listening = worker->listen(address);
      if (!listening.ok()) return listening.error();
    }
    server->workers_.push_back(std::move(worker));
  }
  return server;
}

void Server::run() {
  if (std::exchange(running_, true)) return;
  for (const auto& worker : workers_) worker->run();
}

void Server::stop(Duration limit) {
  running_ = false;
  for (const auto& worker : workers_) worker->stop(limit);
  for (const auto& worker : workers_) worker->join();
}

uint64_t Server::queries() const {
  uint64_t sum = 0;
  for (const auto& metrics : metrics_)
    for (const auto& proto : metrics->requests)
      for (const auto& family : proto)
        for (const Counter& type : family) sum += type.get();
  return sum;
}

}  // namespace fairlead::dns
