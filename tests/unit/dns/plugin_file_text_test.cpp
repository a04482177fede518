// SPDX-License-Identifier: Apache-2.0
// Zone files as records, and what is wrong with them.
#include <gtest/gtest.h>

#include "dns/mnemonics.h"
#include "dns/plugins/file/generate.h"
#include "dns/plugins/file/zone_text.h"
#include "tests/unit/dns/memory_files.h"
#include "tests/unit/dns/support.h"

namespace fairlead::dns::test {
namespace {

// "owner ttl type data" of each record: A records with their address, others with their names or
// size; an error ends them.
std::string read(const std::map<std::string, std::string>& texts,
                 const ZoneTextLimits& limits = {}) {
  MemoryFiles files;
  files.texts = texts;
  std::string out;
  const auto done = read_zone_text(
      "z/db", dns_name("example.org."), [&](const std::string& path) { return files.read(path); },
      [&](const EditRecord& record) {
        out += record.owner.to_text() + " " + std::to_string(record.ttl) + " " +
               type_to_text(record.type);
        if (record.type == Type::kA) out += " " + IpAddress::from_bytes(record.rdata).to_string();
        for (const Name& name : rdata_names(record)) out += " " + name.to_text();
        out += "\n";
        return ok();
      },
      limits);
  return done.ok() ? out : out + done.error().message();
}
std::string read(const std::string& text) {
  return read(std::map<std::string, std::string>{{"z/db", text}});
}

TEST(ZoneText, Records) {
  const std::pair<const char*, const char*> kCases[] = {
      {"", ""},
      {"; nothing\n\n   ; here\n", ""},
      {"a 60 IN A 192.0.2.1", "a.example.org. 60 A 192.0.2.1\n"},
      {"a IN 60 A 192.0.2.1", "a.example.org. 60 A 192.0.2.1\n"},
      {"a 1h30m A 192.0.2.1", "a.example.org. 5400 A 192.0.2.1\n"},
      {"@ 60 NS a\n", "example.org. 60 NS a.example.org.\n"},
      {"a. 60 NS b.\n", "a. 60 NS b.\n"},
      // RFC 1035 section 5.1: an entry that begins with a blank has the last owner.
      {"a 60 A 192.0.2.1\n  A 192.0.2.2\n\tNS b\n",
       "a.example.org. 60 A 192.0.2.1\na.example.org. 60 A 192.0.2.2\n"
       "a.example.org. 60 NS b.example.org.\n"},
      {"$ORIGIN sub\na 60 A 192.0.2.1\n$ORIGIN x.test.\na A 192.0.2.2\n",
       "a.sub.example.org. 60 A 192.0.2.1\na.x.test. 60 A 192.0.2.2\n"},
      // The owner stays when the origin changes.
      {"a 60 A 192.0.2.1\n$ORIGIN x.test.\n  NS b\n",
       "a.example.org. 60 A 192.0.2.1\na.example.org. 60 NS b.x.test.\n"},
      // RFC 2308 section 4: $TTL is for what follows, whatever TTL another record has.
      {"$TTL 1d\na A 192.0.2.1\nb 5 A 192.0.2.2\nc A 192.0.2.3\n$TTL 9\nd A 192.0.2.4\n",
       "a.example.org. 86400 A 192.0.2.1\nb.example.org. 5 A 192.0.2.2\n"
       "c.example.org. 86400 A 192.0.2.3\nd.example.org. 9 A 192.0.2.4\n"},
      {"@ SOA ns root 1 2 3 4 77\na A 192.0.2.1\n",
       "example.org. 77 SOA ns.example.org. root.example.org.\na.example.org. 77 A 192.0.2.1\n"},
      {"@ 60 SOA ns root ( 1 ; serial\n 2 3\n\n 4 5 )\na A 192.0.2.1",
       "example.org. 60 SOA ns.example.org. root.example.org.\na.example.org. 60 A 192.0.2.1\n"},
      {"a\\.b 60 A 192.0.2.1\n\\097 A 192.0.2.2\n* A 192.0.2.3\n",
       "a\\.b.example.org. 60 A 192.0.2.1\na.example.org. 60 A 192.0.2.2\n"
       "*.example.org. 60 A 192.0.2.3\n"},
      {"x 60 TYPE731 \\# 3 abcdef\nx TXT \"a;b\" ( c\n d )\n",
       "x.example.org. 60 TYPE731\nx.example.org. 60 TXT\n"},
      {"$GENERATE 1-3 h$ 60 A 192.0.2.$\n",
       "h1.example.org. 60 A 192.0.2.1\nh2.example.org. 60 A 192.0.2.2\n"
       "h3.example.org. 60 A 192.0.2.3\n"},
      {"$TTL 5\n$GENERATE 2-6/2 h${8,3,d} CNAME x$$.${-2}\n",
       "h010.example.org. 5 CNAME x$.0.example.org.\n"
       "h012.example.org. 5 CNAME x$.2.example.org.\n"
       "h014.example.org. 5 CNAME x$.4.example.org.\n"}};
  for (const auto& [text, records] : kCases) EXPECT_EQ(read(text), records) << text;
}

TEST(ZoneText, Errors) {
  const std::pair<const char*, const char*> kCases[] = {
      {"  60 A 192.0.2.1", "z/db:1: there is no record before to take the owner of"},
      {"a A 192.0.2.1", "z/db:1: there is no TTL: give one, or $TTL"},
      {"\n\na 60 A 192.0.2.300", "z/db:3: A: '192.0.2.300' is no IPv4 address"},
      {"a 60 CH A 192.0.2.1", "z/db:1: only class IN is served"},
      {"a 60 A 192.0.2.1 x", "z/db:1: A: 'x' is too much"},
      {"a 60 FOO x", "z/db:1: 'FOO' is no record type"},
      {"a 60 TXT (\nx\n", "z/db:3: a '(' without a ')'"},
      {"a 60 TXT \"x\n", "z/db:1: a quote that is not closed"},
      {"$ORIGIN", "z/db:1: $ORIGIN takes a name"},
      {"$TTL often", "z/db:1: 'often' is no TTL"},
      {"$NO x", "z/db:1: '$NO' is none of $ORIGIN, $TTL, $INCLUDE and $GENERATE"},
      {"$GENERATE 3-1 a A 192.0.2.1", "z/db:1: '3-1' is not a range START-STOP[/STEP]"},
      {"$GENERATE 1-3/0 a A 192.0.2.1", "z/db:1: '1-3/0' is not a range START-STOP[/STEP]"},
      {"$GENERATE 1-70000 a A 192.0.2.1", "z/db:1: $GENERATE makes over 65536 records"},
      {"$GENERATE 1-2 a${0,1,z} A 192.0.2.1",
       "z/db:1: 'z' is none of the bases d, o, x, X, n and N"},
      {"$GENERATE 1-2 a${ A 192.0.2.1", "z/db:1: a '${' without a '}'"},
      {"$INCLUDE", "z/db:1: $INCLUDE takes a file and maybe an origin"},
      {"\n$INCLUDE gone", "z/db:2: z/gone: no such file"}};
  for (const auto& [text, error] : kCases) EXPECT_EQ(read(text), error) << text;
}

TEST(ZoneText, Include) {
  EXPECT_EQ(read({{"z/db",
                   "$ORIGIN sub\na 60 A 192.0.2.1\n"
                   "$INCLUDE more other\n"
                   "  A 192.0.2.4\nb A 192.0.2.5\n"
                   "$include /abs/last\n"},
                  {"z/more", "c A 192.0.2.2\n$ORIGIN x.test.\nd A 192.0.2.3\n"},
                  {"/abs/last", "e NS @\n"}}),
            "a.sub.example.org. 60 A 192.0.2.1\n"
            "c.other.sub.example.org. 60 A 192.0.2.2\n"
            "d.x.test. 60 A 192.0.2.3\n"
            "a.sub.example.org. 60 A 192.0.2.4\n"
            "b.sub.example.org. 60 A 192.0.2.5\n"
            "e.sub.example.org. 60 NS sub.example.org.\n");
  EXPECT_EQ(read({{"z/db", "$INCLUDE more\n"}, {"z/more", "\na 60 A x\n"}}),
            "z/more:2: A: 'x' is no IPv4 address");
  EXPECT_EQ(read({{"z/db", "$INCLUDE db\n"}}), "z/db:1: $INCLUDE is nested over 7 deep");
}

TEST(ZoneText, Limits) {
  const std::map<std::string, std::string> texts = {{"z/db", "$INCLUDE a\n$INCLUDE a\n"},
                                                    {"z/a", "a 60 NS a\na 60 NS b\n"}};
  EXPECT_EQ(read(texts, {.files = 2}),
            "a.example.org. 60 NS a.example.org.\na.example.org. 60 NS b.example.org.\n"
            "z/db:2: over 2 files");
  EXPECT_EQ(read(texts, {.bytes = 40}), "z/db:1: over 40 bytes in all");
  EXPECT_EQ(read(texts, {.records = 1}),
            "a.example.org. 60 NS a.example.org.\nz/a:2: over 1 records");
}

TEST(Generate, Text) {
  const struct {
    const char* text;
    uint32_t number;
    const char* made;
  } kCases[] = {{"host-$", 7, "host-7"},
                {"$.$", 7, "7.7"},
                {"\\$$", 7, "$7"},
                {"$$", 7, "$"},
                {"${0}", 7, "7"},
                {"${-7}", 7, "0"},
                {"${0,3}", 7, "007"},
                {"${1,0,o}", 7, "10"},
                {"${0,4,x}", 255, "00ff"},
                {"${0,0,X}", 255, "FF"},
                {"${0,3,n}", 10, "a.0"},
                {"${0,7,n}", 0xf01, "1.0.f.0"},
                {"${0,0,N}", 0xabc, "C.B.A"},
                {"\\$\\065", 1, "$\\065"}};
  for (const auto& c : kCases) {
    const auto made = generate_text(c.text, c.number);
    EXPECT_EQ(made.ok() ? *made : made.error().message(), c.made) << c.text;
  }
  for (const char* text : {"${", "${}", "${x}", "${1,999}", "${1,2,q}", "${-9}", "${1,2,d,4}"})
    EXPECT_FALSE(generate_text(text, 7).ok()) << text;
}

}  // namespace
}  // namespace fairlead::dns::test
