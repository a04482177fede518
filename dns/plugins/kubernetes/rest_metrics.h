// SPDX-License-Identifier: Apache-2.0
// What is asked of API servers, under the names that CoreDNS gives client-go's metrics
// (plugin/kubernetes/metrics.go): requests by code, method and host, and how long lists take. A
// watch, which is open for minutes, counts as a request when it is answered, and has no duration,
// as in client-go. There is no limiter of requests here, so its histogram is not there either.
//
// Threads: the program's.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>

#include "base/clock.h"
#include "base/http/client.h"
#include "dns/metrics.h"

namespace fairlead::dns {

class RestMetrics {
 public:
  // `code`: "200", or "<error>" when there was no answer.
  void count(const std::string& code, const std::string& method, const std::string& host) {
    ++requests_[{code, method, host}];
  }
  void observe(const std::string& verb, const std::string& host, Duration took);
  void render(std::string& out) const;

 private:
  // prometheus.DefBuckets, in nanoseconds.
  static constexpr std::array<uint64_t, 11> kBounds = {
      5'000'000,   10'000'000,    25'000'000,    50'000'000,    100'000'000,   250'000'000,
      500'000'000, 1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000};
  std::map<std::tuple<std::string, std::string, std::string>, uint64_t> requests_;
  std::map<std::pair<std::string, std::string>, Histogram<kBounds.size()>> durations_;
};

// A transport that counts what goes through it. `inner` and `clock` outlive it.
class CountedTransport : public HttpTransport {
 public:
  CountedTransport(HttpTransport& inner, Clock& clock, std::shared_ptr<RestMetrics> metrics)
      : inner_(inner), clock_(clock), metrics_(std::move(metrics)) {}
  [[nodiscard]] HttpCall send(HttpRequest request, HttpHandlers handlers) override;

 private:
  HttpTransport& inner_;
  Clock& clock_;
  const std::shared_ptr<RestMetrics> metrics_;
};

}  // namespace fairlead::dns
