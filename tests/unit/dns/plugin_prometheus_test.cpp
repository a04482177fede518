// SPDX-License-Identifier: Apache-2.0
// `prometheus`: what its `tls` file may say, and metrics over HTTPS as curl sees them.
#include <sys/wait.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/tls/certificate.h"
#include "dns/host.h"
#include "dns/loading.h"
#include "dns/plugins/prometheus/web_config.h"
#include "tests/support/ports.h"
#include "tests/unit/dns/plugin_support.h"

namespace fairlead::dns::test {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

WallTime an_hour_ago() {
  return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()) - hours(1);
}

tls::CertificateAndKey authority(const char* name) {
  return *tls::make_authority(name, an_hour_ago(), hours(24));
}

tls::CertificateAndKey issued(const tls::CertificateAndKey& by, const char* name, bool server) {
  tls::CertificateSpec spec;
  spec.common_name = name;
  spec.ip_addresses = {IpAddress::v4(127, 0, 0, 1)};
  spec.server_auth = server;
  spec.client_auth = !server;
  spec.not_before = an_hour_ago();
  spec.validity = hours(12);
  return *tls::issue_certificate(by, spec);
}

// ---- the file ----

TEST(WebConfig, SaysWhatIsWrong) {
  const auto ca = authority("ca");
  const auto server = issued(ca, "server", true);
  const std::map<std::string, std::string> files = {{"/etc/tls.crt", server.certificate_pem},
                                                    {"/etc/tls.key", server.key_pem},
                                                    {"/etc/ca.crt", ca.certificate_pem},
                                                    {"/etc/junk", "junk"}};
  const std::string pair = "tls_server_config:\n  cert_file: tls.crt\n  key_file: /etc/tls.key\n";
  struct Case {
    std::string text;
    const char* error;  // how it begins; "": none
  };
  const Case kCases[] = {
      {pair, ""},
      {pair + "  min_version: TLS12\n  max_version: TLS13\n  prefer_server_cipher_suites: true\n",
       ""},
      {pair + "  client_auth_type: NoClientCert\n", ""},
      {pair + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n", ""},
      {pair + "http_server_config:\n  http2: false\n", ""},
      {"", ""},
      {"http_server_config:\n  http2: true\n", ""},
      {"a: [", "/etc/web.yml:1: no YAML: "},
      {"- a", "/etc/web.yml:1: expected a mapping"},
      {"tls: {}", "/etc/web.yml:1: there is no 'tls', CoreDNS does not know it either"},
      {"basic_auth_users:\n  a: b", "/etc/web.yml:1: 'basic_auth_users': CoreDNS knows it, "},
      {"http_server_config:\n  headers: {}", "/etc/web.yml:2: 'headers': CoreDNS knows it, "},
      {"tls_server_config: a", "/etc/web.yml:1: expected a mapping"},
      {"tls_server_config:\n  cert_file: tls.crt\n",
       "/etc/web.yml:2: key_file, or key, is missing"},
      {"tls_server_config:\n  key_file: tls.key\n",
       "/etc/web.yml:2: cert_file, or cert, is missing"},
      {"tls_server_config:\n  cert_file: none\n", "/etc/web.yml:2: /etc/none: no such file"},
      {"tls_server_config:\n  cert_file: [a]\n", "/etc/web.yml:2: 'cert_file' takes one value"},
      {"tls_server_config:\n  cert_file: junk\n  key_file: tls.key\n",
       "/etc/web.yml:2: certificate: "},
      {"tls_server_config:\n  cert_file: tls.crt\n  key_file: junk\n", "/etc/web.yml:2: key: "},
      {pair + "  client_ca_file: ca.crt\n",
       "/etc/web.yml:2: a client CA without a client_auth_type that verifies"},
      {pair + "  client_auth_type: RequireAndVerifyClientCert\n",
       "/etc/web.yml:4: 'RequireAndVerifyClientCert' needs a client_ca_file"},
      {pair + "  client_auth_type: RequestClientCert\n",
       "/etc/web.yml:4: client_auth_type 'RequestClientCert': CoreDNS knows it, fairlead-dns does "
       "not yet"},
      {pair + "  client_auth_type: Sometimes\n",
       "/etc/web.yml:4: client_auth_type 'Sometimes': CoreDNS does not know it either"},
      {pair + "  min_version: TLS13\n", "/etc/web.yml:4: min_version 'TLS13': CoreDNS knows it, "},
      {pair + "  max_version: TLS12\n", "/etc/web.yml:4: max_version 'TLS12': CoreDNS knows it, "},
      {pair + "  cipher_suites: [a]\n", "/etc/web.yml:4: 'cipher_suites': CoreDNS knows it, "},
      {pair + "  client_allowed_sans: [a]\n",
       "/etc/web.yml:4: 'client_allowed_sans': CoreDNS knows it, "}};
  for (const Case& c : kCases) {
    const auto read =
        read_web_config("/etc/web.yml", [&](const std::string& path) -> Result<std::string> {
          if (path == "/etc/web.yml") return c.text;
          if (const auto at = files.find(path); at != files.end()) return at->second;
          return Error(ErrorCode::kNotFound, path + ": no such file");
        });
    const std::string error = read.ok() ? "" : read.error().message();
    EXPECT_TRUE(*c.error == '\0' ? error.empty() : error.starts_with(c.error))
        << c.text << "\n-> " << error;
    if (read.ok()) {
      EXPECT_EQ(read->https.has_value(), c.text.starts_with("tls")) << c.text;
    }
  }
}

// ---- the listener ----

class PluginPrometheusTls : public PluginTest {
 protected:
  PluginPrometheusTls() {
    char pattern[] = "/tmp/fairlead-prometheus-XXXXXX";
    folder = mkdtemp(pattern);
    write("ca.crt", ca.certificate_pem);
    write_pair(ca);
    const auto client = issued(ca, "scraper", false);
    write("client.crt", client.certificate_pem);
    write("client.key", client.key_pem);
    write("other.crt", other.certificate_pem);
  }
  ~PluginPrometheusTls() override {
    services.clear();
    std::filesystem::remove_all(folder);
  }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder + "/new") << text;
    std::filesystem::rename(folder + "/new", folder + "/" + name);
    files.texts[folder + "/" + name] = text;
  }
  void write_pair(const tls::CertificateAndKey& by) {
    const auto server = issued(by, "server", true);
    write("tls.crt", server.certificate_pem);
    write("tls.key", server.key_pem);
  }
  Services begin(const std::string& block) {
    use("prometheus " + address + " " + block);
    Result<Services> started = start_services(host, config);
    EXPECT_TRUE(started.ok()) << started.error().message();
    return started.ok() ? *std::move(started) : Services();
  }
  void serve(const std::string& block) {
    Services next = begin(block);
    services = std::move(next);  // the old ones go after the new ones came, as at a reload
  }
  void serve_web(const std::string& more = "") {
    write("web.yml", "tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n" + more);
    serve("{\ntls " + folder + "/web.yml\n}");
  }
  // The status, or curl's exit code when there was none.
  std::string curl(const std::string& options) {
    std::atomic<bool> done{false};
    std::string out;
    std::thread thread([&] {
      FILE* pipe = popen(("curl -s -m 10 -o /dev/null -w '%{http_code}' " + options).c_str(), "r");
      char buffer[64];
      while (const size_t n = fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, n);
      const int status = pclose(pipe);
      if (status != 0) out = "exit " + std::to_string(WEXITSTATUS(status));
      done.store(true);
    });
    // The thread does not wake the loop.
    while (!done.load()) loop.run_until([&] { return done.load(); }, std::chrono::milliseconds(5));
    thread.join();
    return out;
  }
  std::string scrape(const std::string& trusted = "ca.crt", const std::string& options = "") {
    return curl("--cacert " + folder + "/" + trusted + " " + options + " https://" + address +
                "/metrics");
  }
  // What changes in a file takes a moment to be seen.
  bool becomes(const std::string& trusted, const std::string& wanted) {
    for (int i = 0; i < 100; ++i) {
      if (scrape(trusted) == wanted) return true;
      loop.run_until([] { return false; }, std::chrono::milliseconds(100));
    }
    return false;
  }
  std::string plain() { return curl("http://" + address + "/metrics"); }

  const std::string address = "127.0.0.1:" + std::to_string(fairlead::test::free_port());
  const tls::CertificateAndKey ca = authority("ca");
  const tls::CertificateAndKey other = authority("other");
  std::string folder;
  Host host{loop, ""};
  Services services;
};

