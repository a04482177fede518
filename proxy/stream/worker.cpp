// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/worker.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <future>

#include "base/log.h"
#include "base/open_loop.h"
#include "proxy/stream/proxy_protocol.h"
#include "proxy/stream/sockets.h"
#include "proxy/stream/source_nat.h"

namespace fairlead::proxy::stream {

namespace {

constexpr int kAccepts = 64;  // of one socket before others have their turn
// No timer is shorter, or nothing else would have a turn (reactor.h).
constexpr Duration kNextTurn = std::chrono::milliseconds(1);

// An error of accept(2) that says what became of the connection that would have been ("Error
// handling"); the next one may be well.
bool is_of_one_connection(int error) {
  switch (error) {
    case EINTR:
    case ECONNABORTED:
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT:
    case ECONNRESET:
      return true;
    default:
      return false;
  }
}

}  // namespace

// One frontend's socket, and where its clients go. A TCP socket's is its own; `udp` has the other.
struct Worker::Listener : Reactor::Source, Reactor::Mortal {
  Listener(Worker& its_worker, ListenerId its_id, const SocketAddress& its_address)
      : worker(its_worker), id(its_id), address(its_address) {}
  void on_ready(uint32_t) override {
    if (socket) worker.accept_from(*this);
  }
  int fd() const { return udp ? udp->fd() : socket.get(); }
  // nullptr: the client is not let in.
  std::shared_ptr<EndpointGroup> group_for(const IpAddress& client) const {
    const EndpointSet* set = set_for(*service, client, address.address);
    if (set == nullptr) return nullptr;
    return set == service->inside.get() ? inside : outside;
  }

