// SPDX-License-Identifier: Apache-2.0
// The server for the node's operator (kube-proxy's --metrics-bind-address): /metrics,
// /metrics/slis, /healthz, /proxyMode, /configz, /flagz, /statusz, and for `fairlead-proxy stat`
// /stat; /debug/pprof says that there is none. And a listener that does not give up.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/http/server.h"
#include "base/loop.h"
#include "base/metrics.h"

namespace fairlead::proxy {

struct OperationsFacts {
  std::string configz;                                     // the configuration as JSON
  std::vector<std::pair<std::string, std::string>> flags;  // for /flagz
  std::string version;
  WallTime started;
  std::string mode = "nftables";  // for /proxyMode
};

// Pages as text, from these facts alone.
std::string flagz_page(const OperationsFacts& facts);
std::string statusz_page(const OperationsFacts& facts, WallTime now);
// Of one check, "dataplane", in Kubernetes' names for component SLIs (KEP-3466).
std::string slis_page(bool healthy, uint64_t successes, uint64_t failures);

// Metrics must outlive it. Threads: the loop's.
class Operations {
 public:
  // `healthy` is asked at each /metrics/slis.
  Operations(Loop& loop, Metrics& metrics, OperationsFacts facts, std::function<bool()> healthy);

  // Text that takes a moment: `tell` runs once, not before this returns, unless all ends first.
  using Later = std::function<void(std::function<void(std::string)> tell)>;
  // Follows our own metrics in /metrics.
  void set_more_metrics(Later more) { more_metrics_ = std::move(more); }
  // The JSON of /stat; without it there is none.
  void set_stat(Later stat) { stat_ = std::move(stat); }

  HttpServer& server() { return server_; }

 private:
  void answer(const HttpServerRequest& request, const std::shared_ptr<HttpResponder>& responder);
  void answer_metrics(const std::shared_ptr<HttpResponder>& responder);

  Loop& loop_;
  Metrics& metrics_;
  const OperationsFacts facts_;
  const std::function<bool()> healthy_;
  Later more_metrics_, stat_;
  uint64_t successes_ = 0, failures_ = 0;
  HttpServer server_;
};

// Binds a server's address now, or again every kRetry until it is free: the proxy we replace may
// still hold it. Threads: the loop's. The server must outlive it.
class PatientListener {
 public:
  static constexpr Duration kRetry = std::chrono::seconds(5);

  PatientListener(Loop& loop, HttpServer& server, Duration retry = kRetry)
      : server_(server), retry_after_(retry), retry_(loop) {}

  // `what` stands in logs and errors: "--healthz-bind-address". Empty: nothing to do, and ok. An
  // Error is what the first try met; tries go on unless `give_up`.
  Result<void> listen(const std::string& what, const std::string& address, bool give_up);
  bool listening() const { return listening_; }

 private:
  Result<void> attempt();

  HttpServer& server_;
  const Duration retry_after_;
  Timer retry_;
  std::string what_;
  SocketAddress address_;
  bool listening_ = false;
};

}  // namespace fairlead::proxy
