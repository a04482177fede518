// SPDX-License-Identifier: Apache-2.0
#include "dns/edit.h"
#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns::test {
namespace {

class PluginRewrite : public PluginTest {
 protected:
  // What the next plugin is asked: "name TYPE-number".
  LastPlugin records(const std::string& reply) {
    return [this, reply](Request& request) {
      seen = request.query().name.to_text() + " " +
             std::to_string(static_cast<unsigned>(request.query().type));
      const auto opt = decode(request.query().packet);
      options.clear();
      for (const EditRecord& record : (*opt)[Section::kAdditional]) options = record.rdata;
      return replies_with(reply)(request);
    };
  }
  std::string seen;
  Bytes options;
};

TEST_F(PluginRewrite, Queries) {
  struct Case {
    const char* rules;
    const char* name;
    const char* seen;
  };
  const Case kCases[] = {
      {"rewrite name a.test b.test", "A.test", "b.test. 1"},
      {"rewrite name a.test b.test", "www.a.test", "www.a.test. 1"},
      {"rewrite name exact a.test. b.test.", "a.test", "b.test. 1"},
      {"rewrite name prefix foo bar", "foo.a.test", "bar.a.test. 1"},
      {"rewrite name prefix foo bar.", "foo.a.test", "bar.a.test. 1"},
      {"rewrite name prefix foo bar", "foobar.a.test", "foobar.a.test. 1"},
      {"rewrite name substring svc.a svc.b", "x.svc.a.test", "x.svc.b.test. 1"},
      {"rewrite name substring svc.a svc.b", "x.svc.ab.test", "x.svc.ab.test. 1"},
      {"rewrite name regex (a)(b)(c)(d)(e)(f)(g)(h)(i)(j)\\.test {10}.{1}.test", "abcdefghij.test",
       "j.a.test. 1"},
      {"rewrite name suffix .a.test .b.test", "www.a.test", "www.b.test. 1"},
      {"rewrite name suffix .a.test .b.test", "a.test", "a.test. 1"},
      {"rewrite name substring us-west eu", "x.us-west.us-west.test", "x.eu.eu.test. 1"},
      {"rewrite name regex (.*)-(us-west-1)\\.a\\.test {1}.service.{2}.consul",
       "ftp-us-west-1.a.test", "ftp.service.us-west-1.consul. 1"},
      {"rewrite name regex ^(.*)\\.a\\.test\\.$ {1}.b.test", "x.a.test", "x.b.test. 1"},
      {"rewrite CONTINUE Name SUFFIX .a.test .b.test\nrewrite Stop Name b.test c.test", "x.a.test",
       "x.b.test. 1"},
      {"rewrite type a aaaa", "a.test", "a.test. 28"},
      {"rewrite type A AAAA", "a.test", "a.test. 28"},
      {"rewrite type ANY HINFO", "a.test", "a.test. 1"},
      {"rewrite continue name a.test b.test\nrewrite name b.test c.test", "a.test", "c.test. 1"},
      {"rewrite name a.test b.test\nrewrite name b.test c.test", "a.test", "b.test. 1"},
      {"rewrite stop name x.test y.test\nrewrite name a.test c.test", "a.test", "c.test. 1"},
      {"rewrite stop {\nname regex (.*)\\.a\\.test {1}.b.test\nanswer name (.*)\\.b\\.test "
       "{1}.a.test\n}",
       "x.a.test", "x.b.test. 1"}};
  for (const Case& c : kCases) {
    use(c.rules, records("NXDOMAIN"));
    EXPECT_EQ(ask(c.name), "NXDOMAIN qd=1\n") << c.rules;
    EXPECT_EQ(seen, c.seen) << c.rules;
  }
}

TEST_F(PluginRewrite, NamesArePutBack) {
  struct Case {
    const char* rules;
    const char* next;
    const char* reply;
  };
  const Case kCases[] = {
      {"rewrite name www.A.test www.b.test", "NOERROR aa\nanswer @ 60 A 192.0.2.1",
       "NOERROR aa qd=1\nanswer WWW.a.test. 60 A 192.0.2.1\n"},
      {"rewrite name suffix .a.test .b.test answer auto", "NOERROR\nanswer @ 60 A 192.0.2.1",
       "NOERROR qd=1\nanswer WWW.a.test. 60 A 192.0.2.1\n"},
      {"rewrite name suffix .a.test .b.test", "NOERROR\nanswer @ 60 A 192.0.2.1",
       "NOERROR qd=1\nanswer WWW.a.test. 60 A 192.0.2.1\n"},
      {"rewrite continue name suffix .a.test .b.test\nrewrite name suffix .b.test .c.test",
       "NOERROR\nanswer @ 60 A 192.0.2.1", "NOERROR qd=1\nanswer WWW.a.test. 60 A 192.0.2.1\n"},
      {"rewrite name regex (.*)\\.a\\.test {1}.b.test answer name (.*)\\.b\\.test {1}.a.test",
       "NOERROR\nanswer @ 60 CNAME x.b.test.\nanswer x.b.test. 5 A 192.0.2.1",
       "NOERROR qd=1\nanswer www.a.test. 60 CNAME x.b.test.\nanswer x.a.test. 5 A 192.0.2.1\n"},
      {"rewrite name regex (.*)\\.a\\.test {1}.b.test answer name (.*)\\.b\\.test {1}.a.test "
       "answer "
       "value (.*)\\.b\\.test {1}.a.test",
       "NOERROR\nanswer @ 60 CNAME x.b.test.\nauthority b.test. 5 SOA ns.b.test. root.b.test. 1 2 "
       "3 4 5",
       "NOERROR qd=1\nanswer www.a.test. 60 CNAME x.a.test.\n"
       "authority b.test. 5 SOA ns.a.test. root.b.test. 1 2 3 4 5\n"},
      {"rewrite name suffix .a.test .b.test answer auto",
       "NOERROR\nanswer @ 60 CNAME x.b.test.\nanswer x.b.test. 5 SRV 1 2 3 c.test.",
       "NOERROR qd=1\nanswer WWW.a.test. 60 CNAME x.a.test.\nanswer x.a.test. 5 SRV 1 2 3 "
       "c.test.\n"},
      {"rewrite name www.a.test www.b.test",
       "NOERROR\nanswer @ 60 CNAME x.www.b.test.\nanswer x.www.b.test. 5 A 192.0.2.1",
       "NOERROR qd=1\nanswer WWW.a.test. 60 CNAME x.WWW.a.test.\nanswer x.WWW.a.test. 5 A "
       "192.0.2.1\n"},
      {"rewrite name regex (.*)\\.a\\.test {1}.b.test answer auto value c\\.test d.test",
       "NOERROR\nanswer @ 60 CNAME c.test.", "NOERROR qd=1\nanswer WWW.a.test. 60 CNAME d.test.\n"},
      {"rewrite name suffix .a.test .b.test answer value ^c d.test answer value ^e c.test",
       "NOERROR\nanswer @ 60 CNAME e.test.", "NOERROR qd=1\nanswer www.b.test. 60 CNAME d.test.\n"},
      {"rewrite {\nname suffix .a.test .b.test\nanswer name auto\nanswer value ^c d.test\n}",
       "NOERROR\nanswer @ 60 PTR c.test.", "NOERROR qd=1\nanswer WWW.a.test. 60 PTR d.test.\n"},
      {"rewrite type A AAAA", "NOERROR\nanswer @ 60 AAAA ::1",
       "NOERROR qd=1\nanswer WWW.a.test. 60 AAAA ::1\n"}};
  for (const Case& c : kCases) {
    use(c.rules, replies_with(c.next));
    const Bytes reply = ask_bytes(make_query("WWW.a.test", Type::kA));
    EXPECT_EQ(to_text(reply), c.reply) << c.rules;
    ASSERT_GE(reply.size(), 28u);
    EXPECT_TRUE(std::equal(reply.begin() + 12, reply.begin() + 28,
                           make_query("WWW.a.test", Type::kA).begin() + 12));
  }
}

TEST_F(PluginRewrite, LateReplies) {
  use("rewrite name a.test b.test", waits());
  EXPECT_EQ(ask("a.test"), "pending");
  answer_waiting("NOERROR ra\nanswer @ 60 A 192.0.2.1");
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(to_text(replies[0]), "NOERROR ra qd=1\nanswer a.test. 60 A 192.0.2.1\n");
  EXPECT_EQ(chain->waiting(), 0u);
}

TEST_F(PluginRewrite, TtlsAndRcodes) {
  const std::pair<const char*, const char*> kCases[] = {
      {"rewrite ttl a.test 15", "NOERROR qd=1\nanswer a.test. 15 A 192.0.2.1\n"},
      {"rewrite ttl exact a.test 15", "NOERROR qd=1\nanswer a.test. 15 A 192.0.2.1\n"},
      {"rewrite ttl b.test 15", "NOERROR qd=1\nanswer a.test. 60 A 192.0.2.1\n"},
      {"rewrite ttl suffix test 90-120", "NOERROR qd=1\nanswer a.test. 90 A 192.0.2.1\n"},
      {"rewrite ttl suffix test -30", "NOERROR qd=1\nanswer a.test. 30 A 192.0.2.1\n"},
      {"rewrite ttl suffix test 30-", "NOERROR qd=1\nanswer a.test. 60 A 192.0.2.1\n"},
      {"rewrite continue {\nttl regex (.*)\\.test 15\n}",
       "NOERROR qd=1\nanswer a.test. 15 A 192.0.2.1\n"},
      {"rewrite rcode a.test NOERROR NXDOMAIN", "NXDOMAIN qd=1\nanswer a.test. 60 A 192.0.2.1\n"},
      {"rewrite rcode regex .* SERVFAIL NXDOMAIN", "NOERROR qd=1\nanswer a.test. 60 A 192.0.2.1\n"},
      {"rewrite continue name a.test b.test\nrewrite continue ttl b.test 7\n"
       "rewrite rcode b.test NOERROR SERVFAIL",
       "SERVFAIL qd=1\nanswer a.test. 7 A 192.0.2.1\n"}};
  for (const auto& [rules, reply] : kCases) {
    use(rules, replies_with("NOERROR\nanswer @ 60 A 192.0.2.1"));
    EXPECT_EQ(ask("a.test"), reply) << rules;
  }
}

TEST_F(PluginRewrite, Options) {
  struct Case {
    const char* rules;
    const char* before;
    const char* after;
  };
  const Case kCases[] = {
      {"rewrite edns0 local set 0xffee 0x61626364", "", "ffee 0004 61626364"},
      {"rewrite edns0 local set 65518 abcd", "", "ffee 0004 61626364"},
      {"rewrite edns0 local set 0XFFEE abcd", "", "ffee 0004 61626364"},
      {"rewrite edns0 local set 0o177756 abcd", "", "ffee 0004 61626364"},
      {"rewrite edns0 local set 0177756 abcd", "", "ffee 0004 61626364"},
      {"rewrite edns0 local set 0b1111_1111_1110_1110 abcd", "", "ffee 0004 61626364"},
      {"rewrite edns0 local set 65_518 abcd", "", "ffee 0004 61626364"},
      {"rewrite edns0 subnet set 0x14 070", "", "0008 0007 0001 14 00 c00000"},
      {"rewrite edns0 local set 0xffee abcd", "ffee 0001 00", "ffee 0004 61626364"},
      {"rewrite edns0 local append 0xffee ab", "ffee 0001 00", "ffee 0001 00"},
      {"rewrite edns0 local append 0xffee ab", "", "ffee 0002 6162"},
      {"rewrite edns0 local replace 0xffee ab", "ffed 0001 00", "ffed 0001 00"},
      {"rewrite edns0 local replace 0xffee ab", "ffee 0001 00", "ffee 0002 6162"},
      {"rewrite edns0 local set 0xffee {client_ip}", "", "ffee 0004 c0000209"},
      {"rewrite edns0 local set 0xffee {client_port}", "", "ffee 0002 03e7"},
      {"rewrite edns0 local set 0xffee {qtype}", "", "ffee 0002 0001"},
      {"rewrite edns0 local set 0xffee {protocol}", "", "ffee 0003 756470"},
      {"rewrite edns0 local set 0xffee {server_port}", "", "ffee 0002 0035"},
      {"rewrite edns0 local set 0xffee {qname}", "", "ffee 0007 612e746573742e"},
      {"rewrite edns0 nsid set", "", "0003 0000"},
      {"rewrite EDNS0 Local SET 0xffee ab", "", "ffee 0002 6162"},
      {"rewrite edns0 local unset 0xffee", "ffee 0001 00 ffed 0000 ffee 0000", "ffed 0000"},
      {"rewrite edns0 nsid unset", "0003 0001 61", ""},
      {"rewrite edns0 subnet unset", "0008 0007 0001 18 00 c00002", ""},
      {"rewrite edns0 local unset 1\nrewrite edns0 nsid set", "", ""},
      {"rewrite edns0 local replace 1 a\nrewrite edns0 nsid set", "", "0003 0000"},
      {"rewrite edns0 local set 1 {no/value}\nrewrite edns0 nsid set", "", "0003 0000"},
      {"rewrite edns0 subnet set 20 56", "", "0008 0007 0001 14 00 c00000"},
      {"rewrite continue edns0 nsid set\nrewrite edns0 local set 1 0x02", "",
       "0003 0000 0001 0001 02"}};
  for (const Case& c : kCases) {
    use(c.rules, records("NXDOMAIN"));
    AskOptions with;
    with.query.edns_size = 1232;
    with.query.edns_options = hex(c.before);
    EXPECT_TRUE(ask("a.test", "A", with).starts_with("NXDOMAIN qd=1\nopt 1232")) << c.rules;
    EXPECT_EQ(options, hex(c.after)) << c.rules;
  }
  use("rewrite edns0 nsid set", records("NXDOMAIN"));
  EXPECT_EQ(ask("a.test"), "NXDOMAIN qd=1\n");
  EXPECT_EQ(options, hex("0003 0000"));
}

TEST_F(PluginRewrite, OptionsThatAreReverted) {
  struct Case {
    const char* rules;
    const char* before;  // in the query
    const char* after;   // in the reply, of a server that returns what it is sent
  };
  const Case kCases[] = {
      {"rewrite edns0 local set 0xffee ab", "", "ffee 0002 6162"},
      {"rewrite edns0 local set 0xffee ab revert", "", ""},
      {"rewrite edns0 local set 0xffee ab revert", "ffee 0001 00", "ffee 0001 00"},
      {"rewrite edns0 nsid append revert", "", ""},
      {"rewrite edns0 subnet set 24 56 revert", "", ""},
      {"rewrite continue edns0 local set 0xffee ab\nrewrite edns0 local replace 0xffee cd revert",
       "", "ffee 0002 6162"}};
  for (const Case& c : kCases) {
    use(c.rules, [](Request& request) {
      Bytes sent;
      const auto query = decode(request.query().packet);
      for (const EditRecord& record : (*query)[Section::kAdditional]) sent = record.rdata;
      const Bytes message = reply_of(request.query(), "NOERROR");
      request.reply().adopt(message, Rcode::kNoError, sent);
      return Step::kAnswered;
    });
    AskOptions with;
    with.query.edns_size = 1232;
    with.query.edns_options = hex(c.before);
    Bytes got;
    const auto reply = decode(ask_bytes(make_query("a.test", Type::kA, with.query), with));
    ASSERT_TRUE(reply.has_value()) << c.rules;
    for (const EditRecord& record : (*reply)[Section::kAdditional]) got = record.rdata;
    EXPECT_EQ(got, hex(c.after)) << c.rules;
  }
}

// Without `revert` the client sees what a rule has set, whatever the server behind says of it.
TEST_F(PluginRewrite, OptionsThatTheReplyHas) {
  const std::string set = "rewrite continue edns0 local set 0xffee ab";
  const struct {
    std::string rules;
    const char* before;  // in the query
    const char* after;   // in the reply, of a server that says nothing of options
  } kCases[] = {{set, "", "ffee 0002 6162"},
                {set + " revert", "", ""},
                {set + " revert", "ffee 0001 07", "ffee 0001 07"},
                {set + " revert\nrewrite edns0 local replace 0xffee cd revert", "", ""},
                {"rewrite edns0 nsid set revert", "0003 0000", ""},
                {"rewrite edns0 local append 0xffee ab", "ffee 0001 00", ""},
                {"rewrite edns0 local replace 0xffee ab", "ffee 0001 00", "ffee 0002 6162"},
                {set + "\nrewrite edns0 local replace 0xffee cd revert", "", "ffee 0002 6162"},
                {set + "\nrewrite edns0 local replace 0xffee cd", "", "ffee 0002 6364"},
                {set + " revert\nrewrite edns0 local replace 0xffee cd", "", ""},
                {set + "\nrewrite edns0 local unset 0xffee", "", ""},
                {"rewrite edns0 nsid set", "", ""},
                {"rewrite edns0 subnet set 24 56", "", ""}};
  for (const auto& c : kCases) {
    use(c.rules, replies_with("NOERROR"));
    AskOptions with;
    with.query.edns_size = 1232;
    with.query.edns_options = hex(c.before);
    Bytes got;
    const auto reply = decode(ask_bytes(make_query("a.test", Type::kA, with.query), with));
    ASSERT_TRUE(reply.has_value()) << c.rules;
    for (const EditRecord& record : (*reply)[Section::kAdditional]) got = record.rdata;
    EXPECT_EQ(got, hex(c.after)) << c.rules;
  }
  use(set, replies_with("NOERROR"));
  EXPECT_EQ(ask("a.test"), "NOERROR qd=1\n") << "who has no OPT record gets none";
}

// An rcode of more than four bits has its upper ones in the OPT record.
TEST_F(PluginRewrite, ExtendedRcodes) {
  AskOptions edns;
  edns.query.edns_size = 1232;
  for (const char* rules : {"rewrite rcode a.test NOERROR BADCOOKIE",
                            "rewrite continue name a.test b.test\nrewrite rcode b.test 0 23"}) {
    use(rules, replies_with("NOERROR"));
    const Bytes reply = ask_bytes(make_query("a.test", Type::kA, edns.query), edns);
    ASSERT_GT(reply.size(), 28U);
    EXPECT_EQ(reply[3], 7) << rules;
    EXPECT_EQ(reply[reply.size() - 6], 1) << rules;
  }
}

TEST_F(PluginRewrite, TheLastResponseRuleFirst) {
  use("rewrite continue ttl a.test 10-20\nrewrite ttl a.test 30-40",
      replies_with("NOERROR\nanswer @ 60 A 192.0.2.1"));
  EXPECT_EQ(ask("a.test"), "NOERROR qd=1\nanswer a.test. 20 A 192.0.2.1\n");
}

TEST_F(PluginRewrite, Cname) {
  use("rewrite cname exact x.test y.test", [](Request& request) {
    const bool first = request.query().name == dns_name("a.test");
    return replies_with(first ? "NOERROR\nanswer @ 60 CNAME x.test.\nanswer x.test. 5 A 192.0.2.1"
                              : "NOERROR\nanswer @ 7 A 192.0.2.2")(request);
  });
  EXPECT_EQ(ask("a.test"),
            "NOERROR qd=1\nanswer a.test. 60 CNAME y.test.\nanswer y.test. 7 A 192.0.2.2\n");
  EXPECT_EQ(ask("b.test"), "NOERROR qd=1\nanswer b.test. 7 A 192.0.2.2\n");
  EXPECT_EQ(chain->waiting(), 0u);
}

// A part of a name has no dot behind it, unlike in rules for names.
TEST_F(PluginRewrite, CnameInPart) {
  const std::pair<const char*, std::string> kCases[] = {
      {"prefix ww mail-ww", "mail-www.z.test."},
      {"substring ww.z mail-ww.z", "wmail-ww.z.test."},
      {"suffix .z.test. .y.test.", "www.y.test."},
      {"suffix .z.test .y.test", ""},
      {"regex (.*).z.test. {1}.y.test.", "www.y.test."}};
  for (const auto& [rule, target] : kCases) {
    use(std::string("rewrite cname ") + rule, [](Request& request) {
      const bool first = request.query().name == dns_name("a.test");
      return replies_with(first ? "NOERROR\nanswer @ 60 CNAME www.z.test."
                                : "NOERROR\nanswer @ 7 A 192.0.2.2")(request);
    });
    EXPECT_EQ(ask("a.test"), target.empty() ? "NOERROR qd=1\nanswer a.test. 60 CNAME www.z.test.\n"
                                            : "NOERROR qd=1\nanswer a.test. 60 CNAME " + target +
                                                  "\nanswer " + target + " 7 A 192.0.2.2\n")
        << rule;
  }
}

TEST_F(PluginRewrite, ChaosAsInternet) {
  use("rewrite class CH IN", records("NXDOMAIN"));
  AskOptions chaos;
  chaos.query.klass = Class::kChaos;
  EXPECT_EQ(ask("a.test", "A", chaos), "NXDOMAIN qd=1\n");
  EXPECT_EQ(seen, "a.test. 1");
}

TEST_F(PluginRewrite, NoName) {
  use("rewrite name regex ^(.*)$ {1}." + std::string(64, 'x') + "y", replies_with("NXDOMAIN"));
  EXPECT_EQ(ask("a.test"), "SERVFAIL rd qd=1\n");
  EXPECT_EQ(asked, 0);
}

TEST_F(PluginRewrite, Refusals) {
  const std::pair<const char*, const char*> kCases[] = {
      {"rewrite", "Corefile:2: rewrite: what to rewrite is missing"},
      {"rewrite name a", "Corefile:2: rewrite: the new name is missing"},
      {"rewrite name a b c", "Corefile:2: rewrite: 'c' is too much"},
      {"rewrite name regex ( b", "Corefile:2: '(' is no regular expression"},
      {"rewrite type A WAT", "Corefile:2: 'WAT' is no record type"},
      {"rewrite class IN WAT", "Corefile:2: 'WAT' is no class"},
      {"rewrite ttl a x", "Corefile:2: 'x' is no TTL such as 30, 30-60, 30- or -60"},
      {"rewrite ttl a 60-30", "Corefile:2: '60-30' is no TTL"},
      {"rewrite rcode a NOERROR NONE", "Corefile:2: 'NONE' is no rcode"},
      {"rewrite edns0 local set wat x", "Corefile:2: 'wat' is no option code such as 0xffee"},
      {"rewrite edns0 local set 08 x", "Corefile:2: '08' is no option code such as 0xffee"},
      {"rewrite edns0 local set 0x x", "Corefile:2: '0x' is no option code such as 0xffee"},
      {"rewrite edns0 local set 1__0 x", "Corefile:2: '1__0' is no option code such as 0xffee"},
      {"rewrite edns0 local set _1 x", "Corefile:2: '_1' is no option code such as 0xffee"},
      {"rewrite edns0 local set 1_ x", "Corefile:2: '1_' is no option code such as 0xffee"},
      {"rewrite edns0 local set 65536 x", "Corefile:2: '65536' is no option code such as 0xffee"},
      {"rewrite edns0 local set -1 x", "Corefile:2: '-1' is no option code such as 0xffee"},
      {"rewrite edns0 subnet set 010 0201",
       "Corefile:2: '0201' is not a whole number from 0 to 128"},
      {"rewrite name suffix a b answer auto answer name c d",
       "Corefile:2: rewrite: 'answer auto' and 'answer name' are not for one rule"},
      {"rewrite name a b answer name c d auto",
       "Corefile:2: rewrite: 'answer auto' and 'answer name' are not for one rule"},
      {"rewrite edns0 local set 1 0x1", "Corefile:2: '0x1' is not pairs of hex digits"},
      {"rewrite edns0 local set 1 {client}",
       "Corefile:2: rewrite: '{client}' is neither a variable nor a label"},
      {"rewrite edns0 local unset 1 x", "Corefile:2: rewrite: 'x' is too much"},
      {"rewrite name a b answer", "Corefile:2: rewrite: auto, name or value is missing"},
      {"rewrite name a b answer auto x", "Corefile:2: 'x' is not one of auto, name, value"},
      {"rewrite edns0 subnet set 33 0", "Corefile:2: '33' is not a whole number from 0 to 32"},
      {"rewrite {\nname a b\ntype A MX\n}",
       "Corefile:4: rewrite: one rule in a block, and its 'answer' lines"},
      {"rewrite names a b", "Corefile:2: 'names' is not one of"}};
  for (const auto& [text, error] : kCases)
    EXPECT_TRUE(refusal(text).starts_with(error)) << refusal(text);
}

// A cookie of a wrong length would make the query malformed.
TEST_F(PluginRewrite, NoCookies) {
  EXPECT_EQ(refusal("rewrite edns0 local set 10 abc"),
            "Corefile:2: cookies are between neighbours: option 10 cannot be rewritten");
}

}  // namespace
}  // namespace fairlead::dns::test
