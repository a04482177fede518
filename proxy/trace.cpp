// SPDX-License-Identifier: Apache-2.0
#include "proxy/trace.h"

#include <algorithm>

namespace fairlead::proxy {

namespace {

bool inside(const std::vector<Cidr>& cidrs, const IpAddress& address) {
  return std::any_of(cidrs.begin(), cidrs.end(),
                     [&](const Cidr& cidr) { return cidr.contains(address); });
}

bool foreign_source(const Config& config, const IpAddress& source) {
  if (config.masquerade_all) return true;
  return !config.cluster_cidrs.empty() && !inside(config.cluster_cidrs, source);
}

// Chains sel_N and node_N: any index below `choices` that has an endpoint, else endpoint 0, else
// drop.
Fate choose(const Ruleset& ruleset, const Packet& packet, const Frontend& frontend,
            const Ruleset::Service& service, uint32_t choices, bool marked) {
  Fate fate;
  const size_t reachable = std::min<size_t>(choices, service.backends.size());
  for (size_t i = 0; i < reachable; ++i) {
    const Backend backend = service.backends.at(i);
    const bool hairpin = packet.source == backend.address && ruleset.has_hairpin(frontend, backend);
    fate.ends.push_back({backend, marked || hairpin});
  }
  std::sort(fate.ends.begin(), fate.ends.end());
  fate.kind = fate.ends.empty() ? Fate::Kind::kDropped : Fate::Kind::kBalanced;
  return fate;
}

Fate only(Fate::Kind kind) {
  Fate fate;
  fate.kind = kind;
  return fate;
}

// Chain missed.
Fate missed(const Ruleset& ruleset, const Packet& packet, const Frontend& frontend,
            const Ruleset::Service* service, bool marked) {
  if (service != nullptr && !service->backends.empty())
    return choose(ruleset, packet, frontend, *service, 1, marked);
  return only(ruleset.has_cluster_ip(packet.destination) ? Fate::Kind::kRefused
                                                         : Fate::Kind::kDropped);
}

// Chains node_N and node_refuse.
Fate node_port(const Ruleset& ruleset, const Packet& packet) {
  const Config& config = ruleset.config();
  const auto is_dns =
      std::find(config.local_dns.begin(), config.local_dns.end(), packet.destination);
  if (is_dns != config.local_dns.end()) return {};
  if (!config.node_port_cidrs.empty() && !inside(config.node_port_cidrs, packet.destination))
    return {};
  const Frontend frontend = Frontend::node(config.family, packet.protocol, packet.port);
  const Ruleset::Service* service = ruleset.find(frontend);
  if (service == nullptr || !service->choices) return {};
  if (!packet.destination_is_local || packet.destination.is_loopback()) return {};
  if (*service->choices == 0) return only(Fate::Kind::kRefused);
  return choose(ruleset, packet, frontend, *service, *service->choices, true);
}

}  // namespace

Fate trace(const Ruleset& ruleset, const Packet& packet) {
  const Config& config = ruleset.config();
  const Frontend frontend = Frontend::vip(packet.destination, packet.protocol, packet.port);
  if (ruleset.has_local_dns(frontend)) return only(Fate::Kind::kUntracked);
  const Ruleset::Service* service = ruleset.find(frontend);
  const bool marked = foreign_source(config, packet.source);
  if (service != nullptr && service->choices) {
    if (*service->choices == 0) return only(Fate::Kind::kRefused);
    return choose(ruleset, packet, frontend, *service, *service->choices, marked);
  }
  const bool in_range = config.service_cidrs.empty()
                            ? ruleset.has_cluster_ip(packet.destination)
                            : inside(config.service_cidrs, packet.destination);
  if (in_range) return missed(ruleset, packet, frontend, service, marked);
  return node_port(ruleset, packet);
}

std::string Fate::to_string() const {
  switch (kind) {
    case Kind::kPassed:
      return "passed";
    case Kind::kUntracked:
      return "untracked";
    case Kind::kRefused:
      return "refused";
    case Kind::kDropped:
      return "dropped";
    case Kind::kBalanced:
      break;
  }
  std::string text = "balanced to";
  for (const End& end : ends)
    text += (&end == &ends.front() ? " " : ", ") + end.backend.to_string() +
            (end.masqueraded ? " (masqueraded)" : "");
  return text;
}

}  // namespace fairlead::proxy
