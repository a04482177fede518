// SPDX-License-Identifier: Apache-2.0
// The watcher with small functions as workers. Each test's watcher is a child of the test; what its
// workers do they note in a file. That a worker without a watcher executes the program anew is
// tested in tests/e2e/test_faults.py.
#include "orchestrator/cluster/watcher.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "orchestrator/node/files.h"

namespace fairlead::orchestrator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class WatcherTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/fairlead-watcher-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    root_ = name;
  }
  void TearDown() override {
    if (watcher_ > 0) kill(watcher_, SIGKILL), waitpid(watcher_, nullptr, 0);
    EXPECT_TRUE(files::remove_tree(root_).ok());
  }

  // What a worker does: its number, from 1, and its link.
  using Work = std::function<int(int number, const WatcherLink& link)>;
  using Hearing = WatcherLink::Hearing;

  void watch(const Work& work, WatchTimes times = {.min_delay = milliseconds(10)}) {
    watcher_ = fork();
    if (watcher_ != 0) return;
    char* argv[] = {const_cast<char*>("test"), nullptr};
    std::_Exit(keep_running(
        argv,
        [&](const WatcherLink& link) {
          const int number = static_cast<int>(notes().size()) + 1;
          note(std::to_string(getpid()));
          std::_Exit(work(number, link) & 0xff);  // without the test program's own farewells
          return 0;
        },
        times));
  }
  int status_of_watcher() {
    int status = 0;
    waitpid(std::exchange(watcher_, 0), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  void note(const std::string& text) const {
    std::ofstream(root_ + "/notes", std::ios::app) << text << '\n';
  }
  std::vector<std::string> notes() const {
    std::vector<std::string> lines;
    std::ifstream file(root_ + "/notes");
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }
  bool notes_come_to(size_t count) const {
    for (int attempt = 0; attempt < 2000 && notes().size() < count; ++attempt)
      std::this_thread::sleep_for(milliseconds(10));
    return notes().size() >= count;
  }
  [[noreturn]] static void wait_for_ever() {
    for (;;) pause();
  }

  std::string root_;
  pid_t watcher_ = 0;
};

TEST_F(WatcherTest, ARefusalEndsBothWithItsStatus) {
  watch([](int, const WatcherLink&) { return 7; });
  EXPECT_EQ(status_of_watcher(), 7);
  EXPECT_EQ(notes().size(), 1u);
}

TEST_F(WatcherTest, SuccessEndsBoth) {
  watch([](int, const WatcherLink& link) { return link.tell_started(), 0; });
  EXPECT_EQ(status_of_watcher(), 0);
  EXPECT_EQ(notes().size(), 1u);
}

TEST_F(WatcherTest, AnErrorAfterTheStartIsTriedAgainAndSoIsARefusalThen) {
  watch([](int number, const WatcherLink& link) {
    if (number == 1) link.tell_started();
    return number < 4 ? 7 : 0;
  });
  EXPECT_EQ(status_of_watcher(), 0);
  EXPECT_EQ(notes().size(), 4u);
}

TEST_F(WatcherTest, AKilledWorkerIsStartedAgainEvenBeforeItWasStarted) {
  watch([](int number, const WatcherLink&) { return number < 3 ? raise(SIGKILL) : 5; });
  EXPECT_EQ(status_of_watcher(), 5);
  EXPECT_EQ(notes().size(), 3u);
}

TEST_F(WatcherTest, ProcessNamesTellThemApart) {
  watch([this](int, const WatcherLink&) {
    for (const pid_t pid : {getpid(), getppid()})
      note(*files::read("/proc/" + std::to_string(pid) + "/comm"));
    return 0;
  });
  EXPECT_EQ(status_of_watcher(), 0);
  const std::vector<std::string> all = notes();
  ASSERT_EQ(all.size(), 5u);
  EXPECT_EQ(all[1], "fairlead");
  EXPECT_EQ(all[3], "fairlead-watch");
}

TEST_F(WatcherTest, SignalsReachTheWorkerAndItsStatusIsTheirs) {
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    ASSERT_TRUE(files::write_atomic(root_ + "/notes", "").ok());
    watch([this, number](int, const WatcherLink&) {
      sigset_t set;
      sigemptyset(&set);
      sigaddset(&set, number);
      sigprocmask(SIG_BLOCK, &set, nullptr);
      note("ready");
      int got = 0;
      sigwait(&set, &got);
      return 40 + got;
    });
    ASSERT_TRUE(notes_come_to(2));
    kill(watcher_, number);
    EXPECT_EQ(status_of_watcher(), 40 + number);
  }
}

// `fairlead down` tells both halves to end, at any moment: before the worker has its handlers, and
// again when it has them no more.
TEST_F(WatcherTest, ASignalNeverKillsAWorkerThatHasNoHandler) {
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    ASSERT_TRUE(files::write_atomic(root_ + "/notes", "").ok());
    watch([number](int, const WatcherLink& link) {
      raise(number);
      static volatile sig_atomic_t heard = 0;
      std::signal(number, [](int) { heard = heard + 1; });
      {
        const Hearing hearing(link);
        while (heard == 0) pause();
      }
      std::signal(number, SIG_DFL);
      raise(number);
      return 40 + heard;
    });
    EXPECT_EQ(status_of_watcher(), 41) << number;
    EXPECT_EQ(notes().size(), 1u);
  }
}

