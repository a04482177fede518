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
      {"a. HTTPS \\# 0", "a. 3600 IN HTTPS "},
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
                           "a. HTTPS 1 .",
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
