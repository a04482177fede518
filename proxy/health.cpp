// SPDX-License-Identifier: Apache-2.0
#include "proxy/health.h"

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

namespace fairlead::proxy {

namespace {

constexpr const char* kToBeDeleted = "ToBeDeletedByClusterAutoscaler";

const char* name_of(Family family) {
  return family == Family::kIpv4 ? "IPv4" : "IPv6";
}

}  // namespace

std::string rfc3339_nano(WallTime time) {
  const int64_t total = time.time_since_epoch().count();
  int64_t nanos = total % 1'000'000'000;
  if (nanos < 0) nanos += 1'000'000'000;
  const auto seconds = static_cast<std::time_t>((total - nanos) / 1'000'000'000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char date[32];
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
  std::string fraction = std::to_string(1'000'000'000 + nanos).substr(1);
  while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
  return date + (fraction.empty() ? "" : "." + fraction) + "Z";
}

std::string to_json(const HealthReport& report) {
  nlohmann::ordered_json json;
  const bool good = report.healthy && report.node_eligible.value_or(true);
  json["lastUpdated"] = rfc3339_nano(good ? report.now : report.last_updated);
  json["currentTime"] = rfc3339_nano(report.now);
  if (report.node_eligible) json["nodeEligible"] = *report.node_eligible;
  json["healthy"] = report.healthy;
  for (const FamilyHealth& family : report.families)
    json["status"][name_of(family.family)] = {{"lastUpdated", rfc3339_nano(family.last_updated)},
                                              {"healthy", family.healthy}};
  if (!report.reason.empty()) json["reason"] = report.reason;
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string why_not_eligible(bool missing, const std::optional<kube::Node>& node) {
  if (missing) return "the API server has no such Node";
  if (!node) return "";  // not known: no reason to send traffic away
  if (node->meta.deleting) return "the Node is being deleted";
  const bool leaving = std::find(node->taint_keys.begin(), node->taint_keys.end(), kToBeDeleted) !=
                       node->taint_keys.end();
  return leaving ? std::string("the Node has taint ") + kToBeDeleted : "";
}

ProxyHealth::ProxyHealth(Clock& clock, Metrics& metrics, Sources sources)
    : clock_(clock), metrics_(metrics), sources_(std::move(sources)) {}

HealthReport ProxyHealth::report() {
  HealthReport report;
  report.now = clock_.wall_now();
  report.last_updated = WallTime{};
  if (!sources_.synced()) {
    report.reason = "Services and EndpointSlices are not known yet";
    return report;
  }
  if (!synced_at_) synced_at_ = clock_.now();
  const Result<void> checked = sources_.check();
  report.healthy = checked.ok();
  was_healthy_ = was_healthy_ || checked.ok();
  if (!checked.ok()) report.reason = checked.error().message();
  report.families = sources_.families(checked.ok());
  for (const FamilyHealth& family : report.families)
    report.last_updated = std::max(report.last_updated, family.last_updated);
  return report;
}

HealthAnswer ProxyHealth::answer(const char* metric, const HealthReport& report, bool good) {
  metrics_.counter(metric, "Answers by status code", {{"code", good ? "200" : "503"}}).add();
  return {good, to_json(report), "application/json"};
}

HealthAnswer ProxyHealth::healthz() {
  HealthReport now = report();
  const std::string why_not = sources_.node();
  now.node_eligible = why_not.empty();
  if (!why_not.empty()) now.reason += (now.reason.empty() ? "" : "; ") + why_not;
  return answer("kubeproxy_proxy_healthz_total", now, now.healthy && *now.node_eligible);
}

HealthAnswer ProxyHealth::livez() {
  HealthReport now = report();
  const bool starting = !synced_at_ || (!was_healthy_ && clock_.now() - *synced_at_ < kStartGrace);
  now.healthy = now.healthy || starting;
  return answer("kubeproxy_proxy_livez_total", now, now.healthy);
}

bool ProxyHealth::healthy() {
  if (!asked_at_ || clock_.now() - *asked_at_ >= kRecent) {
    recent_ = report().healthy;
    asked_at_ = clock_.now();
  }
  return recent_;
}

}  // namespace fairlead::proxy
