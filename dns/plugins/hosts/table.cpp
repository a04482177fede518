// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/hosts/table.h"

#include <algorithm>

namespace fairlead::dns {
namespace {

std::string_view text_of(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The next word of the line; "" at its end.
std::string_view take_word(std::string_view& line) {
  constexpr std::string_view kBlanks = " \t\r\f\v";
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kBlanks));
  line.remove_prefix(word.size());
  return word;
}

std::optional<uint8_t> number(std::string_view text) {
  if (text.empty() || text.size() > 3 || (text.size() > 1 && text[0] == '0')) return {};
  unsigned value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return {};
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value > 255 ? std::optional<uint8_t>() : static_cast<uint8_t>(value);
}

std::optional<uint8_t> nibble(std::string_view text) {
  if (text.size() != 1) return {};
  if (text[0] >= '0' && text[0] <= '9') return static_cast<uint8_t>(text[0] - '0');
  if (text[0] >= 'a' && text[0] <= 'f') return static_cast<uint8_t>(text[0] - 'a' + 10);
  return {};
}

}  // namespace

std::optional<IpAddress> address_of_reverse(const Name& name) {
  const size_t labels = name.labels();
  if (labels < 2 || name.label(labels - 1) != "arpa") return {};
  uint8_t bytes[16] = {};
  if (labels == 6 && name.label(4) == "in-addr") {
    for (size_t i = 0; i < 4; ++i) {
      const auto octet = number(name.label(3 - i));
      if (!octet) return {};
      bytes[i] = *octet;
    }
    return IpAddress::from_bytes({bytes, 4});
  }
  if (labels != 34 || name.label(32) != "ip6") return {};
  for (size_t i = 0; i < 32; ++i) {
    const auto digit = nibble(name.label(31 - i));
    if (!digit) return {};
    bytes[i / 2] = static_cast<uint8_t>(bytes[i / 2] << 4 | *digit);
  }
  return IpAddress::from_bytes(bytes);
}

void HostsTable::add(const IpAddress& address, const Name& name) {
  const auto has = [&name](const Name& zone) { return name.ends_with(zone); };
  if (!zones_.empty() && std::ranges::none_of(zones_, has)) return;
  const bool wildcard = name.labels() > 0 && name.label(0) == "*";
  const auto lower = name.lower();
  Addresses& addresses = wildcard ? wildcards_[std::string(text_of(lower.subspan(2)))]
                                  : names_[std::string(text_of(lower))];
  if (std::ranges::find(addresses, address) != addresses.end()) return;
  addresses.push_back(address);
  ++entries_;
  if (!reverse_ || wildcard) return;
  std::vector<Name>& names = addresses_[address];
  if (names.size() < kMaxNames) names.push_back(name);
}

// Without the interface of "fe80::1%eth0"; "::ffff:10.0.0.1" is 10.0.0.1.
Result<IpAddress> HostsTable::address_of(std::string_view word) {
  const auto address = IpAddress::parse(word.substr(0, word.find('%')));
  return address.ok() ? IpAddress::parse_lenient(address->to_string()) : address;
}

void HostsTable::add_file(std::string_view text) {
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    line = line.substr(0, line.find('#'));
    std::string_view word = take_word(line);
    const auto address = address_of(word);
    if (!address.ok()) continue;
    while (!(word = take_word(line)).empty())
      if (const auto name = Name::from_text(word); name.ok()) add(*address, *name);
  }
}

const HostsTable::Addresses* HostsTable::find(const Name& name) const {
  const auto lower = name.lower();
  if (const auto at = names_.find(text_of(lower)); at != names_.end()) return &at->second;
  if (wildcards_.empty() || name.labels() == 0) return nullptr;
  // For one label, as CoreDNS has it; not for names further below (RFC 4592 would).
  const auto at = wildcards_.find(text_of(lower.subspan(name.offset(1))));
  return at != wildcards_.end() ? &at->second : nullptr;
}

const std::vector<Name>* HostsTable::names_of(const IpAddress& address) const {
  const auto at = addresses_.find(address);
  return at != addresses_.end() ? &at->second : nullptr;
}

}  // namespace fairlead::dns
