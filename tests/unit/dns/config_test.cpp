// SPDX-License-Identifier: Apache-2.0
// Corefiles as they are served: who answers which name where, and what is wrong with a bad one.
#include "dns/config.h"

#include <gtest/gtest.h>

#include "dns/setup.h"
#include "tests/support/default_corefiles.h"
#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns {
namespace {

using namespace test;

const char* environment(const std::string& name) {
  return name == "KUBE_DNS_UPSTREAM_SERVICE_HOST" ? "10.96.0.11" : nullptr;
}

Result<Config> read(const std::string& text) {
  MemoryFiles files;
  files.texts["/etc/dns/Corefile"] = text;
  const auto corefile = corefile::parse_corefile("/etc/dns/Corefile", files, {&environment, 53});
  if (!corefile.ok()) return corefile.error();
  return read_config(*corefile, files, "/etc/dns", [](const std::string& name) {
    return name == "eth0" ? std::vector<IpAddress>{ip("192.0.2.1"), ip("2001:db8::1")}
                          : std::vector<IpAddress>{};
  });
}

// "address: zone=label zone=label", a line for each listener.
std::string text_of(const Plan& plan) {
  std::string text;
  for (const Plan::Listener& listener : plan.listeners) {
    text += listener.address.to_string() + (listener.optional ? "?" : "") + ":";
    for (const Plan::Route& route : listener.routes)
      text += " " + route.zone.to_text() + "=" + plan.blocks[route.block].label;
    text += "\n";
  }
  return text;
}

TEST(Config, WhoAnswersWhere) {
  struct Case {
    const char* corefile;
    const char* served;
  };
  const Case kCases[] = {
      {".:53 {\n}\n", "0.0.0.0:53: .=dns://:53\n[::]:53?: .=dns://:53\n"},
      {"a.test b.test:54 {\nbind 127.0.0.1\n}\n",
       "127.0.0.1:53: a.test.=dns://127.0.0.1:53\n127.0.0.1:54: b.test.=dns://127.0.0.1:54\n"},
      {".:53 {\nbind 127.0.0.1 ::1\n}\na.test {\nbind 127.0.0.1\n}\n",
       "127.0.0.1:53: .=dns://127.0.0.1:53 a.test.=dns://127.0.0.1:53\n"
       "[::1]:53: .=dns://127.0.0.1:53\n"},
      {"10.0.0.0/8 {\nbind eth0 {\nexcept 2001:db8::1\n}\n}\n",
       "192.0.2.1:53: 10.in-addr.arpa.=dns://eth0:53\n"},
  };
  for (const Case& c : kCases) {
    const auto config = read(c.corefile);
    ASSERT_TRUE(config.ok()) << config.error().message();
    EXPECT_EQ(text_of(*config->plan), c.served);
  }
}

struct WrongCase {
  const char* corefile;
  const char* error;
};

void expect_errors(std::initializer_list<WrongCase> cases) {
  for (const WrongCase& c : cases) {
    const auto config = read(c.corefile);
    ASSERT_FALSE(config.ok()) << c.corefile;
    EXPECT_EQ(config.error().message(), c.error);
  }
}

TEST(Config, SaysWhatIsWrong) {
  expect_errors({
      {".:53 {\nforwrad . 1.1.1.1\n}\n",
       "/etc/dns/Corefile:2: there is no plugin 'forwrad', here or in CoreDNS, did you mean "
       "'forward'?"},
      {".:53 {\nroute53\n}\n",
       "/etc/dns/Corefile:2: CoreDNS's plugin 'route53' is not in fairlead-dns"},
      {".:53 {\nforward . 1.1.1.1 {\nmax_fials 3\n}\n}\n",
       "/etc/dns/Corefile:3: plugin 'forward' has no property 'max_fials', did you mean "
       "'max_fails'? CoreDNS does not know it either"},
      {".:53 {\ncache {\nzzz\n}\n}\n",
       "/etc/dns/Corefile:3: plugin 'cache' has no property 'zzz': CoreDNS does not know it "
       "either"},
      {".:53 {\nkubernetes cluster.local {\nmulticluster a.test\n}\n}\n",
       "/etc/dns/Corefile:3: kubernetes does not answer for the multicluster zone a.test., only "
       "for "
       "cluster.local."},
      {".:53 {\ntimeouts {\nmaxtcpqueries 0\n}\n}\n",
       "/etc/dns/Corefile:3: '0' is not a whole number from 1 to 2147483647"},
      {".:53 {\nforward .\n}\n", "/etc/dns/Corefile:2: 'forward' takes 2 to 16 arguments, not 1"},
      {".:53 {\nforward . 1.1.1.1 {\npolicy randum\n}\n}\n",
       "/etc/dns/Corefile:3: 'randum' is not one of random, round_robin, sequential, did you mean "
       "'random'? CoreDNS does not know it either"},
      {".:53 {\nforward . 1.1.1.1 {\nexpire 10\n}\n}\n",
       "/etc/dns/Corefile:3: '10' is no duration such as 500ms, 30s or 1h30m: the unit is "
       "missing"},
      {".:53 {\ncache\ncache\n}\n",
       "/etc/dns/Corefile:3: plugin 'cache' can be given once in a server block"},
      {".:53 {\nbind eth7\n}\n",
       "/etc/dns/Corefile:2: 'eth7' is neither an address nor an interface with one"},
      {".:53 {\n}\n.:53 {\n}\n", "/etc/dns/Corefile:3: . is served at 0.0.0.0:53 already"},
      {".:53 {\nbind eth0 {\nexcept eth0\n}\n}\n",
       "/etc/dns/Corefile:2: 'bind' leaves no address to answer at"},
      {"# nothing\n", "/etc/dns/Corefile: there is no server block in it"},
      {"tls://.:853 {\n}\n", "/etc/dns/Corefile:1: tls:// is not served here, plain DNS is"},
      {".:53 {\nready {\nmonitor never\n}\n}\n",
       "/etc/dns/Corefile:3: 'never' is not one of until-ready, continuously: CoreDNS does not "
       "know it either"},
      {".:53 {\ntimeouts {\nread 0s\n}\n}\n", "/etc/dns/Corefile:3: 'read' is from 1s to 24h"},
  });
}

TEST(Config, SaysWhatIsWrongAboutTheCluster) {
  expect_errors({
      {".:53 {\nkubernetes a.test {\nnamespaces a\nnamespace_labels b=c\n}\n}\n",
       "/etc/dns/Corefile:2: kubernetes takes namespaces or namespace_labels, not both"},
      {".:53 {\nkubernetes a.test {\nzonal\nnoendpoints\n}\n}\n",
       "/etc/dns/Corefile:2: kubernetes has no zonal names with noendpoints"},
      {".:53 {\nkubernetes a.test {\napiserver_qps many\n}\n}\n",
       "/etc/dns/Corefile:3: 'many' is no number from 0 up"},
      {".:53 {\nkubernetes a.test {\nttl 3601\n}\n}\n",
       "/etc/dns/Corefile:3: '3601' is not a whole number from 0 to 3600"},
      {".:53 {\nkubernetes a.test {\nlabels a in (b, c), d e\n}\n}\n",
       "/etc/dns/Corefile:3: 'a in (b, c), d e': unable to parse requirement: found 'e', expected: "
       "in, notin, =, ==, !=, gt, lt"},
      {".:53 {\nkubernetes a.test {\nnamespace_labels -a=b\n}\n}\n",
       "/etc/dns/Corefile:3: '-a=b': unable to parse requirement: key: Invalid value: \"-a\": name "
       "part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with "
       "an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
       "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"},
      {".:53 {\nkubernetes a.test {\nlabels a>3\n}\n}\n",
       "/etc/dns/Corefile:3: 'a>3': kubernetes knows no '<' and '>' of labels"},
      {".:53 {\nkubernetes a.test {\nendpoint tcp://10.0.0.1\n}\n}\n",
       "/etc/dns/Corefile:3: 'tcp://10.0.0.1' is no URL such as https://10.96.0.1:443"},
  });
}

// CoreDNS does not read them, so a Corefile that has them loads there.
TEST(Config, ArgumentsWithoutEffect) {
  for (const char* directive : {"any .", "local a.test", "header a.test {\nresponse set ra\n}"}) {
    const auto config = read(".:53 {\n" + std::string(directive) + "\n}\n");
    ASSERT_TRUE(config.ok()) << config.error().message();
    ASSERT_EQ(config->notes.size(), 1U) << directive;
    EXPECT_TRUE(config->notes[0].ends_with(": its arguments have no effect")) << config->notes[0];
  }
}

// CoreDNS lets them be, and so they come in snippets. What does not hold is not even read.
TEST(Config, RepeatedPlugins) {
  const std::pair<const char*, size_t> kCases[] = {
      {"bufsize 512\nbufsize 4096", 1},
      {"bufsize 4096\nbufsize 512", 2},
      {"cancel 1s\ncancel", 1},
      {"health :9090 {\nlameduck 5s\n}\nhealth", 1},
      {"reload 5s\nreload never", 1},
      {"loadbalance {\nprefer 10.0.0.0/8\n}\nloadbalance", 1},
      {"any\nany\nany", 1}};
  for (const auto& [directives, notes] : kCases) {
    const auto config = read(".:53 {\n" + std::string(directives) + "\n}\n");
    ASSERT_TRUE(config.ok()) << config.error().message();
    EXPECT_EQ(config->notes.size(), notes) << directives;
    EXPECT_TRUE(config->notes[0].starts_with("/etc/dns/Corefile:")) << config->notes[0];
  }
  for (const char* wrong : {"cancel never\ncancel", "timeouts x\ntimeouts {\nread 5s\n}",
                            "loadbalance {\nprefer x\n}\nloadbalance"})
    EXPECT_FALSE(read(".:53 {\n" + std::string(wrong) + "\n}\n").ok()) << wrong;
  const auto config = read(".:53 {\ntimeouts {\nread 5s\n}\ntimeouts {\nidle 7s\n}\n}\n");
  ASSERT_TRUE(config.ok()) << config.error().message();
  const TcpLimits& limits = config->plan->listeners.at(0).tcp;
  EXPECT_EQ(limits.message, std::chrono::seconds(5));
  EXPECT_EQ(limits.idle, std::chrono::seconds(7));
}

TEST(Config, DurationsAreGos) {
  const auto read_one = [](const std::string& text, Duration unit = Duration::zero()) {
    return read_duration({text, {std::make_shared<const std::string>("f"), 1}, false, false}, unit);
  };
  using namespace std::chrono_literals;
  const std::pair<const char*, Duration> kRight[] = {
      {"0", 0s},        {"5s", 5s},          {"1h30m", 90min}, {"1.5s", 1500ms},
      {"100us", 100us}, {"1m0.5s", 60500ms}, {"7ns", 7ns},     {"0s", 0s}};
  for (const auto& [text, duration] : kRight) {
    const auto parsed = read_one(text);
    ASSERT_TRUE(parsed.ok()) << parsed.error().message();
    EXPECT_EQ(*parsed, duration) << text;
  }
  EXPECT_EQ(*read_one("30", 1s), 30s);
  for (const char* text : {"", "s", "5", "-1s", "5x", "5 s", "1e3s", "nan", "inf", "99999999999h"})
    EXPECT_FALSE(read_one(text).ok()) << text;
}

TEST(TableA2, LoadUnchanged) {
  for (const fairlead::test::DefaultCorefile& each : fairlead::test::kDefaultCorefiles) {
    const auto config = read(each.text);
    EXPECT_TRUE(config.ok()) << each.name << ": " << config.error().message();
  }
}

}  // namespace
}  // namespace fairlead::dns
