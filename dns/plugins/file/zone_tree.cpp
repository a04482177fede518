// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/file/zone_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <unordered_set>

#include "dns/mnemonics.h"

namespace fairlead::dns {
namespace {

constexpr size_t kPointerSize = 2;

// Which names are in the data of a record: where they begin, how many of them can be compressed
// (RFC 3597 section 4: only in the types of RFC 1035), and whether there are addresses to add
// (RFC 1035 section 3.3, RFC 2782, RFC 9460 section 4.2).
struct Names {
  Type type;
  uint8_t offset;
  uint8_t compressed;
  bool additional;
};
constexpr Names kNames[] = {
    {Type::kNs, 0, 1, true},     {Type::kCname, 0, 1, false}, {Type::kSoa, 0, 2, false},
    {Type::kPtr, 0, 1, false},   {Type::kMx, 2, 1, true},     {Type::kSrv, 6, 0, true},
    {Type::kDname, 0, 0, false}, {Type::kSvcb, 2, 0, true},   {Type::kHttps, 2, 0, true}};

const Names* names_of(Type type) {
  for (const Names& names : kNames)
    if (names.type == type) return &names;
  return nullptr;
}

std::string_view suffix_of(const Name& name, size_t label) {
  const auto lower = name.lower().subspan(name.offset(label));
  return {reinterpret_cast<const char*>(lower.data()), lower.size()};
}

}  // namespace

ZoneTree::Match ZoneTree::find(const Name& name) const {
  assert(covers(name));
  size_t label = name.labels() > deepest_ ? name.labels() - deepest_ : 0;
  for (; label < name.labels(); ++label)
    if (const auto at = index_.find(suffix_of(name, label)); at != index_.end())
      return {at->second, label == 0};
  return {0, name.labels() == name_.labels()};
}

size_t ZoneTree::packed_size(const Data& data) const {
  size_t size = data.size;
  for (const uint16_t cut : data.cuts)
    if (cut != Data::kNoCut) size -= name_.size() - kPointerSize;
  return size;
}

void ZoneTree::pack(const Data& data, uint16_t zone_at, uint8_t* out) const {
  std::span<const uint8_t> rest = bytes(data);
  size_t done = 0;
  for (const uint16_t cut : data.cuts) {
    if (cut == Data::kNoCut) break;
    const size_t before = cut - done;
    std::memcpy(out, rest.data(), before);
    write_u16(out + before, static_cast<uint16_t>(0xc000 | zone_at));
    out += before + kPointerSize;
    rest = rest.subspan(before + name_.size());
    done = cut + name_.size();
  }
  if (!rest.empty()) std::memcpy(out, rest.data(), rest.size());
}

size_t ZoneTree::name_offset(Type type) {
  const Names* names = names_of(type);
  return names == nullptr ? 0 : names->offset;
}

Name ZoneTree::name_in(Type type, const Data& data) const {
  Name name;
  size_t at = name_offset(type);
  if (!name.parse(bytes(data), at)) name.clear();
  return name;
}

ZoneBuilder::ZoneBuilder(const Name& zone) {
  zone_.name_ = zone;
  zone_.deepest_ = zone.labels();
  zone_.nodes_.emplace_back().labels = static_cast<uint8_t>(zone.labels());
  zone_.index_.emplace(suffix_of(zone, 0), 0);
}

Result<void> ZoneBuilder::add(const EditRecord& record) {
  if (!zone_.covers(record.owner)) {
    if (foreign_count_++ == 0) foreign_ = record.owner.to_text();
    return ok();
  }
  if (record.type == Type::kRrsig || record.type == Type::kNsec || record.type == Type::kNsec3 ||
      record.type == Type::kNsec3param)
    return Error::invalid(
        type_to_text(record.type) +
        ": signed zones are not served, and without its signatures this one would be taken "
        "for a forged one");
  // RFC 6895 section 3.1: QTYPEs and Meta-TYPEs are in messages, never in zones.
  const auto number = static_cast<uint16_t>(record.type);
  if (number == 0 || record.type == Type::kOpt || (number >= 128 && number <= 255))
    return Error::invalid(type_to_text(record.type) + " is no type of data");
  if (record.type == Type::kSoa && !(record.owner == zone_.name_))
    return Error::invalid("a SOA below the zone " + zone_.name_.to_text());
  if (record.rdata.size() > kMaxMessage) return Error::invalid("the data is over 65535 bytes");
  auto& sets = zone_.nodes_[node_of(record.owner)].sets;
  auto at = std::ranges::find(sets, record.type, &ZoneTree::RecordSet::type);
  if (at == sets.end()) at = sets.insert(sets.end(), {record.type, record.ttl, {}});
  // RFC 2181 section 5.2: a set has one TTL; the lowest is right for all.
  at->ttl = std::min(at->ttl, record.ttl);
  put(*at, record);
  return ok();
}

uint32_t ZoneBuilder::node_of(const Name& name) {
  ZoneTree::Match match = zone_.find(name);
  size_t label = name.labels() - zone_.nodes_[match.node].labels;
  zone_.deepest_ = std::max(zone_.deepest_, name.labels());
  while (label-- > 0) {
    const auto index = static_cast<uint32_t>(zone_.nodes_.size());
    ZoneTree::Node& made = zone_.nodes_.emplace_back();
    made.parent = match.node;
    made.labels = static_cast<uint8_t>(name.labels() - label);
    if (name.label(label) == "*") zone_.nodes_[match.node].wildcard = index;
    zone_.index_.emplace(suffix_of(name, label), index);
    match.node = index;
  }
  return match.node;
}

void ZoneBuilder::put(ZoneTree::RecordSet& set, const EditRecord& record) {
  ZoneTree::Data data;
  data.at = static_cast<uint32_t>(zone_.bytes_.size());
  data.size = static_cast<uint16_t>(record.rdata.size());
  zone_.bytes_.insert(zone_.bytes_.end(), record.rdata.begin(), record.rdata.end());
  const Names* names = names_of(record.type);
  size_t at = names == nullptr ? 0 : names->offset;
  size_t cuts = 0;
  for (size_t i = 0; names != nullptr && i < names->compressed; ++i) {
    Name name;
    if (!name.parse(record.rdata, at)) break;
    if (zone_.name_.size() > kPointerSize && name.ends_with(zone_.name_))
      data.cuts[cuts++] = static_cast<uint16_t>(at - zone_.name_.size());
  }
  set.records.push_back(data);
}

Result<ZoneTree> ZoneBuilder::finish() {
  drop_repeated();
  if (const auto soa = read_soa(); !soa.ok()) return soa.error();
  // RFC 2181 section 10.1, RFC 6672 section 2.4: one of them is all there can be.
  keep_first(Type::kCname);
  keep_first(Type::kDname);
  cover();
  link();
  note_counts();
  return std::move(zone_);
}

// RFC 2181 section 5: a set holds no record twice.
void ZoneBuilder::drop_repeated() {
  for (ZoneTree::Node& node : zone_.nodes_)
    for (ZoneTree::RecordSet& set : node.sets) {
      if (set.records.size() > 1) {
        std::unordered_set<std::string_view> seen;
        std::erase_if(set.records, [&](const ZoneTree::Data& data) {
          const auto bytes = zone_.bytes(data);
          return !seen.emplace(reinterpret_cast<const char*>(bytes.data()), bytes.size()).second;
        });
      }
      zone_.records_ += set.records.size();
    }
}

Result<void> ZoneBuilder::read_soa() {
  const ZoneTree::RecordSet* soa = zone_.apex().find(Type::kSoa);
  if (soa == nullptr) {
    std::string what = "no SOA record of the zone " + zone_.name_.to_text();
    if (foreign_count_ != 0) what += "; there are records of other names, the first is " + foreign_;
    return Error::invalid(std::move(what));
  }
  // RFC 1035 section 5.2: exactly one. A zone as dig prints it ends with the one it began with.
  if (soa->records.size() > 1) return Error::invalid("several SOA records of the zone");
  const auto rdata = zone_.bytes(soa->records.front());
  if (rdata.size() < 22) return Error::invalid("the SOA record is malformed");
  const auto numbers = rdata.last(20);
  zone_.serial_ = read_u32(&numbers[0]);
  zone_.negative_ttl_ = std::min(soa->ttl, read_u32(&numbers[16]));  // RFC 2308 section 3
  return ok();
}

void ZoneBuilder::keep_first(Type type) {
  size_t dropped = 0;
  for (ZoneTree::Node& node : zone_.nodes_)
    for (ZoneTree::RecordSet& set : node.sets)
      if (set.type == type && set.records.size() > 1) {
        dropped += set.records.size() - 1;
        set.records.resize(1);
      }
  zone_.records_ -= dropped;
  if (dropped != 0)
    zone_.notes_.push_back(fmt::format("{} {} records beside another of the same name are left out",
                                       dropped, type_to_text(type)));
}

void ZoneBuilder::cover() {
  for (size_t i = 1; i < zone_.nodes_.size(); ++i) {
    ZoneTree::Node& node = zone_.nodes_[i];
    const ZoneTree::Node& parent = zone_.nodes_[node.parent];
    node.is_cut = node.find(Type::kNs) != nullptr;
    if (parent.covered_by != ZoneTree::kNone)
      node.covered_by = parent.covered_by;
    else if (parent.is_cut || parent.find(Type::kDname) != nullptr)
      node.covered_by = node.parent;
  }
}

void ZoneBuilder::link() {
  for (ZoneTree::Node& node : zone_.nodes_)
    for (ZoneTree::RecordSet& set : node.sets) {
      const Names* names = names_of(set.type);
      if (names == nullptr || !names->additional) continue;
      for (ZoneTree::Data& data : set.records) {
        const Name target = zone_.name_in(set.type, data);
        if (!zone_.covers(target)) continue;
        if (const ZoneTree::Match match = zone_.find(target); match.exact) data.target = match.node;
      }
    }
}

void ZoneBuilder::note_counts() {
  if (foreign_count_ != 0)
    zone_.notes_.push_back(fmt::format(
        "{} records are not of the zone and left out, the first is {}", foreign_count_, foreign_));
  size_t hidden = 0;
  for (const ZoneTree::Node& node : zone_.nodes_)
    if (node.find(Type::kCname) != nullptr) hidden += node.sets.size() - 1;
  // RFC 1034 section 3.6.2.
  if (hidden != 0)
    zone_.notes_.push_back(
        fmt::format("{} sets of records stand beside a CNAME, which is followed instead", hidden));
}

}  // namespace fairlead::dns
