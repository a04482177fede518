// SPDX-License-Identifier: Apache-2.0
#include "dns/server/server.h"

#include <fcntl.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "dns/server/socket.h"

namespace fairlead::dns {
namespace {

bool no_such_family(const Error& error) {
  return error.error_number() == EAFNOSUPPORT || error.error_number() == EADDRNOTAVAIL;
}

// Whether we have a socket that takes the address, too: a wildcard beside an address of its family.
bool overlaps(const std::vector<SocketAddress>& ours, const SocketAddress& address) {
  return std::ranges::any_of(ours, [&](const SocketAddress& other) {
    return other.port == address.port && other.address.family() == address.address.family() &&
           (other.address.is_unspecified() || address.address.is_unspecified());
  });
}

// A new one with each start: clients then simply get new cookies.
CookieMaker::Secret make_secret() {
  CookieMaker::Secret secret;
  while (getrandom(secret.data(), secret.size(), 0) != static_cast<ssize_t>(secret.size())) {
  }
  return secret;
}

}  // namespace

Plan Plan::of(const std::vector<SocketAddress>& addresses, ChainConfig plugins,
              const TcpLimits& tcp) {
  Plan plan;
  plan.blocks.push_back({"dns://:" + std::to_string(addresses.at(0).port), std::move(plugins)});
  for (const SocketAddress& address : addresses)
    plan.listeners.push_back({address, false, {{Name(), 0}}, tcp});
  return plan;
}

Server::Server(size_t workers, Released released, InheritedSockets inherited)
    : inherited_(std::move(inherited)), released_(std::move(released)), cookies_(make_secret()) {
  for (size_t i = 0; i < workers; ++i) {
    metrics_.push_back(std::make_unique<WorkerMetrics>());
    workers_.push_back(std::make_unique<Worker>(*metrics_.back(), cookies_, workers));
  }
}

Result<std::unique_ptr<Server>> Server::open(std::shared_ptr<const Plan> plan, size_t workers,
                                             Released released, InheritedSockets inherited) {
  std::unique_ptr<Server> server(
      new Server(std::max<size_t>(1, workers), std::move(released), std::move(inherited)));
  const Result<void> serving = server->change_to(std::move(plan));
  if (!serving.ok()) return serving.error();
  return server;
}

Result<void> Server::check_free_addresses(const Plan& plan, const InheritedSockets& inherited) {
  for (const Plan::Listener& listener : plan.listeners) {
    if (inherited.pairs(listener.address) > 0) continue;
    if (const Result<void> free = check_free(listener.address);
        !free.ok() && !(listener.optional && no_such_family(free.error())))
      return free;
  }
  return ok();
}

Result<Worker::Sockets> Server::open_sockets(const SocketAddress& address, size_t worker) const {
  if (const size_t pairs = inherited_.pairs(address); pairs > workers_.size())
    return Error(ErrorCode::kInvalid,
                 "more inherited sockets for " + address.to_string() + " than --workers");
  if (inherited_.pairs(address) > 0) {
    auto pair = inherited_.pair_for(address, worker);
    if (!pair.ok()) return pair.error();
    return Worker::Sockets{std::move(pair->udp), std::move(pair->tcp)};
  }
  Result<Fd> udp = open_udp(address);
  if (!udp.ok()) return udp.error();
  Result<Fd> tcp = open_tcp(address);
  if (!tcp.ok()) return tcp.error();
  return Worker::Sockets{*std::move(udp), *std::move(tcp)};
}

Result<void> Server::change_to(std::shared_ptr<const Plan> plan) {
  std::vector<SocketAddress> addresses;
  std::vector<std::vector<Worker::Sockets>> sockets(workers_.size());
  auto served = std::make_shared<Plan>(*plan);
  served->listeners.clear();
  for (const Plan::Listener& listener : plan->listeners) {
    const bool had = std::ranges::count(addresses_, listener.address) != 0;
    const bool ours =
        had || inherited_.pairs(listener.address) > 0 || overlaps(addresses_, listener.address) ||
        overlaps(addresses, listener.address) || std::ranges::count(once_, listener.address) != 0;
    const Result<void> free = ours ? ok() : check_free(listener.address);
    if (!free.ok() && listener.optional && no_such_family(free.error())) {
      log::info("no IPv6 here: not listening on {}", listener.address.to_string());
      continue;
    }
    if (!free.ok()) return free.error();
    served->listeners.push_back(listener);
    addresses.push_back(listener.address);
    for (size_t i = 0; !had && i < workers_.size(); ++i) {
      Result<Worker::Sockets> opened = open_sockets(listener.address, i);
      if (!opened.ok()) return opened.error();
      sockets[i].push_back(*std::move(opened));
    }
  }
  addresses_ = std::move(addresses);
  keep_copies(*served, sockets);
  for (const SocketAddress& address : addresses_)
    if (std::ranges::count(once_, address) == 0) once_.push_back(address);
  for (size_t i = 0; i < workers_.size(); ++i)
    workers_[i]->serve(served, std::move(sockets[i]), released_);
  return ok();
}

// `sockets`: of each worker, those that were opened for the plan, in its order.
void Server::keep_copies(const Plan& plan,
                         const std::vector<std::vector<Worker::Sockets>>& sockets) {
  std::map<SocketAddress, std::vector<Worker::Sockets>> copies;
  size_t opened = 0;
  for (const Plan::Listener& listener : plan.listeners) {
    std::vector<Worker::Sockets>& copy = copies[listener.address];
    if (const auto known = copies_.find(listener.address); known != copies_.end()) {
      copy = std::move(known->second);
      continue;
    }
    for (const auto& of_worker : sockets) {
      const Worker::Sockets& from = of_worker[opened];
      copy.push_back({Fd(fcntl(from.udp.get(), F_DUPFD_CLOEXEC, 0)),
                      Fd(fcntl(from.tcp.get(), F_DUPFD_CLOEXEC, 0))});
    }
    ++opened;
  }
  copies_ = std::move(copies);
}

std::vector<int> Server::sockets() const {
  std::vector<int> all;
  for (const auto& [address, copies] : copies_)
    for (const Worker::Sockets& copy : copies)
      if (copy.udp && copy.tcp) all.insert(all.end(), {copy.udp.get(), copy.tcp.get()});
  return all;
}

void Server::run() {
  if (std::exchange(running_, true)) return;
  for (const auto& worker : workers_) worker->run();
}

void Server::stop(Duration limit) {
  running_ = false;
  copies_.clear();  // nobody is to connect any more
  for (const auto& worker : workers_) worker->stop(limit);
  for (const auto& worker : workers_) worker->join();
}

uint64_t Server::queries() const {
  uint64_t sum = 0;
  for (const auto& metrics : metrics_) sum += metrics->queries();
  return sum;
}

}  // namespace fairlead::dns
