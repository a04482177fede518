// SPDX-License-Identifier: Apache-2.0
#include "dns/record_print.h"

#include <fmt/format.h>

#include "base/address.h"
#include "dns/mnemonics.h"

namespace fairlead::dns {
namespace {

std::string hex_of(std::span<const uint8_t> data) {
  std::string text = fmt::format("\\# {}", data.size());
  if (!data.empty()) text += ' ';
  for (const uint8_t byte : data) text += fmt::format("{:02x}", byte);
  return text;
}

// <character-string>s to the end, quoted. Empty: they do not fit the data.
std::string strings(std::span<const uint8_t> data) {
  std::string text;
  while (!data.empty()) {
    const size_t size = data[0];
    if (data.size() <= size) return "";
    if (!text.empty()) text += ' ';
    text += '"';
    for (const uint8_t c : data.subspan(1, size)) {
      if (c == '"' || c == '\\') text += '\\';
      if (c < ' ' || c > '~')
        text += fmt::format("\\{:03}", c);
      else
        text += static_cast<char>(c);
    }
    text += '"';
    data = data.subspan(1 + size);
  }
  return text;
}

// A flags byte, a tag and a quoted value (RFC 8659 section 4.1).
std::string caa(std::span<const uint8_t> data) {
  if (data.size() < 2 || data.size() < 2u + data[1]) return "";
  std::string value(1, static_cast<char>(std::min<size_t>(255, data.size() - 2 - data[1])));
  value.append(data.begin() + 2 + data[1], data.end());
  if (value.size() > 256) return "";
  return fmt::format("{} {} {}", data[0],
                     std::string_view(reinterpret_cast<const char*>(data.data()) + 2, data[1]),
                     strings({reinterpret_cast<const uint8_t*>(value.data()), value.size()}));
}

std::string soa(std::span<const uint8_t> data, const std::vector<Name>& names) {
  const auto numbers = data.subspan(names[0].size() + names[1].size());
  if (numbers.size() != 20) return "";
  std::string text = names[0].to_text() + " " + names[1].to_text();
  for (size_t i = 0; i < 20; i += 4) text += fmt::format(" {}", read_u32(&numbers[i]));
  return text;
}

std::string known(const EditRecord& record) {
  const std::span<const uint8_t> data = record.rdata;
  const std::vector<Name> names = rdata_names(record);
  switch (record.type) {
    case Type::kA:
    case Type::kAaaa:
      if (data.size() != (record.type == Type::kA ? 4u : 16u)) return "";
      return IpAddress::from_bytes(data).to_string();
    case Type::kTxt:
    case Type::kHinfo:
      return strings(data);
    case Type::kCaa:
      return caa(data);
    case Type::kMx:
      return names.empty() ? "" : fmt::format("{} {}", read_u16(&data[0]), names[0].to_text());
    case Type::kSrv:
      if (names.empty()) return "";
      return fmt::format("{} {} {} {}", read_u16(&data[0]), read_u16(&data[2]), read_u16(&data[4]),
                         names[0].to_text());
    case Type::kSoa:
      return names.size() == 2 ? soa(data, names) : "";
    case Type::kNs:
    case Type::kCname:
    case Type::kPtr:
    case Type::kDname:
      return names.empty() ? "" : names[0].to_text();
    default:
      return "";
  }
}

}  // namespace

std::string rdata_to_text(const EditRecord& record) {
  const std::string text = known(record);
  return text.empty() ? hex_of(record.rdata) : text;
}

std::string record_to_text(const EditRecord& record) {
  return fmt::format("{} {} {} {} {}", record.owner.to_text(), record.ttl,
                     class_to_text(record.klass), type_to_text(record.type), rdata_to_text(record));
}

std::string flags_to_text(uint16_t flags) {
  static constexpr std::pair<uint16_t, const char*> kFlags[] = {
      {kFlagResponse, "qr"},         {kFlagAuthoritative, "aa"},      {kFlagTruncated, "tc"},
      {kFlagRecursionDesired, "rd"}, {kFlagRecursionAvailable, "ra"}, {0x0020, "ad"},
      {kFlagCheckingDisabled, "cd"}};
  std::string text;
  for (const auto& [flag, name] : kFlags)
    if ((flags & flag) != 0) text += (text.empty() ? "" : " ") + std::string(name);
  return text;
}

}  // namespace fairlead::dns
