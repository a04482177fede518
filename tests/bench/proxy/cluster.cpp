// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/proxy/cluster.h"

#include <algorithm>
#include <ctime>
#include <fstream>
#include <vector>

namespace fairlead::proxy::bench {

namespace {

double now(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

}  // namespace

Stopwatch::Stopwatch() : start_(now(CLOCK_MONOTONIC)), cpu_start_(now(CLOCK_PROCESS_CPUTIME_ID)) {}

double Stopwatch::seconds() const {
  return now(CLOCK_MONOTONIC) - start_;
}
double Stopwatch::cpu_seconds() const {
  return now(CLOCK_PROCESS_CPUTIME_ID) - cpu_start_;
}
void Stopwatch::report(const std::string& metric) const {
  const double cpu = cpu_seconds();
  bench::report(metric, "ms", seconds() * 1e3);
  bench::report(metric + "_cpu", "ms", cpu * 1e3);
}

std::string event_of(const kube::EndpointSlice& slice) {
  std::string endpoints, ports;
  for (const kube::Endpoint& endpoint : slice.endpoints) {
    const std::string address = endpoint.addresses.front().to_string();
    endpoints += std::string(endpoints.empty() ? "" : ",") + R"({"addresses":[")" + address +
                 R"("],"conditions":{"ready":true,"serving":true,"terminating":false},)"
                 R"("targetRef":{"kind":"Pod","namespace":"bench","name":"pod-)" +
                 address + R"(","uid":"11111111-2222-3333-4444-555555555555"},"nodeName":")" +
                 endpoint.node_name + R"(","zone":"zone-a"})";
  }
  for (const kube::EndpointPort& port : slice.ports)
    ports += std::string(ports.empty() ? "" : ",") + R"({"name":")" + port.name +
             R"(","protocol":")" + kube::to_string(port.protocol) + R"(","port":)" +
             std::to_string(port.port) + "}";
  return R"({"type":"MODIFIED","object":{"kind":"EndpointSlice",)"
         R"("apiVersion":"discovery.k8s.io/v1","metadata":{"name":")" +
         slice.meta.name +
         R"(","namespace":"bench","uid":"66666666-7777-8888-9999-000000000000",)"
         R"("resourceVersion":"123456","generation":7,"labels":{"kubernetes.io/service-name":")" +
         slice.service_name +
         R"(","endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io"}},)"
         R"("addressType":"IPv4","endpoints":[)" +
         endpoints + R"(],"ports":[)" + ports + "]}}";
}

double kilobytes(const std::string& file, const std::string& field) {
  std::ifstream in(file);
  double value = 0;
  for (std::string line; std::getline(in, line);)
    if (line.rfind(field, 0) == 0) value = std::atof(line.c_str() + field.size());
  return value;
}

void report_latencies(const std::string& change, std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  report(change + "_p50", "ms", seconds[seconds.size() / 2] * 1e3);
  report(change + "_p99", "ms", seconds[seconds.size() * 99 / 100] * 1e3);
}

}  // namespace fairlead::proxy::bench
