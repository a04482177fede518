// SPDX-License-Identifier: Apache-2.0
// Replies by their question, bounded in number and bytes, the least recently used going first; of
// the oldest few the expired ones before. Pure: time is given. Threads: one.
//
// A key is the name without case, type, class, and the bits DO, CD and RD, which change what
// servers say. One key has one reply: an answer replaces a denial and the other way round.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/time.h"
#include "dns/message.h"

namespace fairlead::dns {

enum class CacheKind : uint8_t { kSuccess, kDenial };

// What of a reply decides how it is kept.
struct CacheClass {
  CacheKind kind = CacheKind::kSuccess;
  uint32_t ttl = 0;      // the least of its records'; of denials the SOA's minimum, too (RFC 2308)
  bool answers = false;  // NOERROR, with what was asked for
};

// Nothing when it is not to be kept: truncated, a denial without SOA, other rcodes than NOERROR,
// NXDOMAIN and the failures SERVFAIL and NOTIMP, which are denials of TTL 0; for who asks for
// signatures, one that has expired at `now` (Unix time, RFC 4034 section 3.1.5). NOERROR with
// answers of which none is what was asked for, at the end of its aliases, is a denial (RFC 2308
// section 2.2). `message` has no OPT record.
std::optional<CacheClass> classify(const Query& query, std::span<const uint8_t> message,
                                   size_t records_at, Rcode rcode, uint32_t now);

// Sets the TTL of every record.
void set_ttls(std::span<uint8_t> message, size_t records_at, uint32_t ttl);
// Sets that of those that have more.
void cap_ttls(std::span<uint8_t> message, size_t records_at, uint32_t most);

class CacheKey {
 public:
  // Hashes cannot be foretold without the secret.
  CacheKey(const Query& query, const std::array<uint8_t, 16>& secret);
  std::span<const uint8_t> bytes() const { return {bytes_, size_}; }
  uint64_t hash() const { return hash_; }

 private:
  size_t size_ = 0;
  uint64_t hash_ = 0;
  uint8_t bytes_[kMaxNameSize + 5];
};

class CacheEntry {
 public:
  std::span<const uint8_t> message() const { return {&bytes_[key_size_], message_size_}; }
  Rcode rcode() const { return rcode_; }
  CacheKind kind() const { return kind_; }
  uint32_t ttl() const { return ttl_; }  // when it was stored
  MonoTime expires() const { return expires_; }
  // Until then nobody tries to have a newer one, since that has failed.
  MonoTime quiet_until() const { return quiet_until_; }
  void set_quiet_until(MonoTime time) { quiet_until_ = time; }
  // Whole seconds left, rounded up; 0: expired.
  uint32_t left(MonoTime now) const;

  // How often it was asked for without a pause longer than `pause`, this time included.
  uint32_t count_hit(MonoTime now, Duration pause);

 private:
  friend class CacheTable;
  uint64_t hash_ = 0;
  std::unique_ptr<uint8_t[]> bytes_;  // key, message
  uint32_t message_size_ = 0;
  uint16_t key_size_ = 0;
  Rcode rcode_{};
  CacheKind kind_{};
  uint32_t ttl_ = 0;
  uint32_t hits_ = 0;
  MonoTime expires_{};
  MonoTime last_hit_{};
  MonoTime quiet_until_{};
  uint32_t chain_ = 0;  // the next with this bucket
  uint32_t older_ = 0;
  uint32_t newer_ = 0;

  size_t size() const { return key_size_ + size_t{message_size_}; }
};

class CacheTable {
 public:
  static constexpr size_t kMaxKept = 16 * 1024;   // bytes of one message
  static constexpr size_t kBytesPerEntry = 1024;  // on average, at most

  // The most entries of each kind.
  CacheTable(size_t success, size_t denial);

  // Marks it as used. Valid until store() or erase().
  CacheEntry* find(const CacheKey& key);
  // False when it is too large. Keeps count of hits when it replaces one.
  bool store(const CacheKey& key, CacheKind kind, std::span<const uint8_t> message, Rcode rcode,
             uint32_t ttl, MonoTime now);
  void erase(const CacheKey& key);

  size_t entries(CacheKind kind) const { return list(kind).count; }
  size_t bytes(CacheKind kind) const { return list(kind).bytes; }
  uint64_t evictions(CacheKind kind) const { return list(kind).evictions; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct List {
    size_t most = 0;
    size_t count = 0;
    size_t bytes = 0;
    uint64_t evictions = 0;
    uint32_t newest = kNone;
    uint32_t oldest = kNone;
  };

  List& list(CacheKind kind) { return lists_[static_cast<size_t>(kind)]; }
  const List& list(CacheKind kind) const { return lists_[static_cast<size_t>(kind)]; }
  uint32_t& bucket(uint64_t hash) { return buckets_[hash & (buckets_.size() - 1)]; }
  uint32_t index_of(const CacheKey& key) const;
  uint32_t take_slot();
  void link(uint32_t index);
  void unlink(uint32_t index);
  void remove(uint32_t index);
  void make_room(CacheKind kind, size_t bytes, MonoTime now);
  void grow();

  std::array<List, 2> lists_;
  std::vector<CacheEntry> entries_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> buckets_;
};

}  // namespace fairlead::dns
