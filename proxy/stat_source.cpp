// SPDX-License-Identifier: Apache-2.0
#include "proxy/stat_source.h"

namespace fairlead::proxy {

namespace {

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

StatFamily family_of(const Proxy& proxy, Family family, MonoTime now) {
  const Programmer::Status status = proxy.programmer(family).status();
  StatFamily result;
  result.family = family == Family::kIpv4 ? "IPv4" : "IPv6";
  result.programmed = status.ready;
  if (status.commits != 0) result.last_commit_age = seconds(now - status.last_commit);
  result.commits = status.commits;
  result.failures = status.failures;
  result.foreign_changes = status.foreign_changes;
  return result;
}

// nullopt: it is nobody's any more.
std::optional<StatRow> row_of(const ServiceMap& services, const ServicePort& port) {
  const auto facts = services.facts(port);
  if (!facts) return std::nullopt;
  StatRow row{port, {}, facts->port, facts->node_port, facts->ready, facts->endpoints, {}, {}};
  for (const IpAddress& address : facts->cluster_ips)
    row.cluster_ips.push_back(address.to_string());
  return row;
}

void add_sizes(StatDocument& document, const ServiceMap& services) {
  const ServiceMap::Size size = services.size();
  document.services = size.services;
  document.ports = size.ports;
  document.endpoints = size.endpoints;
}

}  // namespace

StatDocument stat_of(Proxy& proxy, const std::vector<Family>& families, MonoTime now,
                     MonoTime began, const Result<void>& looked) {
  StatDocument document;
  document.seconds = seconds(proxy.looked_at().value_or(now) - began);
  if (const Result<void> healthy = proxy.check(); !healthy.ok())
    document.problem = healthy.error().message();
  for (const Family family : families) document.families.push_back(family_of(proxy, family, now));
  add_sizes(document, proxy.services());
  if (!looked.ok()) document.counters_problem = looked.error().message();
  if (const FlowCounter* flows = proxy.flow_counter()) {
    document.bytes = true;
    document.event_losses = flows->losses();
    document.uncounted_flows = flows->uncounted();
  }
  for (const auto& [port, totals] : proxy.counters().totals()) {
    auto row = row_of(proxy.services(), port);
    if (!row) continue;
    row->totals = totals;
    document.rows.push_back(*std::move(row));
  }
  return document;
}

StatDocument stat_of(stream::Plane& plane, const ServiceMap& services, double seconds) {
  StatDocument document;
  document.seconds = seconds;
  if (const Result<void> healthy = plane.check(); !healthy.ok())
    document.problem = healthy.error().message();
  add_sizes(document, services);
  add_relayed(document, plane, services);
  return document;
}

void add_relayed(StatDocument& document, const stream::Plane& plane, const ServiceMap& services) {
  std::map<ServicePort, size_t> known;
  for (size_t i = 0; i < document.rows.size(); ++i) known[document.rows[i].port] = i;
  for (const auto& [port, totals] : plane.totals()) {
    if (!totals.used()) continue;
    if (!known.contains(port)) {
      auto row = row_of(services, port);
      if (!row) continue;
      known[port] = document.rows.size();
      document.rows.push_back(*std::move(row));
    }
    document.rows[known.at(port)].relayed = totals;
  }
}

}  // namespace fairlead::proxy
