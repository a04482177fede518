// SPDX-License-Identifier: Apache-2.0
#include "tests/support/namespace.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace fairlead::test {

namespace {

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "test set-up failed: %s: %s\n", what.c_str(), std::strerror(errno));
  std::abort();
}

int open_current() {
  const int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail("open /proc/thread-self/ns/net");
  return fd;
}

std::string joined(const std::vector<std::string>& argv) {
  std::string text;
  for (const std::string& word : argv) text += (text.empty() ? "" : " ") + word;
  return text;
}

pid_t start(const std::vector<std::string>& argv, int input, int output, int errors) {
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  const pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid > 0) return pid;
  if (input >= 0) dup2(input, STDIN_FILENO);
  if (output >= 0) dup2(output, STDOUT_FILENO);
  if (errors >= 0) dup2(errors, STDERR_FILENO);
  execvp(words[0], words.data());
  std::fprintf(stderr, "cannot run %s: %s\n", words[0], std::strerror(errno));
  _exit(127);
}

std::array<int, 2> make_pipe() {
  std::array<int, 2> ends;
  if (pipe2(ends.data(), O_CLOEXEC) != 0) fail("pipe");
  return ends;
}

// Writes `input` and reads both outputs until they end or the time is up; false then.
bool exchange(int input_fd, std::string_view input, int output_fd, int errors_fd, int limit_seconds,
              CommandResult& result) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(limit_seconds);
  fcntl(input_fd, F_SETFL, O_NONBLOCK);
  std::array<pollfd, 3> fds{
      {{input_fd, POLLOUT, 0}, {output_fd, POLLIN, 0}, {errors_fd, POLLIN, 0}}};
  while (fds[1].fd >= 0 || fds[2].fd >= 0) {
    if (fds[0].fd >= 0 && input.empty()) {
      close(fds[0].fd);
      fds[0].fd = -1;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    if (poll(fds.data(), fds.size(), static_cast<int>(left.count())) <= 0) continue;
    if (fds[0].fd >= 0 && fds[0].revents != 0) {
      const ssize_t written = write(fds[0].fd, input.data(), input.size());
      input.remove_prefix(written > 0 ? static_cast<size_t>(written)
                                      : (errno == EAGAIN ? 0 : input.size()));
    }
    for (int i : {1, 2}) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      char buffer[16384];
      const ssize_t size = read(fds[i].fd, buffer, sizeof buffer);
      if (size > 0)
        (i == 1 ? result.output : result.errors).append(buffer, static_cast<size_t>(size));
      if (size <= 0) {
        close(fds[i].fd);
        fds[i].fd = -1;
      }
    }
  }
  const bool ended = fds[1].fd < 0 && fds[2].fd < 0;
  for (const pollfd& fd : fds)
    if (fd.fd >= 0) close(fd.fd);
  return ended;
}

}  // namespace

NetNamespace::NetNamespace() {
  const int previous = open_current();
  if (unshare(CLONE_NEWNET) != 0) fail("make a network namespace (kernel tests need root)");
  fd_ = open_current();
  if (setns(previous, CLONE_NEWNET) != 0) fail("return to the network namespace");
  close(previous);
  must("ip link set lo up");
}

NetNamespace::~NetNamespace() {
  close(fd_);
}

NetNamespace::Enter::Enter(const NetNamespace& target) : previous_(open_current()) {
  if (setns(target.fd(), CLONE_NEWNET) != 0) fail("enter a network namespace");
}

NetNamespace::Enter::~Enter() {
  if (setns(previous_, CLONE_NEWNET) != 0) fail("leave a network namespace");
  close(previous_);
}

void NetNamespace::run(const std::function<void()>& function) const {
  const Enter inside(*this);
  function();
}

std::string NetNamespace::must(std::string_view command) const {
  const Enter inside(*this);
  const CommandResult result = run_command({"sh", "-c", std::string(command)});
  if (result.status != 0) {
    std::fprintf(stderr, "command failed (%d): %s\n%s%s", result.status,
                 std::string(command).c_str(), result.output.c_str(), result.errors.c_str());
    std::abort();
  }
  return result.output;
}

void NetNamespace::set_sysctl(std::string_view name, std::string_view value) const {
  const Enter inside(*this);
  std::string path = "/proc/sys/" + std::string(name);
  std::replace(path.begin() + 10, path.end(), '.', '/');
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, value.data(), value.size()) < 0) fail("write " + path);
  close(fd);
}

void connect(const NetNamespace& left, std::string_view left_name, std::string_view left_address,
             const NetNamespace& right, std::string_view right_name,
             std::string_view right_address) {
  const std::string l(left_name);
  const std::string r(right_name);
  // ip takes the path of a namespace; ours have no name, so the path is that of our descriptor.
  const std::string path =
      "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(right.fd());
  left.must("ip link add " + l + " type veth peer name " + r + " netns " + path);
  const auto set_up = [](const NetNamespace& side, const std::string& name,
                         std::string_view address) {
    side.must("ip link set " + name + " up");
    if (address.empty()) return;
    const bool v6 = address.find(':') != std::string_view::npos;
    side.must("ip addr add " + std::string(address) + " dev " + name + (v6 ? " nodad" : ""));
  };
  set_up(left, l, left_address);
  set_up(right, r, right_address);
}

CommandResult run_command(const std::vector<std::string>& argv, std::string_view input,
                          int limit_seconds) {
  // A command that does not read its input must not end the test program.
  signal(SIGPIPE, SIG_IGN);
  const auto in = make_pipe();
  const auto out = make_pipe();
  const auto err = make_pipe();
  const pid_t pid = start(argv, in[0], out[1], err[1]);
  close(in[0]);
  close(out[1]);
  close(err[1]);
  CommandResult result;
  if (!exchange(in[1], input, out[0], err[0], limit_seconds, result)) {
    kill(pid, SIGKILL);
    result.errors += "killed after " + std::to_string(limit_seconds) + " s: " + joined(argv) + "\n";
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

BackgroundProcess::BackgroundProcess(const std::vector<std::string>& argv)
    : pid_(start(argv, -1, -1, -1)) {}

BackgroundProcess::~BackgroundProcess() {
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

bool BackgroundProcess::running() const {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == 0;
}

bool is_root() {
  return geteuid() == 0;
}

}  // namespace fairlead::test
