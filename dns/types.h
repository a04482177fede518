// SPDX-License-Identifier: Apache-2.0
// The numbers of the DNS (IANA "Domain Name System Parameters") that this server knows by name.
// Any other 16-bit value is a valid Type or Class too.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fairlead::dns {

enum class Type : uint16_t {
  kA = 1,
  kNs = 2,
  kCname = 5,
  kSoa = 6,
  kPtr = 12,
  kHinfo = 13,
  kMx = 15,
  kTxt = 16,
  kAaaa = 28,
  kSrv = 33,
  kDname = 39,
  kOpt = 41,
  kDs = 43,
  kRrsig = 46,
  kNsec = 47,
  kNsec3 = 50,
  kNsec3param = 51,
  kSvcb = 64,
  kHttps = 65,
  kIxfr = 251,
  kAxfr = 252,
  kAny = 255,
  kCaa = 257,
};

enum class Class : uint16_t { kIn = 1, kChaos = 3, kHesiod = 4, kNone = 254, kAny = 255 };

enum class Opcode : uint8_t { kQuery = 0, kStatus = 2, kNotify = 4, kUpdate = 5 };

// Twelve bits; those above fifteen travel in the OPT record (RFC 6891 section 6.1.3).
enum class Rcode : uint16_t {
  kNoError = 0,
  kFormErr = 1,
  kServFail = 2,
  kNxDomain = 3,
  kNotImp = 4,
  kRefused = 5,
  kYxDomain = 6,
  kBadVers = 16,
};

// Extended DNS Errors, RFC 8914 section 4. kNone: none is sent.
enum class Ede : uint16_t {
  kOther = 0,
  kStale = 3,
  kNotReady = 14,
  kFiltered = 17,
  kProhibited = 18,
  kNotSupported = 21,
  kNoReachableAuthority = 22,
  kNetworkError = 23,
  kNone = 0xffff,
};

enum class EdnsOption : uint16_t {
  kNsid = 3,
  kCookie = 10,
  kTcpKeepalive = 11,
  kPadding = 12,
  kExtendedError = 15,
};

constexpr size_t kHeaderSize = 12;
constexpr size_t kMaxMessage = 65535;
constexpr size_t kPlainUdpSize = 512;  // RFC 1035 section 4.2.1
// What we announce and the most we send over UDP: fits any path without fragments (DNS Flag Day
// 2020).
constexpr size_t kEdnsUdpSize = 1232;
constexpr size_t kMaxNameSize = 255;  // on the wire, root included (RFC 1035 section 3.1)
constexpr size_t kMaxLabelSize = 63;

// Bits of the second header word.
constexpr uint16_t kFlagResponse = 0x8000;
constexpr uint16_t kFlagAuthoritative = 0x0400;
constexpr uint16_t kFlagTruncated = 0x0200;
constexpr uint16_t kFlagRecursionDesired = 0x0100;
constexpr uint16_t kFlagRecursionAvailable = 0x0080;
constexpr uint16_t kFlagAuthenticData = 0x0020;
constexpr uint16_t kFlagCheckingDisabled = 0x0010;

inline uint16_t read_u16(const uint8_t* at) {
  return static_cast<uint16_t>(at[0] << 8 | at[1]);
}
inline uint32_t read_u32(const uint8_t* at) {
  return static_cast<uint32_t>(at[0]) << 24 | static_cast<uint32_t>(at[1]) << 16 |
         static_cast<uint32_t>(at[2]) << 8 | at[3];
}
inline void write_u16(uint8_t* at, uint16_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}
inline void write_u32(uint8_t* at, uint32_t value) {
  write_u16(at, static_cast<uint16_t>(value >> 16));
  write_u16(at + 2, static_cast<uint16_t>(value));
}

}  // namespace fairlead::dns
