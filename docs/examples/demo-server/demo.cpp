// SPDX-License-Identifier: Apache-2.0
// The demo image's program, one static binary.
//
//   demo serve [PORT]            answers every HTTP request with its host name, logs each request.
//                                On SIGTERM it goes on answering for two seconds (so that a client
//                                sent here by rules not yet changed is served), /readyz says 503,
//                                exit 0
//   demo load HOST PORT COUNT    COUNT connections, one after the other; prints how many each
//                                server answered and how many failed; exit 1 if any failed. A line
//                                "[60/300]" each tenth tells how far it is
//   demo load HOST PORT 30s      the same for a span of time
//
// Ports default to 8080. One thread a connection; connections are bounded by a five second
// time-out.
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <thread>

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kDrain = std::chrono::seconds(2);
constexpr int kMaxConnections = 256;
constexpr size_t kMaxRequest = 16 * 1024;

volatile sig_atomic_t g_terminating = 0;

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

void set_timeouts(int fd) {
  const timeval limit{5, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

bool send_all(int fd, const std::string& bytes) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    sent += static_cast<size_t>(n);
  }
  return true;
}

// Reads to the blank line that ends a request's header; empty when the peer gave up.
std::string receive_header(int fd) {
  std::string text;
  char buffer[2048];
  while (text.find("\r\n\r\n") == std::string::npos && text.find("\n\n") == std::string::npos) {
    const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0 || text.size() > kMaxRequest) return {};
    text.append(buffer, static_cast<size_t>(n));
  }
  return text;
}

std::string peer_of(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  char host[NI_MAXHOST] = "?";
  char port[NI_MAXSERV] = "?";
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0)
    getnameinfo(reinterpret_cast<sockaddr*>(&address), length, host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
  return std::string(host) + ":" + port;
}

void answer(int fd, std::atomic<int>* open) {
  set_timeouts(fd);
  const std::string request = receive_header(fd);
  if (!request.empty()) {
    const std::string line = request.substr(0, request.find_first_of("\r\n"));
    const bool unready = g_terminating && line.find(" /readyz") != std::string::npos;
    const std::string body = unready ? "draining\n" : host_name() + "\n";
    send_all(fd, std::string("HTTP/1.1 ") + (unready ? "503 Service Unavailable" : "200 OK") +
                     "\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: " +
                     std::to_string(body.size()) + "\r\n\r\n" + body);
    std::printf("%s %s %d\n", peer_of(fd).c_str(), line.c_str(), unready ? 503 : 200);
  }
  shutdown(fd, SHUT_WR);
  close(fd);
  --*open;
}

int listen_on(uint16_t port) {
  const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1, off = 0;
  sockaddr_in6 any6{};
  any6.sin6_family = AF_INET6;
  any6.sin6_port = htons(port);
  if (fd >= 0) {
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, reinterpret_cast<sockaddr*>(&any6), sizeof any6) == 0 && listen(fd, 512) == 0)
      return fd;
    close(fd);
  }
  const int fd4 = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);  // a host without IPv6
  sockaddr_in any4{};
  any4.sin_family = AF_INET;
  any4.sin_port = htons(port);
  setsockopt(fd4, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd4, reinterpret_cast<sockaddr*>(&any4), sizeof any4) == 0 && listen(fd4, 512) == 0)
    return fd4;
  close(fd4);
  return -1;
}

int serve(uint16_t port) {
  struct sigaction action {};
  action.sa_handler = [](int) { g_terminating = 1; };
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  const int listener = listen_on(port);
  if (listener < 0) {
    std::fprintf(stderr, "demo: cannot listen on port %u: %s\n", port, std::strerror(errno));
    return 1;
  }
  std::printf("%s serves on port %u\n", host_name().c_str(), port);
  std::atomic<int> open{0};
  Clock::time_point end = Clock::time_point::max();
  while (Clock::now() < end) {
    if (g_terminating && end == Clock::time_point::max()) {
      std::printf("SIGTERM: draining for two seconds\n");
      end = Clock::now() + kDrain;
    }
    pollfd poller{listener, POLLIN, 0};
    if (poll(&poller, 1, g_terminating ? 50 : -1) <= 0) continue;
    const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    if (++open > kMaxConnections) {
      --open;
      close(fd);
      continue;
    }
    std::thread(answer, fd, &open).detach();
  }
  close(listener);
  for (int i = 0; i < 100 && open > 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  std::printf("drained\n");
  std::fflush(stdout);
  _exit(0);
}

// The name of the server that answered, or empty with `why` set.
std::string ask(const addrinfo& target, std::string* why) {
  const int fd = socket(target.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return *why = "socket", std::string();
  set_timeouts(fd);
  std::string reply;
  if (connect(fd, target.ai_addr, target.ai_addrlen) != 0) {
    *why = std::string("connect: ") + std::strerror(errno);
  } else if (!send_all(fd, "GET / HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n")) {
    *why = std::string("send: ") + std::strerror(errno);
  } else {
    char buffer[2048];
    ssize_t n = 0;
    while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0)
      reply.append(buffer, static_cast<size_t>(n));
    if (n < 0) *why = std::string("receive: ") + std::strerror(errno);
  }
  close(fd);
  const size_t body = reply.find("\r\n\r\n");
  if (reply.rfind("HTTP/1.1 200", 0) != 0 || body == std::string::npos) {
    if (why->empty()) *why = "no answer";
    return {};
  }
  return reply.substr(body + 4, reply.find('\n', body + 4) - body - 4);
}

int load(const char* host, const char* port, const std::string& amount) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* target = nullptr;
  if (const int status = getaddrinfo(host, port, &hints, &target); status != 0) {
    std::fprintf(stderr, "demo: %s: %s\n", host, gai_strerror(status));
    return 1;
  }
  const long number = std::strtol(amount.c_str(), nullptr, 10);
  const bool timed = !amount.empty() && amount.back() == 's';
  const auto end = timed ? Clock::now() + std::chrono::seconds(number) : Clock::time_point::max();
  std::map<std::string, long> answers, failures;
  long total = 0, failed = 0;
  while (timed ? Clock::now() < end : total < number) {
    std::string why;
    const std::string name = ask(*target, &why);
    if (!name.empty())
      ++answers[name];
    else
      ++failures[why], ++failed;
    ++total;
    if (!timed && total * 10 / number != (total - 1) * 10 / number)
      std::printf("[%ld/%ld]\n", total, number);
  }
  freeaddrinfo(target);
  for (const auto& [name, count] : answers) std::printf("%6ld %s\n", count, name.c_str());
  for (const auto& [why, count] : failures) std::printf("%6ld failed: %s\n", count, why.c_str());
  std::printf("%ld connections, %ld failed\n", total, failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == "serve" && argc <= 3)
    return serve(static_cast<uint16_t>(argc > 2 ? std::atoi(argv[2]) : 8080));
  if (command == "load" && argc == 5) return load(argv[2], argv[3], argv[4]);
  std::fprintf(stderr, "usage: demo serve [PORT] | demo load HOST PORT COUNT|SECONDSs\n");
  return 2;
}
