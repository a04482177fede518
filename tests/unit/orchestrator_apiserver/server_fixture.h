// SPDX-License-Identifier: Apache-2.0
// An API server over HTTPS on loopback with a store of its own, and an administrator to ask it.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/http/client.h"
#include "orchestrator/apiserver/json.h"
#include "orchestrator/apiserver/server.h"

namespace fairlead::orchestrator {

class ServerFixture : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "fairlead-api-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    PkiOptions pki_options;
    pki_options.directory = directory_ / "pki";
    pki_options.server_url = "https://127.0.0.1:6443";
    pki_options.nodes = {{"n1", {IpAddress::v4(10, 1, 2, 3)}}};
    auto pki = ensure_pki(pki_options, std::chrono::system_clock::now());
    ASSERT_TRUE(pki.ok()) << pki.error().message();
    pki_ = *pki;
    ApiServerOptions options;
    options.data_dir = directory_ / "store";
    options.bind = {IpAddress::v4(127, 0, 0, 1), 0};
    options.advertise = IpAddress::v4(192, 0, 2, 1);
    options.service_cidr = *Cidr::parse("10.96.0.0/16");
    options.pki = pki_;
    adjust(options);
    server_ = std::make_unique<ApiServer>(options);
    auto started = server_->start();
    ASSERT_TRUE(started.ok()) << started.error().message();
    anonymous_ = std::make_unique<HttpClient>(
        loop_, TlsClientConfig{pki_.authority.certificate_pem, "", "", "", false});
    admin_ = client_of("admin");
  }
  void TearDown() override {
    admin_.reset();
    anonymous_.reset();
    server_.reset();
    std::filesystem::remove_all(directory_);
  }
  virtual void adjust(ApiServerOptions&) {}

  static std::string read(const std::filesystem::path& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }

  // Who shows the certificate pki/NAME.crt.
  std::unique_ptr<HttpClient> client_of(const std::string& name) {
    TlsClientConfig tls;
    tls.ca_pem = pki_.authority.certificate_pem;
    tls.certificate_pem = read(directory_ / "pki" / (name + ".crt"));
    tls.key_pem = read(directory_ / "pki" / (name + ".key"));
    return std::make_unique<HttpClient>(loop_, tls);
  }

  HttpResponse ask(HttpClient& client, HttpRequest request) {
    std::optional<Result<HttpResponse>> result;
    request.url = url(request.url);
    HttpCall call = fetch(client, std::move(request), 16 << 20,
                          [&](Result<HttpResponse> r) { result = std::move(r); });
    EXPECT_TRUE(loop_.run_until([&] { return result.has_value(); }, std::chrono::seconds(30)));
    if (!result || !*result) {
      ADD_FAILURE() << (result ? result->error().message() : "no answer");
      return {};
    }
    return **result;
  }
  HttpResponse ask(HttpClient& client, const std::string& method, const std::string& path,
                   const std::string& body = "", const std::string& type = "application/json",
                   HttpHeaders headers = {}) {
    HttpRequest request;
    request.method = method;
    request.url = path;
    request.body = body;
    request.headers = std::move(headers);
    if (!body.empty()) request.headers.add("content-type", type);
    return ask(client, std::move(request));
  }
  HttpResponse ask(const std::string& method, const std::string& path, const std::string& body = "",
                   const std::string& type = "application/json", HttpHeaders headers = {}) {
    return ask(*admin_, method, path, body, type, std::move(headers));
  }
  std::string url(const std::string& path) const {
    return "https://" + server_->address().to_string() + path;
  }
  static apiserver::Json json(const HttpResponse& response) {
    return apiserver::Json::parse(response.body, nullptr, false);
  }

  Loop loop_;
  std::filesystem::path directory_;
  Pki pki_;
  std::unique_ptr<ApiServer> server_;
  std::unique_ptr<HttpClient> admin_, anonymous_;
};

}  // namespace fairlead::orchestrator
