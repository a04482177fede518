// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/sockets.h"

#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>

#include "proxy/stream/source_filter.h"
#include "proxy/stream/source_nat.h"

namespace fairlead::proxy::stream {

namespace {

// A peer that has vanished is noticed after five minutes and four probes, half a minute apart; not
// after the day that an idle connection may last.
constexpr int kKeepIdle = 300, kKeepInterval = 30, kKeepProbes = 4;
// For bursts of datagrams, which rules would pass; without CAP_NET_ADMIN net.core.rmem_max and
// wmem_max hold. Memory is taken as datagrams need it, within net.ipv4.udp_mem.
constexpr int kDatagramBuffer = 2 << 20;

bool set(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

void set_stream_options(int fd) {
  set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  // Urgent data comes where it stands in the stream, so that no byte is lost.
  set(fd, SOL_SOCKET, SO_OOBINLINE, 1);
}

void set_datagram_options(int fd) {
  for (const auto& [forced, bounded] :
       {std::pair{SO_RCVBUFFORCE, SO_RCVBUF}, std::pair{SO_SNDBUFFORCE, SO_SNDBUF}})
    if (!set(fd, SOL_SOCKET, forced, kDatagramBuffer))
      set(fd, SOL_SOCKET, bounded, kDatagramBuffer);
}

void set_options(Protocol protocol, int fd) {
  if (protocol == Protocol::kTcp)
    set_stream_options(fd);
  else
    set_datagram_options(fd);
}

// As for one that has been answering at once (tcp_rcv_synsent_state_process() in
// net/ipv4/tcp_input.c, inet_csk_in_pingpong_mode()); from then on it is as any other.
void carry_acknowledgement(Protocol protocol, int fd) {
  if (protocol == Protocol::kTcp) set(fd, IPPROTO_TCP, TCP_QUICKACK, 0);
}

SocketAddress local_address(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (getsockname(fd, address, &length) != 0) return {};
  return SocketAddress::from_sockaddr(address);
}

// 0, EINPROGRESS or why not. One that is connected with itself would keep the port from whoever is
// to listen there, for a minute after its end, unless it is reset.
int connect_socket(int fd, const SocketAddress& endpoint) {
  sockaddr_storage storage{};
  const socklen_t length = endpoint.to_sockaddr(storage);
  const bool made = connect(fd, reinterpret_cast<const sockaddr*>(&storage), length) == 0;
  if (!made && errno != EINPROGRESS) return errno;
  if (local_address(fd) == endpoint) {
    reset_on_close(fd);
    return ECONNREFUSED;
  }
  return made ? 0 : EINPROGRESS;
}

int open_socket(Protocol protocol, Family family) {
  const int type = protocol == Protocol::kUdp ? SOCK_DGRAM : SOCK_STREAM;
  return socket(family == Family::kIpv4 ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC,
                0);
}

}  // namespace

Result<Fd> open_frontend_socket(Protocol protocol, const SocketAddress& address,
                                const std::optional<std::vector<Cidr>>& sources) {
  if (protocol == Protocol::kSctp)
    return Error(ErrorCode::kUnsupported, "SCTP is not relayed in mode userspace");
  const Family family = address.address.family();
  const auto failed = [&](const char* call) {
    return Error::from_errno(errno, std::string(call) + " " + address.to_string());
  };
  Fd socket(open_socket(protocol, family));
  if (!socket) return failed("socket for");
  const int fd = socket.get();
  // Of datagrams that would let anybody's socket share the port, and take them: the kernel looks at
  // the user for SO_REUSEPORT alone (udp_lib_lport_inuse() in net/ipv4/udp.c).
  if (protocol == Protocol::kTcp) set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  set(fd, IPPROTO_IP, IP_FREEBIND, 1);
  if (family == Family::kIpv6) {
    set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
  }
  set_options(protocol, fd);
  // Accepted sockets have what this one has (sk_clone_lock), without a further call.
  if (protocol == Protocol::kTcp) notice_vanished_peer(fd);
  if (sources) set_sources(fd, family, sources);
  sockaddr_storage storage{};
  const socklen_t length = address.to_sockaddr(storage);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&storage), length) != 0) return failed("bind");
  if (protocol == Protocol::kTcp && listen(fd, kBacklog) != 0) return failed("listen");
  return socket;
}

std::optional<std::pair<Protocol, SocketAddress>> frontend_of_socket(int fd) {
  int type = 0;
  sockaddr_storage storage{};
  socklen_t length = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0) return std::nullopt;
  length = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (getsockname(fd, address, &length) != 0) return std::nullopt;
  if (storage.ss_family != AF_INET && storage.ss_family != AF_INET6) return std::nullopt;
  return std::pair{type == SOCK_DGRAM ? Protocol::kUdp : Protocol::kTcp,
                   SocketAddress::from_sockaddr(address)};
}

