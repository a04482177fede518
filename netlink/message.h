// SPDX-License-Identifier: Apache-2.0
// Netlink messages as bytes: a writer that appends messages and attributes to one buffer, and
// readers that never look past what they were given. Pure. Formats: include/uapi/linux/netlink.h
// and Documentation/userspace-api/netlink/intro.rst of the kernel.
#pragma once

#include <linux/netlink.h>

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace fairlead::netlink {

using Bytes = std::span<const uint8_t>;

// Appends whole messages to one buffer. Sequence numbers are left zero; the Connection fills them.
// Integers are in host order unless the name says be (nfnetlink attributes are big-endian).
class MessageWriter {
 public:
  // Starts a message. `header` is the fixed part behind nlmsghdr (nfgenmsg, rtmsg, ...).
  template <typename Header>
  void begin(uint16_t type, uint16_t flags, const Header& header) {
    static_assert(sizeof(Header) % NLMSG_ALIGNTO == 0 || sizeof(Header) < NLMSG_ALIGNTO);
    start_ = size_;
    ++count_;
    nlmsghdr head{};
    head.nlmsg_type = type;
    head.nlmsg_flags = static_cast<uint16_t>(flags | NLM_F_REQUEST);
    uint8_t* room = extend(sizeof head + NLMSG_ALIGN(sizeof header));
    clear_tail(room + sizeof head, NLMSG_ALIGN(sizeof header));
    std::memcpy(room, &head, sizeof head);
    std::memcpy(room + sizeof head, &header, sizeof header);
  }
  // Ends it: writes its length.
  void end() {
    const auto length = static_cast<uint32_t>(size_ - start_);
    std::memcpy(room_.get() + start_, &length, sizeof length);
  }

  void put(uint16_t type, Bytes value) {
    uint8_t* room = head(type, value.size(), NLA_ALIGN(value.size()));
    if (!value.empty()) std::memcpy(room, value.data(), value.size());
  }
  // open(outer), put(type, value), close.
  void put_nested(uint16_t outer, uint16_t type, Bytes value) {
    const size_t size = NLA_HDRLEN + NLA_ALIGN(value.size());
    uint8_t* room = head(static_cast<uint16_t>(outer | NLA_F_NESTED), size, size);
    const nlattr inner{static_cast<uint16_t>(NLA_HDRLEN + value.size()), type};
    std::memcpy(room, &inner, sizeof inner);
    if (!value.empty()) std::memcpy(room + sizeof inner, value.data(), value.size());
  }
  void put_flag(uint16_t type) { head(type, 0, 0); }
  void put_u8(uint16_t type, uint8_t value) { put_integer(type, value); }
  void put_u16(uint16_t type, uint16_t value) { put_integer(type, value); }
  void put_u32(uint16_t type, uint32_t value) { put_integer(type, value); }
  void put_be16(uint16_t type, uint16_t value) { put_integer(type, __builtin_bswap16(value)); }
  void put_be32(uint16_t type, uint32_t value) { put_integer(type, __builtin_bswap32(value)); }
  void put_be64(uint16_t type, uint64_t value) { put_integer(type, __builtin_bswap64(value)); }
  // With the terminating zero, as the kernel expects names.
  void put_string(uint16_t type, std::string_view text);

  // Attributes put between open() and close() become the value of attribute `type`. close() asserts
  // that the nest fits the 16-bit length; nests that can grow long must watch nest_size().
  size_t open(uint16_t type) {
    const size_t mark = size_;
    head(static_cast<uint16_t>(type | NLA_F_NESTED), 0, 0);
    return mark;
  }
  void close(size_t mark) {
    const size_t length = size_ - mark;
    assert(length <= 0xffff && "nested attribute over 64 KiB");
    const auto value = static_cast<uint16_t>(length);
    std::memcpy(room_.get() + mark, &value, sizeof value);
  }
  size_t nest_size(size_t mark) const { return size_ - mark; }

  // Good until the next change.
  Bytes bytes() const { return {room_.get(), size_}; }
  std::span<uint8_t> bytes() { return {room_.get(), size_}; }
  size_t size() const { return size_; }
  size_t message_count() const { return count_; }
  size_t message_start() const { return start_; }
  void reserve(size_t size) {
    if (size > capacity_) grow(size);
  }
  // Without any message, and with the room it has.
  void clear() { size_ = start_ = count_ = 0; }

 private:
  // To be written to, every byte of it; good until the next call.
  uint8_t* extend(size_t size) {
    if (size_ + size > capacity_) grow(std::max(2 * (size_ + size), kSmallest));
    return room_.get() + std::exchange(size_, size_ + size);
  }
  void grow(size_t capacity) {
    auto room = std::make_unique_for_overwrite<uint8_t[]>(capacity);
    if (size_ > 0) std::memcpy(room.get(), room_.get(), size_);
    room_ = std::move(room);
    capacity_ = capacity;
  }
  // The last four bytes of an aligned value, the padding among them.
  static void clear_tail(uint8_t* value, size_t aligned) {
    if (aligned >= NLA_ALIGNTO) std::memset(value + aligned - NLA_ALIGNTO, 0, NLA_ALIGNTO);
  }
  // The header of an attribute with `size` bytes of value, and where the value goes: `room` bytes,
  // the padding among them.
  uint8_t* head(uint16_t type, size_t size, size_t room) {
    assert(size <= 0xffff - NLA_HDRLEN);
    const nlattr attribute{static_cast<uint16_t>(NLA_HDRLEN + size), type};
    uint8_t* at = extend(sizeof attribute + room);
    std::memcpy(at, &attribute, sizeof attribute);
    clear_tail(at + sizeof attribute, room);
    return at + sizeof attribute;
  }
  template <typename Integer>
  void put_integer(uint16_t type, Integer value) {
    uint8_t* room = head(type, sizeof value, NLA_ALIGN(sizeof value));
    std::memcpy(room, &value, sizeof value);
  }

  static constexpr size_t kSmallest = 256;

  std::unique_ptr<uint8_t[]> room_;  // not cleared: a large batch is written but once
  size_t capacity_ = 0;
  size_t size_ = 0;
  size_t start_ = 0;
  size_t count_ = 0;
};

// One received message. The payload belongs to the receive buffer: copy what must outlive the
// callback.
struct MessageView {
  uint16_t type = 0;
  uint16_t flags = 0;
  uint32_t sequence = 0;
  uint32_t port_id = 0;  // netlink port that caused it; 0 is the kernel
  Bytes payload;

  // A copy of the fixed part behind nlmsghdr; absent when the payload is shorter.
  template <typename Header>
  std::optional<Header> header() const {
    if (payload.size() < sizeof(Header)) return std::nullopt;
    Header result;
    std::memcpy(&result, payload.data(), sizeof result);
    return result;
  }
  // The attributes behind a fixed part of `size` bytes; empty when there are none.
  Bytes attributes(size_t size) const {
    const size_t aligned = NLMSG_ALIGN(size);
    return payload.size() > aligned ? payload.subspan(aligned) : Bytes{};
  }
};

// Takes the first message off `rest`, a received datagram. False when nothing whole is left.
bool next_message(Bytes& rest, MessageView& message);

struct Attribute {
  uint16_t type = 0;  // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
  Bytes value;

  // A value of another size than asked for reads as zero: a newer kernel's idea, never ours.
  uint8_t u8() const { return integer<uint8_t>(); }
  uint16_t u16() const { return integer<uint16_t>(); }
  uint32_t u32() const { return integer<uint32_t>(); }
  uint64_t u64() const { return integer<uint64_t>(); }
  uint16_t be16() const { return __builtin_bswap16(u16()); }
  uint32_t be32() const { return __builtin_bswap32(u32()); }
  uint64_t be64() const { return __builtin_bswap64(u64()); }
  // Up to the first zero byte or the end.
  std::string_view text() const;

 private:
  template <typename Integer>
  Integer integer() const {
    Integer result = 0;
    if (value.size() >= sizeof result) std::memcpy(&result, value.data(), sizeof result);
    return result;
  }
};

// Takes the first attribute off `rest`. False at the end or when what is left is malformed.
bool next_attribute(Bytes& rest, Attribute& attribute);

// The attributes of one level by type, 1..Max; unknown types are skipped, the last of a type wins.
template <uint16_t Max>
class AttributeTable {
 public:
  explicit AttributeTable(Bytes bytes) {
    Attribute attribute;
    while (next_attribute(bytes, attribute))
      if (attribute.type <= Max) {
        table_[attribute.type] = attribute;
        present_[attribute.type] = true;
      }
  }
  bool has(uint16_t type) const { return present_[type]; }
  // An empty attribute when it is absent.
  const Attribute& operator[](uint16_t type) const { return table_[type]; }

 private:
  Attribute table_[Max + 1];
  bool present_[Max + 1] = {};
};

}  // namespace fairlead::netlink
