// SPDX-License-Identifier: Apache-2.0
#include "kube/names.h"

#include <algorithm>

namespace fairlead::kube {
namespace {

constexpr const char* kLabelText =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must "
    "start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for "
    "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
constexpr const char* kSubdomainText =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', "
    "and must start and end with an alphanumeric character (e.g. 'example.com', regex used for "
    "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
constexpr const char* kLabel1035Text =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
constexpr const char* kQualifiedText =
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with "
    "an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
constexpr const char* kLabelValueText =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
    "'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

bool lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool digit(char c) {
  return c >= '0' && c <= '9';
}
bool alnum(char c) {
  return lower(c) || digit(c) || (c >= 'A' && c <= 'Z');
}

bool is_label(std::string_view text) {
  const auto edge = [](char c) { return lower(c) || digit(c); };
  return !text.empty() && edge(text.front()) && edge(text.back()) &&
         std::ranges::all_of(text, [&](char c) { return edge(c) || c == '-'; });
}

bool is_subdomain(std::string_view text) {
  for (;;) {
    const size_t dot = text.find('.');
    if (!is_label(text.substr(0, dot))) return false;
    if (dot == text.npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool is_name_part(std::string_view text) {
  return !text.empty() && alnum(text.front()) && alnum(text.back()) &&
         std::ranges::all_of(text,
                             [](char c) { return alnum(c) || c == '-' || c == '_' || c == '.'; });
}

Complaint too_long(size_t limit) {
  return "must be no more than " + std::to_string(limit) + " bytes";
}

}  // namespace

Complaint check_dns1123_label(std::string_view text) {
  if (text.size() > 63) return too_long(63);
  if (!is_label(text)) return is_subdomain(text) ? "must not contain dots" : kLabelText;
  return std::nullopt;
}

Complaint check_dns1123_subdomain(std::string_view text) {
  if (text.size() > 253) return too_long(253);
  if (!is_subdomain(text)) return kSubdomainText;
  return std::nullopt;
}

Complaint check_dns1035_label(std::string_view text) {
  if (text.size() > 63) return too_long(63);
  if (!is_label(text) || !lower(text.front())) return kLabel1035Text;
  return std::nullopt;
}

Complaint check_qualified_name(std::string_view text) {
  const size_t slash = text.find('/');
  std::string_view name = text;
  if (slash != text.npos) {
    const std::string_view prefix = text.substr(0, slash);
    name = text.substr(slash + 1);
    if (prefix.empty()) return "prefix part must be non-empty";
    if (auto wrong = check_dns1123_subdomain(prefix)) return "prefix part " + *wrong;
  }
  if (name.empty()) return "name part must be non-empty";
  if (name.size() > 63) return "name part must be no more than 63 bytes";
  if (!is_name_part(name)) return kQualifiedText;
  return std::nullopt;
}

Complaint check_label_value(std::string_view text) {
  if (text.size() > 63) return too_long(63);
  if (!text.empty() && !is_name_part(text)) return kLabelValueText;
  return std::nullopt;
}

}  // namespace fairlead::kube
