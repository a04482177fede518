// SPDX-License-Identifier: Apache-2.0
// The whole of it over real sockets: kubeconfig, TLS, credentials, HTTP client, reflector, store;
// on the other side the project's own HTTP server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/http/server.h"
#include "base/tls/certificate.h"
#include "kube/cluster.h"
#include "kube/reflector.h"

namespace fairlead::kube {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::HasSubstr;

std::string service(const std::string& name, int version) {
  return R"({"metadata":{"name":")" + name + R"(","namespace":"d","resourceVersion":")" +
         std::to_string(version) + R"("},"spec":{"clusterIP":"10.0.0.)" +
         std::to_string(version % 250) + "\"}}";
}

class LoopbackTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/fairlead-loopback-XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    folder_ = pattern;
    const WallTime now = loop_.clock().wall_now();
    authority_ = *tls::make_authority("test-ca", now - hours(1), hours(24));
    tls::CertificateSpec server;
    server.common_name = "kube-apiserver";
    server.ip_addresses = {IpAddress::v4(127, 0, 0, 1)};
    server.server_auth = true;
    server.not_before = now - hours(1);
    server.validity = hours(24);
    certificate_ = *tls::issue_certificate(authority_, server);
    tls::CertificateSpec client = server;
    client.common_name = "system:node:n1";
    client.organizations = {"system:nodes"};
    client.server_auth = false;
    client.client_auth = true;
    client_ = *tls::issue_certificate(authority_, client);
    write("ca.crt", authority_.certificate_pem);
    write("client.crt", client_.certificate_pem);
    write("client.key", client_.key_pem);
    write("token", "good");
  }
  void TearDown() override {
    reflector_.reset();
    cluster_.reset();
    server_.reset();
    std::filesystem::remove_all(folder_);
  }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name, std::ios::trunc) << text;
  }
  void serve(HttpHandler handler) {
    HttpServerOptions options;
    options.tls = TlsServerConfig{certificate_.certificate_pem, certificate_.key_pem,
                                  authority_.certificate_pem};
    server_ = std::make_unique<HttpServer>(loop_, options, std::move(handler));
    const Result<SocketAddress> bound = server_->listen({IpAddress::v4(127, 0, 0, 1), port_});
    ASSERT_TRUE(bound.ok()) << bound.error().message();
    port_ = bound->port;
  }
  void connect(const std::string& user, bool watch_list = true) {
    write("kubeconfig",
          "current-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"
          "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:" +
              std::to_string(port_) +
              "', certificate-authority: ca.crt}}]\nusers: [{name: u, user: " + user + "}]\n");
    const Result<ClientConfig> config = find_config(folder_ + "/kubeconfig");
    ASSERT_TRUE(config.ok()) << config.error().message();
    auto cluster = Cluster::connect(loop_, *config, "loopback/1");
    ASSERT_TRUE(cluster.ok()) << cluster.error().message();
    cluster_ = *std::move(cluster);
    ReflectorOptions options;
    options.watch_list = watch_list;
    reflector_ =
        std::make_unique<TypedReflector<Service>>(loop_.clock(), cluster_->api(), store_, options);
    reflector_->start();
  }
  bool until(const std::function<bool()>& done) { return loop_.run_until(done, seconds(30)); }

  Loop loop_;
  std::string folder_;
  uint16_t port_ = 0;
  tls::CertificateAndKey authority_, certificate_, client_;
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<Cluster> cluster_;
  Store<Service> store_;
  std::unique_ptr<TypedReflector<Service>> reflector_;
};

