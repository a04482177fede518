// SPDX-License-Identifier: Apache-2.0
// The program itself against an API server of the test's own: started, killed, doubled, cleaned up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>

#include "base/http/server.h"
#include "netlink/connection.h"
#include "tests/kernel/proxy/cluster.h"
#include "tests/support/paths.h"
#include "tests/support/seed.h"

namespace fairlead::proxy {
namespace {

using namespace test;
using fairlead::test::BackgroundProcess;
using fairlead::test::run_command;

const std::string kProgram = fairlead::test::program_path("fairlead-proxy");

// LIST and WATCH of Services, EndpointSlices and one Node, from strings; no WatchList.
class Api {
 public:
  Api(Loop& loop, int services)
      : server_(loop, {}, [this](HttpServerRequest request, auto responder) {
          answer(request, std::move(responder));
        }) {
    for (int i = 0; i < services; ++i) {
      const std::string name = "s" + std::to_string(i);
      const std::string ip =
          "10.96." + std::to_string(1 + i / 200) + "." + std::to_string(1 + i % 200);
      services_ += (i ? "," : "") + std::string(R"({"metadata":{"namespace":"default","name":")") +
                   name + R"("},"spec":{"clusterIP":")" + ip + R"(","clusterIPs":[")" + ip +
                   R"("],"ipFamilies":["IPv4"],"ports":[{"name":"p","port":80}]}})";
      slices_ +=
          (i ? "," : "") + std::string(R"({"metadata":{"namespace":"default","name":")") + name +
          R"(-x","labels":{"kubernetes.io/service-name":")" + name +
          R"("}},"addressType":"IPv4","ports":[{"name":"p","port":8080,"protocol":"TCP"}],"endpoints":[)";
      for (int e = 0; e < 10; ++e)
        slices_ += (e ? "," : "") + std::string(R"({"addresses":["10.244.9.)") +
                   std::to_string(e + 1) + R"("]})";
      slices_ += "]}";
    }
    const auto bound = server_.listen({IpAddress::v4(127, 0, 0, 1), 0});
    EXPECT_TRUE(bound.ok());
    url_ = "http://" + bound->to_string();
  }
  const std::string& url() const { return url_; }
  const std::vector<std::string>& events() const { return events_; }
  bool node_watched() const { return node_watch_ != nullptr; }
  void change_pod_cidrs(const std::string& cidr) {
    node_watch_->write(R"({"type":"MODIFIED","object":{"metadata":{"name":"n1",)"
                       R"("resourceVersion":"8"},"spec":{"podCIDRs":[")" +
                       cidr + "\"]}}}\n");
  }

 private:
  void answer(const HttpServerRequest& request, std::shared_ptr<HttpResponder> responder) {
    const HttpHeaders json = {{"Content-Type", "application/json"}};
    if (request.query_value("sendInitialEvents"))
      return responder->respond(422, json, R"({"kind":"Status","status":"Failure","code":422})");
    if (request.query_value("watch")) {
      responder->start(200, json);
      if (request.path == "/api/v1/nodes") node_watch_ = responder;
      watches_.push_back(std::move(responder));
      return;
    }
    if (request.path == "/api/v1/nodes")
      return responder->respond(
          200, json,
          R"({"kind":"NodeList","metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"n1",)"
          R"("resourceVersion":"7"},"spec":{"podCIDRs":["10.244.9.0/24"]}}]})");
    if (request.path.find("networking.k8s.io") != std::string::npos)
      return responder->respond(404, json, R"({"kind":"Status","status":"Failure","code":404})");
    if (request.method == "POST") {
      events_.push_back(request.body);
      return responder->respond(201, json, "{}");
    }
    const bool slices = request.path.find("endpointslices") != std::string::npos;
    responder->respond(200, json,
                       std::string(R"({"kind":")") + (slices ? "EndpointSlice" : "Service") +
                           R"(List","metadata":{"resourceVersion":"7"},"items":[)" +
                           (slices ? slices_ : services_) + "]}");
  }

  HttpServer server_;
  std::string services_, slices_, url_;
  std::vector<std::shared_ptr<HttpResponder>> watches_;
  std::shared_ptr<HttpResponder> node_watch_;
  std::vector<std::string> events_;
};

