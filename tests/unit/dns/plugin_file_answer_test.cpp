// SPDX-License-Identifier: Apache-2.0
// What a zone answers, in tables that read like the RFCs they are from. No server, no socket.
#include <gtest/gtest.h>

#include <algorithm>

#include "dns/plugins/file/zone_answer.h"
#include "dns/plugins/file/zone_text.h"
#include "tests/unit/dns/costs.h"
#include "tests/unit/dns/support.h"

namespace fairlead::dns::test {
namespace {

Result<ZoneTree> zone_of(const std::string& name, const std::string& text) {
  ZoneBuilder builder(dns_name(name));
  const auto done = read_zone_text(
      "db", dns_name(name), [&](const std::string&) { return Result<std::string>(text); },
      [&](const EditRecord& record) { return builder.add(record); });
  if (!done.ok()) return done.error();
  return builder.finish();
}

struct ZoneCase {
  const char* query;  // name and type
  const char* reply;  // "N": the zone's NS records are the authority, "S": its SOA is
};

class LoadedZone {
 public:
  LoadedZone(const std::string& name, const std::string& text, std::string servers, std::string soa)
      : servers_(std::move(servers)), soa_(std::move(soa)) {
    Result<ZoneTree> made = zone_of(name, text);
    EXPECT_TRUE(made.ok()) << made.error().message();
    if (made.ok()) tree_ = *std::move(made);
  }

  std::string ask(const std::string& name, const std::string& type, size_t limit = kMaxMessage) {
    QueryOptions plain;
    plain.flags = 0;
    const Bytes packet = make_query(name, type_of(type), plain);
    Query query;
    EXPECT_EQ(parse_query(packet, query).verdict, Verdict::kAnswer);
    Bytes buffer(kMaxMessage);
    Reply reply(buffer);
    reply.begin(query, limit);
    Name target;
    const ZoneOutcome outcome = answer_from_zone(tree_, query, through, reply, target);
    if (outcome == ZoneOutcome::kFallsThrough) return "falls through";
    std::string text = to_text(reply.finish());
    text.replace(text.find(" qd=1"), 5, "");
    if (outcome == ZoneOutcome::kChase) text += "and " + target.to_text() + "\n";
    return text;
  }
  void check(std::initializer_list<ZoneCase> cases) {
    for (const ZoneCase& c : cases) {
      const std::string query = c.query;
      std::string wanted = c.reply;
      if (wanted.ends_with("N\n")) wanted.replace(wanted.size() - 2, 2, servers_);
      if (wanted.ends_with("S\n")) wanted.replace(wanted.size() - 2, 2, soa_);
      if (const size_t at = wanted.find("\nN\n"); at != std::string::npos)
        wanted.replace(at + 1, 2, servers_);
      const size_t blank = query.find(' ');
      EXPECT_EQ(ask(query.substr(0, blank), query.substr(blank + 1)), wanted) << query;
    }
  }
  const ZoneTree& tree() const { return tree_; }

  bool through = false;

