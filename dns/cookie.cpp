// SPDX-License-Identifier: Apache-2.0
#include "dns/cookie.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "dns/types.h"

namespace fairlead::dns {
namespace {

// Our half: version, three reserved bytes, the time, the hash (RFC 9018 section 4).
constexpr uint8_t kVersion = 1;
constexpr size_t kTimeAt = CookieMaker::kClientSize + 4;
constexpr size_t kHashAt = CookieMaker::kClientSize + 8;
// RFC 9018 section 4.3: a cookie is good for an hour and renewed after half of it; clocks of
// servers that share a secret may differ by five minutes.
constexpr int32_t kRenewAfter = 30 * 60;
constexpr int32_t kMaxAhead = 5 * 60;

// In one expression, which compilers make one load of.
uint64_t read_u64_little(const uint8_t* at) {
  const auto byte = [at](int i) { return uint64_t{at[i]} << 8 * i; };
  return byte(0) | byte(1) | byte(2) | byte(3) | byte(4) | byte(5) | byte(6) | byte(7);
}

void write_u64_little(uint8_t* at, uint64_t value) {
  for (int i = 0; i < 8; ++i) at[i] = static_cast<uint8_t>(value >> 8 * i);
}

struct SipState {
  uint64_t v0, v1, v2, v3;

  // Inline, so that the state stays in registers: the cache hashes every question.
  [[gnu::always_inline]] void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  [[gnu::always_inline]] void absorb(uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
};

}  // namespace

uint64_t siphash24(const std::array<uint8_t, 16>& key, std::span<const uint8_t> message) {
  const uint64_t k0 = read_u64_little(&key[0]);
  const uint64_t k1 = read_u64_little(&key[8]);
  SipState state{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
                 k1 ^ 0x7465646279746573};
  const size_t whole = message.size() / 8 * 8;
  for (size_t at = 0; at < whole; at += 8) state.absorb(read_u64_little(&message[at]));
  uint8_t last[8] = {};
  std::copy(message.begin() + static_cast<ptrdiff_t>(whole), message.end(), last);
  last[7] = static_cast<uint8_t>(message.size());
  state.absorb(read_u64_little(last));
  state.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

// Of everything before the hash, and the client's address.
uint64_t CookieMaker::hash(std::span<const uint8_t> cookie, const IpAddress& client) const {
  std::array<uint8_t, kHashAt + 16> input;
  const auto address = client.bytes();
  std::copy_n(cookie.begin(), kHashAt, input.begin());
  std::copy(address.begin(), address.end(), input.begin() + kHashAt);
  return siphash24(secret_, std::span<const uint8_t>(input).first(kHashAt + address.size()));
}

bool CookieMaker::is_current(std::span<const uint8_t> cookie, const IpAddress& client,
                             uint32_t unix_time) const {
  if (cookie.size() != kSize || cookie[kClientSize] != kVersion) return false;
  // Serial number arithmetic (RFC 1982): 32 bits of time run over in 2106.
  const auto age = static_cast<int32_t>(unix_time - read_u32(&cookie[kTimeAt]));
  return age <= kRenewAfter && age >= -kMaxAhead &&
         read_u64_little(&cookie[kHashAt]) == hash(cookie, client);
}

CookieMaker::Cookie CookieMaker::reply_to(std::span<const uint8_t> cookie, const IpAddress& client,
                                          uint32_t unix_time) const {
  Cookie out{};
  if (is_current(cookie, client, unix_time)) {
    std::copy(cookie.begin(), cookie.end(), out.begin());
    return out;
  }
  std::copy_n(cookie.begin(), kClientSize, out.begin());
  out[kClientSize] = kVersion;
  write_u32(&out[kTimeAt], unix_time);
  write_u64_little(&out[kHashAt], hash(out, client));
  return out;
}

}  // namespace fairlead::dns
