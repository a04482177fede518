// SPDX-License-Identifier: Apache-2.0
// Cookies: the test vectors of RFC 9018 appendix A and of SipHash, and what is not ours.
#include "dns/cookie.h"

#include <gtest/gtest.h>

#include "tests/unit/dns/support.h"

namespace fairlead::dns {
namespace {

using namespace test;

CookieMaker::Secret secret_of(const std::string& text) {
  const Bytes bytes = hex(text);
  CookieMaker::Secret secret{};
  std::copy(bytes.begin(), bytes.end(), secret.begin());
  return secret;
}

struct CookieCase {
  const char* what;
  const char* secret;
  const char* client;
  uint32_t time;
  const char* query;
  const char* reply;
};

const char* const kSecret = "e5e973e5a6b2a43f48e7dc849e37bfcf";

const CookieCase kCases[] = {
    {"A.1: a new client", kSecret, "198.51.100.100", 1559731985, "2464c4abcf10c957",
     "2464c4abcf10c957010000005cf79f111f8130c3eee29480"},
    {"while it is young it stays", kSecret, "198.51.100.100", 1559731985 + 1800,
     "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
     "2464c4abcf10c957010000005cf79f111f8130c3eee29480"},
    {"A.2: renewed after forty minutes", kSecret, "198.51.100.100", 1559734385,
     "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
     "2464c4abcf10c957010000005cf7a871d4a564a1442aca77"},
    {"A.3: reserved bits set by someone else, and old", kSecret, "203.0.113.203", 1559734700,
     "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
     "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e"},
    {"A.3: the same, young", kSecret, "203.0.113.203", 1559727985 + 60,
     "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
     "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5"},
    {"A.4: IPv6, under a new secret", "445536bcd2513298075a5d379663c962",
     "2001:db8:220:1:59de:d0f4:8769:82b8", 1559741961,
     "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
     "22681ab97d52c298010000005cf7c609a6bb79d16625507a"},
    {"from another address", kSecret, "198.51.100.101", 1559731985,
     "2464c4abcf10c957010000005cf79f111f8130c3eee29480", nullptr},
    {"from the future", kSecret, "198.51.100.100", 1559731985 - 301,
     "2464c4abcf10c957010000005cf79f111f8130c3eee29480", nullptr},
    {"of another version", kSecret, "198.51.100.100", 1559731985,
     "2464c4abcf10c957020000005cf79f111f8130c3eee29480", nullptr},
    {"garbage", kSecret, "198.51.100.100", 1559731985,
     "2464c4abcf10c957ffffffffffffffffffffffffffffffff", nullptr},
    {"garbage of another length", kSecret, "198.51.100.100", 1559731985,
     "2464c4abcf10c957ffffffffffffffffffff", nullptr},
};

TEST(Cookie, TestVectorsAndWhatIsNotOurs) {
  for (const CookieCase& c : kCases) {
    const CookieMaker maker(secret_of(c.secret));
    const Bytes query = hex(c.query);
    const auto reply = maker.reply_to(query, ip(c.client), c.time);
    const Bytes got(reply.begin(), reply.end());
    const Bytes fresh = [&] {
      const auto made = maker.reply_to(std::span(query).first(8), ip(c.client), c.time);
      return Bytes(made.begin(), made.end());
    }();
    EXPECT_EQ(got, c.reply != nullptr ? hex(c.reply) : fresh) << c.what;
    EXPECT_EQ(c.reply == nullptr && got == query, false) << c.what << ": never an echo";
  }
}

// The first and the last vector of the reference implementation: key 00..0f, message 00..0e.
TEST(SipHash, ReferenceVectors) {
  std::array<uint8_t, 16> key{};
  for (uint8_t i = 0; i < 16; ++i) key[i] = i;
  EXPECT_EQ(siphash24(key, {}), 0x726fdb47dd0e0e31u);
  EXPECT_EQ(siphash24(key, std::span<const uint8_t>(key).first(15)), 0xa129ca6149be45e5u);
}

}  // namespace
}  // namespace fairlead::dns
