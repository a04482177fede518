// SPDX-License-Identifier: Apache-2.0
#include "dns/corefile/zone_key.h"

#include <charconv>

#include "base/address.h"
#include "dns/corefile/words.h"

namespace fairlead::dns::corefile {
namespace {

struct SchemeRow {
  std::string_view text;
  Scheme scheme;
  uint16_t port;
};

constexpr SchemeRow kSchemes[] = {
    {"dns", Scheme::kDns, 53},    {"tls", Scheme::kTls, 853},     {"quic", Scheme::kQuic, 853},
    {"grpc", Scheme::kGrpc, 443}, {"https", Scheme::kHttps, 443}, {"https3", Scheme::kHttps3, 443},
};

Error bad(std::string_view text, const std::string& why) {
  return Error(ErrorCode::kInvalid, "zone '" + std::string(text) + "': " + why);
}

// Takes "scheme://" off the front.
Result<SchemeRow> take_scheme(std::string_view& rest) {
  const size_t end = rest.find("://");
  if (end == std::string_view::npos) return kSchemes[0];
  const std::string_view text = rest.substr(0, end);
  std::vector<std::string> known;
  for (const SchemeRow& row : kSchemes) {
    if (row.text == text) return rest.remove_prefix(end + 3), row;
    known.emplace_back(row.text);
  }
  return bad(rest, "there is no scheme '" + std::string(text) + "'" + did_you_mean(text, known));
}

// Takes ":port" off the end, of what is no IPv6 address; 0 when there is none.
Result<uint16_t> take_port(std::string_view& rest) {
  const size_t slash = rest.find('/');
  const size_t colon = rest.find(':', slash == std::string_view::npos ? 0 : slash);
  if (colon == std::string_view::npos) return uint16_t{0};
  const std::string_view text = rest.substr(colon + 1);
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0)
    return bad(rest, "'" + std::string(text) + "' is not a port from 1 to 65535");
  rest = rest.substr(0, colon);
  return port;
}

// The reverse zone of the first `units` octets or nibbles of an address.
Name reverse_zone(std::span<const uint8_t> bytes, bool v4, int units) {
  Name name;
  for (int i = units; i-- > 0;) {
    const auto at = static_cast<size_t>(i);
    if (v4) {
      name.append(std::to_string(bytes[at]));
    } else {
      const unsigned nibble = at % 2 == 0 ? bytes[at / 2] >> 4 : bytes[at / 2] & 15u;
      name.append(std::string(1, "0123456789abcdef"[nibble]));
    }
  }
  name.append(v4 ? "in-addr" : "ip6");
  name.append("arpa");
  return name;
}

// A prefix that ends within an octet or nibble is all the zones that begin with it.
std::vector<Name> reverse_zones(const Cidr& prefix) {
  const bool v4 = prefix.family() == Family::kIpv4;
  const int unit_bits = v4 ? 8 : 4;
  const int units = (prefix.prefix_length() + unit_bits - 1) / unit_bits;
  const int open_bits = units * unit_bits - prefix.prefix_length();
  uint8_t bytes[16] = {};
  const auto address = prefix.address().bytes();
  std::copy(address.begin(), address.end(), bytes);
  std::vector<Name> zones;
  for (unsigned i = 0; i < 1u << open_bits; ++i) {
    zones.push_back(reverse_zone(bytes, v4, units));
    if (units == 0) break;
    const auto last = static_cast<size_t>(units - 1);
    if (v4) {
      ++bytes[last];
    } else {
      bytes[last / 2] = static_cast<uint8_t>(bytes[last / 2] + (last % 2 == 0 ? 16 : 1));
    }
  }
  return zones;
}

}  // namespace

Result<std::vector<ZoneKey>> parse_zone_key(std::string_view text, uint16_t default_port) {
  std::string_view rest = text;
  const Result<SchemeRow> scheme = take_scheme(rest);
  if (!scheme.ok()) return scheme.error();
  if (IpAddress::parse(rest).ok())
    return bad(text, "an address; its reverse zone is written as a prefix, such as 10.0.0.0/24");
  Result<uint16_t> port = take_port(rest);
  if (!port.ok()) return port.error();
  if (*port == 0) port = scheme->scheme == Scheme::kDns ? default_port : scheme->port;

  std::vector<Name> zones;
  // Else it is a name, as those of RFC 2317: 0/26.2.0.192.in-addr.arpa.
  const size_t slash = rest.find('/');
  if (slash != std::string_view::npos && IpAddress::parse(rest.substr(0, slash)).ok()) {
    const Result<Cidr> prefix = Cidr::parse(rest);
    if (!prefix.ok()) return bad(text, prefix.error().message());
    zones = reverse_zones(*prefix);
  } else if (rest.empty() && text.empty()) {
    return bad(text, "it is empty");
  } else {
    const Result<Name> name = Name::from_text(rest.empty() ? "." : rest);
    if (!name.ok()) return bad(text, name.error().message());
    zones.push_back(*name);
  }
  std::vector<ZoneKey> keys;
  for (const Name& zone : zones) keys.push_back({scheme->scheme, zone, *port});
  return keys;
}

std::string_view scheme_text(Scheme scheme) {
  for (const SchemeRow& row : kSchemes)
    if (row.scheme == scheme) return row.text;
  return {};
}

}  // namespace fairlead::dns::corefile
