// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdio>

#include "base/file.h"
#include "dns/host.h"
#include "dns/plugins/hosts/table.h"
#include "dns/registry.h"
#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns::test {
namespace {

class PluginHosts : public PluginTest {
 protected:
  // A reply without its head; what the next plugin says is "next".
  std::string answer(const std::string& name, const std::string& type) {
    const int before = asked;
    const std::string reply = ask(name, type);
    if (asked != before) return "next";
    return brief(replies.back());
  }
};

constexpr const char* kFile =
    "# comment\n"
    "10.0.0.1\ta.test A2.test   # more\n"
    "10.0.0.2 a.test\r\n"
    "10.0.0.2 a.test\n"
    "fd00::1 a.test\n"
    "fe80::1%eth0 local.test\n"
    "not-an-address x.test\n"
    "10.0.0.9 bad..name good.test\n"
    "10.0.0.3 *.w.test\n"
    "10.0.0.4 here.w.test\n"
    "::FFFF:10.0.0.6 mapped.test\n"
    "10.0.0.5 a.example";

TEST_F(PluginHosts, OtherTypesGoOnWhereTold) {
  files.texts["/etc/hosts"] = kFile;
  use("hosts {\nfallthrough test\nfallthrough_unsupported\n}",
      replies_with("NOERROR\nanswer @ 60 TXT \"next\"\n"));
  EXPECT_EQ(ask("a.test", "TXT"), "NOERROR qd=1\nanswer a.test. 60 TXT \"next\"\n");
  EXPECT_EQ(brief(ask_bytes(make_query("a.test", Type::kA))), "10.0.0.1, 10.0.0.2");
  EXPECT_EQ(brief(ask_bytes(make_query("a2.test", Type::kAaaa))), "NODATA");
  EXPECT_EQ(brief(ask_bytes(make_query("a.example", Type::kTxt))), "NODATA");
  EXPECT_EQ(refusal("hosts {\nfallthrough_unsupported\n}"),
            "Corefile:2: hosts: 'fallthrough_unsupported' needs 'fallthrough'");
}

TEST_F(PluginHosts, Answers) {
  files.texts["/etc/hosts"] = kFile;
  const struct {
    const char* directive;
    const char* name;
    const char* type;
    const char* answer;
  } kCases[] = {
      {"hosts", "a.test", "A", "10.0.0.1, 10.0.0.2"},
      {"hosts", "A.TEST", "AAAA", "fd00::1"},
      {"hosts", "mapped.test", "A", "10.0.0.6"},
      {"hosts", "mapped.test", "AAAA", "NODATA"},
      {"hosts", "6.0.0.10.in-addr.arpa", "PTR", "mapped.test."},
      {"hosts", "a2.test", "A", "10.0.0.1"},
      {"hosts", "a2.test", "AAAA", "NODATA"},
      {"hosts", "a.test", "TXT", "NODATA"},
      {"hosts", "local.test", "AAAA", "fe80::1"},
      {"hosts", "good.test", "A", "10.0.0.9"},
      {"hosts", "x.test", "A", "NXDOMAIN"},
      {"hosts", "b.test", "A", "NXDOMAIN"},
      {"hosts", "any.w.test", "A", "10.0.0.3"},
      {"hosts", "a.b.w.test", "A", "NXDOMAIN"},  // a wildcard is for one label
      {"hosts", "here.w.test", "A", "10.0.0.4"},
      {"hosts", "w.test", "A", "NXDOMAIN"},
      {"hosts", "1.0.0.10.in-addr.arpa", "PTR", "A2.test., a.test."},
      {"hosts", "3.0.0.10.in-addr.arpa", "PTR", "next"},
      {"hosts", "7.0.0.10.in-addr.arpa", "PTR", "next"},
      {"hosts", "010.0.0.10.in-addr.arpa", "PTR", "next"},
      {"hosts", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa", "PTR",
       "a.test."},
      {"hosts {\nno_reverse\n}", "1.0.0.10.in-addr.arpa", "PTR", "next"},
      {"hosts {\nno_reverse yes\n}", "1.0.0.10.in-addr.arpa", "PTR", "next"},
      {"hosts {\nfallthrough\n}", "b.test", "A", "next"},
      {"hosts {\nfallthrough\n}", "a2.test", "AAAA", "NODATA"},
      {"hosts {\nfallthrough example\n}", "b.test", "A", "NXDOMAIN"},
      {"hosts {\nfallthrough example\n}", "b.example", "A", "next"},
      {"hosts /etc/hosts example", "a.test", "A", "next"},
      {"hosts /etc/hosts example", "a.example", "A", "10.0.0.5"},
      {"hosts /etc/hosts example", "5.0.0.10.in-addr.arpa", "PTR", "a.example."},
      {"hosts /etc/hosts example", "1.0.0.10.in-addr.arpa", "PTR", "next"},
      {"hosts /etc/hosts example 10.in-addr.arpa", "1.0.0.10.in-addr.arpa", "PTR", "next"},
      {"hosts /etc/missing", "a.test", "A", "NXDOMAIN"},
      {"hosts hosts", "a.test", "A", "10.0.0.1, 10.0.0.2"},
      {"hosts {\n10.1.0.1 a.test inline.test\nfd00::9 inline.test\n}", "inline.test", "A",
       "10.1.0.1"},
      {"hosts {\n10.1.0.1 a.test\n}", "a.test", "A", "10.0.0.1, 10.0.0.2, 10.1.0.1"},
  };
  for (const auto& c : kCases) {
    use(c.directive, replies_with("NOERROR"));
    EXPECT_EQ(answer(c.name, c.type), c.answer) << c.directive << ": " << c.name << " " << c.type;
  }
}

TEST_F(PluginHosts, WholeReply) {
  use("hosts {\n10.0.0.1 a.test\nttl 30\n}");
  EXPECT_EQ(ask("A.test"), "NOERROR aa rd qd=1\nanswer A.test. 30 A 10.0.0.1\n");
  use("hosts {\n10.0.0.1 a.test\n}");
  EXPECT_EQ(ask("a.test"), "NOERROR aa rd qd=1\nanswer a.test. 3600 A 10.0.0.1\n");
}

TEST_F(PluginHosts, FollowsTheFile) {
  char path[] = "/tmp/fairlead-hosts-XXXXXX";
  ::close(mkstemp(path));
  Host host(loop, "");
  use(std::string("hosts ") + path, replies_with("NOERROR"));
  auto service = registered("hosts")->start(host, *config.plan->blocks.at(0).plugins.at("hosts"));
  ASSERT_TRUE(service.ok());
  EXPECT_EQ(answer("a.test", "A"), "NXDOMAIN");
  ASSERT_TRUE(write_file_atomic(path, "10.0.0.7 a.test\n", 0600, Durability::kUnsynced).ok());
  EXPECT_TRUE(loop.run_until([&] { return answer("a.test", "A") == "10.0.0.7"; },
                             std::chrono::seconds(20)));
  const std::string text = host.metrics();
  EXPECT_NE(text.find(std::string("coredns_hosts_entries{hostsfile=\"") + path + "\"} 1\n"),
            std::string::npos)
      << text;
  struct stat file {};
  ASSERT_EQ(stat(path, &file), 0);
  EXPECT_NE(text.find("coredns_hosts_reload_timestamp_seconds " +
                      std::to_string(file.st_mtim.tv_sec) + "\n"),
            std::string::npos)
      << text;
  unlink(path);
}

TEST_F(PluginHosts, Refusals) {
  const std::pair<const char*, const char*> kCases[] = {
      {"hosts {\n10.0.0.1\n}", ""},
      {"hosts {\n10.0.0.1 a..b\n}",
       "Corefile:3: 'a..b' is not a domain name: an empty label, or over 255 bytes"},
      {"hosts {\n10.0.0 a.test\n}",
       "Corefile:3: plugin 'hosts' has no property '10.0.0': CoreDNS does not know it either"},
      {"hosts {\nttl 0\n}", "Corefile:3: '0' is not a whole number from 1 to 65535"},
      {"hosts {\nttl -1\n}", "Corefile:3: '-1' is not a whole number from 1 to 65535"},
      {"hosts {\nreload often\n}",
       "Corefile:3: 'often' is no duration such as 500ms, 30s or 1h30m: a number must come first"},
  };
  for (const auto& [text, error] : kCases) EXPECT_EQ(refusal(text), error);
}

}  // namespace
}  // namespace fairlead::dns::test
