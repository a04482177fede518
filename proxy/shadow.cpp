// SPDX-License-Identifier: Apache-2.0
#include "proxy/shadow.h"

#include <algorithm>
#include <unordered_set>

#include "proxy/diff.h"
#include "proxy/grouped.h"

namespace fairlead::proxy {

namespace {

constexpr size_t kShownEnds = 8;
constexpr const char* kUndefinedPort =
    "a port that no Service has on a cluster IP is refused here; kube-proxy's iptables mode lets "
    "the packet go on";
constexpr const char* kLoopback =
    "node ports do not answer on 127.0.0.1 here; kube-proxy's iptables mode has them there, unless "
    "localhostNodePorts is off: look for clients of localhost:PORT on this node";
constexpr const char* kOutOfThisNode =
    "an external or balancer's address without endpoints is closed to this node's own processes, "
    "too; kube-proxy's iptables mode sends their packets out";
constexpr const char* kShutOut =
    "a source that no source range lets in is dropped even while a Service has no endpoints; "
    "kube-proxy's iptables mode refuses it then";

IpAddress next(const IpAddress& address, int step) {
  std::vector<uint8_t> bytes(address.bytes().begin(), address.bytes().end());
  for (size_t i = bytes.size(); i-- > 0;) {
    bytes[i] = static_cast<uint8_t>(bytes[i] + step);
    if (bytes[i] != (step > 0 ? 0 : 255)) break;
  }
  return IpAddress::from_bytes(bytes);
}

bool inside_any(const std::vector<Cidr>& cidrs, const IpAddress& address) {
  return std::any_of(cidrs.begin(), cidrs.end(),
                     [&](const Cidr& cidr) { return cidr.contains(address); });
}

std::unordered_set<IpAddress> endpoints(const Ruleset& ruleset) {
  std::unordered_set<IpAddress> result;
  for (const auto& [frontend, service] : ruleset.services())
    for (const Backends* backends : {&service.backends, &service.inside})
      for (size_t i = 0; i < backends->size(); ++i) result.insert(backends->at(i).address);
  return result;
}

std::string listed(const std::vector<Fate::End>& ends) {
  std::string text;
  for (size_t i = 0; i < std::min(ends.size(), kShownEnds); ++i)
    text += (i == 0 ? "" : ", ") + ends[i].to.to_string() +
            (ends[i].masqueraded ? " (masqueraded)" : "");
  if (ends.size() > kShownEnds)
    text += " and " + std::to_string(ends.size() - kShownEnds) + " more";
  return text;
}

std::string text_of(const std::vector<Fate>& fates) {
  std::string text;
  for (const Fate& fate : fates)
    text += (text.empty() ? "" : " or ") + (fate.kind == Fate::Kind::kBalanced
                                                ? "balanced to " + listed(fate.ends)
                                                : fate.to_string());
  return text;
}

// What of two fates is not the same.
std::string what_differs(const std::vector<Fate>& here, const std::vector<Fate>& there) {
  const bool both_balanced = here.size() == 1 && there.size() == 1 &&
                             here[0].kind == Fate::Kind::kBalanced &&
                             there[0].kind == Fate::Kind::kBalanced;
  if (!both_balanced) return "here " + text_of(here) + ", kube-proxy " + text_of(there);
  std::string text;
  const auto only = [&](const char* who, const auto& mine, const auto& other) {
    std::vector<Fate::End> rest;
    std::set_difference(mine.begin(), mine.end(), other.begin(), other.end(),
                        std::back_inserter(rest));
    if (!rest.empty())
      text += (text.empty() ? "" : ", ") + std::string("only ") + who + " to " + listed(rest);
  };
  only("here", here[0].ends, there[0].ends);
  only("kube-proxy", there[0].ends, here[0].ends);
  return text;
}

// "default/web" of "default/web:http".
std::string service_of(const Target& target) {
  return target.service.substr(0, target.service.find(':'));
}
std::string service_name(const std::optional<Target>& target) {
  return target ? service_of(*target) : "";
}

}  // namespace

Ruleset wanted_ruleset(const ServiceMap& services, const Config& config, Parameters parameters) {
  parameters.affinity = services.has_affinity();
  Ruleset ruleset(config, std::move(parameters));
  for (const Frontend& frontend : services.frontends(config.family))
    for (const Operation& operation : diff(ruleset, frontend, services.find(frontend)))
      ruleset.apply(operation);
  Parameters known = ruleset.parameters();
  known.stray_vips = ruleset.has_stray_vips();
  ruleset.set_parameters(std::move(known));
  return ruleset;
}

Prober::Prober(const ShadowView& view) : view_(view) {
  const Config& config = view.ruleset->config();
  const std::unordered_set<IpAddress> taken = endpoints(*view.ruleset);
  const bool v4 = config.family == Family::kIpv4;
  pod_interface_ = "*";
  if (!config.bridge_interface.empty()) pod_interface_ = config.bridge_interface;
  if (!config.interface_prefix.empty()) pod_interface_ = config.interface_prefix + "0";
  // RFC 2544 and RFC 5180 give these to benchmarks: nobody's pods.
  pod_ = IpAddress::parse(v4 ? "198.18.0.1" : "2001:2::1").value();
  if (!config.cluster_cidrs.empty()) {
    const Cidr& pods = config.cluster_cidrs.front();
    pod_ = pods.prefix_length() + 1 < pod_.bits() ? next(pods.last(), -1) : pods.last();
    while (taken.contains(pod_) && pods.contains(next(pod_, -1))) pod_ = next(pod_, -1);
  }
  const std::vector<Cidr>& services = view.ruleset->parameters().service_cidrs;
  // Documentation ranges (RFC 5737, RFC 3849), and if all are in use here the last one.
  const std::vector<const char*> candidates =
      v4 ? std::vector<const char*>{"198.51.100.77", "203.0.113.77", "192.0.2.77"}
         : std::vector<const char*>{"2001:db8:ffff::77", "3fff::77"};
  for (const char* text : candidates) {
    outside_ = IpAddress::parse(text).value();
    if (!inside_any(config.cluster_cidrs, outside_) && !inside_any(services, outside_) &&
        !taken.contains(outside_))
      break;
  }
  for (const IpAddress& address : view.local)
    if (address.family() == config.family && !node_) node_ = address;
  const auto& primary = view.ruleset->parameters().node_addresses;
  if (!primary.empty()) node_ = primary.front();
}

Packet Prober::packet(const Frontend& frontend, const IpAddress& source) const {
  Packet packet;
  packet.source = source;
  packet.destination =
      frontend.node_port ? view_.ruleset->parameters().node_addresses.front() : frontend.address;
  packet.protocol = frontend.protocol;
  packet.port = frontend.port;
  packet.interface = "*";
  packet.local = view_.local;
  return packet;
}

void Prober::from_sources(const Frontend& frontend, std::vector<Probe>& result) const {
  Packet pod = packet(frontend, pod_);
  pod.interface = pod_interface_;
  result.push_back({"a pod (" + pod_.to_string() + ")", pod});
  if (node_) {
    Packet own = packet(frontend, *node_);
    own.interface.clear();
    own.source_is_local = true;
    result.push_back({"this node (" + node_->to_string() + ")", own});
  }
  result.push_back({"outside (" + outside_.to_string() + ")", packet(frontend, outside_)});
}

std::vector<Probe> Prober::probes(const Frontend& frontend,
                                  const std::optional<Target>& wanted) const {
  std::vector<Probe> result;
  if (frontend.node_port && view_.ruleset->parameters().node_addresses.empty()) return result;
  from_sources(frontend, result);
  if (!wanted) return result;
  if (wanted->ranges)
    for (const Cidr& range : *wanted->ranges)
      result.push_back({"a source in " + range.to_string(), packet(frontend, range.address())});
  std::set<IpAddress> itself;
  for (const std::vector<Backend>* backends : {&wanted->backends, &wanted->inside})
    for (const Backend& backend : *backends)
      if (backend.local && itself.insert(backend.address).second) {
        Packet hairpin = packet(frontend, backend.address);
        hairpin.interface = pod_interface_;
        result.push_back({"endpoint " + backend.address.to_string() + " itself", hairpin});
      }
  if (wanted->cluster_ip) {
    Frontend undefined = frontend;
    undefined.port = 1;
    while (view_.services->find(undefined) && undefined.port < 65535) ++undefined.port;
    Packet pod = packet(undefined, pod_);
    pod.interface = pod_interface_;
    result.push_back({"a pod to port " + std::to_string(undefined.port), pod, true});
  }
  return result;
}

std::vector<Probe> Prober::addresses(const Frontend& node_port,
                                     const std::vector<IpAddress>& others) const {
  std::set<IpAddress> candidates(view_.local.begin(), view_.local.end());
  const std::vector<IpAddress>& here = view_.ruleset->parameters().node_addresses;
  candidates.insert(here.begin(), here.end());
  candidates.insert(others.begin(), others.end());
  std::vector<Probe> result;
  Packet packet;
  packet.source = outside_;
  packet.protocol = node_port.protocol;
  packet.port = node_port.port;
  packet.interface = "*";
  packet.local = view_.local;
  for (const IpAddress& address : candidates) {
    packet.destination = address;
    if (address.family() == node_port.family() && (here.empty() || address != here.front()))
      result.push_back({"outside to " + address.to_string(), packet});
  }
  if (node_port.family() == Family::kIpv4) {
    packet.source = packet.destination = IpAddress::parse("127.0.0.1").value();
    packet.local.push_back(packet.destination);
    packet.source_is_local = true;
    packet.interface.clear();
    result.push_back({"this node to 127.0.0.1", packet, false, true});
  }
  return result;
}

namespace {

// One frontend's packets, as they end on both sides.
class Comparer {
 public:
  Comparer(const ShadowView& view, const OtherProxy& other, Comparison& result)
      : ours_({view.ruleset->content()}), other_(other), result_(result) {}

