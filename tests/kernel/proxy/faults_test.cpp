// SPDX-License-Identifier: Apache-2.0
// A kernel that refuses, forgets to answer, or outlives the process: at every commit of whatever
// there is to do nothing learnt is lost, no healthy Service is interrupted, and in the end the
// kernel has what a fresh start would write.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>

#include "tests/kernel/proxy/changes.h"
#include "tests/kernel/proxy/faulty_kernel.h"
#include "tests/support/seed.h"

namespace fairlead::proxy {
namespace {

using namespace test;
using namespace std::chrono_literals;
using Fault = FaultyKernel::Fault;
using Kind = FaultyKernel::Kind;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kForeign = "kube-proxy";

// As much of a process as programs IPv4.
class Process : public ObjectSink {
 public:
  Process(Clock& clock, FaultyKernel& kernel)
      : connection_(kernel.connect()),
        programmer_(clock, *connection_, services_, config(),
                    {config().service_cidrs, {ip("192.0.2.1")}}) {}

  static Config config() {
    Config config;
    config.cluster_cidrs = {cidr("10.244.0.0/15")};
    config.service_cidrs = {cidr("10.96.0.0/16")};
    config.take_over_from = {kForeign};
    return config;
  }

  void put(const kube::Service& service) override { programmer_.mark(services_.put(service)); }
  void put(const kube::EndpointSlice& slice) override { programmer_.mark(services_.put(slice)); }
  void remove_service(const kube::ObjectKey& key) override {
    programmer_.mark(services_.remove_service(key));
  }
  void remove_slice(const kube::ObjectKey& key) override {
    programmer_.mark(services_.remove_slice(key));
  }
  void set_node(const kube::Node&) override {}
  void set_service_cidrs(std::vector<Cidr>) override {}
  const ServiceMap& services() const override { return services_; }
  void start() override { programmer_.start(); }

  Programmer& programmer() { return programmer_; }

