// SPDX-License-Identifier: Apache-2.0
// Queries as they come off the wire, and the records of any message, as bounded views. Pure;
// nothing allocates; every read is checked against the packet's end.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dns/name.h"
#include "dns/types.h"

namespace fairlead::dns {

// The OPT record of a query (RFC 6891).
struct Edns {
  uint8_t version = 0;
  uint16_t udp_size = 0;
  bool dnssec_ok = false;
  // RFC 7873: 8 bytes from the client, then 8 to 32 of ours. Zero: no cookie.
  uint8_t cookie_size = 0;
  std::array<uint8_t, 40> cookie{};
  // An option that the answer may depend on: a client subnet, a local one.
  bool tailored = false;
  size_t at = 0;  // of the record in the packet
};

struct Query {
  std::span<const uint8_t> packet;
  uint16_t id = 0;
  uint16_t flags = 0;
  Name name;
  Type type{};
  Class klass{};
  // Where the question ends in `packet`; zero when the question could not be read.
  size_t question_end = 0;
  std::optional<Edns> edns;
  bool trailing_bytes = false;  // something follows the last record; ignored but counted

  bool recursion_desired() const { return (flags & kFlagRecursionDesired) != 0; }
  Opcode opcode() const { return static_cast<Opcode>(flags >> 11 & 15); }
};

enum class Verdict {
  kAnswer,  // well formed: goes to the chain
  kReject,  // answer with the rcode at once
  kDrop,    // say nothing: not a query, or no room for an answer's header
};

struct Parsed {
  Verdict verdict = Verdict::kDrop;
  Rcode rcode = Rcode::kNoError;
};

// Fills `query` as far as it could be read. `query.packet` points into `packet`.
Parsed parse_query(std::span<const uint8_t> packet, Query& query);

// The most bytes a UDP reply to this query may have: 512 without EDNS, else what the client takes
// within [512, 1232] (RFC 6891 section 6.2.3).
size_t udp_limit(const Query& query);

// A question of our own: class IN, ID 0, RD set, with an OPT record, so that the reply may be long.
std::vector<uint8_t> question_packet(const Name& name, Type type);

// Whether one of so many records, the first of them at `at`, is of that owner and type.
bool has_record(std::span<const uint8_t> message, size_t at, size_t records, const Name& owner,
                Type type);

// One resource record of a message.
struct Record {
  size_t at = 0;  // of its owner name
  Type type{};
  Class klass{};
  uint32_t ttl = 0;
  size_t rdata_at = 0;
  size_t rdata_size = 0;
  size_t end() const { return rdata_at + rdata_size; }
};

// Reads the record at `at` and moves `at` behind it. False when it runs out of `message`.
bool read_record(std::span<const uint8_t> message, size_t& at, Record& record);

enum class Section : uint8_t { kAnswer, kAuthority, kAdditional };

// A reply of an upstream server, checked from end to end: header, one question at most, and the
// bounds of every record.
struct ReplyView {
  std::span<const uint8_t> message;
  uint16_t id = 0;
  uint16_t flags = 0;
  bool has_question = false;
  Name name;
  Type type{};
  Class klass{};
  size_t question_end = kHeaderSize;
  std::array<uint16_t, 3> counts{};  // of the sections
  std::optional<Record> opt;

  bool truncated() const { return (flags & kFlagTruncated) != 0; }
  Rcode rcode() const { return static_cast<Rcode>(flags & 15); }  // the low four bits
};

// Nothing when it is not a well-formed response. With TC set records may be cut short: the counts
// then say how many are whole.
std::optional<ReplyView> parse_reply(std::span<const uint8_t> message);

}  // namespace fairlead::dns
