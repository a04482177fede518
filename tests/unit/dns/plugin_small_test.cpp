// SPDX-License-Identifier: Apache-2.0
// The plugins of a few lines each: minimal, bufsize, chaos, nsid, whoami, any, local, and those
// that are accepted without effect.
#include <unistd.h>

#include "dns/edit.h"
#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns::test {
namespace {

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

class PluginMinimal : public PluginTest {};

TEST_F(PluginMinimal, KeepsWhatAReplyNeeds) {
  const std::string kSoa = "authority a.test. 60 SOA ns.a.test. root.a.test. 1 2 3 4 5\n";
  const std::string kNs = "authority a.test. 60 NS ns.a.test.\n";
  const std::string kGlue = "additional ns.a.test. 60 A 192.0.2.53\n";
  const std::string kTheAnswer = "answer www.a.test. 60 A 192.0.2.1\n";
  const std::pair<std::string, std::string> kCases[] = {
      {"NOERROR\n" + kTheAnswer + kNs + kGlue, "NOERROR qd=1\n" + kTheAnswer},
      {"NOERROR\n" + kNs + kGlue, "NOERROR qd=1\n" + kNs + kGlue},
      {"NOERROR\n" + kSoa, "NOERROR qd=1\n" + kSoa},
      {"NXDOMAIN\n" + kSoa, "NXDOMAIN qd=1\n" + kSoa},
      {"NXDOMAIN\n" + kTheAnswer + kSoa, "NXDOMAIN qd=1\n" + kTheAnswer + kSoa},
      {"NOERROR\n" + kGlue, "NOERROR qd=1\n"}};
  for (const auto& [next, reply] : kCases) {
    use("minimal", replies_with(next));
    EXPECT_EQ(ask("www.a.test"), reply) << next;
  }
  EXPECT_EQ(refusal("minimal x"), "Corefile:2: 'minimal' takes 0 arguments, not 1");
}

class PluginBufsize : public PluginTest {};

TEST_F(PluginBufsize, CutsRepliesOverUdp) {
  std::string many = "NOERROR";
  for (int i = 0; i < 60; ++i) many += "\nanswer @ 60 A 192.0.2." + std::to_string(i);
  const auto size = [&](const char* directive, Transport transport) {
    use(directive, replies_with(many));
    AskOptions options;
    options.transport = transport;
    options.query.edns_size = 4096;
    return ask_bytes(make_query("www.a.test", Type::kA, options.query), options).size();
  };
  EXPECT_EQ(size("any", Transport::kUdp), size("bufsize", Transport::kUdp));
  EXPECT_LE(size("bufsize 600", Transport::kUdp), 600u);
  EXPECT_GT(size("bufsize 600", Transport::kUdp), 570u);
  EXPECT_GT(size("bufsize 600", Transport::kTcp), 900u);
  EXPECT_EQ(refusal("bufsize 511"), "Corefile:2: '511' is not a whole number from 512 to 4096");
  EXPECT_EQ(refusal("bufsize 4097"), "Corefile:2: '4097' is not a whole number from 512 to 4096");
}

class PluginChaos : public PluginTest {
 protected:
  // The TXT strings, joined by '|'; the rcode when there are none.
  std::string txt(const std::string& name, Class klass = Class::kChaos) {
    AskOptions options;
    options.query.klass = klass;
    const auto message = decode(ask_bytes(make_query(name, Type::kTxt, options.query)));
    if (!message) return "malformed";
    std::string out;
    for (const EditRecord& record : (*message)[Section::kAnswer]) {
      EXPECT_EQ(record.klass, Class::kChaos);
      EXPECT_EQ(record.owner, dns_name(name));
      out += (out.empty() ? "" : "|") + std::string(record.rdata.begin() + 1, record.rdata.end());
    }
    return out.empty() ? "rcode " + std::to_string(message->flags & 15) : out;
  }
};

TEST_F(PluginChaos, SaysWhoIsThere) {
  use("chaos CoreDNS-001 \"Miek Gieben\" me@example.org");
  EXPECT_EQ(txt("version.bind"), "CoreDNS-001");
  EXPECT_EQ(txt("Version.Server"), "CoreDNS-001");
  EXPECT_EQ(txt("hostname.bind"), host_name());
  EXPECT_EQ(txt("id.server"), host_name());
  EXPECT_EQ(txt("authors.bind"), "Miek Gieben|me@example.org");
  EXPECT_EQ(txt("other.bind"), "rcode 5");
  EXPECT_EQ(txt("version.bind", Class::kIn), "rcode 5");
  use("chaos");
  EXPECT_EQ(txt("version.bind"), "fairlead-dns");
  EXPECT_EQ(txt("authors.bind"), "rcode 0");
}

class PluginNsid : public PluginTest {};

TEST_F(PluginNsid, OnlyForThoseWhoAsk) {
  use("nsid two words", replies_with("NXDOMAIN"));
  AskOptions asks;
  asks.query.edns_size = 1232;
  EXPECT_EQ(ask("a.test", "A", asks), "NXDOMAIN qd=1\nopt 1232\n");
  asks.query.edns_options = hex("0003 0000");
  EXPECT_EQ(ask("a.test", "A", asks), "NXDOMAIN qd=1\nopt 1232 option3=9\n");
  EXPECT_EQ(ask("a.test"), "NXDOMAIN qd=1\n");
  const Bytes reply = ask_bytes(make_query("a.test", Type::kA, asks.query));
  EXPECT_EQ(std::string(reply.end() - 9, reply.end()), "two words");
  use("nsid two words", [](Request& request) {
    const Bytes message = reply_of(request.query(), "NXDOMAIN");
    request.reply().adopt(message, Rcode::kNxDomain, hex("ffee 0001 00 0003 0002 6162 0003 0000"));
    return Step::kAnswered;
  });
  EXPECT_EQ(ask("a.test", "A", asks), "NXDOMAIN qd=1\nopt 1232 option65518=1 option3=9\n")
      << "what an upstream server says of itself is not for the client";
  use("nsid", waits());
  send(make_query("a.test", Type::kA, asks.query));
  answer_waiting("NXDOMAIN");
  EXPECT_EQ(to_text(replies.back()),
            "NXDOMAIN qd=1\nopt 1232 option3=" + std::to_string(host_name().size()) + "\n");
}

class PluginWhoami : public PluginTest {};

TEST_F(PluginWhoami, AddressPortAndTransport) {
  use("whoami");
  EXPECT_EQ(ask("A.test", "MX"),
            "NOERROR aa rd qd=1\nadditional A.test. 0 A 192.0.2.9\n"
            "additional _udp.A.test. 0 SRV 0 0 999 .\n");
  AskOptions tcp;
  tcp.transport = Transport::kTcp;
  tcp.client = "2001:db8::1";
  EXPECT_EQ(ask(".", "A", tcp),
            "NOERROR aa rd qd=1\nadditional . 0 AAAA 2001:db8::1\n"
            "additional _tcp. 0 SRV 0 0 999 .\n");
}

class PluginAny : public PluginTest {};

TEST_F(PluginAny, OneSmallRecord) {
  use("any", replies_with("NXDOMAIN"));
  const Bytes reply = ask_bytes(make_query("a.test", Type::kAny));
  EXPECT_EQ(to_text(reply), "NOERROR rd qd=1\nanswer a.test. 8482 TYPE13 \\# 27\n");
  EXPECT_EQ(std::string(reply.end() - 27, reply.end()),
            "\x0d"
            "ANY obsoleted"
            "\x0c"
            "See RFC 8482");
  EXPECT_EQ(ask("a.test"), "NXDOMAIN qd=1\n");
}

class PluginLocal : public PluginTest {};

TEST_F(PluginLocal, Names) {
  struct Case {
    const char* name;
    const char* type;
    const char* brief;
  };
  const std::string v6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa";
  const Case kCases[] = {{"localhost", "A", "127.0.0.1"},
                         {"LOCALHOST", "AAAA", "::1"},
                         {"localhost", "MX", "NODATA"},
                         {"localhost", "NS", "localhost."},
                         {"localhost", "SOA", "localhost. root.localhost. 1 0 0 0 604800"},
                         {"a.localhost", "A", "127.0.0.1"},
                         {"a.localhost", "NS", "NODATA"},
                         {"localhost.example.org", "A", "127.0.0.1"},
                         {"localhost.example.org", "AAAA", "::1"},
                         {"localhost.example.org", "TXT", "NODATA"},
                         {"1.0.0.127.in-addr.arpa", "PTR", "localhost."},
                         {"1.0.0.127.in-addr.arpa", "A", "NODATA"},
                         {"0.0.127.in-addr.arpa", "PTR", "NODATA"},
                         {"2.0.0.127.in-addr.arpa", "PTR", "NXDOMAIN"},
                         {"127.in-addr.arpa", "NS", "localhost."},
                         {"127.in-addr.arpa", "A", "NODATA"},
                         {"0.in-addr.arpa", "SOA", "localhost. root.localhost. 1 0 0 0 604800"},
                         {"1.0.in-addr.arpa", "PTR", "NXDOMAIN"},
                         {"255.255.255.255.in-addr.arpa", "PTR", "NXDOMAIN"},
                         {v6.c_str(), "PTR", "localhost."},
                         {"1.0.0.10.in-addr.arpa", "PTR", "REFUSED"},
                         {"example.org", "A", "REFUSED"},
                         {".", "A", "REFUSED"}};
  use("local");
  for (const Case& c : kCases) {
    const Bytes reply = ask_bytes(make_query(c.name, type_of(c.type)));
    EXPECT_EQ(brief(reply), c.brief) << c.name << " " << c.type;
  }
  EXPECT_EQ(ask("2.0.0.127.in-addr.arpa", "PTR"),
            "NXDOMAIN aa rd qd=1\n"
            "authority 127.in-addr.arpa. 604800 SOA localhost. root.localhost. 1 0 0 0 604800\n");
}

TEST_F(PluginLocal, WithoutPrefix) {
  use("local {\nlocalhost_prefix off\n}", replies_with("NXDOMAIN"));
  EXPECT_EQ(ask("localhost.example.org"), "NXDOMAIN qd=1\n");
  EXPECT_EQ(ask("localhost"), "NOERROR aa rd qd=1\nanswer localhost. 604800 A 127.0.0.1\n");
}

class PluginCancel : public PluginTest {};

TEST_F(PluginCancel, SaysHowLongThePluginsBehindMayWait) {
  const std::pair<const char*, Duration> kCases[] = {
      {"cancel", std::chrono::milliseconds(5001)}, {"cancel 20ms", std::chrono::milliseconds(20)}};
  for (const auto& [directive, timeout] : kCases) {
    std::optional<MonoTime> until;
    use(directive, [&](Request& request) {
      until = request.client().until;
      return replies_with("NXDOMAIN")(request);
    });
    const MonoTime before = loop.clock().now();
    EXPECT_EQ(ask("a.test"), "NXDOMAIN qd=1\n");
    ASSERT_TRUE(until) << directive;
    EXPECT_GE(*until, before + timeout) << directive;
    EXPECT_LE(*until, loop.clock().now() + timeout) << directive;
  }
}

class PluginWithoutEffect : public PluginTest {};

TEST_F(PluginWithoutEffect, IsAcceptedWithANote) {
  for (const char* directive :
       {"multisocket", "multisocket 5", "pprof", "pprof :6060 {\nblock 10\n}", "shed", "trace",
        "trace tracehost:9411",
        "trace zipkin tracehost:9411 {\nevery 100\nservice x\nclient_server\n}"}) {
    use(directive, replies_with("NXDOMAIN"));
    EXPECT_EQ(config.notes.size(), 1u) << directive;
    EXPECT_EQ(ask("a.test"), "NXDOMAIN qd=1\n");
  }
}

TEST_F(PluginWithoutEffect, BadArgumentsAreErrors) {
  for (const char* directive :
       {"cancel 0", "cancel soon", "cancel 1s 2s", "metadata ..", "multisocket 0", "multisocket x",
        "pprof nowhere", "pprof {\nblack 1\n}", "shed 5", "shed {\ndepth 1\n}", "shed\nshed",
        "trace jaeger x", "trace {\nevery never\n}", "trace {\nclient_server maybe\n}",
        "trace {\ndatadog_analytics_rate 2\n}"})
    EXPECT_NE(refusal(directive), "") << directive;
}

}  // namespace
}  // namespace fairlead::dns::test
