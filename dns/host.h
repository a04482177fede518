// SPDX-License-Identifier: Apache-2.0
// The program as its plugins see it: the loop that services run on, one HTTP server for each
// address however many of them answer there, what there is to scrape and who is ready. A service
// that is destroyed takes back what it has put here; where an old and a new one meet, while a
// configuration is replaced, the newest counts. Threads: the program's.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/http/ops_server.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "dns/metrics.h"
#include "dns/plugin.h"

namespace fairlead::dns {

// How a listener is served over TLS.
struct HttpsOptions {
  TlsServerConfig tls;
  bool needs_client = false;  // who shows no certificate of the client CA gets nothing
};

class Host {
 public:
  // Something that was put here; destroying it takes it back.
  using Token = std::unique_ptr<Service>;

  // `serves`: false where nothing is to be seen from outside, as when a configuration is only asked
  // what it would answer: no port is opened, and plugins do not test themselves.
  Host(Loop& loop, std::string kubeconfig, bool serves = true)
      : loop_(loop), kubeconfig_(std::move(kubeconfig)), serves_(serves) {}
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  Loop& loop() { return loop_; }
  // --kubeconfig, for a `kubernetes` that names none.
  const std::string& kubeconfig() const { return kubeconfig_; }
  bool serves() const { return serves_; }

  // Answers GET `path` at `address`; over TLS when one of those that answer there asks for that,
  // the newest saying how.
  Result<Token> serve_http(const SocketAddress& address, const std::string& path,
                           std::function<HealthAnswer()> answer,
                           std::optional<HttpsOptions> https = {});
  // Closes the ports of serve_http() for another process, and opens them again. What answers there
  // stays. Opening fails while somebody has one of them; it may be tried again.
  void release_ports();
  Result<void> take_ports();
  // Something without which the server is not ready. `remark`: what is to be said though it is
  // ready; empty: nothing.
  Token add_readiness(const std::string& plugin, std::function<bool()> ready,
                      std::function<std::string()> remark = {});
  // Text for /metrics.
  Token add_metrics(std::function<void(std::string& out)> render);
  // How long queries are still answered after SIGTERM; the longest counts.
  Token add_lameduck(Duration duration);
  // How long queries wait for what is not ready yet, at most; the longest counts.
  Token add_startup_limit(Duration duration);
  // Looks every `period` (with as much as `jitter` more) whether the Corefile has changed.
  Token add_reload(Duration period, Duration jitter);

  // What several plugins, or an old and a new one, have in common: the one of that name, or what
  // `make` makes. It lives as long as somebody holds it.
  template <typename T>
  Result<std::shared_ptr<T>> shared(const std::string& name,
                                    const std::function<Result<std::shared_ptr<T>>()>& make) {
    if (auto known = shared_[name].lock()) return std::static_pointer_cast<T>(known);
    Result<std::shared_ptr<T>> made = make();
    if (made.ok()) shared_[name] = *made;
    return made;
  }

  // The plugins that are not ready, in the registry's order.
  std::vector<std::string> not_ready() const;
  // "PLUGIN: REMARK" of those that have one, each once.
  std::vector<std::string> remarks() const;
  std::string metrics() const;
  Duration lameduck() const;
  Duration startup_limit() const;
  struct Reload {
    Duration period{};
    Duration jitter{};
  };
  // Nothing: the Corefile is read once.
  const Reload* reload() const { return reloads_.empty() ? nullptr : &reloads_.back(); }

  // Somebody has become ready.
  void ready_changed() {
    if (on_ready) on_ready();
  }
  // The program ends, with exit code 1.
  void fail(Error error) {
    if (on_fail) on_fail(std::move(error));
  }

  // What the program gives.
  std::function<void(Error)> on_fail;
  std::function<void()> on_ready;
  // Where the server listens.
  std::function<std::vector<SocketAddress>()> listening = [] {
    return std::vector<SocketAddress>();
  };
  // Where clients reach us, for name server records.
  std::function<std::vector<IpAddress>()> local_addresses = [] { return std::vector<IpAddress>(); };
  std::function<bool()> stopping = [] { return false; };
  // While something new is made ready, what was there before answers: the server whose place this
  // one takes, or the configuration before a reload.
  std::function<bool()> answered_before = [] { return false; };
  std::function<std::span<const std::unique_ptr<WorkerMetrics>>()> workers;
  // Configurations that were not taken, and the SHA-512 of the one that is served, in hex.
  std::function<uint64_t()> failed_reloads = [] { return 0; };
  std::function<std::string()> version = [] { return std::string(); };

 private:
  struct Http;
  struct Readiness {
    std::string plugin;
    std::function<bool()> ready;
    std::function<std::string()> remark;
  };
  template <typename T>
  Token put(std::list<T>& list, T value);

  Loop& loop_;
  const std::string kubeconfig_;
  const bool serves_;
  std::map<SocketAddress, std::weak_ptr<Http>> http_;
  std::map<std::string, std::weak_ptr<void>> shared_;
  std::list<Readiness> readiness_;
  std::list<std::function<void(std::string&)>> metrics_;
  std::list<Duration> lameducks_;
  std::list<Duration> startup_limits_;
  std::list<Reload> reloads_;
  Metrics process_;  // what the process itself uses
};

}  // namespace fairlead::dns
