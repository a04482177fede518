// SPDX-License-Identifier: Apache-2.0
// Datagrams of clients to endpoints, and back. A client (its address and port, at one frontend) has
// a session: an endpoint, and a socket connected to it. Answers leave by the frontend's own socket,
// so they come from the address the client asked.
//
// A session ends when nothing has passed for the time-out (the shorter one until it lasts: the
// endpoint has answered, and something still passes kLasting after the first datagram), when its
// endpoint is gone, when the endpoint refuses, or to make room: there are `sessions` at most in a
// worker, and the one that was idle for longest goes first, of those that do not last before those
// that do. So questions with one answer each do not drive a call out; connection tracking does the
// same (nf_conntrack_udp_packet(), "assured" flows). Datagrams that find no room or no endpoint are
// dropped, as networks do.
//
// A refusal is heard after the datagram it is about has been sent. What a client sends in the first
// kLasting of a session that nothing has come back in is kept, if it is no more than kKept, and
// goes to the next endpoint then, three in all. What the first one took before it ended is had
// twice, as UDP allows.
//
// Threads: the reactor's.
#pragma once

#include <sys/socket.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "proxy/stream/endpoint_group.h"
#include "proxy/stream/reactor.h"
#include "proxy/stream/service.h"
#include "proxy/stream/sockets.h"
#include "proxy/stream/timeout_queue.h"

namespace fairlead::proxy::stream {

struct UdpSettings {
  Duration fresh_timeout = std::chrono::seconds(30);  // as nf_conntrack_udp_timeout
  Duration timeout = std::chrono::seconds(120);       // as nf_conntrack_udp_timeout_stream
  size_t sessions = 16384;
};

// Room for several datagrams at once, as recvmmsg(2) and sendmmsg(2) want it.
class Datagrams {
 public:
  static constexpr size_t kMost = 32;
  static constexpr size_t kBytes = 65536;  // more than an IP packet can carry

  Datagrams();
  // How many there are now; 0: none, or an error, which is in errno.
  size_t receive(int fd);
  SocketAddress sender(size_t index) const;
  size_t size_of(size_t index) const { return messages_[index].msg_len; }
  std::span<const uint8_t> bytes(size_t index) const {
    return {bytes_.get() + index * kBytes, size_of(index)};
  }
  // Sends those from `first` on, `count` of them, to the socket's peer, or to `to`. How many went;
  // what stopped it is in errno.
  size_t send(int fd, size_t first, size_t count, const SocketAddress* to);
  // Whether, after such an error, those behind the one that did not go may go.
  static bool is_of_one(int error);

 private:
  std::unique_ptr<uint8_t[]> bytes_;
  std::vector<sockaddr_storage> senders_;
  std::vector<iovec> vectors_;
  std::vector<mmsghdr> messages_, outgoing_;
};

class UdpSession;

// Of what a session has sent and nobody has answered: bytes, each datagram with its headers.
inline constexpr size_t kKept = 1500;

// As connection tracking has it ("Still active after two seconds?").
inline constexpr Duration kLasting = std::chrono::seconds(2);

// What the sessions of one worker have in common.
struct UdpHost {
  UdpHost(Reactor& its_reactor, const UdpSettings& its_settings, WorkerCounters& its_counters);

  void expire(MonoTime now);
  std::optional<MonoTime> due() const;
  // Ends the session that has been idle for longest; false: there is none.
  bool evict();
  // Made when first asked: an endpoint may be heard amid what a client has sent.
  Datagrams& of_clients() { return made(of_clients_); }
  Datagrams& of_endpoints() { return made(of_endpoints_); }

  Reactor& reactor;
  const UdpSettings settings;
  WorkerCounters& counters;
  TimeoutQueue fresh, lasting;
  size_t sessions = 0;
  std::unordered_multiset<SocketAddress> own;  // as RelayHost::own

 private:
  static Datagrams& made(std::unique_ptr<Datagrams>& datagrams);

  std::unique_ptr<Datagrams> of_clients_, of_endpoints_;
};

// One frontend's socket in one worker, and its sessions. Where a client goes is asked of the owner.
class UdpFrontend : public Reactor::Source, public Reactor::Mortal {
 public:
  struct Destination {
    std::shared_ptr<EndpointGroup> group;  // null: the client is not let in
    std::shared_ptr<Counters> counters;
    std::optional<Disguise> disguise;  // as whom the endpoint sees it
  };
  using Route = std::function<Destination(const SocketAddress& client)>;

  UdpFrontend(UdpHost& host, Fd socket, Route route);
  ~UdpFrontend() override;
  // Ends all sessions and closes the socket; then it may be buried.
  void close();

  void on_ready(uint32_t events) override;
  Result<void> listen();
  // Ends the sessions whose endpoint none of these groups serves; a group may be null.
  void drop_gone(const EndpointGroup* outside, const EndpointGroup* inside);
  int fd() const { return socket_.get(); }

 private:
  friend class UdpSession;
  using Tried = std::vector<EndpointPtr>;
  // What endpoints were sent and have not answered, in order, and who has refused it.
  struct Unanswered {
    std::vector<std::vector<uint8_t>> datagrams;
    size_t bytes = 0;  // as kKept counts them
    Tried refused;
  };
  // A new one with an endpoint that is none of `tried`.
  UdpSession* session_of(const SocketAddress& client, const Tried& tried);
  UdpSession* new_session(const SocketAddress& client, Tried tried);
  void send_again(const SocketAddress& client, Unanswered unanswered);
  void forward(size_t first, size_t count, const SocketAddress& client);

  UdpHost& host_;
  Fd socket_;
  const Route route_;
  std::unordered_map<SocketAddress, std::unique_ptr<UdpSession>> sessions_;
};

}  // namespace fairlead::proxy::stream
