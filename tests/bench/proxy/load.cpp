// SPDX-License-Identifier: Apache-2.0
// Packets from one network namespace to another, and what became of them:
//
//   bench_proxy_load CLIENT_NS SERVER_NS METRIC SECONDS FIRST STEP COUNT SPREAD PORT
//
// The namespaces are files. Sent to FIRST + STEP * i (i < COUNT) + a random number below SPREAD,
// port PORT; served on port 8080 of every address. METRIC is one of
//
//   connect  a connection after another, with one byte there and back on each: how many a second
//            (TCP_CRR, as netperf calls it), and how long from connect to SYN/ACK
//   rr       one byte there and back over one connection: how often a second
//   stream   one connection, one way: Gbit/s
//   udp      64 bytes one way: packets received a second
//   cost     all of these, the connections reset at once, with both ends in one thread, so that
//            nothing waits for the scheduler: time on the CPU for each, every packet's way through
//            all three namespaces in it (a kernel without IRQ time accounting charges softirqs to
//            the thread they run in)
//
// Prints one line for each result: METRIC UNIT VALUE.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr uint16_t kServerPort = 8080;
constexpr uint32_t kFirstSource = (10u << 24) + (255u << 16) + 2;  // 10.255.0.2
constexpr uint32_t kSources = 16;
constexpr uint32_t kFirstPort = 2048;
constexpr uint32_t kPorts = 60000;
constexpr size_t kStreamBuffer = 128 << 10;
constexpr size_t kStreamPart = 64 << 10;
constexpr size_t kDatagram = 64;
constexpr int kDatagramBatch = 64;
constexpr size_t kWarmUp = 200;  // connections

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "bench_proxy_load: %s: %s\n", what, std::strerror(errno));
  std::_Exit(1);
}

int checked(int result, const char* what) {
  if (result < 0) die(what);
  return result;
}

void report(const char* metric, const char* unit, double value) {
  std::printf("%s %s %.6g\n", metric, unit, value);
}

struct Plan {
  std::string metric;
  double seconds = 1;
  uint32_t first = 0, step = 0, count = 1, spread = 1;
  uint16_t port = 0;
};

// A thread's namespace and core, from here on.
void enter(const char* path, int core) {
  const int fd = checked(open(path, O_RDONLY | O_CLOEXEC), path);
  checked(setns(fd, CLONE_NEWNET), "setns");
  close(fd);
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  sched_setaffinity(0, sizeof cores, &cores);  // a machine with one core has to do without
}

sockaddr_in address(uint32_t host, uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_addr.s_addr = htonl(host);
  result.sin_port = htons(port);
  return result;
}

