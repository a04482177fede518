// SPDX-License-Identifier: Apache-2.0
// Both ends of the connections that a relay is measured with, as cheap as they can be, so that the
// relay is what takes the time:
//
//   bench_stream_load serve PORT
//   bench_stream_load transfer ADDRESS:PORT SECONDS CONNECTIONS
//   bench_stream_load connect ADDRESS:PORT SECONDS IN_FLIGHT
//   bench_stream_load hold ADDRESS:PORT CONNECTIONS
//   bench_stream_load rr ADDRESS:PORT SECONDS
//
// The server does what the first byte of a connection says: 'g' sends without end, from a file
// without copying; 'c' answers with a byte and closes; 'e' sends back whatever comes.
//
//   transfer  reads from CONNECTIONS at once, and throws away without copying: Gbit/s
//   connect   IN_FLIGHT at once, each one byte there and back, closed by the server: how many a
//             second
//   hold      prints "ready", and once told so by a line opens CONNECTIONS that say nothing after
//             their first byte, prints "held", and ends with its standard input
//   rr        one byte there and back over one connection: how long, p50 and p99
//
// Prints one line for each result, METRIC UNIT VALUE; the units "bytes" and "connections" are what
// was done in all, from the first to the last.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "base/address.h"

namespace {

using fairlead::SocketAddress;
using SteadyClock = std::chrono::steady_clock;

constexpr size_t kFile = 1 << 20;  // what 'g' sends, over and over
constexpr int kBacklog = 4096;
constexpr int kPartsInTurn = 4;  // of one connection, before others have theirs

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "bench_stream_load: %s: %s\n", what, std::strerror(errno));
  std::_Exit(1);
}

int checked(int result, const char* what) {
  if (result < 0) die(what);
  return result;
}

void report(const char* metric, const char* unit, double value) {
  std::printf("%s %s %.9g\n", metric, unit, value);
}

double seconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

bool must_wait() {
  return errno == EAGAIN || errno == EINTR || errno == EINPROGRESS;
}

int make_socket(int more) {
  const int fd = checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | more, 0), "socket");
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

int connect_to(const SocketAddress& to, int more) {
  const int fd = make_socket(more);
  sockaddr_storage storage{};
  const socklen_t length = to.to_sockaddr(storage);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&storage), length) != 0 && !must_wait())
    die("connect");
  return fd;
}

// Level-triggered readiness of sockets, by descriptor.
class Poller {
 public:
  void watch(int fd, uint32_t events) { control(EPOLL_CTL_ADD, fd, events); }
  void change(int fd, uint32_t events) { control(EPOLL_CTL_MOD, fd, events); }
  // Those that are ready; none after `milliseconds`.
  void wait(int milliseconds, const std::function<void(int)>& ready) {
    const int count =
        epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), milliseconds);
    for (int i = 0; i < count; ++i) ready(events_[static_cast<size_t>(i)].data.fd);
  }

 private:
  void control(int what, int fd, uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    checked(epoll_ctl(epoll_, what, fd, &event), "epoll_ctl");
  }

  const int epoll_ = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  std::array<epoll_event, 256> events_{};
};

class Server {
 public:
  explicit Server(uint16_t port) : file_(make_file()), listener_(make_socket(SOCK_NONBLOCK)) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(port);
    checked(bind(listener_, reinterpret_cast<const sockaddr*>(&any), sizeof any), "bind");
    checked(listen(listener_, kBacklog), "listen");
    poller_.watch(listener_, EPOLLIN);
  }
  [[noreturn]] void run() {
    for (;;) poller_.wait(-1, [this](int fd) { fd == listener_ ? accept_all() : serve(fd); });
  }

 private:
  static int make_file() {
    const int file = checked(memfd_create("zeros", MFD_CLOEXEC), "memfd_create");
    checked(ftruncate(file, kFile), "ftruncate");
    return file;
  }
  void accept_all() {
    for (;;) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd < 0 && must_wait()) return;
      checked(fd, "accept");
      if (const auto index = static_cast<size_t>(fd); does_.size() <= index)
        does_.resize(index + 1);
      does_[static_cast<size_t>(fd)] = 0;
      poller_.watch(fd, EPOLLIN);
    }
  }
  void serve(int fd) {
    char& does = does_[static_cast<size_t>(fd)];
    if (does == 'g') return send_file(fd);
    std::array<char, 4096> buffer;
    const ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
    if (got < 0 && must_wait()) return;
    if (got <= 0) return void(close(fd));
    if (does == 0) does = buffer[0];
    if (does == 'g') return poller_.change(fd, EPOLLOUT);
    if (send(fd, buffer.data(), static_cast<size_t>(got), MSG_NOSIGNAL) != got || does == 'c')
      close(fd);
  }
  void send_file(int fd) {
    for (int part = 0; part < kPartsInTurn; ++part) {
      off_t from = 0;
      if (sendfile(fd, file_, &from, kFile) > 0) continue;
      if (!must_wait()) close(fd);
      return;
    }
  }

  const int file_, listener_;
  Poller poller_;
  std::vector<char> does_;  // by descriptor; 0: has not been told
};

