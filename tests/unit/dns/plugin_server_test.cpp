// SPDX-License-Identifier: Apache-2.0
// The plugins that belong to the server, and what all plugins have in common: their order, and what
// is said of those that are not here.
#include <algorithm>

#include "base/http/client.h"
#include "base/log.h"
#include "dns/host.h"
#include "dns/loading.h"
#include "dns/registry.h"
#include "tests/support/ports.h"
#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns::test {
namespace {

using std::chrono::seconds;

// A block whose services run.
class ServedPlugin : public PluginTest {
 protected:
  void serve(const std::string& directives) {
    use(directives, replies_with("NXDOMAIN"));
    Result<Services> started = start_services(host, config);
    ASSERT_TRUE(started.ok()) << started.error().message();
    services = *std::move(started);
  }
  // "200 OK"
  std::string get(const std::string& path) {
    HttpClient http(loop);
    HttpRequest request;
    request.url = "http://" + address + path;
    std::string text;
    const HttpCall call =
        fetch(http, std::move(request), 4096, [&](const Result<HttpResponse>& got) {
          text = got.ok() ? std::to_string(got->status) + " " + got->body : got.error().message();
        });
    EXPECT_TRUE(loop.run_until([&] { return !text.empty(); }, seconds(20)));
    return text;
  }