// Nor one that the watcher is told of before it has begun.
TEST_F(WatcherTest, AWorkerIsToldToEndAsSoonAsItHears) {
  watch([this](int, const WatcherLink& link) -> int {
    note("begun");
    std::this_thread::sleep_for(milliseconds(200));  // the signal comes meanwhile
    std::signal(SIGTERM, [](int) { std::_Exit(44); });
    const Hearing hearing(link);
    wait_for_ever();
  });
  ASSERT_TRUE(notes_come_to(2));
  kill(watcher_, SIGTERM);
  EXPECT_EQ(status_of_watcher(), 44);
}

TEST_F(WatcherTest, AHangUpThatIsIgnoredStaysSo) {
  std::signal(SIGHUP, SIG_IGN);  // as nohup(1) does
  watch([this](int, const WatcherLink& link) -> int {
    const Hearing hearing(link);
    note("hears");
    wait_for_ever();
  });
  std::signal(SIGHUP, SIG_DFL);
  ASSERT_TRUE(notes_come_to(2));
  kill(watcher_, SIGHUP);
  kill(watcher_, SIGTERM);
  EXPECT_EQ(status_of_watcher(), 128 + SIGTERM);
}

TEST_F(WatcherTest, AWorkerThatDoesNotEndIsKilled) {
  watch(
      [this](int, const WatcherLink&) -> int {
        std::signal(SIGTERM, SIG_IGN);
        note("deaf");
        wait_for_ever();
      },
      {.stop_limit = milliseconds(50)});
  ASSERT_TRUE(notes_come_to(2));
  kill(watcher_, SIGTERM);
  EXPECT_EQ(status_of_watcher(), 128 + SIGKILL);
}

TEST_F(WatcherTest, ToldToEndBetweenTwoWorkersItEnds) {
  watch([](int, const WatcherLink&) { return raise(SIGKILL); },
        {.min_delay = seconds(600), .max_delay = seconds(600)});
  ASSERT_TRUE(notes_come_to(1));
  const pid_t worker = std::stoi(notes()[0]);
  while (kill(worker, 0) == 0) std::this_thread::sleep_for(milliseconds(5));
  kill(watcher_, SIGTERM);
  EXPECT_EQ(status_of_watcher(), 0);
  EXPECT_EQ(notes().size(), 1u);
}

TEST_F(WatcherTest, WaitsLongerEachTimeAndFromAnewAfterALongLife) {
  ::testing::internal::CaptureStderr();
  watch(
      [](int number, const WatcherLink&) {
        if (number == 5) std::this_thread::sleep_for(milliseconds(2100));
        return number < 6 ? raise(SIGKILL) : 0;
      },
      {.min_delay = milliseconds(10), .max_delay = milliseconds(40), .steady = seconds(2)});
  EXPECT_EQ(status_of_watcher(), 0);
  const std::string said = ::testing::internal::GetCapturedStderr();
  std::vector<std::string> delays;
  const std::string before = " ended by signal 9; started again in ", after = " ms\n";
  for (size_t at = 0; (at = said.find(before, at)) != std::string::npos;) {
    at += before.size();
    delays.push_back(said.substr(at, said.find(after, at) - at));
  }
  EXPECT_EQ(delays, (std::vector<std::string>{"10", "20", "40", "40", "10"})) << said;
}

TEST_F(WatcherTest, TheWorkerSeesThatItsWatcherIsGone) {
  watch([this](int, const WatcherLink& link) {
    pollfd source{link.fd(), POLLIN, 0};
    poll(&source, 1, 0);
    note(source.revents == 0 ? "watched" : "alone");
    poll(&source, 1, -1);
    note("alone");
    return 0;
  });
  ASSERT_TRUE(notes_come_to(2));
  kill(watcher_, SIGKILL);
  ASSERT_TRUE(notes_come_to(3));
  EXPECT_EQ(notes()[1], "watched");
}

TEST_F(WatcherTest, AServiceManagerHearsOfTheStart) {
  const std::string path = root_ + "/notify";
  const int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(bind(manager, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  setenv("NOTIFY_SOCKET", path.c_str(), 1);
  watch([this](int, const WatcherLink& link) {
    note(getenv("NOTIFY_SOCKET") == nullptr ? "hidden" : "seen");
    link.tell_started();
    return 0;
  });
  unsetenv("NOTIFY_SOCKET");
  EXPECT_EQ(status_of_watcher(), 0);
  char text[64] = {};
  ASSERT_GT(recv(manager, text, sizeof text - 1, MSG_DONTWAIT), 0);
  EXPECT_STREQ(text, "READY=1");
  EXPECT_EQ(notes()[1], "hidden") << "containerd would tell its own start there";
  close(manager);
}

TEST_F(WatcherTest, AWorkerOfAServiceManagerEndsWithItsWatcher) {
  setenv("NOTIFY_SOCKET", "@nobody", 1);
  watcher_ = fork();
  if (watcher_ == 0) {
    char* argv[] = {const_cast<char*>("test"), nullptr};
    std::_Exit(keep_running(argv, [this](const WatcherLink& link) {
      note(std::to_string(getpid()));
      pollfd source{link.fd(), POLLIN, 0};
      poll(&source, 1, -1);
      return kWatcherGone;
    }));
  }
  unsetenv("NOTIFY_SOCKET");
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);  // an orphan becomes our child
  ASSERT_TRUE(notes_come_to(1));
  const pid_t worker = std::stoi(notes()[0]);
  kill(watcher_, SIGKILL);
  EXPECT_EQ(status_of_watcher(), -SIGKILL);
  int status = 0;
  EXPECT_EQ(waitpid(worker, &status, 0), worker);
  EXPECT_EQ(WEXITSTATUS(status), EXIT_FAILURE);
  prctl(PR_SET_CHILD_SUBREAPER, 0);
}

}  // namespace
}  // namespace fairlead::orchestrator
