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

}  // namespace

StatDocument stat_of(Proxy& proxy, const std::vector<Family>& families, MonoTime now,
                     MonoTime began, const Result<void>& looked) {
  StatDocument document;
  document.seconds = seconds(proxy.looked_at().value_or(now) - began);
  if (const Result<void> healthy = proxy.check(); !healthy.ok())
    document.problem = healthy.error().message();
  for (const Family family : families) document.families.push_back(family_of(proxy, family, now));
  const ServiceMap::Size size = proxy.services().size();
  document.services = size.services;
  document.ports = size.ports;
  document.endpoints = size.endpoints;
  if (!looked.ok()) document.counters_problem = looked.error().message();
  if (const FlowCounter* flows = proxy.flow_counter()) {
    document.bytes = true;
    document.event_losses = flows->losses();
    document.uncounted_flows = flows->uncounted();
  }
  for (const auto& [port, totals] : proxy.counters().totals()) {
    const auto facts = proxy.services().facts(port);
    if (!facts) continue;
    StatRow row{port, {}, facts->port, facts->node_port, facts->ready, facts->endpoints, totals};
    for (const IpAddress& address : facts->cluster_ips)
      row.cluster_ips.push_back(address.to_string());
    document.rows.push_back(std::move(row));
  }
  return document;
}

}  // namespace fairlead::proxy
