// SPDX-License-Identifier: Apache-2.0
// What is not understood is complained of with its line; what is, can be run over packets.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "proxy/iptables_save.h"

using namespace fairlead;
using namespace fairlead::proxy;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 4096) return 0;  // ways through a chain multiply
  const auto families = parse_iptables_save({reinterpret_cast<const char*>(data), size});
  if (!families.ok()) {
    if (families.error().message().find("line ") != 0) std::abort();
    return 0;
  }
  for (const auto& [family, rules] : *families) {
    (void)frontends_of(rules, family);
    const bool v4 = family == Family::kIpv4;
    Packet packet{IpAddress::parse(v4 ? "10.244.1.2" : "fd00::1").value(),
                  IpAddress::parse(v4 ? "10.96.0.1" : "fd00:96::1").value(), Protocol::kTcp, 80};
    for (const char* interface : {"", "veth0"}) {
      packet.interface = interface;
      if (trace(rules, packet).fates.size() > 5) std::abort();
    }
  }
  return 0;
}
