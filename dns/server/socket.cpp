// SPDX-License-Identifier: Apache-2.0
#include "dns/server/socket.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>

namespace fairlead::dns {
namespace {

constexpr int kBacklog = 512;
constexpr int kReceiveBuffer = 1 << 20;
constexpr int kPmtudiscOmit = 5;  // IP_PMTUDISC_OMIT and IPV6_PMTUDISC_OMIT, linux/in.h

Error failed(const SocketAddress& address, int type, int error) {
  const std::string what =
      std::string("listen on ") + address.to_string() + (type == SOCK_DGRAM ? " (UDP)" : " (TCP)");
  Error plain = Error::from_errno(error, what);
  if (error == EADDRINUSE)
    return Error(plain.code(), plain.message() +
                                   "; another DNS server has it: stop that, or give "
                                   "another --listen");
  if (error == EACCES || error == EPERM)
    return Error(plain.code(),
                 plain.message() + "; ports below 1024 need root or CAP_NET_BIND_SERVICE");
  return plain;
}

void set(const Fd& socket, int level, int option, int value) {
  setsockopt(socket.get(), level, option, &value, sizeof value);
}

Result<Fd> open_bound(const SocketAddress& address, int type, bool shared) {
  const bool v4 = address.address.is_v4();
  Fd socket(::socket(v4 ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return failed(address, type, errno);
  if (shared) set(socket, SOL_SOCKET, SO_REUSEPORT, 1);
  if (type == SOCK_STREAM) set(socket, SOL_SOCKET, SO_REUSEADDR, 1);
  set(socket, IPPROTO_IP, IP_FREEBIND, 1);
  if (!v4) set(socket, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  sockaddr_storage storage;
  const socklen_t length = address.to_sockaddr(storage);
  if (bind(socket.get(), reinterpret_cast<sockaddr*>(&storage), length) != 0)
    return failed(address, type, errno);
  return socket;
}

void set_up_udp(const Fd& socket, const SocketAddress& address) {
  set(socket, SOL_SOCKET, SO_RCVBUF, kReceiveBuffer);
  if (address.address.is_v4()) {
    set(socket, IPPROTO_IP, IP_MTU_DISCOVER, kPmtudiscOmit);
    if (address.address.is_unspecified()) set(socket, IPPROTO_IP, IP_PKTINFO, 1);
  } else {
    set(socket, IPPROTO_IPV6, IPV6_MTU_DISCOVER, kPmtudiscOmit);
    if (address.address.is_unspecified()) set(socket, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  }
}

}  // namespace

Result<Fd> open_udp(const SocketAddress& address) {
  Result<Fd> socket = open_bound(address, SOCK_DGRAM, true);
  if (socket.ok()) set_up_udp(*socket, address);
  return socket;
}

Result<Fd> open_tcp(const SocketAddress& address) {
  Result<Fd> socket = open_bound(address, SOCK_STREAM, true);
  if (!socket.ok()) return socket;
  if (listen(socket->get(), kBacklog) != 0) return failed(address, SOCK_STREAM, errno);
  return socket;
}

Result<void> prepare_inherited(const Fd& socket, const SocketAddress& address, int type) {
  const int flags = fcntl(socket.get(), F_GETFL);
  if (flags < 0 || fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) != 0 ||
      fcntl(socket.get(), F_SETFD, FD_CLOEXEC) != 0)
    return failed(address, type, errno);
  if (type == SOCK_DGRAM) {
    set_up_udp(socket, address);
  } else if (listen(socket.get(), kBacklog) != 0) {
    return failed(address, type, errno);
  }
  return ok();
}

Result<void> check_free(const SocketAddress& address) {
  for (const int type : {SOCK_DGRAM, SOCK_STREAM}) {
    const Result<Fd> socket = open_bound(address, type, false);
    if (!socket.ok()) return socket.error();
    if (type == SOCK_STREAM && listen(socket->get(), 1) != 0) return failed(address, type, errno);
  }
  return ok();
}

Result<SocketAddress> bound_address(const Fd& socket) {
  sockaddr_storage storage;
  socklen_t length = sizeof storage;
  if (getsockname(socket.get(), reinterpret_cast<sockaddr*>(&storage), &length) != 0)
    return Error::from_errno(errno, "getsockname");
  return SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&storage));
}

std::vector<IpAddress> interface_addresses(const std::string& name) {
  std::vector<IpAddress> addresses;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return addresses;
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, &freeifaddrs);
  for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || (!name.empty() && name != at->ifa_name)) continue;
    const int family = at->ifa_addr->sa_family;
    if (family == AF_INET || family == AF_INET6)
      addresses.push_back(SocketAddress::from_sockaddr(at->ifa_addr).address);
  }
  return addresses;
}

std::vector<IpAddress> host_addresses() {
  return interface_addresses("");
}

}  // namespace fairlead::dns
