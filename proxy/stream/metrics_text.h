// SPDX-License-Identifier: Apache-2.0
// What the workers have counted, in Prometheus' text format. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "proxy/service_map.h"
#include "proxy/stream/counters.h"

namespace fairlead::proxy::stream {

// Counters of one or many service ports, summed up.
struct Totals {
  uint64_t opened = 0, open = 0, failed = 0, held = 0, waiting = 0;
  uint64_t denied = 0, retried = 0, ejected = 0;
  uint64_t client_bytes = 0, server_bytes = 0, connected = 0, connect_micros = 0;
  void add(const Counters& counters);
  void add(const Totals& other);
  bool operator==(const Totals&) const = default;
  uint64_t bytes() const { return client_bytes + server_bytes; }
  // Anything has ever happened.
  bool used() const { return opened + held + denied > 0; }
};

struct StreamFacts {
  std::map<Protocol, Totals> totals;       // since the process began
  std::map<ServicePort, Totals> services;  // those there are; none: they are not to be listed
  std::vector<const WorkerCounters*> workers;
  size_t unserved = 0;  // sockets that could not be opened
  size_t missing_routes = 0;
};

std::string metrics_text(const StreamFacts& facts);

}  // namespace fairlead::proxy::stream