Result<uint16_t> free_port(Protocol protocol, const IpAddress& address) {
  const auto failed = [&](const char* call) {
    return Error::from_errno(errno, std::string(call) + " for a port of " + address.to_string());
  };
  const Fd socket(open_socket(protocol, address.family()));
  if (!socket) return failed("socket");
  sockaddr_storage storage{};
  socklen_t length = SocketAddress{address, 0}.to_sockaddr(storage);
  auto* bound = reinterpret_cast<sockaddr*>(&storage);
  if (bind(socket.get(), bound, length) != 0) return failed("bind");
  if (getsockname(socket.get(), bound, &length) != 0) return failed("getsockname");
  return SocketAddress::from_sockaddr(bound).port;
}

void set_sources(int fd, Family family, const std::optional<std::vector<Cidr>>& sources) {
  auto program = sources ? source_filter(family, *sources) : std::nullopt;
  if (!program) {
    set(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
    return;
  }
  const sock_fprog all = {static_cast<unsigned short>(program->size()), program->data()};
  // ENOMEM for long ones where net.core.optmem_max is small: none is better than the one before.
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &all, sizeof all) != 0)
    set(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
}

Attempt connect_to(Protocol protocol, const SocketAddress& endpoint) {
  Attempt attempt;
  attempt.socket.reset(open_socket(protocol, endpoint.address.family()));
  if (!attempt.socket) {
    attempt.error = errno;
    return attempt;
  }
  set_options(protocol, attempt.socket.get());
  carry_acknowledgement(protocol, attempt.socket.get());
  attempt.error = connect_socket(attempt.socket.get(), endpoint);
  return attempt;
}

// The kernel chooses address and port by connect(2), as for any other connection, and only then can
// the translation be told. UDP sends nothing by it; TCP waits for the first send(2) with
// TCP_FASTOPEN_CONNECT, here of nothing (tcp_fastopen_defer_connect() in net/ipv4/tcp_fastopen.c).
Attempt connect_as(Protocol protocol, const SocketAddress& endpoint, const Disguise& disguise) {
  if (endpoint.address == disguise.client.address) return connect_to(protocol, endpoint);
  Attempt attempt;
  attempt.socket.reset(open_socket(protocol, endpoint.address.family()));
  if (!attempt.socket) {
    attempt.error = errno;
    return attempt;
  }
  const int fd = attempt.socket.get();
  set_options(protocol, fd);
  carry_acknowledgement(protocol, fd);
  if (protocol == Protocol::kTcp) {
    if (!set(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1) ||
        !set(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)) {
      disguise.nat->give_up();
      return connect_to(protocol, endpoint);
    }
  }
  attempt.error = connect_socket(fd, endpoint);
  if (attempt.error != 0) {
    // It did not wait (net.ipv4.tcp_fastopen_blackhole_timeout_sec): its SYN is on its way.
    if (attempt.error == EINPROGRESS) disguise.nat->give_up();
    return attempt;
  }
  disguise.nat->translate(protocol, local_address(fd), endpoint, disguise.client);
  if (protocol == Protocol::kTcp && send(fd, "", 0, MSG_NOSIGNAL) < 0) attempt.error = errno;
  return attempt;
}

void acknowledge(int fd) {
  set(fd, IPPROTO_TCP, TCP_QUICKACK, 1);
}

void notice_vanished_peer(int fd) {
  set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(fd, IPPROTO_TCP, TCP_KEEPIDLE, kKeepIdle);
  set(fd, IPPROTO_TCP, TCP_KEEPINTVL, kKeepInterval);
  set(fd, IPPROTO_TCP, TCP_KEEPCNT, kKeepProbes);
}

bool lacks_memory_or_descriptor(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

bool is_own_lack(int error) {
  if (lacks_memory_or_descriptor(error)) return true;
  switch (error) {
    case EAGAIN:         // no port left: ip(7), under EAGAIN
    case EADDRNOTAVAIL:  // the same, of connect(2)
    case EPERM:          // a rule of this host
      return true;
    default:
      return false;
  }
}

std::optional<SocketAddress> original_destination(int fd, Family family) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  const bool four = family == Family::kIpv4;
  if (getsockopt(fd, four ? IPPROTO_IP : IPPROTO_IPV6,
                 four ? SO_ORIGINAL_DST : IP6T_SO_ORIGINAL_DST, &storage, &length) != 0)
    return std::nullopt;
  return SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage));
}

int pending_error(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

Peeked peek(int fd) {
  char byte = 0;
  const ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (got > 0) return Peeked::kData;
  if (got == 0) return Peeked::kEnd;
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? Peeked::kNothing
                                                                   : Peeked::kReset;
}

int unacknowledged(int fd) {
  int bytes = 0;
  return ioctl(fd, SIOCOUTQ, &bytes) == 0 ? bytes : 0;
}

void reset_on_close(int fd) {
  const linger none = {1, 0};
  (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

}  // namespace fairlead::proxy::stream
