// SPDX-License-Identifier: Apache-2.0
// The made-up cluster of the proxy benchmark, as objects. dataplane.py counts on the addresses.
//
// Service sN has the address 10.96.H.L (N = H * 256 + L), port 80, and endpoints 10.128.0.0 + 16 N
// + i, port 8080, none of them on this node.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "kube/objects.h"
#include "proxy/ruleset.h"

namespace fairlead::proxy::bench {

// Services that also take UDP, evenly among all of them: those packets are sent to.
constexpr int kProbes = 64;

inline bool is_probe(int number, int services) {
  const int step = services <= kProbes ? 1 : services / kProbes;
  return number % step == 0 && number / step < kProbes;
}

inline IpAddress ipv4(uint32_t address) {
  return IpAddress::v4(static_cast<uint8_t>(address >> 24), static_cast<uint8_t>(address >> 16),
                       static_cast<uint8_t>(address >> 8), static_cast<uint8_t>(address));
}
inline IpAddress service_address(int number) {
  return ipv4((10u << 24) + (96u << 16) + static_cast<uint32_t>(number));
}
inline IpAddress endpoint_address(int number, int index) {
  return ipv4((10u << 24) + (128u << 16) + static_cast<uint32_t>(number) * 16 +
              static_cast<uint32_t>(index));
}

inline kube::Service make_service(int number, bool udp = false) {
  kube::Service service;
  service.meta.ns = "bench";
  service.meta.name = "s" + std::to_string(number);
  service.cluster_ips = {service_address(number)};
  service.ip_families = {Family::kIpv4};
  service.ports = {{"http", Protocol::kTcp, 80, 0}};
  if (udp) service.ports.push_back({"data", Protocol::kUdp, 80, 0});
  return service;
}

// Slice `part` of service `number`: the endpoints from `first` on.
inline kube::EndpointSlice make_slice(int number, int first, int endpoints, int part = 0) {
  kube::EndpointSlice slice;
  slice.meta.ns = "bench";
  slice.meta.name = "s" + std::to_string(number) + "-" + std::to_string(part);
  slice.service_name = "s" + std::to_string(number);
  slice.ports = {{"http", Protocol::kTcp, 8080}, {"data", Protocol::kUdp, 8080}};
  for (int i = first; i < first + endpoints; ++i) {
    kube::Endpoint endpoint;
    endpoint.addresses = {endpoint_address(number, i)};
    endpoint.node_name = "other";
    slice.endpoints.push_back(std::move(endpoint));
  }
  return slice;
}

// The line of a watch that says it is so now, with all that an API server says of a slice.
std::string event_of(const kube::EndpointSlice& slice);

inline Config make_config() {
  Config config;
  config.cluster_cidrs = {Cidr::parse("10.128.0.0/9").value()};
  config.service_cidrs = {Cidr::parse("10.96.0.0/12").value()};
  return config;
}

[[noreturn]] inline void die(const Error& error) {
  std::fprintf(stderr, "bench_proxy: %s\n", error.message().c_str());
  std::exit(1);
}

inline void report(const std::string& metric, const char* unit, double value) {
  std::printf("%s %s %.6g\n", metric.c_str(), unit, value);
  std::fflush(stdout);
}

// Wall time and time on the CPU since it was made, which wobbles less beside other work.
class Stopwatch {
 public:
  Stopwatch();
  double seconds() const;
  double cpu_seconds() const;
  void report(const std::string& metric) const;  // METRIC and METRIC_cpu

 private:
  double start_, cpu_start_;
};

// The value of a field of a file such as /proc/meminfo, in kB as they are.
double kilobytes(const std::string& file, const std::string& field);
// p50 and p99 in milliseconds.
void report_latencies(const std::string& change, std::vector<double> seconds);

}  // namespace fairlead::proxy::bench
