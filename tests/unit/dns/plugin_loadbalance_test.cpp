// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns::test {
namespace {

class PluginLoadBalance : public PluginTest {
 protected:
  // The different replies to many queries.
  std::set<std::string> seen(const std::string& type, int times = 200) {
    std::set<std::string> all;
    for (int i = 0; i < times; ++i) all.insert(ask("a.test", type));
    return all;
  }
};

// The lines of a reply, sorted.
std::string sorted(const std::string& reply) {
  std::istringstream in(reply);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  std::ranges::sort(lines);
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  return out;
}

struct OrderCase {
  const char* what;
  const char* type;
  const char* reply;
  size_t orders;
};

TEST_F(PluginLoadBalance, Orders) {
  const OrderCase kCases[] = {
      {"one", "A", "NOERROR\nanswer @ 5 A 10.0.0.1", 1},
      {"three", "A", "NOERROR\nanswer @ 5 A 10.0.0.1\nanswer @ 5 A 10.0.0.2\nanswer @ 5 A 10.0.0.3",
       6},
      {"owners written out", "A",
       "NOERROR\nanswer a.test 5 A 10.0.0.1\nanswer @ 5 A 10.0.0.2\nanswer A.test 5 A 10.0.0.3", 6},
      {"IPv6", "AAAA", "NOERROR\nanswer @ 5 AAAA ::1\nanswer @ 5 AAAA ::2", 2},
      {"other names keep their addresses", "A",
       "NOERROR\nanswer a.test 5 A 10.0.0.1\nanswer b.test 5 A 10.0.0.2", 1},
      {"behind a CNAME", "A",
       "NOERROR\nanswer @ 5 CNAME b.test\nanswer b.test 5 A 10.0.0.1\nanswer b.test 5 A 10.0.0.2",
       2},
      {"MX", "MX",
       "NOERROR\nanswer @ 5 MX 10 m.test\nanswer @ 5 MX 10 mail.test\nanswer @ 5 MX 10 n.test\n"
       "additional m.test 5 A 10.0.0.1",
       3},
      {"types that nobody shuffles", "TXT", "NOERROR\nanswer @ 5 TXT \"a\"\nanswer @ 5 TXT \"b\"",
       1},
      {"not an answer", "A", "NXDOMAIN\nanswer @ 5 A 10.0.0.1\nanswer @ 5 A 10.0.0.2", 1},
  };
  for (const OrderCase& c : kCases) {
    use("loadbalance round_robin", replies_with(c.reply));
    const std::set<std::string> orders = seen(c.type);
    EXPECT_EQ(orders.size(), c.orders) << c.what;
    std::set<std::string> contents;
    for (const std::string& order : orders) contents.insert(sorted(order));
    if (std::string_view(c.what) == "owners written out") continue;  // they stay, in their case
    EXPECT_EQ(contents.size(), 1U) << c.what;
  }
}

TEST_F(PluginLoadBalance, AliasesFirst) {
  use("loadbalance", replies_with("NOERROR\nanswer b.test 5 A 10.0.0.1\nanswer c.test 5 TXT \"x\"\n"
                                  "answer @ 5 CNAME c.test\nanswer c.test 5 CNAME b.test"));
  EXPECT_EQ(ask("a.test"),
            "NOERROR qd=1\nanswer a.test. 5 CNAME c.test.\nanswer c.test. 5 CNAME b.test.\n"
            "answer b.test. 5 A 10.0.0.1\nanswer c.test. 5 TXT \"x\"\n");
}

// The address's owner is where the alias, which stands behind it, points to; the options stay.
TEST_F(PluginLoadBalance, AliasesFirstThoughTheirNamesAreCompressed) {
  use("loadbalance", [&](Request& request) {
    Bytes message = reply_of(request.query(), "NOERROR\nanswer b.test 5 A 10.0.0.1");
    const Bytes alias = hex("c00c 0005 0001 00000005 0002 c018");  // to the owner at 24
    message.insert(message.end(), alias.begin(), alias.end());
    write_u16(&message[6], 2);
    request.reply().adopt(message, Rcode::kNoError, hex("ffee 0001 00"));
    return Step::kAnswered;
  });
  AskOptions edns;
  edns.query.edns_size = 1232;
  EXPECT_EQ(ask("a.test", "A", edns),
            "NOERROR qd=1\nanswer a.test. 5 CNAME b.test.\nanswer b.test. 5 A 10.0.0.1\n"
            "opt 1232 option65518=1\n");
}

// Names that point into the records that would move: all stays.
TEST_F(PluginLoadBalance, CompressedAgainstEachOther) {
  // Two MX records; the address's owner is the first one's exchange.
  use("loadbalance", [&](Request& request) {
    Bytes message = reply_of(request.query(), "NOERROR");
    const size_t first = message.size();
    Bytes mx = hex("c00c000f000100000005 0005 000a 016d 00 c00c000f000100000005 0006 000a 016e");
    const uint16_t exchange = static_cast<uint16_t>(first + 14);
    mx.push_back(static_cast<uint8_t>(0xc0 | exchange >> 8));
    mx.push_back(static_cast<uint8_t>(exchange));
    message.insert(message.end(), mx.begin(), mx.end());
    write_u16(&message[6], 2);
    request.reply().adopt(message, Rcode::kNoError);
    return Step::kAnswered;
  });
  EXPECT_EQ(seen("MX"), (std::set<std::string>{"NOERROR qd=1\nanswer a.test. 5 MX 10 m.\n"
                                               "answer a.test. 5 MX 10 n.m.\n"}));
}

constexpr const char* kThree =
    "NOERROR\nanswer @ 5 A 10.0.0.1\nanswer @ 5 A 10.1.0.2\nanswer @ 5 A 10.2.0.3";

// The first address of a reply.
std::string first_of(const std::string& reply) {
  std::istringstream in(reply.substr(reply.find("answer")));
  std::string word;
  for (int i = 0; i < 5; ++i) in >> word;
  return word;
}

TEST_F(PluginLoadBalance, Weighted) {
  files.texts["/etc/weights"] =
      "# weights\n\nother.test\n10.0.0.1 200\nA.test\n10.0.0.1 6\n10.1.0.2 3\n";
  use("loadbalance weighted weights", replies_with(kThree));
  std::map<std::string, int> first;
  for (int i = 0; i < 4000; ++i) ++first[first_of(ask("a.test"))];
  EXPECT_NEAR(first["10.0.0.1"], 2400, 200);
  EXPECT_NEAR(first["10.1.0.2"], 1200, 200);
  EXPECT_NEAR(first["10.2.0.3"], 400, 150) << "not in the file: 1";
  EXPECT_EQ(seen("A").size(), 3U) << "only the first one is drawn";
  use("loadbalance weighted weights", replies_with("NOERROR\nanswer @ 5 MX 10 m.test\n"
                                                   "answer @ 5 MX 10 n.test"));
  EXPECT_EQ(seen("MX").size(), 1U);
}

TEST_F(PluginLoadBalance, AddressesThatAreNone) {
  files.texts["/etc/weights"] = "a.test\n10.0.0.1 6\n";
  const std::string long_one(80, '0');
  for (const char* text : {"loadbalance weighted weights", "loadbalance {\nprefer 10.0.0.0/8\n}"}) {
    use(text, replies_with("NOERROR\nanswer @ 5 TYPE1 " + long_one + "\nanswer @ 5 TYPE1 " +
                           long_one + "\nanswer @ 5 TYPE28 0a00\nanswer @ 5 TYPE28 0a00"));
    std::set<Bytes> all;
    for (int i = 0; i < 20; ++i) all.insert(ask_bytes(make_query("a.test", Type::kA)));
    EXPECT_EQ(all.size(), 1U) << text;
  }
}

TEST_F(PluginLoadBalance, AWeightFileThatComesLater) {
  use("loadbalance weighted weights", replies_with(kThree));
  EXPECT_EQ(seen("A").size(), 3U);
  EXPECT_EQ(config.notes.size(), 1U);
  EXPECT_NE(refusal("loadbalance weighted weights {\nreload 0s\n}"), "") << "never read again";
}

TEST_F(PluginLoadBalance, Preferred) {
  const std::pair<const char*, size_t> kCases[] = {
      {"loadbalance {\nprefer 10.2.0.0/16\n}", 2},
      {"loadbalance round_robin {\nprefer 10.2.0.0/16 10.1.0.0/16\n}", 1},
      {"loadbalance round_robin {\nprefer 10.2.0.0/16\nprefer 10.0.0.0/8\n}", 2},
  };
  for (const auto& [text, orders] : kCases) {
    use(text, replies_with(kThree));
    const std::set<std::string> all = seen("A");
    EXPECT_EQ(all.size(), orders) << text;
    for (const std::string& reply : all) EXPECT_EQ(first_of(reply), "10.2.0.3") << text;
  }
  use("loadbalance {\nprefer 2001:db8::/32 10.0.0.0/8\n}",
      replies_with("NOERROR\nanswer @ 5 A 192.0.2.1\nanswer @ 5 TXT \"x\"\nanswer @ 5 A 10.0.0.1\n"
                   "answer @ 5 AAAA ::1\nanswer @ 5 AAAA 2001:db8::1"));
  for (const std::string& reply : seen("A")) {
    EXPECT_EQ(first_of(reply), "2001:db8::1") << "before all of the other family";
    EXPECT_LT(reply.find("10.0.0.1"), reply.find("192.0.2.1"));
    EXPECT_GT(reply.find("TXT"), reply.find("192.0.2.1"));
  }
  use("loadbalance {\nprefer 2001:db8::/32\n}",
      replies_with("NOERROR\nanswer @ 5 AAAA ::1\nanswer @ 5 AAAA 2001:db8::1"));
  EXPECT_EQ(seen("AAAA").size(), 1U);
}

TEST_F(PluginLoadBalance, Refusals) {
  files.texts["/etc/a"] = "10.0.0.1 3\n";
  files.texts["/etc/b"] = "a.test\n10.0.0.1 256\n";
  files.texts["/etc/c"] = "a.test\n10.0.0.1\n";
  const std::pair<const char*, const char*> kCases[] = {
      {"loadbalance", ""},
      {"loadbalance weighted", "Corefile:2: 'loadbalance' takes 2 arguments, not 1"},
      {"loadbalance round_robin x", "Corefile:2: 'loadbalance' takes 0 to 1 arguments, not 2"},
      {"loadbalance weighted a", "/etc/a:1: a name must stand before its addresses"},
      {"loadbalance weighted b",
       "/etc/b:2: '10.0.0.1 256' is no address with a weight from 1 to 255"},
      {"loadbalance weighted c",
       "/etc/c:2: '10.0.0.1' is no name; an address has its weight behind it"},
      {"loadbalance {\nprefer 10.0.0.0\n}",
       "Corefile:3: '10.0.0.0' is no prefix such as 10.0.0.0/8"},
      {"loadbalance weighted w {\nreload 1m\nprefer 10.0.0.0/8\n}",
       "Corefile:4: 'prefer' is not for 'weighted FILE', in CoreDNS neither"},
      {"loadbalance {\nreload 5s\n}", "Corefile:3: 'reload' is for 'weighted FILE'"},
      {"loadbalance random",
       "Corefile:2: 'random' is not one of round_robin, weighted: CoreDNS does not know it either"},
  };
  for (const auto& [text, error] : kCases) EXPECT_EQ(refusal(text), error) << text;
}

}  // namespace
}  // namespace fairlead::dns::test
