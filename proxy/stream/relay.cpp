// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/relay.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "proxy/stream/sockets.h"

namespace fairlead::proxy::stream {

namespace {

// What one direction may move before other connections have their turn, in bytes spliced; to copy
// them costs as much as to splice so many times more.
constexpr size_t kTurn = 8 * 1024 * 1024;
constexpr size_t kCopying = 16;
// Written at once: the most whole pages that go into one packet as TCP gives it to a device
// (tcp_xmit_size_goal() of the kernel: 64 KiB less its headers, in whole segments). More makes
// packets that end within a page, which take a place more in each pipe and packet after that, and
// keeps the socket from its acknowledgements for longer.
constexpr size_t kPacket = 15 * 4096;
constexpr size_t kCall = 4096;        // what the call itself costs
constexpr uint8_t kFullReads = 2;     // in a row: more is to be expected
constexpr ssize_t kBulk = 16 * 1024;  // less at once is as well copied
constexpr Duration kAtOnce = std::chrono::seconds(1);

// Counted, and at least what the calls cost.
size_t moved(Count& bytes, size_t more) {
  bytes.add(more);
  return std::max(more, kCall);
}

// How many of that many pipes are small ones.
constexpr size_t small_share(size_t pipes) {
  return std::min<size_t>(pipes / 4, 8);
}

}  // namespace

RelayHost::RelayHost(Reactor& its_reactor, const RelaySettings& its_settings,
                     WorkerCounters& its_counters)
    : reactor(its_reactor),
      settings(its_settings),
      counters(its_counters),
      pipes(kPipe, its_settings.pipes - small_share(its_settings.pipes), its_counters.pipes),
      small_pipes(kSmallPipe, small_share(its_settings.pipes), its_counters.pipes),
      buffer(std::make_unique_for_overwrite<uint8_t[]>(its_settings.buffer)),
      connecting(its_settings.connect_timeout),
      moving(its_settings.idle_timeout),
      half_closed(its_settings.half_closed_timeout),
      quiet(std::min(its_settings.quiet, its_settings.idle_timeout)),
      parked(Relay::kPark),
      breaking(Relay::kLook) {}

RelayHost::~RelayHost() {
  for (TimeoutQueue* queue : queues_)
    while (!queue->empty()) delete &queue->front();
}

void RelayHost::expire(MonoTime now) {
  for (TimeoutQueue* queue : queues_) queue->expire(now);
}

Pipe RelayHost::take_pipe() {
  PipePool& first = crowded() ? pipes : small_pipes;
  PipePool& second = crowded() ? small_pipes : pipes;
  Pipe pipe = first.take();
  return pipe ? std::move(pipe) : second.take();
}

void RelayHost::count_busy(uint64_t& span) {
  const auto now = static_cast<uint64_t>(reactor.now().time_since_epoch() / kSpan);
  if (now != span_) {
    busy_before_ = now == span_ + 1 ? busy_ : 0;
    busy_ = 0;
    span_ = now;
  }
  if (std::exchange(span, now) != now) ++busy_;
}

std::optional<MonoTime> RelayHost::due() const {
  std::optional<MonoTime> first;
  for (const TimeoutQueue* queue : queues_)
    if (!queue->empty() && (!first || queue->due() < *first)) first = queue->due();
  return first;
}

void Relay::begin(RelayHost& host, Fd client, const IpAddress& client_address,
                  std::shared_ptr<EndpointGroup> group, std::shared_ptr<Counters> counters,
                  std::span<const uint8_t> preface, const std::optional<Disguise>& disguise) {
  auto* relay = new Relay(host, std::move(client), client_address, std::move(group),
                          std::move(counters));  // owned by the host's queues
  if (!preface.empty()) relay->put_in_front(preface);
  if (disguise) relay->disguise_ = std::make_unique<const Disguise>(*disguise);
  relay->try_next();
}

void Relay::put_in_front(std::span<const uint8_t> preface) {
  up_.kept = std::make_unique_for_overwrite<uint8_t[]>(preface.size());
  std::copy(preface.begin(), preface.end(), up_.kept.get());
  up_.kept_to = static_cast<uint32_t>(preface.size());
}

Relay::Relay(RelayHost& host, Fd client, const IpAddress& client_address,
             std::shared_ptr<EndpointGroup> group, std::shared_ptr<Counters> counters)
    : host_(host),
      client_address_(client_address),
      group_(std::move(group)),
      counters_(std::move(counters)) {
  client_.socket = std::move(client);
  ++host_.connections;
  counters_->opened.add();
  counters_->open.add();
}

Relay::~Relay() {
  if (state_ != State::kOver) shut(true);
}

void Relay::try_next() {
  while (attempts_ < host_.settings.attempts) {
    endpoint_ = choose();
    if (!endpoint_) break;
    ++attempts_;
    tried_.push_back(endpoint_);
    ++endpoint_->open;
    if (host_.own.contains(endpoint_->address)) {
      if (attempts_ > 1) counters_->retried.add();
      attempt_failed(ECONNREFUSED);
      continue;
    }
    Attempt attempt = disguise_ ? connect_as(Protocol::kTcp, endpoint_->address, *disguise_)
                                : connect_to(Protocol::kTcp, endpoint_->address);
    const bool begun = attempt.socket && (attempt.error == 0 || attempt.error == EINPROGRESS);
    const bool watched = begun && host_.reactor.add(attempt.socket.get(), server_, kEvents).ok();
    if (watched) return await(std::move(attempt.socket));
    if (begun || !attempt.socket || lacks_memory_or_descriptor(attempt.error)) {
      attempt_failed(ENOMEM);
      tried_.pop_back();
      --attempts_;
      return park();
    }
    if (attempts_ > 1) counters_->retried.add();
    attempt_failed(attempt.error);
  }
  counters_->failed.add();
  end(true);
}

EndpointPtr Relay::choose() {
  const MonoTime now = host_.reactor.now();
  EndpointPtr chosen = group_->choose(client_address_, now, tried_, &trial_);
  if (chosen || tried_.size() == refused_) return chosen;
  tried_.resize(refused_);
  return group_->choose(client_address_, now, tried_, &trial_);
}

void Relay::await(Fd socket) {
  if (attempts_ > 1) counters_->retried.add();
  server_.socket = std::move(socket);
  attempt_began_ = host_.reactor.now();
  host_.connecting.begin(*this, attempt_began_);
}

// A lack of our own says nothing of the endpoint. Its silence does, though there may be reasons not
// to answer just this client: any success of another's clears it, and where every endpoint is
// silent none is left out.
void Relay::attempt_failed(int error) {
  server_.socket.reset();
  --endpoint_->open;
  if (error != ETIMEDOUT && !lacks_memory_or_descriptor(error))
    std::swap(tried_.back(), tried_[refused_++]);
  if (is_own_lack(error)) {
    if (trial_) EndpointGroup::abandoned(*endpoint_);
  } else if (group_->failed(*endpoint_, host_.reactor.now(), trial_)) {
    counters_->ejected.add();
  }
  endpoint_.reset();
}

// Whether the endpoint is well: it has said something, if only its end, or has let the connection
// live for a while; or it has torn down a young one that its client wanted, and had used, or that
// it tears down at once: a client that is silent may be given up by anyone (the connections that
// browsers make ahead). Else, at the end, nobody knows.
void Relay::judge(bool over) {
  const MonoTime now = host_.reactor.now();
  const Duration age = now - attempt_began_;
  const bool old = made_ && age >= Ejection::kTrial;
  const bool wanted = !client_.ended && !client_.broken && (up_.any || age < kAtOnce);
  if (down_.any || server_.ended)
    EndpointGroup::answered(*endpoint_);
  else if (server_.torn && !old && wanted)
    counters_->ejected.add(group_->broke(*endpoint_, now, trial_) ? 1 : 0);
  else if (old && !server_.torn)
    EndpointGroup::lasted(*endpoint_);
  else if (!over && !server_.torn)
    return;
  else if (trial_)
    EndpointGroup::abandoned(*endpoint_);
  group_.reset();
}

void Relay::park() {
  if (waits_++ == kMostParks) {
    if (!server_.socket) counters_->failed.add();
    return end(true);
  }
  state_ = State::kParked;
  host_.parked.begin(*this, host_.reactor.now());
}

void Relay::unpark() {
  if (server_.socket) return watch_client();
  state_ = State::kConnecting;
  try_next();
}

// The client is listened to from here on. What it has sent meanwhile, if only a reset, is found by
// reading.
void Relay::connected() {
  const Duration took = host_.reactor.now() - attempt_began_;
  counters_->connected.add();
  counters_->connect_micros.add(static_cast<uint64_t>(
      std::max<int64_t>(std::chrono::duration_cast<std::chrono::microseconds>(took).count(), 0)));
  made_ = true;
  attempt_began_ += took;
  EndpointGroup::connected(*endpoint_, trial_);
  std::vector<EndpointPtr>().swap(tried_);
  disguise_.reset();
  const bool speaks = up_.kept != nullptr;  // first, whatever the client does
  watch_client();
  if (!speaks && !up_.any && server_.socket) acknowledge(server_.socket.get());
}

// What the server says while there is no room for that is found by reading, too, which finds urgent
// data only where splice(2) is not used.
void Relay::watch_client() {
  if (!host_.reactor.add(client_.socket.get(), client_, kEvents).ok()) {
    server_.readable = server_.writable = server_.read_on = server_.urgent = true;
    return park();
  }
  state_ = State::kMoving;
  waits_ = 0;
  pump();
}

void Relay::on_ready(Side& side, uint32_t events) {
  if (state_ == State::kOver || state_ == State::kParked) return;
  if (state_ == State::kConnecting) {
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) return;
    const bool failed = (events & (EPOLLERR | EPOLLHUP)) != 0;  // tcp_poll() of the kernel
    const int pending = failed ? pending_error(server_.socket.get()) : 0;
    const int error = failed && pending == 0 ? ECONNRESET : pending;
    // One that has been reset after it was made is another's turn too, unless it has said
    // something.
    if (!failed || peek(server_.socket.get()) == Peeked::kData) {
      if (failed) broke(server_, error);
      server_.readable = (events & (EPOLLIN | EPOLLRDHUP | EPOLLPRI)) != 0;
      note_events(server_, events);
      connected();
    } else {
      attempt_failed(error);
      try_next();
    }
    return;
  }
  side.choosy |=
      (events & (EPOLLIN | EPOLLPRI)) != 0 && (events & (useful(side) | EPOLLERR | EPOLLHUP)) == 0;
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLPRI | EPOLLERR | EPOLLHUP)) != 0) side.readable = true;
  if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) side.writable = true;
  note_events(side, events);
  if ((events & EPOLLERR) != 0) broke(side, pending_error(side.socket.get()));
  pump();
}

