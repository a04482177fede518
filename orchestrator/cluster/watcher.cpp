// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/cluster/watcher.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>

#include "base/log.h"
#include "orchestrator/cluster/supervisor.h"

namespace fairlead::orchestrator {

namespace {

using std::chrono::steady_clock;

constexpr char kWatcherName[] = "fairlead-watch";
constexpr char kWorkerName[] = "fairlead";
constexpr char kStarted = 's';
constexpr int kToEnd[] = {SIGTERM, SIGINT, SIGHUP};  // what tells a worker to end
constexpr char kServiceManager[] = "NOTIFY_SOCKET";
constexpr char kStartedBefore[] = "FAIRLEAD_STARTED_BEFORE";  // a worker executed the program anew

// The variable's value, which our children are not to see.
std::string take_variable(const char* name) {
  const char* value = getenv(name);
  std::string text = value == nullptr ? "" : value;
  unsetenv(name);
  return text;
}

// One datagram; a path that begins with '@' is an abstract name.
void tell_service_manager(const std::string& path, std::string_view text) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  bool sent = fd >= 0 && path.size() < sizeof address.sun_path;
  if (sent) {
    std::memcpy(address.sun_path, path.data(), path.size());
    if (path[0] == '@') address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    sent = sendto(fd, text.data(), text.size(), MSG_NOSIGNAL,
                  reinterpret_cast<const sockaddr*>(&address), length) >= 0;
  }
  if (!sent) log::warn("the service manager cannot be told {} at {}", text, path);
  if (fd >= 0) close(fd);
}

int milliseconds_until(std::optional<MonoTime> moment) {
  if (!moment) return -1;
  const Duration left = std::max<Duration>(*moment - steady_clock::now(), Duration::zero());
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count());
}

int exit_status(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

class Watcher {
 public:
  Watcher(char** argv, const std::function<int(const WatcherLink&)>& work, const WatchTimes& times)
      : argv_(argv), work_(work), times_(times), delay_(times.min_delay) {}
  ~Watcher() {
    if (signals_ >= 0) close(signals_);
  }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  int run();

 private:
  Result<void> prepare();
  Result<void> start_worker();
  [[noreturn]] void be_worker(int link);
  int wait_for_end();
  void hear_worker();
  void take_signals(std::optional<MonoTime>& kill_at);
  std::optional<int> reap();
  Duration next_delay(Duration lived);
  bool told_to_end_within(Duration delay);

  char** const argv_;
  const std::function<int(const WatcherLink&)>& work_;
  const WatchTimes times_;
  const std::string service_manager_ = take_variable(kServiceManager);
  bool ever_started_ = !take_variable(kStartedBefore).empty();
  bool told_to_end_ = false;
  Duration delay_;
  sigset_t original_mask_{};  // of whoever started the program
  int signals_ = -1;          // a signalfd
  pid_t worker_ = 0;          // 0: none
  int link_ = -1;             // to the worker; -1: it has closed its end
};

int Watcher::run() {
  if (const Result<void> prepared = prepare(); !prepared.ok()) {
    log::error("{}", prepared.error().message());
    return EXIT_FAILURE;
  }
  for (;;) {
    const MonoTime began = steady_clock::now();
    std::string what;
    if (const Result<void> started = start_worker(); started.ok()) {
      const pid_t pid = worker_;
      const int status = wait_for_end();
      const bool failed = WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
      if (told_to_end_ || !failed || (WIFEXITED(status) && !ever_started_))
        return exit_status(status);
      what = "process " + std::to_string(pid) + " " + describe_end(status);
    } else {
      what = started.error().message();
      if (!ever_started_) return log::error("{}", what), EXIT_FAILURE;
    }
    const Duration delay = next_delay(steady_clock::now() - began);
    log::warn("{}; started again in {} ms", what,
              std::chrono::duration_cast<std::chrono::milliseconds>(delay).count());
    if (told_to_end_within(delay)) return EXIT_SUCCESS;
  }
}

Result<void> Watcher::prepare() {
  prctl(PR_SET_NAME, kWatcherName);
  std::signal(SIGCHLD, SIG_DFL);  // ignored, as some parents leave it, it would tell no status
  struct sigaction hangup {};
  sigaction(SIGHUP, nullptr, &hangup);
  sigset_t waited;
  sigemptyset(&waited);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT}) sigaddset(&waited, number);
  if (hangup.sa_handler != SIG_IGN) sigaddset(&waited, SIGHUP);  // nohup(1)
  sigprocmask(SIG_BLOCK, &waited, &original_mask_);
  if (ever_started_)  // the worker that executed the program anew had them blocked, not its starter
    for (const int number : kToEnd) sigdelset(&original_mask_, number);
  signals_ = signalfd(-1, &waited, SFD_CLOEXEC | SFD_NONBLOCK);
  return signals_ >= 0 ? ok() : Error::from_errno(errno, "signalfd");
}