// What a connection's first part has brought is not counted: slow start is not what is measured.
void transfer(const SocketAddress& to, double seconds, size_t connections) {
  Poller poller;
  for (size_t i = 0; i < connections; ++i) {
    const int fd = connect_to(to, 0);
    if (send(fd, "g", 1, 0) != 1) die("send");
    poller.watch(fd, EPOLLIN);
  }
  uint64_t bytes = 0, before = 0;
  auto start = SteadyClock::now();
  bool warm = false;
  while (!warm || seconds_since(start) < seconds) {
    if (!warm && seconds_since(start) > seconds / 5) {
      warm = true;
      before = bytes;
      start = SteadyClock::now();
    }
    poller.wait(1000, [&](int fd) {
      // Of TCP MSG_TRUNC throws away instead of copying (tcp(7)).
      const ssize_t got = recv(fd, nullptr, kFile, MSG_TRUNC | MSG_DONTWAIT);
      if (got == 0 || (got < 0 && !must_wait())) die("receive");
      if (got > 0) bytes += static_cast<uint64_t>(got);
    });
  }
  const double took = seconds_since(start);
  report("throughput", "Gbit/s", static_cast<double>(bytes - before) * 8 / 1e9 / took);
  report("done", "bytes", static_cast<double>(bytes));
}

void measure_connections(const SocketAddress& to, double seconds, size_t in_flight) {
  Poller poller;
  std::vector<bool> asked;  // by descriptor
  const auto open = [&] {
    const int fd = connect_to(to, SOCK_NONBLOCK);
    if (const auto index = static_cast<size_t>(fd); asked.size() <= index) asked.resize(index + 1);
    asked[static_cast<size_t>(fd)] = false;
    poller.watch(fd, EPOLLOUT);
  };
  for (size_t i = 0; i < in_flight; ++i) open();
  uint64_t done = 0;
  const auto start = SteadyClock::now();
  while (seconds_since(start) < seconds)
    poller.wait(1000, [&](int fd) {
      if (!asked[static_cast<size_t>(fd)]) {
        if (send(fd, "c", 1, MSG_NOSIGNAL) != 1) die("a connection");
        asked[static_cast<size_t>(fd)] = true;
        return poller.change(fd, EPOLLIN | EPOLLRDHUP);
      }
      char bytes[2];
      const ssize_t got = recv(fd, bytes, sizeof bytes, 0);
      if (got < 0 && !must_wait()) die("the answer");
      if (got != 0) return;
      close(fd);
      ++done;
      open();
    });
  report("connections", "1/s", static_cast<double>(done) / seconds_since(start));
  report("done", "connections", static_cast<double>(done));
}

int open_echo(const SocketAddress& to) {
  const int fd = connect_to(to, 0);
  char byte = 'e';
  if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1 || recv(fd, &byte, 1, 0) != 1) die("the first byte");
  return fd;
}

void say(const char* word) {
  std::puts(word);
  std::fflush(stdout);
}

void hold(const SocketAddress& to, size_t connections) {
  say("ready");
  std::getchar();
  for (size_t i = 0; i < connections; ++i) open_echo(to);
  say("held");
  while (std::getchar() != EOF) {
  }
}

void measure_round_trips(const SocketAddress& to, double seconds) {
  const int fd = open_echo(to);
  std::vector<double> times;
  times.reserve(1 << 20);
  const auto start = SteadyClock::now();
  char byte = 1;
  while (seconds_since(start) < seconds) {
    const auto before = SteadyClock::now();
    if (send(fd, &byte, 1, 0) != 1 || recv(fd, &byte, 1, 0) != 1) die("one byte there and back");
    times.push_back(seconds_since(before));
  }
  std::sort(times.begin(), times.end());
  report("round_trip_p50", "us", times[times.size() / 2] * 1e6);
  report("round_trip_p99", "us", times[times.size() * 99 / 100] * 1e6);
}

[[noreturn]] void usage() {
  std::fputs(
      "usage: bench_stream_load serve PORT | transfer ADDRESS:PORT SECONDS CONNECTIONS |\n"
      "       connect ADDRESS:PORT SECONDS IN_FLIGHT | hold ADDRESS:PORT CONNECTIONS |\n"
      "       rr ADDRESS:PORT SECONDS\n",
      stderr);
  std::_Exit(2);
}

void run(const std::vector<std::string>& words) {
  if (words.size() == 2 && words[0] == "serve")
    Server(static_cast<uint16_t>(std::stoi(words[1]))).run();
  if (words.size() < 3) usage();
  const auto to = SocketAddress::parse(words[1]);
  if (!to.ok()) usage();
  const double number = std::stod(words[2]);
  const size_t count = words.size() > 3 ? std::stoul(words[3]) : 0;
  if (words[0] == "hold" && words.size() == 3)
    hold(*to, static_cast<size_t>(number));
  else if (words[0] == "rr" && words.size() == 3)
    measure_round_trips(*to, number);
  else if (words[0] == "transfer" && count > 0)
    transfer(*to, number, count);
  else if (words[0] == "connect" && count > 0)
    measure_connections(*to, number, count);
  else
    usage();
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // sendfile(2) to a client that has gone
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  run({argv + 1, argv + argc});
}