void Relay::note_events(Side& side, uint32_t events) {
  if ((events & (EPOLLRDHUP | EPOLLPRI | EPOLLERR | EPOLLHUP)) != 0) side.read_on = true;
  if ((events & EPOLLPRI) != 0) side.urgent = true;
  if ((events & EPOLLRDHUP) != 0) side.all_here = true;
}

// Both directions as far as they go. A side that is broken may have left something to be read: if
// that is found out behind its turn, in another.
void Relay::pump() {
  bool more = move(up_, client_, server_, counters_->client_bytes);
  const bool client_was_broken = client_.broken;
  more |= move(down_, server_, client_, counters_->server_bytes);
  more |= client_.broken && !client_was_broken;
  if (group_) judge(false);
  if (up_.done && down_.done) return end(false);
  if (more)
    host_.reactor.again(client_);
  else if (up_.over && down_.over && all_acknowledged())
    return end(true);
  if (!listen(more)) return end(true);
  wait();
}

// EPOLL*: what there is use for.
uint32_t Relay::useful(const Side& side) const {
  const bool client = &side == &client_;
  const Flow& from = client ? up_ : down_;
  const Flow& to = client ? down_ : up_;
  uint32_t events = 0;
  if (!side.all_here) events |= EPOLLRDHUP;
  if (!from.waits() && !from.over && !side.ended) events |= EPOLLIN | EPOLLPRI;
  if (to.waits()) events |= EPOLLOUT;
  return events;
}

