// SPDX-License-Identifier: Apache-2.0
// What stands in front of a server block: for which names, how and where it answers. Pure.
//
//   example.org        names below it, port 53
//   .:1053  :1053      all names
//   tls://example.org  DNS over TLS, port 853
//   10.0.0.0/16        the reverse zone of a prefix: 0.10.in-addr.arpa
//   10.0.0.0/20:1053   the sixteen zones that make it up: reverse zones end between octets (for
//                      IPv6: between nibbles)
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dns/name.h"

namespace fairlead::dns::corefile {

enum class Scheme : uint8_t { kDns, kTls, kQuic, kGrpc, kHttps, kHttps3 };

struct ZoneKey {
  Scheme scheme = Scheme::kDns;
  Name zone;
  uint16_t port = 0;
  bool operator==(const ZoneKey&) const = default;
};

// At least one. `default_port` takes the place of 53. Fails with what is wrong, without the place.
Result<std::vector<ZoneKey>> parse_zone_key(std::string_view text, uint16_t default_port = 53);

std::string_view scheme_text(Scheme scheme);  // "tls"

}  // namespace fairlead::dns::corefile
