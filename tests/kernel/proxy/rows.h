// SPDX-License-Identifier: Apache-2.0
// What the tests of the rows of docs/proxy.md's table have in common: Services as most rows need
// them, and a row as a table of packets.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "tests/kernel/proxy/packet_case.h"

namespace fairlead::proxy::test {

// The pods as endpoints: web-1 and web-2 are on this node, web-3 on another.
inline const std::string kOn1 = "10.244.2.2 @node", kOn2 = "10.244.3.2 @node",
                         kOn3 = "10.245.4.2 @other";
inline const std::set<std::string> kHere = {"web-1"};
inline const std::set<std::string> kHereAndThere = {"web-1", "web-3"};
inline const std::set<std::string> kThere = {"web-3"};

using Adjust = std::function<void(kube::Service&)>;
inline const Adjust kPlain = [](kube::Service&) {};
inline const Adjust kInternalLocal = [](kube::Service& s) {
  s.internal_traffic_policy = kube::TrafficPolicy::kLocal;
};
inline const Adjust kExternalLocal = [](kube::Service& s) {
  s.external_traffic_policy = kube::TrafficPolicy::kLocal;
};

// The same endpoint in IPv6.
std::string in_ipv6(const std::string& endpoint);

// Service `name` on 10.96.0.N and fd00:96::N, port 80 TCP and UDP, node port 3010N, load balancer
// address 198.51.100.N and 2001:db8:ff::N, external IP 203.0.113.N and 2001:db8:ee::N, with the
// endpoints given.
void put(Cluster& cluster, const std::string& name, int number,
         const std::vector<std::string>& endpoints, const Adjust& adjust = kPlain);

struct Row {
  const char* row;
  std::function<void(Cluster&)> objects;
  std::vector<PacketCase> cases;
  bool drops = false;  // each drop takes seconds to see: those are checked for TCP only
};
// By rules or, as its kernel twin, relayed.
inline std::string name_of(const std::tuple<Row, bool>& one) {
  return std::string(std::get<0>(one).row) + (std::get<1>(one) ? "_Relayed" : "");
}
// A fresh cluster with these objects does what the cases say, and the tracer says so too;
// `relayed`: where every Service asks to be relayed.
void check_row(const Row& row, bool relayed);

}  // namespace fairlead::proxy::test
