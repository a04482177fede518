// SPDX-License-Identifier: Apache-2.0
// One measurement of the service proxy in a fresh network namespace of its own:
//
//   bench_proxy proxy SERVICES ENDPOINTS   the whole proxy, objects put straight into it
//   bench_proxy floor SERVICES ENDPOINTS   the kernel alone: the same elements in the same chunks,
//   from
//                                          transactions built beforehand
//
// Prints one line for each result: METRIC UNIT VALUE.
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "base/log.h"
#include "netlink/nftables/transaction.h"
#include "proxy/diff.h"
#include "proxy/proxy.h"
#include "proxy/rules.h"

namespace fairlead::proxy {
namespace {

constexpr int kChanges = 500;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double kilobytes(const char* file, const std::string& field) {
  std::ifstream in(file);
  std::string name;
  double value = 0;
  for (std::string line; std::getline(in, line);)
    if (line.rfind(field, 0) == 0) value = std::atof(line.c_str() + field.size());
  return value;
}

void report(const std::string& metric, const char* unit, double value) {
  std::printf("%s %s %.6g\n", metric.c_str(), unit, value);
}

void report_latencies(const std::string& change, std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  report(change + "_p50", "ms", seconds[seconds.size() / 2] * 1e3);
  report(change + "_p99", "ms", seconds[seconds.size() * 99 / 100] * 1e3);
}

kube::Service make_service(int number) {
  kube::Service service;
  service.meta.ns = "bench";
  service.meta.name = "s" + std::to_string(number);
  service.cluster_ips = {
      IpAddress::v4(10, 96, static_cast<uint8_t>(number >> 8), static_cast<uint8_t>(number))};
  service.ip_families = {Family::kIpv4};
  service.ports = {{"http", Protocol::kTcp, 80, 0}};
  return service;
}

kube::EndpointSlice make_slice(int number, int first, int endpoints) {
  kube::EndpointSlice slice;
  slice.meta.ns = "bench";
  slice.meta.name = "s" + std::to_string(number) + "-x";
  slice.service_name = "s" + std::to_string(number);
  slice.ports = {{"http", Protocol::kTcp, 8080}};
  for (int i = first; i < first + endpoints; ++i) {
    kube::Endpoint endpoint;
    const int at = number * 16 + i;
    endpoint.addresses = {IpAddress::v4(10, static_cast<uint8_t>(128 + (at >> 16)),
                                        static_cast<uint8_t>(at >> 8), static_cast<uint8_t>(at))};
    endpoint.node_name = "other";
    slice.endpoints.push_back(std::move(endpoint));
  }
  return slice;
}

Config make_config() {
  Config config;
  config.cluster_cidrs = {Cidr::parse("10.128.0.0/9").value()};
  config.service_cidrs = {Cidr::parse("10.96.0.0/12").value()};
  return config;
}

void die(const Error& error) {
  std::fprintf(stderr, "bench_proxy: %s\n", error.message().c_str());
  std::exit(1);
}

struct NoHttp : HttpTransport {
  HttpCall send(HttpRequest, HttpHandlers) override { return {}; }
};

void settle(Loop& loop, const Proxy& proxy) {
  if (!loop.run_until([&] { return proxy.idle(); }, std::chrono::minutes(5)))
    die(Error(ErrorCode::kTimeout, "the proxy does not come to rest"));
}

void measure_proxy(int services, int endpoints) {
  Loop loop;
  NoHttp http;
  Metrics metrics;
  Settings settings;
  settings.node_name = "here";
  settings.families = {make_config()};
  auto proxy = Proxy::open(loop, http, metrics, settings);
  if (!proxy.ok()) die(proxy.error());
  const double slab_before = kilobytes("/proc/meminfo", "Slab:");
  for (int i = 0; i < services; ++i) {
    (*proxy)->put(make_service(i));
    (*proxy)->put(make_slice(i, 0, endpoints));
  }
  auto start = std::chrono::steady_clock::now();
  (*proxy)->start();
  settle(loop, **proxy);
  report("cold", "ms", seconds_since(start) * 1e3);
  report("slab", "MB", (kilobytes("/proc/meminfo", "Slab:") - slab_before) / 1024);
  report("memory_pss", "MB", kilobytes("/proc/self/smaps_rollup", "Pss:") / 1024);

  struct Change {
    const char* name;
    int first, count;    // of the slice after the change
    int before, amount;  // and before it
  };
  const Change changes[] = {{"replace", 1, endpoints, 0, endpoints},
                            {"add", 0, endpoints + 1, 0, endpoints},
                            {"remove", 0, endpoints - 1, 0, endpoints}};
  for (const Change& change : changes) {
    std::vector<double> latencies;
    for (int i = 0; i < kChanges; ++i) {
      const int number = i * 37 % services;
      const kube::EndpointSlice after = make_slice(number, change.first, change.count);
      start = std::chrono::steady_clock::now();
      (*proxy)->put(after);
      settle(loop, **proxy);
      latencies.push_back(seconds_since(start));
      (*proxy)->put(make_slice(number, change.before, change.amount));
      settle(loop, **proxy);
    }
    report_latencies(change.name, std::move(latencies));
  }
}

void commit(netlink::Connection& connection, nft::Transaction transaction) {
  const Result<void> done =
      nft::commit_sync(connection, std::move(transaction), std::chrono::minutes(1));
  if (!done.ok()) die(done.error());
}

// What the proxy would have to write at the very least.
void measure_floor(int services, int endpoints) {
  Loop loop;
  auto opened = netlink::Connection::open(loop, netlink::Protocol::kNetfilter);
  if (!opened.ok()) die(opened.error());
  netlink::Connection& connection = **opened;
  ServiceMap map("here");
  Ruleset ruleset(make_config(), {make_config().service_cidrs, {}});
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

  std::vector<nft::Transaction> load(1);
  load[0].add(ruleset.table());
  for (const SetId id : ruleset.sets()) load[0].add(ruleset.set(id));
  for (const nft::Chain& chain : ruleset.chains()) load[0].add(chain);
  for (const nft::Chain& chain : ruleset.chains())
    for (const nft::Rule& rule : ruleset.rules(chain)) load[0].add(rule);
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
  auto start = std::chrono::steady_clock::now();
  for (nft::Transaction& transaction : load) commit(connection, std::move(transaction));
  report("cold", "ms", seconds_since(start) * 1e3);

  std::vector<double> latencies;
  const nft::Set set = ruleset.set(SetId::kEndpoints);
  for (int i = 0; i < kChanges; ++i) {
    Operation operation;
    operation.set = SetId::kEndpoints;
    operation.frontend =
        Frontend::vip(make_service(i * 37 % services).cluster_ips[0], Protocol::kTcp, 80);
    operation.index = 1;
    operation.backend = {IpAddress::v4(10, 128, 0, 1), static_cast<uint16_t>(i), false};
    nft::Transaction transaction;
    transaction.remove_element(set, ruleset.element(operation));
    transaction.add_element(set, ruleset.element(operation));
    transaction.finish();
    start = std::chrono::steady_clock::now();
    commit(connection, std::move(transaction));
    latencies.push_back(seconds_since(start));
  }
  report_latencies("replace", std::move(latencies));
}

}  // namespace
}  // namespace fairlead::proxy

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: bench_proxy proxy|floor SERVICES ENDPOINTS\n");
    return 2;
  }
  if (unshare(CLONE_NEWNET) != 0) {
    std::perror("bench_proxy: a network namespace of its own");
    return 1;
  }
  fairlead::log::init("bench", fairlead::log::Level::kWarn);
  const int services = std::atoi(argv[2]);
  const int endpoints = std::atoi(argv[3]);
  if (std::string(argv[1]) == "proxy")
    fairlead::proxy::measure_proxy(services, endpoints);
  else
    fairlead::proxy::measure_floor(services, endpoints);
  return 0;
}
