// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/forward/scrub.h"

#include <algorithm>
#include <array>
#include <set>
#include <string>

#include "dns/edit.h"
#include "dns/message.h"

namespace fairlead::dns {
namespace {

// So many are followed, and so many zones looked at: more than any resolver goes through. They
// bound what one record costs.
constexpr size_t kMostAliases = 32;
constexpr size_t kMostZones = 16;
constexpr uint16_t kPointerToQuestion = 0xc000 | kHeaderSize;
constexpr size_t kSignerAt = 18;  // in the data of an RRSIG record (RFC 4034 section 3.1)

struct Alias {
  Name owner;
  Name target;
  bool of_all_below = false;  // DNAME
};

// Where the alias leads from this name, if it is about it.
std::optional<Name> target_of(const Alias& alias, const Name& name) {
  if (!alias.of_all_below) return alias.owner == name ? std::optional(alias.target) : std::nullopt;
  if (name.labels() <= alias.owner.labels() || !name.ends_with(alias.owner)) return std::nullopt;
  Name target;
  for (size_t i = 0; i < name.labels() - alias.owner.labels(); ++i)
    if (!target.append(name.label(i))) return std::nullopt;
  return target.append(alias.target) ? std::optional(target) : std::nullopt;
}

// Where the name of a server stands in a record's data.
std::optional<size_t> server_at(Type type) {
  constexpr auto kAfsdb = static_cast<Type>(18);
  constexpr auto kKx = static_cast<Type>(36);
  if (type == Type::kNs || type == Type::kCname) return 0;
  if (type == Type::kSrv) return 6;
  if (type == Type::kMx || type == Type::kSvcb || type == Type::kHttps || type == kAfsdb ||
      type == kKx)
    return 2;
  return std::nullopt;
}

bool is_proof(Type type) {
  return type == Type::kNsec || type == Type::kNsec3;
}

class Scrubber {
 public:
  Scrubber(std::span<const uint8_t> message, size_t question_end)
      : message_(message), records_at_(question_end) {}

  // The foreign records of each section, by number. False when the question cannot be read.
  bool run();
  const std::array<std::vector<size_t>, 3>& foreign() const { return foreign_; }
  bool any() const {
    return std::ranges::any_of(foreign_, [](const auto& section) { return !section.empty(); });
  }

 private:
  // Calls visit(section, number, record) for each.
  template <typename Visit>
  void each_record(Visit&& visit) const;
  // False when it is malformed or not within the record.
  bool read_name(size_t at, const Record& record, Name& name) const {
    return name.parse_compressed(message_, at) && at <= record.end();
  }
  // What is signed, of a signature.
  Type subject(const Record& record) const {
    return record.type == Type::kRrsig && record.rdata_size >= 2
               ? static_cast<Type>(read_u16(&message_[record.rdata_at]))
               : record.type;
  }
  bool on_chain(const Name& name) const { return std::ranges::find(chain_, name) != chain_.end(); }
  bool at_or_above_chain(const Name& name) const {
    return std::ranges::any_of(chain_, [&](const Name& each) { return each.ends_with(name); });
  }
  void follow_aliases();
  bool stays_if_of(const Name& zone, const Record& signature) const;
  void find_zones();
  void note_server(const Record& record, const Name& owner);
  bool belongs(Section section, const Record& record, const Name& owner);

