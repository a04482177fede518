// SPDX-License-Identifier: Apache-2.0
// `metadata` and the labels that plugins give.
#include "dns/labels.h"

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

TEST_F(LabelsTest, TheNamespaceOfThePodThatAsks) {
  cluster = &zone;
  zone.put(ns("empty"));
  zone.put(ns("shop"));
  zone.put(pod("client", "shop", {"192.0.2.9"}));
  zone.publish(1);
  use("kubernetes cluster.local {\npods verified\n}");
  const Bytes packet = make_query("a.test", Type::kA);
  Query query;
  ASSERT_EQ(parse_query(packet, query).verdict, Verdict::kAnswer);
  const auto of = [&](const char* address) {
    return chain->label("kubernetes/client-namespace", query, {{ip(address), 999}}).value_or("-");
  };
  EXPECT_EQ(of("192.0.2.9"), "shop");
  EXPECT_EQ(of("192.0.2.8"), "-");
}

TEST_F(LabelsTest, WhatIsNotHereIsSaid) {
  use("metadata\nlog . {/kubernetes/client-pod-name}");
  ASSERT_EQ(config.notes.size(), 1U);
  EXPECT_EQ(
      config.notes[0],
      "the label kubernetes/client-pod-name has no value: CoreDNS knows it, fairlead-dns does "
      "not yet");
}

}  // namespace
}  // namespace fairlead::dns::test
