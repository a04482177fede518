// SPDX-License-Identifier: Apache-2.0
#include "proxy/trace.h"

#include <algorithm>

namespace fairlead::proxy {

namespace {

bool inside(const std::vector<Cidr>& cidrs, const IpAddress& address) {
  return std::any_of(cidrs.begin(), cidrs.end(),
                     [&](const Cidr& cidr) { return cidr.contains(address); });
}

bool from_pod(const Config& config, const Packet& packet) {
  return inside(config.cluster_cidrs, packet.source) ||
         (!config.bridge_interface.empty() && packet.interface == config.bridge_interface) ||
         (!config.interface_prefix.empty() &&
          packet.interface.starts_with(config.interface_prefix));
}

Fate only(Fate::Kind kind) {
  Fate fate;
  fate.kind = kind;
  return fate;
}

// Any index below `choices` that has an endpoint, else endpoint 0, else drop.
Fate choose(const Ruleset& ruleset, const Packet& packet, const Frontend& frontend,
            const Backends& backends, uint32_t choices, bool marked) {
  Fate fate;
  for (size_t i = 0; i < std::min<size_t>(choices, backends.size()); ++i) {
    const Backend backend = backends.at(i);
    const bool hairpin = packet.source == backend.address && ruleset.has_hairpin(frontend, backend);
    fate.ends.push_back({backend, marked || hairpin});
  }
  std::sort(fate.ends.begin(), fate.ends.end());
  fate.kind = fate.ends.empty() ? Fate::Kind::kDropped : Fate::Kind::kBalanced;
  return fate;
}

bool let_in(const Ruleset& ruleset, const Choice& choice, const Packet& packet) {
  if (choice.guard == 0) return true;
  const auto chain = ruleset.choice_chains().find(choice);
  return chain != ruleset.choice_chains().end() && chain->second.ranges &&
         inside(*chain->second.ranges, packet.source);
}

// From the element of the frontend on.
Fate follow(const Ruleset& ruleset, const Packet& packet, const Frontend& frontend) {
  const Ruleset::Service& service = *ruleset.find(frontend);
  const Choice& choice = *service.choice;
  const Config& config = ruleset.config();
  if (!let_in(ruleset, choice, packet)) return only(Fate::Kind::kDropped);
  const auto balance = [&](const Backends& backends, uint32_t choices, bool marked) {
    return choose(ruleset, packet, frontend, backends, choices, marked);
  };
  switch (choice.treatment) {
    case Treatment::kRefuse:
      return only(Fate::Kind::kRefused);
    case Treatment::kDrop:
      break;
    case Treatment::kCluster: {
      const bool foreign = config.knows_pods() && !from_pod(config, packet);
      return balance(service.backends, choice.choices, config.masquerade_all || foreign);
    }
    case Treatment::kExternal:
      return balance(service.backends, choice.choices, true);
    case Treatment::kLocal:
      if (from_pod(config, packet)) return balance(service.inside, choice.inside, false);
      if (packet.source_is_local) return balance(service.inside, choice.inside, true);
      return balance(service.backends, choice.choices, false);
    case Treatment::kInside:
    case Treatment::kLearn:
    case Treatment::kSplit:
      break;
  }
  return only(Fate::Kind::kDropped);
}

bool programmed(const Ruleset& ruleset, const Frontend& frontend) {
  const Ruleset::Service* service = ruleset.find(frontend);
  return service != nullptr && service->choice;
}

bool among(const std::vector<IpAddress>& addresses, const IpAddress& address) {
  return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
}

}  // namespace

Fate trace(const Ruleset& ruleset, const Packet& packet) {
  const Config& config = ruleset.config();
  const Parameters& parameters = ruleset.parameters();
  const Frontend frontend = Frontend::vip(packet.destination, packet.protocol, packet.port);
  if (ruleset.has_local_dns(frontend)) return only(Fate::Kind::kUntracked);
  if (programmed(ruleset, frontend)) return follow(ruleset, packet, frontend);
  const bool known = ruleset.has_cluster_ip(packet.destination);
  if (parameters.service_cidrs.empty() ? known
                                       : inside(parameters.service_cidrs, packet.destination))
    return only(known ? Fate::Kind::kRefused : Fate::Kind::kDropped);
  const Frontend node_port = Frontend::node(config.family, packet.protocol, packet.port);
  if (!among(config.local_dns, packet.destination) &&
      among(parameters.node_addresses, packet.destination) && programmed(ruleset, node_port))
    return follow(ruleset, packet, node_port);
  return {};
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
