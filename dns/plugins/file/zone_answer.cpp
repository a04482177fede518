// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/file/zone_answer.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace fairlead::dns {
namespace {

using Node = ZoneTree::Node;
using RecordSet = ZoneTree::RecordSet;
using Data = ZoneTree::Data;

uint16_t zone_position(const ZoneTree& zone, const Query& query) {
  return static_cast<uint16_t>(Reply::kQuestionName +
                               query.name.offset(query.name.labels() - zone.name().labels()));
}

// The label as it was written.
std::string_view label_of(const Name& name, size_t index) {
  const uint8_t* at = name.wire().data() + name.offset(index);
  return {reinterpret_cast<const char*>(at + 1), *at};
}

// A name, and where it stands in the message.
struct Owner {
  Name name;
  size_t at = 0;
};

// Writes sets of records and remembers whose addresses go with them.
class SetWriter {
 public:
  SetWriter(const ZoneTree& zone, const Query& query, Reply& reply)
      : zone_(zone), zone_at_(zone_position(zone, query)), reply_(reply) {}

  // Null when it does not fit.
  uint8_t* add(Section section, const Owner& owner, Type type, uint32_t ttl, size_t size) {
    // A pointer has fourteen bits (RFC 1035 section 4.1.4).
    if (owner.at <= Reply::kMaxPointer)
      return reply_.add(section, static_cast<uint16_t>(owner.at), type, ttl, size);
    return reply_.add(section, owner.name, type, ttl, size);
  }
  // Where the data of the last record stands; 0 when one did not fit.
  size_t set(Section section, const Owner& owner, const RecordSet& set, uint32_t ttl);
  size_t set(Section section, const Owner& owner, const RecordSet& records) {
    return set(section, owner, records, records.ttl);
  }
  // The addresses of all names in what was written, each once.
  void additional();
  // Those of name servers of a delegation. Without the ones below it nobody could get there, so
  // where they do not fit the reply says so (RFC 9471 section 3).
  void glue(uint32_t cut);

 private:
  // A name in a record's data.
  struct Target {
    uint32_t node;
    Type type;
    const Data* data;
    size_t at;
  };
  void remember(Type type, const Data& data, size_t rdata_at);
  // False when there is no more room.
  bool addresses(const Target& target);

  const ZoneTree& zone_;
  const uint16_t zone_at_;
  Reply& reply_;
  static constexpr size_t kMaxTargets = 64;  // of more, the rest may be asked for
  std::array<Target, kMaxTargets> targets_;
  size_t targets_count_ = 0;
};

size_t SetWriter::set(Section section, const Owner& owner, const RecordSet& set, uint32_t ttl) {
  size_t at = 0;
  for (const Data& data : set.records) {
    uint8_t* rdata = add(section, owner, set.type, ttl, zone_.packed_size(data));
    if (rdata == nullptr) return 0;
    zone_.pack(data, zone_at_, rdata);
    at = reply_.position(rdata);
    if (data.target != ZoneTree::kNone) remember(set.type, data, at);
  }
  return at;
}

void SetWriter::remember(Type type, const Data& data, size_t rdata_at) {
  if (targets_count_ == kMaxTargets) return;
  for (size_t i = 0; i < targets_count_; ++i)
    if (targets_[i].node == data.target) return;
  targets_[targets_count_++] = {data.target, type, &data, rdata_at + ZoneTree::name_offset(type)};
}

bool SetWriter::addresses(const Target& target) {
  for (const Type type : {Type::kA, Type::kAaaa}) {
    const RecordSet* found = zone_.node(target.node).find(type);
    if (found == nullptr) continue;
    Owner owner{.name = {}, .at = target.at};
    if (owner.at > Reply::kMaxPointer) owner.name = zone_.name_in(target.type, *target.data);
    if (set(Section::kAdditional, owner, *found) == 0) return false;
  }
  return true;
}

void SetWriter::additional() {
  for (size_t i = 0; i < targets_count_; ++i) {
    const Node& node = zone_.node(targets_[i].node);
    if (node.covered_by == ZoneTree::kNone && !node.is_cut && !addresses(targets_[i])) return;
  }
}

void SetWriter::glue(uint32_t cut) {
  const auto below = [&](const Target& target) {
    return target.node == cut || zone_.node(target.node).covered_by == cut;
  };
  for (size_t i = 0; i < targets_count_; ++i)
    if (below(targets_[i]) && !addresses(targets_[i])) return reply_.set_flag(kFlagTruncated);
  for (size_t i = 0; i < targets_count_; ++i)
    if (!below(targets_[i]) && !addresses(targets_[i])) return;
}

// One question on its way through the zone.
class ZoneWalk {
 public:
  ZoneWalk(const ZoneTree& zone, const Query& query, Reply& reply)
      : zone_(zone), query_(query), reply_(reply), writer_(zone, query, reply) {
    owner_ = {query.name, Reply::kQuestionName};
  }