  const std::span<const uint8_t> message_;
  const size_t records_at_;
  std::vector<Name> chain_;                 // the question's name, and where it leads
  std::optional<std::vector<Name>> zones_;  // above the chain, that the authority section names
  std::set<std::string> servers_;           // whose addresses may be additional, in lower case
  std::array<std::vector<size_t>, 3> foreign_;
};

template <typename Visit>
void Scrubber::each_record(Visit&& visit) const {
  size_t at = records_at_;
  for (size_t section = 0; section < 3; ++section) {
    const uint16_t count = read_u16(&message_[6 + 2 * section]);
    for (uint16_t i = 0; i < count; ++i) {
      Record record;
      if (!read_record(message_, at, record)) return;
      visit(static_cast<Section>(section), i, record);
    }
  }
}

bool Scrubber::run() {
  size_t at = kHeaderSize;
  if (!chain_.emplace_back().parse(message_, at)) return false;
  follow_aliases();
  const bool has_additional = read_u16(&message_[10]) != 0;
  Name owner;
  each_record([&](Section section, size_t number, const Record& record) {
    const bool of_question = read_u16(&message_[record.at]) == kPointerToQuestion;
    if (of_question && !has_additional) return;
    if (of_question)
      owner = chain_.front();
    else if (size_t name_at = record.at; !owner.parse_compressed(message_, name_at))
      return foreign_[static_cast<size_t>(section)].push_back(number);
    if (!belongs(section, record, owner))
      return foreign_[static_cast<size_t>(section)].push_back(number);
    if (has_additional) note_server(record, owner);
  });
  return true;
}

// Whatever order they are in.
void Scrubber::follow_aliases() {
  std::vector<Alias> aliases;
  each_record([&](Section section, size_t, const Record& record) {
    const bool of_all_below = record.type == Type::kDname;
    if (section != Section::kAnswer || (record.type != Type::kCname && !of_all_below)) return;
    if (aliases.size() == kMostAliases) return;
    Alias alias;
    alias.of_all_below = of_all_below;
    if (read_name(record.at, record, alias.owner) &&
        read_name(record.rdata_at, record, alias.target))
      aliases.push_back(alias);
  });
  for (size_t i = 0; i < chain_.size(); ++i)
    for (const Alias& alias : aliases) {
      const std::optional<Name> next = target_of(alias, chain_[i]);
      if (next && chain_.size() <= kMostAliases && !on_chain(*next)) chain_.push_back(*next);
    }
}

// Whether a signature in the authority section stays if this zone is one of those above the chain.
// Not of the root, within which everything is.
bool Scrubber::stays_if_of(const Name& zone, const Record& signature) const {
  Name owner;
  if (zone.labels() == 0 || !read_name(signature.at, signature, owner)) return false;
  return owner.ends_with(zone) && (is_proof(subject(signature)) || at_or_above_chain(owner));
}

// Those that SOA and NS records stand for and that signatures are of, of the records that stay.
void Scrubber::find_zones() {
  zones_.emplace();
  each_record([&](Section section, size_t, const Record& record) {
    if (section != Section::kAuthority || zones_->size() == kMostZones) return;
    const bool is_signature = record.type == Type::kRrsig && record.rdata_size > kSignerAt;
    if (record.type != Type::kSoa && record.type != Type::kNs && !is_signature) return;
    Name zone;
    if (!read_name(is_signature ? record.rdata_at + kSignerAt : record.at, record, zone)) return;
    if (is_signature && !stays_if_of(zone, record)) return;
    if (at_or_above_chain(zone) && std::ranges::find(*zones_, zone) == zones_->end())
      zones_->push_back(zone);
  });
}

// SVCB and HTTPS records may name their owner as "." (RFC 9460 section 2.5.2).
void Scrubber::note_server(const Record& record, const Name& owner) {
  const std::optional<size_t> offset = server_at(record.type);
  Name server;
  if (!offset || !read_name(record.rdata_at + *offset, record, server)) return;
  const auto name = server.labels() == 0 ? owner.lower() : server.lower();
  servers_.emplace(name.begin(), name.end());
}

bool Scrubber::belongs(Section section, const Record& record, const Name& owner) {
  if (on_chain(owner)) return true;
  const Type type = subject(record);
  switch (section) {
    case Section::kAnswer:
      return type == Type::kDname && at_or_above_chain(owner);
    case Section::kAuthority:
      if (at_or_above_chain(owner)) return true;
      if (!is_proof(type)) return false;
      if (!zones_) find_zones();
      return std::ranges::any_of(*zones_, [&](const Name& zone) { return owner.ends_with(zone); });
    case Section::kAdditional:
      return servers_.contains(std::string(owner.lower().begin(), owner.lower().end()));
  }
  return false;
}

// `numbers` are in order.
void remove(std::vector<EditRecord>& records, const std::vector<size_t>& numbers) {
  std::vector<EditRecord> kept;
  auto next = numbers.begin();
  for (size_t i = 0; i < records.size(); ++i) {
    if (next != numbers.end() && *next == i)
      ++next;
    else
      kept.push_back(std::move(records[i]));
  }
  records = std::move(kept);
}

}  // namespace

std::optional<std::vector<uint8_t>> scrub(std::vector<uint8_t> message, size_t question_end) {
  Scrubber scrubber(message, question_end);
  if (!scrubber.run()) return std::nullopt;
  if (!scrubber.any()) return message;
  std::optional<EditMessage> edit = decode(message);
  if (!edit) return std::nullopt;
  for (size_t section = 0; section < 3; ++section)
    remove(edit->sections[section], scrubber.foreign()[section]);
  // Without its answers it would say that there is nothing, which nobody has said.
  const bool denies_now = read_u16(&message[6]) != 0 && (*edit)[Section::kAnswer].empty();
  const auto rcode = static_cast<Rcode>(edit->flags & 15);
  if (denies_now && rcode == Rcode::kNoError && (edit->flags & kFlagTruncated) == 0)
    return std::nullopt;
  return encode(*edit);
}

}  // namespace fairlead::dns