class Program : public testing::Test {
 protected:
  explicit Program(int services = 300) {
    ns_.run([&] { api_ = std::make_unique<Api>(loop_, services); });
  }
  std::unique_ptr<BackgroundProcess> start(std::vector<std::string> more = {}) {
    std::vector<std::string> argv = {kProgram,
                                     "--master",
                                     api_->url(),
                                     "--service-cidr=10.96.0.0/16",
                                     "--hostname-override=n1",
                                     "--healthz-bind-address=127.0.0.1:10256"};
    argv.insert(argv.end(), more.begin(), more.end());
    const auto inside = ns_.enter();
    return std::make_unique<BackgroundProcess>(argv);
  }
  // The program in the foreground; `loop_` runs on while it does.
  fairlead::test::CommandResult run(const std::vector<std::string>& arguments) {
    std::vector<std::string> argv = {kProgram};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    const auto inside = ns_.enter();
    return run_command(argv, {}, 20);
  }
  // The same, while the API server answers on this thread.
  fairlead::test::CommandResult run_beside(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--master", api_->url(), "--hostname-override=n1"});
    std::optional<fairlead::test::CommandResult> result;
    std::atomic<bool> done{false};
    std::thread process([&] {
      result = run(arguments);
      done = true;
    });
    EXPECT_TRUE(run_until([&] { return done.load(); }));
    process.join();
    return *result;
  }
  size_t elements() {
    size_t count = 0;
    const std::string text = ns_.must("nft list ruleset");
    for (size_t at = text.find(": 10.244.9."); at != std::string::npos;
         at = text.find(": 10.244.9.", at + 1))
      ++count;
    return text.find("hook prerouting") == std::string::npos ? 0 : count;
  }
  bool run_until(const std::function<bool()>& done) {
    Timer tick(loop_);  // what we wait for happens elsewhere
    tick.start_every(std::chrono::milliseconds(20), [] {});
    return loop_.run_until(done, std::chrono::seconds(30));
  }

  NetNamespace ns_;
  Loop loop_;
  std::unique_ptr<Api> api_;
};

TEST_F(Program, Row30_ServesAndLeavesItsRulesBehind) {
  auto process = start();
  ASSERT_TRUE(run_until([&] { return elements() == 3000; }));
  std::string health;
  ns_.run([&] { health = run_command({"curl", "-s", "http://127.0.0.1:10256/healthz"}).output; });
  EXPECT_NE(health.find(R"("nodeEligible":true,"healthy":true)"), std::string::npos) << health;
  std::string metrics;
  ns_.run([&] { metrics = run_command({"curl", "-s", "http://127.0.0.1:10249/metrics"}).output; });
  EXPECT_NE(metrics.find("kubeproxy_sync_proxy_rules_last_timestamp_seconds"), std::string::npos);

  EXPECT_TRUE(run_until([&] {
    return std::any_of(api_->events().begin(), api_->events().end(), [](const std::string& event) {
      return event.find(R"("reason":"Starting")") != std::string::npos;
    });
  }));

  const auto second = run({"--master", api_->url()});
  EXPECT_EQ(second.status, 1);
  EXPECT_NE(second.errors.find("another fairlead-proxy runs in this network namespace"),
            std::string::npos)
      << second.errors;

  kill(process->pid(), SIGTERM);
  EXPECT_TRUE(run_until([&] { return !process->running(); }));
  EXPECT_EQ(elements(), 3000u);
  process.reset();
  const auto cleaned = run({"--cleanup"});
  EXPECT_EQ(cleaned.status, 0) << cleaned.errors;
  EXPECT_EQ(ns_.must("nft list ruleset"), "");
}

