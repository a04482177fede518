// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/dns/changes.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>

namespace fairlead::bench {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

constexpr auto kQuiet = 2ms;    // before each change: the server has gone to sleep
constexpr auto kPatience = 5s;  // for a change to be seen
const char* const kPorts = R"([{"name":"http","protocol":"TCP","port":80}])";

// "moving.bench.svc.cluster.local A", recursion desired.
constexpr std::string_view kQuestion(
    "\0\1\1\0\0\1\0\0\0\0\0\0\6moving\5bench\3svc\7cluster\5local\0\0\1\0\1", 48);

std::string address_of(int number) {
  return "10.192." + std::to_string(number / 250 % 250) + "." + std::to_string(number % 250 + 1);
}

// The record's last six bytes: length and address.
std::string record_of(int number) {
  return {'\0',
          '\4',
          '\x0a',
          '\xc0',
          static_cast<char>(number / 250 % 250),
          static_cast<char>(number % 250 + 1)};
}

// Its predecessor ends meanwhile, as a pod does: one that were gone at once, of a headless service,
// would be answered a while longer, and a thousand of them make no reply that has this one for
// sure.
void put_endpoints(test::ClusterApi& api, int number) {
  std::vector<std::string> addresses = {address_of(number)};
  for (int i = 1; i < 10; ++i) addresses.push_back("10.193.0." + std::to_string(i));
  std::string slice = test::slice_json("bench", "moving-1", "moving", addresses, kPorts);
  const std::string_view list = R"("endpoints":[)";
  slice.insert(slice.find(list) + list.size(), R"({"addresses":[")" + address_of(number - 1) +
                                                   R"("],"conditions":{"ready":false}},)");
  api.put("/apis/discovery.k8s.io/v1/endpointslices", "moving", slice);
}

// Asks until the reply has `record`.
bool ask_until(int fd, const std::string& record) {
  std::array<char, 2048> reply;
  const auto end = SteadyClock::now() + kPatience;
  while (SteadyClock::now() < end) {
    if (send(fd, kQuestion.data(), kQuestion.size(), 0) < 0) return false;
    const ssize_t size = recv(fd, reply.data(), reply.size(), 0);
    if (size <= 0) continue;  // lost, or nobody there yet
    if (std::string_view(reply.data(), static_cast<size_t>(size)).find(record) !=
        std::string_view::npos)
      return true;
  }
  return false;
}

Result<int> connect_to(const SocketAddress& server) {
  sockaddr_storage storage;
  const socklen_t length = server.to_sockaddr(storage);
  const int fd = socket(storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const timeval limit{1, 0};
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
      connect(fd, reinterpret_cast<sockaddr*>(&storage), length) != 0)
    return Error::from_errno(errno, "connect to " + server.to_string());
  return fd;
}

}  // namespace

void put_moving_service(test::ClusterApi& api) {
  api.put("/api/v1/services", "moving", test::service_json("bench", "moving", "None", kPorts));
  put_endpoints(api, 1);
}

Result<std::vector<Duration>> time_changes(test::ClusterApi& api, const SocketAddress& server,
                                           int count) {
  const Result<int> fd = connect_to(server);
  if (!fd.ok()) return fd.error();
  std::vector<Duration> times;
  bool seen = ask_until(*fd, record_of(1));
  for (int i = 2; seen && i <= count + 1; ++i) {
    std::this_thread::sleep_for(kQuiet);
    put_endpoints(api, i);
    const auto start = SteadyClock::now();
    seen = ask_until(*fd, record_of(i));
    times.push_back(SteadyClock::now() - start);
  }
  close(*fd);
  put_endpoints(api, 1);
  if (!seen) return Error(ErrorCode::kTimeout, "a change was never answered");
  return times;
}

}  // namespace fairlead::bench
