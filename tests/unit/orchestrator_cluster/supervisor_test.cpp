// SPDX-License-Identifier: Apache-2.0
// The supervisor with small shell scripts as children.
#include "orchestrator/cluster/supervisor.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "orchestrator/node/files.h"

namespace fairlead::orchestrator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class SupervisorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/fairlead-supervisor-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    root_ = name;
  }
  void TearDown() override {
    for (const auto& [name, record] : Supervisor::records(root_))
      EXPECT_TRUE(terminate(record.process, seconds(5)).ok());
    EXPECT_TRUE(files::remove_tree(root_).ok());
  }
  ChildSpec sleeper(const std::string& name = "sleeper", const std::string& argument = "1000") {
    return {
        name, {"/bin/sleep", argument}, [this](bool running) { running ? ++started_ : ++ended_; }};
  }
  std::string root_;
  Loop loop_;
  int started_ = 0;
  int ended_ = 0;
};

TEST_F(SupervisorTest, StartsAndRecords) {
  Supervisor supervisor(loop_, root_, root_ + "/log");
  ASSERT_TRUE(supervisor.keep(sleeper()).ok());
  EXPECT_EQ(started_, 1);
  const auto records = Supervisor::records(root_);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].second.process.pid, supervisor.pid("sleeper"));
  EXPECT_TRUE(is_alive(records[0].second.process));
  EXPECT_EQ(getsid(supervisor.pid("sleeper")), supervisor.pid("sleeper")) << "a session of its own";
}

TEST_F(SupervisorTest, StartsAgainAfterAKill) {
  Supervisor supervisor(loop_, root_, root_ + "/log");
  ASSERT_TRUE(supervisor.keep(sleeper()).ok());
  const pid_t first = supervisor.pid("sleeper");
  ASSERT_EQ(kill(first, SIGKILL), 0);
  ASSERT_TRUE(loop_.run_until([&] { return started_ == 2; }, seconds(20)));
  EXPECT_NE(supervisor.pid("sleeper"), first);
  EXPECT_EQ(ended_, 1);
}

TEST_F(SupervisorTest, WaitsLongerEachTime) {
  Supervisor supervisor(loop_, root_, root_ + "/log");
  const MonoTime began = loop_.clock().now();
  ASSERT_TRUE(
      supervisor
          .keep(
              {"brief", {"/bin/false"}, [this](bool running) { running ? ++started_ : ++ended_; }})
          .ok());
  ASSERT_TRUE(loop_.run_until([&] { return started_ == 4; }, seconds(30)));
  EXPECT_GE(loop_.clock().now() - began, milliseconds(100 + 200 + 400));
}

TEST_F(SupervisorTest, AProgramThatIsNotThereIsTriedAgain) {
  Supervisor supervisor(loop_, root_, root_ + "/log");
  const std::string program = root_ + "/late";
  ASSERT_TRUE(
      supervisor
          .keep({"late", {program}, [this](bool running) { running ? ++started_ : ++ended_; }})
          .ok());
  EXPECT_EQ(started_, 0);
  ASSERT_TRUE(files::write_atomic(program, "#!/bin/sh\nexec sleep 1000\n", 0755).ok());
  EXPECT_TRUE(loop_.run_until([&] { return started_ == 1; }, seconds(20)));
}

TEST_F(SupervisorTest, ChildrenOutliveItAndAreAdopted) {
  pid_t first = 0;
  {
    Supervisor supervisor(loop_, root_, root_ + "/log");
    ASSERT_TRUE(supervisor.keep(sleeper()).ok());
    first = supervisor.pid("sleeper");
  }
  EXPECT_EQ(kill(first, 0), 0);
  Supervisor supervisor(loop_, root_, root_ + "/log");
  ASSERT_TRUE(supervisor.keep(sleeper()).ok());
  EXPECT_EQ(supervisor.pid("sleeper"), first);
  ASSERT_EQ(kill(first, SIGKILL), 0);
  ASSERT_TRUE(loop_.run_until([&] { return started_ == 3; }, seconds(20)))
      << "an adopted child is watched too";
}

TEST_F(SupervisorTest, OtherArgumentsReplaceTheChild) {
  pid_t first = 0;
  {
    Supervisor supervisor(loop_, root_, root_ + "/log");
    ASSERT_TRUE(supervisor.keep(sleeper()).ok());
    first = supervisor.pid("sleeper");
  }
  Supervisor supervisor(loop_, root_, root_ + "/log");
  ASSERT_TRUE(supervisor.keep(sleeper("sleeper", "999")).ok());
  EXPECT_NE(supervisor.pid("sleeper"), first);
  EXPECT_NE(kill(first, 0), 0);
}

