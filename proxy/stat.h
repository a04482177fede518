// SPDX-License-Identifier: Apache-2.0
// What `fairlead-proxy stat` shows, as values: the document the running proxy answers at /stat,
// what two of them say of the time between, which services are the busiest, and all of it as text.
// Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "proxy/service_counters.h"
#include "proxy/stream/metrics_text.h"

namespace fairlead::proxy {

struct StatFamily {
  std::string family;  // "IPv4"
  bool programmed = false;
  std::optional<double> last_commit_age;  // seconds; nullopt: none yet
  uint64_t commits = 0;
  uint64_t failures = 0;         // transactions refused or unanswered
  uint64_t foreign_changes = 0;  // of our table by others
  bool operator==(const StatFamily&) const = default;
};

// A service port that has had traffic.
struct StatRow {
  ServicePort port;
  std::vector<std::string> cluster_ips;
  uint16_t number = 0;
  uint16_t node_port = 0;
  uint64_t ready = 0;
  uint64_t endpoints = 0;
  ServiceTotals totals;                   // of the rules
  std::optional<stream::Totals> relayed;  // of the stream proxy
  // Where there are no rules, the relay's.
  uint64_t connections() const;
  bool operator==(const StatRow&) const = default;
};

struct StatDocument {
  std::string node;
  std::string since;    // when the process, and counting, began; tells one process from the next
  double seconds = 0;   // from then to when the counters were read
  std::string problem;  // why Services are not programmed as they should be; empty: they are
  std::vector<StatFamily> families;  // none in mode userspace
  uint64_t services = 0, ports = 0, endpoints = 0;
  std::string counters_problem;  // why they could not be read
  bool bytes = false;            // flows are counted too
  uint64_t event_losses = 0;     // of flows that ended
  uint64_t uncounted_flows = 0;  // ended without a count: the kernel does not account
  std::vector<StatRow> rows;
  bool operator==(const StatDocument&) const = default;
};

// Events a second.
struct StatRates {
  double connections = 0, refused = 0, dropped = 0, client_bytes = 0, server_bytes = 0;
};
using AllRates = std::map<ServicePort, StatRates>;
// Between two documents. A process that began anew in between counts from its beginning; a total
// that is less than before counts from nothing. nullopt: no time has passed.
std::optional<AllRates> rates_between(const StatDocument& before, const StatDocument& after);

enum class StatSort : uint8_t { kRate, kConnections, kRefused, kBytes, kName };
std::optional<StatSort> parse_stat_sort(std::string_view name);  // "rate", "connections", ...

// The first `top` rows (0: all) in that order, most first, then by name. Without rates totals take
// their place.
std::vector<StatRow> busiest(const StatDocument& document, const std::optional<AllRates>& rates,
                             StatSort sort, size_t top);

// One line of JSON, with its newline. With rates, rows have them too.
std::string to_json(const StatDocument& document,
                    const std::optional<AllRates>& rates = std::nullopt);
// kInvalid when it is no such document.
Result<StatDocument> parse_stat(std::string_view json);

// What a person wants first, then a table of document.rows as they are. `width`: lines are cut to
// it; 0: they are not.
std::string stat_text(const StatDocument& document, const std::optional<AllRates>& rates,
                      size_t width);

}  // namespace fairlead::proxy
