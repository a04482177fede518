// SPDX-License-Identifier: Apache-2.0
#include "dns/comparison.h"

#include <gtest/gtest.h>

#include <set>

#include "dns/record_print.h"
#include "dns/record_text.h"
#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns {
namespace {

using namespace test;

EditMessage message(const std::string& text) {
  const Bytes packet = make_query("web.default.svc.cluster.local", Type::kA);
  Query query;
  parse_query(packet, query);
  return *decode(reply_of(query, text));
}

// What differs: "" nothing, "?" something that is documented nowhere, "lower TTLs", or why.
std::string compared(const std::string& here, const std::string& there, bool empty = false) {
  ComparedQuestion question;
  question.empty = empty;
  const auto found = difference(question, message(here), message(there));
  if (!found) return "";
  if (found->lower_ttls) return "lower TTLs";
  return found->reason.empty() ? "?" : found->reason;
}

TEST(Comparison, WhatIsTheSameAndWhatIsNot) {
  const std::string soa =
      "authority cluster.local. 5 SOA ns.dns.cluster.local. hostmaster.cluster.local. ";
  const struct {
    const char* what;
    std::string here;
    std::string there;
    std::string reason;
  } kRows[] = {
      {"the same", "NOERROR aa\nanswer @ 5 A 10.0.0.1\n", "NOERROR aa\nanswer @ 5 A 10.0.0.1\n",
       ""},
      {"another order", "NOERROR aa\nanswer @ 5 A 10.0.0.1\nanswer @ 5 A 10.0.0.2\n",
       "NOERROR aa\nanswer @ 5 A 10.0.0.2\nanswer @ 5 A 10.0.0.1\n", ""},
      {"letters", "NOERROR aa\nanswer WEB.default.svc.cluster.local. 5 A 10.0.0.1\n",
       "NOERROR aa\nanswer @ 5 A 10.0.0.1\n", ""},
      {"serials", "NXDOMAIN aa\n" + soa + "7 7200 1800 86400 5\n",
       "NXDOMAIN aa\n" + soa + "8 7200 1800 86400 5\n", ""},
      {"minimum", "NXDOMAIN aa\n" + soa + "7 7200 1800 86400 5\n",
       "NXDOMAIN aa\n" + soa + "7 7200 1800 86400 30\n", "?"},
      {"another address", "NOERROR aa\nanswer @ 5 A 10.0.0.1\n",
       "NOERROR aa\nanswer @ 5 A 10.0.0.2\n", "?"},
      {"one less", "NOERROR aa\nanswer @ 5 A 10.0.0.1\nanswer @ 5 A 10.0.0.2\n",
       "NOERROR aa\nanswer @ 5 A 10.0.0.2\n", "?"},
      {"AA", "NOERROR aa\nanswer @ 5 A 10.0.0.1\n", "NOERROR\nanswer @ 5 A 10.0.0.1\n", "?"},
      {"rcode", "NXDOMAIN aa\n", "NOERROR aa\n", "?"},
      {"not there", "NOERROR aa\n", "NXDOMAIN aa\n", "?"},
      {"a lower TTL", "NOERROR aa\nanswer @ 30 A 10.0.0.1\n",
       "NOERROR aa\nanswer @ 12 A 10.0.0.1\n", "lower TTLs"},
      {"one of two", "NOERROR aa\nanswer @ 30 A 10.0.0.1\nanswer @ 30 A 10.0.0.2\n",
       "NOERROR aa\nanswer @ 12 A 10.0.0.1\nanswer @ 30 A 10.0.0.2\n", "lower TTLs"},
      {"one lower and one higher", "NOERROR aa\nanswer @ 30 A 10.0.0.1\nanswer @ 5 A 10.0.0.2\n",
       "NOERROR aa\nanswer @ 12 A 10.0.0.1\nanswer @ 9 A 10.0.0.2\n", "?"},
      {"a lower TTL without AA", "NOERROR aa\nanswer @ 30 A 10.0.0.1\n",
       "NOERROR\nanswer @ 12 A 10.0.0.1\n", "?"},
      {"more TTL", "NOERROR aa\nanswer @ 5 A 10.0.0.1\n", "NOERROR aa\nanswer @ 30 A 10.0.0.1\n",
       "?"},
      {"weights", "NOERROR aa\nanswer @ 5 SRV 0 50 80 a.b.\n",
       "NOERROR aa\nanswer @ 5 SRV 0 33 80 a.b.\n",
       "an endpoint in two slices counts once in the weights"},
      {"ports", "NOERROR aa\nanswer @ 5 SRV 0 50 80 a.b.\n",
       "NOERROR aa\nanswer @ 5 SRV 0 50 81 a.b.\n", "?"},
  };
  for (const auto& row : kRows) EXPECT_EQ(compared(row.here, row.there), row.reason) << row.what;
}

// Each only where here is said what is documented, and there the other thing.
TEST(Comparison, WhatIsDocumentedHasItsReason) {
  const std::string soa =
      "authority cluster.local. 5 SOA ns.dns.cluster.local. hostmaster.cluster.local. "
      "7 7200 1800 86400 5\n";
  const std::string far = "authority in-addr.arpa. 3600 SOA a.test. b.test. 1 2 3 4 5\n";
  const std::string exists = "there are names below it, so it exists (RFC 8020)";
  EXPECT_EQ(compared("NOERROR aa\n" + soa, "NXDOMAIN aa\n" + soa, true), exists);
  EXPECT_EQ(compared("NOERROR aa\n" + soa, "NXDOMAIN\n" + far, true), exists);
  EXPECT_EQ(compared("NOERROR aa\n" + soa, "NXDOMAIN aa\n" + soa, false), "?");
  EXPECT_EQ(compared("NXDOMAIN aa\n" + soa, "NOERROR aa\n" + soa, true), "?");
  EXPECT_EQ(compared("NOERROR aa\n" + soa, "SERVFAIL\n", true), "?");
  EXPECT_EQ(compared("NOERROR\n" + soa, "NXDOMAIN aa\n" + soa, true), "?");
  EXPECT_EQ(compared("NOERROR aa\nanswer @ 5 A 10.0.0.1\n", "NXDOMAIN aa\n" + soa, true), "?");
  EXPECT_EQ(compared("NOERROR aa\n" + soa, "NXDOMAIN aa\nanswer @ 5 CNAME a.test.\n", true), "?");

  EXPECT_EQ(compared("REFUSED\n", "SERVFAIL\n"),
            "a name that every plugin of its block passes on is not served: nothing failed");
  EXPECT_EQ(compared("SERVFAIL\n", "REFUSED\n"), "?");
  EXPECT_EQ(compared("REFUSED\n", "NXDOMAIN\n"), "?");
  EXPECT_EQ(compared("REFUSED\n", "SERVFAIL aa\n" + soa), "?");
}

// Of one server, asked twice.
TEST(Comparison, WhoHasACache) {
  const auto changed = [](const char* before, const char* now) {
    return ttls_changed(ComparedReply::of(message(before)), ComparedReply::of(message(now)));
  };
  const char* const kOne = "NOERROR aa\nanswer @ 14 A 10.0.0.1\n";
  EXPECT_TRUE(changed(kOne, "NOERROR aa\nanswer @ 12 A 10.0.0.1\n"));
  EXPECT_TRUE(changed(kOne, "NOERROR aa\nanswer @ 30 A 10.0.0.1\n"));
  EXPECT_FALSE(changed(kOne, kOne));
  EXPECT_FALSE(changed(kOne, "NOERROR aa\nanswer @ 12 A 10.0.0.2\n"));
  EXPECT_FALSE(changed(kOne, "NOERROR\nanswer @ 12 A 10.0.0.1\n"));
}

TEST(Comparison, AsksAboutEveryNameThereIs) {
  Zone zone;
  zone.put(ns("default"));
  zone.put(service("web", "default", {"10.96.0.1", "fd00::1"}, {port("http", 80), port("", 81)}));
  zone.put(headless("db", "default"));
  zone.put(slice("db-1", "db", "default", {{"10.244.0.1", "db-0"}, {"10.244.0.2"}},
                 {{"sql", kube::Protocol::kTcp, 5432}}));
  zone.put(external("out", "default", "www.example.com"));
  zone.set_synced();
  zone.publish(7);
  ZoneConfig config;
  config.zone = dns_name("cluster.local");
  std::set<std::string> asked;
  std::set<std::string> empty;
  size_t denied = 0;
  for (const ComparedQuestion& question : questions_about(config, zone.snapshot(), 12, 1)) {
    const auto packet = question_packet(question.name, question.type);
    const std::string text = question.name.to_text();
    asked.insert(text);
    Outcome outcome{};
    const std::string answer = brief(ask(config, zone.snapshot(), packet, 0, &outcome));
    if (answer == "NXDOMAIN") ++denied;
    if (!question.empty) continue;
    empty.insert(text);
    EXPECT_EQ(answer, "NODATA") << text;
  }
  for (const char* name :
       {"cluster.local.", "svc.cluster.local.", "default.svc.cluster.local.",
        "web.default.svc.cluster.local.", "_http._tcp.web.default.svc.cluster.local.",
        "1.0.96.10.in-addr.arpa.", "db.default.svc.cluster.local.",
        "db-0.db.default.svc.cluster.local.", "10-244-0-2.db.default.svc.cluster.local.",
        "_sql._tcp.db.default.svc.cluster.local.", "2.0.244.10.in-addr.arpa.",
        "10-244-0-1.default.pod.cluster.local.", "out.default.svc.cluster.local."})
    EXPECT_TRUE(asked.contains(name)) << name;
  EXPECT_GE(denied, 12u);
  for (const char* name : {"dns.cluster.local.", "_tcp.web.default.svc.cluster.local.",
                           "_tcp.db.default.svc.cluster.local.", "96.10.in-addr.arpa.",
                           "0.244.10.in-addr.arpa.", "10.in-addr.arpa.", "0.0.d.f.ip6.arpa."})
    EXPECT_TRUE(empty.contains(name)) << name;
  EXPECT_FALSE(asked.contains("in-addr.arpa.")) << "the zone itself is no such name";
}

// Each way is the other's check.
TEST(RecordPrint, WhatIsPrintedIsReadAgain) {
  for (const char* text :
       {"a.test. 60 IN A 192.0.2.1", "a.test. 60 IN AAAA 2001:db8::1",
        "a.test. 60 IN CNAME b.test.", "a.test. 60 IN MX 10 b.test.",
        "a.test. 60 IN SRV 1 2 3 b.test.", "a.test. 60 IN TXT \"a b\" \"c\\\"d\\\\e\\200\"",
        "a.test. 60 IN SOA b.test. c.test. 1 2 3 4 5", "a.test. 60 IN CAA 128 issue \"ca.test\"",
        "a.test. 60 IN HINFO \"x\" \"y\"", "a.test. 60 IN TYPE731 \\# 3 abcdef",
        "a.test. 60 IN TYPE731 \\# 0", "a.test. 60 IN PTR b.test."}) {
    const auto record = parse_record(text);
    ASSERT_TRUE(record.ok()) << text << ": " << record.error().message();
    EXPECT_EQ(record_to_text(*record), text);
  }
  EditRecord broken = *parse_record("a.test. 60 IN MX 10 b.test.");
  broken.rdata.resize(3);
  EXPECT_EQ(rdata_to_text(broken), "\\# 3 000a01");
}

}  // namespace
}  // namespace fairlead::dns
