// SPDX-License-Identifier: Apache-2.0
// The program against an API server that answers as kube-apiserver 1.36 does, and has its troubles:
// at its start and later, what it knew stays, and what changed meanwhile is made up for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>

#include "tests/support/cluster_api.h"
#include "tests/support/namespace.h"
#include "tests/support/paths.h"

namespace fairlead::proxy {
namespace {

using fairlead::test::BackgroundProcess;
using fairlead::test::ClusterApi;
using fairlead::test::NetNamespace;
using fairlead::test::run_command;
using testing::Contains;
using testing::HasSubstr;
using testing::StartsWith;
using Trouble = ClusterApi::Trouble;

constexpr const char* kServices = "/api/v1/services";
constexpr const char* kSlices = "/apis/discovery.k8s.io/v1/endpointslices";

class ApiServer : public testing::Test {
 protected:
  ApiServer() {
    ns_.run([&] {
      const auto bound = api_.listen({IpAddress::v4(127, 0, 0, 1), 0});
      EXPECT_TRUE(bound.ok());
      url_ = "http://" + bound->to_string();
    });
    api_.put("/api/v1/nodes", "n1",
             R"({"metadata":{"name":"n1","resourceVersion":"@RV@"},"spec":{},"status":{}})");
    for (int i = 0; i < 20; ++i) {
      const std::string name = "s" + std::to_string(i);
      api_.put(kServices, name,
               fairlead::test::service_json("default", name, "10.96.0." + std::to_string(1 + i),
                                            R"([{"name":"p","protocol":"TCP","port":80}])"));
      put_slice(i, "10.244.9.1");
    }
  }
  void put_slice(int service, const std::string& endpoint) {
    const std::string name = "s" + std::to_string(service);
    api_.put(kSlices, name + "-x",
             fairlead::test::slice_json("default", name + "-x", name, {endpoint},
                                        R"([{"name":"p","protocol":"TCP","port":8080}])"));
  }
  void start() {
    const auto inside = ns_.enter();
    process_ = std::make_unique<BackgroundProcess>(
        std::vector<std::string>{fairlead::test::program_path("fairlead-proxy"), "--master", url_,
                                 "--service-cidr=10.96.0.0/16", "--hostname-override=n1",
                                 "--healthz-bind-address=127.0.0.1:10256"});
  }
  bool run_until(const std::function<bool()>& done) {
    Timer tick(loop_);  // what is waited for happens elsewhere
    tick.start_every(std::chrono::milliseconds(20), [] {});
    return loop_.run_until(done, std::chrono::seconds(90));
  }
  void run_for(Duration span) {
    loop_.run_until([] { return false; }, span);
  }
  static std::string element(int service, const std::string& endpoint) {
    return "10.96.0." + std::to_string(1 + service) + " . tcp . 80 . 0 : " + endpoint + " . 8080";
  }
  bool serves(int service, const std::string& endpoint) {
    return ns_.must("nft list ruleset").find(element(service, endpoint)) != std::string::npos;
  }
  bool serves_all() {
    const std::string rules = ns_.must("nft list ruleset");
    for (int i = 0; i < 20; ++i)
      if (rules.find(element(i, "10.244.9.1")) == std::string::npos) return false;
    return rules.find("hook prerouting") != std::string::npos;
  }
  std::string healthz() {
    std::string text;
    ns_.run([&] {
      text = run_command({"curl", "-s", "-m", "5", "http://127.0.0.1:10256/healthz"}).output;
    });
    return text;
  }
  std::vector<std::string> asked() const {
    std::vector<std::string> targets;
    for (const auto& request : api_.requests())
      targets.push_back(request.method + " " + request.target);
    return targets;
  }

