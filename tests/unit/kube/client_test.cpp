// SPDX-License-Identifier: Apache-2.0
#include "kube/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/kube/fake_transport.h"

namespace fairlead::kube {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

TEST(ResourcePath, Parts) {
  EXPECT_EQ(resource_path("/api/v1", "nodes"), "/api/v1/nodes");
  EXPECT_EQ(resource_path("/api/v1", "nodes", "", "a b"), "/api/v1/nodes/a%20b");
  EXPECT_EQ(resource_path("/api/v1", "pods", "d/x", "p", "status"),
            "/api/v1/namespaces/d%2Fx/pods/p/status");
  EXPECT_EQ(resource_path("/apis/apps/v1", "deployments", "d"),
            "/apis/apps/v1/namespaces/d/deployments");
}

struct ErrorCase {
  int status;
  const char* reason;
  ErrorCode code;
};
const ErrorCase kErrors[] = {
    {400, "BadRequest", ErrorCode::kInvalid},
    {401, "Unauthorized", ErrorCode::kPermission},
    {403, "Forbidden", ErrorCode::kPermission},
    {404, "NotFound", ErrorCode::kNotFound},
    {405, "MethodNotAllowed", ErrorCode::kUnsupported},
    {406, "NotAcceptable", ErrorCode::kUnsupported},
    {408, "Timeout", ErrorCode::kTimeout},
    {409, "AlreadyExists", ErrorCode::kAlreadyExists},
    {409, "Conflict", ErrorCode::kConflict},
    {410, "Expired", ErrorCode::kExpired},
    {410, "Gone", ErrorCode::kExpired},
    {415, "UnsupportedMediaType", ErrorCode::kUnsupported},
    {422, "Invalid", ErrorCode::kInvalid},
    {429, "TooManyRequests", ErrorCode::kResourceExhausted},
    {500, "InternalError", ErrorCode::kUnavailable},
    {503, "ServiceUnavailable", ErrorCode::kUnavailable},
    {504, "Timeout", ErrorCode::kTimeout},
    {302, "", ErrorCode::kInternal},
};

TEST(ResponseError, CodesAndMessages) {
  for (const ErrorCase& c : kErrors) {
    const std::string body = R"({"kind":"Status","message":"pods \"a\" is odd","reason":")" +
                             std::string(c.reason) + R"(","code":)" + std::to_string(c.status) +
                             "}";
    const Error error = response_error(c.status, body);
    EXPECT_EQ(error.code(), c.code) << c.status << " " << c.reason;
    EXPECT_EQ(error.message(), "pods \"a\" is odd");
  }
  EXPECT_EQ(response_error(502, "<html>\nBad\x01 gateway</html>\n").message(),
            "HTTP 502 Bad Gateway: <html> Bad  gateway</html>");
  EXPECT_EQ(response_error(404, "").message(), "HTTP 404 Not Found");
  EXPECT_EQ(response_error(409, "").code(), ErrorCode::kConflict);
  EXPECT_EQ(response_error(403, R"({"kind":"Status","reason":"Forbidden"})").message(),
            "HTTP 403 Forbidden: Forbidden");
  EXPECT_LT(response_error(500, std::string(100000, 'x')).message().size(), 300u);
}

TEST(RetryAfter, HeaderThenDetails) {
  const std::string body = R"({"kind":"Status","details":{"retryAfterSeconds":7}})";
  EXPECT_EQ(retry_after({{"retry-after", "3"}}, body), Duration(seconds(3)));
  EXPECT_EQ(retry_after({}, body), Duration(seconds(7)));
  EXPECT_EQ(retry_after({{"Retry-After", "Wed, 21 Oct 2026 07:28:00 GMT"}}, body),
            Duration(seconds(7)));
  EXPECT_EQ(retry_after({{"Retry-After", "999999999999999999999"}}, ""), std::nullopt);
  EXPECT_EQ(retry_after({{"Retry-After", "99999"}}, ""), Duration(seconds(300)));
  EXPECT_EQ(retry_after({{"Retry-After", "-5"}}, ""), std::nullopt);
  EXPECT_EQ(retry_after({}, ""), std::nullopt);
}

