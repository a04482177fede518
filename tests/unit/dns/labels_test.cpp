// SPDX-License-Identifier: Apache-2.0
// `metadata` and the labels that plugins give.
#include "dns/labels.h"

#include "dns/zone/snapshot_file.h"
#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns::test {
namespace {

class LabelsTest : public PluginTest {
 protected:
  // What the label is for a question, as the last plugin sees it; "none" without labels.
  std::string value(const std::string& directives, const std::string& label,
                    const std::string& name) {
    std::string seen;
    use(directives, [&](Request& request) {
      seen = request.client().labels ? label_value(request.client(), label) : "none";
      return replies_with("NXDOMAIN")(request);
    });
    ask(name);
    return seen;
  }
  Zone zone;
};

constexpr const char* kAsks = "\nlog . {/kubernetes/service}";

TEST_F(LabelsTest, OnlyWhenSomebodyAsks) {
  EXPECT_EQ(value("metadata", "a/b", "a.test"), "none");
  EXPECT_EQ(value("log . {/a/b}", "a/b", "a.test"), "none");
  EXPECT_EQ(value("metadata" + std::string(kAsks), "a/b", "a.test"), "");
  EXPECT_EQ(value("metadata b.test" + std::string(kAsks), "a/b", "a.test"), "none");
}

TEST_F(LabelsTest, OfKubernetes) {
  cluster = &zone;
  struct Case {
    const char* name;
    const char* label;
    const char* value;
  };
  const Case kCases[] = {
      {"web.Default.svc.cluster.local", "service", "web"},
      {"web.Default.svc.cluster.local", "namespace", "default"},
      {"web.default.svc.cluster.local", "kind", "svc"},
      {"web.default.svc.cluster.local", "endpoint", ""},
      {"10-0-0-1.web.default.svc.cluster.local", "endpoint", "10-0-0-1"},
      {"_http._tcp.web.default.svc.cluster.local", "port-name", "http"},
      {"_http._tcp.web.default.svc.cluster.local", "protocol", "tcp"},
      {"_http._tcp.web.default.svc.cluster.local", "service", "web"},
      {"a\\010b.web.default.svc.cluster.local", "endpoint", "a\\010b"},
      {"\\.\\027x.default.svc.cluster.local", "service", "\\.\\027x"},
      {"10-0-0-1.default.pod.cluster.local", "kind", "pod"},
      {"10-0-0-1.default.pod.cluster.local", "service", "10-0-0-1"},
      {"svc.cluster.local", "kind", ""},
      {"a.cluster.local", "parse-error", "invalid query name"},
      {"a.b.c.web.default.svc.cluster.local", "parse-error", "invalid query name"},
      {"a.b.c.web.default.svc.cluster.local", "service", ""},
      {"web.default.svc.example", "service", ""},
  };
  for (const Case& c : kCases) {
    use("kubernetes cluster.local");
    const Bytes packet = make_query(c.name, Type::kA);
    Query query;
    ASSERT_EQ(parse_query(packet, query).verdict, Verdict::kAnswer);
    const auto got = chain->label("kubernetes/" + std::string(c.label), query, {});
    EXPECT_EQ(got.value_or(""), c.value) << c.name << " " << c.label;
  }
}

constexpr const char* kNamespace = "kubernetes/client-namespace";
constexpr const char* kPodName = "kubernetes/client-pod-name";
constexpr const char* kApp = "kubernetes/client-label/app.kubernetes.io/name";

kube::Pod labelled(kube::Pod pod, const std::map<std::string, std::string>& labels) {
  pod.meta.labels = labels;
  return pod;
}

// What is kept where a directive asks for kApp.
ZoneContent with_clients() {
  ZoneContent content;
  content.clients = {.any = true, .labels = {"app.kubernetes.io/name"}};
  return content;
}

// The label of whoever has the address, as the plugin gives it.
class ClientLabelsTest : public PluginTest {
 protected:
  std::string of(const std::string& address, const std::string& label) {
    zone.publish(1);
    cluster = &zone;
    use("kubernetes cluster.local {\npods verified\n}");
    const Bytes packet = make_query("a.test", Type::kA);
    Query query;
    EXPECT_EQ(parse_query(packet, query).verdict, Verdict::kAnswer);
    const auto value = chain->label(label, query, {{ip(address), 999}}).value_or("-");
    chain.reset();
    return value;
  }
  Zone zone{with_clients()};
};

TEST_F(ClientLabelsTest, OfThePodThatAsks) {
  zone.put(labelled(pod("client", "shop", {"192.0.2.9", "2001:db8::9"}),
                    {{"app.kubernetes.io/name", "cart"}, {"not-asked", "x"}}));
  zone.put(pod("done", "shop", {"192.0.2.7"}, "Succeeded"));
  struct Case {
    const char* address;
    const char* label;
    const char* value;
  };
  const Case kCases[] = {{"192.0.2.9", kNamespace, "shop"},
                         {"192.0.2.9", kPodName, "client"},
                         {"192.0.2.9", kApp, "cart"},
                         {"2001:db8::9", kPodName, "client"},
                         {"192.0.2.9", "kubernetes/client-label/not-asked", "-"},
                         {"192.0.2.9", "kubernetes/client-label/", "-"},
                         {"192.0.2.9", "kubernetes/client-none", "-"},
                         {"192.0.2.8", kNamespace, "-"},
                         {"192.0.2.8", kPodName, "-"},
                         {"192.0.2.7", kPodName, "-"}};
  for (const Case& c : kCases) EXPECT_EQ(of(c.address, c.label), c.value) << c.address << c.label;
}

TEST_F(ClientLabelsTest, PodsChangeAndGo) {
  zone.put(labelled(pod("a", "shop", {"192.0.2.1"}), {{"app.kubernetes.io/name", "one"}}));
  EXPECT_EQ(of("192.0.2.1", kApp), "one");
  zone.put(labelled(pod("a", "shop", {"192.0.2.1"}), {{"app.kubernetes.io/name", "two"}}));
  EXPECT_TRUE(zone.changed());
  EXPECT_EQ(of("192.0.2.1", kApp), "two");
  zone.put(labelled(pod("a", "shop", {"192.0.2.1"}), {{"other", "three"}}));
  EXPECT_EQ(of("192.0.2.1", kApp), "-");
  zone.put(labelled(pod("a", "shop", {"192.0.2.1"}), {{"other", "four"}}));
  EXPECT_FALSE(zone.changed());
  zone.put(pod("a", "shop", {"192.0.2.2"}));
  EXPECT_EQ(of("192.0.2.1", kPodName), "-");
  EXPECT_EQ(of("192.0.2.2", kPodName), "a");
  zone.put(pod("b", "shop", {"192.0.2.2"}));  // a new pod before the old one is gone
  zone.remove_pod({"shop", "a"});
  EXPECT_EQ(of("192.0.2.2", kPodName), "b");
  zone.retain_pods({});
  EXPECT_EQ(of("192.0.2.2", kPodName), "-");
}

// Those in the host's network: the first by its name, whatever the order in which they come and go.
TEST_F(ClientLabelsTest, OfPodsWithOneAddress) {
  for (const char* name : {"b", "a", "c"}) zone.put(pod(name, "kube-system", {"192.0.2.1"}));
  EXPECT_EQ(of("192.0.2.1", kPodName), "a");
  zone.put(pod("d", "default", {"192.0.2.1"}));
  EXPECT_EQ(of("192.0.2.1", kPodName), "d");
  zone.remove_pod({"kube-system", "a"});
  EXPECT_EQ(of("192.0.2.1", kPodName), "d");
  zone.remove_pod({"default", "d"});
  EXPECT_EQ(of("192.0.2.1", kPodName), "b");
  zone.remove_pod({"kube-system", "b"});
  EXPECT_EQ(of("192.0.2.1", kPodName), "c");
  zone.remove_pod({"kube-system", "c"});
  EXPECT_EQ(of("192.0.2.1", kNamespace), "-");
}

// A snapshot on disk has no names of pods; the API server's word replaces it.
TEST_F(ClientLabelsTest, OfRestoredPods) {
  Zone before;
  before.put(pod("client", "shop", {"192.0.2.9"}));
  before.publish(1);
  std::string file;
  ASSERT_TRUE(write_snapshot(before.snapshot(), "s", 1, [&](std::string_view piece) {
                file += piece;
                return ok();
              }).ok());
  ASSERT_TRUE(read_snapshot(file, "s", zone).ok());
  EXPECT_EQ(of("192.0.2.9", kNamespace), "shop");
  EXPECT_EQ(of("192.0.2.9", kPodName), "-");
  zone.put(pod("client", "shop", {"192.0.2.9"}));
  EXPECT_EQ(of("192.0.2.9", kPodName), "client");
  zone.retain_pods({{"shop", "client"}});
  EXPECT_EQ(of("192.0.2.9", kPodName), "client");
}

// Nothing is kept that nobody asks for.
TEST_F(LabelsTest, WhatIsKeptOfPods) {
  struct Case {
    std::string directives;
    ClientContent content;
  };
  const std::string verified = "\nkubernetes cluster.local {\npods verified\n}";
  const Case kCases[] = {
      {"metadata" + verified, {}},
      {"metadata\nlog . {/kubernetes/service}" + verified, {}},
      {"metadata\nlog . {/kubernetes/client-namespace}" + verified, {.any = true}},
      {"metadata\nlog . {/kubernetes/client-label/app}" + verified,
       {.any = true, .labels = {"app"}}},
      {"metadata\nrewrite edns0 local set 0xffee {kubernetes/client-label/a/b}" + verified,
       {.any = true, .labels = {"a/b"}}},
      {"metadata\ntemplate IN TXT . {\nanswer \"{{ .Name }} TXT {{ .Meta .Name }}\"\n}" + verified,
       {.any = true, .all_labels = true}},
      {"metadata\nlog . {/kubernetes/client-pod-name}\nkubernetes cluster.local", {}}};
  for (const Case& c : kCases) {
    cluster = &zone;
    use(c.directives);
    const ClientContent& content = options<KubernetesOptions>("kubernetes").filter.content.clients;
    EXPECT_TRUE(content == c.content) << c.directives;
  }
  ASSERT_EQ(config.notes.size(), 1U);
  EXPECT_EQ(config.notes[0],
            "the label kubernetes/client-pod-name has no value without 'pods verified'");
  chain.reset();
}

TEST_F(LabelsTest, WhatIsNotHereIsSaid) {
  use("metadata\nlog . {/geoip/city/name}");
  ASSERT_EQ(config.notes.size(), 1U);
  EXPECT_EQ(config.notes[0],
            "the label geoip/city/name has no value: CoreDNS knows it, fairlead-dns does not yet");
}

}  // namespace
}  // namespace fairlead::dns::test
