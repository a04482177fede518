// SPDX-License-Identifier: Apache-2.0
// One measurement of the service proxy, by default in a fresh network namespace of its own:
//
//   bench_proxy proxy SERVICES ENDPOINTS   the whole proxy, objects put straight into it; of a
//                                          change the watch's line as it is read
//   bench_proxy floor SERVICES ENDPOINTS   the kernel alone: the same elements in the same chunks,
//                                          from transactions built beforehand
//   bench_proxy wide ENDPOINTS             one service with that many endpoints
//   bench_proxy load SERVICES ENDPOINTS    programs the namespace it is started in, and leaves it;
//                                          load-floor: with the elements alone
//
// Prints one line for each result: METRIC UNIT VALUE.
#include <sched.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "kube/decode.h"
#include "netlink/nftables/transaction.h"
#include "proxy/diff.h"
#include "proxy/proxy.h"
#include "proxy/rules.h"
#include "tests/bench/proxy/cluster.h"

namespace fairlead::proxy {
namespace {

using namespace bench;

constexpr int kChanges = 500;  // of each kind
constexpr int kWideChanges = 200;
constexpr int kRepairs = 20;
constexpr int kStride = 7919;          // a prime: addresses come in no order
constexpr int kSliceEndpoints = 1000;  // at most, as the API has it

struct NoHttp : HttpTransport {
  HttpCall send(HttpRequest, HttpHandlers) override { return {}; }
};

// A proxy without an API server.
struct Subject {
  Loop loop;
  NoHttp http;
  Metrics metrics;
  std::unique_ptr<Proxy> proxy;