constexpr const char* kUntrusted = "exit 60";  // curl: the peer's certificate cannot be verified

TEST_F(PluginPrometheusTls, OverTls) {
  serve_web();
  EXPECT_EQ(scrape(), "200");
  EXPECT_EQ(scrape("other.crt"), kUntrusted);
  EXPECT_NE(plain(), "200");
  EXPECT_EQ(scrape("ca.crt", "--tls-max 1.1"), "exit 35");  // curl: the handshake failed
  EXPECT_EQ(scrape("ca.crt", "--tls-max 1.2"), "200");
}

TEST_F(PluginPrometheusTls, ClientCertificates) {
  const std::string shown = "--cert " + folder + "/client.crt --key " + folder + "/client.key";
  serve_web("  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n");
  EXPECT_EQ(scrape(), "403");
  EXPECT_EQ(scrape("ca.crt", shown), "200");
  serve_web("  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.crt\n");
  EXPECT_EQ(scrape(), "200");
  EXPECT_EQ(scrape("ca.crt", shown), "200");
  serve_web("  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: other.crt\n");
  EXPECT_NE(scrape("ca.crt", shown), "200");
}

TEST_F(PluginPrometheusTls, FilesAreFollowed) {
  serve_web();
  EXPECT_EQ(scrape(), "200");
  write_pair(other);
  EXPECT_TRUE(becomes("other.crt", "200"));
  EXPECT_EQ(scrape(), kUntrusted);
  write("tls.crt", "junk");  // changes nothing
  loop.run_until([] { return false; }, seconds(1));
  EXPECT_EQ(scrape("other.crt"), "200");
  write_pair(ca);
  EXPECT_TRUE(becomes("ca.crt", "200"));
  write("web.yml",
        "tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n  client_auth_type: "
        "RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n");
  EXPECT_TRUE(becomes("ca.crt", "403"));
}

