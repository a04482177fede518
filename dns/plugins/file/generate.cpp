// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/file/generate.h"

#include <fmt/format.h>

#include <optional>

#include "dns/number_text.h"

namespace fairlead::dns {
namespace {

constexpr uint32_t kMaxNumber = 0x7fffffff;
constexpr uint32_t kMaxWidth = 255;  // no name and no string is longer

// What is up to the separator, which goes too; all of it without one.
std::string_view take(std::string_view& rest, char separator) {
  const size_t end = rest.find(separator);
  const std::string_view taken = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return taken;
}

// "1.0.f" for 0xf01: a digit and a dot count as two of the width.
std::string nibbles(uint32_t number, uint32_t width, bool upper) {
  const char* const digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
  std::string out;
  do {
    if (!out.empty()) out += '.';
    out += digits[number & 15];
    number >>= 4;
  } while (number != 0 || out.size() + 2 <= width);
  return out;
}

// What stands in the braces: OFFSET[,WIDTH[,BASE]].
Result<std::string> modified(std::string_view text, uint32_t number) {
  std::string_view rest = text;
  const auto offset = number_of<int64_t>(take(rest, ','));
  const auto width =
      rest.empty() ? std::optional<uint32_t>(0) : number_of<uint32_t>(take(rest, ','));
  const std::string_view base = rest.empty() ? "d" : rest;
  if (!offset || !width || *width > kMaxWidth || base.size() != 1)
    return Error::invalid(fmt::format("'${{{}}}' is not ${{OFFSET,WIDTH,BASE}}", text));
  if (*offset > kMaxNumber || *offset < -int64_t{kMaxNumber})
    return Error::invalid(fmt::format("'{}' is too large", *offset));
  const int64_t sum = int64_t{number} + *offset;
  if (sum < 0 || sum > kMaxNumber)
    return Error::invalid(fmt::format("'{}' is no number that fits", sum));
  const auto value = static_cast<uint32_t>(sum);
  switch (base.front()) {
    case 'd':
      return fmt::format("{:0{}d}", value, *width);
    case 'o':
      return fmt::format("{:0{}o}", value, *width);
    case 'x':
      return fmt::format("{:0{}x}", value, *width);
    case 'X':
      return fmt::format("{:0{}X}", value, *width);
    case 'n':
    case 'N':
      return nibbles(value, *width, base.front() == 'N');
    default:
      return Error::invalid(fmt::format("'{}' is none of the bases d, o, x, X, n and N", base));
  }
}

}  // namespace

Result<GenerateRange> generate_range(std::string_view text) {
  std::string_view rest = text;
  const auto start = number_of<uint32_t>(take(rest, '-'));
  const auto stop = number_of<uint32_t>(take(rest, '/'));
  const auto step = rest.empty() ? std::optional<uint32_t>(1) : number_of<uint32_t>(rest);
  if (!start || !stop || !step || *step == 0 || *stop < *start || *stop > kMaxNumber)
    return Error::invalid(fmt::format("'{}' is not a range START-STOP[/STEP]", text));
  return GenerateRange{*start, *stop, *step};
}

Result<std::string> generate_text(std::string_view text, uint32_t number) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = text.substr(i);
    if (rest.starts_with("\\$") || rest.starts_with("$$")) {
      out += '$';
      ++i;
    } else if (rest.size() > 1 && rest[0] == '\\') {
      out += rest.substr(0, 2);
      ++i;
    } else if (rest.starts_with("${")) {
      const size_t end = rest.find('}');
      if (end == std::string_view::npos) return Error::invalid("a '${' without a '}'");
      const auto value = modified(rest.substr(2, end - 2), number);
      if (!value.ok()) return value.error();
      out += *value;
      i += end;
    } else if (rest[0] == '$') {
      out += std::to_string(number);
    } else {
      out += rest[0];
    }
  }
  return out;
}

}  // namespace fairlead::dns
