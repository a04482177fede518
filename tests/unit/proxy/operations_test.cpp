// SPDX-License-Identifier: Apache-2.0
#include "proxy/operations.h"

#include <gmock/gmock.h>

#include "tests/support/ports.h"
#include "tests/unit/proxy/http_fixture.h"

namespace fairlead::proxy {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

const IpAddress kHere = IpAddress::v4(127, 0, 0, 1);

class OperationsTest : public test::HttpTest {
 protected:
  OperationsTest()
      : operations_(loop_, metrics_,
                    {R"({"kubeproxy.config.k8s.io":{}})",
                     {{"cluster-cidr", "10.0.0.0/8"}},
                     "fairlead-proxy 1",
                     loop_.clock().wall_now() - 3723s},
                    [this] { return healthy_; }) {
    const auto bound = operations_.server().listen({kHere, 0});
    EXPECT_TRUE(bound.ok());
    address_ = *bound;
  }
  HttpResponse page(const std::string& path) { return get(address_, path); }

  bool healthy_ = true;
  Metrics metrics_;
  Operations operations_;
  SocketAddress address_;
};

TEST_F(OperationsTest, PagesThatTakeAMoment) {
  Alarm later;
  const auto text = [&](const std::string& what) {
    return [this, &later, what](const std::function<void(std::string)>& tell) {
      later = loop_.clock().after(1ms, [tell, what] { tell(what); });
    };
  };
  operations_.set_stat(text("{\"node\":\"n1\"}"));
  operations_.set_more_metrics(text("services_total 7\n"));
  metrics_.counter("things_total", "Things").add(3);
  EXPECT_EQ(page("/stat").body, "{\"node\":\"n1\"}");
  const std::string metrics = page("/metrics").body;
  EXPECT_THAT(metrics, HasSubstr("things_total 3\n"));
  EXPECT_TRUE(metrics.ends_with("\nservices_total 7\n")) << metrics;
}

TEST_F(OperationsTest, Pages) {
  metrics_.counter("things_total", "Things").add(3);
  const std::tuple<const char*, int, const char*> cases[] = {
      {"/metrics", 200, "things_total 3"},
      {"/healthz", 200, "ok"},
      {"/proxyMode", 200, "nftables"},
      {"/configz", 200, R"({"kubeproxy.config.k8s.io":{}})"},
      {"/flagz", 200, "\ncluster-cidr=10.0.0.0/8\n"},
      {"/statusz", 200, "Up: 1 hr 2 min 3"},
      {"/debug/pprof/heap", 501, "use perf(1)"},
      {"/debug/flags/v", 501, "use perf(1)"},
      {"/", 404, "not found"},
      {"/livez", 404, "not found"},
  };
  for (const auto& [path, status, text] : cases) {
    const HttpResponse response = page(path);
    EXPECT_EQ(response.status, status) << path;
    EXPECT_THAT(response.body, HasSubstr(text)) << path;
  }
  EXPECT_EQ(page("/stat").status, 404) << "nobody who knows";
  EXPECT_EQ(page("/proxyMode").body, "nftables");
  EXPECT_EQ(get(address_, "/metrics", "POST").status, 405);
}

TEST_F(OperationsTest, Slis) {
  EXPECT_THAT(page("/metrics/slis").body,
              HasSubstr(R"(kubernetes_healthcheck{name="dataplane",type="healthz"} 1)"));
  healthy_ = false;
  const std::string body = page("/metrics/slis").body;
  EXPECT_THAT(body, HasSubstr(R"(kubernetes_healthcheck{name="dataplane",type="healthz"} 0)"));
  EXPECT_THAT(body, HasSubstr(R"(status="success",type="healthz"} 1)"));
  EXPECT_THAT(body, HasSubstr(R"(status="error",type="healthz"} 1)"));
}

class ListenerTest : public test::HttpTest {
 protected:
  HttpServer server_{loop_, HttpServerOptions(),
                     [](auto, const auto& to) { to->respond(200, {}, ""); }};
  PatientListener listener_{loop_, server_, 50ms};
};

TEST_F(ListenerTest, TakesTheAddressOnceItIsFree) {
  const uint16_t port = fairlead::test::free_port();
  auto squatter = std::make_unique<HttpServer>(loop_, HttpServerOptions(), nullptr);
  ASSERT_TRUE(squatter->listen({kHere, port}).ok());
  const Result<void> bound =
      listener_.listen("--flag", SocketAddress{kHere, port}.to_string(), false);
  ASSERT_FALSE(bound.ok());
  EXPECT_THAT(bound.error().message(), testing::StartsWith("--flag: "));
  squatter.reset();
  EXPECT_TRUE(run_until([&] { return listener_.listening(); }));
  EXPECT_EQ(get({kHere, port}, "/").status, 200);
}

TEST_F(ListenerTest, EveryAddressOfBothFamilies) {
  const uint16_t port = fairlead::test::free_port();
  ASSERT_TRUE(listener_.listen("--flag", "0.0.0.0:" + std::to_string(port), true).ok());
  EXPECT_EQ(get({kHere, port}, "/").status, 200);
}

TEST_F(ListenerTest, NowhereAndNonsense) {
  EXPECT_TRUE(listener_.listen("--flag", "", true).ok());
  EXPECT_FALSE(listener_.listening());
  EXPECT_FALSE(listener_.listen("--flag", "nowhere", false).ok());
}

}  // namespace
}  // namespace fairlead::proxy
