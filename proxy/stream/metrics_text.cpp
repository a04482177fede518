// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/metrics_text.h"

#include <cstdio>

namespace fairlead::proxy::stream {

namespace {

struct Column {
  const char* name;
  const char* type;
  const char* help;
  const char* label;  // with its comma; empty: none
  uint64_t Totals::*value;
};

constexpr Column kColumns[] = {
    {"connections_total", "counter", "Connections and UDP sessions that clients began", "",
     &Totals::opened},
    {"connections", "gauge", "Connections and UDP sessions that are open", "", &Totals::open},
    {"failures_total", "counter", "Connections for which no endpoint was reached", "",
     &Totals::failed},
    {"held_total", "counter", "Connections that have waited for a first endpoint", "",
     &Totals::held},
    {"held", "gauge", "Connections that wait for a first endpoint", "", &Totals::waiting},
    {"denials_total", "counter", "Connections that came in and were not let in", "",
     &Totals::denied},
    {"retries_total", "counter", "Further endpoints tried for a connection", "", &Totals::retried},
    {"ejections_total", "counter", "Endpoints left out for failing, and each time for longer", "",
     &Totals::ejected},
    {"bytes_total", "counter", "Payload relayed", ",from=\"client\"", &Totals::client_bytes},
    {"bytes_total", "", "", ",from=\"server\"", &Totals::server_bytes},
    {"connects_total", "counter", "Connections made to endpoints", "", &Totals::connected},
};

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\\' || c == '"') result += '\\';
    result += c;
  }
  return result;
}

std::string labels_of(const ServicePort& port) {
  return "namespace=\"" + escaped(port.service.ns) + "\",service=\"" + escaped(port.service.name) +
         "\",port=\"" + escaped(port.name) + "\",protocol=\"" + protocol_name(port.protocol) + "\"";
}

std::string labels_of(Protocol protocol) {
  return std::string("protocol=\"") + protocol_name(protocol) + "\"";
}

std::string seconds_text(uint64_t micros) {
  char text[40];
  std::snprintf(text, sizeof text, "%.6f", static_cast<double>(micros) / 1e6);
  return text;
}

void head(std::string& text, const std::string& name, const char* type, const char* help) {
  text += "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
}

template <typename Rows>
void write_rows(std::string& text, const std::string& prefix, const Rows& rows) {
  for (const Column& column : kColumns) {
    const std::string name = prefix + column.name;
    if (column.type[0] != '\0') head(text, name, column.type, column.help);
    for (const auto& [key, totals] : rows)
      text += name + "{" + labels_of(key) + column.label + "} " +
              std::to_string(totals.*column.value) + "\n";
  }
  const std::string name = prefix + "connect_seconds_total";
  head(text, name, "counter", "Time that connections to endpoints took to be made");
  for (const auto& [key, totals] : rows)
    text += name + "{" + labels_of(key) + "} " + seconds_text(totals.connect_micros) + "\n";
}

}  // namespace

void Totals::add(const Counters& counters) {
  opened += counters.opened.value();
  open += counters.open.value();
  failed += counters.failed.value();
  held += counters.held.value();
  waiting += counters.waiting.value();
  denied += counters.denied.value();
  retried += counters.retried.value();
  ejected += counters.ejected.value();
  client_bytes += counters.client_bytes.value();
  server_bytes += counters.server_bytes.value();
  connected += counters.connected.value();
  connect_micros += counters.connect_micros.value();
}

void Totals::add(const Totals& other) {
  opened += other.opened;
  open += other.open;
  failed += other.failed;
  held += other.held;
  waiting += other.waiting;
  denied += other.denied;
  retried += other.retried;
  ejected += other.ejected;
  client_bytes += other.client_bytes;
  server_bytes += other.server_bytes;
  connected += other.connected;
  connect_micros += other.connect_micros;
}

std::string metrics_text(const StreamFacts& facts) {
  std::string text;
  write_rows(text, "fairlead_stream_", facts.totals);
  if (!facts.services.empty()) write_rows(text, "fairlead_stream_service_", facts.services);
  const auto workers = [&](const char* name, const char* help, Count WorkerCounters::*value) {
    head(text, name, "counter", help);
    uint64_t sum = 0;
    for (const WorkerCounters* worker : facts.workers) sum += (worker->*value).value();
    text += std::string(name) + " " + std::to_string(sum) + "\n";
  };
  workers("fairlead_stream_accept_pauses_total",
          "Times a worker stopped accepting because there was no room for more",
          &WorkerCounters::pauses);
  workers("fairlead_stream_idle_timeouts_total", "Connections ended because nothing moved",
          &WorkerCounters::timeouts);
  workers("fairlead_stream_evicted_sessions_total", "UDP sessions ended to make room",
          &WorkerCounters::evicted_sessions);
  workers("fairlead_stream_unkept_sources_total",
          "Connections whose endpoint should have seen the client, and saw this node",
          &WorkerCounters::unkept_sources);
  workers("fairlead_stream_dropped_datagrams_total",
          "Datagrams without an endpoint, or without room to send them",
          &WorkerCounters::dropped_datagrams);
  head(text, "fairlead_stream_unserved_sockets", "gauge",
       "Addresses and ports of Services that could not be bound");
  text += "fairlead_stream_unserved_sockets " + std::to_string(facts.unserved) + "\n";
  head(text, "fairlead_stream_missing_routes", "gauge",
       "Routes to addresses of Services that could not be made");
  text += "fairlead_stream_missing_routes " + std::to_string(facts.missing_routes) + "\n";
  return text;
}

}  // namespace fairlead::proxy::stream
