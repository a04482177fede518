// SPDX-License-Identifier: Apache-2.0
#include "dns/zone/taken.h"

#include <algorithm>

namespace fairlead::dns {
namespace {

// Each once, in their order, at most 255.
template <typename T>
void tidy(std::vector<T>& all) {
  std::vector<T> once;
  for (T& each : all)
    if (once.size() < 255 && std::ranges::find(once, each) == once.end())
      once.push_back(std::move(each));
  all = std::move(once);
}

}  // namespace

bool is_label(std::string_view text) {
  return !text.empty() && text.size() <= kMaxLabelSize &&
         std::none_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(to_lower(static_cast<uint8_t>(c)));
  return result;
}

ServiceDraft draft_of(const kube::Service& service) {
  ServiceDraft draft;
  if (service.type == kube::ServiceType::kExternalName) {
    draft.kind = ServiceKind::kExternalName;
    // An address is no name to point to, though it parses as one.
    const Result<Name> target = Name::from_text(service.external_name);
    if (target.ok() && !IpAddress::parse(service.external_name).ok())
      draft.external_name.assign(target->wire().begin(), target->wire().end());
    return draft;
  }
  draft.external_ips = service.external_ips;
  for (const kube::LoadBalancerIngress& ingress : service.load_balancer_ingress)
    draft.external_ips.push_back(ingress.ip);
  for (const std::string& host : service.load_balancer_hosts)
    if (const Result<Name> name = Name::from_text(host); name.ok() && name->labels() > 0)
      draft.external_hosts.emplace_back(name->wire().begin(), name->wire().end());
  tidy(draft.external_ips);
  tidy(draft.external_hosts);
  draft.kind = service.headless ? ServiceKind::kHeadless : ServiceKind::kClusterIp;
  draft.cluster_ips = service.cluster_ips;
  if (draft.cluster_ips.size() > 255) draft.cluster_ips.resize(255);
  for (const kube::ServicePort& port : service.ports)
    if (port.name.size() <= kMaxLabelSize)
      draft.ports.push_back({lower(port.name), port.protocol, port.port});
  return draft;
}

std::string topology_labels(const std::string& zone) {
  const Result<Name> name = Name::from_text(zone);
  if (!name.ok()) return {};
  const auto labels = name->lower().first(name->size() - 1);
  return {labels.begin(), labels.end()};
}

const std::string* label_of(const kube::Endpoint& endpoint, bool pod_names) {
  if (is_label(endpoint.hostname)) return &endpoint.hostname;
  const bool named = pod_names && endpoint.hostname.empty() && is_label(endpoint.target_name) &&
                     endpoint.target_name.find('.') == std::string::npos;
  return named ? &endpoint.target_name : nullptr;
}

}  // namespace fairlead::dns
