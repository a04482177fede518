// SPDX-License-Identifier: Apache-2.0
#include "dns/svcb_text.h"

#include <algorithm>
#include <map>

#include "base/address.h"
#include "dns/number_text.h"

namespace fairlead::dns {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr size_t kMaxValue = 65535;

// IANA "DNS Service Bindings (SVCB)".
enum Key : uint16_t {
  kMandatory = 0,
  kAlpn = 1,
  kNoDefaultAlpn = 2,
  kPort = 3,
  kIpv4Hint = 4,
  kEch = 5,
  kIpv6Hint = 6,
  kDohPath = 7,
  kOhttp = 8,
};
constexpr std::pair<std::string_view, uint16_t> kKeys[] = {
    {"mandatory", kMandatory}, {"alpn", kAlpn},         {"no-default-alpn", kNoDefaultAlpn},
    {"port", kPort},           {"ipv4hint", kIpv4Hint}, {"ech", kEch},
    {"ipv6hint", kIpv6Hint},   {"dohpath", kDohPath},   {"ohttp", kOhttp}};

std::optional<uint16_t> key_of(std::string_view text) {
  for (const auto& [name, number] : kKeys)
    if (name == text) return number;
  if (!text.starts_with("key")) return std::nullopt;
  return number_of<uint16_t>(text.substr(3));
}

void put_u16(Bytes& out, size_t value) {
  out.push_back(static_cast<uint8_t>(value >> 8));
  out.push_back(static_cast<uint8_t>(value));
}

// RFC 9460 appendix A.1: commas part the items, but for those behind a backslash that is left when
// the escapes of the string are undone.
Result<std::vector<std::string>> items_of(std::string_view list) {
  std::vector<std::string> items(1);
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i] == '\\' && i + 1 < list.size())
      items.back() += list[++i];
    else if (list[i] == ',')
      items.emplace_back();
    else
      items.back() += list[i];
  }
  for (const std::string& item : items)
    if (item.empty() || item.size() > 255)
      return Error::invalid("an item of a list is empty or too long");
  return items;
}

Result<Bytes> mandatory(const std::vector<std::string>& items) {
  std::vector<uint16_t> keys;
  for (const std::string& item : items) {
    const auto key = key_of(item);
    if (!key || *key == kMandatory) return Error::invalid("'" + item + "' cannot be mandatory");
    keys.push_back(*key);
  }
  std::ranges::sort(keys);
  if (std::ranges::adjacent_find(keys) != keys.end())
    return Error::invalid("a key is mandatory twice");
  Bytes out;
  for (const uint16_t key : keys) put_u16(out, key);
  return out;
}

Result<Bytes> hints(const std::vector<std::string>& items, Family family) {
  Bytes out;
  for (const std::string& item : items) {
    const auto address = IpAddress::parse(item);
    if (!address.ok() || address->family() != family)
      return Error::invalid("'" + item + "' is no such address");
    out.insert(out.end(), address->bytes().begin(), address->bytes().end());
  }
  return out;
}

// A value that is a list.
Result<Bytes> list_of(uint16_t key, std::string_view value) {
  const auto items = items_of(value);
  if (!items.ok()) return items.error();
  if (key == kMandatory) return mandatory(*items);
  if (key != kAlpn) return hints(*items, key == kIpv4Hint ? Family::kIpv4 : Family::kIpv6);
  Bytes out;
  for (const std::string& item : *items) {
    out.push_back(static_cast<uint8_t>(item.size()));
    out.insert(out.end(), item.begin(), item.end());
  }
  return out;
}

// `value` has its escapes undone.
Result<Bytes> value_of(uint16_t key, const std::string& value) {
  switch (key) {
    case kMandatory:
    case kAlpn:
    case kIpv4Hint:
    case kIpv6Hint:
      return list_of(key, value);
    case kNoDefaultAlpn:
    case kOhttp:
      if (!value.empty()) return Error::invalid("'no-default-alpn' and 'ohttp' take no value");
      return Bytes();
    case kPort: {
      const auto port = number_of<uint16_t>(value);
      if (!port) return Error::invalid("'" + value + "' is no port");
      Bytes out;
      put_u16(out, *port);
      return out;
    }
    case kEch: {
      auto bytes = base64_from_text(value);
      if (!bytes) return Error::invalid("'" + value + "' is not base64");
      return *std::move(bytes);
    }
    default:
      return Bytes(value.begin(), value.end());
  }
}

// RFC 9460 section 8: what is mandatory is there.
bool has_mandatory(const std::map<uint16_t, Bytes>& values) {
  const auto keys = values.find(kMandatory);
  if (keys == values.end()) return true;
  for (size_t i = 0; i + 1 < keys->second.size(); i += 2)
    if (!values.contains(read_u16(&keys->second[i]))) return false;
  return true;
}

}  // namespace

Result<Bytes> svcb_from_text(std::span<const Token> tokens) {
  std::map<uint16_t, Bytes> values;  // the keys go in order (RFC 9460 section 2.2)
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::string& text = tokens[i].text;
    const size_t equals = text.find('=');
    const auto key = key_of(std::string_view(text).substr(0, equals));
    if (!key || *key == UINT16_MAX || tokens[i].quoted)
      return Error::invalid("'" + text + "' is no parameter");
    std::string value = equals == std::string::npos ? "" : text.substr(equals + 1);
    // key="value" are two tokens.
    if (equals + 1 == text.size() && i + 1 < tokens.size() && tokens[i + 1].quoted)
      value = tokens[++i].text;
    const auto plain = unescaped(value);
    if (!plain.ok()) return plain.error();
    auto bytes = value_of(*key, *plain);
    if (!bytes.ok()) return bytes.error();
    if (bytes->size() > kMaxValue) return Error::invalid("a value is over 65535 bytes");
    if (!values.emplace(*key, *std::move(bytes)).second)
      return Error::invalid("'" + text + "' is there twice");
  }
  if (!has_mandatory(values)) return Error::invalid("a mandatory parameter is missing");
  if (values.contains(kNoDefaultAlpn) && !values.contains(kAlpn))
    return Error::invalid("'no-default-alpn' needs 'alpn'");  // RFC 9460 section 7.1.1
  Bytes out;
  for (const auto& [key, value] : values) {
    put_u16(out, key);
    put_u16(out, value.size());
    out.insert(out.end(), value.begin(), value.end());
  }
  return out;
}

}  // namespace fairlead::dns
