// SPDX-License-Identifier: Apache-2.0
#include "dns/record_text.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/unit/dns/support.h"

namespace fairlead::dns::test {
namespace {

// "owner ttl class type hex-of-rdata", or the error.
std::string parsed(std::string_view text) {
  const auto record = parse_record(text);
  if (!record.ok()) return record.error().message();
  std::string out = record->owner.to_text() + " " + std::to_string(record->ttl) + " " +
                    class_to_text(record->klass) + " " + type_to_text(record->type) + " ";
  static const char* const kDigits = "0123456789abcdef";
  for (const uint8_t byte : record->rdata) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

TEST(RecordText, Records) {
  const std::pair<const char*, const char*> kCases[] = {
      {"a.test. 60 IN A 192.0.2.1", "a.test. 60 IN A c0000201"},
      {"a.test 60 A 192.0.2.1", "a.test. 60 IN A c0000201"},
      {"a.test. IN 1h30m a 192.0.2.1", "a.test. 5400 IN A c0000201"},
      {"a.test. A 192.0.2.1 ; a comment", "a.test. 3600 IN A c0000201"},
      {"  a.test.\tCH A 192.0.2.1\n", "a.test. 3600 CH A c0000201"},
      {"a.test. AAAA 2001:db8::1", "a.test. 3600 IN AAAA 20010db8000000000000000000000001"},
      {"a.test. CNAME b.", "a.test. 3600 IN CNAME 016200"},
      {"a.test. DNAME .", "a.test. 3600 IN DNAME 00"},
      {"a.test. NS b", "a.test. 3600 IN NS 016200"},
      {"a.test. MX 10 b.", "a.test. 3600 IN MX 000a016200"},
      {"_x._tcp.a. SRV 0 100 443 b.", "_x._tcp.a. 3600 IN SRV 0000006401bb016200"},
      {"a. TXT one \"two three\" \"\"", "a. 3600 IN TXT 036f6e650974776f20746872656500"},
      {"a. TXT \"a\\\"b\\065;(\"",
       "a. 3600 IN TXT 066122"
       "62413b28"},
      {"a. SOA b. c. ( 1 2h ; x\n 3\n4 5 )",
       "a. 3600 IN SOA 0162000163000000000100001c20000000030000000400000005"},
      {"a. HINFO \"PC\" Linux", "a. 3600 IN HINFO 025043054c696e7578"},
      {"a. CAA 0 issue \"ca.test\"", "a. 3600 IN CAA 0005697373756563612e74657374"},
      {"a. TYPE731 \\# 3 ab cdef", "a. 3600 IN TYPE731 abcdef"},
      {"a. TYPE1 \\# 4 c0000201", "a. 3600 IN A c0000201"},
      {"a. TYPE731 \\# 0", "a. 3600 IN TYPE731 "},
      {"a. RP b. c.",
       "a. 3600 IN RP 0162000163"
       "00"},
      {"a. NAPTR 1 2 \"S\" SIP+D2U \"\" b.",
       "a. 3600 IN NAPTR 0001000201530753"
       "49502b44325500016200"},
      {"a. DS 60485 5 1 ( 2BB1 83AF )", "a. 3600 IN DS ec4505012bb183af"},
      {"a. SSHFP 2 1 123456", "a. 3600 IN SSHFP 0201123456"},
      {"a. TLSA 3 1 1 d2ab", "a. 3600 IN TLSA 030101d2ab"},
      {"a. DNSKEY 256 3 5 AQPS KA==", "a. 3600 IN DNSKEY 010003050103d228"},
      {"a. OPENPGPKEY YWI=", "a. 3600 IN OPENPGPKEY 6162"},
      {"a. URI 10 1 \"ftp://x\"", "a. 3600 IN URI 000a00016674703a2f2f78"},
      {"a. EUI48 00-00-5e-00-53-2a", "a. 3600 IN EUI48 00005e00532a"},
      // RFC 1876 section 4 has this place.
      {"a. LOC 42 21 54 N 71 06 18 W -24m 30m",
       "a. 3600 IN LOC 003316138917"
       "2dd070be15f000988d20"},
      {"a. LOC 1 S 2 E 0 1 2.5 0",
       "a. 3600 IN LOC 001222007fc911"
       "80806ddd0000989680"},
      // RFC 9460 appendix D.
      {"a. SVCB 0 foo.", "a. 3600 IN SVCB 000003666f6f00"},
      {"a. SVCB 16 foo. port=53", "a. 3600 IN SVCB 001003666f6f00000300020035"},
      {"a. SVCB 1 foo. key667=hello", "a. 3600 IN SVCB 000103666f6f00029b000568656c6c6f"},
      {"a. SVCB 1 foo. key667=\"hello\\210qoo\"",
       "a. 3600 IN SVCB 000103666f6f00029b000968656c6c6fd2716f6f"},
      {"a. SVCB 1 . ipv6hint=\"2001:db8::1,2001:db8::53:1\"",
       "a. 3600 IN SVCB "
       "0001000006002020010db800000000000000000000000120010db8000000000000000000530001"},
      {"a. SVCB 16 . ( alpn=h2,h3-19 mandatory=ipv4hint,alpn\n ipv4hint=192.0.2.1 )",
       "a. 3600 IN SVCB 0010000000000400010004000100090268320568332d313900040004c0000201"},
      {"a. SVCB 16 . alpn=\"f\\\\\\\\oo\\\\,bar,h2\"",
       "a. 3600 IN SVCB 0010000001000c08665c6f6f2c626172026832"},
      {"a. HTTPS 1 .", "a. 3600 IN HTTPS 000100"},
      {"10. A 192.0.2.1", "10. 3600 IN A c0000201"},
      {"a\\.b.test. 5 IN A 192.0.2.1", "a\\.b.test. 5 IN A c0000201"}};
  for (const auto& [text, record] : kCases) EXPECT_EQ(parsed(text), record) << text;
}

TEST(RecordText, Errors) {
  for (const char* text : {"",
                           ";",
                           "a.",
                           "a. 5",
                           "a. 5 IN",
                           "a. WAT 1",
                           "a. A",
                           "a. A ::1",
                           "a. AAAA 192.0.2.1",
                           "a. A 192.0.2.1 x",
                           "a. MX b.",
                           "a. MX 65536 b.",
                           "a. MX 1",
                           "a. TXT",
                           "a. SRV 1 2 b.",
                           "a. SOA b. c. 1 2 3 4",
                           "a. SOA b. c. (1 2 3 4 5",
                           "a. A 192.0.2.1 )",
                           "a. TXT \"x",
                           "a. TXT \\",
                           "a. TXT \\999",
                           "a. TYPE731 \\# 3 abcd",
                           "a. TYPE731 \\# 1 xx",
                           "a. TYPE731 abcd",
                           "a. HTTPS 1",
                           "a. SVCB 1 . key123 key123",
                           "a. SVCB 1 . mandatory",
                           "a. SVCB 1 . mandatory=key123",
                           "a. SVCB 1 . mandatory=mandatory",
                           "a. SVCB 1 . mandatory=key9,key9 key9",
                           "a. SVCB 1 . alpn port=abc",
                           "a. SVCB 1 . no-default-alpn",
                           "a. SVCB 1 . no-default-alpn=abc alpn=x",
                           "a. SVCB 1 . port=65536",
                           "a. SVCB 1 . ipv4hint=::1",
                           "a. SVCB 1 . what=x",
                           "a. SVCB 1 . key65535=x",
                           "a. DS 1 2 3",
                           "a. DS 1 2 3 abc",
                           "a. DNSKEY 1 2 3 a",
                           "a. DNSKEY 1 2 3 a=bc",
                           "a. EUI48 00-00-5e-00-53",
                           "a. EUI48 0-000-5e-00-53-2a",
                           "a. LOC 91 N 1 E 0",
                           "a. LOC 1 60 N 1 E 0",
                           "a. LOC 1 N 1 E",
                           "a. LOC 1 1 1 1 N 1 E 0",
                           "a. LOC 1 N 1 E 0 1 1 1 1",
                           "a. LOC 1 N 1 E x",
                           "a. TYPE1 \\# 3 abcdef",
                           "a. CNAME \\# 1 05",
                           "a..b. A 192.0.2.1",
                           "a. A 192.0.2.1\nb. A 192.0.2.1",
                           "a. HINFO x",
                           "a. CAA 0 issue"})
    EXPECT_FALSE(parse_record(text).ok()) << text;
}

TEST(RecordText, EntriesOfAFile) {
  EntryReader reader("\n; nothing\n$TTL 5\na  A (\n 192.0.2.1 ) ; x\n\n   MX 5 b\n");
  Entry entry;
  std::string seen;
  for (;;) {
    const auto next = reader.next(entry);
    ASSERT_TRUE(next.ok());
    if (!*next) break;
    seen += std::to_string(entry.line) + (entry.starts_blank ? "-" : ":");
    for (const Token& token : entry.tokens) seen += token.text + ",";
    seen += "\n";
  }
  EXPECT_EQ(seen, "3:$TTL,5,\n4:a,A,192.0.2.1,\n7-MX,5,b,\n");
}

TEST(RecordText, RelativeNames) {
  const Name origin = dns_name("example.org");
  EXPECT_EQ(name_from_text("@", origin)->to_text(), "example.org.");
  EXPECT_EQ(name_from_text("a", origin)->to_text(), "a.example.org.");
  EXPECT_EQ(name_from_text("a.", origin)->to_text(), "a.");
  EXPECT_EQ(name_from_text("a\\.", origin)->to_text(), "a\\..example.org.");
  EXPECT_FALSE(name_from_text("a..", origin).ok());
}

TEST(RecordText, Numbers) {
  EXPECT_EQ(type_from_text("aaaa"), Type::kAaaa);
  EXPECT_EQ(type_from_text("TYPE65535"), static_cast<Type>(65535));
  EXPECT_FALSE(type_from_text("TYPE65536"));
  EXPECT_EQ(type_to_text(static_cast<Type>(731)), "TYPE731");
  EXPECT_EQ(ttl_from_text("1w2d3h4m5s"), 788645u);
  EXPECT_FALSE(ttl_from_text("2147483648"));
  EXPECT_FALSE(ttl_from_text(""));
  EXPECT_FALSE(ttl_from_text("5x"));
  EXPECT_EQ(rcode_from_text("nxdomain"), Rcode::kNxDomain);
}

TEST(RecordText, AnyBytes) {
  const uint64_t seed = test_seed();
  SCOPED_TRACE("FAIRLEAD_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  static const std::string kAlphabet = "a1.\\\"();#@ \n\tINAMXTSO$";
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (size_t n = random() % 40; n > 0; --n) text += kAlphabet[random() % kAlphabet.size()];
    (void)parse_record(text);
  }
}

}  // namespace
}  // namespace fairlead::dns::test
