// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/udp.h"

#include <algorithm>
#include <cerrno>

#include "proxy/stream/sockets.h"

namespace fairlead::proxy::stream {

namespace {

constexpr int kBatches = 8;     // of one socket before others have their turn
constexpr int kLast = 64;       // of answers that came before a refusal: there is no next turn
constexpr int kAttempts = 3;    // endpoints for one datagram
constexpr size_t kHeader = 28;  // what one weighs beyond its bytes

// What ICMP has said of an earlier datagram: that where it went nobody takes any (the fatal ones of
// icmp_err_convert in net/ipv4/icmp.c, and of tab_unreach in net/ipv6/icmp.c, where what is
// prohibited is EACCES; a connected socket hears no others).
bool is_refusal(int error) {
  return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH ||
         error == ENOPROTOOPT || error == EHOSTDOWN || error == ENONET || error == EACCES;
}

// To end another session: it gives back a descriptor, memory, a port (EAGAIN: none is left).
bool would_help(int error) {
  return lacks_memory_or_descriptor(error) || error == EAGAIN;
}

bool nothing_is_there(int error) {
  return error == EAGAIN || error == EWOULDBLOCK;
}

}  // namespace

class UdpSession : public TimeoutLink, public Reactor::Source, public Reactor::Mortal {
 public:
  UdpSession(UdpFrontend& frontend, SocketAddress client, UdpFrontend::Destination to,
             EndpointPtr endpoint, bool trial, Fd socket)
      : frontend_(frontend),
        client_(client),
        to_(std::move(to)),
        endpoint_(std::move(endpoint)),
        trial_(trial),
        socket_(std::move(socket)),
        began_(frontend.host_.reactor.now()) {
    ++endpoint_->open;
    ++frontend_.host_.sessions;
    to_.counters->opened.add();
    to_.counters->open.add();
    frontend_.host_.fresh.begin(*this, began_);
  }
  ~UdpSession() override { shut(); }

  const EndpointPtr& endpoint() const { return endpoint_; }
  int fd() const { return socket_.get(); }

  void on_ready(uint32_t) override {
    if (socket_ && take_answers()) go_elsewhere();
  }

  void expired() override { end(); }

  // How many went, and what stopped the others: a refusal, of an earlier datagram, is told by the
  // call that sends the next. Where that is not the first of several, sendmmsg(2) keeps it to
  // itself: while another endpoint might have it each has a call of its own.
  size_t send(size_t first, size_t count, int& error) {
    Datagrams& datagrams = frontend_.host_.of_clients();
    begin_waiting();
    const bool settled = answered_ || frontend_.host_.reactor.now() >= began_ + kLasting;
    const size_t at_once = settled ? count : 1;
    size_t sent = 0, more = at_once;
    while (sent < count && more == at_once) {
      more = datagrams.send(socket_.get(), first + sent, at_once, nullptr);
      sent += more;
    }
    error = errno;
    for (size_t i = 0; i < sent; ++i) {
      to_.counters->client_bytes.add(datagrams.size_of(first + i));
      keep(datagrams.bytes(first + i));
    }
    return sent;
  }