  Subject() {
    Settings settings;
    settings.node_name = "here";
    settings.families = {make_config()};
    auto opened = Proxy::open(loop, http, metrics, settings);
    if (!opened.ok()) die(opened.error());
    proxy = std::move(*opened);
  }
  void settle() {
    if (!loop.run_until([&] { return proxy->idle(); }, std::chrono::minutes(5)))
      die(Error(ErrorCode::kTimeout, "the proxy does not come to rest"));
  }
  // Until the kernel has acknowledged the last of what was put. The time on the CPU is that of all
  // a start does: UDP flows are looked for after it.
  void load() {
    const Stopwatch watch;
    const MonoTime begun = loop.clock().now();
    proxy->start();
    settle();
    const Duration took = proxy->programmer(Family::kIpv4).status().last_commit - begun;
    report("cold", "ms", std::chrono::duration<double, std::milli>(took).count());
    report("cold_cpu", "ms", watch.cpu_seconds() * 1e3);
  }
  // From a watch's line to the kernel's acknowledgement.
  double change(const std::string& line) {
    const Stopwatch watch;
    const auto event = kube::decode_event(line);
    if (!event.ok()) die(event.error());
    const auto slice = kube::decode<kube::EndpointSlice>(event->object);
    if (!slice.ok()) die(slice.error());
    proxy->put(*slice);
    settle();
    return watch.seconds();
  }
};

// Kinds of changes: what a service's slice holds before and after.
struct Change {
  const char* name;
  int before;        // endpoints
  int first, after;  // number of the first endpoint, and how many
};
// "cross": one more than the service's chain has room for, so that its own element is replaced at
// once, whose goto makes the kernel look for loops.
std::vector<Change> changes(int endpoints) {
  const auto exact = static_cast<int>(kExact);
  return {{"replace", endpoints, 1, endpoints},
          {"add", endpoints, 0, endpoints + 1},
          {"remove", endpoints, 0, endpoints - 1},
          {"cross", exact, 0, exact + 1}};
}

void measure_load(int services, int endpoints) {
  Subject subject;
  for (int i = 0; i < services; ++i) {
    subject.proxy->put(make_service(i, is_probe(i, services)));
    subject.proxy->put(make_slice(i, 0, endpoints));
  }
  subject.load();
}

// Somebody deletes the table: until every service is in the kernel again, and the hooks.
void measure_repairs(Subject& subject) {
  auto other = netlink::Connection::open(subject.loop, netlink::Protocol::kNetfilter);
  if (!other.ok()) die(other.error());
  const Programmer& programmer = subject.proxy->programmer(Family::kIpv4);
  std::vector<double> latencies;
  for (int i = 0; i < kRepairs; ++i) {
    const uint64_t noticed = programmer.status().foreign_changes;
    const Result<void> removed = remove_tables(**other, std::chrono::minutes(1));
    if (!removed.ok()) die(removed.error());
    const Stopwatch watch;
    if (!subject.loop.run_until(
            [&] { return programmer.status().foreign_changes > noticed && subject.proxy->idle(); },
            std::chrono::minutes(1)))
      die(Error(ErrorCode::kTimeout, "the table does not come back"));
    latencies.push_back(watch.seconds());
  }
  report_latencies("repair", std::move(latencies));
}

void measure_proxy(int services, int endpoints) {
  Subject subject;
  for (int i = 0; i < services; ++i) {
    subject.proxy->put(make_service(i));
    subject.proxy->put(make_slice(i, 0, endpoints));
  }
  subject.load();
  report("memory_pss", "MiB", kilobytes("/proc/self/smaps_rollup", "Pss:") / 1024);
  report("memory_rss", "MiB", kilobytes("/proc/self/smaps_rollup", "Rss:") / 1024);

  for (const Change& change : changes(endpoints)) {
    std::vector<double> latencies;
    for (int i = 0; i < kChanges; ++i) {
      const int number = i * 37 % services;
      subject.change(event_of(make_slice(number, 0, change.before)));
      latencies.push_back(subject.change(event_of(make_slice(number, change.first, change.after))));
      subject.change(event_of(make_slice(number, 0, endpoints)));
    }
    report_latencies(change.name, std::move(latencies));
  }
  measure_repairs(subject);
}

void measure_wide(int endpoints) {
  Subject subject;
  subject.proxy->put(make_service(0));
  const int parts = (endpoints + kSliceEndpoints - 1) / kSliceEndpoints;
  const auto slice = [&](int part, int shift) {
    const int first = part * kSliceEndpoints;
    kube::EndpointSlice made =
        make_slice(0, first, std::min(kSliceEndpoints, endpoints - first), part);
    for (size_t i = 0; i < made.endpoints.size(); ++i)
      made.endpoints[i].addresses = {endpoint_address(
          0, static_cast<int>((first + static_cast<int64_t>(i)) * kStride % endpoints))};
    if (shift != 0) made.endpoints.front().addresses = {endpoint_address(0, endpoints + shift)};
    return made;
  };
  for (int part = 0; part < parts; ++part) subject.proxy->put(slice(part, 0));
  subject.load();
  report("memory_pss", "MiB", kilobytes("/proc/self/smaps_rollup", "Pss:") / 1024);
  // What a load took has been given back to the kernel: the first change gets it anew.
  report("first_replace", "ms", subject.change(event_of(slice(0, kWideChanges + 1))) * 1e3);
  std::vector<double> latencies;
  for (int i = 1; i <= kWideChanges; ++i)
    latencies.push_back(subject.change(event_of(slice(i * 37 % parts, i))));
  report_latencies("replace", std::move(latencies));
}

void commit(netlink::Connection& connection, nft::Transaction transaction) {
  const Result<void> done =
      nft::commit_sync(connection, std::move(transaction), std::chrono::minutes(1));
  if (!done.ok()) die(done.error());
}

void put(nft::Transaction& transaction, const Ruleset& ruleset, const Operation& operation) {
  if (operation.kind == Operation::Kind::kAddChain) {
    const nft::Chain chain = ruleset.chain(operation.choice.name());
    transaction.add(chain);
    for (const nft::Rule& rule : ruleset.rules(chain)) transaction.add(rule);
    return;
  }
  const nft::Set set = ruleset.set(operation.set);
  const nft::Element element = ruleset.element(operation);
  if (operation.kind != Operation::Kind::kAdd) transaction.remove_element(set, element);
  if (operation.kind != Operation::Kind::kRemove) transaction.add_element(set, element);
}

// One service's slice as it will be: the transaction built beforehand, and what its commit takes.
double commit_change(netlink::Connection& connection, ServiceMap& map, Ruleset& ruleset,
                     const kube::EndpointSlice& slice) {
  nft::Transaction transaction;
  for (const Frontend& frontend : map.put(slice))
    for (const Operation& operation : diff(ruleset, frontend, map.find(frontend))) {
      ruleset.apply(operation);
      put(transaction, ruleset, operation);
    }
  transaction.finish();
  const Stopwatch watch;
  commit(connection, std::move(transaction));
  return watch.seconds();
}

// What the proxy would have to write at the very least.
struct Floor {
  Loop loop;
  std::unique_ptr<netlink::Connection> connection;
  ServiceMap map{"here"};
  Ruleset ruleset{make_config(), {make_config().service_cidrs, {}}};

