// SPDX-License-Identifier: Apache-2.0
#include "base/metrics.h"

#include <dirent.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <mutex>

namespace fairlead {
namespace {

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

struct Memory {
  double total = 0;
  double resident = 0;
};
Memory memory_bytes() {
  std::ifstream statm("/proc/self/statm");  // total and resident, in pages (proc(5))
  Memory memory;
  statm >> memory.total >> memory.resident;
  const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
  return {memory.total * page, memory.resident * page};
}

double most_descriptors() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<double>(limit.rlim_cur);
}

double open_descriptors() {
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  int count = -3;  // ".", ".." and the directory itself
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

}  // namespace

void Counter::add(double amount) const {
  counter_->Increment(amount);
}
double Counter::value() const {
  return counter_->Value();
}
void Gauge::set(double value) const {
  gauge_->Set(value);
}
void Gauge::add(double amount) const {
  gauge_->Increment(amount);
}
double Gauge::value() const {
  return gauge_->Value();
}
void Histogram::observe(double value) const {
  histogram_->Observe(value);
}

struct Metrics::Impl {
  Impl()
      : cpu(prometheus::BuildCounter()
                .Name("process_cpu_seconds_total")
                .Help("User and system CPU time spent.")
                .Register(registry)
                .Add({})),
        resident(gauge("process_resident_memory_bytes", "Resident memory.")),
        total(gauge("process_virtual_memory_bytes", "Virtual memory.")),
        descriptors(gauge("process_open_fds", "Open file descriptors.")) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    gauge("process_start_time_seconds", "Start of the process since the epoch.")
        .Set(std::chrono::duration<double>(now).count());
    gauge("process_max_fds", "Open file descriptors at most.").Set(most_descriptors());
  }
  prometheus::Gauge& gauge(const std::string& name, const std::string& help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
  }

  void measure_process() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const std::lock_guard lock(mutex);  // the counter takes only what came since
    cpu.Increment(
        std::max(0.0, seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime) - cpu.Value()));
    const Memory memory = memory_bytes();
    resident.Set(memory.resident);
    total.Set(memory.total);
    descriptors.Set(open_descriptors());
  }

  std::mutex mutex;
  prometheus::Registry registry;
  prometheus::Counter& cpu;
  prometheus::Gauge& resident;
  prometheus::Gauge& total;
  prometheus::Gauge& descriptors;
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

// prometheus-cpp throws when a name is malformed or taken by another kind; noexcept makes that
// abort.
static prometheus::Counter& make_counter(prometheus::Registry& registry, const std::string& name,
                                         const std::string& help,
                                         const MetricLabels& labels) noexcept {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add(labels);
}

static prometheus::Gauge& make_gauge(prometheus::Registry& registry, const std::string& name,
                                     const std::string& help, const MetricLabels& labels) noexcept {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add(labels);
}

static prometheus::Histogram& make_histogram(prometheus::Registry& registry,
                                             const std::string& name, const std::string& help,
                                             const std::vector<double>& bounds,
                                             const MetricLabels& labels) noexcept {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add(labels, bounds);
}

Counter Metrics::counter(const std::string& name, const std::string& help,
                         const MetricLabels& labels) {
  return Counter(make_counter(impl_->registry, name, help, labels));
}

Gauge Metrics::gauge(const std::string& name, const std::string& help, const MetricLabels& labels) {
  return Gauge(make_gauge(impl_->registry, name, help, labels));
}

Histogram Metrics::histogram(const std::string& name, const std::string& help,
                             const std::vector<double>& bounds, const MetricLabels& labels) {
  return Histogram(make_histogram(impl_->registry, name, help, bounds, labels));
}

std::string Metrics::text() const {
  impl_->measure_process();
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

std::vector<double> exponential_bounds(double first, double factor, int count) {
  std::vector<double> bounds;
  for (double bound = first; count > 0; --count, bound *= factor) bounds.push_back(bound);
  return bounds;
}

}  // namespace fairlead
