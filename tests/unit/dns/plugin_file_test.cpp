// SPDX-License-Identifier: Apache-2.0
// The plugin `file`: its directives, aliases out of a zone, and zones that change.
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "dns/host.h"
#include "dns/plugins/file/setup.h"
#include "dns/registry.h"
#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns::test {
namespace {

constexpr const char* kZone =
    "$TTL 60\n@ SOA ns root 1 2 3 4 5\n@ NS ns\na A 192.0.2.1\nc CNAME a.other.test.\n"
    "d CNAME a.more.test.\nx.e A 192.0.2.5\nin CNAME a\n";

class PluginFile : public PluginTest {
 protected:
  PluginFile() {
    files.texts["/etc/db"] = kZone;
    files.texts["/z/db"] = "@ 60 SOA ns root 1 2 3 4 5\na 60 A 192.0.2.9\n";
    files.texts["/z/sub"] = "@ 60 SOA ns root 1 2 3 4 7\na 60 A 192.0.2.8\n";
  }
  // A reply's answers; what the next plugin says is "next".
  std::string answer(const std::string& name, const std::string& type = "A") {
    const int before = asked;
    ask(name, type);
    if (asked != before) return "next";
    return brief(replies.back());
  }
};

TEST_F(PluginFile, Answers) {
  const struct {
    const char* directives;
    const char* name;
    const char* answer;
  } kCases[] = {
      {"file db test", "a.test", "192.0.2.1"},
      {"file db test", "b.test", "NXDOMAIN"},
      {"file db test", "e.test", "NODATA"},
      {"file db test", "a.example", "next"},
      {"file db test example", "a.example", "192.0.2.1"},
      {"root /z\nfile db test", "a.test", "192.0.2.9"},
      {"file db test {\nfallthrough\n}", "b.test", "next"},
      {"file db test {\nfallthrough\n}", "e.test", "next"},
      {"file db test {\nfallthrough x.test\n}", "b.test", "NXDOMAIN"},
      {"file db test {\nfallthrough x.test\n}", "b.x.test", "next"},
      {"file db test {\nupstream\nreload 0\nreload_by_mtime\n}", "a.test", "192.0.2.1"},
      // The longest zone has the name; of two files for one zone the last counts.
      {"file db test\nfile /z/sub sub.test", "a.sub.test", "192.0.2.8"},
      {"file /z/sub sub.test\nfile db test", "a.sub.test", "192.0.2.8"},
      {"file db test\nfile /z/db test", "a.test", "192.0.2.9"},
      {"file gone test", "a.test", "SERVFAIL"},
  };
  for (const auto& c : kCases) {
    use(c.directives, replies_with("NOERROR"));
    EXPECT_EQ(answer(c.name), c.answer) << c.directives << ": " << c.name;
  }
}

TEST_F(PluginFile, WholeReply) {
  use("file db", nullptr, "test");
  EXPECT_EQ(ask("a.test"),
            "NOERROR aa rd qd=1\nanswer a.test. 60 A 192.0.2.1\nauthority test. 60 NS ns.test.\n");
  EXPECT_EQ(ask("in.TEST"),
            "NOERROR aa rd qd=1\nanswer in.TEST. 60 CNAME a.TEST.\nanswer a.TEST. 60 A 192.0.2.1\n"
            "authority TEST. 60 NS ns.TEST.\n");
  EXPECT_EQ(ask("test", "AXFR").substr(0, 7), "REFUSED");
}

// RFC 4035 section 3.1.4.1: what is said of a zone's keys is the parent's to say.
TEST_F(PluginFile, DsIsTheParents) {
  files.texts["/etc/db"] += "sub NS ns.sub\nsub TYPE43 \\# 4 00010203\n";
  use("file /z/sub sub.test\nfile db test");
  EXPECT_EQ(ask("sub.test", "DS"),
            "NOERROR aa rd qd=1\nanswer sub.test. 60 DS \\# 4\nauthority test. 60 NS ns.test.\n");
  use("file /z/sub sub.test");
  EXPECT_EQ(brief(ask_bytes(make_query("sub.test", type_of("DS")))), "NODATA");
}

// An alias out of the zone is asked of the server itself.
TEST_F(PluginFile, AsksForTargets) {
  files.texts["/etc/db"] = "$TTL 60\n@ SOA ns root 1 2 3 4 5\n@ NS ns\nc CNAME a.out.\n";
  const std::string cname = "answer c.test. 60 CNAME a.out.\n";
  const std::string servers = "authority test. 60 NS ns.test.\n";
  const std::string soa = "authority out. 9 SOA a. b. 1 2 3 4 5\n";
  const std::pair<std::string, std::string> kCases[] = {
      {"NOERROR ra\nanswer a.out. 9 A 192.0.2.7\nanswer bad.test. 9 A 192.0.2.6\n",
       "NOERROR aa rd qd=1\n" + cname + "answer a.out. 9 A 192.0.2.7\n" + servers},
      {"NOERROR ra\nanswer a.out. 9 CNAME x.out.\nanswer x.out. 9 A 192.0.2.7\n",
       "NOERROR aa rd qd=1\n" + cname +
           "answer a.out. 9 CNAME x.out.\nanswer x.out. 9 A 192.0.2.7\n" + servers},
      {"NXDOMAIN ra\n" + soa, "NXDOMAIN aa rd qd=1\n" + cname + soa},
      {"NOERROR ra\n" + soa, "NOERROR aa rd qd=1\n" + cname + soa},
      {"SERVFAIL", "SERVFAIL aa rd qd=1\n" + cname},
      {"REFUSED", "NOERROR aa rd qd=1\n" + cname},
  };
  for (const auto& [last, reply] : kCases) {
    use("file db test", replies_with(last));
    ask("c.test");
    EXPECT_EQ(to_text(replies.back()), reply) << last;
    EXPECT_EQ(asked, 1);
    asked = 0;
  }
  // Asked for the alias itself there is nothing to ask for, nor when a plugin asks.
  use("file db test", replies_with("SERVFAIL"));
  EXPECT_EQ(ask("c.test", "CNAME"), "NOERROR aa rd qd=1\n" + cname + servers);
  EXPECT_EQ(ask("c.test", "A", {.transport = Transport::kInternal}),
            "NOERROR aa rd qd=1\n" + cname);
}

// A zone that leads to another that leads back: asked again and again, but not for ever.
// Though the zone above has no NS records of it.
TEST_F(PluginFile, AliasIntoAZoneBelow) {
  files.texts["/etc/a"] =
      "$TTL 60\n@ SOA ns root 1 2 3 4 5\nc CNAME c.b\nn CNAME n.b\ng CNAME gone\n";
  files.texts["/etc/b"] = "$TTL 60\n@ SOA ns root 1 2 3 4 9\nc A 192.0.2.1\n";
  use("file a a\nfile b b.a");
  const std::pair<const char*, const char*> kCases[] = {
      {"c.a", "NOERROR aa rd qd=1\nanswer c.a. 60 CNAME c.b.a.\nanswer c.b.a. 60 A 192.0.2.1\n"},
      {"n.a",
       "NXDOMAIN aa rd qd=1\nanswer n.a. 60 CNAME n.b.a.\n"
       "authority b.a. 9 SOA ns.b.a. root.b.a. 1 2 3 4 9\n"},
      {"g.a",
       "NXDOMAIN aa rd qd=1\nanswer g.a. 60 CNAME gone.a.\n"
       "authority a. 5 SOA ns.a. root.a. 1 2 3 4 5\n"}};
  for (const auto& [name, reply] : kCases) {
    ask(name);
    EXPECT_EQ(to_text(replies.back()), reply) << name;
  }
}

TEST_F(PluginFile, AliasesBetweenZones) {
  files.texts["/etc/a"] =
      "$TTL 60\n@ SOA ns root 1 2 3 4 5\nc CNAME c.b.\nl CNAME l.b.\nend A 192.0.2.1\n";
  files.texts["/etc/b"] = "$TTL 60\n@ SOA ns root 1 2 3 4 5\nc CNAME end.a.\nl CNAME l.a.\n";
  use("file a a\nfile b b");
  ask("c.a");
  EXPECT_EQ(to_text(replies.back()),
            "NOERROR aa rd qd=1\nanswer c.a. 60 CNAME c.b.\nanswer c.b. 60 CNAME end.a.\n"
            "answer end.a. 60 A 192.0.2.1\n");
  ask("l.a");
  EXPECT_EQ(to_text(replies.back()),
            "NOERROR aa rd qd=1\nanswer l.a. 60 CNAME l.b.\nanswer l.b. 60 CNAME l.a.\n")
      << "once round";
}

TEST_F(PluginFile, Refusals) {
  files.texts["/etc/bad"] = "@ 60 SOA ns root 1 2 3 4 5\n\na 60 A x\n";
  files.texts["/etc/signed"] = "@ 60 SOA ns root 1 2 3 4 5\n@ 60 TYPE46 \\# 0\n";
  const std::pair<const char*, const char*> kCases[] = {
      {"file", "Corefile:2: 'file' takes at least 1 argument, not 0"},
      {"file bad test", "Corefile:2: /etc/bad:3: A: 'x' is no IPv4 address"},
      {"file gone test {\nreload 0\n}", "Corefile:2: /etc/gone: no such file"},
      {"file signed test",
       "Corefile:2: /etc/signed:2: RRSIG: signed zones are not served, and without its signatures "
       "this one would be taken for a forged one"},
      {"file db test {\nreload often\n}",
       "Corefile:3: 'often' is no duration such as 500ms, 30s or 1h30m: a number must come first"},
      {"file db test {\ntransfer to *\n}",
       "Corefile:3: plugin 'file' has no property 'transfer': CoreDNS does not know it either"},
  };
  for (const auto& [text, error] : kCases) EXPECT_EQ(refusal(text), error);
}

// CoreDNS's rule: a zone is another when its serial is, be it higher or lower.
TEST(ZoneFile, Loads) {
  const auto text = [](const std::string& serial, const std::string& address) {
    return "@ 60 SOA ns root " + serial + " 2 3 4 5\na 60 A " + address + "\n";
  };
  ZoneFile file;
  file.zone = dns_name("test");
  const auto load = [&](const std::string& content, const ZoneTree* known) {
    return load_zone(
        file, [&](const std::string&) { return Result<std::string>(content); }, known);
  };
  const auto first = load(text("5", "192.0.2.1"), nullptr);
  ASSERT_TRUE(first.ok() && *first != nullptr);
  const auto same = load(text("5", "192.0.2.2"), first->get());
  ASSERT_TRUE(same.ok());
  EXPECT_EQ(*same, nullptr);
  for (const char* serial : {"4", "6"}) {
    const auto other = load(text(serial, "192.0.2.2"), first->get());
    EXPECT_TRUE(other.ok() && *other != nullptr) << serial;
  }
  EXPECT_FALSE(load(text("6", "x"), first->get()).ok());
}

// A file on the disk that a started service follows.
class PluginFileWatch : public PluginFile {
 protected:
  PluginFileWatch() { ::close(mkstemp(path_)); }
  ~PluginFileWatch() override { unlink(path_); }

