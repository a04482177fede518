// SPDX-License-Identifier: Apache-2.0
// What `forward` in a Corefile comes to, and what is refused.
#include "base/tls/certificate.h"
#include "dns/plugins/forward/forward.h"
#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns {
namespace {

using namespace test;
using std::chrono::milliseconds;
using std::chrono::seconds;

class PluginForwardSetup : public PluginTest {
 protected:
  ForwardOptions& read(const std::string& directive) {
    use(directive);
    return options<ForwardOptions>("forward");
  }
  ForwardOptions& with(const std::string& property) {
    return read("forward . 1.1.1.1 {\n" + property + "\n}");
  }
  // "1.1.1.1:53 tls(name)@9.9.9.9:853 file /etc/x host a.test:53"
  std::string targets(const std::string& to) {
    std::string text;
    for (const Target& target : read("forward . " + to).targets) {
      text += text.empty() ? "" : " ";
      if (target.way == UpstreamWay::kTls) text += "tls(" + target.tls_name + ")@";
      if (target.way == UpstreamWay::kHttps) text += "https(" + target.tls_name + ")@";
      if (!target.file.empty())
        text += "file " + target.file;
      else if (!target.host.empty())
        text += "host " + target.host + ":" + std::to_string(target.port);
      else
        text += target.addresses.at(0).to_string();
    }
    return text;
  }
};

TEST_F(PluginForwardSetup, WhomToAsk) {
  files.texts["/etc/servers"] = "nameserver 192.0.2.1\n";
  const std::pair<const char*, const char*> kCases[] = {
      {"1.1.1.1", "1.1.1.1:53"},
      {"1.1.1.1:5353 [::1]:54 ::2 [::3]", "1.1.1.1:5353 [::1]:54 [::2]:53 [::3]:53"},
      {"dns://1.1.1.1 dns://[::1]:54", "1.1.1.1:53 [::1]:54"},
      // The loopback link has the index 1; where an address holds everywhere the link says nothing.
      {"fe80::1%lo [fe80::2%lo]:54 dns://[fe80::3%1] ::1%lo 1.1.1.1%eth7",
       "[fe80::1%1]:53 [fe80::2%1]:54 [fe80::3%1]:53 [::1]:53 1.1.1.1:53"},
      {"/etc/resolv.conf", "file /etc/resolv.conf"},
      {"servers", "file /etc/servers"},
      {"dns.a.test dns.b.test:54 dns://dns.c.test",
       "host dns.a.test:53 host dns.b.test:54 host dns.c.test:53"},
      {"tls://9.9.9.9 tls://9.9.9.10:10853 tls://::1",
       "tls()@9.9.9.9:853 tls()@9.9.9.10:10853 "
       "tls()@[::1]:853"},
      {"tls://9.9.9.9%dns.quad9.net tls://1.1.1.1%one.test:10853",
       "tls(dns.quad9.net)@9.9.9.9:853 tls(one.test)@1.1.1.1:10853"},
      {"tls://[::1%a.test] tls://[::2%b.test]:10853 tls://[::3]:1853 tls://::4%d.test",
       "tls(a.test)@[::1]:853 tls(b.test)@[::2]:10853 tls()@[::3]:1853 tls(d.test)@[::4]:853"},
      {"https://8.8.8.8 https://8.8.4.4%dns.google:8443 https://dns.google",
       "https()@8.8.8.8:443 https(dns.google)@8.8.4.4:8443 https(dns.google)@host dns.google:443"},
      {"tls://dns.google tls://dns.google%other.test:10853",
       "tls(dns.google)@host dns.google:853 tls(other.test)@host dns.google:10853"},
  };
  for (const auto& [to, expected] : kCases) EXPECT_EQ(targets(to), expected) << to;
}

TEST_F(PluginForwardSetup, OneNameForAllServers) {
  EXPECT_EQ(targets("tls://9.9.9.9 1.1.1.1 {\ntls_servername dns.quad9.net\n}"),
            "tls(dns.quad9.net)@9.9.9.9:853 1.1.1.1:53");
  EXPECT_EQ(targets("tls://dns.google {\ntls_servername other.test\n}"),
            "tls(other.test)@host dns.google:853");
}

TEST_F(PluginForwardSetup, EachAddressIsAskedOnce) {
  const ForwardOptions& o = read("forward . 1.1.1.1 tls://1.1.1.1:53 1.1.1.1:54 1.1.1.1");
  EXPECT_EQ(o.upstreams->get()->size(), 2u);
  EXPECT_TRUE(o.upstreams->get()->front().is_plain()) << "the first counts";
}

TEST_F(PluginForwardSetup, Defaults) {
  const ForwardOptions& o = read("forward . 1.1.1.1");
  EXPECT_EQ(o.policy, UpstreamPolicy::kRandom);
  EXPECT_EQ(o.max_fails, 2u);
  EXPECT_FALSE(o.attempts);
  EXPECT_EQ(o.idle.disuse, seconds(10));
  EXPECT_EQ(o.idle.age, Duration::zero());
  EXPECT_EQ(o.idle.most, IdleLimits::kMost);
  EXPECT_EQ(o.limits.udp_reply, seconds(2));
  EXPECT_EQ(o.probe_period, milliseconds(500));
  EXPECT_EQ(o.probe_name, Name());
  EXPECT_TRUE(o.probe_recursion);
  EXPECT_FALSE(o.source || o.tls || o.failfast || o.next_on_nodata || o.force_tcp || o.prefer_udp);
}

TEST_F(PluginForwardSetup, Properties) {
  EXPECT_TRUE(with("force_tcp").force_tcp);
  EXPECT_TRUE(with("prefer_udp").prefer_udp);
  EXPECT_TRUE(with("failfast_all_unhealthy_upstreams").failfast);
  EXPECT_TRUE(with("next_on_nodata").next_on_nodata);
  EXPECT_EQ(with("policy round_robin").policy, UpstreamPolicy::kRoundRobin);
  EXPECT_TRUE(with("doh_method GET").https_get);
  EXPECT_FALSE(with("doh_method POST").https_get);
  EXPECT_EQ(with("max_fails 0").max_fails, 0u);
  EXPECT_EQ(with("max_connect_attempts 0").attempts, 0u);
  EXPECT_EQ(with("max_connect_attempts 7").attempts, 7u);
  EXPECT_EQ(with("expire 0s").idle.disuse, Duration::zero());
  EXPECT_EQ(with("expire 3s").idle.disuse, seconds(3));
  EXPECT_EQ(with("max_age 30s").idle.age, seconds(30));
  EXPECT_EQ(with("expire 5s\nmax_age 5s").idle.age, seconds(5));
  EXPECT_EQ(with("max_idle_conns 3").idle.most, 3u);
  EXPECT_EQ(with("max_idle_conns 0").idle.most, IdleLimits::kMost);
  EXPECT_EQ(with("read_timeout 4s").limits.udp_reply, seconds(4));
  EXPECT_EQ(with("read_timeout 4s").limits.tcp_reply, seconds(4));
  EXPECT_EQ(with("read_timeout 4s").total, seconds(5));
  EXPECT_EQ(with("read_timeout 9s").total, seconds(9)) << "one server has its time";
  EXPECT_EQ(with("source_address 10.0.0.1").source, ip("10.0.0.1"));
  EXPECT_EQ(with("next NXDOMAIN refused").next, (std::vector{Rcode::kNxDomain, Rcode::kRefused}));
  EXPECT_EQ(with("failover SERVFAIL\nfailover REFUSED").failover,
            (std::vector{Rcode::kServFail, Rcode::kRefused}));
  EXPECT_EQ(with("resolver 10.0.0.1 10.0.0.2:54 ::1 [::2]:54").resolvers,
            (std::vector<SocketAddress>{
                {ip("10.0.0.1"), 53}, {ip("10.0.0.2"), 54}, {ip("::1"), 53}, {ip("::2"), 54}}));
  EXPECT_EQ(with("health_check 5s").probe_period, seconds(5));
  EXPECT_EQ(with("health_check 0s").probe_period, milliseconds(10));
  EXPECT_FALSE(with("health_check 5s no_rec").probe_recursion);
  const ForwardOptions& o = with("health_check 5s no_rec domain example.org");
  EXPECT_FALSE(o.probe_recursion);
  EXPECT_EQ(o.probe_name, dns_name("example.org"));
  EXPECT_EQ(with("health_check 5s domain example.org.").probe_name, dns_name("example.org"));
  const ForwardOptions& e = with("except a.test b.test\nexcept c.test");
  EXPECT_FALSE(e.is_for(dns_name("x.c.test")));
  EXPECT_TRUE(e.is_for(dns_name("d.test")));
  EXPECT_TRUE(read("forward a.test 1.1.1.1 {\nexcept test\n}").is_for(dns_name("a.test")))
      << "FROM itself is never excepted";
  const ForwardOptions& p = read("forward 10.9.0.0/23 1.1.1.1 {\nexcept 10.9.0.0/24\n}");
  EXPECT_TRUE(p.is_for(dns_name("1.1.9.10.in-addr.arpa"))) << "a prefix is several zones";
  EXPECT_FALSE(p.is_for(dns_name("1.0.9.10.in-addr.arpa")));
  EXPECT_FALSE(p.is_for(dns_name("1.2.9.10.in-addr.arpa")));
}

TEST_F(PluginForwardSetup, TlsFiles) {
  const auto ca = tls::make_authority("ca", WallTime{} + std::chrono::hours(400'000),
                                      std::chrono::hours(24 * 365));
  ASSERT_TRUE(ca.ok());
  files.texts["/etc/ca.crt"] = files.texts["/etc/tls.crt"] = ca->certificate_pem;
  files.texts["/etc/tls.key"] = ca->key_pem;
  files.texts["/etc/empty"] = "";
  const auto with_tls = [](const std::string& words) {
    return "forward . tls://9.9.9.9 {\ntls " + words + "\n}";
  };
  for (const char* words : {"", "ca.crt", "/etc/tls.crt /etc/tls.key", "tls.crt tls.key ca.crt"})
    EXPECT_TRUE(read(with_tls(words)).tls) << words;
  EXPECT_TRUE(read("forward . tls://9.9.9.9").tls);
  EXPECT_EQ(refusal(with_tls("no.crt")), "Corefile:3: /etc/no.crt: no such file");
  EXPECT_EQ(refusal(with_tls("empty")), "Corefile:3: empty is empty");
  files.texts["/etc/empty"] = "no PEM";
  EXPECT_EQ(refusal(with_tls("empty")),
            "Corefile:2: forward: tls: CA: no certificate could be read from the PEM text: no "
            "start line");
  EXPECT_EQ(refusal(with_tls("tls.crt empty")).substr(0, 53),
            "Corefile:2: forward: tls: key: no private key could b");
  EXPECT_EQ(refusal(with_tls("a b c d")), "Corefile:3: 'tls' takes 0 to 3 arguments, not 4");
}

TEST_F(PluginForwardSetup, SaysWhatIsWrongWithAServer) {
  const std::pair<const char*, const char*> kCases[] = {
      {"https://9.9.9.9/dns-query",
       "'https://9.9.9.9/dns-query' is neither an address such as 1.1.1.1 or [::1]:53, nor a file "
       "or a host name"},
      {"grpc://9.9.9.9",
       "'grpc' to an upstream server is not in fairlead-dns; dns, tls and https are"},
      {"1.1.1.300",
       "'1.1.1.300' is neither an address such as 1.1.1.1 or [::1]:53, nor a file or a host name"},
      {"a..b",
       "'a..b' is neither an address such as 1.1.1.1 or [::1]:53, nor a file or a host "
       "name"},
      {"a.test:0",
       "'a.test:0' is neither an address such as 1.1.1.1 or [::1]:53, nor a file or a "
       "host name"},
      {"a.test:65536",
       "'a.test:65536' is neither an address such as 1.1.1.1 or [::1]:53, nor a "
       "file or a host name"},
      {"1.1.1.1:0", "'1.1.1.1:0': no server has port 0"},
      {"fe80::1%no-link", "'fe80::1%no-link': there is no link 'no-link'"},
      {"a.test%lo", "'a.test%lo' is no address such as fe80::1%eth0"},
      {"fe80::1%",
       "'fe80::1%': what follows '%' is a name in a certificate, such as "
       "tls://9.9.9.9%dns.quad9.net, or a link, such as fe80::1%eth0"},
      {"tls://9.9.9.9%",
       "'tls://9.9.9.9%': what follows '%' is a name in a certificate, such as "
       "tls://9.9.9.9%dns.quad9.net, or a link, such as fe80::1%eth0"},
      {"tls:///etc/resolv.conf",
       "'tls:///etc/resolv.conf' is neither an address such as 1.1.1.1 "
       "or [::1]:53, nor a file or a host name"},
  };
  for (const auto& [to, expected] : kCases)
    EXPECT_EQ(refusal(std::string("forward . ") + to), std::string("Corefile:2: ") + expected);
}

TEST_F(PluginForwardSetup, SaysWhatIsWrongWithAProperty) {
  const std::pair<const char*, const char*> kCases[] = {
      {"force_tcp yes", "3: 'force_tcp' takes 0 arguments, not 1"},
      {"next_on_nodata yes", "3: 'next_on_nodata' takes 0 arguments, not 1"},
      {"failfast_all_unhealthy_upstreams yes",
       "3: 'failfast_all_unhealthy_upstreams' takes 0 arguments, not 1"},
      {"max_fails -1", "3: '-1' is not a whole number from 0 to 4294967295"},
      {"max_connect_attempts -1", "3: '-1' is not a whole number from 0 to 4294967295"},
      {"max_idle_conns -1", "3: '-1' is not a whole number from 0 to 2147483647"},
      {"max_concurrent many", "3: 'many' is not a whole number from 0 to 9223372036854775807"},
      {"read_timeout 0s", "3: 'read_timeout' must be at least 1ms"},
      {"max_age 5s", "2: forward: 'max_age' must not be less than 'expire'"},
      {"expire 20s\nmax_age 15s", "2: forward: 'max_age' must not be less than 'expire'"},
      {"next MAYBE", "3: 'MAYBE' is no rcode such as NXDOMAIN"},
      {"failover SERVFAIL NOERROR", "3: 'failover' is not for NOERROR"},
      {"source_address eth0", "3: 'eth0' is not an IP address"},
      {"resolver dns.test", "3: 'dns.test' is no address such as 10.0.0.1 or [::1]:53"},
      {"health_check 1s domain", "3: 'domain' of health_check takes a name"},
      {"health_check 1s domain a..b", "3: 'a..b' is no domain name"},
      {"tls_servername a_!b", "3: 'a_!b' is no name in a certificate"},
      {"doh_method PUT", "3: 'PUT' is not one of GET, POST: CoreDNS does not know it either"},
  };
  for (const auto& [property, expected] : kCases) {
    const std::string text = refusal(std::string("forward . 1.1.1.1 {\n") + property + "\n}");
    EXPECT_EQ(text, std::string("Corefile:") + expected);
  }
  EXPECT_EQ(refusal("forward . https://9.9.9.9 {\nsource_address 10.0.0.1\n}"),
            "Corefile:2: forward: 'source_address' with a server over HTTPS is not in "
            "fairlead-dns");
  EXPECT_EQ(refusal("forward . tls://9.9.9.9%a.test {\ntls_servername b.test\n}"),
            "Corefile:3: 'tls_servername' and '%a.test' are two names for one server");
}

}  // namespace
}  // namespace fairlead::dns
