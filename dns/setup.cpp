// SPDX-License-Identifier: Apache-2.0
#include "dns/setup.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "dns/coredns_properties.h"

namespace fairlead::dns {

using corefile::Directive;
using corefile::Word;

std::string BlockSetup::path_of(const std::string& text) const {
  if (text.starts_with('/')) return text;
  const std::string& base = root.empty() ? folder : root;
  return base.empty() ? text : base + "/" + text;
}

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

std::string BlockSetup::server_label() const {
  const std::string host = bind.empty() ? "" : bind.front().text;
  const auto address = IpAddress::parse(host);
  const bool is_v6 = address.ok() && address->is_v6();
  return fmt::format("dns://{}:{}", is_v6 ? "[" + host + "]" : host, port);
}

namespace {

constexpr const char* kNowhere = "CoreDNS does not know it either";

Error unknown_property(const Directive& directive, const Directive& given,
                       const std::vector<Property>& properties) {
  const std::string what =
      fmt::format("plugin '{}' has no property '{}'", directive.name.text, given.name.text);
  if (coredns_has_property(directive.name.text, given.name.text))
    return given.name.place.error(what + ": CoreDNS knows it, fairlead-dns does not yet");
  std::vector<std::string> names;
  for (const Property& each : properties) names.emplace_back(each.name);
  const std::string hint = corefile::did_you_mean(given.name.text, names);
  return given.name.place.error(what + (hint.empty() ? ": " : hint + " ") + kNowhere);
}

}  // namespace

bool same_word(std::string_view given, std::string_view keyword, Letters letters) {
  if (letters == Letters::kAsWritten) return given == keyword;
  return std::ranges::equal(given, keyword, [](char a, char b) {
    return to_lower(static_cast<uint8_t>(a)) == static_cast<uint8_t>(b);
  });
}

Result<void> read_properties(const Directive& directive, const std::vector<Property>& properties,
                             Letters letters) {
  if (!directive.block) return ok();
  for (const Directive& given : *directive.block) {
    const auto at = std::ranges::find_if(properties, [&](const Property& each) {
      return same_word(given.name.text, each.name, letters);
    });
    if (at == properties.end()) return unknown_property(directive, given, properties);
    if (const auto right = expect_arguments(given, at->least, at->most); !right.ok()) return right;
    if (const auto right = expect_no_block(given); !right.ok()) return right;
    if (const Result<void> read = at->read(given); !read.ok()) return read;
  }
  return ok();
}

Result<void> expect_arguments(const Directive& directive, size_t least, size_t most) {
  const size_t count = directive.arguments.size();
  if (count >= least && count <= most) return ok();
  std::string wanted = fmt::format("{}", least);
  if (most == Property::kAny)
    wanted = fmt::format("at least {}", least);
  else if (most != least)
    wanted = fmt::format("{} to {}", least, most);
  return directive.name.place.error(
      fmt::format("'{}' takes {} argument{}, not {}", directive.name.text, wanted,
                  wanted == "1" || wanted == "at least 1" ? "" : "s", count));
}

Result<void> expect_no_block(const Directive& directive) {
  if (!directive.block) return ok();
  return directive.name.place.error(fmt::format("'{}' takes no block", directive.name.text));
}

Result<void> expect_once(const std::vector<Directive>& directives) {
  if (directives.size() == 1) return ok();
  return directives[1].name.place.error(
      fmt::format("plugin '{}' can be given once in a server block", directives[1].name.text));
}

Result<Duration> read_duration(const Word& word, Duration unit) {
  static constexpr std::pair<std::string_view, double> kUnits[] = {
      {"ns", 1},  {"us", 1e3}, {"\u00b5s", 1e3}, {"ms", 1e6},
      {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  std::string_view rest = word.text;
  const auto bad = [&](const char* why) {
    return word.place.error(
        fmt::format("'{}' is no duration such as 500ms, 30s or 1h30m: {}", word.text, why));
  };
  if (rest.empty()) return bad("it is empty");
  if (rest == "0") return Duration::zero();
  double sum = 0;
  while (!rest.empty()) {
    double number = 0;
    const auto [end, error] =
        std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
    if (error != std::errc() || number < 0) return bad("a number must come first");
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    const std::string_view name = rest.substr(0, rest.find_first_of("0123456789."));
    const auto* at = std::ranges::find(kUnits, name, [](const auto& row) { return row.first; });
    const bool known = at != std::end(kUnits);
    if (!known && !(name.empty() && unit != Duration::zero())) return bad("the unit is missing");
    sum += number * (known ? at->second : static_cast<double>(unit.count()));
    rest.remove_prefix(name.size());
  }
  if (sum > 9e18) return bad("it is too long");
  return Duration(std::llround(sum));
}

Result<uint64_t> read_number(const Word& word, uint64_t least, uint64_t most) {
  uint64_t number = 0;
  const char* last = word.text.data() + word.text.size();
  const auto [end, error] = std::from_chars(word.text.data(), last, number);
  if (error != std::errc() || end != last || number < least || number > most)
    return word.place.error(
        fmt::format("'{}' is not a whole number from {} to {}", word.text, least, most));
  return number;
}

Result<size_t> read_choice(const Word& word, std::initializer_list<const char*> choices,
                           Letters letters) {
  const std::vector<std::string> names(choices.begin(), choices.end());
  const auto at = std::ranges::find_if(
      names, [&](const std::string& each) { return same_word(word.text, each, letters); });
  if (at != names.end()) return static_cast<size_t>(at - names.begin());
  const std::string hint = corefile::did_you_mean(word.text, names);
  return word.place.error(fmt::format("'{}' is not one of {}{}{}", word.text,
                                      fmt::join(names, ", "), hint.empty() ? ": " : hint + " ",
                                      kNowhere));
}

Result<std::vector<Name>> read_zones(std::span<const Word> words,
                                     const std::vector<Name>& fallback) {
  if (words.empty()) return fallback;
  std::vector<Name> zones;
  for (const Word& word : words) {
    const auto keys = corefile::parse_zone_key(word.text);
    if (!keys.ok()) return word.place.error(keys.error().message());
    for (const corefile::ZoneKey& key : *keys) zones.push_back(key.zone);
  }
  return zones;
}

Result<SocketAddress> read_listen_address(const Word& word) {
  std::string text = word.text;
  if (text.find(':') == std::string::npos) text = ":" + text;
  if (text.starts_with(':')) text = "[::]" + text;
  if (text.starts_with("localhost:")) text = "127.0.0.1" + text.substr(9);
  const Result<SocketAddress> address = SocketAddress::parse(text);
  if (!address.ok())
    return word.place.error(
        fmt::format("'{}' is no address such as 127.0.0.1:8080 or :8080", word.text));
  return *address;
}

Result<void> Fallthrough::read(const Directive& directive) {
  auto zones = read_zones(directive.arguments, {Name()});
  if (!zones.ok()) return zones.error();
  zones_ = *std::move(zones);
  return ok();
}

}  // namespace fairlead::dns
