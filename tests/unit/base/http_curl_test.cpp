// SPDX-License-Identifier: Apache-2.0
// The server against the curl command: a client that is not ours.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <filesystem>

#include "base/file.h"
#include "base/http/server.h"
#include "base/tls/certificate.h"

extern char** environ;

namespace fairlead {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using std::chrono::seconds;

struct Finished {
  int status = -1;
  std::string output;
};

class CurlTest : public testing::Test {
 protected:
  CurlTest() {
    std::string name = (fs::temp_directory_path() / "fairlead-curl-XXXXXX").string();
    directory_ = mkdtemp(name.data());
  }
  ~CurlTest() override { fs::remove_all(directory_); }

  std::string put(const std::string& name, std::string_view text) {
    EXPECT_TRUE(write_file_atomic(directory_ + "/" + name, text, 0600).ok());
    return directory_ + "/" + name;
  }

  // Runs curl while the loop serves it.
  Finished curl(std::vector<std::string> arguments) {
    const std::string out = directory_ + "/out";
    arguments.insert(arguments.begin(),
                     {"curl", "-q", "-sS", "--noproxy", "*", "--max-time", "20", "-o", out});
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_t pid = 0;
    Finished finished;
    if (posix_spawnp(&pid, "curl", nullptr, nullptr, argv.data(), environ) != 0) {
      ADD_FAILURE() << "curl is not installed: scripts/deps test";
      return finished;
    }
    Timer poll(loop_);
    bool ended = false;
    int status = 0;
    poll.start_every(std::chrono::milliseconds(5),
                     [&] { ended = ended || waitpid(pid, &status, WNOHANG) == pid; });
    if (!loop_.run_until([&] { return ended; }, seconds(30))) {
      kill(pid, SIGKILL);
      waitpid(pid, &status, 0);
    }
    finished.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    finished.output = read_file(out, 64 << 20).ok() ? *read_file(out, 64 << 20) : "";
    return finished;
  }

  SocketAddress serve(HttpServerOptions options) {
    server_ = std::make_unique<HttpServer>(
        loop_, std::move(options), [](HttpServerRequest request, auto responder) {
          std::string who = request.client ? request.client->common_name : "anonymous";
          if (request.path == "/stream") {
            responder->start(200, {});
            for (int i = 0; i < 1000; ++i) responder->write(std::string(1000, 'z'));
            return responder->finish();
          }
          responder->respond(
              200, {}, who + " " + request.method + " " + std::to_string(request.body.size()));
        });
    const auto bound = server_->listen({IpAddress::v4(127, 0, 0, 1), 0});
    EXPECT_TRUE(bound.ok());
    return bound.ok() ? *bound : SocketAddress{};
  }

  std::string directory_;
  Loop loop_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(CurlTest, Plain) {
  const std::string url = "http://" + serve({}).to_string();
  const std::string body = put("body", std::string(2'000'000, 'b'));
  struct Case {
    const char* name;
    std::vector<std::string> arguments;
    std::string output;
  };
  const Case cases[] = {
      {"get", {url + "/"}, "anonymous GET 0"},
      {"HTTP/1.0", {"--http1.0", url + "/"}, "anonymous GET 0"},
      {"streamed to HTTP/1.0", {"--http1.0", url + "/stream"}, std::string(1'000'000, 'z')},
      {"streamed", {url + "/stream"}, std::string(1'000'000, 'z')},
      {"upload, waiting for 100",
       {"-H", "Expect: 100-continue", "-T", body, url + "/"},
       "anonymous PUT 2000000"},
      {"chunked upload",
       {"-H", "Transfer-Encoding: chunked", "-T", body, url + "/"},
       "anonymous PUT 2000000"},
      {"delete", {"-X", "DELETE", url + "/"}, "anonymous DELETE 0"},
      {"an offer of HTTP/2 by upgrade is not taken", {"--http2", url + "/"}, "anonymous GET 0"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const Finished finished = curl(c.arguments);
    EXPECT_EQ(finished.status, 0);
    EXPECT_TRUE(finished.output == c.output) << finished.output.substr(0, 200);
  }
}

TEST_F(CurlTest, Tls) {
  const WallTime now = std::chrono::system_clock::now();
  const auto ca = tls::make_authority("ca", now - hours(1), hours(48));
  ASSERT_TRUE(ca.ok());
  tls::CertificateSpec spec;
  spec.common_name = "both";
  spec.ip_addresses = {IpAddress::v4(127, 0, 0, 1)};
  spec.server_auth = spec.client_auth = true;
  spec.not_before = now - hours(1);
  spec.validity = hours(24);
  const auto leaf = tls::issue_certificate(*ca, spec);
  ASSERT_TRUE(leaf.ok());
  HttpServerOptions options;
  options.tls = TlsServerConfig{leaf->certificate_pem, leaf->key_pem, ca->certificate_pem};
  const std::string url = "https://" + serve(options).to_string();
  const std::string ca_file = put("ca", ca->certificate_pem);
  const std::string crt = put("crt", leaf->certificate_pem);
  const std::string key = put("key", leaf->key_pem);
  struct Case {
    const char* name;
    std::vector<std::string> arguments;
    int status;
    std::string output;
  };
  const Case cases[] = {
      {"TLS 1.3", {"--cacert", ca_file, "--tlsv1.3", url}, 0, "anonymous GET 0"},
      {"TLS 1.2", {"--cacert", ca_file, "--tls-max", "1.2", url}, 0, "anonymous GET 0"},
      {"TLS 1.1",
       {"--cacert", ca_file, "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", url},
       35,
       ""},
      {"client certificate",
       {"--cacert", ca_file, "--cert", crt, "--key", key, url},
       0,
       "both GET 0"},
      {"client certificate, TLS 1.2",
       {"--cacert", ca_file, "--tls-max", "1.2", "--cert", crt, "--key", key, url},
       0,
       "both GET 0"},
      {"the system does not know our CA", {url}, 60, ""},
      {"streamed", {"--cacert", ca_file, url + "/stream"}, 0, std::string(1'000'000, 'z')},
      {"ALPN offers h2 and http/1.1", {"--cacert", ca_file, "--http2", url}, 0, "anonymous GET 0"},
      {"ALPN offers http/1.1 alone", {"--cacert", ca_file, "--http1.1", url}, 0, "anonymous GET 0"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    fs::remove(directory_ + "/out");
    const Finished finished = curl(c.arguments);
    EXPECT_EQ(finished.status, c.status);
    EXPECT_TRUE(finished.output == c.output) << finished.output.substr(0, 200);
  }
}

}  // namespace
}  // namespace fairlead
