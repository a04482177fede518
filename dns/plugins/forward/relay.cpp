// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/forward/relay.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace fairlead::dns {
namespace {

constexpr size_t kOptFixed = 11;

void append(std::vector<uint8_t>& out, std::span<const uint8_t> bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// The OPT record of the query, re-made; its options were checked by parse_query.
void append_opt(std::vector<uint8_t>& out, const Query& query) {
  const size_t start = out.size();
  out.resize(start + kOptFixed);
  write_u16(&out[start + 1], static_cast<uint16_t>(Type::kOpt));
  write_u16(&out[start + 3], static_cast<uint16_t>(udp_limit(query)));
  write_u32(&out[start + 5], query.edns->dnssec_ok ? 0x8000u : 0u);
  size_t at = query.edns->at;
  Record record;
  [[maybe_unused]] const bool readable = read_record(query.packet, at, record);
  assert(readable);
  for (at = record.rdata_at; at + 4 <= record.end();) {
    const auto code = static_cast<EdnsOption>(read_u16(&query.packet[at]));
    const size_t size = 4u + read_u16(&query.packet[at + 2]);
    if (code != EdnsOption::kCookie) append(out, query.packet.subspan(at, size));
    at += size;
  }
  write_u16(&out[start + 9], static_cast<uint16_t>(out.size() - start - kOptFixed));
}

// Where the message ends when only `limit` bytes, less those of its OPT record, may stay.
size_t cut(const ReplyView& reply, size_t limit, std::array<uint16_t, 3>& counts) {
  size_t at = reply.question_end;
  size_t end = at;
  bool full = false;
  for (size_t section = 0; section < 3; ++section) {
    counts[section] = 0;
    for (uint16_t i = 0; i < reply.counts[section] && !full; ++i) {
      Record record;
      if (!read_record(reply.message, at, record)) return end;
      if (record.type == Type::kOpt && section == 2) continue;
      full = record.end() > limit || (section == 2 && record.at != end);
      if (full) break;
      end = record.end();
      ++counts[section];
    }
  }
  return end;
}

}  // namespace

std::vector<uint8_t> upstream_query(const Query& query) {
  std::vector<uint8_t> out;
  out.reserve(query.packet.size() + kOptFixed);
  append(out, query.packet.first(query.question_end));
  std::memset(&out[4], 0, 8);
  write_u16(&out[2], query.flags & (kFlagRecursionDesired | kFlagCheckingDisabled));
  write_u16(&out[4], 1);
  if (!query.edns) return out;
  write_u16(&out[10], 1);
  append_opt(out, query);
  return out;
}

bool is_reply_to(const ReplyView& reply, std::span<const uint8_t> query) {
  if (reply.id != read_u16(query.data()) || (reply.flags & 0x7800) != 0) return false;
  if (!reply.has_question) {
    const Rcode rcode = reply.rcode();
    return rcode == Rcode::kFormErr || rcode == Rcode::kNotImp || rcode == Rcode::kServFail ||
           rcode == Rcode::kRefused;
  }
  Name name;
  size_t at = kHeaderSize;
  return name.parse(query, at) && at + 4 <= query.size() && reply.name == name &&
         static_cast<uint16_t>(reply.type) == read_u16(&query[at]) &&
         static_cast<uint16_t>(reply.klass) == read_u16(&query[at + 2]);
}

std::vector<uint8_t> client_reply(const ReplyView& reply, const Query& query, size_t limit) {
  const auto question = query.packet.subspan(kHeaderSize, query.question_end - kHeaderSize);
  std::vector<uint8_t> out;
  if (!reply.has_question) {
    // A bare refusal: header with the client's question.
    append(out, reply.message.first(kHeaderSize));
    std::memset(&out[4], 0, 8);
    append(out, question);
    write_u16(&out[4], 1);
  } else if (reply.message.size() <= limit) {
    append(out, reply.message);
  } else {
    const size_t opt_size = reply.opt ? reply.opt->end() - reply.opt->at : 0;
    std::array<uint16_t, 3> counts{};
    const size_t end = limit > opt_size ? cut(reply, limit - opt_size, counts) : reply.question_end;
    append(out, reply.message.first(end));
    if (reply.opt && end + opt_size <= limit) {
      append(out, reply.message.subspan(reply.opt->at, opt_size));
      ++counts[2];
    }
    for (size_t section = 0; section < 3; ++section)
      write_u16(&out[6 + 2 * section], counts[section]);
    write_u16(&out[2], static_cast<uint16_t>(reply.flags | kFlagTruncated));
  }
  if (out.size() > limit) return {};
  write_u16(&out[0], query.id);
  std::memcpy(&out[kHeaderSize], question.data(), question.size());
  return out;
}

}  // namespace fairlead::dns
