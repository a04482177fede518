// SPDX-License-Identifier: Apache-2.0
// Forwarding over HTTPS (RFC 8484), beside a server with a certificate of the test's own authority.
#include "base/http/server.h"
#include "base/tls/certificate.h"
#include "dns/plugins/forward/https_client.h"
#include "tests/unit/dns/forward_support.h"

namespace fairlead::dns {
namespace {

using namespace test;
using std::chrono::hours;

class PluginForwardHttps : public PluginForward {
 protected:
  PluginForwardHttps() {
    const WallTime past = std::chrono::system_clock::now() - hours(1);
    const auto authority = *tls::make_authority("test CA", past, hours(24));
    tls::CertificateSpec spec;
    spec.common_name = "dns.test";
    spec.dns_names = {"dns.test"};
    spec.ip_addresses = {ip("127.0.0.1")};
    spec.server_auth = true;
    spec.not_before = past;
    spec.validity = hours(2);
    const auto identity = *tls::issue_certificate(authority, spec);
    options->pems.authorities = authority.certificate_pem;
    options->limits = {seconds(2), seconds(2), seconds(2)};
    HttpServerOptions server;
    server.tls = TlsServerConfig{identity.certificate_pem, identity.key_pem, ""};
    http = std::make_unique<HttpServer>(loop, std::move(server),
                                        [this](HttpServerRequest request, auto responder) {
                                          on_request(std::move(request), *responder);
                                        });
    address = *http->listen({ip("127.0.0.1"), 0});
  }
  void on_request(HttpServerRequest request, HttpResponder& responder) {
    const Bytes query(request.body.begin(), request.body.end());
    requests.push_back(std::move(request));
    const Bytes reply = query.empty() ? get_reply : script(query);
    responder.respond(status, {{"Content-Type", "application/dns-message"}},
                      std::string(reply.begin(), reply.end()));
  }
  std::string ask_server(const std::string& name) {
    chain.clear();
    use_servers({{address, UpstreamWay::kHttps, name}});
    QueryOptions o;
    o.edns_size = 1232;
    return ask(make_query(kName, Type::kA, o));
  }

  std::unique_ptr<HttpServer> http;
  SocketAddress address;
  std::vector<HttpServerRequest> requests;
  std::function<Bytes(const Bytes&)> script = [](const Bytes& query) { return reply_to(query); };
  Bytes get_reply;
  int status = 200;
};

const std::string kAnswered = std::string(kAnswer) + "opt 1232\n";
const std::string kRefusal = "SERVFAIL rd qd=1\nopt 1232 ede=23\n";

TEST_F(PluginForwardHttps, Posts) {
  EXPECT_EQ(ask_server("dns.test"), kAnswered);
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].method, "POST");
  EXPECT_EQ(requests[0].path, "/dns-query");
  EXPECT_EQ(requests[0].headers.get("Host").value_or("").substr(0, 9), "dns.test:");
  EXPECT_EQ(requests[0].headers.get("Content-Type"), "application/dns-message");
  EXPECT_EQ(requests[0].body.substr(0, 2), std::string(2, '\0')) << "RFC 8484 section 4.1";
  EXPECT_EQ(read_u16(replies[0].data()), 0x1234) << "the client's ID comes back";
  EXPECT_EQ(ask(make_query(kName, Type::kA)), kAnswer);
  EXPECT_EQ(http->connections(), 1u) << "used again";
  EXPECT_EQ(ask_server(""), kAnswered) << "its address is in the certificate";
}

TEST_F(PluginForwardHttps, Gets) {
  options->https_get = true;
  Bytes query = make_query(kName, Type::kA);
  query[0] = query[1] = 0;
  get_reply = reply_to(query);
  EXPECT_EQ(ask_server("dns.test").substr(0, 18), "NOERROR rd ra qd=1");
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].method, "GET");
  EXPECT_TRUE(requests[0].query_value("dns").value_or("").starts_with("AAABIAABAAAAAAAB"));
}

TEST_F(PluginForwardHttps, StrangersAreNotBelieved) {
  EXPECT_EQ(ask_server("other.test"), kRefusal);
  options->pems.authorities =
      tls::make_authority("other", std::chrono::system_clock::now() - hours(1), hours(24))
          ->certificate_pem;
  EXPECT_EQ(ask_server("dns.test"), kRefusal);
  EXPECT_TRUE(requests.empty());
}

TEST_F(PluginForwardHttps, WhatIsNoReply) {
  status = 500;
  EXPECT_EQ(ask_server("dns.test"), kRefusal);
  status = 200;
  script = [](const Bytes&) { return Bytes{1, 2, 3}; };
  EXPECT_EQ(ask_server("dns.test"), kRefusal);
  script = [](const Bytes& query) {
    Bytes reply = reply_to(query);
    reply[14] ^= 1;  // another name
    return reply;
  };
  EXPECT_EQ(ask_server("dns.test"), kRefusal);
  script = [](const Bytes&) { return Bytes(70'000); };
  EXPECT_EQ(ask_server("dns.test"), kRefusal);
}

TEST(Base64Url, AsInRfc4648) {
  const std::pair<const char*, const char*> kCases[] = {{"", ""},           {"f", "Zg"},
                                                        {"fo", "Zm8"},      {"foo", "Zm9v"},
                                                        {"foob", "Zm9vYg"}, {"\xfb\xff", "-_8"}};
  for (const auto& [text, expected] : kCases) {
    const std::string bytes = text;
    EXPECT_EQ(base64url({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}), expected);
  }
}

}  // namespace
}  // namespace fairlead::dns
