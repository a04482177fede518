// SPDX-License-Identifier: Apache-2.0
// One measurement of the program fairlead-proxy against a plain API server (tests/support), both in
// a fresh network namespace:
//
//   bench_proxy_program PROGRAM SERVICES ENDPOINTS
//
// start        start of the process to hooks in the kernel, which come last
// api_change   first byte of a change's watch event to the kernel's notification
// churn        a thousand endpoint changes a second for ten seconds
// memory       at rest, and the peak while everything is listed again
//
// Prints one line for each result: METRIC UNIT VALUE.
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "netlink/connection.h"
#include "netlink/nftables/wire.h"
#include "tests/bench/proxy/cluster.h"
#include "tests/support/cluster_api.h"
#include "tests/support/namespace.h"

namespace fairlead::proxy::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr Duration kLimit = std::chrono::minutes(5);
constexpr Duration kLook = std::chrono::milliseconds(2);
constexpr int kChanges = 300;
constexpr int kChurnRate = 1000;  // a second
constexpr int kChurnSeconds = 10;
constexpr const char* kServices = "/api/v1/services";
constexpr const char* kSlices = "/apis/discovery.k8s.io/v1/endpointslices";
constexpr const char* kNode =
    R"({"apiVersion":"v1","kind":"Node","metadata":{"name":"here","resourceVersion":"@RV@"},)"
    R"("spec":{},"status":{"addresses":[{"type":"InternalIP","address":"127.0.0.1"}]}})";
double seconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

// Time on a CPU of every thread of a process, in seconds, to the nanosecond.
double cpu_seconds(int pid) {
  double total = 0;
  const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    double nanoseconds = 0;
    std::ifstream(task.path() / "schedstat") >> nanoseconds;
    total += nanoseconds / 1e9;
  }
  return total;
}

class Bench {
 public:
  Bench(std::string program, int services, int endpoints)
      : program_path_(std::move(program)),
        services_(services),
        endpoints_(endpoints),
        inside_(namespace_.enter()),
        api_(loop_) {
    api_.put("/api/v1/nodes", "here", kNode);
    for (int i = 0; i < services_; ++i) {
      const std::string name = "s" + std::to_string(i);
      api_.put(kServices, name,
               fairlead::test::service_json("bench", name, service_address(i).to_string(),
                                            R"([{"name":"http","protocol":"TCP","port":80}])"));
      put_slice(i, endpoint_address(i, 0));
    }
  }

  void run() {
    start_program();
    const auto latencies = measure_changes();
    report_latencies("api_change", latencies);
    measure_memory();
    measure_churn();
  }

 private:
  // The slice of a service, with its first endpoint replaced.
  void put_slice(int number, const IpAddress& first) {
    std::vector<std::string> addresses = {first.to_string()};
    for (int i = 1; i < endpoints_; ++i)
      addresses.push_back(endpoint_address(number, i).to_string());
    const std::string name = "s" + std::to_string(number);
    api_.put(kSlices, name,
             fairlead::test::slice_json("bench", name + "-0", name, addresses,
                                        R"([{"name":"http","protocol":"TCP","port":8080}])"));
  }
  // No endpoint of any service; another one each time.
  IpAddress fresh_address() { return ipv4((10u << 24) + (192u << 16) + ++fresh_); }

  void wait(const std::function<bool()>& done, const char* what) {
    const bool came = loop_.run_until([&] { return done() || !program_->running(); }, kLimit);
    if (!came || !program_->running())
      die(Error(ErrorCode::kTimeout, std::string("waiting in vain for ") + what));
  }
  void rest(Duration duration) {
    loop_.run_until([] { return false; }, duration);
  }

  void start_program() {
    const auto bound = api_.listen({IpAddress::v4(127, 0, 0, 1), 0});
    if (!bound.ok()) die(bound.error());
    auto opened = netlink::Connection::open(loop_, netlink::Protocol::kNetfilter);
    if (!opened.ok()) die(opened.error());
    connection_ = std::move(*opened);
    const auto start = SteadyClock::now();
    program_ = std::make_unique<fairlead::test::BackgroundProcess>(std::vector<std::string>{
        "setpriv", "--pdeathsig", "KILL", program_path_, "--master", "http://" + bound->to_string(),
        "--hostname-override", "here", "--cluster-cidr", "10.128.0.0/9", "--service-cidr",
        "10.96.0.0/12"});
    double seconds = 0;
    Timer look(loop_);
    look.start_every(kLook, [&] {
      look_for_hooks([&, start] {
        if (seconds == 0) seconds = seconds_since(start);
      });
    });
    wait([&] { return seconds != 0; }, "the hooks");
    report("start", "ms", seconds * 1e3);
    report("start_cpu", "ms", cpu_seconds(program_->pid()) * 1e3);
  }

