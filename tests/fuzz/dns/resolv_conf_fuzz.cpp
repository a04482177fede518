// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>

#include "dns/plugins/forward/resolv_conf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fairlead;
  dns::ResolvConf conf = dns::parse_resolv_conf({reinterpret_cast<const char*>(data), size});
  if (conf.servers.size() > dns::kMaxUpstreams) std::abort();
  dns::remove_own_addresses(conf, {{IpAddress::any(Family::kIpv4), 53}}, {});
  for (const SocketAddress& server : conf.servers)
    if (server.address.is_loopback() && server.address.is_v4()) std::abort();
  return 0;
}
