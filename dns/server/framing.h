// SPDX-License-Identifier: Apache-2.0
// DNS messages out of a TCP stream: each has its length in front (RFC 1035 section 4.2.2). Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace fairlead::dns {

class Framer {
 public:
  // Returns false to stop.
  using OnMessage = std::function<bool(std::span<const uint8_t> message)>;

  // A length of zero or over `max_message` is an error: queries are small.
  explicit Framer(size_t max_message) : max_message_(max_message) {}

  // Whole messages go to the callback, in order; the rest is kept. False after an error or when the
  // callback said so; the framer is of no use then.
  bool feed(std::span<const uint8_t> bytes, const OnMessage& on_message);
  // Part of a message is there.
  bool partial() const { return !buffer_.empty(); }

 private:
  const size_t max_message_;
  std::vector<uint8_t> buffer_;  // length and beginning of a message
};

}  // namespace fairlead::dns