  // What others have refused, in front of anything else. False: it is refused here too (which an
  // endpoint on this machine says at once), and this session has ended.
  bool send_again(UdpFrontend::Unanswered& unanswered) {
    to_.counters->retried.add();
    bool is_refused = false;
    size_t lost = 0;
    for (const auto& datagram : unanswered.datagrams) {
      if (::send(socket_.get(), datagram.data(), datagram.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        continue;
      is_refused = is_refused || is_refusal(errno);
      ++lost;
    }
    if (!is_refused && !is_refusal(pending_error(socket_.get()))) {
      frontend_.host_.counters.dropped_datagrams.add(lost);
      unanswered_ = std::move(unanswered);
      return true;
    }
    unanswered.refused.push_back(endpoint_);
    fail();
    return false;
  }

  // As a call that was to send has told. What the endpoint had said before it is still here.
  void refused() {
    take_answers(true);
    go_elsewhere();
  }

  // What the client had sent.
  void go_elsewhere() {
    if (frontend_.host_.reactor.now() >= began_ + kLasting) keep_no_more();
    UdpFrontend::Unanswered unanswered = std::move(unanswered_);
    unanswered.refused.push_back(endpoint_);
    fail();  // not destroyed yet
    frontend_.send_again(client_, std::move(unanswered));
  }

  // Closed at once, destroyed when no event for it is at hand any more.
  void end() {
    shut();
    const auto place = frontend_.sessions_.find(client_);
    std::unique_ptr<UdpSession> self = std::move(place->second);
    Reactor& reactor = frontend_.host_.reactor;
    frontend_.sessions_.erase(place);
    reactor.bury(std::move(self));
  }

  void shut() {
    if (!socket_) return;
    unlink();
    frontend_.host_.reactor.forget(*this);
    socket_.reset();
    if (trial_ && !answered_) EndpointGroup::abandoned(*endpoint_);
    --endpoint_->open;
    --frontend_.host_.sessions;
    to_.counters->open.take();
  }

 private:
  // To the client. True: there are no more, and there has been a refusal (`is_refused`: that is
  // known). The kernel tells of that first, whatever had come before it.
  bool take_answers(bool is_refused = false) {
    UdpHost& host = frontend_.host_;
    Datagrams& datagrams = host.of_endpoints();
    for (int batch = 0; batch < (is_refused ? kLast : kBatches); ++batch) {
      const size_t count = datagrams.receive(socket_.get());
      if (count == 0 && nothing_is_there(errno)) return is_refused;
      if (count == 0) {  // what waits is still there, and will not be told of again
        is_refused = is_refused || is_refusal(errno);
        continue;
      }
      if (!answered_) EndpointGroup::answered(*endpoint_);
      answered_ = true;
      keep_no_more();
      for (size_t i = 0; i < count; ++i) to_.counters->server_bytes.add(datagrams.size_of(i));
      answer(datagrams, count);
      begin_waiting();
      if (count < Datagrams::kMost && !is_refused) return false;
    }
    if (!is_refused) host.reactor.again(*this);
    return is_refused;
  }
  void answer(Datagrams& datagrams, size_t count) {
    for (size_t first = 0; first < count; ++first) {
      first += datagrams.send(frontend_.socket_.get(), first, count - first, &client_);
      if (first == count) return;
      const size_t lost = Datagrams::is_of_one(errno) ? 1 : count - first;
      frontend_.host_.counters.dropped_datagrams.add(lost);
      if (lost > 1) return;
    }
  }
  void fail() {
    if (to_.group->failed(*endpoint_, frontend_.host_.reactor.now(), trial_))
      to_.counters->ejected.add();
    end();
  }
  void keep(std::span<const uint8_t> datagram) {
    if (!keeps_) return;
    if (frontend_.host_.reactor.now() >= began_ + kLasting) return keep_no_more();
    unanswered_.bytes += datagram.size() + kHeader;
    if (unanswered_.bytes > kKept) return keep_no_more();
    unanswered_.datagrams.emplace_back(datagram.begin(), datagram.end());
  }
  void keep_no_more() {
    keeps_ = false;
    unanswered_ = {};
  }
  void begin_waiting() {
    UdpHost& host = frontend_.host_;
    const MonoTime now = host.reactor.now();
    (answered_ && now >= began_ + kLasting ? host.lasting : host.fresh).begin(*this, now);
  }

  UdpFrontend& frontend_;
  const SocketAddress client_;
  const UdpFrontend::Destination to_;
  const EndpointPtr endpoint_;
  const bool trial_;
  Fd socket_;
  const MonoTime began_;
  bool answered_ = false;
  bool keeps_ = true;  // all that it has sent
  UdpFrontend::Unanswered unanswered_;
};

Datagrams::Datagrams()
    : bytes_(std::make_unique_for_overwrite<uint8_t[]>(kMost * kBytes)),
      senders_(kMost),
      vectors_(kMost),
      messages_(kMost),
      outgoing_(kMost) {}

size_t Datagrams::receive(int fd) {
  for (size_t i = 0; i < kMost; ++i) {
    vectors_[i] = {bytes_.get() + i * kBytes, kBytes};
    msghdr& header = messages_[i].msg_hdr;
    header = {};
    header.msg_name = &senders_[i];
    header.msg_namelen = sizeof senders_[i];
    header.msg_iov = &vectors_[i];
    header.msg_iovlen = 1;
  }
  int count = 0;
  do {
    count = recvmmsg(fd, messages_.data(), kMost, MSG_DONTWAIT, nullptr);
  } while (count < 0 && errno == EINTR);
  return count < 0 ? 0 : static_cast<size_t>(count);
}

SocketAddress Datagrams::sender(size_t index) const {
  return SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&senders_[index]));
}

size_t Datagrams::send(int fd, size_t first, size_t count, const SocketAddress* to) {
  sockaddr_storage storage{};
  const socklen_t length = to != nullptr ? to->to_sockaddr(storage) : 0;
  for (size_t i = 0; i < count; ++i) {
    vectors_[first + i].iov_len = messages_[first + i].msg_len;
    msghdr& header = outgoing_[i].msg_hdr;
    header = {};
    header.msg_name = to != nullptr ? &storage : nullptr;
    header.msg_namelen = length;
    header.msg_iov = &vectors_[first + i];
    header.msg_iovlen = 1;
  }
  size_t sent = 0;
  while (sent < count) {
    const int more = sendmmsg(fd, outgoing_.data() + sent, static_cast<unsigned>(count - sent),
                              MSG_DONTWAIT | MSG_NOSIGNAL);
    if (more < 0 && errno == EINTR) continue;
    if (more <= 0) break;
    sent += static_cast<size_t>(more);
  }
  return sent;
}

// What a rule of this host drops (EPERM), or is too long for its way. Without room those behind it
// have none either.
bool Datagrams::is_of_one(int error) {
  return !nothing_is_there(error) && !lacks_memory_or_descriptor(error);
}

UdpHost::UdpHost(Reactor& its_reactor, const UdpSettings& its_settings,
                 WorkerCounters& its_counters)
    : reactor(its_reactor),
      settings(its_settings),
      counters(its_counters),
      fresh(its_settings.fresh_timeout),
      lasting(its_settings.timeout) {}

Datagrams& UdpHost::made(std::unique_ptr<Datagrams>& datagrams) {
  if (!datagrams) datagrams = std::make_unique<Datagrams>();
  return *datagrams;
}

void UdpHost::expire(MonoTime now) {
  fresh.expire(now);
  lasting.expire(now);
}

std::optional<MonoTime> UdpHost::due() const {
  std::optional<MonoTime> first;
  for (const TimeoutQueue* queue : {&fresh, &lasting})
    if (!queue->empty() && (!first || queue->due() < *first)) first = queue->due();
  return first;
}

bool UdpHost::evict() {
  TimeoutQueue& queue = fresh.empty() ? lasting : fresh;
  if (queue.empty()) return false;
  counters.evicted_sessions.add();
  queue.front().expired();
  return true;
}

UdpFrontend::UdpFrontend(UdpHost& host, Fd socket, Route route)
    : host_(host), socket_(std::move(socket)), route_(std::move(route)) {}

UdpFrontend::~UdpFrontend() = default;

void UdpFrontend::close() {
  host_.reactor.forget(*this);
  while (!sessions_.empty()) sessions_.begin()->second->end();
  socket_.reset();
}

Result<void> UdpFrontend::listen() {
  return host_.reactor.add(socket_.get(), *this, EPOLLIN);
}

void UdpFrontend::on_ready(uint32_t) {
  if (!socket_) return;
  Datagrams& datagrams = host_.of_clients();
  for (int batch = 0; batch < kBatches; ++batch) {
    const size_t count = datagrams.receive(socket_.get());
    if (count == 0 && !nothing_is_there(errno)) continue;  // as for a session
    for (size_t first = 0, next = 0; first < count; first = next) {
      const SocketAddress client = datagrams.sender(first);
      for (next = first + 1; next < count && datagrams.sender(next) == client;) ++next;
      forward(first, next - first, client);
    }
    if (count < Datagrams::kMost) return;
  }
  host_.reactor.again(*this);
}

// One client's datagrams. Where an endpoint has refused, the rest goes to another. What else a
// call says may be of an earlier one (that it was too long for its way): the same is tried again.
void UdpFrontend::forward(size_t first, size_t count, const SocketAddress& client) {
  Tried tried;
  size_t troubled = first + count;  // none yet
  while (count > 0 && tried.size() < kAttempts) {
    UdpSession* session = session_of(client, tried);
    // Nobody else: what was refused had come earlier, and who did so may be back.
    if (session == nullptr && !tried.empty()) session = session_of(client, {});
    if (session == nullptr) break;
    int error = 0;
    const size_t sent = session->send(first, count, error);
    first += sent;
    count -= sent;
    if (count == 0) return;
    if (is_refusal(error)) {
      tried.push_back(session->endpoint());
      session->refused();
    } else if (!Datagrams::is_of_one(error)) {
      break;
    } else if (std::exchange(troubled, first) == first) {
      host_.counters.dropped_datagrams.add();
      ++first;
      --count;
    }
  }
  host_.counters.dropped_datagrams.add(count);
}

UdpSession* UdpFrontend::session_of(const SocketAddress& client, const Tried& tried) {
  const auto found = sessions_.find(client);
  return found != sessions_.end() ? found->second.get() : new_session(client, tried);
}

void UdpFrontend::send_again(const SocketAddress& client, Unanswered unanswered) {
  if (unanswered.datagrams.empty()) return;
  while (unanswered.refused.size() < kAttempts) {
    UdpSession* session = session_of(client, unanswered.refused);
    if (session == nullptr) break;
    if (session->send_again(unanswered)) return;
  }
  host_.counters.dropped_datagrams.add(unanswered.datagrams.size());
}

UdpSession* UdpFrontend::new_session(const SocketAddress& client, Tried tried) {
  Destination to = route_(client);
  if (!to.group) return nullptr;
  bool trial = false;
  EndpointPtr endpoint;
  Attempt attempt;
  const auto connect = [&] {
    if (host_.own.contains(endpoint->address)) return Attempt{Fd(), ECONNREFUSED};
    return to.disguise ? connect_as(Protocol::kUdp, endpoint->address, *to.disguise)
                       : connect_to(Protocol::kUdp, endpoint->address);
  };
  do {
    if (tried.size() == kAttempts) return nullptr;
    endpoint = to.group->choose(client.address, host_.reactor.now(), tried, &trial);
    if (!endpoint) return nullptr;
    tried.push_back(endpoint);
    while (host_.sessions >= host_.settings.sessions && host_.evict()) {
    }
    attempt = connect();
    if (would_help(attempt.error) && host_.evict()) attempt = connect();
    if (attempt.error == 0) break;
    to.counters->failed.add();
    if (is_own_lack(attempt.error)) {
      if (trial) EndpointGroup::abandoned(*endpoint);
      return nullptr;
    }
    // A route says so: "unreachable", "prohibit".
    if (to.group->failed(*endpoint, host_.reactor.now(), trial)) to.counters->ejected.add();
  } while (true);
  auto session = std::make_unique<UdpSession>(*this, client, std::move(to), std::move(endpoint),
                                              trial, std::move(attempt.socket));
  UdpSession* raw = session.get();
  sessions_[client] = std::move(session);
  if (host_.reactor.add(raw->fd(), *raw, EPOLLIN).ok()) return raw;
  raw->end();
  return nullptr;
}

void UdpFrontend::drop_gone(const EndpointGroup* outside, const EndpointGroup* inside) {
  std::vector<UdpSession*> gone;
  for (const auto& [client, session] : sessions_) {
    const SocketAddress& address = session->endpoint()->address;
    if (!(outside != nullptr && outside->serves(address)) &&
        !(inside != nullptr && inside->serves(address)))
      gone.push_back(session.get());
  }
  for (UdpSession* session : gone) session->end();
}

}  // namespace fairlead::proxy::stream
