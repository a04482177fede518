// SPDX-License-Identifier: Apache-2.0
// A server for each Service with a healthCheckNodePort (type LoadBalancer, external traffic policy
// Local): load balancers ask it which nodes have an endpoint
// (pkg/proxy/healthcheck/service_health.go). Any path: 200 while this node has ready endpoints of
// the Service and the proxy is healthy, else 503; how many is in the body and in header
// X-Load-Balancing-Endpoint-Weight.
//
// Where a port cannot be bound is reported once, and tried again every kRetry and at each update;
// meanwhile its other addresses answer.
// Threads: the loop's. Must not be destroyed from inside its callbacks.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/http/server.h"
#include "base/loop.h"
#include "kube/objects.h"

namespace fairlead::proxy {

// What one answer says, from these facts alone.
std::string service_health_json(const kube::ObjectKey& service, size_t local_ready,
                                bool proxy_healthy);

// Binds; 0.0.0.0 means every address of both families, as in Go, where this host has both.
Result<SocketAddress> listen_on(HttpServer& server, const SocketAddress& address);

// This host's addresses inside any of `cidrs`, asked now: but none of IPv6 that holds on one link
// alone, and of a CIDR of everything no loopback ones.
std::vector<IpAddress> local_addresses(const std::vector<Cidr>& cidrs);

class ServiceHealth {
 public:
  static constexpr Duration kRetry = std::chrono::seconds(10);

  struct Entry {
    kube::ObjectKey service;
    uint16_t port = 0;
    size_t local_ready = 0;
  };
  using OnFailure =
      std::function<void(const kube::ObjectKey& service, uint16_t port, const Error& error)>;

  // Binds nothing before set_addresses().
  ServiceHealth(Loop& loop, std::function<bool()> proxy_healthy, OnFailure on_failure,
                Duration retry = kRetry);

  // Where to listen from now on: those that have node ports. The unspecified address alone means
  // all.
  void set_addresses(std::vector<IpAddress> addresses);
  // All that should be open now.
  void update(const std::vector<Entry>& entries);
  // How many Services answer, at one address or more.
  size_t open() const;

 private:
  struct Port {
    uint16_t number = 0;
    size_t local_ready = 0;
    bool reported = false;
    std::map<IpAddress, std::unique_ptr<HttpServer>> servers;  // where it is bound
  };
  void open_missing();
  Result<void> bind(const kube::ObjectKey& service, Port& port);
  void answer(const kube::ObjectKey& service, HttpResponder& responder);

  Loop& loop_;
  const Duration retry_after_;
  const std::function<bool()> proxy_healthy_;
  const OnFailure on_failure_;
  std::vector<IpAddress> addresses_;
  std::map<kube::ObjectKey, Port> ports_;
  Timer retry_;
};

}  // namespace fairlead::proxy
