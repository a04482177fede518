// SPDX-License-Identifier: Apache-2.0
// The names of an address, packed: immutable records in the reverse tries of a snapshot. Made by
// the zone, destroyed when no reader can see them. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/address.h"
#include "dns/zone/records.h"

namespace fairlead::dns {

// An address as a key: a nibble for the family, then its own, so that a reverse zone's name is a
// prefix of it.
class AddressKey {
 public:
  explicit AddressKey(const IpAddress& address) : address_(address) {}
  uint8_t nibble(size_t index) const { return nibble_of(address_.bytes(), index); }
  static uint8_t nibble_of(std::span<const uint8_t> address, size_t index) {
    if (index == 0) return address.size() == 4 ? 4 : 6;
    const uint8_t byte = address[(index - 1) / 2];
    return (index - 1) % 2 == 0 ? byte >> 4 : byte & 15;
  }
  template <typename Leaf>
  bool matches(const Leaf& leaf) const {
    return leaf.address() == address_;
  }

 private:
  const IpAddress address_;
};

// One of the names an address has.
struct ReverseName {
  const ServiceName* service = nullptr;
  bool cluster_ip = false;  // the service's own address: it has no label
  std::string_view label;   // of the endpoint; empty: the address with dashes
};

// Most addresses have one name, without a label: that takes 20 bytes.
class ReverseRecord {
 public:
  static ReverseRecord* make(const IpAddress& address, std::span<const ReverseName> names);
  static void destroy(void* record);
  IpAddress address() const;
  // (Not of std::views, which clang 14 cannot compile with this library's.)
  class Names {
   public:
    class Iterator {
     public:
      Iterator(const ReverseRecord& record, uint32_t index) : record_(record), index_(index) {}
      ReverseName operator*() const { return record_.name(index_); }
      Iterator& operator++() { return ++index_, *this; }
      bool operator==(const Iterator& other) const { return index_ == other.index_; }

     private:
      const ReverseRecord& record_;
      uint32_t index_;
    };
    explicit Names(const ReverseRecord& record) : record_(record) {}
    Iterator begin() const { return {record_, 0}; }
    Iterator end() const { return {record_, record_.count_}; }

   private:
    const ReverseRecord& record_;
  };
  // Cluster addresses first; at least one.
  Names names() const { return Names(*this); }
  uint8_t nibble(size_t index) const {
    return AddressKey::nibble_of({address_at(), address_size_}, index);
  }

 private:
  // What follows in the same block: services, their lowest bit set for a cluster IP; where their
  // labels are, if any has one; the address; the labels.
  struct Label {
    uint32_t at;
    uint32_t size;
  };
  ReverseRecord(size_t count, size_t address_size, bool labelled)
      : count_(static_cast<uint32_t>(count)),
        address_size_(static_cast<uint8_t>(address_size)),
        labelled_(labelled) {}
  static size_t size_of(size_t count, size_t address_size, bool labelled);
  ReverseName name(uint32_t index) const;
  const uintptr_t* services_at() const { return reinterpret_cast<const uintptr_t*>(this + 1); }
  const Label* labels_at() const { return reinterpret_cast<const Label*>(services_at() + count_); }
  const uint8_t* address_at() const {
    return reinterpret_cast<const uint8_t*>(labels_at() + (labelled_ ? count_ : 0));
  }
  uint32_t count_;
  uint8_t address_size_;
  bool labelled_;
};

}  // namespace fairlead::dns