int make_socket(int type) {
  const int fd = checked(socket(AF_INET, type | SOCK_CLOEXEC, 0), "socket");
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if ((type & 0xf) == SOCK_STREAM) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

int make_server(int type) {
  const int fd = make_socket(type);
  const sockaddr_in any = address(INADDR_ANY, kServerPort);
  checked(bind(fd, reinterpret_cast<const sockaddr*>(&any), sizeof any), "bind the server");
  if ((type & 0xf) == SOCK_STREAM) checked(listen(fd, 4096), "listen");
  return fd;
}

// Source addresses and ports are named, each pair once in a long time: the kernel searches no free
// port and finds no old flow.
class Client {
 public:
  explicit Client(const Plan& plan) : plan_(plan), random_(std::random_device{}()) {
    next_ = static_cast<uint32_t>(random_()) % (kSources * kPorts);
  }
  int open(int type) {
    const int fd = make_socket(type);
    if ((type & 0xf) == SOCK_STREAM) {
      const linger reset{1, 0};
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    const uint32_t pair = next_++ % (kSources * kPorts);
    const sockaddr_in source = address(kFirstSource + pair % kSources,
                                       static_cast<uint16_t>(kFirstPort + pair / kSources));
    checked(bind(fd, reinterpret_cast<const sockaddr*>(&source), sizeof source), "bind the client");
    return fd;
  }
  void connect_to_server(int fd) {
    const uint32_t number = static_cast<uint32_t>(random_());
    const sockaddr_in to =
        address(plan_.first + plan_.step * (number % plan_.count) + (number >> 16) % plan_.spread,
                plan_.port);
    checked(connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to), "connect");
  }

 private:
  const Plan& plan_;
  std::minstd_rand random_;
  uint32_t next_;
};

double seconds_since(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

double thread_cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

struct Shared {
  std::atomic<uint64_t> received = 0;  // bytes or datagrams
};

// Closes, echoes or counts what comes, until the process ends.
void serve(const Plan& plan, int listener, Shared& shared) {
  if (plan.metric == "udp") {
    std::vector<char> buffer(kDatagram * kDatagramBatch);
    std::vector<iovec> parts(kDatagramBatch);
    std::vector<mmsghdr> messages(kDatagramBatch);
    for (int i = 0; i < kDatagramBatch; ++i) {
      parts[i] = {buffer.data() + i * kDatagram, kDatagram};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    for (;;)
      shared.received += static_cast<uint64_t>(std::max(
          0, recvmmsg(listener, messages.data(), kDatagramBatch, MSG_WAITFORONE, nullptr)));
  }
  std::vector<char> buffer(kStreamBuffer);
  for (;;) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (;;) {
      const ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
      if (got <= 0) break;
      shared.received += static_cast<uint64_t>(got);
      if (plan.metric != "stream" && send(fd, buffer.data(), static_cast<size_t>(got), 0) < 0)
        break;
    }
    close(fd);
  }
}

void measure_connect(const Plan& plan, Client& client) {
  std::vector<double> latencies;
  latencies.reserve(1 << 20);
  char byte = 1;
  auto start = SteadyClock::now();
  for (size_t i = 0; seconds_since(start) < plan.seconds; ++i) {
    if (i == kWarmUp) {
      latencies.clear();
      start = SteadyClock::now();
    }
    const int fd = client.open(SOCK_STREAM);
    const auto before = SteadyClock::now();
    client.connect_to_server(fd);
    latencies.push_back(seconds_since(before));
    if (send(fd, &byte, 1, 0) != 1 || recv(fd, &byte, 1, 0) != 1) die("one byte there and back");
    close(fd);
  }
  report("connections", "1/s", static_cast<double>(latencies.size()) / seconds_since(start));
  std::sort(latencies.begin(), latencies.end());
  report("first_packet_p50", "us", latencies[latencies.size() / 2] * 1e6);
  report("first_packet_p99", "us", latencies[latencies.size() * 99 / 100] * 1e6);
}

// Time on the CPU of one call of `one`, in microseconds.
template <typename One>
double cpu_of(double seconds, const One& one) {
  const auto start = SteadyClock::now();
  const double cpu = thread_cpu_seconds();
  uint64_t count = 0;
  for (; seconds_since(start) < seconds; ++count) one();
  return (thread_cpu_seconds() - cpu) / static_cast<double>(count) * 1e6;
}

// Exactly that many bytes; what is sent has arrived when send returns, or nearly so.
void receive(int fd, char* into, size_t size) {
  for (size_t got = 0; got < size;) {
    const ssize_t part = recv(fd, into, size - got, 0);
    if (part <= 0) die("receive");
    got += static_cast<size_t>(part);
  }
}

// For all that one call of send takes: nobody reads before it returns.
void make_room(int fd) {
  const int size = 1 << 20;
  for (const int option : {SO_SNDBUFFORCE, SO_RCVBUFFORCE})
    setsockopt(fd, SOL_SOCKET, option, &size, sizeof size);
}

int accepted(int listener) {
  return checked(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC), "accept");
}

// Both ends by turns. One that did not arrive would block for ever: the receiver gives up after a
// second.
void measure_cost(const Plan& plan, Client& client, int listener, int udp_server) {
  const timeval second{1, 0};
  for (const int fd : {listener, udp_server})
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
  const double seconds = plan.seconds / 4;
  const auto connection = [&] {
    const int fd = client.open(SOCK_STREAM);
    client.connect_to_server(fd);
    const int server = accepted(listener);
    close(fd);
    close(server);
  };
  for (size_t i = 0; i < kWarmUp; ++i) connection();
  report("connection_cpu", "us", cpu_of(seconds, connection));

  const int fd = client.open(SOCK_STREAM);
  for (const int end : {fd, listener}) make_room(end);
  client.connect_to_server(fd);
  const int server = accepted(listener);
  char byte = 1;
  report("tcp_rr_cpu", "us", cpu_of(seconds, [&] {
           if (send(fd, &byte, 1, 0) != 1) die("send");
           receive(server, &byte, 1);
           if (send(server, &byte, 1, 0) != 1) die("send");
           receive(fd, &byte, 1);
         }));
  std::vector<char> buffer(kStreamPart);
  const auto part = [&] {
    if (send(fd, buffer.data(), buffer.size(), 0) != static_cast<ssize_t>(buffer.size()))
      die("send");
    receive(server, buffer.data(), buffer.size());
  };
  for (size_t i = 0; i < kWarmUp; ++i) part();
  report("throughput_cpu", "us/64KiB", cpu_of(seconds, part));

  const int udp = client.open(SOCK_DGRAM);
  client.connect_to_server(udp);
  report("udp_cpu", "us", cpu_of(seconds, [&] {
           if (send(udp, buffer.data(), kDatagram, 0) < 0) die("send");
           receive(udp_server, buffer.data(), kDatagram);
         }));
}

void measure_rr(const Plan& plan, Client& client) {
  const int fd = client.open(SOCK_STREAM);
  client.connect_to_server(fd);
  const auto start = SteadyClock::now();
  uint64_t count = 0;
  for (char byte = 1; seconds_since(start) < plan.seconds; ++count)
    if (send(fd, &byte, 1, 0) != 1 || recv(fd, &byte, 1, 0) != 1) die("one byte there and back");
  report("tcp_rr", "1/s", static_cast<double>(count) / seconds_since(start));
}

void measure_stream(const Plan& plan, Client& client, const Shared& shared) {
  const std::vector<char> buffer(kStreamBuffer);
  const int fd = client.open(SOCK_STREAM);
  client.connect_to_server(fd);
  auto start = SteadyClock::now();
  uint64_t before = 0;
  bool warm = false;
  while (!warm || seconds_since(start) < plan.seconds) {
    if (!warm && seconds_since(start) > plan.seconds / 10) {  // slow start is over
      warm = true;
      before = shared.received;
      start = SteadyClock::now();
    }
    if (send(fd, buffer.data(), buffer.size(), 0) < 0) die("send");
  }
  report("throughput", "Gbit/s",
         static_cast<double>(shared.received - before) * 8 / 1e9 / seconds_since(start));
}

void measure_udp(const Plan& plan, Client& client, const Shared& shared) {
  const char datagram[kDatagram] = {};
  const int fd = client.open(SOCK_DGRAM);
  client.connect_to_server(fd);
  const auto start = SteadyClock::now();
  while (seconds_since(start) < plan.seconds)
    for (int i = 0; i < kDatagramBatch; ++i)
      if (send(fd, datagram, sizeof datagram, 0) < 0 && errno != ENOBUFS) die("send");
  report("udp", "packets/s", static_cast<double>(shared.received) / seconds_since(start));
}

void measure(const Plan& plan, const char* client_namespace, const char* server_namespace) {
  static Shared shared;
  const bool one_thread = plan.metric == "cost";
  const int type = plan.metric == "udp" ? SOCK_DGRAM : SOCK_STREAM;
  enter(server_namespace, 0);
  const int listener = make_server(type);
  const int udp_server = one_thread ? make_server(SOCK_DGRAM) : -1;
  if (!one_thread) {
    std::thread([&plan, server_namespace, listener] {
      enter(server_namespace, 1);
      serve(plan, listener, shared);
    }).detach();
  }
  enter(client_namespace, 0);
  Client client(plan);
  if (one_thread)
    measure_cost(plan, client, listener, udp_server);
  else if (plan.metric == "connect")
    measure_connect(plan, client);
  else if (plan.metric == "rr")
    measure_rr(plan, client);
  else if (plan.metric == "stream")
    measure_stream(plan, client, shared);
  else if (plan.metric == "udp")
    measure_udp(plan, client, shared);
  std::fflush(stdout);
}

uint32_t number(const char* text) {
  return static_cast<uint32_t>(std::strtoul(text, nullptr, 10));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 10) {
    std::fprintf(stderr,
                 "usage: bench_proxy_load CLIENT_NS SERVER_NS connect|rr|stream|udp|cost SECONDS "
                 "FIRST STEP COUNT SPREAD PORT\n");
    return 2;
  }
  Plan plan;
  plan.metric = argv[3];
  plan.seconds = std::atof(argv[4]);
  in_addr first{};
  if (inet_pton(AF_INET, argv[5], &first) != 1) die(argv[5]);
  plan.first = ntohl(first.s_addr);
  plan.step = number(argv[6]);
  plan.count = std::max(1u, number(argv[7]));
  plan.spread = std::max(1u, number(argv[8]));
  plan.port = static_cast<uint16_t>(number(argv[9]));
  measure(plan, argv[1], argv[2]);
  std::_Exit(0);  // the server's thread never ends
}
