// SPDX-License-Identifier: Apache-2.0
#include "dns/program.h"

#include <malloc.h>
#include <signal.h>

#include <algorithm>
#include <memory>

#include "base/file.h"
#include "base/http/ops_server.h"
#include "dns/feed.h"
#include "dns/plugins/forward/forward.h"
#include "dns/plugins/forward/resolv_conf.h"
#include "dns/plugins/kubernetes/kubernetes.h"
#include "dns/server/server.h"
#include "dns/server/socket.h"
#include "kube/cluster.h"

namespace fairlead::dns {
namespace {

constexpr Duration kStartupLimit = std::chrono::seconds(5);  // then answer without being synced
constexpr Duration kOutstandingLimit = std::chrono::seconds(5);
constexpr Duration kQuiet = std::chrono::milliseconds(500);
constexpr size_t kMaxResolvConf = 64 * 1024;
constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

// The addresses clients reach us at, for NS records and against forwarding to ourselves.
std::vector<IpAddress> local_addresses(const std::vector<SocketAddress>& listen) {
  std::vector<IpAddress> addresses;
  const auto add = [&addresses](const IpAddress& address) {
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end())
      addresses.push_back(address);
  };
  for (const SocketAddress& socket : listen) {
    if (!socket.address.is_unspecified()) {
      add(socket.address);
      continue;
    }
    for (const IpAddress& address : host_addresses())
      if (address.family() == socket.address.family() && !address.is_loopback() &&
          !address.is_link_local())
        add(address);
  }
  return addresses;
}

class Program {
 public:
  explicit Program(const Options& options) : options_(options), quiet_timer_(loop_) {}
  Result<void> run();

 private:
  Result<void> open_server();
  Result<void> open_monitoring();
  Result<void> connect();
  void read_resolv_conf();
  void serve();
  void begin_stop();
  void stop_when_quiet();
  bool ready() const { return server_->running() && zone_.snapshot().synced && !stopping_; }
  Result<void> monitor(const std::optional<SocketAddress>& address, std::string path,
                       std::function<HealthAnswer()> check);

