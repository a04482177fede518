// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/schema/formats.h"

#include <algorithm>
#include <cassert>
#include <charconv>

#include "base/address.h"

namespace fairlead::orchestrator::apiserver::schema {
namespace {

constexpr const char* kConfigKeyText =
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name', "
    " "
    "or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool digit(char c) {
  return c >= '0' && c <= '9';
}
bool alnum(char c) {
  return lower(c) || digit(c) || (c >= 'A' && c <= 'Z');
}

template <typename Predicate>
bool all_of(std::string_view text, Predicate predicate) {
  return std::all_of(text.begin(), text.end(), predicate);
}

Complaint too_long(size_t limit) {
  return "must be no more than " + std::to_string(limit) + " bytes";
}

Complaint check_port_number(const Json& value) {
  const int64_t port = value.is_number_integer() ? value.get<int64_t>() : 0;
  if (port >= 1 && port <= 65535) return std::nullopt;
  return "must be between 1 and 65535, inclusive";
}

Complaint check_ip(const std::string& text) {
  if (IpAddress::parse(text).ok()) return std::nullopt;
  return "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
}

Complaint check_cidr(const std::string& text) {
  if (Cidr::parse(text).ok()) return std::nullopt;
  return "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
}

Complaint check_env_name(std::string_view text) {
  if (!text.empty() && all_of(text, [](char c) { return c >= 0x20 && c < 0x7f && c != '='; }))
    return std::nullopt;
  return "a valid environment variable name must consist only of printable ASCII characters other "
         "than '='";
}

Complaint check_count_or_percent(const Json& value) {
  if (value.is_number_integer())
    return value.get<int64_t>() >= 0 ? Complaint() : "must be greater than or equal to 0";
  const std::string text = value.is_string() ? value.get<std::string>() : "";
  if (text.size() >= 2 && text.back() == '%' &&
      all_of(std::string_view(text).substr(0, text.size() - 1), digit))
    return std::nullopt;
  return "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  "
         "or "
         "'93%', regex used for validation is '[0-9]+%')";
}

Complaint check_label_map(const Json& value) {
  for (const auto& [key, text] : value.items()) {
    if (auto wrong = check_qualified_name(key)) return wrong;
    if (auto wrong = check_label_value(text.get<std::string>())) return wrong;
  }
  return std::nullopt;
}

template <typename Check>
Complaint check_keys(const Json& value, Check check) {
  for (const auto& [key, unused] : value.items())
    if (auto wrong = check(key)) return wrong;
  return std::nullopt;
}

template <typename Check>
Complaint check_items(const Json& value, Check check) {
  for (const Json& item : value)
    if (auto wrong = check(item.get<std::string>())) return wrong;
  return std::nullopt;
}

// Of Kubernetes itself, or somebody's (validateKubeFinalizerName).
Complaint check_finalizer(const std::string& text) {
  constexpr std::string_view kStandard[] = {"kubernetes", "orphan", "foregroundDeletion"};
  if (auto wrong = check_qualified_name(text)) return wrong;
  if (text.find('/') != text.npos ||
      std::find(std::begin(kStandard), std::end(kStandard), text) != std::end(kStandard))
    return std::nullopt;
  return "name is neither a standard finalizer name nor is it fully qualified";
}

}  // namespace

Complaint check_config_key(std::string_view text) {
  if (text.size() > 253) return too_long(253);
  const auto fits = [](char c) { return alnum(c) || c == '-' || c == '_' || c == '.'; };
  if (text.empty() || !all_of(text, fits)) return kConfigKeyText;
  if (text == ".") return "must not be '.'";
  if (text.starts_with("..")) return "must not start with '..'";
  return std::nullopt;
}