  NetNamespace ns_;
  Loop loop_;
  ClusterApi api_{loop_};
  std::string url_;
  std::unique_ptr<BackgroundProcess> process_;
};

// Query parameters may come in any order.
MATCHER_P2(Asks, path, parameters, "") {
  if (!arg.starts_with(std::string("GET ") + path + "?")) return false;
  return std::all_of(parameters.begin(), parameters.end(), [&](const std::string& parameter) {
    return arg.find(parameter) != std::string::npos;
  });
}

TEST_F(ApiServer, WithWatchListIsAskedOnceForWhatKubeProxyAsks) {
  api_.serve_watch_list();
  start();
  ASSERT_TRUE(run_until([&] { return serves_all(); }));
  for (const char* collection : {kServices, kSlices, "/api/v1/nodes"}) {
    SCOPED_TRACE(collection);
    EXPECT_THAT(asked(), Contains(Asks(collection,
                                       std::vector<std::string>{"watch=", "sendInitialEvents=true",
                                                                "resourceVersionMatch=NotOlderThan",
                                                                "allowWatchBookmarks="})));
    EXPECT_EQ(api_.lists_served(collection), 0u);
  }
  EXPECT_THAT(asked(), Contains(Asks(kServices, std::vector<std::string>{"service-proxy-name"})));
  EXPECT_THAT(asked(), Contains(Asks(
                           kSlices, std::vector<std::string>{"service.kubernetes.io%2Fheadless"})));
  EXPECT_TRUE(run_until([&] {
    const auto requests = asked();
    return std::any_of(requests.begin(), requests.end(), [](const std::string& r) {
      return r.starts_with("POST ") && r.find("/events") != r.npos;
    });
  }));
  // A watch that ends goes on from the last bookmark, and nothing is listed again.
  put_slice(0, "10.244.9.2");
  ASSERT_TRUE(run_until([&] { return serves(0, "10.244.9.2"); }));
  api_.remove(kSlices, "s19-x");
  ASSERT_TRUE(run_until([&] { return !serves(19, "10.244.9.1"); }));
  api_.send_bookmarks();
  run_for(std::chrono::milliseconds(200));
  const size_t before = asked().size();
  api_.set_down(true);
  api_.set_down(false);
  put_slice(1, "10.244.9.2");
  ASSERT_TRUE(run_until([&] { return serves(1, "10.244.9.2"); }));
  const auto after = asked();
  EXPECT_TRUE(std::none_of(
      after.begin() + static_cast<ptrdiff_t>(before), after.end(),
      [](const std::string& r) { return r.find("sendInitialEvents") != std::string::npos; }));
}

struct TroubleCase {
  const char* what;
  Trouble trouble;
};
const TroubleCase kTroubles[] = {
    {"429 with Retry-After", Trouble::kTooMany},
    {"410 in the stream", Trouble::kExpired},
    {"cut off in the middle of an object", Trouble::kCutOff},
    {"not a byte", Trouble::kSilent},
};

TEST_F(ApiServer, InTroubleAtTheStartIsWaitedFor) {
  for (const bool watch_list : {false, true}) {
    if (watch_list) api_.serve_watch_list();
    for (const TroubleCase& c : kTroubles) {
      SCOPED_TRACE(std::string(c.what) + (watch_list ? ", WatchList" : ""));
      // A table of a former process, which must not lose anything to half an answer.
      ASSERT_TRUE(watch_list || c.trouble == Trouble::kTooMany || serves_all());
      const size_t before = asked().size();
      api_.set_trouble(c.trouble);
      start();
      ASSERT_TRUE(run_until([&] { return asked().size() > before + 2; }));
      run_for(std::chrono::milliseconds(300));
      api_.set_trouble(Trouble::kNone);
      EXPECT_TRUE(run_until([&] {
        return serves_all() && healthz().find("\"healthy\":true") != std::string::npos;
      })) << healthz();
      process_.reset();
    }
  }
}

TEST_F(ApiServer, InTroubleLaterTakesNothingAway) {
  api_.serve_watch_list();
  start();
  ASSERT_TRUE(run_until([&] { return serves_all(); }));
  int change = 2;
  for (const TroubleCase& c : kTroubles) {
    if (c.trouble == Trouble::kSilent) continue;  // noticed after 150 s: reflector_faults_test
    SCOPED_TRACE(c.what);
    const size_t before = asked().size();
    api_.set_trouble(c.trouble);
    const std::string endpoint = "10.244.9." + std::to_string(change++);
    put_slice(0, endpoint);
    ASSERT_TRUE(run_until([&] { return asked().size() > before + 2; }));
    EXPECT_TRUE(serves(5, "10.244.9.1"));
    EXPECT_THAT(healthz(), HasSubstr("\"healthy\":true")) << "what is known is programmed";
    api_.set_trouble(Trouble::kNone);
    EXPECT_TRUE(run_until([&] { return serves(0, endpoint); }));
    EXPECT_TRUE(serves(5, "10.244.9.1"));
  }
}

TEST_F(ApiServer, AwayAndBackWithAnotherHistory) {
  start();
  ASSERT_TRUE(run_until([&] { return serves_all(); }));
  api_.set_down(true);
  put_slice(0, "10.244.9.7");
  api_.remove(kServices, "s1");
  api_.remove(kSlices, "s1-x");
  run_for(std::chrono::seconds(3));
  EXPECT_TRUE(serves_all()) << "the rules stay";
  api_.compact();  // 410 to whoever goes on from where it was
  api_.set_down(false);
  EXPECT_TRUE(run_until([&] { return serves(0, "10.244.9.7") && !serves(1, "10.244.9.1"); }));
  EXPECT_TRUE(serves(5, "10.244.9.1"));
}

TEST_F(ApiServer, SlowOnesAreRead) {
  for (const bool watch_list : {false, true}) {
    SCOPED_TRACE(watch_list);
    if (watch_list) api_.serve_watch_list();
    api_.set_speed(40);  // bytes in a millisecond
    start();
    EXPECT_TRUE(run_until([&] { return serves_all(); }));
    put_slice(0, watch_list ? "10.244.9.4" : "10.244.9.3");
    EXPECT_TRUE(run_until([&] { return serves(0, watch_list ? "10.244.9.4" : "10.244.9.3"); }));
    put_slice(0, "10.244.9.1");
    EXPECT_TRUE(run_until([&] { return serves_all(); }));
    process_.reset();
  }
}

}  // namespace
}  // namespace fairlead::proxy
