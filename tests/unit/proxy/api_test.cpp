// SPDX-License-Identifier: Apache-2.0
// What the proxy asks of an API server beside Services: its Node, ServiceCIDRs, events.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/http/server.h"
#include "kube/cluster.h"
#include "proxy/events.h"
#include "proxy/node_watch.h"
#include "tests/unit/proxy/http_fixture.h"
#include "tests/unit/proxy/objects.h"

namespace fairlead::proxy {
namespace {

using namespace std::chrono_literals;
using test::ip;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(PrimaryAddresses, FirstInternalOfEachFamilyElseExternal) {
  kube::Node node;
  EXPECT_THAT(primary_addresses(node), IsEmpty());
  node.external_ips = {ip("192.0.2.1"), ip("2001:db8::1")};
  EXPECT_THAT(primary_addresses(node), ElementsAre(ip("192.0.2.1"), ip("2001:db8::1")));
  node.internal_ips = {ip("fd00::1"), ip("fd00::2")};
  EXPECT_THAT(primary_addresses(node), ElementsAre(ip("fd00::1"), ip("192.0.2.1")));
  node.internal_ips = {ip("10.0.0.1"), ip("10.0.0.2"), ip("fd00::1")};
  EXPECT_THAT(primary_addresses(node), ElementsAre(ip("10.0.0.1"), ip("fd00::1")));
}

TEST(EventJson, AsTheApiServerTakesIt) {
  const Event event{"Service", {"shop", "web"}, true, "Reason", "Listen", std::string(2000, 'x')};
  const auto json = nlohmann::json::parse(event_json(event, "n1", WallTime(1s + 5us)));
  EXPECT_EQ(json["apiVersion"], "events.k8s.io/v1");
  EXPECT_EQ(json["metadata"]["namespace"], "shop");
  EXPECT_EQ(json["metadata"]["name"], "web.3b9add88");
  EXPECT_EQ(json["eventTime"], "1970-01-01T00:00:01.000005Z");
  EXPECT_EQ(json["regarding"]["kind"], "Service");
  EXPECT_EQ(json["regarding"]["namespace"], "shop");
  EXPECT_EQ(json["regarding"]["uid"], "shop/web") << "as kube-proxy has it";
  Event known = event;
  known.uid = "0123-4567";
  EXPECT_EQ(nlohmann::json::parse(event_json(known, "n1", WallTime()))["regarding"]["uid"],
            "0123-4567");
  EXPECT_EQ(json["reportingController"], "fairlead-proxy");
  EXPECT_EQ(json["reportingInstance"], "fairlead-proxy-n1");
  EXPECT_EQ(json["type"], "Warning");
  EXPECT_EQ(json["note"].get<std::string>().size(), 1024u);
  EXPECT_EQ(event_path(event), "/apis/events.k8s.io/v1/namespaces/shop/events");
  EXPECT_EQ(event_path({"Node", {"", "n1"}, false, "", "", ""}),
            "/apis/events.k8s.io/v1/namespaces/default/events");
}

// Answers lists by path and holds watches open.
class ApiTest : public test::HttpTest {
 protected:
  ApiTest()
      : server_(loop_, {}, [this](const HttpServerRequest& request, auto responder) {
          answer(request, std::move(responder));
        }) {
    const auto bound = server_.listen({IpAddress::v4(127, 0, 0, 1), 0});
    EXPECT_TRUE(bound.ok());
    kube::ClientConfig config;
    config.server = "http://" + bound->to_string();
    cluster_ = std::move(*kube::Cluster::connect(loop_, config, "test"));
  }
  void answer(const HttpServerRequest& request, std::shared_ptr<HttpResponder> responder) {
    requests_.push_back(request.method + " " + request.path);
    if (request.method == "POST") bodies_.push_back(request.body);
    if (const auto selector = request.query_value("fieldSelector")) selector_ = *selector;
    const HttpHeaders json = {{"Content-Type", "application/json"}};
    if (request.path == forbidden_) return responder->respond(403, json, "{}");
    if (refuse_with_ != 0 || (request.method == "GET" && !lists_.contains(request.path)))
      return responder->respond(refuse_with_ != 0 ? refuse_with_ : 404, json, "{}");
    if (request.query_value("sendInitialEvents")) return responder->respond(400, json, "{}");
    if (request.query_value("watch")) {
      responder->start(200, json);
      watches_.push_back(std::move(responder));
      return;
    }
    responder->respond(request.method == "POST" ? 201 : 200, json, lists_[request.path]);
  }
  static std::string list(const std::string& items) {
    return R"({"metadata":{"resourceVersion":"7"},"items":[)" + items + "]}";
  }
  void send(const std::string& type, const std::string& object) {
    ASSERT_TRUE(run_until([&] { return !watches_.empty(); }));
    watches_.back()->write(R"({"type":")" + type + R"(","object":)" + object + "}\n");
  }

