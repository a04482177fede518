// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/log/format.h"

#include <algorithm>

#include "dns/labels.h"
#include "dns/pattern.h"
#include "dns/record_text.h"

namespace fairlead::dns {
namespace {

constexpr std::string_view kCommon =
    "{remote}:{port} - {>id} \"{type} {class} {name} {proto} {size} {>do} {>bufsize}\" {rcode} "
    "{>rflags} {rsize} {duration}";

using Out = fmt::memory_buffer;

void put(Out& out, std::string_view text) {
  out.append(text.data(), text.data() + text.size());
}
void put(Out& out, uint64_t number) {
  fmt::format_to(std::back_inserter(out), "{}", number);
}
// An IPv6 address in brackets, so that a port may follow.
void put(Out& out, const IpAddress& address) {
  const std::string text = address.to_string();
  put(out, address.is_v4() ? text : "[" + text + "]");
}

void put_rcode(Out& out, Rcode rcode) {
  put(out, rcode_to_text(rcode));
}

void put_flags(Out& out, uint16_t flags) {
  static constexpr std::pair<uint16_t, std::string_view> kFlags[] = {
      {kFlagResponse, "qr"},
      {kFlagAuthoritative, "aa"},
      {kFlagTruncated, "tc"},
      {kFlagRecursionDesired, "rd"},
      {kFlagRecursionAvailable, "ra"},
      {0x40, "z"},
      {0x20, "ad"},
      {kFlagCheckingDisabled, "cd"}};
  bool first = true;
  for (const auto& [flag, text] : kFlags) {
    if ((flags & flag) == 0) continue;
    if (!first) out.push_back(',');
    put(out, text);
    first = false;
  }
}

void replace(std::string& text, std::string_view what, std::string_view with) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at))
    text.replace(at, what.size(), with);
}

}  // namespace

const std::pair<std::string_view, LogFormat::Field> LogFormat::kFields[] = {
    {"{type}", Field::kType},           {"{class}", Field::kClass},
    {"{name}", Field::kName},           {"{proto}", Field::kProto},
    {"{size}", Field::kSize},           {"{remote}", Field::kRemote},
    {"{port}", Field::kPort},           {"{local}", Field::kLocal},
    {"{duration}", Field::kDuration},   {"{rcode}", Field::kRcode},
    {"{rsize}", Field::kResponseSize},  {"{>id}", Field::kId},
    {"{>opcode}", Field::kOpcode},      {"{>do}", Field::kDnssecOk},
    {"{>bufsize}", Field::kBufferSize}, {"{>rflags}", Field::kResponseFlags},
};

LogFormat LogFormat::parse(std::string text) {
  replace(text, "{combined}", "{common} \"{>opcode}\"");
  replace(text, "{common}", kCommon);
  LogFormat format;
  std::string_view rest = text;
  while (!rest.empty()) {
    const size_t brace = std::min(rest.find('{'), rest.size());
    format.add_text(rest.substr(0, brace));
    rest.remove_prefix(brace);
    if (rest.empty()) break;
    const size_t end = rest.starts_with("{/") ? rest.find('}') : std::string_view::npos;
    if (end != std::string_view::npos && end > 2) {
      format.pieces_.push_back({Field::kLabel, std::string(rest.substr(2, end - 2))});
      rest.remove_prefix(end + 1);
      continue;
    }
    const auto* at = std::ranges::find_if(
        kFields, [&](const auto& field) { return rest.starts_with(field.first); });
    if (at == std::end(kFields)) {
      format.add_text("{");
      rest.remove_prefix(1);
      continue;
    }
    format.pieces_.push_back({at->second});
    rest.remove_prefix(at->first.size());
  }
  return format;
}

std::vector<std::string> LogFormat::labels() const {
  std::vector<std::string> out;
  for (const Piece& piece : pieces_)
    if (piece.field == Field::kLabel) out.push_back(piece.text);
  return out;
}

void LogFormat::add_text(std::string_view text) {
  if (text.empty()) return;
  if (pieces_.empty() || pieces_.back().field != Field::kText) pieces_.push_back({});
  pieces_.back().text += text;
}

void LogFormat::write(Out& out, const Query& query, const Client& client, const Reply& reply,
                      MonoTime now) const {
  for (const Piece& piece : pieces_) {
    switch (piece.field) {
      case Field::kText:
        put(out, piece.text);
        break;
      case Field::kType:
        put(out, type_to_text(query.type));
        break;
      case Field::kClass:
        put(out, class_to_text(query.klass));
        break;
      case Field::kName:
        put(out, NameText(query.name).view());
        break;
      case Field::kProto:
        put(out, client.transport == Transport::kUdp ? "udp" : "tcp");
        break;
      case Field::kSize:
        put(out, query.packet.size());
        break;
      case Field::kRemote:
        put(out, client.address.address);
        break;
      case Field::kPort:
        put(out, client.address.port);
        break;
      case Field::kLocal:
        put(out, client.local.address);
        break;
      case Field::kDuration:
        fmt::format_to(std::back_inserter(out), "{:.9f}s",
                       std::chrono::duration<double>(now - client.arrived).count());
        break;
      case Field::kRcode:
        put_rcode(out, reply.rcode());
        break;
      case Field::kResponseSize:
        put(out, reply.final_size());
        break;
      case Field::kId:
        put(out, query.id);
        break;
      case Field::kOpcode:
        put(out, static_cast<uint64_t>(query.opcode()));
        break;
      case Field::kDnssecOk:
        put(out, query.edns && query.edns->dnssec_ok ? "true" : "false");
        break;
      case Field::kBufferSize:
        put(out, taken_size(query, client.transport));
        break;
      case Field::kResponseFlags:
        put_flags(out, reply.flags());
        break;
      case Field::kLabel: {
        const std::string value = label_value(client, piece.text);
        put(out, value.empty() ? "-" : value);
        break;
      }
    }
  }
}

}  // namespace fairlead::dns