  ZoneOutcome run(bool may_fall_through, Name& target);

 private:
  enum class Next : uint8_t { kDone, kFollow, kFallsThrough, kElsewhere };
  Next step(bool may_fall_through);
  Next at_node(const Node& node);
  Next alias(const Owner& owner, const RecordSet& cname);
  Next substitute(uint32_t index, const RecordSet& dname);
  Next refer(uint32_t index);
  Next positive();
  Next negative(Rcode rcode);
  // Or too far.
  Next leads_round();
  // The end of the name that is looked up, of so many labels.
  Owner suffix(size_t labels) const;
  bool seen_before() const;
  // A DNAME that stands in the answer already: names may come back to it.
  bool has_answered(const RecordSet& dname) const;

  const ZoneTree& zone_;
  const Query& query_;
  Reply& reply_;
  SetWriter writer_;
  Owner owner_;                         // what is looked up now
  std::array<Name, kMaxAliases> seen_;  // and was before
  std::array<const RecordSet*, kMaxAliases> dnames_{};
  size_t aliases_ = 0;
};

ZoneOutcome ZoneWalk::run(bool may_fall_through, Name& target) {
  for (;;) {
    const Next next = step(may_fall_through && aliases_ == 0);
    switch (next) {
      case Next::kDone:
        return ZoneOutcome::kAnswered;
      case Next::kFallsThrough:
        return ZoneOutcome::kFallsThrough;
      case Next::kFollow:
      case Next::kElsewhere:
        break;
    }
    if (next == Next::kElsewhere || !zone_.covers(owner_.name)) {
      target = owner_.name;
      return ZoneOutcome::kChase;
    }
    if (seen_before()) return leads_round(), ZoneOutcome::kAnswered;
  }
}

// RFC 1034 section 3.6.2: loops are signalled as an error.
ZoneWalk::Next ZoneWalk::leads_round() {
  reply_.drop_from(Section::kAnswer);
  reply_.clear_flag(kFlagAuthoritative | kFlagTruncated);
  reply_.set_rcode(Rcode::kServFail);
  return Next::kDone;
}

bool ZoneWalk::seen_before() const {
  for (size_t i = 0; i < aliases_; ++i)
    if (seen_[i] == owner_.name) return true;
  return false;
}

bool ZoneWalk::has_answered(const RecordSet& dname) const {
  return std::ranges::find(dnames_, &dname) != dnames_.end();
}

ZoneWalk::Next ZoneWalk::step(bool may_fall_through) {
  const ZoneTree::Match match = zone_.find(owner_.name);
  const Node& encloser = zone_.node(match.node);
  uint32_t above = encloser.covered_by;
  const bool own_ds = match.exact && query_.type == Type::kDs;
  if (above == ZoneTree::kNone && encloser.is_cut && !own_ds) above = match.node;
  // RFC 6672 section 2.3: a DNAME is for the names below it, not for its own.
  if (above == ZoneTree::kNone && !match.exact && encloser.find(Type::kDname) != nullptr)
    above = match.node;
  if (above != ZoneTree::kNone) {
    const Node& node = zone_.node(above);
    return node.is_cut ? refer(above) : substitute(above, *node.find(Type::kDname));
  }
  if (match.exact) {
    if (may_fall_through && encloser.sets.empty()) return Next::kFallsThrough;
    return at_node(encloser);
  }
  // RFC 4592 section 3.3.1: the source of synthesis is the wildcard at the closest encloser.
  if (encloser.wildcard != ZoneTree::kNone) return at_node(zone_.node(encloser.wildcard));
  if (may_fall_through) return Next::kFallsThrough;
  // Where an alias leads, another zone or plugin may have the name, though no NS record says so.
  return aliases_ > 0 ? Next::kElsewhere : negative(Rcode::kNxDomain);
}

ZoneWalk::Next ZoneWalk::at_node(const Node& node) {
  reply_.set_flag(kFlagAuthoritative);
  if (query_.type == Type::kAny) {
    if (node.sets.empty()) return negative(Rcode::kNoError);
    writer_.set(Section::kAnswer, owner_, node.sets.front());
    return positive();
  }
  if (const RecordSet* cname = node.find(Type::kCname);
      cname != nullptr && query_.type != Type::kCname)
    return alias(owner_, *cname);
  const RecordSet* found = node.find(query_.type);
  if (found == nullptr) return negative(Rcode::kNoError);
  if (!has_answered(*found)) writer_.set(Section::kAnswer, owner_, *found);
  return positive();
}

ZoneWalk::Next ZoneWalk::alias(const Owner& owner, const RecordSet& cname) {
  if (aliases_ == kMaxAliases) return leads_round();
  const size_t at = writer_.set(Section::kAnswer, owner, cname);
  seen_[aliases_++] = owner_.name;
  owner_ = {zone_.name_in(Type::kCname, cname.records.front()), at};
  return Next::kFollow;
}

// RFC 6672 section 3.1: the end that is the DNAME's owner becomes its target, and a CNAME says so
// to those who do not know the type.
ZoneWalk::Next ZoneWalk::substitute(uint32_t index, const RecordSet& dname) {
  if (aliases_ == kMaxAliases) return leads_round();
  reply_.set_flag(kFlagAuthoritative);
  const size_t labels = zone_.node(index).labels;
  if (!has_answered(dname)) writer_.set(Section::kAnswer, suffix(labels), dname);
  dnames_[aliases_] = &dname;
  Name target;
  bool fits = true;
  for (size_t i = 0; fits && i + labels < owner_.name.labels(); ++i)
    fits = target.append(label_of(owner_.name, i));
  if (!fits || !target.append(zone_.name_in(Type::kDname, dname.records.front()))) {
    reply_.set_rcode(Rcode::kYxDomain);
    return Next::kDone;
  }
  uint8_t* rdata = writer_.add(Section::kAnswer, owner_, Type::kCname, dname.ttl, target.size());
  if (rdata != nullptr) std::memcpy(rdata, target.wire().data(), target.size());
  seen_[aliases_++] = owner_.name;
  owner_ = {target, rdata == nullptr ? 0 : reply_.position(rdata)};
  // Who asks for CNAME records has the one there is.
  return query_.type == Type::kCname ? positive() : Next::kFollow;
}

ZoneWalk::Next ZoneWalk::refer(uint32_t index) {
  // The answer to the name that was asked is ours when it is an alias (RFC 1035 section 4.1.1).
  if (aliases_ == 0) reply_.clear_flag(kFlagAuthoritative);
  const Node& cut = zone_.node(index);
  writer_.set(Section::kAuthority, suffix(cut.labels), *cut.find(Type::kNs));
  writer_.glue(index);
  return Next::kDone;
}

ZoneWalk::Next ZoneWalk::positive() {
  // Who asks for the name servers has them in the answer.
  const bool asked_for = query_.type == Type::kNs && owner_.name == zone_.name();
  if (!asked_for) add_name_servers(zone_, query_, reply_);
  writer_.additional();
  return Next::kDone;
}

ZoneWalk::Next ZoneWalk::negative(Rcode rcode) {
  reply_.set_flag(kFlagAuthoritative);
  reply_.set_rcode(rcode);  // RFC 6604 section 2.1: the last name's, also behind aliases
  writer_.set(Section::kAuthority, suffix(zone_.name().labels()), *zone_.apex().find(Type::kSoa),
              zone_.negative_ttl());
  return Next::kDone;
}

Owner ZoneWalk::suffix(size_t labels) const {
  // The zone's name is always in the question; that of a name in other data may be a pointer.
  if (labels == zone_.name().labels()) return {zone_.name(), zone_position(zone_, query_)};
  Name name;
  for (size_t i = owner_.name.labels() - labels; i < owner_.name.labels(); ++i)
    (void)name.append(label_of(owner_.name, i));  // an end of a name is never too long
  return {name, owner_.at + owner_.name.offset(owner_.name.labels() - labels)};
}

}  // namespace

ZoneOutcome answer_from_zone(const ZoneTree& zone, const Query& query, bool may_fall_through,
                             Reply& reply, Name& target) {
  return ZoneWalk(zone, query, reply).run(may_fall_through, target);
}

void add_name_servers(const ZoneTree& zone, const Query& query, Reply& reply) {
  const RecordSet* servers = zone.apex().find(Type::kNs);
  if (servers == nullptr) return;
  SetWriter writer(zone, query, reply);
  writer.set(Section::kAuthority, {zone.name(), zone_position(zone, query)}, *servers);
}

}  // namespace fairlead::dns