  void compare(const Frontend& frontend, const std::optional<Target>& wanted,
               const std::vector<Probe>& probes) {
    for (const Probe& probe : probes) compare(frontend, wanted, probe);
  }

 private:
  void compare(const Frontend& frontend, const std::optional<Target>& wanted, const Probe& probe) {
    const Tracer::Result here = ours_.trace(probe.packet);
    const Tracer::Result there = other_.decide(probe.packet);
    if (!there.unknown.empty()) result_.unknown.insert(there.unknown);
    if (!here.unknown.empty()) result_.unknown.insert(here.unknown + " (ours)");
    if (here.fates == there.fates) return;
    const char* reason = intended(probe, here, there);
    if (!reason && wanted) reason = intended(frontend, *wanted, probe, here, there);
    if (reason)
      ++result_.divergences[reason];
    else
      result_.differences.push_back(
          {service_name(wanted), frontend, probe.from, what_differs(here.fates, there.fates)});
  }

  // Why it is to be so; null: it is not.
  const char* intended(const Probe& probe, const Tracer::Result& here,
                       const Tracer::Result& there) const {
    if (!other_.iptables_mode) return nullptr;
    if (probe.undefined_port && ends(there, Fate::Kind::kPassed)) return kUndefinedPort;
    if (probe.loopback && ends(here, Fate::Kind::kPassed)) return kLoopback;
    return nullptr;
  }
  // The iptables mode's table filter: KUBE-EXTERNAL-SERVICES, which refuses, is not asked in
  // OUTPUT; and a service port without endpoints is not in KUBE-PROXY-FIREWALL
  // (pkg/proxy/iptables/proxier.go, iptablesJumpChains and syncProxyRules). In nftables mode both
  // are as here.
  const char* intended(const Frontend& frontend, const Target& wanted, const Probe& probe,
                       const Tracer::Result& here, const Tracer::Result& there) const {
    const bool external = !frontend.node_port && !wanted.cluster_ip;
    if (!other_.iptables_mode || !external) return nullptr;
    if (!wanted.backends.empty() || !wanted.inside.empty()) return nullptr;
    const bool shut_out = wanted.ranges && ends(here, Fate::Kind::kDropped);
    const bool closed = shut_out || ends(here, Fate::Kind::kRefused);
    if (closed && probe.packet.source_is_local && ends(there, Fate::Kind::kPassed))
      return kOutOfThisNode;
    if (shut_out && ends(there, Fate::Kind::kRefused)) return kShutOut;
    return nullptr;
  }
  static bool ends(const Tracer::Result& result, Fate::Kind kind) {
    return result.fates.size() == 1 && result.fates.front().kind == kind;
  }

