// SPDX-License-Identifier: Apache-2.0
#include "proxy/service_health.h"

#include <gmock/gmock.h>

#include "tests/support/ports.h"
#include "tests/support/raw_client.h"
#include "tests/unit/proxy/http_fixture.h"

namespace fairlead::proxy {
namespace {

using fairlead::test::free_port;
using testing::ElementsAre;
using testing::IsEmpty;

const IpAddress kHere = IpAddress::v4(127, 0, 0, 1);
const kube::ObjectKey kWeb{"shop", "web"};
const kube::ObjectKey kApi{"shop", "api"};

TEST(ServiceHealthBody, AsKubeProxyWritesIt) {
  EXPECT_EQ(service_health_json(kWeb, 2, true),
            "{\n\t\"service\": {\n\t\t\"namespace\": \"shop\",\n\t\t\"name\": \"web\"\n\t},\n"
            "\t\"localEndpoints\": 2,\n\t\"serviceProxyHealthy\": true\n}");
}

class ServiceHealthTest : public test::HttpTest {
 protected:
  ServiceHealthTest()
      : health_(
            loop_, [this] { return proxy_healthy_; },
            [this](const kube::ObjectKey& service, uint16_t port, const Error& error) {
              failures_.push_back(service.to_string() + " " + std::to_string(port));
              last_error_ = error.message();
            },
            std::chrono::milliseconds(100)) {}
  int status(uint16_t port, const std::string& path = "/") {
    return get({kHere, port}, path).status;
  }

  bool proxy_healthy_ = true;
  std::vector<std::string> failures_;
  std::string last_error_;
  ServiceHealth health_;
};

TEST_F(ServiceHealthTest, AnswersByLocalEndpointsAndTheProxysHealth) {
  const uint16_t port = free_port();
  health_.set_addresses({kHere});
  health_.update({{kWeb, port, 2}});
  const HttpResponse good = get({kHere, port}, "/any/path?x=1");
  EXPECT_EQ(good.status, 200);
  EXPECT_EQ(good.headers.get("X-Load-Balancing-Endpoint-Weight"), "2");
  EXPECT_EQ(good.headers.get("Content-Type"), "application/json");
  EXPECT_EQ(good.headers.get("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(good.body, service_health_json(kWeb, 2, true));
  EXPECT_EQ(get({kHere, port}, "/", "POST").status, 200);

  health_.update({{kWeb, port, 0}});
  const HttpResponse empty = get({kHere, port}, "/");
  EXPECT_EQ(empty.status, 503);
  EXPECT_EQ(empty.headers.get("X-Load-Balancing-Endpoint-Weight"), "0");

  health_.update({{kWeb, port, 1}});
  proxy_healthy_ = false;
  EXPECT_EQ(status(port), 503);
  EXPECT_EQ(get({kHere, port}, "/").body, service_health_json(kWeb, 1, false));
}

TEST_F(ServiceHealthTest, OpensAndClosesAsServicesComeAndGo) {
  const uint16_t first = free_port(), second = free_port();
  health_.update({{kWeb, first, 1}});
  EXPECT_EQ(health_.open(), 0u);  // nobody said where
  health_.set_addresses({kHere});
  EXPECT_EQ(status(first), 200);
  health_.update({{kWeb, first, 1}, {kApi, second, 1}});
  EXPECT_EQ(health_.open(), 2u);
  EXPECT_EQ(status(second), 200);
  health_.update({{kApi, second, 1}});
  EXPECT_EQ(status(first), 0);
  // Another port for the same Service.
  health_.update({{kApi, first, 1}});
  EXPECT_EQ(status(second), 0);
  EXPECT_EQ(status(first), 200);
  health_.update({});
  EXPECT_EQ(health_.open(), 0u);
  EXPECT_THAT(failures_, IsEmpty());
}

TEST_F(ServiceHealthTest, MovesWithTheAddresses) {
  const uint16_t port = free_port();
  health_.set_addresses({kHere});
  health_.update({{kWeb, port, 1}});
  const IpAddress other = IpAddress::v4(127, 0, 0, 2);
  health_.set_addresses({other});
  EXPECT_EQ(status(port), 0);
  EXPECT_EQ(get({other, port}, "/").status, 200);
  health_.set_addresses({IpAddress::any(Family::kIpv4)});
  EXPECT_EQ(status(port), 200);
  EXPECT_EQ(get({other, port}, "/").status, 200);
  health_.set_addresses({});
  EXPECT_EQ(health_.open(), 0u);
}

TEST_F(ServiceHealthTest, AnAddressThatGoesLeavesTheOthersOpen) {
  const uint16_t port = free_port();
  health_.set_addresses({kHere, IpAddress::v4(127, 0, 0, 2)});
  health_.update({{kWeb, port, 1}});
  fairlead::test::RawClient client(loop_, {kHere, port});
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(client.wait_for("200 OK"));
  health_.set_addresses({kHere});
  EXPECT_EQ(get({IpAddress::v4(127, 0, 0, 2), port}, "/").status, 0);
  client.forget_received();
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(client.wait_for("200 OK"));
}

TEST_F(ServiceHealthTest, ATakenPortIsReportedOnceAndTriedAgain) {
  const uint16_t port = free_port();
  auto squatter = std::make_unique<HttpServer>(loop_, HttpServerOptions(), nullptr);
  ASSERT_TRUE(squatter->listen({kHere, port}).ok());
  health_.set_addresses({kHere});
  health_.update({{kWeb, port, 1}});
  EXPECT_EQ(health_.open(), 0u);
  // Other addresses answer meanwhile.
  const IpAddress other = IpAddress::v4(127, 0, 0, 2);
  health_.set_addresses({kHere, other});
  health_.update({{kWeb, port, 2}});
  EXPECT_EQ(health_.open(), 1u);
  EXPECT_EQ(get({other, port}, "/").status, 200);
  EXPECT_THAT(failures_, ElementsAre("shop/web " + std::to_string(port)));
  EXPECT_THAT(last_error_, testing::HasSubstr("Address already in use"));
  squatter.reset();
  EXPECT_TRUE(run_until([&] { return status(port) == 200; }));  // by itself
  EXPECT_EQ(get({other, port}, "/").status, 200);
}

TEST(LocalAddresses, InsideTheRanges) {
  EXPECT_THAT(local_addresses({*Cidr::parse("127.0.0.0/8")}), testing::Contains(kHere));
  EXPECT_THAT(local_addresses({*Cidr::parse("240.0.0.0/4")}), IsEmpty());
  EXPECT_THAT(local_addresses({}), IsEmpty());
}

}  // namespace
}  // namespace fairlead::proxy
