// SPDX-License-Identifier: Apache-2.0
// Probes by a clock that is turned by hand, and their attempts over real sockets on loopback.
#include "orchestrator/node/probe.h"

#include <gtest/gtest.h>

#include <map>

#include "base/http/server.h"
#include "orchestrator/node/cri.h"

namespace fairlead::orchestrator {
namespace {

using std::chrono::seconds;
using Kind = ContainerProbes::Kind;
using Outcome = ProbeResult::Outcome;

// Answers as the test says.
class FakeRunner : public ProbeRunner {
 public:
  explicit FakeRunner(Clock& clock) : clock_(clock) {}
  std::unique_ptr<ProbeAttempt> run(const ProbeSpec& probe, const ProbeTarget&,
                                    ProbeDone done) override {
    asked.emplace_back(probe.path, clock_.now() - began_);
    auto attempt = std::make_unique<Attempt>();
    attempt->alarm =
        clock_.after(Duration::zero(), [this, path = probe.path, done = std::move(done)] {
          const ProbeDone copy = done;
          copy({answers[path], "because"});
        });
    return attempt;
  }
  // Seconds at which the probe of that path was asked.
  std::vector<int64_t> times(const std::string& path) const {
    std::vector<int64_t> list;
    for (const auto& [name, at] : asked)
      if (name == path) list.push_back(std::chrono::duration_cast<seconds>(at).count());
    return list;
  }

  std::map<std::string, Outcome> answers;
  std::vector<std::pair<std::string, Duration>> asked;

 private:
  struct Attempt : ProbeAttempt {
    Alarm alarm;
  };
  Clock& clock_;
  MonoTime began_ = clock_.now();
};

class Probes : public testing::Test {
 protected:
  static ProbeSpec probe(const std::string& name, int period, int failures, int delay = 0) {
    ProbeSpec spec;
    spec.path = name;
    spec.period = seconds(period);
    spec.failure_threshold = failures;
    spec.initial_delay = seconds(delay);
    return spec;
  }
  void begin(ContainerProbes::State before = {}) {
    probes_ = std::make_unique<ContainerProbes>(
        clock_, runner_, spec_, ProbeTarget{"10.0.0.1", "id"}, clock_.wall_now(), before,
        ContainerProbes::Callbacks{
            [this] { ++changes_; },
            [this](Kind, const ProbeResult& result) { remarks_.push_back(result.outcome); }});
  }
  bool alive() const { return probes_->state().alive; }
  bool ready() const { return probes_->state().ready; }
  bool started() const { return probes_->state().started; }
  void answer(const std::string& name, Outcome outcome) { runner_.answers[name] = outcome; }
  using Times = std::vector<int64_t>;

