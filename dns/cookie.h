// SPDX-License-Identifier: Apache-2.0
// DNS cookies (RFC 7873) in the form that all servers of one address can share (RFC 9018): what we
// give a client is a keyed hash of its own half, its address and the time. Nothing is remembered
// for it. Pure.
//
// A client that keeps its cookie can tell our replies from forged ones. Queries without a cookie,
// or with one we did not make, are answered all the same: the clients of a cluster's DNS server are
// its own pods.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/address.h"

namespace fairlead::dns {

class CookieMaker {
 public:
  static constexpr size_t kClientSize = 8;
  static constexpr size_t kSize = kClientSize + 16;  // the client's half and ours

  using Secret = std::array<uint8_t, 16>;
  using Cookie = std::array<uint8_t, kSize>;

  explicit CookieMaker(const Secret& secret) : secret_(secret) {}

  // What to return to a client that sent `cookie`, its half alone or with ours behind it, at least
  // kClientSize bytes: the same while it is ours and young, else a new one.
  Cookie reply_to(std::span<const uint8_t> cookie, const IpAddress& client,
                  uint32_t unix_time) const;

 private:
  bool is_current(std::span<const uint8_t> cookie, const IpAddress& client,
                  uint32_t unix_time) const;
  uint64_t hash(std::span<const uint8_t> cookie, const IpAddress& client) const;

  const Secret secret_;
};

// SipHash-2-4 of Aumasson and Bernstein ("SipHash: a fast short-input PRF", 2012).
uint64_t siphash24(const std::array<uint8_t, 16>& key, std::span<const uint8_t> message);

}  // namespace fairlead::dns
