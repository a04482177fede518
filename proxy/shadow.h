// SPDX-License-Identifier: Apache-2.0
// Shadow mode's pure half: which packets to try, and where two sets of rules decide differently
// about them. Ours is the Ruleset a proxy would program; the other side is anything that answers
// what becomes of a packet.
//
// Of each frontend one packet is tried from a pod, from this node, from outside, from inside each
// of its source ranges, and from each endpoint on this node to itself; of each cluster IP also one
// port that no Service has; of one node port all addresses that may have it. What is compared:
// balanced, passed, refused or dropped; every end a draw may choose; masqueraded or not. What flows
// before have taught (affinity) is left out.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "proxy/ruleset.h"
#include "proxy/service_map.h"
#include "proxy/trace.h"

namespace fairlead::proxy {

// The Ruleset a fresh start would program.
Ruleset wanted_ruleset(const ServiceMap& services, const Config& config, Parameters parameters);

struct Probe {
  std::string from;  // "a pod"
  Packet packet;
  bool undefined_port = false;
  bool loopback = false;
};

// One IP family of one node.
struct ShadowView {
  const ServiceMap* services = nullptr;
  const Ruleset* ruleset = nullptr;
  std::vector<IpAddress> local;  // addresses of this node
};

// The other side.
struct OtherProxy {
  std::function<Tracer::Result(const Packet&)> decide;
  std::vector<Frontend> frontends;  // that it knows, as far as can be told
  bool iptables_mode = false;
  std::vector<IpAddress> node_addresses = {};  // that it names as having node ports
};

// `wanted`: nullopt for a frontend that only the other side knows.
class Prober {
 public:
  explicit Prober(const ShadowView& view);
  std::vector<Probe> probes(const Frontend& frontend, const std::optional<Target>& wanted) const;
  // A node port at every address that may have it: this node's, `others`, and IPv4's loopback.
  std::vector<Probe> addresses(const Frontend& node_port,
                               const std::vector<IpAddress>& others) const;

 private:
  Packet packet(const Frontend& frontend, const IpAddress& source) const;
  void from_sources(const Frontend& frontend, std::vector<Probe>& result) const;

  const ShadowView& view_;
  std::string pod_interface_;
  IpAddress pod_, outside_;
  std::optional<IpAddress> node_;
};

struct Difference {
  std::string service;  // "default/web"; empty: only the other side knows the frontend
  Frontend frontend;
  std::string from;
  std::string text;  // "here refused, kube-proxy dropped"
};

struct Comparison {
  std::set<std::string> services;
  std::vector<Difference> differences;
  std::map<std::string, size_t> divergences;  // documented: reason, and how often
  std::set<std::string> unknown;  // what of the other side's rules could not be evaluated

  void merge(Comparison other);
  // Drops the differences that `before` has not: they were one side being ahead of the other.
  void keep_only(const Comparison& before);
  bool clean() const { return differences.empty() && unknown.empty(); }
};

Comparison compare(const ShadowView& view, const OtherProxy& other);

// Service by service, then one line: "12,311 services, 0 differences".
std::string to_text(const Comparison& comparison);

// The frontends in kube-proxy's maps of an nftables table, the addresses it names as having node
// ports, and its elements that flows have taught taken out.
std::vector<Frontend> frontends_of(const nft::TableContent& table);
std::vector<IpAddress> node_addresses_of(const nft::TableContent& table);
void forget_learnt(nft::TableContent& table);

}  // namespace fairlead::proxy