  ManualClock clock_;
  FakeRunner runner_{clock_};
  ContainerSpec spec_;
  std::unique_ptr<ContainerProbes> probes_;
  int changes_ = 0;
  std::vector<Outcome> remarks_;
};

// A container that needs 25 s, with three attempts ten seconds apart, is not killed before.
TEST_F(Probes, StartupFailuresAreCountedByPeriods) {
  spec_.startup = probe("start", 10, 3);
  answer("start", Outcome::kFailure);
  begin();
  clock_.advance(seconds(19));
  EXPECT_TRUE(alive());
  EXPECT_EQ(runner_.times("start"), (Times{0, 10}));
  clock_.advance(seconds(1));
  EXPECT_FALSE(alive());
  EXPECT_EQ(changes_, 1);
  clock_.advance(seconds(60));
  EXPECT_EQ(runner_.times("start"), (Times{0, 10, 20})) << "its container is about to be replaced";
}

TEST_F(Probes, StartupHoldsTheOthersBack) {
  spec_.startup = probe("start", 5, 10);
  spec_.readiness = probe("ready", 10, 3);
  spec_.liveness = probe("live", 10, 1, /*delay=*/20);
  for (const char* name : {"start", "live", "ready"}) answer(name, Outcome::kFailure);
  begin();
  clock_.advance(seconds(12));
  EXPECT_EQ(runner_.times("ready"), Times{});
  EXPECT_EQ(runner_.times("live"), Times{});
  answer("start", Outcome::kSuccess);
  answer("ready", Outcome::kSuccess);
  clock_.advance(seconds(3));
  EXPECT_TRUE(started());
  EXPECT_EQ(runner_.times("ready"), Times{15}) << "asked as soon as it has started";
  EXPECT_TRUE(ready());
  clock_.advance(seconds(4));
  EXPECT_TRUE(alive()) << "20 s after the container's start, not after the probe's";
  clock_.advance(seconds(1));
  EXPECT_FALSE(alive());
  EXPECT_FALSE(ready());
  EXPECT_EQ(runner_.times("start"), (Times{0, 5, 10, 15})) << "nothing more after its success";
}

TEST_F(Probes, InitialDelayPeriodAndThresholds) {
  spec_.liveness = probe("live", 7, 2, /*delay=*/30);
  spec_.readiness = probe("ready", 5, 2, /*delay=*/12);
  spec_.readiness->success_threshold = 2;
  answer("live", Outcome::kSuccess);
  answer("ready", Outcome::kSuccess);
  begin();
  EXPECT_TRUE(started()) << "without a startup probe it has";
  clock_.advance(seconds(12));
  EXPECT_FALSE(ready());
  clock_.advance(seconds(5));
  EXPECT_TRUE(ready());
  answer("ready", Outcome::kFailure);
  clock_.advance(seconds(5));
  EXPECT_TRUE(ready()) << "one failure of two";
  clock_.advance(seconds(5));
  EXPECT_FALSE(ready());
  EXPECT_EQ(runner_.times("ready"), (Times{12, 17, 22, 27}));
  clock_.advance(seconds(3));
  EXPECT_EQ(runner_.times("live"), Times{30});
  answer("live", Outcome::kFailure);
  clock_.advance(seconds(7));
  answer("live", Outcome::kSuccess);
  clock_.advance(seconds(7));
  answer("live", Outcome::kFailure);
  clock_.advance(seconds(7));
  EXPECT_TRUE(alive()) << "never two in a row";
  clock_.advance(seconds(7));
  EXPECT_FALSE(alive());
}

// A short start-up shows within a second, however long the period; later only each period.
TEST_F(Probes, ReadinessAsksSoonAtFirst) {
  spec_.readiness = probe("ready", 30, 3);
  answer("ready", Outcome::kFailure);
  begin();
  clock_.advance(seconds(3));
  EXPECT_EQ(runner_.times("ready"), (Times{0, 1, 2, 3}));
  clock_.advance(seconds(60));
  EXPECT_EQ(runner_.times("ready"), (Times{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 40}));
  answer("ready", Outcome::kSuccess);
  clock_.advance(seconds(7));
  EXPECT_TRUE(ready());
}

TEST_F(Probes, LivenessIsNotHurried) {
  spec_.liveness = probe("live", 10, 3);
  answer("live", Outcome::kFailure);
  begin();
  clock_.advance(seconds(20));
  EXPECT_EQ(runner_.times("live"), (Times{0, 10, 20}));
  EXPECT_FALSE(alive());
}

// The runtime is away: that says nothing of the container.
TEST_F(Probes, WhatCouldNotBeAskedDoesNotCount) {
  spec_.liveness = probe("live", 10, 1);
  spec_.readiness = probe("ready", 10, 1);
  answer("ready", Outcome::kSuccess);
  answer("live", Outcome::kUnknown);
  begin();
  clock_.advance(seconds(5));
  EXPECT_TRUE(ready());
  answer("ready", Outcome::kUnknown);
  clock_.advance(seconds(100));
  EXPECT_TRUE(alive());
  EXPECT_TRUE(ready());
  EXPECT_GT(remarks_.size(), 10u) << "it is told";
}

TEST_F(Probes, AWarningIsASuccessThatIsTold) {
  spec_.readiness = probe("ready", 10, 1);
  answer("ready", Outcome::kWarning);
  begin();
  clock_.advance(seconds(0));
  EXPECT_TRUE(ready());
  EXPECT_EQ(remarks_, std::vector<Outcome>{Outcome::kWarning});
}

// A new container begins anew; one that an earlier life of the node knew stays what it was.
TEST_F(Probes, ARestartBeginsAnewAndAnAdoptionGoesOn) {
  spec_.startup = probe("start", 10, 1);
  spec_.readiness = probe("ready", 10, 2);
  for (const char* name : {"start", "ready"}) answer(name, Outcome::kSuccess);
  begin();
  clock_.advance(seconds(1));
  EXPECT_TRUE(started() && ready());
  begin();
  EXPECT_FALSE(started());
  EXPECT_FALSE(ready());
  for (const char* name : {"start", "ready"}) answer(name, Outcome::kFailure);
  begin({true, true, true});
  EXPECT_TRUE(started() && ready());
  clock_.advance(seconds(1));
  EXPECT_TRUE(started() && alive()) << "its startup probe had succeeded";
  EXPECT_TRUE(ready()) << "one failure of two";
  clock_.advance(seconds(9));
  EXPECT_FALSE(ready());
}

TEST_F(Probes, DeletionStopsLivenessAndLeavesReadiness) {
  spec_.liveness = probe("live", 10, 1);
  spec_.readiness = probe("ready", 10, 1);
  for (const char* name : {"live", "ready"}) answer(name, Outcome::kSuccess);
  begin();
  clock_.advance(seconds(1));
  for (const char* name : {"live", "ready"}) answer(name, Outcome::kFailure);
  probes_->stop_liveness();
  clock_.advance(seconds(20));
  EXPECT_TRUE(alive());
  EXPECT_FALSE(ready());
  probes_.reset();
  EXPECT_EQ(clock_.pending(), 0u);
}

TEST(SameHostRedirect, IsFollowed) {
  struct Row {
    const char* url;
    const char* location;
    const char* next;  // nullptr: not followed
  };
  const Row rows[] = {
      {"http://10.0.0.1:80/a/b", "/healthy", "http://10.0.0.1:80/healthy"},
      {"http://10.0.0.1:80/a/b", "c?x=1", "http://10.0.0.1:80/a/c?x=1"},
      {"http://10.0.0.1:80/", "https://10.0.0.1:8443/z", "https://10.0.0.1:8443/z"},
      {"http://web.test:80/", "http://WEB.test/z", "http://WEB.test/z"},
      {"http://10.0.0.1:80/", "http://10.0.0.2/", nullptr},
      {"http://10.0.0.1:80/", "//example.org/", nullptr},
      {"http://10.0.0.1:80/", "file://10.0.0.1/etc/passwd", nullptr},
      {"http://10.0.0.1:80/", "ftp://10.0.0.1/", nullptr},
      {"http://10.0.0.1:80/", "http://", nullptr},
  };
  for (const Row& row : rows) {
    const auto next = same_host_redirect(row.url, row.location);
    EXPECT_EQ(next.has_value(), row.next != nullptr) << row.location;
    if (next && row.next != nullptr) EXPECT_EQ(*next, row.next);
  }
}

// Over loopback; the runtime is a socket that nobody listens on.
class Attempts : public testing::Test {
 protected:
  Attempts()
      : server_(loop_, {},
                [this](const HttpServerRequest& request, std::shared_ptr<HttpResponder> responder) {
                  paths_.push_back(request.path);
                  const auto to = locations_.find(request.path);
                  if (to == locations_.end())
                    return responder->respond(request.path == "/bad" ? 500 : 200, {}, "");
                  HttpHeaders headers;
                  if (!to->second.empty()) headers.add("Location", to->second);
                  responder->respond(302, headers, "");
                }),
        cri_(loop_, "/nonexistent/containerd.sock"),
        runner_(loop_, cri_) {
    port_ = (*server_.listen({IpAddress::v4(127, 0, 0, 1), 0})).port;
  }
  ProbeResult run(const ProbeSpec& probe) {
    std::optional<ProbeResult> result;
    const auto attempt =
        runner_.run(probe, {"127.0.0.1", "id"}, [&](ProbeResult got) { result = std::move(got); });
    EXPECT_TRUE(loop_.run_until([&] { return result.has_value(); }, seconds(60)));
    return result.value_or(ProbeResult{});
  }
  ProbeSpec spec(ProbeSpec::Kind kind) const {
    ProbeSpec probe;
    probe.kind = kind;
    probe.port = port_;
    probe.timeout = seconds(30);
    return probe;
  }
  Outcome get(const std::string& path) {
    ProbeSpec probe = spec(ProbeSpec::Kind::kHttp);
    probe.path = path;
    paths_.clear();
    return run(probe).outcome;
  }

