// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/proxy/rows.h"

#include <gtest/gtest.h>

namespace fairlead::proxy::test {

std::string in_ipv6(const std::string& endpoint) {
  const std::string number = endpoint.substr(7, 1);
  return "fd00:244:" + number + "::2" + endpoint.substr(endpoint.find(' '));
}

void put(Cluster& cluster, const std::string& name, int number,
         const std::vector<std::string>& endpoints, const Adjust& adjust) {
  const std::string last = std::to_string(number);
  const std::string node_port = " 3010" + last;
  kube::Service object = service(name, {"10.96.0." + last, "fd00:96::" + last},
                                 {"t 80/TCP" + node_port, "u 80/UDP" + node_port});
  object.type = kube::ServiceType::kLoadBalancer;
  object.load_balancer_ingress = {{ip("198.51.100." + last), true},
                                  {ip("2001:db8:ff::" + last), true}};
  object.external_ips = {ip("203.0.113." + last), ip("2001:db8:ee::" + last)};
  adjust(object);
  cluster.sink().put(object);
  std::vector<std::string> six;
  for (const std::string& endpoint : endpoints) six.push_back(in_ipv6(endpoint));
  cluster.sink().put(slice(name, endpoints, {"t 8080/TCP", "u 8080/UDP"}));
  if (!six.empty()) cluster.sink().put(slice(name, six, {"t 8080/TCP", "u 8080/UDP"}));
}

void check_row(const Row& row, bool relayed) {
  Cluster cluster;
  cluster.relay = relayed;
  cluster.start_proxy();
  row.objects(cluster);
  cluster.sink().start();
  cluster.settle();
  for (const PacketCase& c : row.cases) {
    check_packets(cluster, c, true);
    if (!row.drops) check_packets(cluster, c, false);
  }
}

}  // namespace fairlead::proxy::test
