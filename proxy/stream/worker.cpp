// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/worker.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "proxy/stream/sockets.h"

namespace fairlead::proxy::stream {

namespace {

constexpr int kAccepts = 64;  // of one socket before others have their turn

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
  Descriptor socket;
  std::unique_ptr<UdpFrontend> udp;
  std::shared_ptr<const Service> service;
  std::shared_ptr<EndpointGroup> outside, inside;
  std::optional<std::vector<Cidr>> sources;
};

Result<std::unique_ptr<Worker>> Worker::open(Loop& loop, const WorkerSettings& settings,
                                             std::shared_ptr<WorkerCounters> counters) {
  auto reactor = Reactor::open(loop);
  if (!reactor.ok()) return reactor.error();
  return std::unique_ptr<Worker>(
      new Worker(loop, settings, std::move(*reactor), std::move(counters)));
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
  remove_all();
}

void Worker::put(ListenerId id, Descriptor socket, const SocketAddress& address,
                 std::shared_ptr<const Service> service) {
  auto listener = std::make_unique<Listener>(*this, id, address);
  listener->sources = admitted(*service, address.address);
  Listener* raw = listener.get();
  if (service->protocol == Protocol::kUdp) {
    listener->udp = std::make_unique<UdpFrontend>(
        *sessions_, std::move(socket), [raw](const IpAddress& client) -> UdpFrontend::Destination {
          const Worker& worker = raw->worker;
          auto counters = raw->service->counters[worker.settings_.index];
          auto group = raw->group_for(client);
          if (!group) counters->denied.add();
          return {std::move(group), std::move(counters)};
        });
  } else {
    listener->socket = std::move(socket);
  }
  configure(*raw, std::move(service));
  listeners_[id] = std::move(listener);
  watch(*raw);
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

void Worker::remove(ListenerId id) {
  const auto found = listeners_.find(id);
  if (found == listeners_.end()) return;
  std::unique_ptr<Listener> listener = std::move(found->second);
  listeners_.erase(found);
  waiting_.erase(id);
  if (deaf_.erase(id) > 0) counters_->deaf.take();
  reactor_->forget(*listener);
  listener->socket.reset();
  if (listener->udp) {
    listener->udp->close();
    reactor_->bury(std::move(listener->udp));
  }
  reactor_->bury(std::move(listener));
}

void Worker::remove_all() {
  while (!listeners_.empty()) remove(listeners_.begin()->first);
}

// What came before the end is served; what keeps coming meanwhile does not keep us.
void Worker::stop() {
  reactor_->look_at_clock();
  for (const auto& [id, listener] : listeners_)
    for (int i = 0; listener->socket && i < kBacklog; ++i)
      if (accept_one(*listener) != Accepted::kOne) break;
  remove_all();
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
  if (relays_->connections >= most_connections_ || relays_->lacks_room()) return Accepted::kNoRoom;
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  Descriptor client(accept4(listener.fd(), reinterpret_cast<sockaddr*>(&storage), &length,
                            SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (client) {
    const auto* peer = reinterpret_cast<const sockaddr*>(&storage);
    take(listener, std::move(client), SocketAddress::from_sockaddr(peer).address);
    return Accepted::kOne;
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK) return Accepted::kNone;
  return is_of_one_connection(errno) ? Accepted::kOne : Accepted::kNoRoom;
}

void Worker::take(const Listener& listener, Descriptor client, const IpAddress& address) {
  const auto& counters = listener.service->counters[settings_.index];
  auto group = listener.group_for(address);
  if (!group) {  // let in by the kernel before its filter was changed, or in spite of it
    counters->denied.add();
    reset_on_close(client.get());
    return;
  }
  Relay::begin(*relays_, std::move(client), address, std::move(group), counters);
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
  const auto relays = relays_->due(), sessions = sessions_->due();
  const auto due = !relays ? sessions : !sessions ? relays : std::min(relays, sessions);
  // Most of what it waits for begins anew before: it is looked at when the timer runs.
  if (!due || (timeout_due_ && *timeout_due_ <= *due)) return;
  timeout_due_ = due;
  timeout_.start_once(*due - reactor_->now(), [this] {
    timeout_due_.reset();
    reactor_->look_at_clock();
    relays_->expire(reactor_->now());
    sessions_->expire(reactor_->now());
    tend_timeouts();
  });
}

Result<std::unique_ptr<WorkerThread>> WorkerThread::start(const WorkerSettings& settings) {
  std::unique_ptr<WorkerThread> thread(new WorkerThread());
  auto worker = Worker::open(thread->loop_, settings, thread->counters_);
  if (!worker.ok()) return worker.error();
  thread->worker_ = std::move(*worker);
  thread->thread_ = std::thread([raw = thread.get()] {
    raw->loop_.run();
    raw->worker_.reset();
  });
  return thread;
}

WorkerThread::~WorkerThread() {
  loop_.stop();
  if (thread_.joinable()) thread_.join();
}

void WorkerThread::post(std::function<void(Worker&)> task) {
  loop_.post([this, task = std::move(task)] { task(*worker_); });
}

void WorkerThread::ping() {
  ++pings_;
  loop_.post([this] { counters_->answered.add(); });
}

}  // namespace fairlead::proxy::stream