 private:
  std::unique_ptr<netlink::Connection> connection_;
  ServiceMap services_{std::string("node")};
  Programmer programmer_;
};

void put_services(ObjectSink& sink, int services, int endpoints) {
  for (int s = 0; s < services; ++s) {
    const std::string name = "s" + std::to_string(s);
    const std::string net = std::to_string(10 + s / 100) + "." + std::to_string(1 + s % 100);
    std::vector<std::string> list;
    for (int i = 0; i < endpoints; ++i) list.push_back("10.244.100." + std::to_string(10 + i));
    sink.put(slice(name, list, {"p 8080"}));
    sink.put(service(name, {"10.96." + net}, {"p 80"}));
  }
}

// Every kind of operation there is: chains, guards, affinity maps, and rules that change.
void put_every_kind(ObjectSink& sink) {
  kube::Service lb = service("lb", {"10.96.0.2"}, {"p 80/TCP 30082", "u 80/UDP"});
  lb.type = kube::ServiceType::kLoadBalancer;
  lb.load_balancer_ingress = {{ip("198.51.100.1"), true}};
  lb.load_balancer_source_ranges = {cidr("192.0.2.0/24")};
  lb.external_traffic_policy = kube::TrafficPolicy::kLocal;
  lb.affinity_timeout_seconds = 60;
  sink.put(lb);
  sink.put(slice("lb", {"10.244.2.2 @node", "10.244.3.2", "10.245.4.2"}, {"p 8080", "u 8080/UDP"}));
  sink.put(service("idle", {"10.96.0.3"}, {"p 80/TCP"}));
}

// A table like kube-proxy's that serves `web` and has many more services.
std::string foreign_table(int services) {
  std::string chains, elements;
  for (int i = 0; i < services; ++i) {
    const std::string name = "service-" + std::to_string(i);
    chains += "chain " + name +
              " { meta l4proto tcp dnat ip addr . port to numgen random mod 2 map "
              "{ 0 : 10.244.2.2 . 8080, 1 : 10.244.3.2 . 8080 }\n}\n";
    const std::string address =
        i == 0 ? "10.96.0.1"
               : "10.96." + std::to_string(10 + i / 100) + "." + std::to_string(1 + i % 100);
    elements += (i ? ", " : "") + address + " . tcp . 80 : goto " + name;
  }
  return "table ip kube-proxy {\nset cluster-ips { type ipv4_addr; elements = { 10.96.0.1 }; }\n" +
         chains +
         "map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; elements = { " +
         elements +
         " }; }\nchain services { ip daddr . meta l4proto . th dport vmap @service-ips\n}\n"
         "chain nat-prerouting { type nat hook prerouting priority -100; jump services\n}\n"
         "chain nat-output { type nat hook output priority -100; jump services\n}\n}\n";
}

struct Way {
  const char* what;
  Fault fault;
  bool killed = false;  // and the process is gone then
};
const Way kWays[] = {
    {"no memory for the whole", {ENOMEM, true}},
    {"no room for one element", {ENOSPC}},
    {"done, and the answer lost", {.lose_answer = true}},
    {"done, and the process killed", {.lose_answer = true}, true},
};

struct Scenario {
  std::string foreign;                      // rules of another proxy at the beginning
  std::function<void(ObjectSink&)> before;  // settled before the faults begin; none: a cold load
  std::function<void(ObjectSink&)> change;
  int commits;  // at least so many: that the fault was where it should be
};

class Faults : public testing::Test {
 protected:
  std::unique_ptr<Process> process() {
    return std::make_unique<Process>(cluster_.loop().clock(), kernel_);
  }
  bool settle(Process& process) {
    return cluster_.run_until([&] { return process.programmer().idle(); });
  }
  void expect_settled(Process& process) {
    const Parameters& parameters = process.programmer().programmed().parameters();
    EXPECT_EQ(kernel_state(cluster_.loop(), cluster_.at("node"), Process::config(), parameters,
                           process.services()),
              wanted_state(Process::config(), parameters, process.services()));
    EXPECT_THAT(cluster_.list_ruleset(), Not(HasSubstr(kForeign)));
  }
  void load(const std::string& rules) {
    cluster_.at("node").run([&] {
      const auto loaded = fairlead::test::run_command({"nft", "-f", "-"}, rules);
      ASSERT_EQ(loaded.status, 0) << loaded.errors;
    });
  }
  void at_every_commit(const Scenario& scenario) {
    for (const Way& way : kWays) {
      SCOPED_TRACE(way.what);
      int commit = 1;
      while (one_fault(scenario, way, commit) && !HasFailure()) ++commit;
      EXPECT_GT(commit, scenario.commits);
    }
    RecordProperty("longest_commit_us", static_cast<int>(kernel_.longest_batch() / 1us));
  }
  // False: there are not so many commits.
  bool one_fault(const Scenario& scenario, const Way& way, int commit) {
    SCOPED_TRACE("commit " + std::to_string(commit));
    load("flush ruleset\n" + scenario.foreign);
    kernel_.set_decide([](Kind) { return Fault(); });
    auto running = process();
    if (scenario.before) {
      scenario.before(*running);
      running->start();
      EXPECT_TRUE(settle(*running));
    }
    std::unique_ptr<Traffic> traffic;
    if (scenario.before || !scenario.foreign.empty()) {
      traffic = std::make_unique<Traffic>(cluster_, "client", "10.96.0.1:80");
      EXPECT_TRUE(cluster_.run_until([&] { return traffic->connections() > 3; }));
    }
    int commits = 0;
    kernel_.set_decide([&](Kind kind) {
      return kind == Kind::kBatch && ++commits == commit ? way.fault : Fault();
    });
    scenario.change(*running);
    if (!scenario.before) running->start();
    EXPECT_TRUE(cluster_.run_until(
        [&] { return running->programmer().idle() || (way.killed && commits >= commit); }));
    const bool reached = commits >= commit;
    if (reached && way.killed) {
      running.reset();
      running = process();
      if (scenario.before) scenario.before(*running);
      scenario.change(*running);
      running->start();
      EXPECT_TRUE(settle(*running));
    }
    // On a slow machine the kernel's own answers may be lost on top of it.
    if (reached && !way.killed) EXPECT_GE(running->programmer().status().failures, 1u);
    expect_settled(*running);
    if (traffic) {
      const int made = traffic->connections();
      EXPECT_TRUE(cluster_.run_until([&] { return traffic->connections() > made + 3; }));
      traffic->stop();
      EXPECT_EQ(traffic->failures(), 0) << "of " << traffic->connections();
    }
    return reached;
  }