  const Tracer ours_;
  const OtherProxy& other_;
  Comparison& result_;
};

}  // namespace

Comparison compare(const ShadowView& view, const OtherProxy& other) {
  Comparison result;
  const Prober prober(view);
  Comparer comparer(view, other, result);
  std::set<Frontend> frontends(other.frontends.begin(), other.frontends.end());
  for (const Frontend& frontend : view.services->frontends(view.ruleset->config().family))
    frontends.insert(frontend);
  bool compared_addresses = false;
  for (const Frontend& frontend : frontends) {
    const std::optional<Target> wanted = view.services->find(frontend);
    if (wanted) result.services.insert(service_of(*wanted));
    if (frontend.node_port && !view.ruleset->parameters().node_known)
      result.unknown.insert("node ports, for this node's addresses are not known");
    comparer.compare(frontend, wanted, prober.probes(frontend, wanted));
    // One that has endpoints does for all.
    if (!frontend.node_port || !wanted || wanted->backends.empty()) continue;
    if (!std::exchange(compared_addresses, true))
      comparer.compare(frontend, wanted, prober.addresses(frontend, other.node_addresses));
  }
  return result;
}

void Comparison::merge(Comparison other) {
  services.merge(other.services);
  differences.insert(differences.end(), other.differences.begin(), other.differences.end());
  for (const auto& [reason, count] : other.divergences) divergences[reason] += count;
  unknown.merge(other.unknown);
}

void Comparison::keep_only(const Comparison& before) {
  std::set<std::pair<Frontend, std::string>> known;
  for (const Difference& difference : before.differences)
    known.emplace(difference.frontend, difference.from);
  std::erase_if(differences, [&](const Difference& difference) {
    return !known.contains({difference.frontend, difference.from});
  });
}

std::string to_text(const Comparison& comparison) {
  std::vector<Difference> sorted = comparison.differences;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Difference& a, const Difference& b) {
    return std::tie(a.service, a.frontend, a.text) < std::tie(b.service, b.frontend, b.text);
  });
  std::string text;
  for (size_t i = 0; i < sorted.size();) {
    const Difference& first = sorted[i];
    const auto same = [&](const Difference& one) {
      return one.service == first.service && one.frontend == first.frontend &&
             one.text == first.text;
    };
    std::string from;
    for (; i < sorted.size() && same(sorted[i]); ++i)
      from += (from.empty() ? "" : ", ") + sorted[i].from;
    text += (first.service.empty() ? "(only kube-proxy)" : first.service) + " " +
            first.frontend.to_string() + ", from " + from + ": " + first.text + "\n";
  }
  for (const auto& [reason, count] : comparison.divergences)
    text += "not counted, " + counted(count, "time") + ": " + reason + "\n";
  for (const std::string& what : comparison.unknown)
    text += "not evaluated, taken as not matching: " + what + "\n";
  return text + counted(comparison.services.size(), "service") + ", " +
         counted(comparison.differences.size(), "difference") +
         (comparison.unknown.empty()
              ? "\n"
              : ", " + counted(comparison.unknown.size(), "kind") + " of rule not evaluated\n");
}

