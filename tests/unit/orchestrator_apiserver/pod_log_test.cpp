// SPDX-License-Identifier: Apache-2.0
// Logs through the API server: a node played by the test, of any size, at the client's pace.
#include <gmock/gmock.h>

#include "base/tls/certificate.h"
#include "orchestrator/apiserver/kind.h"
#include "tests/support/pattern.h"
#include "tests/unit/orchestrator_apiserver/server_fixture.h"

namespace fairlead::orchestrator {
namespace {

using apiserver::Json;
using apiserver::string_at;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

constexpr size_t kTotal = 80 << 20;  // of a large log

class PodLog : public ServerFixture {
 protected:
  void SetUp() override {
    authority_ = *tls::make_authority("node", loop_.clock().wall_now(), std::chrono::hours(1));
    tls::CertificateSpec spec;
    spec.common_name = "node";
    spec.server_auth = true;
    spec.ip_addresses = {IpAddress::v4(127, 0, 0, 1)};
    spec.not_before = loop_.clock().wall_now() - seconds(60);
    spec.validity = std::chrono::hours(1);
    const auto certificate = tls::issue_certificate(authority_, spec);
    ASSERT_TRUE(certificate.ok());
    HttpServerOptions options;
    options.tls = TlsServerConfig{certificate->certificate_pem, certificate->key_pem, ""};
    node_ = std::make_unique<HttpServer>(
        loop_, options,
        [this](HttpServerRequest request, std::shared_ptr<HttpResponder> responder) {
          asked_ = std::move(request);
          answer_(std::move(responder));
        });
    port_ = node_->listen({IpAddress::v4(127, 0, 0, 1), 0})->port;
    ServerFixture::SetUp();
    const Json addresses = Json::array({{{"type", "InternalIP"}, {"address", "127.0.0.1"}}});
    ASSERT_EQ(
        ask("POST", "/api/v1/nodes",
            Json{{"metadata", {{"name", "n"}}}, {"status", {{"addresses", addresses}}}}.dump())
            .status,
        201);
    const Json containers = Json::array({{{"name", "c"}, {"image", "i"}}});
    ASSERT_EQ(ask("POST", "/api/v1/namespaces/default/pods",
                  Json{{"metadata", {{"name", "p"}}},
                       {"spec", {{"nodeName", "n"}, {"containers", containers}}}}
                      .dump())
                  .status,
              201);
  }
  void TearDown() override {
    stream_.reset();
    ServerFixture::TearDown();
    node_.reset();
  }
  void adjust(ApiServerOptions& options) override {
    options.make_log_source = [this](Loop& loop) {
      TlsClientConfig tls;
      tls.ca_pem = authority_.certificate_pem;
      return apiserver::make_node_log_source(loop, tls, port_);
    };
  }

  // Writes on as long as the API server takes it.
  void pump() {
    while (sent_ < kTotal) {
      constexpr size_t kChunk = 64 * 1024;
      sent_ += kChunk;
      if (!stream_->write(test::pattern(sent_ - kChunk, kChunk))) return;
    }
    stream_->finish();
  }
  void serve_large_log() {
    answer_ = [this](std::shared_ptr<HttpResponder> responder) {
      stream_ = std::move(responder);
      stream_->start(200, {});
      stream_->on_drained([this] { pump(); });
      pump();
    };
  }
  HttpCall read_log(std::function<void(std::string_view)> on_body) {
    HttpRequest request;
    request.url = url(kPath);
    return admin_->send(std::move(request),
                        {[this](const HttpResponseHead& head) { head_ = head; }, std::move(on_body),
                         [this](Result<HttpResponseHead> result) { result_ = std::move(result); }});
  }