  std::map<std::string, std::string> lists_;
  std::vector<std::string> requests_, bodies_;
  std::string selector_;
  int refuse_with_ = 0;
  std::string forbidden_;
  std::vector<std::shared_ptr<HttpResponder>> watches_;
  HttpServer server_;
  std::unique_ptr<kube::Cluster> cluster_;
};

std::string node_json(const std::string& name, const std::string& version,
                      const std::string& address) {
  return R"({"metadata":{"name":")" + name + R"(","resourceVersion":")" + version +
         R"("},"status":{"addresses":[{"type":"InternalIP","address":")" + address + R"("}]}})";
}

class NodeWatchTest : public ApiTest {
 protected:
  void watch(const IpAddress& bind_address = {}) {
    watch_ = std::make_unique<NodeWatch>(loop_.clock(), cluster_->api(), "n1", bind_address);
    watch_->subscribe([this] { ++changes_; });
    watch_->start();
  }
  const std::string kPath = "/api/v1/nodes";
  int changes_ = 0;
  std::unique_ptr<NodeWatch> watch_;
};

TEST_F(NodeWatchTest, KeepsTheOneNode) {
  lists_[kPath] = list(node_json("n0", "5", "10.0.0.9") + "," + node_json("n1", "6", "10.0.0.1"));
  watch();
  EXPECT_FALSE(watch_->known());
  ASSERT_TRUE(run_until([&] { return watch_->known(); }));
  EXPECT_EQ(selector_, "metadata.name=n1");
  EXPECT_FALSE(watch_->missing());
  EXPECT_THAT(watch_->node()->internal_ips, ElementsAre(ip("10.0.0.1")));
  send("MODIFIED", node_json("n1", "8", "10.0.0.2"));
  ASSERT_TRUE(run_until([&] { return watch_->node()->internal_ips[0] == ip("10.0.0.2"); }));
  send("MODIFIED", node_json("n0", "9", "10.0.0.3"));
  const int before = changes_;
  send("MODIFIED", node_json("n1", "10", "10.0.0.2"));  // a heartbeat
  send("DELETED", node_json("n1", "11", "10.0.0.2"));
  ASSERT_TRUE(run_until([&] { return watch_->missing(); }));
  EXPECT_EQ(changes_, before + 1);
}

TEST_F(NodeWatchTest, TheBindAddressComesFirst) {
  lists_[kPath] = list(node_json("n1", "6", "10.0.0.1"));
  watch(ip("10.9.9.9"));
  ASSERT_TRUE(run_until([&] { return watch_->known(); }));
  EXPECT_THAT(primary_addresses(*watch_->node()), ElementsAre(ip("10.9.9.9")));
}

TEST_F(NodeWatchTest, ThereIsNone) {
  lists_[kPath] = list("");
  watch();
  ASSERT_TRUE(run_until([&] { return watch_->missing(); }));
  EXPECT_GE(changes_, 1);
  EXPECT_FALSE(watch_->stand_in());
  watch(ip("10.9.9.9"));
  ASSERT_TRUE(run_until([&] { return watch_->missing(); }));
  EXPECT_THAT(primary_addresses(watch_->stand_in().value()), ElementsAre(ip("10.9.9.9")));
}

TEST_F(NodeWatchTest, ARefusalIsAnAnswerToo) {
  refuse_with_ = 403;
  watch();
  ASSERT_TRUE(run_until([&] { return watch_->known(); }));
  EXPECT_TRUE(watch_->refused());
  EXPECT_FALSE(watch_->missing());
}

class ServiceCidrTest : public ApiTest {
 protected:
  void watch() {
    watch_ = std::make_unique<ServiceCidrWatch>(
        loop_.clock(), cluster_->api(),
        [this](const std::vector<Cidr>& ranges) {
          ranges_.clear();
          for (const Cidr& range : ranges) ranges_.push_back(range.to_string());
        },
        50ms);
    watch_->start();
  }
  static std::string range(const std::string& name, const std::string& cidrs) {
    return R"({"metadata":{"name":")" + name + R"(","resourceVersion":"9"},"spec":{"cidrs":[)" +
           cidrs + "]}}";
  }
  const std::string kV1 = "/apis/networking.k8s.io/v1";
  const std::string kV1Beta1 = "/apis/networking.k8s.io/v1beta1";
  const std::string kResources = R"({"resources":[{"name":"ingresses"},{"name":"servicecidrs"}]})";
  std::vector<std::string> ranges_;
  std::unique_ptr<ServiceCidrWatch> watch_;
};