std::vector<Frontend> frontends_of(const nft::TableContent& table) {
  std::set<Frontend> found;
  const Family family = table.table.family == nft::TableFamily::kIp ? Family::kIpv4 : Family::kIpv6;
  const size_t address_size = family == Family::kIpv4 ? 4 : 16;
  for (size_t i = 0; i < std::min(table.sets.size(), table.elements.size()); ++i) {
    const std::string& name = table.sets[i].name;
    const bool node_port = name == "service-nodeports" || name == "no-endpoint-nodeports";
    if (!node_port && name != "service-ips" && name != "no-endpoint-services") continue;
    for (const nft::Element& element : table.elements[i]) {
      nft::Bytes key = element.key.bytes();
      Frontend frontend = Frontend::node(family, Protocol::kTcp, 0);
      if (key.size() != (node_port ? 0 : address_size) + 8) continue;
      if (!node_port) {
        frontend = Frontend::vip(IpAddress::from_bytes(key.first(address_size)), Protocol::kTcp, 0);
        key = key.subspan(address_size);
      }
      for (const Protocol known : {Protocol::kTcp, Protocol::kUdp, Protocol::kSctp})
        if (key[0] == protocol_number(known)) frontend.protocol = known;
      frontend.port = static_cast<uint16_t>(key[4] << 8 | key[5]);
      found.insert(frontend);
    }
  }
  return {found.begin(), found.end()};
}

std::vector<IpAddress> node_addresses_of(const nft::TableContent& table) {
  std::vector<IpAddress> found;
  for (size_t i = 0; i < std::min(table.sets.size(), table.elements.size()); ++i)
    if (table.sets[i].name == "nodeport-ips")
      for (const nft::Element& element : table.elements[i])
        if (const size_t size = element.key.bytes().size(); size == 4 || size == 16)
          found.push_back(IpAddress::from_bytes(element.key.bytes()));
  return found;
}

void forget_learnt(nft::TableContent& table) {
  for (size_t i = 0; i < std::min(table.sets.size(), table.elements.size()); ++i)
    if (table.sets[i].dynamic) table.elements[i].clear();
}

}  // namespace fairlead::proxy