  Floor(int services, int endpoints) {
    auto opened = netlink::Connection::open(loop, netlink::Protocol::kNetfilter);
    if (!opened.ok()) die(opened.error());
    connection = std::move(*opened);
    ruleset.state(SetId::kServices).size = static_cast<uint32_t>(services * 2);
    ruleset.state(SetId::kClusterIps).size = static_cast<uint32_t>(services * 2);
    ruleset.state(SetId::kEndpoints).size = static_cast<uint32_t>(services * endpoints * 3 / 2);
    for (int i = 0; i < services; ++i) {
      map.put(make_service(i));
      map.put(make_slice(i, 0, endpoints));
    }
    for (const Frontend& frontend : map.frontends(Family::kIpv4))
      for (const Operation& operation : diff(ruleset, frontend, map.find(frontend)))
        ruleset.apply(operation);
  }

  std::vector<nft::Transaction> transactions() const {
    std::vector<nft::Transaction> load(1);
    load[0].add(ruleset.table());
    for (const SetId id : ruleset.sets()) {
      load.back().add(ruleset.set(id));
      if (ruleset.state(id).size >= Programmer::kLargeSet) load.emplace_back();
    }
    for (const nft::Chain& chain : ruleset.chains()) load.back().add(chain);
    for (const nft::Chain& chain : ruleset.chains())
      for (const nft::Rule& rule : ruleset.rules(chain)) load.back().add(rule);
    for (const SetId id : {SetId::kEndpoints, SetId::kServices, SetId::kClusterIps}) {
      const nft::Set set = ruleset.set(id);
      for (const Operation& operation : ruleset.elements(id)) {
        if (load.back().operation_count() >= Programmer::kChunk) load.emplace_back();
        load.back().add_element(set, ruleset.element(operation));
      }
    }
    load.emplace_back();
    for (const nft::Chain& hook : ruleset.base_chains()) {
      load.back().add(hook);
      for (const nft::Rule& rule : ruleset.rules(hook)) load.back().add(rule);
    }
    for (nft::Transaction& transaction : load) transaction.finish();
    return load;
  }

  void load() {
    std::vector<nft::Transaction> all = transactions();
    const Stopwatch cold;
    double longest = 0;
    for (nft::Transaction& transaction : all) {
      const Stopwatch one;
      commit(*connection, std::move(transaction));
      longest = std::max(longest, one.seconds());
    }
    cold.report("cold");
    report("cold_longest", "ms", longest * 1000);
  }
};

void measure_floor(int services, int endpoints) {
  Floor floor(services, endpoints);
  floor.load();
  for (const Change& change : changes(endpoints)) {
    std::vector<double> latencies;
    const auto to = [&](int number, int first, int count) {
      return commit_change(*floor.connection, floor.map, floor.ruleset,
                           make_slice(number, first, count));
    };
    for (int i = 0; i < kChanges; ++i) {
      const int number = i * 37 % services;
      to(number, 0, change.before);
      latencies.push_back(to(number, change.first, change.after));
      to(number, 0, endpoints);
    }
    report_latencies(change.name, std::move(latencies));
  }
}

int run(const std::string& mode, int services, int endpoints) {
  if (!mode.starts_with("load") && unshare(CLONE_NEWNET) != 0) {
    std::perror("bench_proxy: a network namespace of its own");
    return 1;
  }
  log::init("bench", log::Level::kWarn);
  if (mode == "proxy")
    measure_proxy(services, endpoints);
  else if (mode == "floor")
    measure_floor(services, endpoints);
  else if (mode == "load")
    measure_load(services, endpoints);
  else if (mode == "load-floor")
    Floor(services, endpoints).load();
  else
    measure_wide(endpoints);
  return 0;
}

}  // namespace
}  // namespace fairlead::proxy

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if (argc == 4 && (mode == "proxy" || mode == "floor" || mode == "load" || mode == "load-floor"))
    return fairlead::proxy::run(mode, std::atoi(argv[2]), std::atoi(argv[3]));
  if (argc == 3 && mode == "wide") return fairlead::proxy::run(mode, 1, std::atoi(argv[2]));
  std::fprintf(stderr,
               "usage: bench_proxy proxy|floor|load|load-floor SERVICES ENDPOINTS\n"
               "       bench_proxy wide ENDPOINTS\n");
  return 2;
}