TEST_F(SupervisorTest, ANewBuildReplacesTheChild) {
  const auto install = [&] {
    const Result<std::string> program = files::read("/bin/sleep");
    return program.ok() && files::write_atomic(root_ + "/sleep", *program, 0755).ok();
  };
  const auto keep = [&](Supervisor& supervisor) {
    return supervisor.keep({"sleeper", {root_ + "/sleep", "1000"}, nullptr}).ok();
  };
  ASSERT_TRUE(install());
  pid_t first = 0;
  {
    Supervisor supervisor(loop_, root_, root_ + "/log");
    ASSERT_TRUE(keep(supervisor));
    first = supervisor.pid("sleeper");
  }
  ASSERT_EQ(rename((root_ + "/sleep").c_str(), (root_ + "/away").c_str()), 0);
  {
    Supervisor supervisor(loop_, root_, root_ + "/log");
    ASSERT_TRUE(keep(supervisor));
    EXPECT_EQ(supervisor.pid("sleeper"), first) << "nothing newer is there";
  }
  ASSERT_TRUE(install());
  Supervisor supervisor(loop_, root_, root_ + "/log");
  ASSERT_TRUE(keep(supervisor));
  EXPECT_NE(supervisor.pid("sleeper"), first);
  EXPECT_NE(kill(first, 0), 0);
}

TEST_F(SupervisorTest, ARecycledPidIsNotAdopted) {
  // Our own process, with a start time that is not ours: another process of that number.
  const ProcessRecord stale{{getpid(), *start_time_of(getpid()) + 1}, {"/bin/sleep", "1000"}, 0};
  ASSERT_TRUE(files::make_dirs(root_ + "/children").ok());
  ASSERT_TRUE(files::write_atomic(root_ + "/children/sleeper", format_record(stale)).ok());
  Supervisor supervisor(loop_, root_, root_ + "/log");
  ASSERT_TRUE(supervisor.keep(sleeper()).ok());
  EXPECT_NE(supervisor.pid("sleeper"), getpid());
  EXPECT_GT(supervisor.pid("sleeper"), 1);
}

TEST_F(SupervisorTest, RestartIsAtOnce) {
  Supervisor supervisor(loop_, root_, root_ + "/log");
  ASSERT_TRUE(supervisor.keep(sleeper()).ok());
  const pid_t first = supervisor.pid("sleeper");
  supervisor.restart("sleeper");
  ASSERT_TRUE(loop_.run_until([&] { return started_ == 2; }, seconds(20)));
  EXPECT_NE(supervisor.pid("sleeper"), first);
}

TEST_F(SupervisorTest, StartedInOrderAndStoppedInReverse) {
  const std::string order = root_ + "/order";
  const std::vector<std::string> names = {"zeta", "alpha", "middle"};  // not the alphabet's order
  std::vector<std::string> begun;
  const auto lines_come_to = [&](int count) {
    for (int attempt = 0; attempt < 1000; ++attempt) {
      const Result<std::string> text = files::read(order);
      if (text.ok() && std::count(text->begin(), text->end(), '\n') == count) return true;
      loop_.run_until([] { return false; }, milliseconds(20));
    }
    return false;
  };
  Supervisor supervisor(loop_, root_, root_ + "/log");
  for (const std::string& name : names) {
    const auto say = [&](const char* what) { return "echo " + (what + name) + ">>" + order + ";"; };
    const std::string script = "trap '" + say("told ") + "sleep 0.1;" + say("ended ") +
                               "exit' TERM;" + say("up ") + "while :; do sleep 0.02; done";
    const auto on_change = [&, name](bool running) {
      if (running) begun.push_back(name);
    };
    ASSERT_TRUE(supervisor.keep({name, {"/bin/sh", "-c", script}, on_change}).ok());
  }
  EXPECT_EQ(begun, names);
  ASSERT_TRUE(lines_come_to(3));
  // The first one comes back from a kill: it is the youngest process now, and still the first.
  ASSERT_EQ(kill(supervisor.pid("zeta"), SIGKILL), 0);
  ASSERT_TRUE(lines_come_to(4));
  ASSERT_TRUE(files::write_atomic(order, "").ok());
  ASSERT_TRUE(Supervisor::stop_all(root_, seconds(10)).ok());
  EXPECT_EQ(*files::read(order),
            "told middle\nended middle\ntold alpha\nended alpha\ntold zeta\nended zeta\n");
  EXPECT_TRUE(Supervisor::records(root_).empty());
}

TEST_F(SupervisorTest, LogsAreBounded) {
  const std::string path = root_ + "/x.log";
  ASSERT_TRUE(files::write_atomic(path, std::string(3000, 'a') + std::string(1000, 'b')).ok());
  trim_log(path, 4000);
  EXPECT_EQ(files::read(path)->size(), 4000u) << "not beyond the limit yet";
  trim_log(path, 1000);
  EXPECT_EQ(files::read(path)->size(), 0u);
  EXPECT_EQ(*files::read(path + ".1"), std::string(1000, 'b')) << "the newest part is kept";
}

TEST(ProcessRecord, RoundTripsAndRefusesDamage) {
  const ProcessRecord record{{42, 77}, {"/bin/x", "--a", "b c"}, 3};
  const auto again = parse_record(format_record(record));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->process, record.process);
  EXPECT_EQ(again->command, record.command);
  EXPECT_EQ(again->position, record.position);
  for (const char* text : {"", "x", "42", "42 77\n", "1 77\n/bin/x\n", "-5 1\n/bin/x\n"})
    EXPECT_FALSE(parse_record(text)) << text;
}

}  // namespace
}  // namespace fairlead::orchestrator
