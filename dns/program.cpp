// SPDX-License-Identifier: Apache-2.0
#include "dns/program.h"

#include <fmt/format.h>
#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>

#include "base/file.h"
#include "base/handover.h"
#include "base/log.h"
#include "dns/counters.h"
#include "dns/host.h"
#include "dns/loading.h"
#include "dns/server/server.h"

namespace fairlead::dns {
namespace {

constexpr Duration kOutstandingLimit = std::chrono::seconds(5);
constexpr Duration kReadyCheck = std::chrono::milliseconds(20);
constexpr Duration kSuccession = std::chrono::seconds(45);  // the one before waits for a minute
constexpr Duration kGoOnAgain = std::chrono::milliseconds(200);
constexpr Duration kQuiet = std::chrono::milliseconds(500);

// Plans that no worker serves any more. What their plugins hold belongs to the program's loop, so
// they are destroyed there.
class Released {
 public:
  void put(std::shared_ptr<const Plan> plan) {
    const std::lock_guard lock(mutex_);
    plans_.push_back(std::move(plan));
  }
  void clear() {
    std::vector<std::shared_ptr<const Plan>> gone;
    const std::lock_guard lock(mutex_);
    gone.swap(plans_);
  }

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<const Plan>> plans_;  // under mutex_
};

class Program {
 public:
  explicit Program(const Options& options)
      : options_(options),
        files_(options),
        host_(loop_, options.kubeconfig),
        quiet_timer_(loop_),
        reload_timer_(loop_),
        next_timer_(loop_) {}
  Result<void> run();

 private:
  void connect_host();
  Result<void> open();
  void keep(Config config, Services services, std::string version);
  void plan_reload();
  void reload_if_changed();
  void reload();
  void reload_failed(const Error& error);
  void change_when_ready();
  void serve();
  void begin_answering();
  Result<InheritedSockets> inherit();
  Result<void> succeed();
  std::vector<int> hand_over();
  void go_on();
  void begin_stop();
  void stop_when_quiet();

