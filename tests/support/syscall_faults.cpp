// SPDX-License-Identifier: Apache-2.0
#include "tests/support/syscall_faults.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace fairlead::test {

namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#endif

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "syscall_faults: %s: %s\n", what, std::strerror(errno));
  std::abort();
}

sock_filter statement(uint16_t code, uint32_t value) {
  return {code, 0, 0, value};
}

// Those numbers are asked about, everything else is let through.
std::vector<sock_filter> filter_of(const std::vector<int>& numbers) {
  std::vector<sock_filter> program = {
      statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, kArchitecture},
      statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (size_t i = 0; i < numbers.size(); ++i)
    program.push_back({BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint8_t>(numbers.size() - i), 0,
                       static_cast<uint32_t>(numbers[i])});
  program.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  program.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
  return program;
}

// Of the calling thread, and of those it starts; the descriptor that asks.
int filter_this_thread(const std::vector<int>& numbers) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) die("PR_SET_NO_NEW_PRIVS");
  std::vector<sock_filter> program = filter_of(numbers);
  const sock_fprog all = {static_cast<unsigned short>(program.size()), program.data()};
  const long fd =
      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &all);
  if (fd < 0) die("SECCOMP_FILTER_FLAG_NEW_LISTENER");
  return static_cast<int>(fd);
}

}  // namespace

// Through the kernel: ThreadSanitizer does not know who waits for whom here.
void SystemCall::copy(size_t argument, void* to, size_t size) const {
  const iovec here = {to, size};
  const iovec there = {reinterpret_cast<void*>(arguments.at(argument)), size};
  if (process_vm_readv(getpid(), &here, 1, &there, 1, 0) != static_cast<ssize_t>(size))
    die("process_vm_readv");
}

FaultyThread::FaultyThread(std::vector<int> numbers, Decide decide, std::function<void()> body)
    : decide_(std::move(decide)), end_(eventfd(0, EFD_CLOEXEC)) {
  body_ = std::thread([this, numbers = std::move(numbers), body = std::move(body)] {
    listener_ = filter_this_thread(numbers);
    listener_.notify_all();
    body();
  });
  listener_.wait(-1);
  answers_ = std::thread([this] { answer(); });
}

FaultyThread::~FaultyThread() {
  body_.join();
  eventfd_write(end_, 1);
  answers_.join();
  close(listener_);
  close(end_);
}

void FaultyThread::answer() {
  seccomp_notif_sizes sizes{};
  if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) != 0) die("GET_NOTIF_SIZES");
  std::vector<uint64_t> question((sizes.seccomp_notif + 7) / 8),
      answer((sizes.seccomp_notif_resp + 7) / 8);
  auto* asked = reinterpret_cast<seccomp_notif*>(question.data());
  auto* told = reinterpret_cast<seccomp_notif_resp*>(answer.data());
  for (;;) {
    pollfd both[] = {{listener_, POLLIN, 0}, {end_, POLLIN, 0}};
    if (poll(both, 2, -1) < 0) {
      if (errno == EINTR) continue;
      die("poll");
    }
    if (both[1].revents != 0 || (both[0].revents & POLLHUP) != 0)
      return;  // nobody can ask any more
    if ((both[0].revents & POLLIN) == 0) continue;
    std::memset(asked, 0, sizes.seccomp_notif);
    if (ioctl(listener_, SECCOMP_IOCTL_NOTIF_RECV, asked) != 0) {
      if (errno == EINTR || errno == ENOENT) continue;
      die("SECCOMP_IOCTL_NOTIF_RECV");
    }
    SystemCall call;
    call.number = asked->data.nr;
    std::memcpy(call.arguments.data(), asked->data.args, sizeof asked->data.args);
    std::memset(told, 0, sizes.seccomp_notif_resp);
    told->id = asked->id;
    const int error = decide_(call);
    if (error != 0)
      told->error = -error;
    else
      told->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    // ENOENT: a signal has ended the call meanwhile.
    if (ioctl(listener_, SECCOMP_IOCTL_NOTIF_SEND, told) != 0 && errno != ENOENT)
      die("SECCOMP_IOCTL_NOTIF_SEND");
  }
}

}  // namespace fairlead::test
