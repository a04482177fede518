// SPDX-License-Identifier: Apache-2.0
// Answers with several addresses or mail exchanges come in another order each time, so that clients
// that take the first spread over all; CNAMEs go first.
//
//   loadbalance [round_robin]
//
// Addresses of one name and type are shuffled; MX records are rotated. Records whose names are
// compressed against each other in a way that does not survive a move stay where they are.
#include <algorithm>
#include <array>
#include <random>

#include "dns/plugin.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

constexpr size_t kMaxRecords = 256;  // of an answer that is looked at; longer ones stay as they are

struct Answer {
  std::array<Record, kMaxRecords> records;
  size_t count = 0;
  size_t end = 0;  // of the section
};

bool read_answer(std::span<const uint8_t> message, size_t at, size_t count, Answer& answer) {
  if (count > kMaxRecords) return false;
  for (size_t i = 0; i < count; ++i)
    if (!read_record(message, at, answer.records[i])) return false;
  answer.count = count;
  answer.end = at;
  return true;
}

bool same_owner(std::span<const uint8_t> message, const Record& a, const Record& b) {
  if (message[a.at] >= 0xc0 && read_u16(&message[a.at]) == read_u16(&message[b.at])) return true;
  Name first;
  Name second;
  size_t at = a.at;
  if (!first.parse_compressed(message, at)) return false;
  at = b.at;
  return second.parse_compressed(message, at) && first == second;
}

// Whether the name at `at` leads to somewhere within [from, to).
bool points_into(std::span<const uint8_t> message, size_t at, size_t from, size_t to) {
  while (at < message.size() && message[at] != 0) {
    if (message[at] < 0xc0) {
      at += 1u + message[at];
      continue;
    }
    if (at + 2 > message.size()) return true;
    const size_t target = read_u16(&message[at]) & 0x3fffu;
    return target >= from && target < to;
  }
  return false;
}

// Where the names in a record's data begin; none for types whose data is not compressed (RFC 3597
// section 4).
std::array<size_t, 2> names_in(std::span<const uint8_t> message, const Record& record) {
  std::array<size_t, 2> none = {0, 0};
  switch (record.type) {
    case Type::kCname:
    case Type::kNs:
    case Type::kPtr:
      return {record.rdata_at, 0};
    case Type::kMx:
      return {record.rdata_at + 2, 0};
    case Type::kSrv:
      return {record.rdata_at + 6, 0};
    case Type::kSoa: {
      size_t second = record.rdata_at;
      return {record.rdata_at, skip_name(message, second) ? second : 0};
    }
    default:  // any number may come over the wire
      return none;
  }
}

// Whether the records in [from, to) can change places: no name from there on leads into them.
bool movable(std::span<const uint8_t> message, size_t from, size_t to) {
  size_t at = from;
  while (at < message.size()) {
    Record record;
    if (!read_record(message, at, record)) return false;
    if (points_into(message, record.at, from, to)) return false;
    for (const size_t name : names_in(message, record))
      if (name != 0 && points_into(message, name, from, to)) return false;
  }
  return true;
}

class LoadBalance : public Plugin {
 public:
  void on_reply(const Query&, const Client&, Reply& reply) override {
    const size_t count = reply.count(Section::kAnswer);
    if (count < 2 || reply.rcode() != Rcode::kNoError) return;
    const std::span<const uint8_t> message = reply.message();
    bytes_ = reply.records().data() - reply.records_at();
    if (!read_answer(message, reply.records_at(), count, answer_)) return;
    put_aliases_first(message);
    for (size_t i = 0; i + 1 < count;) i = reorder(message, i);
  }

 private:
  void put_aliases_first(std::span<const uint8_t> message);
  size_t reorder(std::span<const uint8_t> message, size_t first);
  void shuffle(size_t first, size_t end);
  size_t below(size_t count) { return static_cast<size_t>(random_() * uint64_t{count} >> 32); }

  std::mt19937 random_{std::random_device()()};
  Answer answer_;
  uint8_t* bytes_ = nullptr;  // of the message
};

void LoadBalance::put_aliases_first(std::span<const uint8_t> message) {
  const auto is_alias = [](const Record& r) { return r.type == Type::kCname; };
  const std::span<Record> records(answer_.records.data(), answer_.count);
  if (std::ranges::is_partitioned(records, is_alias)) return;
  const auto first = std::ranges::find_if_not(records, is_alias);
  if (!movable(message, first->at, answer_.end)) return;
  size_t to = first->at;
  for (auto at = first; at != records.end(); ++at) {
    if (!is_alias(*at)) continue;
    std::rotate(bytes_ + to, bytes_ + at->at, bytes_ + at->end());
    to += at->end() - at->at;
  }
  (void)read_answer(message, records.front().at, answer_.count, answer_);
}

// The set that begins with record `first`; returns where it ends.
size_t LoadBalance::reorder(std::span<const uint8_t> message, size_t first) {
  const Record& head = answer_.records[first];
  size_t end = first + 1;
  while (end < answer_.count && answer_.records[end].type == head.type &&
         answer_.records[end].rdata_size == head.rdata_size &&
         same_owner(message, head, answer_.records[end]))
    ++end;
  if (head.type == Type::kA || head.type == Type::kAaaa) {
    shuffle(first, end);
    return end;
  }
  if (head.type != Type::kMx) return first + 1;
  while (end < answer_.count && answer_.records[end].type == Type::kMx) ++end;
  const Record& last = answer_.records[end - 1];
  if (end - first > 1 && movable(message, head.at, last.end()))
    std::rotate(bytes_ + head.at, bytes_ + answer_.records[first + below(end - first)].at,
                bytes_ + last.end());
  return end;
}

// What follows the owners changes places; so it does not matter how those are written.
void LoadBalance::shuffle(size_t first, size_t end) {
  const size_t size = 10 + answer_.records[first].rdata_size;
  for (size_t left = end - first; left > 1; --left) {
    const size_t other = first + below(left);
    const size_t last = first + left - 1;
    if (other == last) continue;
    uint8_t* a = bytes_ + answer_.records[other].end() - size;
    std::swap_ranges(a, a + size, bytes_ + answer_.records[last].end() - size);
  }
}

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup&) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  const corefile::Directive& directive = directives.front();
  if (!directive.arguments.empty()) {
    const corefile::Word& policy = directive.arguments[0];
    const auto choice = read_choice(policy, {"round_robin", "weighted"});
    if (!choice.ok()) return choice.error();
    if (*choice == 1)
      return policy.place.error("CoreDNS's 'loadbalance weighted' is not in fairlead-dns");
  }
  if (const auto right = expect_arguments(directive, 0, 1); !right.ok()) return right.error();
  const auto read = read_properties(
      directive, {{"prefer", 0, Property::kAny, [](const corefile::Directive& p) -> Result<void> {
                     return p.name.place.error(
                         "CoreDNS's property 'prefer' of loadbalance is not in fairlead-dns");
                   }}});
  if (!read.ok()) return read.error();
  return std::make_shared<PluginOptions>();
}

std::unique_ptr<Plugin> make(const PluginContext&, const PluginOptions&) {
  return std::make_unique<LoadBalance>();
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(loadbalance) = {&parse, &make, nullptr};

}  // namespace fairlead::dns
