// SPDX-License-Identifier: Apache-2.0
#include "dns/server/inherited.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <string>
#include <string_view>

#include "dns/server/socket.h"

namespace fairlead::dns {
namespace {

std::optional<size_t> number(std::string_view text) {
  size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

int option_of(const Fd& socket, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  return getsockopt(socket.get(), SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

Result<Fd> duplicate(const Fd& socket) {
  Fd copy(fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy) return Error::from_errno(errno, "duplicate an inherited socket");
  return copy;
}

Error wrong(const std::string& what) {
  return Error(ErrorCode::kInvalid, "inherited sockets (LISTEN_FDS): " + what);
}

}  // namespace

Result<size_t> InheritedSockets::count(const char* listen_pid, const char* listen_fds,
                                       int own_pid) {
  if (listen_pid == nullptr || listen_fds == nullptr) return size_t{0};
  const auto pid = number(listen_pid);
  const auto sockets = number(listen_fds);
  if (!pid) return wrong("LISTEN_PID is no process: '" + std::string(listen_pid) + "'");
  if (*pid != static_cast<size_t>(own_pid)) return size_t{0};
  if (!sockets || *sockets > kMost)
    return wrong("'" + std::string(listen_fds) + "' is no number up to " + std::to_string(kMost));
  return *sockets;
}

Result<InheritedSockets> InheritedSockets::from_environment() {
  const Result<size_t> known = count(getenv("LISTEN_PID"), getenv("LISTEN_FDS"), getpid());
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) unsetenv(name);
  if (!known.ok()) return known.error();
  std::vector<Fd> sockets;
  for (size_t i = 0; i < *known; ++i) sockets.emplace_back(kFirst + static_cast<int>(i));
  return of(std::move(sockets));
}

Result<InheritedSockets> InheritedSockets::of(std::vector<Fd> sockets) {
  std::map<SocketAddress, std::vector<Fd>> udp;
  std::map<SocketAddress, std::vector<Fd>> tcp;
  for (Fd& socket : sockets) {
    const int domain = option_of(socket, SO_DOMAIN);
    const int type = option_of(socket, SO_TYPE);
    if ((domain != AF_INET && domain != AF_INET6) || (type != SOCK_DGRAM && type != SOCK_STREAM))
      return wrong("descriptor " + std::to_string(socket.get()) + " is no UDP or TCP socket");
    Result<SocketAddress> address = bound_address(socket);
    if (!address.ok()) return address.error();
    address->scope = 0;  // a Corefile names none
    if (const auto ready = prepare_inherited(socket, *address, type); !ready.ok())
      return ready.error();
    (type == SOCK_DGRAM ? udp : tcp)[*address].push_back(std::move(socket));
  }
  InheritedSockets inherited;
  for (auto& [address, ours] : udp) {
    std::vector<Fd>& others = tcp[address];
    if (others.size() != ours.size())
      return wrong(address.to_string() + " needs as many TCP as UDP sockets");
    for (size_t i = 0; i < ours.size(); ++i)
      inherited.pairs_[address].push_back({std::move(ours[i]), std::move(others[i])});
  }
  for (const auto& [address, ours] : tcp)
    if (!inherited.pairs_.contains(address))
      return wrong(address.to_string() + " needs a UDP socket beside the TCP one");
  return inherited;
}

size_t InheritedSockets::pairs(const SocketAddress& address) const {
  const auto at = pairs_.find(address);
  return at == pairs_.end() ? 0 : at->second.size();
}

Result<InheritedSockets::Pair> InheritedSockets::pair_for(const SocketAddress& address,
                                                          size_t worker) const {
  const std::vector<Pair>& pairs = pairs_.at(address);
  const Pair& pair = pairs[worker % pairs.size()];
  Result<Fd> udp = duplicate(pair.udp);
  if (!udp.ok()) return udp.error();
  Result<Fd> tcp = duplicate(pair.tcp);
  if (!tcp.ok()) return tcp.error();
  return Pair{*std::move(udp), *std::move(tcp)};
}

size_t InheritedSockets::most_pairs() const {
  size_t most = 0;
  for (const auto& [address, pairs] : pairs_) most = std::max(most, pairs.size());
  return most;
}

std::vector<SocketAddress> InheritedSockets::addresses() const {
  std::vector<SocketAddress> addresses;
  for (const auto& [address, pairs] : pairs_) addresses.push_back(address);
  return addresses;
}

}  // namespace fairlead::dns
