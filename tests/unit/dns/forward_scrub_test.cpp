// SPDX-License-Identifier: Apache-2.0
// What an upstream says beside what was asked.
#include <fmt/format.h>

#include <chrono>

#include "dns/edit.h"
#include "dns/mnemonics.h"
#include "dns/plugins/forward/relay.h"
#include "dns/plugins/forward/scrub.h"
#include "tests/unit/dns/forward_support.h"
#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns {
namespace {

using namespace test;

std::string wire_hex(const std::string& name) {
  std::string out;
  const Name parsed = dns_name(name);
  for (const uint8_t byte : parsed.wire()) out += fmt::format("{:02x}", byte);
  return out;
}
// The data of a signature over a type, by a zone.
std::string signature(unsigned type, const std::string& zone) {
  return fmt::format("{:04x} 0802 0000003c 70000000 60000000 1234 {} abcd", type, wire_hex(zone));
}

// What the client gets of a reply, a line a record; "as it is", or "nothing".
std::string relayed(const Bytes& packet, const Bytes& message) {
  Query query;
  parse_query(packet, query);
  const auto view = parse_reply(message);
  EXPECT_TRUE(view);
  const auto out = client_reply(*view, query);
  if (!out) return "nothing";
  if (*out == message) return "as it is";
  EXPECT_EQ(to_text(*out).find("malformed"), std::string::npos);
  const auto edit = decode(*out);
  EXPECT_TRUE(edit);
  std::string text;
  for (const auto& records : edit->sections)
    for (const EditRecord& record : records)
      text += record.owner.to_text() + " " + type_to_text(record.type) + "\n";
  return text;
}
std::string relayed(const std::string& name, const std::string& type, const std::string& reply) {
  const Bytes packet = make_query(name, type_of(type));
  Query query;
  parse_query(packet, query);
  return relayed(packet, reply_of(query, reply));
}

const std::string kGood = "answer @ 60 A 192.0.2.1\n";
const std::string kSoaData = " 60 SOA ns.a.test. me.a.test. 1 2 3 4 5\n";
const std::string kNsec = " 60 TYPE47 00 000140\n";
const std::string kNsec3 = " 60 TYPE50 0100 0000 00 01 aa 000140\n";

struct Row {
  const char* what;
  const char* type;
  std::string reply;
  std::string relayed;
};

void check(std::initializer_list<Row> rows) {
  for (const Row& row : rows)
    EXPECT_EQ(relayed("www.a.test", row.type, row.reply), row.relayed) << row.what;
}

TEST(PluginForwardScrub, Answers) {
  const std::string alias = "answer @ 60 CNAME b.test.\n";
  const std::string dname = "answer A.test. 60 DNAME " + wire_hex("b.test") + "\n";
  check({
      {"the answer", "A", "NOERROR\n" + kGood, "as it is"},
      {"a foreign address", "A", "NOERROR\n" + kGood + "answer bank.test. 60 A 192.0.2.66\n",
       "www.a.test. A\n"},
      {"a foreign address first", "A", "NOERROR\nanswer bank.test. 60 A 192.0.2.66\n" + kGood,
       "www.a.test. A\n"},
      {"of the name above", "A", "NOERROR\n" + kGood + "answer a.test. 60 A 192.0.2.66\n",
       "www.a.test. A\n"},
      {"in other letters", "A", "NOERROR\nanswer WWW.A.test. 60 A 192.0.2.1\n", "as it is"},
      {"nothing but foreign ones", "A", "NOERROR\nanswer bank.test. 60 A 192.0.2.66\n", "nothing"},
      {"the same, cut", "A", "NOERROR tc\nanswer bank.test. 60 A 192.0.2.66\n", ""},
      {"aliases", "A",
       "NOERROR\n" + alias + "answer B.test. 60 CNAME c.test.\nanswer c.test. 60 A 192.0.2.1\n",
       "as it is"},
      {"aliases in another order", "A",
       "NOERROR\nanswer c.test. 60 A 192.0.2.1\nanswer b.test. 60 CNAME c.test.\n" + alias,
       "as it is"},
      {"an alias of another", "A",
       "NOERROR\n" + alias +
           "answer b.test. 60 A 192.0.2.1\nanswer x.test. 60 CNAME y.test.\n"
           "answer y.test. 60 A 192.0.2.66\n",
       "www.a.test. CNAME\nb.test. A\n"},
      {"aliases in a circle", "A", "NOERROR\n" + alias + "answer b.test. 60 CNAME www.a.test.\n",
       "as it is"},
      {"DNAME", "A",
       "NOERROR\n" + dname + "answer @ 60 CNAME www.b.test.\nanswer www.b.test. 60 A 192.0.2.1\n",
       "as it is"},
      {"DNAME alone", "A", "NOERROR\n" + dname + "answer www.b.test. 60 A 192.0.2.1\n", "as it is"},
      {"DNAME of another", "A",
       "NOERROR\n" + kGood + "answer c.test. 60 DNAME " + wire_hex("b.test") + "\n",
       "www.a.test. A\n"},
      {"signatures", "A",
       "NOERROR\n" + dname + "answer a.test. 60 TYPE46 " + signature(39, "a.test") + "\n" +
           "answer www.b.test. 60 A 192.0.2.1\nanswer www.b.test. 60 TYPE46 " +
           signature(1, "b.test") + "\n",
       "as it is"},
      {"a foreign signature", "A",
       "NOERROR\n" + kGood + "answer a.test. 60 TYPE46 " + signature(1, "a.test") + "\n",
       "www.a.test. A\n"},
  });
}

TEST(PluginForwardScrub, Authority) {
  const auto signed_by = [](const std::string& owner, unsigned type, const std::string& zone) {
    return "authority " + owner + " 60 TYPE46 " + signature(type, zone) + "\n";
  };
  check({
      {"a denial", "A", "NXDOMAIN\nauthority a.test." + kSoaData, "as it is"},
      {"the root's denial", "A", "NXDOMAIN\nauthority ." + kSoaData, "as it is"},
      {"a foreign SOA", "A",
       "NXDOMAIN\nauthority a.test." + kSoaData + "authority bank.test." + kSoaData,
       "a.test. SOA\n"},
      {"nothing but a foreign SOA", "A", "NXDOMAIN\nauthority bank.test." + kSoaData, ""},
      {"an alias and the denial of its target", "A",
       "NXDOMAIN\nanswer @ 60 CNAME x.b.test.\nauthority b.test." + kSoaData, "as it is"},
      {"servers, one foreign", "A",
       "NOERROR\n" + kGood +
           "authority a.test. 60 NS ns.b.test.\nauthority bank.test. 60 NS evil.test.\n",
       "www.a.test. A\na.test. NS\n"},
      {"a signed denial", "A",
       "NXDOMAIN\nauthority a.test." + kSoaData + signed_by("a.test.", 6, "a.test") +
           "authority 0abc.a.test." + kNsec3 + signed_by("0abc.a.test.", 50, "a.test") +
           "authority 1abc.A.test." + kNsec3 + signed_by("1abc.a.test.", 50, "a.test") +
           "authority 2abc.a.test." + kNsec3 + signed_by("2abc.a.test.", 50, "a.test"),
       "as it is"},
      {"the root's signed denial", "A",
       "NXDOMAIN\nauthority tel." + kNsec + signed_by("tel.", 47, ".") + "authority ." + kSoaData +
           signed_by(".", 6, "."),
       "as it is"},
      {"a wildcard's answer, signed, without servers", "A",
       "NOERROR\n" + kGood + "authority v.a.test." + kNsec + signed_by("v.a.test.", 47, "a.test"),
       "as it is"},
      {"a signed denial with another zone's", "A",
       "NXDOMAIN\nauthority a.test." + kSoaData + "authority v.a.test." + kNsec +
           "authority v.bank.test." + kNsec + signed_by("v.bank.test.", 47, "bank.test") +
           "authority 0abc.bank.test." + kNsec3,
       "a.test. SOA\nv.a.test. NSEC\n"},
      {"another's address where proofs are", "A",
       "NXDOMAIN\nauthority a.test." + kSoaData + "authority v.a.test. 60 A 192.0.2.66\n",
       "a.test. SOA\n"},
      {"a signature of another's that does not stay itself", "A",
       "NOERROR\n" + kGood + "authority v.a.test." + kNsec +
           signed_by("v.bank.test.", 47, "a.test"),
       "www.a.test. A\n"},
      {"signed by the root, it says", "A",
       "NOERROR\n" + kGood + "authority v.bank.test." + kNsec + signed_by("v.bank.test.", 47, "."),
       "www.a.test. A\n"},
  });
}

TEST(PluginForwardScrub, Additional) {
  const std::string glue = "additional ns.b.test. 60 A 192.0.2.2\n";
  const std::string foreign = "additional bank.test. 60 A 192.0.2.66\n";
  const std::string https = "answer @ 60 HTTPS 0001 ";
  check({
      {"glue", "A", "NOERROR\n" + kGood + "authority a.test. 60 NS NS.b.test.\n" + glue,
       "as it is"},
      {"foreign glue", "A",
       "NOERROR\n" + kGood + "authority a.test. 60 NS ns.b.test.\n" + glue + foreign,
       "www.a.test. A\na.test. NS\nns.b.test. A\n"},
      {"glue of a server of another zone", "A",
       "NOERROR\n" + kGood + "authority bank.test. 60 NS ns.b.test.\n" + glue, "www.a.test. A\n"},
      {"MX", "MX",
       "NOERROR\nanswer @ 60 MX 10 ns.b.test.\n" + glue + "additional ns.b.test. 60 TYPE46 " +
           signature(1, "b.test") + "\n",
       "as it is"},
      {"SRV", "SRV", "NOERROR\nanswer @ 60 SRV 0 0 80 ns.b.test.\n" + glue + foreign,
       "www.a.test. SRV\nns.b.test. A\n"},
      {"HTTPS", "HTTPS", "NOERROR\n" + https + wire_hex("ns.b.test") + "\n" + glue, "as it is"},
      {"HTTPS of the name itself", "HTTPS",
       "NOERROR\n" + https + "00\nadditional www.a.test. 60 A 192.0.2.1\n" + foreign,
       "www.a.test. HTTPS\nwww.a.test. A\n"},
      {"HTTPS that leads to another", "HTTPS",
       "NOERROR\nanswer @ 60 HTTPS 0000 " + wire_hex("c.test") +
           "\nadditional c.test. 60 HTTPS 0001 " + wire_hex("ns.b.test") + "\n" + glue,
       "as it is"},
      {"nothing that refers to it", "A", "NOERROR\n" + kGood + foreign, "www.a.test. A\n"},
  });
}

// Names in the data of what stays may have pointed into what goes.
TEST(PluginForwardScrub, PointersInWhatStaysAreRight) {
  const Bytes packet = make_query("www.a.test", Type::kMx);
  Query query;
  parse_query(packet, query);
  Bytes reply = reply_of(query,
                         "NOERROR\nanswer bank.b.test. 60 A 192.0.2.66\n"
                         "answer @ 60 MX 10 ns.b.test.\n");
  const auto b_test = static_cast<uint8_t>(query.question_end + 5);
  reply.resize(reply.size() - dns_name("ns.b.test").size());
  const Bytes target = {2, 'n', 's', 0xc0, b_test};
  reply.insert(reply.end(), target.begin(), target.end());
  reply[reply.size() - target.size() - 3] = static_cast<uint8_t>(2 + target.size());
  // The address of ns.b.test, by a pointer to that name.
  const Bytes address = {
      0xc0, static_cast<uint8_t>(reply.size() - 5), 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 2};
  reply.insert(reply.end(), address.begin(), address.end());
  reply[11] = 1;
  const auto out = client_reply(*parse_reply(reply), query);
  ASSERT_TRUE(out);
  EXPECT_EQ(to_text(*out),
            "NOERROR qd=1\nanswer www.a.test. 60 MX 10 ns.b.test.\n"
            "additional ns.b.test. 60 A 192.0.2.2\n");
}

// An owner that cannot be read: the message is not passed on.
TEST(PluginForwardScrub, WhatCannotBeReadIsNotPassedOn) {
  const Bytes packet = make_query("www.a.test", Type::kA);
  Query query;
  parse_query(packet, query);
  Bytes reply = reply_of(query, "NOERROR\n" + kGood + kGood);
  reply[query.question_end] = 0xff;
  EXPECT_EQ(relayed(packet, reply), "nothing");
}

// 64 KiB of records that each want looking at.
TEST(PluginForwardScrub, TakesNoLongerThanItsSize) {
  const Bytes packet = make_query("www.a.test", Type::kA);
  Query query;
  parse_query(packet, query);
  Bytes reply = reply_of(query, "NOERROR\n" + kGood);
  const size_t first = reply.size();
  std::string deep = "x";
  for (int i = 0; i < 120; ++i) deep += ".x";
  const Name owner = dns_name(deep);
  reply.insert(reply.end(), owner.wire().begin(), owner.wire().end());
  const Bytes alias = {0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, static_cast<uint8_t>(first)};
  reply.insert(reply.end(), alias.begin(), alias.end());
  uint16_t count = 2;
  for (; reply.size() + 2 + alias.size() <= kMaxMessage; ++count) {
    reply.push_back(0xc0);
    reply.push_back(static_cast<uint8_t>(first));
    reply.insert(reply.end(), alias.begin(), alias.end());
  }
  write_u16(&reply[6], count);
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(relayed(packet, reply), "www.a.test. A\n");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, seconds(2));
}

// Through the plugin: what is left, or SERVFAIL where nothing is.
TEST_F(PluginForward, WhatIsNotOfTheQuestionIsScrubbed) {
  std::string says = "NOERROR rd ra\nanswer @ 60 A 192.0.2.1\nanswer bank.test. 60 A 192.0.2.66\n";
  Upstream up(loop, [&](const Bytes& packet) {
    Query query;
    parse_query(packet, query);
    return reply_of(query, says);
  });
  use({up.address});
  EXPECT_EQ(ask(make_query(kName, Type::kA)), kAnswer);
  says = "NOERROR rd ra\nanswer bank.test. 60 A 192.0.2.66\n";
  QueryOptions o;
  o.edns_size = 1232;
  EXPECT_EQ(ask(make_query(kName, Type::kA, o)), "SERVFAIL rd qd=1\nopt 1232 ede=0\n");
}

}  // namespace
}  // namespace fairlead::dns