Complaint check_port_name(std::string_view text) {
  if (text.size() > 15) return "must be no more than 15 characters";
  if (text.empty() || !all_of(text, [](char c) { return lower(c) || digit(c) || c == '-'; }))
    return "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
  if (std::none_of(text.begin(), text.end(), lower))
    return "must contain at least one letter (a-z)";
  if (text.find("--") != text.npos) return "must not contain consecutive hyphens";
  if (text.front() == '-' || text.back() == '-') return "must not begin or end with a hyphen";
  return std::nullopt;
}

Complaint check_format(std::string_view format, const Json& value) {
  const std::string text = value.is_string() ? value.get<std::string>() : std::string();
  if (format == "dns1123label") return check_dns1123_label(text);
  if (format == "finalizer") return check_items(value, check_finalizer);
  if (format == "labelkey")
    return value.is_array() ? check_items(value, check_qualified_name) : check_qualified_name(text);
  if (format == "labels") return check_label_map(value);
  if (format == "annotations")
    return check_keys(value,
                      [](const std::string& key) { return check_qualified_name(lower_case(key)); });
  if (format == "configkeys") return check_keys(value, check_config_key);
  if (format == "envname") return check_env_name(text);
  if (format == "port" || format == "containerport") return check_port_number(value);
  if (format == "portname") return check_port_name(text);
  if (format == "portnumberorname")
    return value.is_string() ? check_port_name(text) : check_port_number(value);
  if (format == "countorpercent") return check_count_or_percent(value);
  if (format == "ip") return check_ip(text);
  if (format == "ips") return check_items(value, check_ip);
  if (format == "cidrs") return check_items(value, check_cidr);
  if (format == "subdomain") return check_dns1123_subdomain(text);
  if (format == "subdomains") return check_items(value, check_dns1123_subdomain);
  if (format == "labelvalue") return check_label_value(text);
  assert(false && "unknown format");
  return std::nullopt;
}

bool is_rfc3339(std::string_view text) {
  // 2006-01-02T15:04:05[.999](Z|+07:00)
  constexpr std::string_view kPattern = "dddd-dd-ddTdd:dd:dd";
  if (text.size() < kPattern.size() + 1) return false;
  for (size_t i = 0; i < kPattern.size(); ++i)
    if (kPattern[i] == 'd' ? !digit(text[i]) : text[i] != kPattern[i]) return false;
  const auto two = [&](size_t i) { return (text[i] - '0') * 10 + text[i + 1] - '0'; };
  if (two(5) < 1 || two(5) > 12 || two(8) < 1 || two(8) > 31 || two(11) > 23 || two(14) > 59 ||
      two(17) > 60)
    return false;
  text.remove_prefix(kPattern.size());
  if (text.front() == '.') {
    size_t end = 1;
    while (end < text.size() && digit(text[end])) ++end;
    if (end == 1 || end > 10) return false;
    text.remove_prefix(end);
  }
  if (text == "Z") return true;
  return text.size() == 6 && (text[0] == '+' || text[0] == '-') && digit(text[1]) &&
         digit(text[2]) && text[3] == ':' && digit(text[4]) && digit(text[5]);
}

std::optional<size_t> base64_error(std::string_view text) {
  size_t count = 0, padding = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n' || c == '\r') continue;
    const bool pad = c == '=';
    if (!alnum(c) && c != '+' && c != '/' && !pad) return i;
    if (!pad && padding > 0) return i;
    if (pad && (++padding > 2 || count % 4 < 2)) return i;
    ++count;
  }
  if (count % 4 != 0) return text.size();
  return std::nullopt;
}

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

std::string base64_decode(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  uint32_t group = 0;
  int bits = 0;
  for (const char c : text) {
    const size_t value = kAlphabet.find(c);
    if (value == kAlphabet.npos) continue;
    group = group << 6 | static_cast<uint32_t>(value);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes += static_cast<char>(group >> bits & 0xff);
  }
  return bytes;
}

std::string base64_encode(std::string_view bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k)
      text += i + k <= bytes.size() ? kAlphabet[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

}  // namespace fairlead::orchestrator::apiserver::schema
