// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/rewrite/options.h"

#include <algorithm>

#include "dns/labels.h"

namespace fairlead::dns {
namespace {

using Bytes = std::vector<uint8_t>;
using Action = OptionRule::Action;

constexpr size_t kMaxOptions = 0xffff;

struct Option {
  uint16_t code = 0;
  std::span<const uint8_t> whole;  // code and size included
};

// Those that are whole.
std::vector<Option> split(std::span<const uint8_t> options) {
  std::vector<Option> out;
  while (options.size() >= 4) {
    const size_t size = 4u + read_u16(&options[2]);
    if (size > options.size()) break;
    out.push_back({read_u16(options.data()), options.first(size)});
    options = options.subspan(size);
  }
  return out;
}

void append_u16(Bytes& out, size_t value) {
  out.push_back(static_cast<uint8_t>(value >> 8));
  out.push_back(static_cast<uint8_t>(value));
}

void append_option(Bytes& out, uint16_t code, std::span<const uint8_t> data) {
  append_u16(out, code);
  append_u16(out, data.size());
  out.insert(out.end(), data.begin(), data.end());
}

// RFC 7871 section 6: family, source and scope prefix, and as much of the address.
Bytes subnet(const OptionRule& rule, const IpAddress& client) {
  const uint8_t prefix = client.is_v4() ? rule.prefix_v4 : rule.prefix_v6;
  const Cidr net(client, prefix);
  Bytes out = {0, static_cast<uint8_t>(client.is_v4() ? 1 : 2), prefix, 0};
  const auto bytes = net.address().bytes().first((prefix + 7u) / 8u);
  out.insert(out.end(), bytes.begin(), bytes.end());
  return out;
}

Bytes option_data(const OptionRule& rule, const OptionQuestion& question) {
  const Client& client = question.client;
  Bytes out;
  const auto text = [&](std::string_view value) { out.assign(value.begin(), value.end()); };
  const auto address = [&](const IpAddress& value) {
    out.assign(value.bytes().begin(), value.bytes().end());
  };
  switch (rule.data) {
    case OptionRule::Data::kBytes:
      return rule.bytes;
    case OptionRule::Data::kQname:
      text(question.name.to_text());
      break;
    case OptionRule::Data::kQtype:
      append_u16(out, static_cast<uint16_t>(question.type));
      break;
    case OptionRule::Data::kClientIp:
      address(client.address.address);
      break;
    case OptionRule::Data::kClientPort:
      append_u16(out, client.address.port);
      break;
    case OptionRule::Data::kProtocol:
      text(client.transport == Transport::kTcp ? "tcp" : "udp");
      break;
    case OptionRule::Data::kServerIp:
      address(client.local.address);
      break;
    case OptionRule::Data::kServerPort:
      append_u16(out, client.local.port);
      break;
    case OptionRule::Data::kLabel:
      text(label_value(client, rule.label));
      break;
    case OptionRule::Data::kSubnet:
      return subnet(rule, client.address.address);
  }
  return out;
}

// The options with `data` in place of the first one of the code, or behind them all when there is
// none; without data there is none of the code any more.
Bytes with_option(std::span<const Option> options, uint16_t code,
                  std::optional<std::span<const uint8_t>> data) {
  Bytes out;
  bool placed = false;
  for (const Option& each : options) {
    if (each.code == code && !data) continue;
    if (each.code == code && !placed) {
      append_option(out, code, *data);
      placed = true;
    } else {
      out.insert(out.end(), each.whole.begin(), each.whole.end());
    }
  }
  if (data && !placed) append_option(out, code, *data);
  return out;
}

}  // namespace

std::optional<OptionChange> change_options(const OptionRule& rule, const OptionQuestion& question,
                                           std::span<const uint8_t> options) {
  const std::vector<Option> all = split(options);
  if (rule.action == Action::kUnset) return OptionChange{with_option(all, rule.code, std::nullopt)};
  const auto old = std::ranges::find(all, rule.code, &Option::code);
  const bool found = old != all.end();
  if (found ? rule.action == Action::kAppend : rule.action == Action::kReplace) return std::nullopt;
  Bytes data = option_data(rule, question);
  if (rule.data == OptionRule::Data::kLabel && data.empty()) return std::nullopt;
  OptionChange change{with_option(all, rule.code, data)};
  if (change.options.size() > kMaxOptions) return std::nullopt;
  if (rule.revert) {
    change.undo = OptionUndo{rule.code, {}, rule.told};
    if (found) change.undo->before = Bytes(old->whole.begin() + 4, old->whole.end());
  } else if (rule.told) {
    change.told = std::move(data);
  }
  return change;
}

bool has_option(std::span<const uint8_t> options, uint16_t code) {
  const std::vector<Option> all = split(options);
  return std::ranges::find(all, code, &Option::code) != all.end();
}

Bytes tell_option(uint16_t code, std::span<const uint8_t> data, std::span<const uint8_t> options) {
  Bytes out(options.begin(), options.end());
  if (!has_option(options, code)) append_option(out, code, data);
  return out;
}

Bytes undo_options(const OptionUndo& undo, std::span<const uint8_t> options) {
  const bool tells = undo.told && undo.before;
  if (!tells && !has_option(options, undo.code)) return {options.begin(), options.end()};
  const std::vector<Option> all = split(options);
  if (undo.before) return with_option(all, undo.code, *undo.before);
  return with_option(all, undo.code, std::nullopt);
}

}  // namespace fairlead::dns
