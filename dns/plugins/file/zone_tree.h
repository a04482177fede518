// SPDX-License-Identifier: Apache-2.0
// The names of one zone and their records, as they are looked up (RFC 1034 section 4.3.2). Pure;
// built once, constant from then on, shared by the workers.
//
// A name is found by its lower-case wire form in a hash table, from the longest suffix that may be
// there down to the closest encloser (RFC 4592 section 3.3.1). Names that have no records but names
// below (empty non-terminals) are nodes, too. What a query would have to find out on its way down
// is known before: what lies above a node that hides it, the wildcard below it, which node a name
// in a record's data is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dns/edit.h"

namespace fairlead::dns {

class ZoneTree {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // The data of one record. The zone's own name in it may be written as a pointer to where the
  // message has it: `cuts` say where it begins (RFC 1035 section 4.1.4).
  struct Data {
    static constexpr uint16_t kNoCut = UINT16_MAX;
    uint32_t at = 0;
    uint32_t target = kNone;  // the node of the name whose addresses go with it, if it is here
    uint16_t size = 0;
    uint16_t cuts[2] = {kNoCut, kNoCut};
  };
  struct RecordSet {
    Type type{};
    uint32_t ttl = 0;
    std::vector<Data> records;
  };
  struct Node {
    std::vector<RecordSet> sets;
    uint32_t parent = kNone;
    uint32_t covered_by = kNone;  // the highest delegation or DNAME above
    uint32_t wildcard = kNone;    // the child "*"
    uint8_t labels = 0;           // of its name
    bool is_cut = false;          // NS records below the apex: a delegation
    const RecordSet* find(Type type) const {
      for (const RecordSet& set : sets)
        if (set.type == type) return &set;
      return nullptr;
    }
  };

  // The closest encloser of a name, which is the node itself when all labels are there.
  struct Match {
    uint32_t node = 0;
    bool exact = false;
  };
  Match find(const Name& name) const;  // `name` is in the zone
  const Node& node(uint32_t index) const { return nodes_[index]; }
  const Node& apex() const { return nodes_.front(); }
  const Name& name() const { return name_; }
  bool covers(const Name& name) const { return name.ends_with(name_); }

  std::span<const uint8_t> bytes(const Data& data) const {
    return {bytes_.data() + data.at, data.size};
  }
  // What `data` takes in a message that has the zone's name.
  size_t packed_size(const Data& data) const;
  // Writes it, with pointers to `zone_at`.
  void pack(const Data& data, uint16_t zone_at, uint8_t* out) const;
  // The name in the data of a record that has one to follow or to add addresses for.
  Name name_in(Type type, const Data& data) const;
  static size_t name_offset(Type type);

  uint32_t serial() const { return serial_; }
  uint32_t negative_ttl() const { return negative_ttl_; }
  size_t records() const { return records_; }
  // What was left out, and why; for the log.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  friend class ZoneBuilder;
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  Name name_;
  std::unordered_map<std::string, uint32_t, Hash, std::equal_to<>> index_;  // by lower-case wire
  std::vector<Node> nodes_;     // parents before children; the apex first
  std::vector<uint8_t> bytes_;  // the data of all records
  size_t deepest_ = 0;          // the most labels a name has
  uint32_t serial_ = 0;
  uint32_t negative_ttl_ = 0;
  size_t records_ = 0;
  std::vector<std::string> notes_;
};

class ZoneBuilder {
 public:
  explicit ZoneBuilder(const Name& zone);
  // Records of other zones are left out. Fails for what only a signed zone has.
  Result<void> add(const EditRecord& record);
  // Fails without a SOA record. The builder is empty afterwards.
  Result<ZoneTree> finish();

 private:
  uint32_t node_of(const Name& name);
  void put(ZoneTree::RecordSet& set, const EditRecord& record);
  void drop_repeated();
  void cover();
  void link();
  Result<void> read_soa();
  void note_counts();
  void keep_first(Type type);

  ZoneTree zone_;
  std::string foreign_;  // the first record of another zone
  size_t foreign_count_ = 0;
};

}  // namespace fairlead::dns