  void look_for_hooks(const std::function<void()>& found) {
    netlink::MessageWriter request;
    request.begin(netlink::nft::message_type(NFT_MSG_GETCHAIN), 0,
                  netlink::nft::message_header(netlink::nft::TableFamily::kIp));
    request.put_string(NFTA_CHAIN_TABLE, kTableName);
    request.put_string(NFTA_CHAIN_NAME, "postrouting");
    request.end();
    connection_->request(std::move(request), [found](Result<void> answer) {
      if (answer.ok()) found();
    });
  }

  // Waits until an element that leads to `address` is in the kernel.
  void wait_for(const IpAddress& address) {
    wait([&] { return std::find(seen_.begin(), seen_.end(), address) != seen_.end(); },
         "a change to be programmed");
    seen_.clear();
  }

  void on_notification(const netlink::MessageView& message) {
    const auto event = netlink::nft::parse_event(message);
    if (!event.ok() || event->removed) return;
    const auto* change = std::get_if<netlink::nft::SetElements>(&event->what);
    if (change == nullptr) return;
    for (const netlink::nft::Element& element : change->elements)
      if (const auto* value = std::get_if<netlink::nft::Value>(&element.data))
        if (value->size() >= 4) seen_.push_back(IpAddress::from_bytes(value->bytes().first(4)));
  }

  std::vector<double> measure_changes() {
    rest(std::chrono::seconds(1));
    connection_->set_on_notification([this](const auto& message) { on_notification(message); });
    const Result<void> subscribed = connection_->subscribe(NFNLGRP_NFTABLES);
    if (!subscribed.ok()) die(subscribed.error());
    std::vector<double> latencies;
    for (int i = 0; i < kChanges; ++i) {
      const IpAddress address = fresh_address();
      const auto start = SteadyClock::now();
      put_slice(i * 37 % services_, address);
      wait_for(address);
      latencies.push_back(seconds_since(start));
    }
    return latencies;
  }

  void measure_churn() {
    const int pid = program_->pid();
    const double cpu_before = cpu_seconds(pid);
    const auto start = SteadyClock::now();
    int changes = 0;
    IpAddress last;
    Timer tick(loop_);
    tick.start_every(std::chrono::milliseconds(1), [&] {
      const int due =
          std::min(kChurnRate * kChurnSeconds, static_cast<int>(seconds_since(start) * kChurnRate));
      for (; changes < due; ++changes) {
        last = fresh_address();
        put_slice(changes * 37 % services_, last);
      }
      seen_.clear();
    });
    wait([&] { return changes == kChurnRate * kChurnSeconds; }, "the end of the churn");
    tick.stop();
    const auto end = SteadyClock::now();
    const double seconds = seconds_since(start);
    wait_for(last);
    report("churn_lag", "ms", seconds_since(end) * 1e3);
    report("churn_cpu", "%_of_a_core", (cpu_seconds(pid) - cpu_before) / seconds * 100);
  }

  // Until the program has used next to no CPU for a while.
  void wait_until_quiet() {
    const int pid = program_->pid();
    for (int quiet = 0; quiet < 5;) {
      const double before = cpu_seconds(pid);
      rest(std::chrono::milliseconds(100));
      quiet = cpu_seconds(pid) - before < 0.005 ? quiet + 1 : 0;
    }
  }

  void measure_memory() {
    wait_until_quiet();
    const std::string proc = "/proc/" + std::to_string(program_->pid());
    const double rest_kb = kilobytes(proc + "/status", "VmRSS:");
    report("memory_pss", "MiB", kilobytes(proc + "/smaps_rollup", "Pss:") / 1024);
    report("memory_rss", "MiB", rest_kb / 1024);
    std::ofstream(proc + "/clear_refs") << "5";  // the peak starts anew (proc(5))
    const size_t services = api_.lists_served(kServices);
    const size_t slices = api_.lists_served(kSlices);
    api_.compact();
    wait(
        [&] {
          return api_.lists_served(kServices) > services && api_.lists_served(kSlices) > slices;
        },
        "everything to be listed again");
    wait_until_quiet();
    report("memory_relist", "times", kilobytes(proc + "/status", "VmHWM:") / rest_kb);
  }

  const std::string program_path_;
  const int services_;
  const int endpoints_;
  fairlead::test::NetNamespace namespace_;
  fairlead::test::NetNamespace::Enter inside_;
  Loop loop_;
  fairlead::test::ClusterApi api_;
  std::unique_ptr<netlink::Connection> connection_;
  std::unique_ptr<fairlead::test::BackgroundProcess> program_;
  uint32_t fresh_ = 0;
  std::vector<IpAddress> seen_;
};

}  // namespace
}  // namespace fairlead::proxy::bench

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: bench_proxy_program PROGRAM SERVICES ENDPOINTS\n");
    return 2;
  }
  fairlead::log::init("bench", fairlead::log::Level::kWarn);
  fairlead::proxy::bench::Bench(argv[1], std::atoi(argv[2]), std::atoi(argv[3])).run();
  return 0;
}