  const Options& options_;
  ConfigFiles files_;    // as they were at the last load, good or bad
  std::string version_;  // of the configuration that is served
  uint64_t failed_reloads_ = 0;
  Loop loop_;
  Host host_;
  Config config_;
  Services services_;
  Released released_;
  std::unique_ptr<Server> server_;
  Host::Token shed_;  // a metric
  Alarm startup_;
  Timer quiet_timer_;
  Timer reload_timer_;
  // Read and started, and not yet served: what it needs is still to come.
  struct Next {
    Config config;
    Services services;
    std::string version;
    MonoTime until{};
  };
  std::optional<Next> next_;
  Timer next_timer_;
  std::minstd_rand random_{std::random_device()()};
  std::optional<Error> failure_;
  std::unique_ptr<Predecessor> predecessor_;  // until this server answers
  std::unique_ptr<Succession> succession_;    // from then on
  bool handing_over_ = false;
  Alarm go_on_;
  bool stopping_ = false;
  uint64_t queries_seen_ = 0;
  MonoTime stop_by_{};
  MonoTime stop_from_{};  // before, it goes on also when no query comes
};

void Program::connect_host() {
  host_.on_fail = [this](Error error) {
    failure_ = std::move(error);
    loop_.stop();
  };
  host_.on_ready = [this] { serve(); };
  host_.stopping = [this] { return stopping_; };
  host_.answered_before = [this] { return predecessor_ != nullptr || next_.has_value(); };
  host_.version = [this] { return version_; };
  host_.failed_reloads = [this] { return failed_reloads_; };
  shed_ = add_counters(host_, kShedMetric, kShedHelp, [this](std::vector<Count>& out) {
    for (const auto& worker : host_.workers())
      for (const auto& [label, count] : worker->shed())
        out.push_back({fmt::format("server=\"{}\",reason=\"udp\"", label), count});
  });
  host_.workers = [this] {
    return server_ ? server_->metrics() : std::span<const std::unique_ptr<WorkerMetrics>>();
  };
}

void Program::keep(Config config, Services services, std::string version) {
  version_ = std::move(version);
  for (const std::string& note : config.notes) log::info("{}", note);
  config_ = std::move(config);
  services_ = std::move(services);
  plan_reload();
}

Result<void> Program::open() {
  Result<Config> config = load_config(options_, files_);
  if (!config.ok()) return config.error();
  Result<InheritedSockets> inherited = inherit();
  if (!inherited.ok()) return inherited.error();
  if (const auto free = Server::check_free_addresses(*config->plan, *inherited); !free.ok())
    return free;
  for (const SocketAddress& address : inherited->addresses())
    log::info("{}: the socket is inherited", address.to_string());
  Result<Services> services = start_services(host_, *config);
  if (!services.ok()) return services.error();
  const auto released = [this](auto plan) {
    released_.put(std::move(plan));
    loop_.post([this] { released_.clear(); });
  };
  const size_t workers = std::max(options_.workers, inherited->most_pairs());
  auto opened = Server::open(config->plan, workers, released, *std::move(inherited));
  if (!opened.ok()) return opened.error();
  server_ = *std::move(opened);
  if (predecessor_) server_->forget_inherited();
  keep(*std::move(config), *std::move(services), files_.digest());
  return ok();
}

// From the server before this one, else from who started us.
Result<InheritedSockets> Program::inherit() {
  if (!options_.handover.empty()) {
    auto met = Predecessor::meet(options_.handover);
    if (!met.ok()) return met.error();
    predecessor_ = *std::move(met);
  }
  Result<InheritedSockets> given = InheritedSockets::from_environment();
  if (!predecessor_ || !given.ok()) return given;
  return InheritedSockets::of(predecessor_->take_sockets());
}

// The server before this one may go; the next one may come.
Result<void> Program::succeed() {
  if (predecessor_) predecessor_->dismiss();
  predecessor_.reset();
  if (options_.handover.empty()) return ok();
  auto succession = Succession::listen(loop_, options_.handover,
                                       {[this] { return hand_over(); }, [this] { go_on(); },
                                        [this] {
                                          stopping_ = true;
                                          loop_.stop();
                                        }});
  if (!succession.ok()) return succession.error();
  succession_ = *std::move(succession);
  return ok();
}

// What listens beside the DNS listens in the next server from now on.
std::vector<int> Program::hand_over() {
  handing_over_ = true;
  go_on_.cancel();
  host_.release_ports();
  return server_->sockets();
}

// The one that has gone may hold its ports for a moment yet.
void Program::go_on() {
  if (const Result<void> taken = host_.take_ports(); !taken.ok()) {
    log::warn("handover: {}", taken.error().message());
    go_on_ = loop_.clock().after(kGoOnAgain, [this] { go_on(); });
    return;
  }
  handing_over_ = false;
}

void Program::plan_reload() {
  const Host::Reload* reload = host_.reload();
  if (reload == nullptr || options_.corefile.empty()) return reload_timer_.stop();
  std::uniform_int_distribution<Duration::rep> jitter(0, reload->jitter.count());
  reload_timer_.start_once(reload->period + Duration(jitter(random_)),
                           [this] { reload_if_changed(); });
}

void Program::reload_if_changed() {
  if (!files_.changed()) return plan_reload();
  reload();
}

// A configuration that cannot be served leaves everything as it is.
void Program::reload() {
  if (stopping_ || handing_over_ || !server_->running()) return plan_reload();
  const auto failed = [this](const Error& error) { reload_failed(error); };
  next_.reset();  // what was to come is not what is wanted now
  next_timer_.stop();
  files_ = ConfigFiles(options_);  // a bad one is told of once
  Result<Config> config = load_config(options_, files_);
  if (!config.ok()) return failed(config.error());
  Result<Services> services = start_services(host_, *config);
  if (!services.ok()) return failed(services.error());
  next_ = Next{*std::move(config), *std::move(services), files_.digest(),
               loop_.clock().now() + host_.startup_limit()};
  change_when_ready();
}

void Program::reload_failed(const Error& error) {
  ++failed_reloads_;
  log::error("reload: {}; the configuration stays as it was", error.message());
  plan_reload();
}

// Another cluster, or other objects of it, are read before they are answered from; not for ever.
void Program::change_when_ready() {
  if (!next_ || stopping_) return;
  const bool ready = host_.not_ready().empty() || loop_.clock().now() >= next_->until;
  if (!ready || handing_over_)
    return next_timer_.start_once(kReadyCheck, [this] { change_when_ready(); });
  Next next = *std::move(next_);
  next_.reset();
  if (const Result<void> changed = server_->change_to(next.config.plan); !changed.ok())
    return reload_failed(changed.error());
  keep(std::move(next.config), std::move(next.services), std::move(next.version));
  log::info("reload: {} is served now", options_.corefile);
}

void Program::serve() {
  if (server_ == nullptr || server_->running() || stopping_ || !host_.not_ready().empty()) return;
  begin_answering();
}

void Program::begin_answering() {
  startup_.cancel();
  server_->run();
  if (const auto succeeded = succeed(); !succeeded.ok())
    log::error("{}; nobody can take over from this server", succeeded.error().message());
  for (const SocketAddress& address : server_->addresses())
    log::info("answering on {}", address.to_string());
}

void Program::begin_stop() {
  if (stopping_) return loop_.stop();
  stopping_ = true;
  if (!server_->running()) return loop_.stop();
  const Duration lameduck =
      std::max<Duration>(host_.lameduck(), std::chrono::seconds(options_.lameduck_seconds));
  log::info("stopping: at most {:.1f} s for queries that still come",
            std::chrono::duration<double>(lameduck).count());
  stop_by_ = loop_.clock().now() + lameduck;
  stop_from_ = loop_.clock().now() + host_.lameduck();
  queries_seen_ = server_->queries();
  stop_when_quiet();
}

void Program::stop_when_quiet() {
  const Duration left = stop_by_ - loop_.clock().now();
  if (left <= Duration::zero()) return loop_.stop();
  quiet_timer_.start_once(std::min(left, kQuiet), [this] {
    const uint64_t queries = server_->queries();
    const bool quiet = queries == std::exchange(queries_seen_, queries);
    if (quiet && loop_.clock().now() >= stop_from_) return loop_.stop();
    stop_when_quiet();
  });
}

Result<void> Program::run() {
  connect_host();
  if (const Result<void> opened = open(); !opened.ok()) return opened.error();
  if (!options_.pidfile.empty())
    if (const auto written = write_file_atomic(options_.pidfile, std::to_string(getpid()) + "\n",
                                               0644, Durability::kUnsynced);
        !written.ok())
      return written.error();
  SignalWatch terminate(loop_, SIGTERM, [this] { begin_stop(); });
  SignalWatch interrupt(loop_, SIGINT, [this] { begin_stop(); });
  Duration outstanding = kOutstandingLimit;
  SignalWatch quit(loop_, SIGQUIT, [&] {  // at once, as CoreDNS
    outstanding = {};
    loop_.stop();
  });
  SignalWatch again(loop_, SIGUSR1, [this] { reload(); });
  const Duration wait = predecessor_ != nullptr ? std::min(host_.startup_limit(), kSuccession)
                                                : host_.startup_limit();
  startup_ = loop_.clock().after(wait, [this] {
    if (server_->running()) return;
    log::warn("not ready yet: answering what is known");
    begin_answering();
  });
  serve();
  loop_.run();
  if (server_->running()) server_->stop(outstanding);
  released_.clear();
  log::info("stopped");
  return failure_ ? Result<void>(*failure_) : ok();
}

}  // namespace

Result<void> run_program(const Options& options) {
  // A stray SIGHUP ends no DNS, as with CoreDNS; nor does the signal for an upgrade there.
  for (const int each : {SIGPIPE, SIGHUP, SIGUSR2}) signal(each, SIG_IGN);
  // One heap for all threads: workers allocate next to nothing, and a heap each costs memory.
  mallopt(M_ARENA_MAX, 1);
  return Program(options).run();
}

Result<std::vector<std::string>> check_corefile(const Options& options) {
  ConfigFiles files(options);
  Result<Config> config = load_config(options, files);
  if (!config.ok()) return config.error();
  return std::move(config->notes);
}

}  // namespace fairlead::dns