  Worker& worker;
  const ListenerId id;
  const SocketAddress address;
  Fd socket;
  std::unique_ptr<UdpFrontend> udp;
  bool handed_over = false;  // another process has the socket too
  std::shared_ptr<const Service> service;
  std::shared_ptr<EndpointGroup> outside, inside;
  std::optional<std::vector<Cidr>> sources;
  struct Held {
    Fd client;
    SocketAddress peer;
    MonoTime since;
    std::shared_ptr<Counters> counters;  // of the Service as it was then
  };
  std::deque<Held> held;  // in the order they came
  MonoTime due(const Held& one) const { return one.since + service->hold; }
};

Result<std::unique_ptr<Worker>> Worker::open(Loop& loop, const WorkerSettings& settings,
                                             std::shared_ptr<WorkerCounters> counters) {
  auto reactor = Reactor::open(loop);
  if (!reactor.ok()) return reactor.error();
  std::unique_ptr<Worker> worker(
      new Worker(loop, settings, std::move(*reactor), std::move(counters)));
  if (!settings.keep_sources) return worker;
  auto source_nat = SourceNat::open(loop, worker->counters_);
  if (source_nat.ok())
    worker->source_nat_ = std::move(*source_nat);
  else
    log::warn("endpoints of what is relayed see this node's address: {}",
              source_nat.error().message());
  return worker;
}

Worker::Worker(Loop& loop, const WorkerSettings& settings, std::unique_ptr<Reactor> reactor,
               std::shared_ptr<WorkerCounters> counters)
    : settings_(settings),
      counters_(std::move(counters)),
      reactor_(std::move(reactor)),
      relays_(std::make_unique<RelayHost>(*reactor_, settings.relay, *counters_)),
      sessions_(std::make_unique<UdpHost>(*reactor_, settings.udp, *counters_)),
      most_connections_(settings.relay.connections),
      resume_(loop),
      watch_again_(loop),
      timeout_(loop) {
  reactor_->set_on_turn([this] { tend_timeouts(); });
}

Worker::~Worker() {
  while (!listeners_.empty()) drop(listeners_.begin()->first);
}

void Worker::put(ListenerId id, Fd socket, const SocketAddress& address,
                 std::shared_ptr<const Service> service) {
  auto listener = std::make_unique<Listener>(*this, id, address);
  listener->sources = admitted(*service, address.address);
  Listener* raw = listener.get();
  if (service->protocol == Protocol::kUdp) {
    listener->udp = std::make_unique<UdpFrontend>(
        *sessions_, std::move(socket),
        [raw](const SocketAddress& client) -> UdpFrontend::Destination {
          const Worker& worker = raw->worker;
          auto counters = raw->service->counters[worker.settings_.index];
          auto group = raw->group_for(client.address);
          if (!group) counters->denied.add();
          return {std::move(group), std::move(counters), raw->worker.disguise_of(*raw, client)};
        });
  } else {
    listener->socket = std::move(socket);
  }
  configure(*raw, std::move(service));
  own_addresses(raw->service->protocol).insert(address);
  listeners_[id] = std::move(listener);
  watch(*raw);
}

std::unordered_multiset<SocketAddress>& Worker::own_addresses(Protocol protocol) {
  return protocol == Protocol::kUdp ? sessions_->own : relays_->own;
}

void Worker::watch(Listener& listener) {
  const Result<void> added =
      listener.udp ? listener.udp->listen() : reactor_->add(listener.fd(), listener, EPOLLIN);
  if (added.ok()) {
    if (deaf_.erase(listener.id) > 0) counters_->deaf.take();
    return;
  }
  if (deaf_.insert(listener.id).second) {
    counters_->deaf.add();
    if (deaf_.size() == 1)
      log::error("{} is not served by one worker: {}; trying again", listener.address.to_string(),
                 added.error().message());
  }
  if (!watch_again_.active()) watch_again_.start_once(kPause, [this] { watch_deaf(); });
}

void Worker::watch_deaf() {
  for (const ListenerId id : std::set<ListenerId>(deaf_)) watch(*listeners_.at(id));
}

void Worker::update(ListenerId id, std::shared_ptr<const Service> service) {
  const auto found = listeners_.find(id);
  if (found == listeners_.end()) return;
  Listener& listener = *found->second;
  configure(listener, std::move(service));
  if (listener.udp) listener.udp->drop_gone(listener.outside.get(), listener.inside.get());
  if (!listener.held.empty()) release(listener);
}

void Worker::configure(Listener& listener, std::shared_ptr<const Service> service) {
  auto sources = admitted(*service, listener.address.address);
  if (sources != listener.sources) {
    set_sources(listener.fd(), listener.address.address.family(), sources);
    listener.sources = std::move(sources);
  }
  listener.outside = group_of(service->outside);
  listener.inside = service->inside ? group_of(service->inside) : nullptr;
  listener.service = std::move(service);
}

std::shared_ptr<EndpointGroup> Worker::group_of(const std::shared_ptr<const EndpointSet>& set) {
  if (groups_.size() > 64 + 4 * listeners_.size())
    std::erase_if(groups_, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<EndpointGroup>& known = groups_[set->id];
  std::shared_ptr<EndpointGroup> group = known.lock();
  if (!group) {
    group = std::make_shared<EndpointGroup>(set->policy, settings_.ejection,
                                            settings_.seed ^ spread(set->id));
    known = group;
  }
  group->set(set);
  return group;
}

// What came before the end is served; what keeps coming meanwhile does not keep us.
void Worker::remove(ListenerId id) {
  const auto found = listeners_.find(id);
  if (found == listeners_.end()) return;
  reactor_->look_at_clock();
  for (int i = 0; found->second->socket && i < kBacklog; ++i)
    if (accept_one(*found->second) != Accepted::kOne) break;
  drop(id);
}

void Worker::drop(ListenerId id) {
  std::unique_ptr<Listener> listener = std::move(listeners_.at(id));
  listeners_.erase(id);
  auto& own = own_addresses(listener->service->protocol);
  if (const auto found = own.find(listener->address); found != own.end()) own.erase(found);
  waiting_.erase(id);
  refuse_held(*listener, true);
  if (deaf_.erase(id) > 0) counters_->deaf.take();
  reactor_->forget(*listener);
  reactor_->remove(listener->fd());  // it may have been handed over
  listener->socket.reset();
  if (listener->udp) {
    listener->udp->close();
    reactor_->bury(std::move(listener->udp));
  }
  reactor_->bury(std::move(listener));
}

void Worker::leave_all() {
  while (!listeners_.empty()) {
    const auto& [id, listener] = *listeners_.begin();
    listener->handed_over ? drop(id) : remove(id);
  }
}

std::vector<int> Worker::sockets() const {
  std::vector<int> result;
  for (const auto& [id, listener] : listeners_) result.push_back(listener->fd());
  return result;
}

void Worker::hand_over(const std::vector<int>& sockets) {
  const std::set<int> handed(sockets.begin(), sockets.end());
  for (const auto& [id, listener] : listeners_)
    listener->handed_over = handed.contains(listener->fd());
}

void Worker::filter_again() {
  for (const auto& [id, listener] : listeners_)
    set_sources(listener->fd(), listener->address.address.family(), listener->sources);
}

void Worker::remove_all() {
  while (!listeners_.empty()) remove(listeners_.begin()->first);
}

void Worker::accept_from(Listener& listener) {
  if (paused_) return wait_for_room(listener.id);
  for (int i = 0; i < kAccepts; ++i) switch (accept_one(listener)) {
      case Accepted::kOne:
        break;
      case Accepted::kNone:
        return;
      case Accepted::kNoRoom:
        return wait_for_room(listener.id);
    }
  reactor_->again(listener);
}

Worker::Accepted Worker::accept_one(Listener& listener) {
  if (relays_->connections + held_ >= most_connections_) drop_hung_up();
  if (relays_->connections + held_ >= most_connections_ || relays_->lacks_room())
    return Accepted::kNoRoom;
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  Fd client(accept4(listener.fd(), reinterpret_cast<sockaddr*>(&storage), &length,
                    SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (client) {
    const auto* peer = reinterpret_cast<const sockaddr*>(&storage);
    take(listener, std::move(client), SocketAddress::from_sockaddr(peer));
    return Accepted::kOne;
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK) return Accepted::kNone;
  return is_of_one_connection(errno) ? Accepted::kOne : Accepted::kNoRoom;
}

void Worker::take(Listener& listener, Fd client, const SocketAddress& peer) {
  const Service& service = *listener.service;
  const auto& counters = service.counters[settings_.index];
  if (may_wait(service, peer.address)) return hold(listener, std::move(client), peer);
  auto group = listener.group_for(peer.address);
  if (!group) {  // let in by the kernel before its filter was changed, or in spite of it
    counters->denied.add();
    reset_on_close(client.get());
    return;
  }
  std::vector<uint8_t> preface;
  if (service.proxy_protocol) {
    const Family family = peer.address.family();
    preface =
        proxy_header(peer, original_destination(client.get(), family).value_or(listener.address));
  }
  Relay::begin(*relays_, std::move(client), peer.address, std::move(group), counters, preface,
               disguise_of(listener, peer));
}

std::optional<Disguise> Worker::disguise_of(const Listener& listener,
                                            const SocketAddress& client) const {
  if (!source_nat_ || !keeps_source(*listener.service, client.address)) return std::nullopt;
  return Disguise{source_nat_.get(), client};
}

void Worker::hold(Listener& listener, Fd client, const SocketAddress& peer) {
  const auto& counters = listener.service->counters[settings_.index];
  if (listener.held.size() == kMostHeld) drop_hung_up();
  if (listener.held.size() == kMostHeld) {
    counters->failed.add();
    reset_on_close(client.get());
    return;
  }
  listener.held.push_back({std::move(client), peer, reactor_->now(), counters});
  holding_.insert(listener.id);
  ++held_;
  counters->held.add();
  counters->waiting.add();
}

// Nobody listens to those that wait: that they have gone is found out when their places are needed.
void Worker::drop_hung_up() {
  if (held_ == 0 || reactor_->now() < looked_at_held_ + kPause) return;
  looked_at_held_ = reactor_->now();
  for (const ListenerId id : std::set<ListenerId>(holding_)) {
    std::deque<Listener::Held>& held = listeners_.at(id)->held;
    held_ -= std::erase_if(held, [](const Listener::Held& one) {
      const Peeked next = peek(one.client.get());
      if (next != Peeked::kEnd && next != Peeked::kReset) return false;
      one.counters->waiting.take();
      one.counters->failed.add();
      reset_on_close(one.client.get());  // it may have ended its own side alone, and read on
      return true;
    });
    if (held.empty()) holding_.erase(id);
  }
}

// Or what the Service asks for now is another time to wait.
void Worker::release(Listener& listener) {
  reactor_->look_at_clock();
  if (listener.service->hold == Duration{}) {
    holding_.erase(listener.id);
    for (Listener::Held& each : std::exchange(listener.held, {})) {
      --held_;
      each.counters->waiting.take();
      if (peek(each.client.get()) == Peeked::kReset)
        each.counters->failed.add();
      else
        take(listener, std::move(each.client), each.peer);
    }
  }
  tend_timeouts();
}

void Worker::refuse_held(Listener& listener, bool all) {
  for (; !listener.held.empty(); listener.held.pop_front()) {
    const Listener::Held& first = listener.held.front();
    if (!all && listener.due(first) > reactor_->now()) return;
    --held_;
    first.counters->waiting.take();
    first.counters->failed.add();
    reset_on_close(first.client.get());
  }
  holding_.erase(listener.id);
}

std::optional<MonoTime> Worker::held_due() const {
  std::optional<MonoTime> first;
  for (const ListenerId id : holding_) {
    const Listener& listener = *listeners_.at(id);
    const MonoTime due = listener.due(listener.held.front());
    if (!first || due < *first) first = due;
  }
  return first;
}

void Worker::wait_for_room(ListenerId id) {
  waiting_.insert(id);
  if (std::exchange(paused_, true)) return;
  counters_->pauses.add();
  resume_.start_once(kPause, [this] {
    paused_ = false;
    for (const ListenerId waiting : std::exchange(waiting_, {}))
      if (const auto found = listeners_.find(waiting); found != listeners_.end())
        reactor_->again(*found->second);
  });
}

void Worker::tend_timeouts() {
  std::optional<MonoTime> due;
  for (const auto& each : {relays_->due(), sessions_->due(), held_due()})
    if (each && (!due || *each < *due)) due = each;
  // Most of what it waits for begins anew before: it is looked at when the timer runs.
  if (!due || (timeout_due_ && *timeout_due_ <= *due)) return;
  timeout_due_ = due;
  timeout_.start_once(std::max(*due - reactor_->now(), kNextTurn), [this] {
    timeout_due_.reset();
    reactor_->look_at_clock();
    relays_->expire(reactor_->now());
    sessions_->expire(reactor_->now());
    for (const ListenerId id : std::set<ListenerId>(holding_))
      refuse_held(*listeners_.at(id), false);
    tend_timeouts();
  });
}

Result<std::unique_ptr<WorkerThread>> WorkerThread::start(const WorkerSettings& settings) {
  std::unique_ptr<WorkerThread> thread(new WorkerThread());
  auto loop = open_loop();
  if (!loop.ok()) return loop.error();
  thread->loop_ = std::move(*loop);
  auto worker = Worker::open(*thread->loop_, settings, thread->counters_);
  if (!worker.ok()) return worker.error();
  if (const auto led = (*worker)->lead(); !led.ok()) return led.error();
  thread->worker_ = std::move(*worker);
  try {
    thread->thread_ = std::thread([raw = thread.get()] {
      raw->worker_->run(raw->over_);
      raw->worker_.reset();
    });
  } catch (const std::system_error& error) {
    return Error(ErrorCode::kResourceExhausted,
                 std::string("start a worker's thread: ") + error.what());
  }
  return thread;
}

WorkerThread::~WorkerThread() {
  if (!thread_.joinable()) return;
  loop_->post([this] { over_ = true; });
  thread_.join();
}

void WorkerThread::post(std::function<void(Worker&)> task) {
  loop_->post([this, task = std::move(task)] { task(*worker_); });
}

std::vector<int> WorkerThread::sockets() {
  const auto promise = std::make_shared<std::promise<std::vector<int>>>();
  std::future<std::vector<int>> answer = promise->get_future();
  post([promise](Worker& worker) { promise->set_value(worker.sockets()); });
  std::vector<int> sockets;
  if (answer.wait_for(kAnswerLimit) == std::future_status::ready) sockets = answer.get();
  post([sockets](Worker& worker) { worker.hand_over(sockets); });
  return sockets;
}

void WorkerThread::ping() {
  ++pings_;
  loop_->post([this] { counters_->answered.add(); });
}

}  // namespace fairlead::proxy::stream
