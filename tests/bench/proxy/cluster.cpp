// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/proxy/cluster.h"

#include <algorithm>
#include <fstream>
#include <vector>

namespace fairlead::proxy::bench {

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
