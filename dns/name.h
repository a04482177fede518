// SPDX-License-Identifier: Apache-2.0
// A domain name: its wire form, where each label starts, and a lower-case copy to compare with.
// Pure; nothing here allocates but to_text. Names are never split as dotted strings.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "dns/types.h"

namespace fairlead::dns {

inline uint8_t to_lower(uint8_t c) {
  return c >= 'A' && c <= 'Z' ? static_cast<uint8_t>(c + ('a' - 'A')) : c;
}

class Name {
 public:
  Name() { clear(); }  // the root

  // "svc.cluster.local", with or without the final dot; "." is the root. Backslash escapes as in
  // RFC 1035 section 5.1. Refuses empty and long labels and names over 255 bytes.
  static Result<Name> from_text(std::string_view text);

  // Reads an uncompressed name at `at` and moves `at` behind it. False when it runs out of
  // `packet`, holds a compression pointer or a reserved label type, or is over 255 bytes.
  bool parse(std::span<const uint8_t> packet, size_t& at);
  // The same, following compression pointers, each of which must point before the last.
  bool parse_compressed(std::span<const uint8_t> message, size_t& at);

  void clear();
  // Appends a label at the right end, before the root. False when it does not fit or is no label.
  bool append(std::string_view label);
  bool append(const Name& suffix);

  // Wire form with the root byte, as given and in lower case.
  std::span<const uint8_t> wire() const { return {wire_.data(), size_}; }
  std::span<const uint8_t> lower() const { return {lower_.data(), size_}; }
  size_t size() const { return size_; }

  size_t labels() const { return labels_; }  // the root is not counted
  // In lower case; 0 is the leftmost.
  std::string_view label(size_t index) const;
  // Where label `index` starts in wire(); labels() gives the root byte.
  size_t offset(size_t index) const { return index == labels_ ? size_ - 1u : offsets_[index]; }
  bool ends_with(const Name& suffix) const;
  bool operator==(const Name& other) const;  // without case (RFC 4343)

  std::string to_text() const;  // with the final dot, as given
  // What has a meaning of its own in a text of records and is escaped by a backslash.
  static bool is_special(uint8_t c);

 private:
  bool append_bytes(const uint8_t* bytes, size_t length);
  void make_lower();

  // A whole number of words, so that make_lower() may take eight bytes at a time.
  static constexpr size_t kCapacity = (kMaxNameSize + 7) / 8 * 8;
  std::array<uint8_t, kCapacity> wire_;
  std::array<uint8_t, kCapacity> lower_;
  std::array<uint8_t, 128> offsets_;
  uint8_t size_;
  uint8_t labels_;
};

// Moves `at` behind a possibly compressed name. False when it runs out of `message`.
bool skip_name(std::span<const uint8_t> message, size_t& at);

}  // namespace fairlead::dns
