// SPDX-License-Identifier: Apache-2.0
// What HTTP client and server share. Pure values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fairlead {

// Header fields in order. Names compare without case (RFC 9110 section 5.1).
class HttpHeaders {
 public:
  HttpHeaders() = default;
  HttpHeaders(std::initializer_list<std::pair<std::string, std::string>> fields)
      : fields_(fields) {}

  void add(std::string name, std::string value) {
    fields_.emplace_back(std::move(name), std::move(value));
  }
  // Replaces every field of that name.
  void set(std::string_view name, std::string value);
  void remove(std::string_view name);
  // The first field of that name.
  std::optional<std::string_view> get(std::string_view name) const;

  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }
  size_t size() const { return fields_.size(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

bool equal_ignoring_case(std::string_view a, std::string_view b);  // ASCII only
bool is_token(std::string_view text);  // the name of a method or field: RFC 9110 section 5.6.2

// "%2F" -> "/"; "+" -> " " where `plus_is_space` (query strings). Malformed escapes give nullopt.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);
// Escapes everything but RFC 3986 section 2.3 "unreserved" characters.
std::string percent_encode(std::string_view text);

// "a=1&b=2" in order, decoded; nullopt when an escape is malformed.
std::optional<std::vector<std::pair<std::string, std::string>>> parse_query(std::string_view query);

// The standard reason phrase, "Unknown" for an unassigned code.
std::string_view reason_phrase(int status);

}  // namespace fairlead
