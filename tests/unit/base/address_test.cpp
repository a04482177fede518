// SPDX-License-Identifier: Apache-2.0
#include "base/address.h"

#include <gtest/gtest.h>

#include <random>

namespace fairlead {
namespace {

struct AddressCase {
  const char* text;
  const char* strict;  // canonical text, or nullptr when refused
  const char* lenient;
};

const AddressCase kAddresses[] = {
    {"10.0.0.1", "10.0.0.1", "10.0.0.1"},
    {"0.0.0.0", "0.0.0.0", "0.0.0.0"},
    {"010.000.0.01", nullptr, "10.0.0.1"},
    {"256.0.0.1", nullptr, nullptr},
    {"10.0.0", nullptr, nullptr},
    {"10.0.0.1 ", nullptr, nullptr},
    {"", nullptr, nullptr},
    {"::", "::", "::"},
    {"FD00:0:0:0::1", "fd00::1", "fd00::1"},
    {"::ffff:10.0.0.1", "::ffff:10.0.0.1", "10.0.0.1"},
    {"fe80::1%eth0", nullptr, nullptr},
    {"1:2:3:4:5:6:7:8:9", nullptr, nullptr},
};

TEST(IpAddress, Parses) {
  for (const AddressCase& c : kAddresses) {
    const auto strict = IpAddress::parse(c.text);
    ASSERT_EQ(strict.ok(), c.strict != nullptr) << c.text;
    if (strict.ok()) EXPECT_EQ(strict->to_string(), c.strict);
    const auto lenient = IpAddress::parse_lenient(c.text);
    ASSERT_EQ(lenient.ok(), c.lenient != nullptr) << c.text;
    if (lenient.ok()) EXPECT_EQ(lenient->to_string(), c.lenient);
  }
}

TEST(IpAddress, RefusesEmbeddedZeroByte) {
  EXPECT_FALSE(IpAddress::parse(std::string_view("10.0.0.1\0", 9)).ok());
}

TEST(IpAddress, Kinds) {
  EXPECT_TRUE(IpAddress::parse("127.3.2.1")->is_loopback());
  EXPECT_TRUE(IpAddress::parse("::1")->is_loopback());
  EXPECT_FALSE(IpAddress::parse("::2")->is_loopback());
  EXPECT_TRUE(IpAddress::parse("169.254.0.9")->is_link_local());
  EXPECT_TRUE(IpAddress::parse("febf::1")->is_link_local());
  EXPECT_FALSE(IpAddress::parse("fec0::1")->is_link_local());
  EXPECT_TRUE(IpAddress::parse("239.1.1.1")->is_multicast());
  EXPECT_TRUE(IpAddress::parse("ff02::1")->is_multicast());
  EXPECT_TRUE(IpAddress::any(Family::kIpv6).is_unspecified());
}

TEST(Cidr, ParsesAndMasks) {
  EXPECT_EQ(Cidr::parse("10.1.2.3/8")->to_string(), "10.0.0.0/8");
  EXPECT_EQ(Cidr::parse("10.1.2.3/0")->to_string(), "0.0.0.0/0");
  EXPECT_EQ(Cidr::parse("fd00:1:2:3::9/61")->to_string(), "fd00:1:2::/61");
  EXPECT_EQ(Cidr::parse_lenient("010.0.0.0/08")->to_string(), "10.0.0.0/8");
  for (const char* bad :
       {"10.0.0.0", "10.0.0.0/33", "fd00::/129", "10.0.0.0/", "10.0.0.0/-1", "x/8"})
    EXPECT_FALSE(Cidr::parse(bad).ok()) << bad;
  // Ranges of IPv4 written as IPv6.
  EXPECT_EQ(Cidr::parse_lenient("::ffff:203.0.113.9/120")->to_string(), "203.0.113.0/24");
  EXPECT_EQ(Cidr::parse_lenient("::ffff:1.2.3.4/96")->to_string(), "0.0.0.0/0");
  for (const char* bad : {"::ffff:1.2.3.4/95", "::ffff:1.2.3.4/129", "1.2.3.4/96"})
    EXPECT_FALSE(Cidr::parse_lenient(bad).ok()) << bad;
}

TEST(Cidr, Contains) {
  const Cidr cidr = *Cidr::parse("10.96.0.0/15");
  EXPECT_TRUE(cidr.contains(*IpAddress::parse("10.97.255.255")));
  EXPECT_FALSE(cidr.contains(*IpAddress::parse("10.98.0.0")));
  EXPECT_FALSE(cidr.contains(*IpAddress::parse("::ffff:10.97.0.1")));
  EXPECT_TRUE(cidr.contains(*Cidr::parse("10.97.0.0/16")));
  EXPECT_FALSE(cidr.contains(*Cidr::parse("10.0.0.0/8")));
  EXPECT_EQ(cidr.netmask().to_string(), "255.254.0.0");
  EXPECT_EQ(cidr.last().to_string(), "10.97.255.255");
}

TEST(Cidr, RandomAddressesBetweenFirstAndLastAreContained) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng(seed);
  for (int round = 0; round < 2000; ++round) {
    std::array<uint8_t, 16> bytes;
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(rng());
    const IpAddress address = IpAddress::from_bytes({bytes.data(), rng() % 2 == 0 ? 4u : 16u});
    const Cidr cidr(address, static_cast<int>(rng() % (address.bits() + 1)));
    EXPECT_TRUE(cidr.contains(address));
    EXPECT_LE(cidr.address(), address);
    EXPECT_LE(address, cidr.last());
    EXPECT_EQ(*Cidr::parse(cidr.to_string()), cidr);
  }
}

TEST(SocketAddress, ALinkLocalOneKeepsItsLink) {
  sockaddr_storage storage;
  for (const auto& [text, scope] : {std::pair{"[fe80::1]:53", 3u}, {"[2001:db8::1]:53", 0u}}) {
    SocketAddress address = SocketAddress::parse(text).value();
    address.scope = 3;
    address.to_sockaddr(storage);
    const auto back = SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&storage));
    EXPECT_EQ(back.scope, scope) << text;
    EXPECT_EQ(back.address, address.address);
  }
  SocketAddress one = SocketAddress::parse("[fe80::1]:53").value(), other = one;
  one.scope = 3;
  other.scope = 4;
  EXPECT_NE(one, other);
  EXPECT_EQ(one.to_string(), "[fe80::1%3]:53");
}

TEST(SocketAddress, RoundTrips) {
  for (const char* text : {"10.0.0.1:53", "[fd00::1]:65535", "[::]:0"}) {
    const auto parsed = SocketAddress::parse(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(parsed->to_string(), text);
    sockaddr_storage storage;
    parsed->to_sockaddr(storage);
    EXPECT_EQ(SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&storage)), *parsed);
  }
  for (const char* bad :
       {"10.0.0.1", "10.0.0.1:65536", "fd00::1:53", "[10.0.0.1]:53", ":53", "a:b"})
    EXPECT_FALSE(SocketAddress::parse(bad).ok()) << bad;
}

}  // namespace
}  // namespace fairlead