TEST_F(LoopbackTest, WatchListWithABearerTokenAndAServerThatRestarts) {
  std::vector<std::string> targets;
  std::shared_ptr<HttpResponder> stream;
  const HttpHandler handler = [&](HttpServerRequest request,
                                  std::shared_ptr<HttpResponder> responder) {
    targets.push_back(request.target);
    EXPECT_EQ(request.headers.get("Authorization"), "Bearer good");
    EXPECT_EQ(request.headers.get("User-Agent"), "loopback/1");
    EXPECT_EQ(request.path, "/api/v1/services");
    stream = responder;
    stream->start(200, {{"Content-Type", "application/json"}});
    if (request.query_value("sendInitialEvents") != "true") return;
    for (int i = 1; i <= 1000; ++i)
      stream->write(R"({"type":"ADDED","object":)" + service("s" + std::to_string(i), i) + "}\n");
    stream->write(R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"1000",)"
                  R"("annotations":{"k8s.io/initial-events-end":"true"}}}})"
                  "\n");
  };
  serve(handler);
  connect("{tokenFile: token}");
  ASSERT_TRUE(until([&] { return store_.synced(); }));
  EXPECT_EQ(store_.size(), 1000u);
  stream->write(R"({"type":"DELETED","object":)" + service("s7", 1001) + "}\n");
  ASSERT_TRUE(until([&] { return store_.size() == 999; }));

  stream.reset();
  server_.reset();
  ASSERT_TRUE(until([&] { return !reflector_->status().watching; }));
  serve(handler);
  ASSERT_TRUE(until([&] { return reflector_->status().watching; }));
  EXPECT_THAT(targets.back(), HasSubstr("resourceVersion=1001"));
  stream->write(R"({"type":"ADDED","object":)" + service("new", 1002) + "}\n");
  ASSERT_TRUE(until([&] { return store_.find({"d", "new"}) != nullptr; }));
  EXPECT_EQ(store_.size(), 1000u);
  EXPECT_EQ(reflector_->status().lists, 1u);
}

TEST_F(LoopbackTest, PagesWithAClientCertificateOnOneConnection) {
  std::set<uint16_t> client_ports;
  std::shared_ptr<HttpResponder> stream;
  serve([&](HttpServerRequest request, std::shared_ptr<HttpResponder> responder) {
    client_ports.insert(request.peer.port);
    ASSERT_TRUE(request.client);
    EXPECT_EQ(request.client->common_name, "system:node:n1");
    if (request.query_value("sendInitialEvents"))
      return responder->respond(422, {}, R"({"kind":"Status","code":422,"message":"not here"})");
    if (request.query_value("watch")) {
      EXPECT_EQ(request.query_value("resourceVersion"), "99");
      stream = responder;
      return responder->start(200, {});
    }
    const int page = std::atoi(std::string(request.query_value("continue").value_or("0")).c_str());
    std::string items;
    for (int i = 0; i < 500; ++i)
      items += (i > 0 ? "," : "") + service("s" + std::to_string(page * 500 + i), i);
    responder->respond(200, {},
                       R"({"metadata":{"resourceVersion":"99","continue":")" +
                           (page < 9 ? std::to_string(page + 1) : "") + R"("},"items":[)" + items +
                           "]}");
  });
  connect("{client-certificate: client.crt, client-key: client.key}");
  ASSERT_TRUE(until([&] { return reflector_->status().watching; }));
  EXPECT_EQ(store_.size(), 5000u);
  EXPECT_EQ(client_ports.size(), 1u);
}

TEST_F(LoopbackTest, ATokenThatIsReplacedWhenItIsRefused) {
  int refused = 0;
  serve([&](HttpServerRequest request, std::shared_ptr<HttpResponder> responder) {
    if (request.headers.get("Authorization") != "Bearer new") {
      ++refused;
      write("token", "new\n");
      return responder->respond(401, {},
                                R"({"kind":"Status","code":401,"message":"Unauthorized"})");
    }
    responder->respond(200, {}, R"({"metadata":{"resourceVersion":"5"},"items":[]})");
  });
  connect("{tokenFile: token}", false);
  ASSERT_TRUE(until([&] { return store_.synced(); }));
  EXPECT_LE(refused, 2);
}

TEST_F(LoopbackTest, AnotherAuthorityIsNotTrusted) {
  bool asked = false;
  serve([&](HttpServerRequest, std::shared_ptr<HttpResponder> responder) {
    asked = true;
    responder->respond(200, {}, "{}");
  });
  write("ca.crt",
        tls::make_authority("other", loop_.clock().wall_now(), hours(1))->certificate_pem);
  connect("{tokenFile: token}");
  ASSERT_TRUE(until([&] { return reflector_->status().failures > 0; }));
  EXPECT_FALSE(asked);
  EXPECT_FALSE(store_.synced());
  EXPECT_THAT(reflector_->status().last_error->message(), HasSubstr("certificate"));
}

TEST_F(LoopbackTest, NobodyListens) {
  serve([](HttpServerRequest, std::shared_ptr<HttpResponder>) {});
  server_.reset();
  connect("{tokenFile: token}");
  ASSERT_TRUE(until([&] { return reflector_->status().failures > 0; }));
  EXPECT_EQ(reflector_->status().last_error->code(), ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace fairlead::kube
