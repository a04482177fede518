// SPDX-License-Identifier: Apache-2.0
// The host's resolv.conf: any bytes; what a pod gets from it keeps to the limits.
#include <cstdlib>

#include "orchestrator/node/resolv_conf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fairlead::orchestrator;
  const DnsConfig host = parse_resolv_conf({reinterpret_cast<const char*>(data), size});
  PodSpec pod;
  pod.key = {"ns", "p"};
  for (const char* policy : {"ClusterFirst", "Default", "None"}) {
    pod.dns_policy = policy;
    const DnsConfig dns = pod_dns(pod, {"10.96.0.10", "cluster.local"}, host);
    if (dns.servers.size() > 3 || dns.searches.size() > 32) std::abort();
  }
  return 0;
}
