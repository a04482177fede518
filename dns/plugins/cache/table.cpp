// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/cache/table.h"

#include <algorithm>
#include <cstring>

#include "dns/cookie.h"

namespace fairlead::dns {
namespace {

constexpr size_t kFirstBuckets = 64;
constexpr int kOldestLookedAt = 8;
constexpr size_t kSoaNumbers = 20;

constexpr size_t kMostAliases = 16;
constexpr size_t kRrsigTimes = 8;  // where the time of expiry stands, RFC 4034 section 3.1

// Where `name` leads as an alias; nothing: nowhere. `ambiguous`: to two names.
std::optional<Name> alias_of(std::span<const uint8_t> message, size_t at, const Name& name,
                             bool& ambiguous) {
  std::optional<Name> target;
  for (uint16_t left = read_u16(&message[6]); left > 0; --left) {
    Record record;
    if (!read_record(message, at, record)) break;
    Name owner, next;
    size_t owner_at = record.at, next_at = record.rdata_at;
    if (record.type != Type::kCname || !owner.parse_compressed(message, owner_at) ||
        !(owner == name) || !next.parse_compressed(message, next_at))
      continue;
    if (target && !(*target == next)) ambiguous = true;
    target = next;
  }
  return target;
}

// A record of `type`, or for ANY of any, with this owner.
bool has_record(std::span<const uint8_t> message, size_t at, const Name& name, Type type) {
  for (uint16_t left = read_u16(&message[6]); left > 0; --left) {
    Record record;
    if (!read_record(message, at, record)) return false;
    Name owner;
    size_t owner_at = record.at;
    if ((record.type == type || type == Type::kAny) && owner.parse_compressed(message, owner_at) &&
        owner == name)
      return true;
  }
  return false;
}

// Whether what is asked for stands where the aliases end. More of them than anybody has are taken
// for a loop.
bool answers_question(const Query& query, std::span<const uint8_t> message, size_t records_at) {
  Name name = query.name;
  bool ambiguous = false;
  if (query.type == Type::kCname) {
    alias_of(message, records_at, name, ambiguous);
  } else if (query.type != Type::kAny) {
    std::optional<Name> next = alias_of(message, records_at, name, ambiguous);
    for (size_t i = 0; next && !ambiguous; ++i) {
      if (i == kMostAliases) return false;
      name = *next;
      next = alias_of(message, records_at, name, ambiguous);
    }
  }
  return !ambiguous && has_record(message, records_at, name, query.type);
}

// Serial numbers, RFC 4034 section 3.1.5.
bool has_expired(const Record& record, std::span<const uint8_t> message, uint32_t now) {
  if (record.type != Type::kRrsig || record.rdata_size < kRrsigTimes + 8) return false;
  const auto expires = read_u32(&message[record.rdata_at + kRrsigTimes]);
  const auto begins = read_u32(&message[record.rdata_at + kRrsigTimes + 4]);
  return static_cast<int32_t>(expires - now) < 0 || static_cast<int32_t>(now - begins) < 0;
}

}  // namespace

std::optional<CacheClass> classify(const Query& query, std::span<const uint8_t> message,
                                   size_t records_at, Rcode rcode, uint32_t now) {
  if ((read_u16(&message[2]) & kFlagTruncated) != 0) return {};
  if (rcode == Rcode::kServFail || rcode == Rcode::kNotImp)
    return CacheClass{CacheKind::kDenial, 0, false};
  if (rcode != Rcode::kNoError && rcode != Rcode::kNxDomain) return {};
  const bool checks = query.edns && query.edns->dnssec_ok;
  uint32_t ttl = UINT32_MAX;
  bool soa = false;
  size_t at = records_at;
  for (size_t section = 0; section < 3; ++section) {
    for (uint16_t left = read_u16(&message[6 + 2 * section]); left > 0; --left) {
      Record record;
      if (!read_record(message, at, record)) return {};
      if (record.type == Type::kOpt) continue;
      if (checks && has_expired(record, message, now)) return {};
      ttl = std::min(ttl, record.ttl > INT32_MAX ? 0 : record.ttl);  // RFC 2181 section 8
      if (section != static_cast<size_t>(Section::kAuthority) || record.type != Type::kSoa ||
          record.rdata_size < kSoaNumbers)
        continue;
      soa = true;
      ttl = std::min(ttl, read_u32(&message[record.end() - 4]));
    }
  }
  const bool answers = rcode == Rcode::kNoError && answers_question(query, message, records_at);
  if (!answers && !soa) return {};
  return CacheClass{answers ? CacheKind::kSuccess : CacheKind::kDenial, ttl, answers};
}

void set_ttls(std::span<uint8_t> message, size_t records_at, uint32_t ttl) {
  size_t at = records_at;
  Record record;
  while (at < message.size() && read_record(message, at, record))
    if (record.type != Type::kOpt) write_u32(&message[record.rdata_at - 6], ttl);
}

void cap_ttls(std::span<uint8_t> message, size_t records_at, uint32_t most) {
  size_t at = records_at;
  Record record;
  while (at < message.size() && read_record(message, at, record))
    if (record.ttl > most && record.type != Type::kOpt)
      write_u32(&message[record.rdata_at - 6], most);
}

CacheKey::CacheKey(const Query& query, const std::array<uint8_t, 16>& secret) {
  const auto name = query.name.lower();
  std::memcpy(bytes_, name.data(), name.size());
  uint8_t* at = bytes_ + name.size();
  write_u16(at, static_cast<uint16_t>(query.type));
  write_u16(at + 2, static_cast<uint16_t>(query.klass));
  at[4] = static_cast<uint8_t>((query.edns && query.edns->dnssec_ok ? 1 : 0) |
                               ((query.flags & kFlagCheckingDisabled) != 0 ? 2 : 0) |
                               (query.recursion_desired() ? 4 : 0));
  size_ = name.size() + 5;
  hash_ = siphash24(secret, bytes());
}

uint32_t CacheEntry::left(MonoTime now) const {
  if (now >= expires_) return 0;
  return static_cast<uint32_t>(std::chrono::ceil<std::chrono::seconds>(expires_ - now).count());
}

uint32_t CacheEntry::count_hit(MonoTime now, Duration pause) {
  hits_ = now - last_hit_ > pause ? 1 : hits_ + 1;
  last_hit_ = now;
  return hits_;
}

CacheTable::CacheTable(size_t success, size_t denial) : buckets_(kFirstBuckets, kNone) {
  list(CacheKind::kSuccess).most = success;
  list(CacheKind::kDenial).most = denial;
}

uint32_t CacheTable::index_of(const CacheKey& key) const {
  const auto wanted = key.bytes();
  for (uint32_t i = buckets_[key.hash() & (buckets_.size() - 1)]; i != kNone;
       i = entries_[i].chain_) {
    const CacheEntry& entry = entries_[i];
    if (entry.hash_ == key.hash() && entry.key_size_ == wanted.size() &&
        std::memcmp(entry.bytes_.get(), wanted.data(), wanted.size()) == 0)
      return i;
  }
  return kNone;
}

CacheEntry* CacheTable::find(const CacheKey& key) {
  const uint32_t index = index_of(key);
  if (index == kNone) return nullptr;
  if (list(entries_[index].kind_).newest != index) {
    unlink(index);
    link(index);
  }
  return &entries_[index];
}

bool CacheTable::store(const CacheKey& key, CacheKind kind, std::span<const uint8_t> message,
                       Rcode rcode, uint32_t ttl, MonoTime now) {
  if (message.size() > kMaxKept) return false;
  uint32_t hits = 0;
  MonoTime last_hit{};
  if (const uint32_t old = index_of(key); old != kNone) {
    hits = entries_[old].hits_;
    last_hit = entries_[old].last_hit_;
    remove(old);
  }
  const auto bytes = key.bytes();
  make_room(kind, bytes.size() + message.size(), now);
  if (entries_.size() - free_.size() >= buckets_.size()) grow();
  const uint32_t index = take_slot();
  CacheEntry& entry = entries_[index];
  entry.hash_ = key.hash();
  entry.bytes_.reset(new uint8_t[bytes.size() + message.size()]);
  std::memcpy(entry.bytes_.get(), bytes.data(), bytes.size());
  std::memcpy(entry.bytes_.get() + bytes.size(), message.data(), message.size());
  entry.key_size_ = static_cast<uint16_t>(bytes.size());
  entry.message_size_ = static_cast<uint32_t>(message.size());
  entry.rcode_ = rcode;
  entry.kind_ = kind;
  entry.ttl_ = ttl;
  entry.hits_ = hits;
  entry.last_hit_ = last_hit;
  entry.quiet_until_ = {};
  entry.expires_ = now + std::chrono::seconds(ttl);
  entry.chain_ = bucket(key.hash());
  bucket(key.hash()) = index;
  list(kind).bytes += entry.size();
  link(index);
  return true;
}

uint32_t CacheTable::take_slot() {
  if (free_.empty()) {
    entries_.emplace_back();
    return static_cast<uint32_t>(entries_.size() - 1);
  }
  const uint32_t index = free_.back();
  free_.pop_back();
  return index;
}

void CacheTable::link(uint32_t index) {
  CacheEntry& entry = entries_[index];
  List& in = list(entry.kind_);
  entry.newer_ = kNone;
  entry.older_ = in.newest;
  (in.newest == kNone ? in.oldest : entries_[in.newest].newer_) = index;
  in.newest = index;
  ++in.count;
}

void CacheTable::unlink(uint32_t index) {
  const CacheEntry& entry = entries_[index];
  List& in = list(entry.kind_);
  (entry.newer_ == kNone ? in.newest : entries_[entry.newer_].older_) = entry.older_;
  (entry.older_ == kNone ? in.oldest : entries_[entry.older_].newer_) = entry.newer_;
  --in.count;
}

void CacheTable::erase(const CacheKey& key) {
  if (const uint32_t index = index_of(key); index != kNone) remove(index);
}

void CacheTable::remove(uint32_t index) {
  CacheEntry& entry = entries_[index];
  uint32_t* at = &bucket(entry.hash_);
  while (*at != index) at = &entries_[*at].chain_;
  *at = entry.chain_;
  unlink(index);
  list(entry.kind_).bytes -= entry.size();
  entry.bytes_.reset();
  free_.push_back(index);
}

void CacheTable::make_room(CacheKind kind, size_t bytes, MonoTime now) {
  List& in = list(kind);
  while (in.count > 0 && (in.count >= in.most || in.bytes + bytes > in.most * kBytesPerEntry)) {
    uint32_t victim = in.oldest;
    uint32_t at = in.oldest;
    for (int i = 0; i < kOldestLookedAt && at != kNone; ++i, at = entries_[at].newer_) {
      if (entries_[at].expires_ > now) continue;
      victim = at;
      break;
    }
    remove(victim);
    ++in.evictions;
  }
}

void CacheTable::grow() {
  buckets_.assign(buckets_.size() * 2, kNone);
  for (uint32_t i = 0; i < entries_.size(); ++i) {
    CacheEntry& entry = entries_[i];
    if (!entry.bytes_) continue;
    entry.chain_ = bucket(entry.hash_);
    bucket(entry.hash_) = i;
  }
}

}  // namespace fairlead::dns