 private:
  std::string servers_;
  std::string soa_;
  ZoneTree tree_;
};

// RFC 4592 section 2.2.1: the zone and all that it says about it.
TEST(ZoneAnswer, Rfc4592) {
  LoadedZone zone(
      "example.",
      "$TTL 3600\n"
      "@                 SOA ns.example.com. root.example. 1 7200 1800 86400 300\n"
      "@                 NS  ns.example.com.\n"
      "@                 NS  ns.example.net.\n"
      "*                 TXT \"this is a wildcard\"\n"
      "*                 MX  10 host1\n"
      "sub.*             TXT \"this is not a wildcard\"\n"
      "host1             A   192.0.2.1\n"
      "_ssh._tcp.host1   SRV 0 0 22 host1\n"
      "_ssh._tcp.host2   SRV 0 0 22 host1\n"
      "subdel            NS  ns.example.com.\n"
      "subdel            NS  ns.example.net.\n",
      "authority example. 3600 NS ns.example.com.\n"
      "authority example. 3600 NS ns.example.net.\n",
      "authority example. 300 SOA ns.example.com. root.example. 1 7200 1800 86400 300\n");
  zone.check({
      {"host3.example. MX",
       "NOERROR aa\nanswer host3.example. 3600 MX 10 host1.example.\nN\n"
       "additional host1.example. 3600 A 192.0.2.1\n"},
      {"host3.example. A", "NOERROR aa\nS\n"},
      {"foo.bar.example. TXT",
       "NOERROR aa\nanswer foo.bar.example. 3600 TXT \"this is a wildcard\"\nN\n"},
      {"host1.example. MX", "NOERROR aa\nS\n"},
      {"sub.*.example. MX", "NOERROR aa\nS\n"},
      {"_telnet._tcp.host1.example. SRV", "NXDOMAIN aa\nS\n"},
      {"host.subdel.example. A",
       "NOERROR\nauthority subdel.example. 3600 NS ns.example.com.\n"
       "authority subdel.example. 3600 NS ns.example.net.\n"},
      {"ghost.*.example. MX", "NXDOMAIN aa\nS\n"},
      // Section 2.2.2: names with nothing but names below are there.
      {"_tcp.host1.example. A", "NOERROR aa\nS\n"},
      {"host2.example. A", "NOERROR aa\nS\n"},
      {"_tcp.host2.example. MX", "NOERROR aa\nS\n"},
      {"x.host2.example. TXT", "NXDOMAIN aa\nS\n"},
      // Section 2.3: the asterisk is a name of its own, too.
      {"*.example. TXT", "NOERROR aa\nanswer *.example. 3600 TXT \"this is a wildcard\"\nN\n"},
      {"sub.*.example. TXT",
       "NOERROR aa\nanswer sub.*.example. 3600 TXT \"this is not a wildcard\"\nN\n"},
      {"HOST3.eXample. TXT",
       "NOERROR aa\nanswer HOST3.eXample. 3600 TXT \"this is a wildcard\"\n"
       "authority eXample. 3600 NS ns.example.com.\n"
       "authority eXample. 3600 NS ns.example.net.\n"},
  });
}

// RFC 4592 section 4: special types at a wildcard.
TEST(ZoneAnswer, WildcardAliases) {
  LoadedZone zone("example.",
                  "$TTL 60\n@ SOA ns root 1 2 3 4 5\n"
                  "*.c CNAME a\n*.out CNAME a.test.\n*.loop CNAME x.loop\n*.deep.c TXT x\n"
                  "a A 192.0.2.1\nsub NS ns.sub\n*.sub A 192.0.2.9\nns.sub A 192.0.2.8\n"
                  "x.*.ent A 192.0.2.7\n",
                  "", "authority example. 5 SOA ns.example. root.example. 1 2 3 4 5\n");
  zone.check({
      {"x.c.example. A",
       "NOERROR aa\nanswer x.c.example. 60 CNAME a.example.\nanswer a.example. 60 A 192.0.2.1\n"},
      {"x.c.example. AAAA", "NOERROR aa\nanswer x.c.example. 60 CNAME a.example.\nS\n"},
      {"x.c.example. CNAME", "NOERROR aa\nanswer x.c.example. 60 CNAME a.example.\n"},
      {"c.example. A", "NOERROR aa\nS\n"},
      // "deep.c" is there, if only for what is below, so "*.c" is not for it.
      {"deep.c.example. A", "NOERROR aa\nS\n"},
      {"x.out.example. A", "NOERROR aa\nanswer x.out.example. 60 CNAME a.test.\nand a.test.\n"},
      {"y.loop.example. A", "SERVFAIL\n"},
      {"y.loop.example. CNAME", "NOERROR aa\nanswer y.loop.example. 60 CNAME x.loop.example.\n"},
      // No wildcard below a delegation.
      {"x.sub.example. A",
       "NOERROR\nauthority sub.example. 60 NS ns.sub.example.\n"
       "additional ns.sub.example. 60 A 192.0.2.8\n"},
      // A wildcard may have nothing but names below, too.
      {"y.ent.example. A", "NOERROR aa\nS\n"},
  });
}

// RFC 1034 section 6.2: the queries to C.ISI.EDU about its zones.
TEST(ZoneAnswer, Rfc1034) {
  LoadedZone root(
      ".",
      "$TTL 86400\n. SOA SRI-NIC.ARPA. HOSTMASTER.SRI-NIC.ARPA. 870611 1800 300 604800 86400\n"
      ". NS A.ISI.EDU.\n. NS C.ISI.EDU.\n. NS SRI-NIC.ARPA.\n"
      "MIL. NS SRI-NIC.ARPA.\nMIL. NS A.ISI.EDU.\n"
      "SRI-NIC.ARPA. A 26.0.0.73\nSRI-NIC.ARPA. A 10.0.0.51\n"
      "SRI-NIC.ARPA. MX 0 SRI-NIC.ARPA.\nACC.ARPA. A 26.6.0.65\n"
      "USC-ISIC.ARPA. CNAME C.ISI.EDU.\n"
      "EDU. NS SRI-NIC.ARPA.\nEDU. NS C.ISI.EDU.\nA.ISI.EDU. A 26.3.0.103\n"
      "C.ISI.EDU. A 10.0.0.52\n",
      "authority . 86400 NS A.ISI.EDU.\nauthority . 86400 NS C.ISI.EDU.\n"
      "authority . 86400 NS SRI-NIC.ARPA.\n",
      "authority . 86400 SOA SRI-NIC.ARPA. HOSTMASTER.SRI-NIC.ARPA. 870611 1800 300 604800 "
      "86400\n");
  const std::string edu =
      "authority EDU. 86400 NS SRI-NIC.ARPA.\nauthority EDU. 86400 NS C.ISI.EDU.\n";
  const std::string glue =
      "additional C.ISI.EDU. 86400 A 10.0.0.52\nadditional SRI-NIC.ARPA. 86400 A 26.0.0.73\n"
      "additional SRI-NIC.ARPA. 86400 A 10.0.0.51\n";
  root.check({
      {"SRI-NIC.ARPA. A",  // 6.2.1
       "NOERROR aa\nanswer SRI-NIC.ARPA. 86400 A 26.0.0.73\n"
       "answer SRI-NIC.ARPA. 86400 A 10.0.0.51\nN\n"},
      {"SRI-NIC.ARPA. MX",  // 6.2.3
       "NOERROR aa\nanswer SRI-NIC.ARPA. 86400 MX 0 SRI-NIC.ARPA.\nN\n"
       "additional SRI-NIC.ARPA. 86400 A 26.0.0.73\nadditional SRI-NIC.ARPA. 86400 A 10.0.0.51\n"},
      {"SRI-NIC.ARPA. NS", "NOERROR aa\nS\n"},  // 6.2.4
      {"SIR-NIC.ARPA. A", "NXDOMAIN aa\nS\n"},  // 6.2.5
      {"USC-ISIC.ARPA. CNAME",                  // 6.2.8
       "NOERROR aa\nanswer USC-ISIC.ARPA. 86400 CNAME C.ISI.EDU.\nN\n"},
  });
  EXPECT_EQ(root.ask("BRL.MIL.", "A"),  // 6.2.6
            "NOERROR\nauthority MIL. 86400 NS SRI-NIC.ARPA.\nauthority MIL. 86400 NS A.ISI.EDU.\n"
            "additional SRI-NIC.ARPA. 86400 A 26.0.0.73\n"
            "additional SRI-NIC.ARPA. 86400 A 10.0.0.51\n"
            "additional A.ISI.EDU. 86400 A 26.3.0.103\n");
  EXPECT_EQ(root.ask("USC-ISIC.ARPA.", "A"),  // 6.2.7, of a server without EDU
            "NOERROR aa\nanswer USC-ISIC.ARPA. 86400 CNAME C.ISI.EDU.\n" + edu + glue);
}

// RFC 6672 section 2.2: what a DNAME makes of a name.
TEST(ZoneAnswer, Dname) {
  const std::string soa = "@ SOA ns root 1 2 3 4 5\n";
  LoadedZone zone(
      "test.",
      "$TTL 60\n" + soa +
          "d DNAME t\nd TXT own\nb.d A 192.0.2.9\na.t A 192.0.2.1\nout DNAME example.\n"
          "loop DNAME x.loop\nback DNAME @\nx CNAME back\nself DNAME self\nc CNAME a.d\n"
          "long DNAME " +
          std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c') + "\n",
      "", "authority test. 5 SOA ns.test. root.test. 1 2 3 4 5\n");
  zone.check({
      {"a.d.test. A",
       "NOERROR aa\nanswer d.test. 60 DNAME t.test.\nanswer a.d.test. 60 CNAME a.t.test.\n"
       "answer a.t.test. 60 A 192.0.2.1\n"},
      {"a.d.test. CNAME",
       "NOERROR aa\nanswer d.test. 60 DNAME t.test.\nanswer a.d.test. 60 CNAME a.t.test.\n"},
      // What is below the owner is not there; the owner itself is.
      {"b.d.test. A",
       "NOERROR aa\nanswer d.test. 60 DNAME t.test.\nanswer b.d.test. 60 CNAME b.t.test.\nand "
       "b.t.test.\n"},
      {"d.test. A", "NOERROR aa\nS\n"},
      {"d.test. TXT", "NOERROR aa\nanswer d.test. 60 TXT \"own\"\n"},
      {"d.test. DNAME", "NOERROR aa\nanswer d.test. 60 DNAME t.test.\n"},
      {"x.y.out.test. A",
       "NOERROR aa\nanswer out.test. 60 DNAME example.\n"
       "answer x.y.out.test. 60 CNAME x.y.example.\nand x.y.example.\n"},
      {"c.test. A",
       "NOERROR aa\nanswer c.test. 60 CNAME a.d.test.\nanswer d.test. 60 DNAME t.test.\n"
       "answer a.d.test. 60 CNAME a.t.test.\nanswer a.t.test. 60 A 192.0.2.1\n"},
      {"x.back.test. DNAME",
       "NOERROR aa\nanswer back.test. 60 DNAME test.\nanswer x.back.test. 60 CNAME x.test.\n"
       "answer x.test. 60 CNAME back.test.\n"},
      {"a.self.test. A", "SERVFAIL\n"},
  });
  // RFC 6672 section 2.2: the name would be over 255 bytes.
  const std::string label(60, 'x');
  EXPECT_EQ(zone.ask(label + ".long.test.", "A").substr(0, 12), "YXDOMAIN aa\n");
  EXPECT_EQ(zone.ask("short.long.test.", "A").substr(0, 11), "NOERROR aa\n");
}

constexpr const char* kCuts =
    "$TTL 60\n@ SOA ns root 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n"
    "sub NS ns.sub\nsub NS ns.other\nsub NS ns.example.\nsub DS \\# 6 000108020abc\nsub A "
    "192.0.2.66\n"
    "ns.sub A 192.0.2.2\nns.sub AAAA 2001:db8::2\n"
    "deep.sub NS ns\nother NS ns.other\nns.other A 192.0.2.3\n"
    "mail MX 5 ns.sub\nmail MX 7 ns\nmail MX 9 ns\nc CNAME www.sub\n";

TEST(ZoneAnswer, Delegations) {
  LoadedZone zone("test.", kCuts, "authority test. 60 NS ns.test.\n",
                  "authority test. 5 SOA ns.test. root.test. 1 2 3 4 5\n");
  const std::string referral =
      "authority sub.test. 60 NS ns.sub.test.\nauthority sub.test. 60 NS ns.other.test.\n"
      "authority sub.test. 60 NS ns.example.\n"
      "additional ns.sub.test. 60 A 192.0.2.2\nadditional ns.sub.test. 60 AAAA 2001:db8::2\n"
      "additional ns.other.test. 60 A 192.0.2.3\n";
  for (const char* name : {"sub.test.", "x.sub.test.", "ns.sub.test.", "x.deep.sub.test."})
    EXPECT_EQ(zone.ask(name, "A"), "NOERROR\n" + referral) << name;
  EXPECT_EQ(zone.ask("sub.test.", "NS"), "NOERROR\n" + referral);
  EXPECT_EQ(zone.ask("sub.test.", "ANY"), "NOERROR\n" + referral);
  EXPECT_EQ(zone.ask("x.sub.test.", "DS"), "NOERROR\n" + referral);
  EXPECT_EQ(zone.ask("c.test.", "A"),
            "NOERROR aa\nanswer c.test. 60 CNAME www.sub.test.\n" + referral);
  zone.check({
      // RFC 4035 section 3.1.4.1: the DS records of a cut are the parent's.
      {"sub.test. DS", "NOERROR aa\nanswer sub.test. 60 DS \\# 6\nN\n"},
      {"other.test. DS", "NOERROR aa\nS\n"},
      {"test. NS", "NOERROR aa\nanswer test. 60 NS ns.test.\nadditional ns.test. 60 A 192.0.2.1\n"},
      {"test. SOA", "NOERROR aa\nanswer test. 60 SOA ns.test. root.test. 1 2 3 4 5\nN\n"},
      {"test. ANY", "NOERROR aa\nanswer test. 60 SOA ns.test. root.test. 1 2 3 4 5\nN\n"},
      // Addresses below the cut are for referrals alone; each name's come once.
      {"mail.test. MX",
       "NOERROR aa\nanswer mail.test. 60 MX 5 ns.sub.test.\nanswer mail.test. 60 MX 7 ns.test.\n"
       "answer mail.test. 60 MX 9 ns.test.\nN\nadditional ns.test. 60 A 192.0.2.1\n"},
  });
  // RFC 9471 section 3: a referral without the glue it needs says so; other glue may be missing.
  EXPECT_EQ(zone.ask("sub.test.", "A", 130).substr(0, 11), "NOERROR tc\n");
  EXPECT_EQ(zone.ask("sub.test.", "A", 165).substr(0, 18), "NOERROR\nauthority ");
}

// Loops, and more than kMaxAliases in a row, are an error (RFC 1034 section 3.6.2).
TEST(ZoneAnswer, Chains) {
  std::string text = "$TTL 60\n@ SOA ns root 1 2 3 4 5\na CNAME b\nb CNAME c\nc CNAME a\n";
  for (int i = 0; i < 12; ++i)
    text += "n" + std::to_string(i) + " CNAME n" + std::to_string(i + 1) + "\n";
  text += "n12 A 192.0.2.1\ngone CNAME nowhere\nent CNAME e\nx.e TXT x\n";
  LoadedZone zone("test.", text, "", "authority test. 5 SOA ns.test. root.test. 1 2 3 4 5\n");
  const std::string chain = zone.ask("n2.test.", "A");
  EXPECT_EQ(std::ranges::count(chain, '\n'), 2 + static_cast<int>(kMaxAliases)) << chain;
  zone.check({
      // RFC 6604 section 2.1: the rcode is the last name's.
      {"gone.test. A", "NOERROR aa\nanswer gone.test. 60 CNAME nowhere.test.\nand nowhere.test.\n"},
      {"ent.test. A", "NOERROR aa\nanswer ent.test. 60 CNAME e.test.\nS\n"},
      {"a.test. A", "SERVFAIL\n"},
      {"n1.test. A", "SERVFAIL\n"},
      {"n0.test. ANY", "NOERROR aa\nanswer n0.test. 60 CNAME n1.test.\n"},
  });
}

TEST(ZoneAnswer, FallsThrough) {
  LoadedZone zone("test.",
                  "$TTL 60\n@ SOA ns root 1 2 3 4 5\na A 192.0.2.1\nx.e A 192.0.2.2\nc CNAME no\n",
                  "", "authority test. 5 SOA ns.test. root.test. 1 2 3 4 5\n");
  zone.through = true;
  zone.check({{"no.test. A", "falls through"},
              {"e.test. A", "falls through"},
              {"a.test. TXT", "NOERROR aa\nS\n"},
              {"c.test. A", "NOERROR aa\nanswer c.test. 60 CNAME no.test.\nand no.test.\n"}});
}

// Behind 16 KiB a name cannot be pointed to (RFC 1035 section 4.1.4).
TEST(ZoneAnswer, LargeAnswers) {
  std::string text = "$TTL 60\n@ SOA ns root 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";
  for (int i = 0; i < 800; ++i) {
    const std::string host = "host-" + std::to_string(i);
    text += "big SRV 0 0 " + std::to_string(i) + " " + host + "\n" + host + " A 192.0.2.7\n";
  }
  LoadedZone zone("test.", text, "", "");
  const std::string reply = zone.ask("big.test.", "SRV");
  EXPECT_EQ(reply.substr(0, 11), "NOERROR aa\n");
  EXPECT_EQ(std::ranges::count(reply, '\n'), 1 + 800 + 1 + 64);
  EXPECT_EQ(zone.ask("big.test.", "SRV", 512).substr(0, 14), "NOERROR aa tc\n");
}

TEST(ZoneAnswer, NothingAllocates) {
  const auto zone = zone_of("test.",
                            "$TTL 60\n@ SOA ns root 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\nm MX 5 ns\n"
                            "*.w TXT x\nc CNAME m\nd DNAME w\nsub NS ns.sub\nns.sub A 192.0.2.2\n");
  ASSERT_TRUE(zone.ok());
  Bytes buffer(kMaxMessage);
  Reply reply(buffer);
  for (const char* name :
       {"m.test.", "no.test.", "x.w.test.", "c.test.", "y.d.test.", "x.sub.test."})
    for (const Type type : {Type::kA, Type::kMx, Type::kTxt, Type::kAny}) {
      const Bytes packet = make_query(name, type);
      Query query;
      parse_query(packet, query);
      Name target;
      reply.begin(query, kEdnsUdpSize);
      Counting counting(Watch::kThisThread);
      answer_from_zone(*zone, query, false, reply, target);
      counting.stop();
      EXPECT_EQ(allocations(), 0u) << name;
      EXPECT_EQ(locks(), 0u) << name;
    }
}

// The zone's TTLs and sets.
TEST(ZoneTree, Sets) {
  LoadedZone zone("test.",
                  "@ 60 SOA ns root 1 2 3 4 900\n@ 60 SOA ns root 1 2 3 4 900\n"
                  "a 9 A 192.0.2.1\na 5 A 192.0.2.2\na 7 A 192.0.2.1\n"
                  "other. 5 A 192.0.2.3\nc 5 CNAME a\nc 5 CNAME b\nc 5 TXT x\n",
                  "", "authority test. 60 SOA ns.test. root.test. 1 2 3 4 900\n");
  zone.check(
      {{"a.test. A", "NOERROR aa\nanswer a.test. 5 A 192.0.2.1\nanswer a.test. 5 A 192.0.2.2\n"},
       {"a.test. TXT", "NOERROR aa\nS\n"}});
  EXPECT_EQ(zone.tree().serial(), 1u);
  EXPECT_EQ(zone.tree().records(), 5u);
  EXPECT_EQ(zone.tree().notes(),
            (std::vector<std::string>{
                "1 CNAME records beside another of the same name are left out",
                "1 records are not of the zone and left out, the first is other.",
                "1 sets of records stand beside a CNAME, which is followed instead"}));
}

TEST(ZoneTree, Errors) {
  const std::pair<const char*, const char*> kCases[] = {
      {"", "no SOA record of the zone test."},
      {"a. 5 A 192.0.2.1",
       "no SOA record of the zone test.; there are records of other names, the first is a."},
      {"@ 5 SOA a b 1 2 3 4 5\n@ 5 SOA a b 2 2 3 4 5\n", "several SOA records of the zone"},
      {"@ 5 SOA a b 1 2 3 4 5\na 5 SOA a b 2 2 3 4 5\n", "db:2: a SOA below the zone test."},
      {"@ 5 SOA a b 1 2 3 4 5\n@ 5 TYPE46 \\# 0\n",
       "db:2: RRSIG: signed zones are not served, and without its signatures this one would be "
       "taken for a forged one"}};
  for (const auto& [text, error] : kCases) {
    const auto zone = zone_of("test.", text);
    EXPECT_EQ(zone.ok() ? "" : zone.error().message(), error) << text;
  }
}

}  // namespace
}  // namespace fairlead::dns::test
