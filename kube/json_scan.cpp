// SPDX-License-Identifier: Apache-2.0
#include "kube/json_scan.h"

#include <string>

namespace fairlead::kube {

size_t JsonNesting::follow(std::string_view text, size_t at) {
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (in_string_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
        if (depth_ == 0) return at + 1;
      }
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if (c == '}' || c == ']') {
      if (depth_ <= 1) return depth_ = 0, at + 1;
      --depth_;
    }
  }
  return std::string_view::npos;
}

size_t end_of_scalar(std::string_view text, size_t at) {
  const auto belongs = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == 'E' || c == '-' || c == '+' ||
           c == '.';
  };
  while (at < text.size() && belongs(text[at])) ++at;
  return at;
}

namespace {

size_t skip_space(std::string_view text, size_t at) {
  while (at < text.size() && is_json_space(text[at])) ++at;
  return at;
}

size_t end_of_value(std::string_view text, size_t at) {
  if (at >= text.size()) return std::string_view::npos;
  if (text[at] == '"' || text[at] == '{' || text[at] == '[') return JsonNesting().follow(text, at);
  const size_t end = end_of_scalar(text, at);
  return end == at ? std::string_view::npos : end;
}

Error malformed(size_t at, const char* expected) {
  return Error(ErrorCode::kInvalid,
               "not a JSON object: byte " + std::to_string(at) + ": expected " + expected);
}

}  // namespace

Result<void> scan_members(std::string_view document, const OnMember& on_member) {
  constexpr size_t kNone = std::string_view::npos;
  const auto is = [&document](size_t at, char c) {
    return at < document.size() && document[at] == c;
  };
  size_t at = skip_space(document, 0);
  if (!is(at, '{')) return malformed(at, "'{'");
  at = skip_space(document, at + 1);
  while (!is(at, '}')) {
    if (!is(at, '"')) return malformed(at, "a member's name");
    const size_t key_end = end_of_value(document, at);
    if (key_end == kNone) return malformed(at, "the end of a name");
    const std::string_view key = document.substr(at + 1, key_end - at - 2);
    at = skip_space(document, key_end);
    if (!is(at, ':')) return malformed(at, "':'");
    at = skip_space(document, at + 1);
    const size_t value_end = end_of_value(document, at);
    if (value_end == kNone) return malformed(at, "a complete value");
    on_member(key, document.substr(at, value_end - at));
    at = skip_space(document, value_end);
    if (is(at, '}')) break;
    if (!is(at, ',')) return malformed(at, "',' or '}'");
    at = skip_space(document, at + 1);
    if (!is(at, '"')) return malformed(at, "a member's name");
  }
  at = skip_space(document, at + 1);
  return at == document.size() ? ok() : malformed(at, "nothing more");
}

}  // namespace fairlead::kube