TEST_F(Program, ShowsWhatServicesDo) {
  const auto nobody = run({"stat", "--once"});
  EXPECT_EQ(nobody.status, 1);
  EXPECT_NE(nobody.errors.find("asking the proxy at 127.0.0.1:10249 (does it run?"),
            std::string::npos)
      << nobody.errors;
  auto process = start({"--service-metrics", "--service-bytes"});
  ASSERT_TRUE(run_until([&] { return elements() == 3000; }));
  // From here to an endpoint that is nowhere: the packet goes, no answer comes.
  ns_.must("ip link set lo up; ip route add default dev lo");
  const auto knock = [&] {
    ns_.run([&] { run_command({"curl", "-s", "-m", "0.3", "http://10.96.1.1/"}); });
  };
  std::string metrics;
  ASSERT_TRUE(run_until([&] {
    knock();
    ns_.run([&] {
      metrics = run_command({"curl", "-s", "http://127.0.0.1:10249/metrics"}).output;
    });
    return metrics.find(
               "fairlead_proxy_service_connections_total{namespace=\"default\","
               "service=\"s0\",port=\"p\",protocol=\"tcp\",address=\"cluster_ip\"} ") !=
           std::string::npos;
  })) << metrics;
  EXPECT_NE(metrics.find("# TYPE fairlead_proxy_service_bytes_total counter"), std::string::npos);
  const auto table = run({"stat", "--once", "--interval=1s"});
  EXPECT_EQ(table.status, 0) << table.errors;
  EXPECT_EQ(table.output.substr(0, table.output.find('\n')), "n1: programmed");
  EXPECT_NE(table.output.find("300 services, 300 ports, 3,000 endpoints; counted for "),
            std::string::npos)
      << table.output;
  // How many a second depends on when the counters were last read.
  EXPECT_THAT(table.output,
              testing::ContainsRegex("\ndefault/s0:p  tcp    10[.]96[.]1[.]1:80  cluster  10/10 "
                                     "+[0-9.]+ +[1-9][0-9]* +0 +0 +0 +0\n"));
  EXPECT_EQ(table.output.find('\x1b'), std::string::npos) << "no terminal";
  const auto json = run({"stat", "--once", "--interval=1s", "--output=json", "--top=1"});
  EXPECT_NE(json.output.find(R"("service":"s0","port":"p","protocol":"tcp")"), std::string::npos)
      << json.output;
  EXPECT_NE(json.output.find(R"("connectionsPerSecond":0.0)"), std::string::npos);
  // What answers is not always a proxy that knows.
  HttpServer other(loop_, {}, [](const HttpServerRequest&, const auto& responder) {
    responder->respond(404, {}, "not found\n");
  });
  std::optional<fairlead::test::CommandResult> stranger;
  std::atomic<bool> done{false};
  std::string address;
  ns_.run([&] { address = other.listen({IpAddress::v4(127, 0, 0, 1), 0}).value().to_string(); });
  std::thread asking([&] {
    stranger = run({"stat", "--once", "--address", address});
    done = true;
  });
  EXPECT_TRUE(run_until([&] { return done.load(); }));
  asking.join();
  EXPECT_EQ(stranger->status, 1);
  EXPECT_NE(stranger->errors.find("has no /stat (status 404): not a fairlead-proxy"),
            std::string::npos)
      << stranger->errors;
}

TEST_F(Program, KilledAtAnyMomentIsMadeUpForByTheNext) {
  std::mt19937_64 random(fairlead::test::random_seed());
  for (int i = 0; i < 12; ++i) {
    auto process = start();
    const auto delay = std::chrono::milliseconds(5 + random() % 120);
    loop_.run_until([] { return false; }, delay);
    kill(process->pid(), SIGKILL);
  }
  auto process = start();
  ASSERT_TRUE(run_until([&] { return elements() == 3000; }));
}

class LargeProgram : public Program {
 protected:
  LargeProgram() : Program(1000) {}  // more than fits into one transaction
};

// kill -9 as soon as the kernel tells of a commit: while the process is at the next one.
TEST_F(LargeProgram, KilledAfterAnyCommitIsMadeUpForByTheNext) {
  std::unique_ptr<netlink::Connection> watch;
  ns_.run([&] {
    watch = netlink::Connection::open(loop_, netlink::Protocol::kNetfilter).value();
    ASSERT_TRUE(watch->subscribe(NFNLGRP_NFTABLES).ok());
  });
  int commits = 0;
  watch->set_on_notification([&](const netlink::MessageView& message) {
    if (message.type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN)) ++commits;
  });
  const auto whole = [&] { return run_until([&] { return elements() == 10000; }); };
  auto process = start();
  ASSERT_TRUE(whole());
  loop_.run_until([] { return false; }, std::chrono::milliseconds(100));
  const int total = commits;
  EXPECT_GE(total, 4) << "a table, two pieces, hooks";
  for (int last = 1; last < total; ++last) {
    SCOPED_TRACE(last);
    kill(process->pid(), SIGKILL);
    process.reset();
    ns_.must("nft flush ruleset");
    loop_.run_until([] { return false; }, std::chrono::milliseconds(20));
    commits = 0;
    process = start();
    ASSERT_TRUE(run_until([&] { return commits >= last; }));
    kill(process->pid(), SIGKILL);
    process.reset();  // with its lock; it dies when the commit it is in is done
    process = start();
    ASSERT_TRUE(whole());
  }
}