// `again`: there will be another turn soon, so that nothing need be left out yet. False: the kernel
// does not let us.
bool Relay::listen(bool again) {
  for (Side* side : {&client_, &server_}) {
    uint32_t events = useful(*side);
    if (again || !side->choosy) events |= side->told;
    if (side->told == events) continue;
    if (!host_.reactor.change(side->socket.get(), *side, events).ok()) return false;
    side->told = events;
  }
  return true;
}

void Relay::wait() {
  if (client_.broken || server_.broken) {
    quiet_ = false;
    if (!std::exchange(breaking_, true)) host_.breaking.begin(*this, host_.reactor.now());
    return;
  }
  const bool half = client_.ended || server_.ended;
  quiet_ = !half && !watched_;
  TimeoutQueue& queue = half ? host_.half_closed : watched_ ? host_.moving : host_.quiet;
  queue.begin(*this, host_.reactor.now());
}

// True: there is more to do at once.
bool Relay::move(Flow& flow, Side& from, Side& to, Count& bytes) {
  for (size_t spent = 0; spent < kTurn;) {
    if (to.broken) give_up(flow);
    if (flow.over) return false;
    if (!flush(flow, to)) {
      if (to.broken) continue;
      return false;
    }
    if (from.ended) {
      flow.done = flow.over = true;
      if (!up_.done || !down_.done) shutdown(to.socket.get(), SHUT_WR);  // else closing says it
      return false;
    }
    if (!from.readable) {
      flow.over = from.broken;
      return false;
    }
    if (flow.bulk && !from.urgent && host_.may_splice && (flow.pipe = host_.take_pipe()))
      spent += moved(bytes, fill_pipe(flow, from));
    else
      spent += moved(bytes, copy(flow, from, to)) * kCopying;
  }
  return true;
}