class ApiClientTest : public testing::Test {
 protected:
  ApiClientTest() {
    ClientConfig config;
    config.server = "https://api";
    config.token.file = "/token";
    config.certificate.file = "/crt";
    config.key.file = "/key";
    credentials_ = std::make_unique<Credentials>(*Credentials::load(
        clock_, config,
        [this](const std::string& path) -> Result<std::string> { return path + generation_; }));
    api_ = std::make_unique<ApiClient>(transport_, *credentials_, "test/1",
                                       [this](const TlsClientConfig& tls) { tls_ = tls; });
  }
  ManualClock clock_;
  FakeTransport transport_;
  std::string generation_ = "-1";
  std::unique_ptr<Credentials> credentials_;
  std::optional<TlsClientConfig> tls_;
  std::unique_ptr<ApiClient> api_;
  std::vector<Result<HttpResponse>> results_;
  std::function<void(Result<HttpResponse>)> keep_ = [this](Result<HttpResponse> result) {
    results_.push_back(std::move(result));
  };
};

TEST_F(ApiClientTest, SendsWhatAnApiServerExpects) {
  ApiRequest request{
      "PATCH", "/api/v1/nodes/a", {{"fieldManager", "fairlead node"}, {"dryRun", ""}, {"x", "&="}}};
  request.body = "{}";
  request.content_type = "application/merge-patch+json";
  const HttpCall call = api_->request(request, keep_);
  const auto sent = transport_.last();
  EXPECT_EQ(sent->request().method, "PATCH");
  EXPECT_EQ(sent->request().url,
            "https://api/api/v1/nodes/a?fieldManager=fairlead%20node&x=%26%3D");
  EXPECT_EQ(sent->request().body, "{}");
  EXPECT_EQ(sent->header("Content-Type"), "application/merge-patch+json");
  EXPECT_EQ(sent->header("Authorization"), "Bearer /token-1");
  EXPECT_EQ(sent->request().total_timeout, Duration(seconds(30)));
  sent->respond(200, "{\"ok\":1}");
  ASSERT_EQ(results_.size(), 1u);
  ASSERT_TRUE(results_[0].ok());
  EXPECT_EQ(results_[0]->body, "{\"ok\":1}");
}

TEST_F(ApiClientTest, ErrorsSayWhatWasAsked) {
  const HttpCall call = api_->request({"GET", "/api/v1/nodes/a"}, keep_);
  EXPECT_EQ(transport_.last()->header("Content-Type"), "");
  transport_.last()->respond(
      404, R"({"kind":"Status","message":"nodes \"a\" not found","reason":"NotFound","code":404})");
  ASSERT_EQ(results_.size(), 1u);
  ASSERT_FALSE(results_[0].ok());
  EXPECT_TRUE(results_[0].error().is_not_found());
  EXPECT_EQ(results_[0].error().message(), "GET /api/v1/nodes/a: nodes \"a\" not found");

  const HttpCall other = api_->request({"GET", "/x"}, keep_);
  transport_.last()->fail(Error(ErrorCode::kUnavailable, "connection refused"));
  EXPECT_EQ(results_[1].error().message(), "GET /x: connection refused");
}

TEST_F(ApiClientTest, AResponseThatIsTooLongIsRefused) {
  ApiRequest request{"GET", "/x"};
  request.max_response_bytes = 10;
  const HttpCall call = api_->request(request, keep_);
  transport_.last()->head(200);
  transport_.last()->body("12345678901");
  transport_.last()->done();
  ASSERT_EQ(results_.size(), 1u);
  EXPECT_EQ(results_[0].error().code(), ErrorCode::kResourceExhausted);
}

TEST_F(ApiClientTest, UnauthorizedLeadsToFreshCredentials) {
  clock_.advance(seconds(5));
  const HttpCall call = api_->request({"GET", "/x"}, keep_);
  generation_ = "-2";
  transport_.last()->respond(401, "");
  EXPECT_EQ(results_[0].error().code(), ErrorCode::kPermission);
  EXPECT_FALSE(tls_);
  const HttpCall again = api_->request({"GET", "/x"}, keep_);
  EXPECT_EQ(transport_.last()->header("Authorization"), "Bearer /token-2");
  ASSERT_TRUE(tls_);
  EXPECT_EQ(tls_->certificate_pem, "/crt-2");
  EXPECT_EQ(tls_->key_pem, "/key-2");
}

TEST_F(ApiClientTest, CancellingSaysNothing) {
  HttpCall call = api_->request({"GET", "/x"}, keep_);
  const auto sent = transport_.last();
  call.cancel();
  EXPECT_FALSE(sent->open());
  sent->respond(200, "");
  EXPECT_TRUE(results_.empty());
}

}  // namespace
}  // namespace fairlead::kube