  Loop loop_;
  HttpServer server_;
  CriClient cri_;
  NetworkProbeRunner runner_;
  uint16_t port_ = 0;
  std::map<std::string, std::string> locations_;
  std::vector<std::string> paths_;
};

TEST_F(Attempts, HttpGoesWhereItIsSent) {
  locations_ = {{"/here", "/there"},
                {"/there", "/ok"},
                {"/loop", "/loop"},
                {"/worse", "/bad"},
                {"/away", "http://192.0.2.1/"},
                {"/nowhere", ""}};
  EXPECT_EQ(get("/ok"), Outcome::kSuccess);
  EXPECT_EQ(get("/bad"), Outcome::kFailure);
  EXPECT_EQ(get("/here"), Outcome::kSuccess);
  EXPECT_EQ(paths_, (std::vector<std::string>{"/here", "/there", "/ok"}));
  EXPECT_EQ(get("/worse"), Outcome::kFailure) << "the last answer counts";
  EXPECT_EQ(get("/away"), Outcome::kWarning);
  EXPECT_EQ(get("/nowhere"), Outcome::kWarning);
  EXPECT_EQ(get("/loop"), Outcome::kFailure);
  EXPECT_EQ(paths_.size(), 11u);
}

TEST_F(Attempts, TcpConnectsToTheAddressItWasGiven) {
  ProbeSpec probe = spec(ProbeSpec::Kind::kTcp);
  EXPECT_EQ(run(probe).outcome, Outcome::kSuccess);
  probe.host = "no-address.test";
  const ProbeResult named = run(probe);
  EXPECT_EQ(named.outcome, Outcome::kFailure) << "0.0.0.0 would be this machine";
  EXPECT_NE(named.output.find("no-address.test"), std::string::npos) << named.output;
  probe.host = "127.0.0.1";
  probe.port = 1;
  EXPECT_EQ(run(probe).outcome, Outcome::kFailure);
}

TEST_F(Attempts, WithoutARuntimeAnExecProbeSaysNothing) {
  ProbeSpec probe = spec(ProbeSpec::Kind::kExec);
  probe.command = {"/bin/true"};
  EXPECT_EQ(run(probe).outcome, Outcome::kUnknown);
}

}  // namespace
}  // namespace fairlead::orchestrator