  Cluster cluster_;
  FaultyKernel kernel_{cluster_.loop(), cluster_.at("node")};
};

TEST_F(Faults, AtEveryCommitOfAColdLoad) {
  at_every_commit({"", nullptr,
                   [](ObjectSink& sink) {
                     put_web(sink);
                     put_services(sink, 900, 10);
                   },
                   3});
}

TEST_F(Faults, AtEveryCommitOfAChange) {
  at_every_commit({"", [](ObjectSink& sink) { put_web(sink); }, put_every_kind, 2});
}

TEST_F(Faults, AtEveryCommitOfAGrowth) {
  at_every_commit({"", [](ObjectSink& sink) { put_web(sink); },
                   [](ObjectSink& sink) { put_services(sink, 900, 1); }, 4});
}

TEST_F(Faults, AtEveryCommitOfATakeOver) {
  at_every_commit(
      {foreign_table(TakeOver::kPiece + 50), nullptr, [](ObjectSink& sink) { put_web(sink); }, 7});
}

TEST_F(Faults, RandomOnesDuringRandomChanges) {
  const uint64_t seed = fairlead::test::random_seed();
  auto running = process();
  put_web(*running);
  running->start();
  ASSERT_TRUE(settle(*running));
  Traffic traffic(cluster_, "client", "10.96.0.1:80");
  RandomChanges changes(*running, seed);
  std::mt19937_64 random(seed + 1);
  const auto faults = [&](Kind kind) {
    if (kind != Kind::kBatch)
      return Fault{random() % 16 == 0 ? EINTR : 0, false,
                   kind == Kind::kRequest && !(random() % 16)};
    return random() % 3 == 0 ? kWays[random() % 3].fault : Fault();
  };
  for (int step = 0; step < 300 && !HasFailure(); ++step) {
    kernel_.set_decide(faults);
    changes.change();
    if (random() % 4 == 0) cluster_.run_for(std::chrono::milliseconds(random() % 20));
    if (step % 30 != 29) continue;
    kernel_.set_decide([](Kind) { return Fault(); });
    EXPECT_TRUE(settle(*running));
    SCOPED_TRACE(step);
    expect_settled(*running);
  }
  EXPECT_GT(running->programmer().status().failures, 0u);
  traffic.stop();
  EXPECT_GT(traffic.connections(), 50);
  EXPECT_EQ(traffic.failures(), 0) << "of " << traffic.connections();
}

TEST_F(Faults, TryingAgainWaitsLongerEachTime) {
  ManualClock clock;
  auto running = std::make_unique<Process>(clock, kernel_);
  put_web(*running);
  kernel_.set_decide([](Kind kind) { return Fault{kind == Kind::kBatch ? ENOMEM : 0, true}; });
  running->start();
  const auto next_wait = [&] {
    EXPECT_TRUE(cluster_.run_until([&] { return clock.pending() > 0; }));
    const Duration wait = clock.until_next();
    clock.advance(wait);
    return wait / 1ms;
  };
  std::vector<int64_t> waits;
  for (int i = 0; i < 13; ++i) waits.push_back(next_wait());
  EXPECT_EQ(waits,
            (std::vector<int64_t>{0, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5000, 5000, 5000}));
  clock.set_wall({});  // of no consequence
  kernel_.set_decide([](Kind) { return Fault(); });
  ASSERT_TRUE(
      cluster_.run_until([&] { return clock.pending() > 0 || running->programmer().idle(); }));
  if (!running->programmer().idle()) next_wait();
  ASSERT_TRUE(settle(*running));
  expect_settled(*running);
  EXPECT_FALSE(running->programmer().status().last_error);
  // After a success it begins anew.
  kernel_.set_decide([](Kind kind) { return Fault{kind == Kind::kBatch ? ENOMEM : 0, true}; });
  put_every_kind(*running);
  EXPECT_EQ(next_wait(), 0);
  EXPECT_EQ(next_wait(), 10);
}

// A table replaced as a whole would have forgotten them.
TEST_F(Faults, ClientsAreRememberedThroughARepairThatFindsNoMemory) {
  auto running = process();
  put_web(*running);
  put_every_kind(*running);
  running->start();
  ASSERT_TRUE(settle(*running));
  const std::string reached = cluster_.tcp("client", "10.96.0.2:80").reached;
  EXPECT_NE(reached, "");
  int commits = 0;
  kernel_.set_decide([&](Kind kind) {
    return kind == Kind::kBatch && ++commits == 1 ? Fault{ENOMEM, true} : Fault();
  });
  load("flush chain ip fairlead sel_3\n");
  running->programmer().suspect("by the test");
  ASSERT_TRUE(settle(*running));
  EXPECT_GT(commits, 1);
  expect_settled(*running);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(cluster_.tcp("client", "10.96.0.2:80").reached, reached);
}

}  // namespace
}  // namespace fairlead::proxy
