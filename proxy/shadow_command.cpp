// SPDX-License-Identifier: Apache-2.0
#include "proxy/shadow_command.h"

#include <algorithm>

#include "base/file.h"
#include "netlink/nftables/list.h"
#include "proxy/node_watch.h"

namespace fairlead::proxy {

namespace {

constexpr Duration kListLimit = std::chrono::minutes(2);  // 45,000 services in kube-proxy's shape
constexpr size_t kMaxFile = 1u << 30;

Error explain(const Error& error) {
  if (error.is(ErrorCode::kPermission))
    return Error(error.code(), "reading kube-proxy's rules needs CAP_NET_ADMIN (run as root): " +
                                   error.message());
  return error;
}

}  // namespace

Shadow::Shadow(Loop& loop, ShadowSettings settings)
    : loop_(loop),
      settings_(std::move(settings)),
      services_({settings_.node_name, {}, {}, settings_.families.front().accept_external_ips}) {}

Result<std::unique_ptr<Shadow>> Shadow::open(Loop& loop, ShadowSettings settings) {
  std::unique_ptr<Shadow> shadow(new Shadow(loop, std::move(settings)));
  auto connection = netlink::Connection::open(loop, netlink::Protocol::kNetfilter);
  if (!connection.ok()) return explain(connection.error());
  shadow->connection_ = std::move(*connection);
  auto addresses = NodeAddresses::open(loop, [](const std::vector<IpAddress>&) {});
  if (!addresses.ok()) return addresses.error();
  shadow->addresses_ = std::move(*addresses);
  shadow->addresses_->start();
  // Better now than after minutes of learning.
  const auto rules =
      shadow->settings_.rules_files.empty() ? shadow->kernel_rules() : shadow->file_rules();
  if (!rules.ok()) return rules.error();
  return shadow;
}

void Shadow::set_node(const kube::Node& node) {
  primary_addresses_ = primary_addresses(node);
  const auto zone = node.meta.labels.find("topology.kubernetes.io/zone");
  services_.set_node(zone == node.meta.labels.end() ? "" : zone->second, primary_addresses_);
}

Result<std::map<Family, OtherProxy>> Shadow::kernel_rules() {
  std::map<Family, OtherProxy> result;
  for (const Config& config : settings_.families) {
    auto table = nft::list_table_sync(*connection_, nft::table_family(config.family),
                                      kKubeProxyTable, kListLimit);
    if (!table.ok() && table.error().is_not_found()) continue;
    if (!table.ok()) return explain(table.error());
    forget_learnt(*table);
    OtherProxy& other = result[config.family];
    other.frontends = frontends_of(*table);
    other.node_addresses = node_addresses_of(*table);
    const auto tracer = std::make_shared<Tracer>(std::vector<nft::TableContent>{std::move(*table)});
    other.decide = [tracer](const Packet& packet) { return tracer->trace(packet); };
  }
  if (result.empty())
    return Error(ErrorCode::kNotFound,
                 "there is neither a table ip kube-proxy nor ip6 kube-proxy here, which kube-proxy "
                 "has in its nftables mode; for its iptables mode give --shadow-rules FILE with "
                 "what iptables-save prints");
  return result;
}

Result<std::map<Family, OtherProxy>> Shadow::file_rules() {
  std::map<Family, OtherProxy> result;
  for (const std::string& path : settings_.rules_files) {
    const Result<std::string> text = read_file(path, kMaxFile);
    if (!text.ok()) return text.error();
    auto families = parse_iptables_save(*text);
    if (!families.ok()) return families.error().with_context(path);
    for (auto& [family, rules] : *families) {
      if (result.contains(family))
        return Error(ErrorCode::kInvalid,
                     path + ": there are two sets of rules of one IP family in these files");
      if (!rules.nat.contains("KUBE-SERVICES"))
        return Error(ErrorCode::kInvalid,
                     path +
                         ": table nat has no chain KUBE-SERVICES, so it is not of a node with "
                         "kube-proxy in iptables mode");
      OtherProxy& other = result[family];
      other.iptables_mode = true;
      other.frontends = frontends_of(rules, family);
      const auto shared = std::make_shared<IptablesRules>(std::move(rules));
      other.decide = [shared](const Packet& packet) { return trace(*shared, packet); };
    }
  }
  return result;
}

Result<Comparison> Shadow::look() {
  auto others = settings_.rules_files.empty() ? kernel_rules() : file_rules();
  if (!others.ok()) return others.error();
  Comparison result;
  for (const Config& config : settings_.families) {
    ShadowView view;
    view.services = &services_;
    view.local = addresses_->addresses();
    const Ruleset ruleset =
        wanted_ruleset(services_, config,
                       wanted_parameters(config, service_cidrs_, view.local, primary_addresses_));
    view.ruleset = &ruleset;
    // A family kube-proxy does not serve: nothing of it happens to any packet.
    OtherProxy& other = (*others)[config.family];
    if (!other.decide)
      other.decide = [](const Packet& packet) { return trace(IptablesRules{}, packet); };
    result.merge(proxy::compare(view, other));
  }
  return result;
}

Result<Comparison> Shadow::compare(const std::function<bool()>& stop) {
  const auto stopped = [&] { return stop && stop(); };
  const MonoTime end = loop_.clock().now() + settings_.settle;
  Result<Comparison> result = look();
  // The file stays what it is.
  while (result.ok() && !result->differences.empty() && settings_.rules_files.empty() &&
         loop_.clock().now() < end && !stopped()) {
    loop_.run_until(stopped, settings_.look_again);
    Result<Comparison> again = look();
    if (again.ok()) again->keep_only(*result);
    result = std::move(again);
  }
  return result;
}

}  // namespace fairlead::proxy
