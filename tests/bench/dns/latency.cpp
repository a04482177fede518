// SPDX-License-Identifier: Apache-2.0
// How long a DNS server takes at a fixed rate of questions over UDP. A question goes out when its
// time has come, however late the replies are (open loop), so a stall is in the figures of all the
// questions it held up. Usage: bench_dns_latency ADDRESS:PORT FILE RATE SECONDS [FILE RATE]
//
// FILE has a name and a type (A, AAAA or SRV) on each line. The second's questions go out beside
// those of the first, and are not measured. Prints "p50 US p99 US answered N of M".
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "dns/message.h"
#include "dns/mnemonics.h"

namespace {

using namespace fairlead;
using Clock = std::chrono::steady_clock;

constexpr size_t kIds = 65536;
constexpr auto kGrace = std::chrono::milliseconds(500);  // for the last replies

std::vector<std::vector<uint8_t>> read_questions(const char* path) {
  std::vector<std::vector<uint8_t>> questions;
  std::ifstream in(path);
  std::string name;
  std::string type;
  while (in >> name >> type) {
    const auto parsed = dns::Name::from_text(name);
    const auto kind = dns::type_from_text(type);
    if (parsed.ok() && kind) questions.push_back(dns::question_packet(*parsed, *kind));
  }
  return questions;
}

class Load {
 public:
  Load(int socket, std::vector<std::vector<uint8_t>> questions, double rate)
      : socket_(socket),
        questions_(std::move(questions)),
        gap_(std::chrono::nanoseconds(static_cast<int64_t>(1e9 / rate))),
        due_(kIds) {}

  // `beside`: what goes out meanwhile, or null.
  void run(std::chrono::seconds length, Load* beside) {
    const Clock::time_point begin = Clock::now();
    const auto count = static_cast<size_t>(length / gap_);
    while (sent_ < count || Clock::now() < begin + length + kGrace) {
      send_due(begin, count);
      if (beside != nullptr && sent_ < count) beside->send_due(begin, SIZE_MAX);
      if (sent_ == count && took_.size() == sent_) break;
    }
  }

  void print() {
    std::ranges::sort(took_);
    const auto at = [&](double part) {
      if (took_.empty()) return 0.0;
      const auto index = static_cast<size_t>(part * static_cast<double>(took_.size() - 1));
      return std::chrono::duration<double, std::micro>(took_[index]).count();
    };
    std::printf("p50 %.1f p99 %.1f answered %zu of %zu\n", at(0.5), at(0.99), took_.size(), sent_);
  }

 private:
  // Sends what is due since `begin`, `count` at most, and takes what has come.
  void send_due(Clock::time_point begin, size_t count) {
    const Clock::time_point now = Clock::now();
    while (sent_ < count && begin + sent_ * gap_ <= now) send_one(begin + sent_ * gap_);
    receive();
  }
  void send_one(Clock::time_point due) {
    std::vector<uint8_t>& packet = questions_[sent_ % questions_.size()];
    const auto id = static_cast<uint16_t>(sent_++);
    dns::write_u16(packet.data(), id);
    due_[id] = due;
    while (send(socket_, packet.data(), packet.size(), 0) < 0 &&
           (errno == EINTR || errno == EAGAIN || errno == ENOBUFS))
      receive();
  }
  void receive() {
    uint8_t reply[4096];
    for (ssize_t size; (size = recv(socket_, reply, sizeof reply, MSG_DONTWAIT)) > 0;)
      if (size >= 2) {
        Clock::time_point& due = due_[dns::read_u16(reply)];
        if (due != Clock::time_point()) took_.push_back(Clock::now() - due);
        due = {};
      }
  }

  const int socket_;
  std::vector<std::vector<uint8_t>> questions_;
  const Clock::duration gap_;
  std::vector<Clock::time_point> due_;  // by ID; of one that has no reply yet
  std::vector<Clock::duration> took_;
  size_t sent_ = 0;
};

[[noreturn]] void usage() {
  std::fprintf(stderr, "usage: bench_dns_latency ADDRESS:PORT FILE RATE SECONDS [FILE RATE]\n");
  std::exit(2);
}

Load load_of(const char* to, const char* file, const char* rate) {
  const auto server = SocketAddress::parse(to);
  auto questions = read_questions(file);
  const double number = std::atof(rate);
  if (!server.ok() || number <= 0 || questions.empty()) usage();
  const int socket = ::socket(server->address.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM, 0);
  sockaddr_storage storage;
  const socklen_t length = server->to_sockaddr(storage);
  if (connect(socket, reinterpret_cast<sockaddr*>(&storage), length) != 0) {
    std::perror("connect");
    std::exit(1);
  }
  return Load(socket, std::move(questions), number);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5 && argc != 7) usage();
  const int seconds = std::atoi(argv[4]);
  if (seconds <= 0) usage();
  Load load = load_of(argv[1], argv[2], argv[3]);
  std::optional<Load> beside;
  if (argc == 7) beside.emplace(load_of(argv[1], argv[5], argv[6]));
  load.run(std::chrono::seconds(seconds), beside ? &*beside : nullptr);
  load.print();
}
