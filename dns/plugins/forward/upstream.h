// SPDX-License-Identifier: Apache-2.0
// Which upstream servers there are, and how they do.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/address.h"

namespace fairlead::dns {

// As it is, over TLS (RFC 7858) or over HTTPS (RFC 8484).
enum class UpstreamWay : uint8_t { kPlain, kTls, kHttps };

// A server to ask.
struct UpstreamServer {
  UpstreamServer(const SocketAddress& where) : address(where) {}  // as it is
  UpstreamServer(const SocketAddress& where, UpstreamWay how, std::string name)
      : address(where), way(how), tls_name(std::move(name)) {}
  bool is_plain() const { return way == UpstreamWay::kPlain; }

  SocketAddress address;  // no two servers of a list have the same
  UpstreamWay way = UpstreamWay::kPlain;
  std::string tls_name;  // whom its certificate must name; empty: its address
  auto operator<=>(const UpstreamServer&) const = default;
};

// The list, replaced while workers use it. Any thread.
class UpstreamList {
 public:
  using List = std::shared_ptr<const std::vector<UpstreamServer>>;
  explicit UpstreamList(std::vector<UpstreamServer> servers)
      : servers_(std::make_shared<const std::vector<UpstreamServer>>(std::move(servers))) {}

  void replace(std::vector<UpstreamServer> servers) {
    std::lock_guard lock(mutex_);
    servers_ = std::make_shared<const std::vector<UpstreamServer>>(std::move(servers));
    version_.fetch_add(1, std::memory_order_release);
  }
  List get() const {
    std::lock_guard lock(mutex_);
    return servers_;
  }
  // Changes whenever the list does: a cheap look whether get() has news.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }

 private:
  mutable std::mutex mutex_;
  List servers_;  // under mutex_
  std::atomic<uint64_t> version_{1};
};

enum class UpstreamPolicy : uint8_t { kRandom, kRoundRobin, kSequential };

// The health of one worker's upstreams and the order to try them in. Pure; one thread.
// A server is down after `max_fails` failures in a row and up again with its next reply; zero:
// never down. When all are down they are tried all the same: we may be wrong.
class UpstreamHealth {
 public:
  UpstreamHealth(UpstreamPolicy policy, unsigned max_fails)
      : policy_(policy), max_fails_(max_fails) {}

  // What is known of servers that stay is kept.
  void set_servers(const std::vector<UpstreamServer>& servers);
  size_t size() const { return upstreams_.size(); }
  bool all_down() const {
    return std::all_of(upstreams_.begin(), upstreams_.end(),
                       [this](const Upstream& u) { return is_down(u); });
  }
  // The servers in the order to try them: those that are up first.
  template <typename Random>
  std::vector<UpstreamServer> order(Random& random) {
    std::vector<UpstreamServer> up;
    std::vector<UpstreamServer> down;
    for (const Upstream& u : upstreams_) (is_down(u) ? down : up).push_back(u.server);
    if (policy_ == UpstreamPolicy::kRandom) std::shuffle(up.begin(), up.end(), random);
    if (policy_ == UpstreamPolicy::kRoundRobin && !up.empty())
      std::rotate(up.begin(), up.begin() + static_cast<long>(turn_++ % up.size()), up.end());
    if (policy_ == UpstreamPolicy::kRandom || up.empty())
      std::shuffle(down.begin(), down.end(), random);
    up.insert(up.end(), down.begin(), down.end());
    return up;
  }
  void succeeded(const UpstreamServer& server);
  void failed(const UpstreamServer& server);
  // Those to probe until they reply.
  std::vector<UpstreamServer> down() const;

 private:
  struct Upstream {
    UpstreamServer server;
    unsigned fails = 0;
  };
  bool is_down(const Upstream& u) const { return max_fails_ != 0 && u.fails >= max_fails_; }
  Upstream* find(const UpstreamServer& server);

  UpstreamPolicy policy_;
  unsigned max_fails_;
  size_t turn_ = 0;
  std::vector<Upstream> upstreams_;
};

}  // namespace fairlead::dns