TEST_F(Program, SaysInOneSentenceWhatIsWrong) {
  const auto bad_flag = run({"--proxy-mode=kernelspace"});
  EXPECT_EQ(bad_flag.status, 2);
  EXPECT_NE(bad_flag.errors.find("--proxy-mode: \"kernelspace\" must be nftables"),
            std::string::npos);

  std::unique_ptr<HttpServer> squatter;
  ns_.run([&] {
    squatter = std::make_unique<HttpServer>(loop_, HttpServerOptions(), nullptr);
    EXPECT_TRUE(squatter->listen({IpAddress::v4(127, 0, 0, 1), 10249}).ok());
  });
  const auto busy = run({"--master", api_->url(), "--bind-address-hard-fail"});
  EXPECT_EQ(busy.status, 1);
  EXPECT_NE(busy.errors.find("--metrics-bind-address"), std::string::npos) << busy.errors;

  fairlead::test::CommandResult powerless;
  ns_.run([&] {
    powerless = run_command({"setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin",
                             kProgram, "--master", api_->url()},
                            {}, 20);
  });
  EXPECT_EQ(powerless.status, 1);
  EXPECT_NE(powerless.errors.find("CAP_NET_ADMIN"), std::string::npos) << powerless.errors;
  ns_.run([&] {
    powerless = run_command({"setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin",
                             kProgram, "--master", api_->url(), "--shadow"},
                            {}, 20);
  });
  EXPECT_EQ(powerless.status, 1);
  EXPECT_NE(powerless.errors.find("reading kube-proxy's rules needs CAP_NET_ADMIN"),
            std::string::npos)
      << powerless.errors;
  const auto alone = run({"--master", api_->url(), "--shadow"});
  EXPECT_EQ(alone.status, 1);
  EXPECT_NE(alone.errors.find("there is neither a table ip kube-proxy"), std::string::npos)
      << alone.errors;
}

// What iptables-save would print of kube-proxy for the Services of Api.
std::string iptables_rules(int services) {
  std::string declared, rules;
  for (int i = 0; i < services; ++i) {
    const std::string chain = "KUBE-SVC-" + std::to_string(i);
    declared += ":" + chain + " - [0:0]\n";
    rules += "-A KUBE-SERVICES -d 10.96." + std::to_string(1 + i / 200) + "." +
             std::to_string(1 + i % 200) + "/32 -p tcp -m tcp --dport 80 -j " + chain + "\n";
    for (int e = 1; e <= 10; ++e)
      rules += "-A " + chain +
               (e < 10 ? " -m statistic --mode random --probability 0.1" : std::string()) +
               " -p tcp -j DNAT --to-destination 10.244.9." + std::to_string(e) + ":8080\n";
  }
  return "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n" +
         declared + "-A PREROUTING -j KUBE-SERVICES\n-A OUTPUT -j KUBE-SERVICES\n" + rules +
         "COMMIT\n";
}

TEST_F(Program, ComparesItselfWithAnotherAndSaysSoByItsStatus) {
  char path[] = "/tmp/fairlead-shadow-XXXXXX";
  close(mkstemp(path));
  const auto shadow = [&](const std::string& rules) {
    std::ofstream(path) << rules;
    return run_beside({"--service-cidr=10.96.0.0/16", "--shadow", "--shadow-rules", path});
  };
  std::string rules = iptables_rules(300);
  const auto same = shadow(rules);
  EXPECT_EQ(same.status, 0) << same.output << same.errors;
  EXPECT_NE(same.output.find("300 services, 0 differences\n"), std::string::npos) << same.output;
  const auto other = shadow(rules.replace(rules.rfind("10.244.9.10:8080"), 16, "10.244.9.99:8080"));
  EXPECT_EQ(other.status, 1);
  EXPECT_NE(other.output.find("default/s299 10.96.2.100:80/tcp"), std::string::npos)
      << other.output;
  EXPECT_NE(other.output.find("only kube-proxy to 10.244.9.99:8080"), std::string::npos);
  const auto wrong = shadow("*nat\nwhat is this\n");
  EXPECT_EQ(wrong.status, 1);
  EXPECT_NE(wrong.errors.find(std::string(path) + ": line 2: expected -A"), std::string::npos)
      << wrong.errors;
  EXPECT_EQ(ns_.must("nft list ruleset"), "") << "nothing is programmed";
  EXPECT_EQ(run({"--shadow", "--take-over-from=kube-proxy"}).status, 2);
  std::filesystem::remove(path);
}