void Relay::give_up(Flow& flow) {
  flow.over = true;
  flow.kept.reset();
  if (flow.pipe) PipePool::give_up(std::exchange(flow.pipe, Pipe()));
}

// True: nothing is left to send.
bool Relay::flush(Flow& flow, Side& to) {
  if (flow.kept) return to.writable && flush_kept(flow, to);
  if (flow.pipe) return to.writable && flush_pipe(flow, to);
  return true;
}

bool Relay::flush_kept(Flow& flow, Side& to) {
  while (flow.kept_from < flow.kept_to) {
    const ssize_t sent = send(to.socket.get(), flow.kept.get() + flow.kept_from,
                              flow.kept_to - flow.kept_from, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return note_error(to, false), false;
    flow.kept_from += static_cast<uint32_t>(sent);
  }
  flow.kept.reset();
  return true;
}

bool Relay::flush_pipe(Flow& flow, Side& to) {
  while (flow.in_pipe > 0) {
    const ssize_t sent =
        splice(flow.pipe.reader.get(), nullptr, to.socket.get(), nullptr,
               std::min<size_t>(flow.in_pipe, kPacket), SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (sent < 0 && errno == EINTR) continue;
    if (sent == 0 || (sent < 0 && errno == EINVAL)) host_.may_splice = false;
    if (sent == 0 || (sent < 0 && (errno == EINVAL || errno == ENOMEM)))
      return unload_pipe(flow), flush_kept(flow, to);
    if (sent < 0) return note_error(to, false), false;
    flow.in_pipe -= static_cast<uint32_t>(sent);
  }
  PipePool::give_back(std::exchange(flow.pipe, Pipe()));
  return true;
}

// A read that does not fill the buffer has emptied the socket, and the kernel will say when there
// is more (epoll(7), "Do I need to continuously read"): except at urgent data and at the end. Once
// the end has arrived such a read has taken it too (tcp_recvmsg_locked() of the kernel, which stops
// short at urgent data alone).
size_t Relay::copy(Flow& flow, Side& from, Side& to) {
  uint8_t* buffer = host_.buffer.get();
  const auto size = static_cast<ssize_t>(host_.settings.buffer);
  const ssize_t got = recv(from.socket.get(), buffer, host_.settings.buffer, 0);
  if (got < 0) return note_error(from, true), 0;
  if (got == 0) return found_end(from), 0;
  flow.full_reads = got == size ? std::min<uint8_t>(flow.full_reads + 1, kFullReads) : uint8_t{0};
  flow.bulk = flow.full_reads == kFullReads;
  flow.any = true;
  if (got < size && !from.read_on) from.readable = false;
  if (got < size && from.all_here && !from.urgent && !from.broken) found_end(from);
  // The end goes with the last of it, in one packet.
  const int flags = from.ended ? MSG_NOSIGNAL | MSG_MORE : MSG_NOSIGNAL;
  ssize_t sent = to.writable ? send(to.socket.get(), buffer, static_cast<size_t>(got), flags) : 0;
  if (sent < 0) {
    note_error(to, false);
    sent = 0;
  }
  if (sent == got) return static_cast<size_t>(got);
  const auto rest = static_cast<size_t>(got - sent);
  flow.kept = std::make_unique_for_overwrite<uint8_t[]>(rest);
  std::memcpy(flow.kept.get(), buffer + sent, rest);
  flow.kept_from = 0;
  flow.kept_to = static_cast<uint32_t>(rest);
  return static_cast<size_t>(got);
}

// As many whole packets as there is room for: what were left of a packet is sent as a small one.
size_t Relay::fill_pipe(Flow& flow, Side& from) {
  const size_t room = flow.pipe.pool->bytes() / kPacket * kPacket;
  const ssize_t got = splice(from.socket.get(), nullptr, flow.pipe.writer.get(), nullptr, room,
                             SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (got > 0) {
    flow.in_pipe = static_cast<uint32_t>(got);
    flow.bulk = got >= kBulk;
    if (flow.bulk) host_.count_busy(busy_span_);
    return static_cast<size_t>(got);
  }
  // Empty for now: what comes next is likely as large as what has been. Otherwise recv(2) finds
  // what there still is, or that this is the end: 0 is also said of data that cannot be spliced.
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    note_error(from, true);
  } else {
    flow.bulk = false;
    if (got < 0 && errno == EINVAL)
      host_.may_splice = false;
    else if (got < 0 && errno != EINTR && errno != ENOMEM)
      broke(from, errno);
  }
  PipePool::give_back(std::exchange(flow.pipe, Pipe()));
  return 0;
}

// Sent like what has been copied from here on.
void Relay::unload_pipe(Flow& flow) {
  flow.kept = std::make_unique_for_overwrite<uint8_t[]>(flow.in_pipe);
  flow.kept_from = flow.kept_to = 0;
  while (flow.kept_to < flow.in_pipe) {
    const ssize_t got =
        read(flow.pipe.reader.get(), flow.kept.get() + flow.kept_to, flow.in_pipe - flow.kept_to);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;  // never: a pipe has what was put into it
    flow.kept_to += static_cast<uint32_t>(got);
  }
  flow.in_pipe = 0;
  PipePool::give_back(std::exchange(flow.pipe, Pipe()));
}

// The kernel tells of a reset once, to whichever call is first, and then of an end.
void Relay::found_end(Side& side) {
  if (side.torn)
    side.readable = false;
  else
    side.ended = true;
}

// EPIPE: its end of stream had come before (tcp_reset() of the kernel), or this has been told
// already.
void Relay::broke(Side& side, int error) {
  side.torn |= error != 0 && error != EPIPE;
  side.broken = side.read_on = true;
}

// Of the call that has just failed.
void Relay::note_error(Side& side, bool reading) {
  const int error = errno;
  if (error == EINTR) return;
  (reading ? side.readable : side.writable) = false;
  if (error == EAGAIN || error == EWOULDBLOCK) return;
  broke(side, error);
  if (!reading) side.readable = true;  // what it had sent before is still there
}

// By the kernel of a side that is not broken: what it has not got a reset would drop.
bool Relay::all_acknowledged() const {
  for (const Side* side : {&client_, &server_})
    if (!side->broken && unacknowledged(side->socket.get()) > 0) return false;
  return true;
}

void Relay::expired() {
  if (state_ == State::kConnecting) {
    attempt_failed(ETIMEDOUT);
    return try_next();
  }
  if (state_ == State::kParked) return unpark();
  if (std::exchange(breaking_, false) && waits_++ < kMostLooks) return pump();
  if (std::exchange(quiet_, false) && host_.settings.idle_timeout > host_.settings.quiet) {
    notice_vanished_peer(server_.socket.get());
    watched_ = true;
    // Behind those that have waited for less: it may end so much later than it should.
    return host_.moving.begin(*this, host_.reactor.now() - host_.settings.quiet);
  }
  host_.counters.timeouts.add();
  end(true);
}

void Relay::end(bool reset) {
  shut(reset);
  host_.reactor.bury(std::unique_ptr<Mortal>(this));
}

void Relay::shut(bool reset) {
  state_ = State::kOver;
  unlink();
  host_.reactor.forget(client_);
  host_.reactor.forget(server_);
  for (Flow* flow : {&up_, &down_}) give_up(*flow);
  for (Side* side : {&client_, &server_}) {
    if (reset && side->socket) reset_on_close(side->socket.get());
    side->socket.reset();
  }
  if (endpoint_ && group_) judge(true);
  if (endpoint_) --endpoint_->open;
  endpoint_.reset();
  --host_.connections;
  counters_->open.take();
}

}  // namespace fairlead::proxy::stream