Result<void> Watcher::start_worker() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return Error::from_errno(errno, "a line to the worker");
  worker_ = fork();
  if (worker_ == 0) {
    close(ends[0]);
    be_worker(ends[1]);
  }
  const int error = errno;
  close(ends[1]);
  link_ = ends[0];
  if (worker_ > 0) return ok();
  close(std::exchange(link_, -1));
  worker_ = 0;
  return Error::from_errno(error, "fork");
}

void Watcher::be_worker(int link) {
  close(std::exchange(signals_, -1));
  sigset_t deaf = original_mask_;
  for (const int number : kToEnd) sigaddset(&deaf, number);
  sigprocmask(SIG_SETMASK, &deaf, nullptr);
  setpgid(0, 0);  // what a terminal sends reaches the watcher, and us from it, once
  prctl(PR_SET_NAME, kWorkerName);
  const int status = work_(WatcherLink(link, original_mask_));
  pollfd watcher{link, POLLIN, 0};
  const bool nobody_tries_again = status != 0 && ever_started_ && poll(&watcher, 1, 0) > 0;
  if (status != kWatcherGone && !nobody_tries_again) std::exit(status);
  if (!service_manager_.empty()) {
    log::warn("the watching process is gone: this one ends, the service manager starts it again");
    std::exit(EXIT_FAILURE);
  }
  log::warn("the watching process is gone: starting anew in its place");
  setenv(kStartedBefore, "1", 1);
  execv("/proc/self/exe", argv_);
  log::error("{}", Error::from_errno(errno, "execute /proc/self/exe").message());
  std::exit(EXIT_FAILURE);
}

// The worker's wait status.
int Watcher::wait_for_end() {
  std::optional<MonoTime> kill_at;
  for (;;) {
    pollfd sources[] = {{signals_, POLLIN, 0}, {link_, POLLIN, 0}};
    poll(sources, 2, milliseconds_until(kill_at));
    if (sources[1].revents != 0) hear_worker();
    take_signals(kill_at);
    if (const std::optional<int> status = reap()) {
      if (link_ >= 0) hear_worker();  // its last word may have come with its end
      if (link_ >= 0) close(std::exchange(link_, -1));
      return *status;
    }
    if (kill_at && steady_clock::now() >= *kill_at) {
      log::warn("process {} does not end and is killed", worker_);
      kill(worker_, SIGKILL);
      kill_at.reset();
    }
  }
}

void Watcher::hear_worker() {
  char word = 0;
  if (recv(link_, &word, 1, MSG_DONTWAIT) <= 0) {
    close(std::exchange(link_, -1));
    return;
  }
  ever_started_ = true;
  if (!service_manager_.empty()) tell_service_manager(service_manager_, "READY=1");
}

void Watcher::take_signals(std::optional<MonoTime>& kill_at) {
  signalfd_siginfo signal{};
  while (read(signals_, &signal, sizeof signal) == sizeof signal) {
    if (signal.ssi_signo == SIGCHLD) continue;
    told_to_end_ = true;
    if (worker_ == 0) continue;
    kill(worker_, static_cast<int>(signal.ssi_signo));
    if (!kill_at) kill_at = steady_clock::now() + times_.stop_limit;
  }
}

// Whatever child has ended: those of a worker that executed the program anew are ours, too.
std::optional<int> Watcher::reap() {
  std::optional<int> ended;
  int status = 0;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid != worker_) continue;
    worker_ = 0;
    ended = status;
  }
  return ended;
}

Duration Watcher::next_delay(Duration lived) {
  if (lived > times_.steady) delay_ = times_.min_delay;
  const Duration delay = delay_;
  delay_ = std::min<Duration>(delay_ * 2, times_.max_delay);
  return delay;
}

bool Watcher::told_to_end_within(Duration delay) {
  const MonoTime end = steady_clock::now() + delay;
  std::optional<MonoTime> nobody;
  while (!told_to_end_ && steady_clock::now() < end) {
    pollfd source{signals_, POLLIN, 0};
    poll(&source, 1, milliseconds_until(end));
    take_signals(nobody);
    (void)reap();
  }
  return told_to_end_;
}

}  // namespace

void WatcherLink::tell_started() const {
  (void)send(fd_, &kStarted, 1, MSG_NOSIGNAL);  // to nobody, if the watcher is gone: seen by fd()
}

int keep_running(char** argv, const std::function<int(const WatcherLink&)>& work,
                 const WatchTimes& times) {
  return Watcher(argv, work, times).run();
}

}  // namespace fairlead::orchestrator