TEST_F(ServiceCidrTest, AllRangesOfAllObjects) {
  lists_[kV1] = kResources;
  lists_[kV1 + "/servicecidrs"] =
      list(range("b", R"("10.97.0.0/16")") + "," + range("a", R"("10.96.0.0/16","fd00::/112")"));
  watch();
  ASSERT_TRUE(run_until([&] { return watch_->known(); }));
  EXPECT_THAT(ranges_, ElementsAre("10.96.0.0/16", "10.97.0.0/16", "fd00::/112"));
  send("ADDED", range("c", R"("10.96.0.0/16","10.98.0.0/16")"));
  ASSERT_TRUE(run_until([&] { return ranges_.size() == 4; }));
  send("DELETED", range("a", ""));
  ASSERT_TRUE(run_until([&] { return ranges_.size() == 3; }));
  EXPECT_THAT(ranges_, ElementsAre("10.96.0.0/16", "10.97.0.0/16", "10.98.0.0/16"));
}

TEST_F(ServiceCidrTest, OlderServersHaveV1Beta1) {
  lists_[kV1] = R"({"resources":[{"name":"ingresses"}]})";
  lists_[kV1Beta1] = kResources;
  lists_[kV1Beta1 + "/servicecidrs"] = list(range("a", R"("10.96.0.0/16")"));
  watch();
  ASSERT_TRUE(run_until([&] { return watch_->known(); }));
  EXPECT_THAT(ranges_, ElementsAre("10.96.0.0/16"));
}

TEST_F(ServiceCidrTest, StillOlderOnesHaveNone) {
  lists_[kV1] = R"({"resources":"odd"})";
  watch();
  ASSERT_TRUE(run_until([&] { return watch_->known(); }));
  EXPECT_THAT(ranges_, IsEmpty());
  EXPECT_THAT(requests_, ElementsAre("GET " + kV1, "GET " + kV1Beta1));
}

TEST_F(ServiceCidrTest, AServerInTroubleIsAskedAgain) {
  refuse_with_ = 503;
  watch();
  ASSERT_TRUE(run_until([&] { return requests_.size() == 1; }));
  refuse_with_ = 0;
  lists_[kV1] = kResources;
  lists_[kV1 + "/servicecidrs"] = list(range("a", R"("10.96.0.0/16")"));
  ASSERT_TRUE(run_until([&] { return watch_->known(); }));
  EXPECT_THAT(ranges_, ElementsAre("10.96.0.0/16"));
}

// Who may see that there are some, and not which, is not waited for.
TEST_F(ServiceCidrTest, AServerThatForbidsThemIsNotWaitedFor) {
  lists_[kV1] = kResources;
  forbidden_ = kV1 + "/servicecidrs";
  watch();
  ASSERT_TRUE(run_until([&] { return watch_->known(); }));
  EXPECT_THAT(ranges_, IsEmpty());
}

class EventsTest : public ApiTest {
 protected:
  EventRecorder recorder_{loop_.clock(), cluster_->api(), "n1", 50ms};
};

TEST_F(EventsTest, ArePostedInOrder) {
  recorder_.about_node(false, "Starting", "StartKubeProxy", "one");
  recorder_.record({"Service", {"shop", "web"}, true, "Failed", "Listen", "two"});
  ASSERT_TRUE(run_until([&] { return recorder_.waiting() == 0; }));
  EXPECT_THAT(requests_, ElementsAre("POST /apis/events.k8s.io/v1/namespaces/default/events",
                                     "POST /apis/events.k8s.io/v1/namespaces/shop/events"));
  EXPECT_EQ(nlohmann::json::parse(bodies_[0])["regarding"]["uid"], "n1");
}

TEST_F(EventsTest, RefusalLosesThemAndTheQueueIsBounded) {
  refuse_with_ = 403;
  for (int i = 0; i < 100; ++i) recorder_.about_node(false, "Starting", "a", std::to_string(i));
  EXPECT_EQ(recorder_.waiting(), EventRecorder::kQueueLimit);
  ASSERT_TRUE(run_until([&] { return recorder_.waiting() == 0; }));
  EXPECT_EQ(requests_.size(), EventRecorder::kQueueLimit);
}

TEST_F(EventsTest, AServerInTroubleGetsThemAgain) {
  refuse_with_ = 503;
  recorder_.about_node(false, "Starting", "a", "b");
  ASSERT_TRUE(run_until([&] { return requests_.size() == 1; }));
  refuse_with_ = 0;
  ASSERT_TRUE(run_until([&] { return recorder_.waiting() == 0; }));
  EXPECT_EQ(requests_.size(), 2u);
}

}  // namespace
}  // namespace fairlead::proxy
