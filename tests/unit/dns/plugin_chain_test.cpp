// SPDX-License-Identifier: Apache-2.0
// Plugins in front of answers that are known at once: what the chain says is what is answered.
#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns::test {
namespace {

class PluginsInFront : public PluginTest {
 protected:
  PluginsInFront() {
    zone.put(ns("default"));
    zone.put(service("web", "default", {"10.96.0.10"}, {port("http", 80)}));
    zone.put(headless("db", "default"));
    zone.put(slice("db-1", "db", "default", {{"10.244.0.1", "db-0"}}));
    zone.set_synced();
    zone.publish(7);
    cluster = &zone;
  }
  Zone zone;
};

const char* const kWebName = "web.default.svc.cluster.local";
const std::string kItsSoa =
    "authority cluster.local. 5 SOA ns.dns.cluster.local. hostmaster.cluster.local. "
    "7 7200 1800 86400 5\n";

TEST_F(PluginsInFront, OfKubernetes) {
  const std::string rename = "rewrite name shop.test web.default.svc.cluster.local\n";
  const std::string suffix = "rewrite name suffix .k8s.test .svc.cluster.local answer auto\n";
  const std::string block = "acl {\nblock net 192.0.2.0/24\n}\n";
  const std::string block_web = "acl web.default.svc.cluster.local {\nblock\n}\n";
  const std::string filter = "acl {\nfilter type AAAA\nblock type SRV\n}\n";
  const std::string header = "header {\nresponse set ra\nresponse clear aa\n}\n";
  const std::string web_is = " 5 A 10.96.0.10\n";
  const std::string web = "answer web.default.svc.cluster.local." + web_is;
  const struct {
    std::string plugins;
    const char* name;
    const char* type;
    std::string reply;
  } kRows[] = {
      {"", kWebName, "A", "NOERROR aa rd qd=1\n" + web},
      // A name on its way in, and back on its way out.
      {rename, "Shop.test", "A", "NOERROR aa rd qd=1\nanswer Shop.test." + web_is},
      {rename, kWebName, "A", "NOERROR aa rd qd=1\n" + web},
      {suffix, "web.default.k8s.test", "A",
       "NOERROR aa rd qd=1\nanswer web.default.k8s.test." + web_is},
      {suffix, "db-0.db.default.k8s.test", "A",
       "NOERROR aa rd qd=1\nanswer db-0.db.default.k8s.test. 5 A 10.244.0.1\n"},
      {rename, "shop.test", "AAAA", "NOERROR aa rd qd=1\n" + kItsSoa},
      {"rewrite ttl " + std::string(kWebName) + " 60\n", kWebName, "A",
       "NOERROR aa rd qd=1\nanswer web.default.svc.cluster.local. 60 A 10.96.0.10\n"},
      {"rewrite rcode exact no.default.svc.cluster.local NXDOMAIN NOERROR\n",
       "no.default.svc.cluster.local", "A", "NOERROR aa rd qd=1\n" + kItsSoa},
      // Flags.
      {header, kWebName, "A", "NOERROR rd ra qd=1\n" + web},
      {header, "no.default.svc.cluster.local", "A", "NXDOMAIN rd ra qd=1\n" + kItsSoa},
      // Who may, and what: the name that rewrite made counts; a refusal comes before header.
      {block, kWebName, "A", "REFUSED rd qd=1\n"},
      {block_web, kWebName, "A", "REFUSED rd qd=1\n"},
      {block_web, "db.default.svc.cluster.local", "A",
       "NOERROR aa rd qd=1\nanswer db.default.svc.cluster.local. 5 A 10.244.0.1\n"},
      {filter, kWebName, "AAAA", "NOERROR rd qd=1\n"},
      {filter, kWebName, "SRV", "REFUSED rd qd=1\n"},
      {filter, kWebName, "A", "NOERROR aa rd qd=1\n" + web},
      {block_web + rename, "shop.test", "A", "REFUSED rd qd=1\n"},
      {header + block, kWebName, "A", "REFUSED rd qd=1\n"},
      // All three, in whatever order the file has them.
      {header + filter + rename, "shop.test", "A",
       "NOERROR rd ra qd=1\nanswer shop.test." + web_is},
      {rename + filter + header, "shop.test", "AAAA", "NOERROR rd qd=1\n"},
      {filter + header + suffix, "no.default.k8s.test", "A", "NXDOMAIN rd ra qd=1\n" + kItsSoa},
  };
  for (const auto& row : kRows) {
    use(row.plugins + "kubernetes cluster.local");
    EXPECT_EQ(ask(row.name, row.type), row.reply) << row.plugins << row.name << " " << row.type;
  }
}

// Nor where another plugin asks in the client's stead; but what comes from upstream then.
TEST_F(PluginsInFront, ACacheKeepsNothingOfOurOwn) {
  const std::pair<const char*, const char*> kRows[] = {
      {"rewrite name shop.test web.default.svc.cluster.local\n", "shop.test"},
      {"header {\nquery clear rd\n}\n", kWebName}};
  for (const auto& [plugins, name] : kRows) {
    use("cache\n" + std::string(plugins) + "kubernetes cluster.local",
        replies_with("NOERROR\nanswer @ 60 A 192.0.2.1"));
    for (const char* address : {"10.96.0.11", "10.96.0.10"}) {
      EXPECT_EQ(ask(name).find(address), std::string::npos) << plugins;
      zone.put(service("web", "default", {address}, {port("http", 80)}));
      zone.publish(7);
      EXPECT_NE(ask(name).find(address), std::string::npos) << plugins;
    }
    for (int i = 0; i < 2; ++i) EXPECT_NE(ask("a.test").find("192.0.2.1"), std::string::npos);
    EXPECT_EQ(asked, 1) << plugins;
    asked = 0;
  }
}

}  // namespace
}  // namespace fairlead::dns::test
