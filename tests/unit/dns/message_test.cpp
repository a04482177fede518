// SPDX-License-Identifier: Apache-2.0
// What comes off the wire: every way a packet can be wrong, and what is said to it.
#include "dns/message.h"

#include <gtest/gtest.h>

#include "dns/reply.h"
#include "tests/unit/dns/packets.h"
#include "tests/unit/dns/support.h"

namespace fairlead::dns {
namespace {

using namespace test;

TEST(ParseQuery, EveryPacketHasItsVerdict) {
  for (const PacketCase& c : packet_cases()) {
    const Bytes packet = hex(c.packet);
    Query q;
    const Parsed parsed = parse_query(packet, q);
    EXPECT_EQ(parsed.verdict, c.verdict) << c.what;
    EXPECT_EQ(parsed.rcode, c.rcode) << c.what;
  }
}

TEST(ParseQuery, NamesOf255BytesAndNoMore) {
  const auto name_of = [](size_t last) {
    Bytes name;
    for (const size_t size : {size_t{63}, size_t{63}, size_t{63}, last}) {
      name.push_back(static_cast<uint8_t>(size));
      name.insert(name.end(), size, 'a');
    }
    name.push_back(0);
    return name;
  };
  for (const size_t last : {61u, 62u}) {
    Bytes packet = hex("1234 0100 0001 0000 0000 0000");
    const Bytes name = name_of(last);
    packet.insert(packet.end(), name.begin(), name.end());
    packet.insert(packet.end(), {0, 1, 0, 1});
    Query q;
    EXPECT_EQ(parse_query(packet, q).verdict, last == 61 ? Verdict::kAnswer : Verdict::kReject);
  }
}

TEST(ParseQuery, TrailingBytesAreNoted) {
  Bytes packet = make_query("a.b", Type::kA);
  Query q;
  parse_query(packet, q);
  EXPECT_FALSE(q.trailing_bytes);
  packet.push_back(0);
  parse_query(packet, q);
  EXPECT_TRUE(q.trailing_bytes);
}

TEST(ParseQuery, AnIxfrNamesItsSerial) {
  Bytes packet = make_query("a.b", Type::kIxfr);
  packet[9] = 1;
  const Bytes soa =
      hex("c00c 0006 0001 00000000 0016 00 00 00000001 00000002 00000003 00000004 00000005");
  packet.insert(packet.end(), soa.begin(), soa.end());
  Query q;
  EXPECT_EQ(parse_query(packet, q).verdict, Verdict::kAnswer);
}

TEST(UdpLimit, IsBetween512And1232) {
  for (const auto& [size, limit] : {std::pair<int, size_t>{-1, 512},
                                    {0, 512},
                                    {511, 512},
                                    {513, 513},
                                    {1232, 1232},
                                    {1233, 1232},
                                    {65535, 1232}}) {
    QueryOptions options;
    if (size >= 0) options.edns_size = static_cast<uint16_t>(size);
    const Bytes packet = make_query("a", Type::kA, options);
    Query q;
    parse_query(packet, q);
    EXPECT_EQ(udp_limit(q), limit) << size;
  }
}

struct ReplyFlagsCase {
  uint16_t query_flags;
  const char* reply;
};

// RD is copied; AD, CD, RA and Z never come back from here.
TEST(Reply, Flags) {
  for (const ReplyFlagsCase& c : {ReplyFlagsCase{0x0000, "REFUSED qd=1\n"},
                                  {0x0100, "REFUSED rd qd=1\n"},
                                  {0x01f0, "REFUSED rd qd=1\n"}}) {
    QueryOptions options;
    options.flags = c.query_flags;
    const Bytes packet = make_query("a.b", Type::kA, options);
    Query q;
    parse_query(packet, q);
    Bytes buffer(512);
    Reply reply(buffer);
    reply.begin(q, 512);
    reply.set_rcode(Rcode::kRefused);
    EXPECT_EQ(to_text(reply.finish()), c.reply);
  }
}

TEST(Reply, BadVersionIsAnsweredWithOurSize) {
  QueryOptions options;
  options.edns_size = 4096;
  options.edns_version = 1;
  options.dnssec_ok = true;
  const Bytes packet = make_query("a.b", Type::kA, options);
  Query q;
  const Parsed parsed = parse_query(packet, q);
  Bytes buffer(512);
  Reply reply(buffer);
  reply.begin(q, 512);
  reply.set_rcode(parsed.rcode);
  EXPECT_EQ(to_text(reply.finish()), "BADVERS rd qd=1\nopt 1232 do\n");
}

TEST(ParseReply, ChecksEveryRecord) {
  Bytes reply = make_query("a.b", Type::kA);
  reply[2] |= 0x80;
  reply[7] = 2;
  const Bytes record = hex("c00c 0001 0001 00000005 0004 01020304");
  reply.insert(reply.end(), record.begin(), record.end());
  EXPECT_FALSE(parse_reply(reply)) << "one record is missing";
  reply[2] |= 0x02;
  ASSERT_TRUE(parse_reply(reply)) << "with TC it may be";
  EXPECT_EQ(parse_reply(reply)->counts[0], 1);
  reply[2] &= 0xfd;
  reply[7] = 1;
  EXPECT_TRUE(parse_reply(reply));
  for (size_t size = 0; size < reply.size(); ++size)
    EXPECT_FALSE(parse_reply(std::span<const uint8_t>(reply).first(size))) << size;
  reply[2] &= 0x7f;
  EXPECT_FALSE(parse_reply(reply)) << "a query";
}

struct NameCase {
  const char* text;
  const char* canonical;  // nullptr: refused
};

TEST(NameText, RoundTrips) {
  const NameCase kNames[] = {{".", "."},
                             {"a", "a."},
                             {"a.b.", "a.b."},
                             {"A.b", "A.b."},
                             {"a\\.b.c", "a\\.b.c."},
                             {"a\\032b", "a\\032b."},
                             {"", nullptr},
                             {"a..b", nullptr},
                             {".a", nullptr},
                             {"a\\", nullptr},
                             {"a\\25", nullptr},
                             {"a\\256", nullptr},
                             {"_http._tcp", "_http._tcp."}};
  for (const NameCase& c : kNames) {
    const Result<Name> name = Name::from_text(c.text);
    ASSERT_EQ(name.ok(), c.canonical != nullptr) << c.text;
    if (name.ok()) EXPECT_EQ(name->to_text(), c.canonical);
  }
  EXPECT_FALSE(Name::from_text(std::string(64, 'a')).ok());
  EXPECT_TRUE(Name::from_text(std::string(63, 'a')).ok());
}

TEST(Name, ComparesWithoutCaseAndBySuffix) {
  EXPECT_TRUE(dns_name("A.b.C") == dns_name("a.B.c"));
  EXPECT_FALSE(dns_name("a.b") == dns_name("a.bc"));
  EXPECT_TRUE(dns_name("x.Cluster.Local").ends_with(dns_name("cluster.local")));
  EXPECT_TRUE(dns_name("cluster.local").ends_with(dns_name("cluster.local")));
  EXPECT_FALSE(dns_name("xcluster.local").ends_with(dns_name("cluster.local")));
  EXPECT_TRUE(dns_name("a.b").ends_with(Name()));
  // The suffix's bytes may stand inside a label.
  Name tricky;
  ASSERT_TRUE(tricky.append(std::string("x\1a", 3)));
  EXPECT_FALSE(tricky.ends_with(dns_name("a")));
}

// Every byte there is, at every place in a word: only the letters of ASCII change (RFC 4343).
TEST(Name, LowerCaseOfEveryByte) {
  for (size_t before = 0; before < 9; ++before)
    for (unsigned c = 0; c < 256; ++c) {
      Bytes wire(1, static_cast<uint8_t>(before + 1));
      wire.insert(wire.end(), before, 'X');
      wire.push_back(static_cast<uint8_t>(c));
      wire.push_back(0);
      Name name;
      size_t at = 0;
      ASSERT_TRUE(name.parse(wire, at));
      EXPECT_EQ(at, wire.size());
      const uint8_t expected =
          c >= 'A' && c <= 'Z' ? static_cast<uint8_t>(c + 32) : static_cast<uint8_t>(c);
      EXPECT_EQ(name.lower()[1 + before], expected) << c;
      EXPECT_EQ(name.lower()[0], before + 1);
      EXPECT_EQ(name.label(0).substr(0, before), std::string(before, 'x'));
      EXPECT_EQ(name.wire()[1 + before], c);
    }
}

TEST(Name, CompressedNamesNeverLoop) {
  // At 0: "a" root; at 3: "b" -> 0; at 7: pointer to itself; at 9: pointer forward; at 11: -> 3.
  const Bytes message = hex("0161 00 0162 c000 c007 c00b c003");
  const auto read = [&](size_t at) -> std::string {
    Name name;
    return name.parse_compressed(message, at) ? name.to_text() : "refused";
  };
  EXPECT_EQ(read(0), "a.");
  EXPECT_EQ(read(3), "b.a.");
  EXPECT_EQ(read(7), "refused");
  EXPECT_EQ(read(9), "refused");
  EXPECT_EQ(read(11), "b.a.");
}

}  // namespace
}  // namespace fairlead::dns
