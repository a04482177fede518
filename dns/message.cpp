// SPDX-License-Identifier: Apache-2.0
#include "dns/message.h"

#include <algorithm>
#include <cstring>

namespace fairlead::dns {
namespace {

constexpr size_t kRecordFixedSize = 10;  // type, class, TTL, length of the data

bool parse_question(std::span<const uint8_t> packet, Name& name, Type& type, Class& klass,
                    size_t& at) {
  if (!name.parse(packet, at) || at + 4 > packet.size()) return false;
  type = static_cast<Type>(read_u16(&packet[at]));
  klass = static_cast<Class>(read_u16(&packet[at + 2]));
  at += 4;
  return true;
}

// RFC 7873 section 4: a client cookie alone, or with a server cookie of 8 to 32 bytes.
bool valid_cookie_size(size_t size) {
  return size == 8 || (size >= 16 && size <= 40);
}

bool is_tailoring(EdnsOption code) {
  return code != EdnsOption::kCookie && code != EdnsOption::kNsid &&
         code != EdnsOption::kTcpKeepalive && code != EdnsOption::kPadding;
}

bool parse_options(std::span<const uint8_t> rdata, Edns& edns) {
  size_t at = 0;
  while (at < rdata.size()) {
    if (at + 4 > rdata.size()) return false;
    const auto code = static_cast<EdnsOption>(read_u16(&rdata[at]));
    const size_t size = read_u16(&rdata[at + 2]);
    at += 4;
    if (at + size > rdata.size()) return false;
    if (code == EdnsOption::kCookie && edns.cookie_size == 0) {
      if (!valid_cookie_size(size)) return false;
      edns.cookie_size = static_cast<uint8_t>(size);
      std::memcpy(edns.cookie.data(), &rdata[at], size);
    }
    edns.tailored = edns.tailored || is_tailoring(code);
    at += size;
  }
  return true;
}

bool parse_opt(std::span<const uint8_t> packet, const Record& record, Query& query) {
  if (packet[record.at] != 0 || query.edns) return false;  // owner is the root; only one (6.1.1)
  Edns edns;
  edns.at = record.at;
  edns.udp_size = static_cast<uint16_t>(record.klass);
  edns.version = static_cast<uint8_t>(record.ttl >> 16);
  edns.dnssec_ok = (record.ttl & 0x8000u) != 0;
  const bool readable = parse_options(packet.subspan(record.rdata_at, record.rdata_size), edns);
  query.edns = edns;
  // Options of a version we do not know may have any form; BADVERS comes first.
  if (readable || edns.version != 0) return true;
  query.edns->cookie_size = 0;
  return false;
}

// The OPT record of a message that is no query of ours to read: its reply has one too (RFC 6891
// section 6.1.1).
void look_for_opt(std::span<const uint8_t> packet, Query& query) {
  size_t at = kHeaderSize;
  const uint16_t questions = read_u16(&packet[4]);
  if (questions > 1) return;
  if (questions == 1 && !parse_question(packet, query.name, query.type, query.klass, at)) return;
  size_t records = 0;
  for (const size_t count : {6, 8, 10}) records += read_u16(&packet[count]);
  Record record;
  while (records-- > 0 && read_record(packet, at, record))
    if (record.type == Type::kOpt) return static_cast<void>(parse_opt(packet, record, query));
}

// Queries carry nothing but a question and an OPT record; IXFR names its serial in an authority
// SOA (RFC 1995 section 3).
bool parse_records(std::span<const uint8_t> packet, Query& query) {
  const uint16_t answers = read_u16(&packet[6]);
  const uint16_t authorities = read_u16(&packet[8]);
  const uint16_t additionals = read_u16(&packet[10]);
  if (answers != 0 || authorities > (query.type == Type::kIxfr ? 1 : 0)) return false;
  size_t at = query.question_end;
  Record record;
  if (authorities == 1 && (!read_record(packet, at, record) || record.type != Type::kSoa))
    return false;
  for (size_t i = 0; i < additionals; ++i) {
    if (!read_record(packet, at, record) || record.type != Type::kOpt) return false;
    if (!parse_opt(packet, record, query)) return false;
  }
  query.trailing_bytes = at < packet.size();
  return true;
}

}  // namespace

Parsed parse_query(std::span<const uint8_t> packet, Query& query) {
  query.packet = packet;
  query.question_end = 0;
  query.edns.reset();
  query.trailing_bytes = false;
  if (packet.size() < kHeaderSize) return {Verdict::kDrop};
  query.id = read_u16(&packet[0]);
  query.flags = read_u16(&packet[2]);
  if ((query.flags & kFlagResponse) != 0) return {Verdict::kDrop};
  if (query.opcode() != Opcode::kQuery) {
    look_for_opt(packet, query);
    return {Verdict::kReject, Rcode::kNotImp};
  }
  if (read_u16(&packet[4]) != 1) return {Verdict::kReject, Rcode::kFormErr};
  size_t at = kHeaderSize;
  if (!parse_question(packet, query.name, query.type, query.klass, at))
    return {Verdict::kReject, Rcode::kFormErr};
  query.question_end = at;
  if (!parse_records(packet, query)) return {Verdict::kReject, Rcode::kFormErr};
  if (query.edns && query.edns->version != 0) return {Verdict::kReject, Rcode::kBadVers};
  return {Verdict::kAnswer};
}

size_t udp_limit(const Query& query) {
  if (!query.edns) return kPlainUdpSize;
  return std::clamp<size_t>(query.edns->udp_size, kPlainUdpSize, kEdnsUdpSize);
}

bool read_record(std::span<const uint8_t> message, size_t& at, Record& record) {
  record.at = at;
  if (!skip_name(message, at) || at + kRecordFixedSize > message.size()) return false;
  record.type = static_cast<Type>(read_u16(&message[at]));
  record.klass = static_cast<Class>(read_u16(&message[at + 2]));
  record.ttl = read_u32(&message[at + 4]);
  record.rdata_size = read_u16(&message[at + 8]);
  record.rdata_at = at + kRecordFixedSize;
  if (record.end() > message.size()) return false;
  at = record.end();
  return true;
}

bool has_record(std::span<const uint8_t> message, size_t at, size_t records, const Name& owner,
                Type type) {
  Record record;
  while (records-- > 0 && read_record(message, at, record)) {
    Name name;
    size_t name_at = record.at;
    if (record.type == type && name.parse_compressed(message, name_at) && name == owner)
      return true;
  }
  return false;
}

std::vector<uint8_t> question_packet(const Name& name, Type type) {
  constexpr size_t kOptSize = 11;
  std::vector<uint8_t> packet(kHeaderSize + name.size() + 4 + kOptSize);
  packet[2] = kFlagRecursionDesired >> 8;
  packet[5] = 1;
  packet[11] = 1;
  std::ranges::copy(name.wire(), packet.begin() + kHeaderSize);
  uint8_t* const at = &packet[kHeaderSize + name.size()];
  write_u16(at, static_cast<uint16_t>(type));
  write_u16(at + 2, static_cast<uint16_t>(Class::kIn));
  write_u16(at + 5, static_cast<uint16_t>(Type::kOpt));
  write_u16(at + 7, kEdnsUdpSize);
  return packet;
}

std::optional<ReplyView> parse_reply(std::span<const uint8_t> message) {
  if (message.size() < kHeaderSize || message.size() > kMaxMessage) return std::nullopt;
  ReplyView reply;
  reply.message = message;
  reply.id = read_u16(&message[0]);
  reply.flags = read_u16(&message[2]);
  if ((reply.flags & kFlagResponse) == 0) return std::nullopt;
  const uint16_t questions = read_u16(&message[4]);
  if (questions > 1) return std::nullopt;
  reply.has_question = questions == 1;
  size_t at = kHeaderSize;
  if (reply.has_question && !parse_question(message, reply.name, reply.type, reply.klass, at))
    return std::nullopt;
  reply.question_end = at;
  for (size_t section = 0; section < 3; ++section) {
    const uint16_t claimed = read_u16(&message[6 + 2 * section]);
    for (uint16_t i = 0; i < claimed; ++i) {
      Record record;
      if (!read_record(message, at, record))
        return reply.truncated() ? std::optional(reply) : std::nullopt;
      if (record.type == Type::kOpt && section == 2) reply.opt = record;
      ++reply.counts[section];
    }
  }
  return reply;
}

}  // namespace fairlead::dns