  Host host{loop, ""};
  Services services;
  const std::string address = "127.0.0.1:" + std::to_string(fairlead::test::free_port());
};

class PluginHealth : public ServedPlugin {};

TEST_F(PluginHealth, IsOkAndLameduckIsKept) {
  serve("health " + address + " {\nlameduck 7s\n}");
  EXPECT_EQ(get("/health"), "200 OK");
  EXPECT_EQ(host.lameduck(), seconds(7));
  const Host::Token kubernetes = host.add_readiness("kubernetes", [] { return false; });
  EXPECT_EQ(get("/health"), "200 OK") << "a restart would not help";
  EXPECT_EQ(refusal("health {\nlameduck 5\n}"),
            "Corefile:3: '5' is no duration such as 500ms, 30s or 1h30m: the unit is missing");
}

class PluginReady : public ServedPlugin {};

TEST_F(PluginReady, NamesThoseThatAreNotReadyUntilAllAreOnce) {
  serve("ready " + address);
  bool known = false;
  bool loaded = false;
  const Host::Token a = host.add_readiness("kubernetes", [&] { return known; });
  const Host::Token b = host.add_readiness("file", [&] { return loaded; });
  EXPECT_EQ(get("/ready"), "503 kubernetes,file");
  known = true;
  EXPECT_EQ(get("/ready"), "503 file");
  loaded = true;
  EXPECT_EQ(get("/ready"), "200 OK");
  known = false;
  EXPECT_EQ(get("/ready"), "200 OK") << "until-ready, the default";
}

TEST_F(PluginReady, ContinuouslyIfToldSo) {
  serve("ready " + address + " {\nmonitor continuously\n}");
  bool known = true;
  const Host::Token a = host.add_readiness("kubernetes", [&] { return known; });
  EXPECT_EQ(get("/ready"), "200 OK");
  known = false;
  EXPECT_EQ(get("/ready"), "503 kubernetes");
}

TEST_F(PluginReady, NotWhileTheServerStops) {
  serve("ready " + address);
  EXPECT_EQ(get("/ready"), "200 OK");
  host.stopping = [] { return true; };
  EXPECT_EQ(get("/ready"), "503 Shutting down");
}

class PluginReload : public ServedPlugin {};

TEST_F(PluginReload, IntervalAndJitterHaveLeasts) {
  struct Case {
    const char* directive;
    seconds period;
    seconds jitter;
  };
  const Case kCases[] = {{"reload", seconds(30), seconds(15)},
                         {"reload 10s", seconds(10), seconds(5)},
                         {"reload 10s 9s", seconds(10), seconds(5)},
                         {"reload 1m 10s", seconds(60), seconds(10)},
                         {"reload 1s 100ms", seconds(2), seconds(1)}};
  for (const Case& c : kCases) {
    serve(c.directive);
    ASSERT_NE(host.reload(), nullptr) << c.directive;
    EXPECT_EQ(host.reload()->period, c.period) << c.directive;
    EXPECT_EQ(host.reload()->jitter, c.jitter) << c.directive;
  }
  serve("reload off");
  EXPECT_EQ(host.reload(), nullptr);
}

class PluginBind : public PluginTest {
 protected:
  std::string listeners() const {
    std::string text;
    for (const Plan::Listener& each : config.plan->listeners)
      text += (text.empty() ? "" : " ") + each.address.to_string();
    return text;
  }
};

TEST_F(PluginBind, AddressesAndWhatIsExcepted) {
  use("");
  EXPECT_EQ(listeners(), "0.0.0.0:53 [::]:53");
  use("bind 127.0.0.1 ::1");
  EXPECT_EQ(listeners(), "127.0.0.1:53 [::1]:53");
  use("bind 127.0.0.1\nbind ::1 127.0.0.2 {\nexcept 127.0.0.1\n}");
  EXPECT_EQ(listeners(), "[::1]:53 127.0.0.2:53");
  EXPECT_EQ(refusal("bind"), "Corefile:2: 'bind' takes at least 1 argument, not 0");
}

class PluginRoot : public PluginTest {};

TEST_F(PluginRoot, IsWherePathsBegin) {
  files.texts["/zones/names"] = "10.0.0.1 a.test\n";
  files.texts["/etc/names"] = "10.0.0.2 a.test\n";
  const std::pair<const char*, const char*> kCases[] = {
      {"hosts names", "10.0.0.2"},
      {"hosts names\nroot /zones", "10.0.0.1"},
      {"root /zones\nhosts /etc/names", "10.0.0.2"}};
  for (const auto& [directives, answer] : kCases) {
    use(directives);
    EXPECT_EQ(brief(ask_bytes(make_query("a.test", Type::kA))), answer) << directives;
  }
}

class PluginTimeouts : public PluginTest {
 protected:
  const TcpLimits& limits(const std::string& directives) {
    use(directives);
    return config.plan->listeners.at(0).tcp;
  }
};

TEST_F(PluginTimeouts, OfTcpClients) {
  EXPECT_EQ(limits("").message, seconds(3));
  EXPECT_EQ(limits("").write, seconds(5));
  EXPECT_EQ(limits("").idle, seconds(10));
  EXPECT_EQ(limits("").queries, 0u) << "any number";
  const TcpLimits& all = limits("timeouts {\nread 4s\nwrite 1m\nidle 24h\nmaxtcpqueries 7\n}");
  EXPECT_EQ(all.message, seconds(4));
  EXPECT_EQ(all.write, seconds(60));
  EXPECT_EQ(all.idle, std::chrono::hours(24));
  EXPECT_EQ(all.queries, 7u);
  EXPECT_EQ(limits("timeouts {\nmaxtcpqueries -1\n}").queries, 0u);
}

class PluginDebug : public PluginTest {};

TEST_F(PluginDebug, LinesOfItsLevelAreLoggedWhileItIsServed) {
  use("debug", replies_with("NXDOMAIN"));
  EXPECT_TRUE(config.notes.empty());
  EXPECT_EQ(ask("a.test"), "NXDOMAIN qd=1\n");
  EXPECT_FALSE(log::enabled(log::Level::kDebug));
  {
    const auto& kind = *registered("debug");
    Host host(loop, "");
    const auto first = kind.start(host, options<PluginOptions>("debug"));
    EXPECT_TRUE(log::enabled(log::Level::kDebug));
    auto second = kind.start(host, options<PluginOptions>("debug"));
    second->reset();
    EXPECT_TRUE(log::enabled(log::Level::kDebug)) << "after a reload";
  }
  EXPECT_FALSE(log::enabled(log::Level::kDebug));
  EXPECT_EQ(refusal("debug on"), "Corefile:2: 'debug' takes 0 arguments, not 1");
}

class PluginMetadata : public PluginTest {
 protected:
  Zone zone;
};

TEST_F(PluginMetadata, GivesLabelsToOthersInItsZones) {
  cluster = &zone;
  const std::string rest =
      "\nkubernetes cluster.local\n"
      "template IN TXT {\nanswer \"{{ .Name }} 60 IN TXT x{{ .Meta `kubernetes/namespace` }}\"\n}";
  const std::pair<const char*, const char*> kCases[] = {{"metadata", "xshop"},
                                                        {"metadata cluster.local", "xshop"},
                                                        {"metadata a.test", "x"},
                                                        {"", "x"}};
  for (const auto& [directive, text] : kCases) {
    use(directive + rest);
    EXPECT_EQ(brief(ask_bytes(make_query("web.shop.svc.cluster.local", Type::kTxt))),
              "\"" + std::string(text) + "\"")
        << directive;
  }
}

class PluginKubernetes : public PluginTest {
 protected:
  KubernetesOptions& with(const std::string& properties) {
    use("kubernetes cluster.local {\n" + properties + "\n}");
    return options<KubernetesOptions>("kubernetes");
  }
  const ZoneConfig& zone_with(const std::string& properties) {
    return with(properties).zones.at(0);
  }
  Zone zone;
};

TEST_F(PluginKubernetes, TheRootIsAZoneToo) {
  cluster = &zone;
  zone.put(ns("shop"));
  zone.put(service("web", "shop", {"10.96.0.1"}, {port("http", 80)}));
  zone.set_synced();
  zone.publish(1);
  use("kubernetes");
  const std::pair<const char*, const char*> kCases[] = {{"web.shop.svc", "10.96.0.1"},
                                                        {"shop.svc", "NODATA"},
                                                        {"no.shop.svc", "NXDOMAIN"},
                                                        {"web.shop.svc.cluster.local", "NXDOMAIN"}};
  for (const auto& [name, answer] : kCases)
    EXPECT_EQ(brief(ask_bytes(make_query(name, Type::kA))), answer) << name;
  EXPECT_EQ(brief(ask_bytes(make_query("1.0.96.10.in-addr.arpa", Type::kPtr))), "web.shop.svc.");
}

TEST_F(PluginKubernetes, DirectivesAndDefaults) {
  cluster = &zone;
  EXPECT_EQ(zone_with("").ttl, 5u);
  EXPECT_EQ(zone_with("").pods, PodNames::kDisabled);
  EXPECT_EQ(with("").startup_timeout, seconds(5));
  EXPECT_TRUE(zone_with("").fallthrough.empty());
  EXPECT_FALSE(zone_with("").ignore_empty || zone_with("").zonal);
  EXPECT_EQ(zone_with("ttl 0").ttl, 0u);
  EXPECT_EQ(zone_with("ttl 3600").ttl, 3600u);
  EXPECT_EQ(zone_with("pods insecure").pods, PodNames::kInsecure);
  EXPECT_EQ(zone_with("pods verified").pods, PodNames::kVerified);
  EXPECT_EQ(zone_with("fallthrough").fallthrough.size(), 1u);
  EXPECT_TRUE(zone_with("ignore empty_service").ignore_empty);
  EXPECT_TRUE(zone_with("zonal").zonal);
  EXPECT_EQ(with("startup_timeout 3s").startup_timeout, seconds(3));
  EXPECT_EQ(with("endpoint https://10.96.0.1:443\ntls a b c").access.endpoint,
            "https://10.96.0.1:443");
  EXPECT_EQ(with("endpoint localhost:8080").access.endpoint, "http://localhost:8080");
  EXPECT_EQ(with("endpoint 10.96.0.1\ntls a b c").access.endpoint, "https://10.96.0.1");
  EXPECT_EQ(with("kubeconfig config context").access.context, "context");
  EXPECT_EQ(with("kubeconfig config\nendpoint 10.96.0.1").access.endpoint, "");
  EXPECT_EQ(config.notes.size(), 1u) << "the kubeconfig counts";
  // Words too many, as CoreDNS takes them.
  EXPECT_EQ(zone_with("ttl 7 s").ttl, 7u);
  EXPECT_TRUE(zone_with("ignore empty_service too").ignore_empty);
  EXPECT_FALSE(zone_with("ignore").ignore_empty);
  EXPECT_EQ(with("startup_timeout 3s more").startup_timeout, seconds(3));
  for (const char* accepted : {"namespaces a b", "labels app=web", "namespace_labels a=b",
                               "noendpoints", "endpoint_pod_names"})
    with(accepted);
  for (const char* noted : {"apiserver_qps 5", "apiserver_burst 5", "apiserver_max_inflight 5"}) {
    with(noted);
    EXPECT_EQ(config.notes.size(), 1u) << noted;
  }
  EXPECT_NE(refusal("kubernetes cluster.local {\nttl 3601\n}"), "");
  EXPECT_NE(refusal("kubernetes cluster.local {\npods all\n}"), "");
  EXPECT_NE(refusal("kubernetes cluster.local {\nignore all\n}"), "");
  EXPECT_NE(refusal("kubernetes cluster.local {\nendpoint ftp://10.96.0.1\n}"), "");
}

class PluginsNotHere : public PluginTest {};

// Of the table and of CoreDNS's own list.
TEST_F(PluginsNotHere, AreErrorsThatSayCoreDnsHasThem) {
  for (const char* plugin :
       {"autopath",    "view",    "transfer", "tls",  "dns64",      "dnstap",  "auto",
        "secondary",   "etcd",    "dnssec",   "sign", "tsig",       "erratic", "grpc",
        "grpc_server", "https",   "https3",   "quic", "proxyproto", "geoip",   "azure",
        "clouddns",    "route53", "nomad",    "on"}) {
    EXPECT_EQ(refusal(plugin),
              std::string("Corefile:2: CoreDNS's plugin '") + plugin + "' is not in fairlead-dns");
    EXPECT_EQ(registered(plugin), nullptr) << "it is here: it wants tests of its own";
  }
  EXPECT_TRUE(
      refusal("ocp_dnsnameresolver")
          .starts_with("Corefile:2: there is no plugin 'ocp_dnsnameresolver', here or in "));
}

class PluginOrder : public PluginTest {};

TEST_F(PluginOrder, IsCoreDnssWhateverTheFiles) {
  const std::vector<std::string> names = plugin_names();
  const auto place = [&](const char* name) {
    const auto at = std::ranges::find(names, name);
    EXPECT_NE(at, names.end()) << name;
    return at - names.begin();
  };
  const char* const kOrder[] = {"errors",      "log",      "local",  "any",          "chaos",
                                "loadbalance", "rewrite",  "acl",    "cache",        "header",
                                "minimal",     "template", "hosts",  "k8s_external", "kubernetes",
                                "file",        "loop",     "forward"};
  for (size_t i = 1; i < std::size(kOrder); ++i)
    EXPECT_LT(place(kOrder[i - 1]), place(kOrder[i])) << kOrder[i];
  // rewrite, acl and hosts, in both orders.
  for (const char* directives :
       {"rewrite name a.test b.test\nacl b.test {\nblock\n}\nhosts {\n10.0.0.1 b.test\n}",
        "hosts {\n10.0.0.1 b.test\n}\nacl b.test {\nblock\n}\nrewrite name a.test b.test"}) {
    use(directives);
    EXPECT_EQ(ask("a.test"), "REFUSED rd qd=1\n") << "acl sees the name as it was rewritten";
  }
}

TEST_F(PluginOrder, NamesThatNoBlockAnswersAreRefused) {
  AskOptions edns;
  edns.query.edns_size = 1232;
  use("hosts {\n10.0.0.1 a.test\nfallthrough\n}");
  EXPECT_EQ(ask("b.test", "A", edns), "REFUSED rd qd=1\nopt 1232 ede=18\n");
}

}  // namespace
}  // namespace fairlead::dns::test