  const Options& options_;
  Loop loop_;
  Zone zone_;
  std::shared_ptr<UpstreamList> upstreams_;
  std::unique_ptr<FileWatch> resolv_watch_;
  std::unique_ptr<Server> server_;
  std::vector<std::unique_ptr<OpsServer>> monitoring_;
  std::unique_ptr<kube::Cluster> cluster_;
  std::unique_ptr<ClusterFeed> feed_;
  Alarm startup_;
  Timer quiet_timer_;
  bool stopping_ = false;
  uint64_t queries_seen_ = 0;
  MonoTime stop_by_{};
};

// One forwarded server or the file's; the file is followed as it changes.
void Program::read_resolv_conf() {
  const Result<std::string> text = read_file(options_.resolv_conf, kMaxResolvConf);
  if (!text.ok()) {
    log::warn("no upstream servers: {}", text.error().message());
    return;
  }
  ResolvConf conf = parse_resolv_conf(*text);
  remove_own_addresses(conf, options_.listen, host_addresses());
  for (const std::string& problem : conf.problems)
    log::warn("{}: {}: left out", options_.resolv_conf, problem);
  if (conf.servers == *upstreams_->get()) return;
  std::string list;
  for (const SocketAddress& server : conf.servers) list += " " + server.address.to_string();
  log::info("upstream servers of {}:{}", options_.resolv_conf, list.empty() ? " none" : list);
  upstreams_->replace(std::move(conf.servers));
}

Result<void> Program::open_server() {
  ResolvConf given{options_.forward, {}};
  remove_own_addresses(given, options_.listen, host_addresses());
  if (!given.problems.empty())
    return Error(ErrorCode::kInvalid,
                 "--forward: " + given.problems.front() + "; it would ask itself");
  upstreams_ = std::make_shared<UpstreamList>(options_.forward);
  if (options_.forward.empty()) {
    read_resolv_conf();
    resolv_watch_ =
        std::make_unique<FileWatch>(loop_, options_.resolv_conf, [this] { read_resolv_conf(); });
  }
  auto kubernetes = std::make_shared<KubernetesOptions>();
  kubernetes->zone.zone = options_.cluster_domain;
  kubernetes->zone.pods_insecure = options_.pods_insecure;
  kubernetes->zone.local_addresses = local_addresses(options_.listen);
  auto forward = std::make_shared<ForwardOptions>();
  forward->upstreams = upstreams_;
  forward->policy = options_.policy;

  ServerOptions server;
  server.listen = options_.listen;
  server.ipv6_optional = options_.listen_defaulted;
  server.workers = options_.workers;
  auto opened = Server::open(std::move(server), {{"kubernetes", kubernetes}, {"forward", forward}},
                             zone_.published());
  if (!opened.ok()) return opened.error();
  server_ = *std::move(opened);
  return ok();
}

Result<void> Program::monitor(const std::optional<SocketAddress>& address, std::string path,
                              std::function<HealthAnswer()> check) {
  if (!address) return ok();
  OpsEndpoints endpoints;
  endpoints.checks[std::move(path)] = std::move(check);
  monitoring_.push_back(std::make_unique<OpsServer>(loop_, std::move(endpoints)));
  const Result<SocketAddress> bound = monitoring_.back()->listen(*address);
  return bound.ok() ? ok() : bound.error();
}

Result<void> Program::open_monitoring() {
  Result<void> opened = monitor(options_.health, "/health", [] {
    return HealthAnswer{true, "OK"};
  });
  if (!opened.ok()) return opened.error().with_context("--health-listen");
  opened = monitor(options_.ready, "/ready", [this] {
    if (ready()) return HealthAnswer{true, "OK"};
    return HealthAnswer{false, stopping_ ? "Shutting down" : "kubernetes"};
  });
  if (!opened.ok()) return opened.error().with_context("--ready-listen");
  opened = monitor(options_.metrics, "/metrics", [this] {
    const Snapshot& snapshot = zone_.snapshot();
    const ServerState state{zone_.services(), zone_.endpoints(), snapshot.serial, snapshot.synced};
    const std::string server = "dns://:" + std::to_string(server_->addresses().front().port);
    return HealthAnswer{true, render_metrics(server_->metrics(), state, server), kMetricsType};
  });
  if (!opened.ok()) return opened.error().with_context("--metrics-listen");
  return ok();
}

Result<void> Program::connect() {
  Result<kube::ClientConfig> config = kube::find_config(options_.kubeconfig);
  if (!config.ok()) return config.error();
  auto cluster = kube::Cluster::connect(loop_, *std::move(config), "fairlead-dns/0.1.0");
  if (!cluster.ok()) return cluster.error();
  cluster_ = *std::move(cluster);
  feed_ = std::make_unique<ClusterFeed>(loop_, cluster_->api(), zone_, [this] {
    serve();
    malloc_trim(0);  // what reading the first lists took and nothing needs again
  });
  return ok();
}

void Program::serve() {
  if (server_->running() || stopping_) return;
  startup_.cancel();
  if (!zone_.snapshot().synced)
    log::warn("no word from {} yet: answering, and SERVFAIL for what is not known",
              cluster_->config().server);
  server_->run();
  for (const SocketAddress& address : server_->addresses())
    log::info("answering on {}", address.to_string());
}

void Program::begin_stop() {
  if (stopping_) return loop_.stop();
  stopping_ = true;
  if (!server_->running()) return loop_.stop();
  log::info("stopping: at most {} s for queries that still come", options_.lameduck_seconds);
  stop_by_ = loop_.clock().now() + std::chrono::seconds(options_.lameduck_seconds);
  queries_seen_ = server_->queries();
  stop_when_quiet();
}

void Program::stop_when_quiet() {
  const Duration left = stop_by_ - loop_.clock().now();
  if (left <= Duration::zero()) return loop_.stop();
  quiet_timer_.start_once(std::min(left, kQuiet), [this] {
    const uint64_t queries = server_->queries();
    if (queries == std::exchange(queries_seen_, queries)) return loop_.stop();
    stop_when_quiet();
  });
}

Result<void> Program::run() {
  for (auto step : {&Program::open_server, &Program::open_monitoring, &Program::connect}) {
    const Result<void> done = (this->*step)();
    if (!done.ok()) return done.error();
  }
  SignalWatch terminate(loop_, SIGTERM, [this] { begin_stop(); });
  SignalWatch interrupt(loop_, SIGINT, [this] { begin_stop(); });
  startup_ = loop_.clock().after(kStartupLimit, [this] { serve(); });
  feed_->start();
  loop_.run();
  if (server_->running()) server_->stop(kOutstandingLimit);
  log::info("stopped");
  return ok();
}

}  // namespace

Result<void> run_program(const Options& options) {
  signal(SIGPIPE, SIG_IGN);
  // One heap for all threads: workers allocate next to nothing, and a heap each costs memory.
  mallopt(M_ARENA_MAX, 1);
  return Program(options).run();
}

}  // namespace fairlead::dns