TEST_F(PluginPrometheusTls, ReloadsToTlsAndBack) {
  serve("");
  EXPECT_EQ(plain(), "200");
  serve_web();
  EXPECT_EQ(scrape(), "200");
  EXPECT_NE(plain(), "200");
  host.release_ports();
  EXPECT_TRUE(host.take_ports().ok());
  EXPECT_EQ(scrape(), "200");
  serve("");
  EXPECT_EQ(plain(), "200");
  EXPECT_NE(scrape(), "200");
  services.clear();
  EXPECT_EQ(plain(), "exit 7");  // curl: nobody listens
}

// Metrics are told to whoever could read them before, and to nobody else.
TEST_F(PluginPrometheusTls, AKeyOfAnotherCertificate) {
  serve_web();
  write("tls.key", issued(ca, "another", true).key_pem);
  use("prometheus " + address + " {\ntls " + folder + "/web.yml\n}");
  const Result<Services> started = start_services(host, config);
  ASSERT_FALSE(started.ok());
  EXPECT_EQ(started.error().message().find("prometheus: "), 0u) << started.error().message();
  EXPECT_EQ(scrape(), "200");
  EXPECT_NE(plain(), "200");
}

TEST_F(PluginPrometheusTls, AFailedReloadToTlsLeavesThePortPlain) {
  serve("");
  write("web.yml", "tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n");
  write("tls.key", issued(ca, "another", true).key_pem);
  use("prometheus " + address + " {\ntls " + folder + "/web.yml\n}");
  EXPECT_FALSE(start_services(host, config).ok());
  EXPECT_EQ(plain(), "200");
  EXPECT_NE(scrape(), "200");
}

TEST_F(PluginPrometheusTls, AFileThatLosesItsSectionChangesNothing) {
  serve_web();
  write("web.yml", "");
  loop.run_until([] { return false; }, seconds(1));
  EXPECT_EQ(scrape(), "200");
  EXPECT_NE(plain(), "200");
}

TEST_F(PluginPrometheusTls, FilesThatComeLaterAreFollowed) {
  serve_web();
  write("web.yml", "tls_server_config:\n  cert_file: new.crt\n  key_file: new.key\n");
  loop.run_until([] { return false; }, seconds(1));
  EXPECT_EQ(scrape(), "200");
  const auto server = issued(other, "server", true);
  write("new.crt", server.certificate_pem);
  loop.run_until([] { return false; }, seconds(1));
  write("new.key", server.key_pem);
  EXPECT_TRUE(becomes("other.crt", "200"));
}

TEST_F(PluginPrometheusTls, WithoutASection) {
  write("web.yml", "http_server_config:\n  http2: true\n");
  serve("{\ntls " + folder + "/web.yml\n}");
  EXPECT_EQ(plain(), "200");
  ASSERT_EQ(config.notes.size(), 1u);
  EXPECT_EQ(config.notes[0], "prometheus: " + folder +
                                 "/web.yml has no tls_server_config: metrics are served without "
                                 "TLS");
}

TEST_F(PluginPrometheusTls, Refusals) {
  const std::pair<const char*, const char*> kCases[] = {
      {"prometheus {\ntls\n}", "Corefile:3: 'tls' takes 1 argument, not 0"},
      {"prometheus {\ntls a b\n}", "Corefile:3: 'tls' takes 1 argument, not 2"},
      {"prometheus {\ntls none.yml\n}", "Corefile:3: /etc/none.yml: no such file"}};
  for (const auto& [directives, error] : kCases) EXPECT_EQ(refusal(directives), error);
  files.texts["/etc/empty.yml"] = "";
  EXPECT_EQ(refusal("prometheus {\ntls empty.yml\ntls empty.yml\n}"),
            "Corefile:4: 'tls' can be given once");
}

}  // namespace
}  // namespace fairlead::dns::test
