// SPDX-License-Identifier: Apache-2.0
// The sockets of the stream proxy, as it wants them: non-blocking, and with the options each kind
// has.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/fd.h"
#include "base/result.h"
#include "proxy/frontend.h"

namespace fairlead::proxy::stream {

class SourceNat;

// Connections that may wait to be accepted: as net.core.somaxconn has it, which bounds it.
constexpr int kBacklog = 4096;

// A socket that accepts, or receives datagrams, at that address, beside those of other workers
// (SO_REUSEPORT). The address need not be on an interface: a `local` route is enough, and it may
// come later (IP_FREEBIND). kPermission below port 1024 without CAP_NET_BIND_SERVICE,
// kAlreadyExists when the port is somebody else's, kUnsupported for SCTP.
//
// `sources`: who is let in; nullopt: anybody. Set before the socket is bound.
Result<Fd> open_frontend_socket(Protocol protocol, const SocketAddress& address,
                                const std::optional<std::vector<Cidr>>& sources);

// What a socket of open_frontend_socket() serves; nullopt: it is none.
std::optional<std::pair<Protocol, SocketAddress>> frontend_of_socket(int fd);

// One that nobody has at that address at this moment. To be asked for here: of sockets that may
// share theirs (SO_REUSEPORT) the kernel gives two the same (udp_lib_lport_inuse() in
// net/ipv4/udp.c).
Result<uint16_t> free_port(Protocol protocol, const IpAddress& address);

// Changes who is let in. When the list is too long for the kernel, or it has no room, all are, and
// the worker looks at each connection: whom it does not let in is reset then, not left waiting.
void set_sources(int fd, Family family, const std::optional<std::vector<Cidr>>& sources);

// A socket on its way to an endpoint, and the errno of the attempt, 0 or EINPROGRESS when it is
// under way. Without a descriptor it was our own lack.
struct Attempt {
  Fd socket;
  int error = 0;
};

// TCP's acknowledgement of the endpoint's answer to the first packet waits for what is sent first,
// which carries it: a packet less. Whoever has nothing to send once it is connected says
// acknowledge(); otherwise the kernel does by itself 0.2 s later (TCP_DELACK_MAX).
//
// ECONNREFUSED, too, where the kernel has chosen the endpoint's own address and port for this end:
// then nobody listens there, and the socket is connected to itself (RFC 9293 section 3.5, a
// simultaneous open).
Attempt connect_to(Protocol protocol, const SocketAddress& endpoint);

// As whom it is to be seen there.
struct Disguise {
  SourceNat* nat = nullptr;
  SocketAddress client;
};
// The same, seen as the client; as this node where that cannot be, or where the client is the
// endpoint itself.
Attempt connect_as(Protocol protocol, const SocketAddress& endpoint, const Disguise& disguise);

void acknowledge(int fd);

// Keepalive. One of connect_to() has none: four calls are much for a connection that is over at
// once.
void notice_vanished_peer(int fd);

// The kernel's for a call that may succeed once somebody gives something back.
bool lacks_memory_or_descriptor(int error);
// Whether an error of connect_to() or of the connection that follows is this machine's lack of
// something, and so says nothing about the endpoint.
bool is_own_lack(int error);

// Where the client of an accepted connection sent it, before any translation (SO_ORIGINAL_DST of
// linux/netfilter_ipv4.h); nullopt where connection tracking does not know it.
std::optional<SocketAddress> original_destination(int fd, Family family);

// SO_ERROR, which is thereby cleared.
int pending_error(int fd);
// What would be read next. kEnd: the peer has closed the connection, or only its own end.
enum class Peeked : uint8_t { kNothing, kData, kEnd, kReset };
Peeked peek(int fd);
// Bytes sent to it that its peer's kernel has not acknowledged, an end of stream among them.
int unacknowledged(int fd);
// Closing it sends a reset, and drops what has not been sent.
void reset_on_close(int fd);

}  // namespace fairlead::proxy::stream
