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