  void write(const std::string& serial, const std::string& address) {
    const std::string text = "@ 60 SOA ns root " + serial + " 2 3 4 5\na 60 A " + address + "\n";
    ASSERT_TRUE(write_file_atomic(path_, text, 0600, Durability::kUnsynced).ok());
  }
  void begin(const std::string& properties) {
    use(std::string("file ") + path_ + " test " + properties, replies_with("NOERROR"));
    auto service = registered("file")->start(host_, *config.plan->blocks.at(0).plugins.at("file"));
    ASSERT_TRUE(service.ok());
    service_ = *std::move(service);
  }
  bool becomes(const std::string& address) {
    return loop.run_until([&] { return answer("a.test") == address; }, std::chrono::seconds(20));
  }

 private:
  char path_[32] = "/tmp/fairlead-zone-XXXXXX";
  Host host_{loop, ""};
  std::unique_ptr<Service> service_;
};

TEST_F(PluginFileWatch, FollowsTheSerial) {
  write("1", "192.0.2.1");
  begin("{\nreload 1s\n}");
  EXPECT_EQ(answer("a.test"), "192.0.2.1");
  write("2", "192.0.2.2");
  EXPECT_TRUE(becomes("192.0.2.2"));
  write("3", "x");
  write("1", "192.0.2.4");
  EXPECT_TRUE(becomes("192.0.2.4"));
}

TEST_F(PluginFileWatch, FollowsTheFile) {
  write("1", "192.0.2.1");
  begin("{\nreload 1s\nreload_by_mtime\n}");
  write("1", "192.0.2.2");
  EXPECT_TRUE(becomes("192.0.2.2"));
}

// The file was not there when the Corefile was read.
TEST_F(PluginFileWatch, FileThatComes) {
  begin("");
  EXPECT_EQ(answer("a.test"), "SERVFAIL");
  write("1", "192.0.2.1");
  EXPECT_TRUE(becomes("192.0.2.1"));
}

}  // namespace
}  // namespace fairlead::dns::test