  static constexpr const char* kPath = "/api/v1/namespaces/default/pods/p/log";
  tls::CertificateAndKey authority_;
  std::unique_ptr<HttpServer> node_;
  uint16_t port_ = 0;
  std::function<void(std::shared_ptr<HttpResponder>)> answer_;
  HttpServerRequest asked_;
  std::shared_ptr<HttpResponder> stream_;
  size_t sent_ = 0;
  HttpResponseHead head_;
  std::optional<Result<HttpResponseHead>> result_;
};

TEST_F(PodLog, TheQueryReachesTheNode) {
  answer_ = [](const std::shared_ptr<HttpResponder>& r) { r->respond(200, {}, "line\n"); };
  const HttpResponse answer =
      ask("GET", std::string(kPath) +
                     "?container=c&follow=true&tailLines=7&timestamps=true"
                     "&previous=true&limitBytes=100&sinceTime=2026-01-02T03:04:05Z");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "line\n");
  EXPECT_EQ(answer.headers.get("content-type"), "text/plain");
  EXPECT_EQ(asked_.path, "/containerLogs/default/p/c");
  for (const auto& [name, value] :
       std::map<std::string, std::string>{{"follow", "true"},
                                          {"tailLines", "7"},
                                          {"timestamps", "true"},
                                          {"previous", "true"},
                                          {"limitBytes", "100"},
                                          {"sinceTime", "2026-01-02T03:04:05Z"}})
    EXPECT_EQ(asked_.query_value(name), value) << name;
  EXPECT_FALSE(asked_.query_value("container"));
  ask("GET", std::string(kPath) + "?sinceSeconds=9");
  EXPECT_EQ(asked_.query_value("sinceSeconds"), "9");
}

TEST_F(PodLog, ALargeLogArrivesWholeAndNobodyHoldsIt) {
  serve_large_log();
  constexpr size_t kStep = 1 << 20;
  size_t received = 0, wrong = 0, pause_at = kStep;
  HttpCall call;
  call = read_log([&](std::string_view chunk) {
    if (chunk != test::pattern(received, chunk.size())) ++wrong;
    received += chunk.size();
    if (received < pause_at) return;
    pause_at = received + kStep;
    call.pause();
  });
  ASSERT_TRUE(loop_.run_until([&] { return received >= kStep; }, seconds(60)));
  // The client has stopped: so does the node, once the buffers between are full.
  for (size_t before = sent_ + 1; before != sent_;) {
    before = sent_;
    loop_.run_until([] { return false; }, milliseconds(300));
  }
  EXPECT_LT(sent_, kTotal / 2) << "sockets' buffers and a mebibyte on each side";
  EXPECT_FALSE(result_);
  Timer again(loop_);  // in fits and starts to the end
  again.start_every(milliseconds(1), [&] { call.resume(); });
  ASSERT_TRUE(loop_.run_until([&] { return result_.has_value(); }, seconds(120)));
  EXPECT_TRUE(result_->ok());
  EXPECT_EQ(received, kTotal);
  EXPECT_EQ(wrong, 0u);
}

TEST_F(PodLog, AClientThatGoesEndsTheReading) {
  serve_large_log();
  size_t received = 0;
  HttpCall call = read_log([&](std::string_view chunk) { received += chunk.size(); });
  ASSERT_TRUE(loop_.run_until([&] { return received > 0; }, seconds(60)));
  call.cancel();
  EXPECT_TRUE(loop_.run_until([&] { return stream_->closed(); }, seconds(60)));
}

TEST_F(PodLog, ALogThatBreaksOffIsNoWholeOne) {
  serve_large_log();
  size_t received = 0;
  HttpCall call = read_log([&](std::string_view chunk) { received += chunk.size(); });
  ASSERT_TRUE(loop_.run_until([&] { return received > 0; }, seconds(60)));
  stream_.reset();  // the node dies
  ASSERT_TRUE(loop_.run_until([&] { return result_.has_value(); }, seconds(60)));
  EXPECT_FALSE(result_->ok()) << "the client sees that the end is missing";
}

struct Failure {
  int node_status;
  const char* node_body;
  int status;
  const char* reason;
  const char* message;
};
const Failure kFailures[] = {
    {404, R"({"kind":"Status","message":"the log cannot be read: gone"})", 404, "NotFound",
     "the log cannot be read: gone"},
    {400, R"({"kind":"Status","message":"container \"c\" is waiting to start"})", 400, "BadRequest",
     "container \"c\" is waiting to start"},
    {400, "plain words", 400, "BadRequest", "plain words"},
    {401, R"({"kind":"Status","message":"Unauthorized"})", 500, "InternalError",
     "the node answered 401: Unauthorized"},
    {429, "too many", 503, "ServiceUnavailable", "too many"},
    {500, "", 500, "InternalError", "the node answered 500"},
};

TEST_F(PodLog, AFailureOfTheNodeIsAStatus) {
  for (const Failure& c : kFailures) {
    answer_ = [&](const std::shared_ptr<HttpResponder>& r) {
      r->respond(c.node_status, {}, c.node_body);
    };
    const HttpResponse answer = ask("GET", kPath);
    EXPECT_EQ(answer.status, c.status) << c.node_body;
    EXPECT_EQ(string_at(json(answer), "kind"), "Status") << answer.body;
    EXPECT_EQ(string_at(json(answer), "reason"), c.reason) << answer.body;
    EXPECT_THAT(string_at(json(answer), "message"), HasSubstr(c.message));
  }
  node_.reset();
  const HttpResponse dead = ask("GET", kPath);
  EXPECT_EQ(dead.status, 500);
  EXPECT_THAT(string_at(json(dead), "message"), HasSubstr("the node cannot be asked"));
}

TEST_F(PodLog, WrongOptionsAreRefusedBeforeTheNodeIsAsked) {
  struct Wrong {
    const char* query;
    int status;
    const char* message;
  };
  const Wrong kWrong[] = {
      {"tailLines=-1", 422, "tailLines: Invalid value: -1: must be greater than or equal to 0"},
      {"limitBytes=0", 422, "limitBytes: Invalid value: 0: must be greater than 0"},
      {"sinceSeconds=0", 422, "sinceSeconds: Invalid value: 0"},
      {"tailLines=many", 400, "tailLines is \"many\", not a number"},
      {"sinceTime=yesterday", 400, "sinceTime is \"yesterday\""},
      {"sinceSeconds=1&sinceTime=2026-01-02T03:04:05Z", 422, "[]: Forbidden: at most one of"},
      {"stream=Stderr", 422, "stream: Forbidden: may not be specified"},
      {"container=nope", 400, "container nope is not valid for pod p"},
  };
  answer_ = [](const std::shared_ptr<HttpResponder>&) { ADD_FAILURE() << "the node was asked"; };
  for (const Wrong& c : kWrong) {
    const HttpResponse answer = ask("GET", std::string(kPath) + "?" + c.query);
    EXPECT_EQ(answer.status, c.status) << c.query;
    EXPECT_THAT(string_at(json(answer), "message"), HasSubstr(c.message));
  }
}

}  // namespace
}  // namespace fairlead::orchestrator
