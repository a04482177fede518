// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/forward/relay.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "dns/plugins/forward/scrub.h"

namespace fairlead::dns {
namespace {

constexpr size_t kOptFixed = 11;

void append(std::vector<uint8_t>& out, std::span<const uint8_t> bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

bool between_neighbours(EdnsOption option) {
  return option == EdnsOption::kCookie || option == EdnsOption::kTcpKeepalive ||
         option == EdnsOption::kPadding;
}

// The options in an OPT record's data that go further. False when they are malformed.
bool append_options(std::vector<uint8_t>& out, std::span<const uint8_t> data) {
  while (!data.empty()) {
    if (data.size() < 4) return false;
    const auto code = static_cast<EdnsOption>(read_u16(&data[0]));
    const size_t size = 4u + read_u16(&data[2]);
    if (size > data.size()) return false;
    if (!between_neighbours(code)) append(out, data.first(size));
    data = data.subspan(size);
  }
  return true;
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
  append_options(out, query.packet.subspan(record.rdata_at, record.rdata_size));
  write_u16(&out[start + 9], static_cast<uint16_t>(out.size() - start - kOptFixed));
}

// The records in front of the OPT record.
struct Records {
  size_t end = 0;
  std::array<uint16_t, 3> counts{};
};

Records records_of(const ReplyView& reply) {
  Records records{.end = reply.question_end};
  for (size_t section = 0; section < 3; ++section) {
    for (uint16_t i = 0; i < reply.counts[section]; ++i) {
      size_t at = records.end;
      Record record;
      if (!read_record(reply.message, at, record)) return records;
      if (section == 2 && record.type == Type::kOpt) return records;
      records.end = at;
      ++records.counts[section];
    }
  }
  return records;
}

}  // namespace

std::vector<uint8_t> upstream_query(const Query& query) {
  std::vector<uint8_t> out;
  out.reserve(query.packet.size() + kOptFixed);
  append(out, query.packet.first(query.question_end));
  std::memset(&out[4], 0, 8);
  // AD asks to be told of data that was checked (RFC 6840 section 5.7). Who has not asked is not
  // told; a cache keeps the reply for all.
  write_u16(&out[2],
            (query.flags & (kFlagRecursionDesired | kFlagCheckingDisabled)) | kFlagAuthenticData);
  write_u16(&out[4], 1);
  if (!query.edns) return out;
  write_u16(&out[10], 1);
  append_opt(out, query);
  return out;
}

std::vector<uint8_t> simple_query(const Name& name, Type type, bool recursion_desired) {
  std::vector<uint8_t> out(kHeaderSize);
  if (recursion_desired) write_u16(&out[2], kFlagRecursionDesired);
  write_u16(&out[4], 1);
  append(out, name.wire());
  out.resize(out.size() + 4);
  write_u16(&out[out.size() - 4], static_cast<uint16_t>(type));
  write_u16(&out[out.size() - 2], static_cast<uint16_t>(Class::kIn));
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

std::optional<std::vector<uint8_t>> client_reply(const ReplyView& reply, const Query& query) {
  const auto question = query.packet.subspan(kHeaderSize, query.question_end - kHeaderSize);
  // A bare refusal has no question: then header and the client's.
  const Records part = reply.has_question ? records_of(reply) : Records{.end = kHeaderSize};
  std::vector<uint8_t> out;
  out.reserve(part.end + question.size());
  append(out, reply.message.first(kHeaderSize));
  append(out, question);
  if (reply.has_question) append(out, reply.message.first(part.end).subspan(reply.question_end));
  write_u16(&out[0], query.id);
  write_u16(&out[4], 1);
  for (size_t section = 0; section < 3; ++section)
    write_u16(&out[6 + 2 * section], part.counts[section]);
  return scrub(std::move(out), query.question_end);
}

std::vector<uint8_t> client_options(const ReplyView& reply) {
  std::vector<uint8_t> out;
  if (!reply.opt) return out;
  if (!append_options(out, reply.message.subspan(reply.opt->rdata_at, reply.opt->rdata_size)))
    out.clear();
  return out;
}

Rcode whole_rcode(const ReplyView& reply) {
  const uint32_t upper = reply.opt ? reply.opt->ttl >> 24 : 0;
  return static_cast<Rcode>(upper << 4 | static_cast<uint32_t>(reply.rcode()));
}

}  // namespace fairlead::dns