TEST_F(Program, WaitsForPortsAnotherProxyStillHolds) {
  auto squatter = std::make_unique<HttpServer>(loop_, HttpServerOptions(), nullptr);
  ns_.run([&] { EXPECT_TRUE(squatter->listen({IpAddress::v4(127, 0, 0, 1), 10256}).ok()); });
  auto process = start();
  ASSERT_TRUE(run_until([&] { return elements() == 3000; }));  // programmed all the same
  squatter.reset();
  EXPECT_TRUE(run_until([&] {
    std::string health;
    ns_.run([&] {
      health = run_command({"curl", "-s", "-m", "2", "http://127.0.0.1:10256/livez"}).output;
    });
    return health.find(R"("healthy":true)") != std::string::npos;
  }));
}

TEST_F(Program, Row29_RunsByAFileAndEndsWhenItChanges) {
  char directory[] = "/tmp/fairlead-proxy-config-XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  const std::string path = std::string(directory) + "/config.conf";
  const auto write = [&](const std::string& more) {
    std::ofstream(path) << "apiVersion: kubeproxy.config.k8s.io/v1alpha1\n"
                           "kind: KubeProxyConfiguration\nmode: iptables\n"
                           "detectLocalMode: NodeCIDR\nhealthzBindAddress: 127.0.0.1:10256\n"
                        << more;
  };
  write("");
  auto process = start({"--config", path});
  ASSERT_TRUE(run_until([&] { return elements() == 3000; }));
  // The Node's podCIDRs are the pods.
  EXPECT_NE(ns_.must("nft list ruleset").find("10.244.9.0/24"), std::string::npos);
  std::string configz;
  ns_.run([&] { configz = run_command({"curl", "-s", "http://127.0.0.1:10249/configz"}).output; });
  EXPECT_NE(configz.find(R"("detectLocalMode":"NodeCIDR")"), std::string::npos) << configz;
  // The same again, under another inode, is no change.
  std::filesystem::rename(path, path + ".old");
  write("");
  std::filesystem::permissions(path, std::filesystem::perms::owner_read);
  loop_.run_until([] { return false; }, std::chrono::milliseconds(500));
  EXPECT_TRUE(process->running());
  write("nftables: {masqueradeAll: true}\n");
  EXPECT_TRUE(run_until([&] { return !process->running(); }));
  EXPECT_EQ(elements(), 3000u);
  std::filesystem::remove_all(directory);
}

TEST_F(Program, Row28_EndsWhenThePodCidrsOfItsNodeChange) {
  auto process = start({"--detect-local-mode=NodeCIDR"});
  ASSERT_TRUE(run_until([&] { return elements() == 3000 && api_->node_watched(); }));
  api_->change_pod_cidrs("10.244.9.0/24");
  loop_.run_until([] { return false; }, std::chrono::milliseconds(300));
  EXPECT_TRUE(process->running());
  api_->change_pod_cidrs("10.244.8.0/24");
  EXPECT_TRUE(run_until([&] { return !process->running(); }));
}

// It would take every pod for a stranger.
TEST_F(Program, Row28_EndsWhereThePodCidrsAreOfTheOtherFamilyAlone) {
  const auto ended = run_beside({"--detect-local-mode=NodeCIDR", "--bind-address=fd00::1"});
  EXPECT_EQ(ended.status, 1);
  EXPECT_NE(ended.errors.find("have none of the family of its address fd00::1"), std::string::npos)
      << ended.errors;
  EXPECT_EQ(elements(), 0u);
}

TEST_F(Program, Row30_WritesItsConfiguration) {
  const auto written = run({"--write-config-to=/dev/stdout", "--cluster-cidr=10.244.0.0/16"});
  EXPECT_EQ(written.status, 0) << written.errors;
  EXPECT_NE(written.output.find("clusterCIDR: \"10.244.0.0/16\"\n"), std::string::npos)
      << written.output;
}

}  // namespace
}  // namespace fairlead::proxy
