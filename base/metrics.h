// SPDX-License-Identifier: Apache-2.0
// Metrics in Prometheus' text format, on prometheus-cpp.
//
// Threads: a Metrics object and the handles it gives may be used from any thread; updating a handle
// is one atomic operation. Handles are values; they must not outlive their Metrics. Names and
// labels are constants of ours: a malformed one, or one name with two kinds, is a bug and aborts.
// Label values may be anything; keep their number small.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace fairlead {

using MetricLabels = std::map<std::string, std::string>;

class Counter {
 public:
  void add(double amount = 1) const;  // not negative
  double value() const;

 private:
  friend class Metrics;
  explicit Counter(prometheus::Counter& counter) : counter_(&counter) {}
  prometheus::Counter* counter_;
};

class Gauge {
 public:
  void set(double value) const;
  void add(double amount) const;
  double value() const;

 private:
  friend class Metrics;
  explicit Gauge(prometheus::Gauge& gauge) : gauge_(&gauge) {}
  prometheus::Gauge* gauge_;
};

class Histogram {
 public:
  void observe(double value) const;

 private:
  friend class Metrics;
  explicit Histogram(prometheus::Histogram& histogram) : histogram_(&histogram) {}
  prometheus::Histogram* histogram_;
};

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The same name and labels give the same metric again.
  Counter counter(const std::string& name, const std::string& help,
                  const MetricLabels& labels = {});
  Gauge gauge(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  // `bounds`: upper bounds, ascending, without +Inf.
  Histogram histogram(const std::string& name, const std::string& help,
                      const std::vector<double>& bounds, const MetricLabels& labels = {});

  // The exposition format, version 0.0.4, with what the process itself uses (process_*).
  std::string text() const;
  static constexpr const char* kContentType = "text/plain; version=0.0.4; charset=utf-8";

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// `count` bounds, each `factor` times the one before: the usual shape for latencies.
std::vector<double> exponential_bounds(double first, double factor, int count);

}  // namespace fairlead
