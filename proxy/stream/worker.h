// SPDX-License-Identifier: Apache-2.0
// One worker of the stream proxy: listening sockets, and what comes in by them, on one Loop. There
// is one for each core, and each frontend has a socket in each of them; the kernel spreads clients
// over those by a hash of addresses and ports (SO_REUSEPORT, socket(7)). Workers share nothing but
// what affinity has learnt.
//
// When descriptors or memory run out (for accepting, or for connecting what has been accepted), or
// connections are as many as may be, accepting pauses for kPause: those that come wait in the
// kernel's backlog, as full as it may get. So it does when accepting fails for any reason that is
// not the connection's own.
//
// Where a Service has no endpoint, but asks that connections wait for one (annotations.h), they are
// accepted and kept, kMostHeld a frontend; when there is one they begin, in the order they came.
// Who has waited for too long is reset, as from a port where nobody listens; who has hung up
// without a word is reset too when its place is needed.
//
// Threads: the loop's. A WorkerThread is a Worker with a thread and a Loop of its own; it is used
// from the thread that made it.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "proxy/stream/endpoint_group.h"
#include "proxy/stream/reactor.h"
#include "proxy/stream/relay.h"
#include "proxy/stream/service.h"
#include "proxy/stream/udp.h"

namespace fairlead::proxy::stream {

struct WorkerSettings {
  size_t index = 0;  // which counters of a Service are ours
  uint64_t seed = 0;
  RelaySettings relay;
  UdpSettings udp;
  EjectionRules ejection;
  bool keep_sources = false;  // endpoints see clients' addresses, as each Service has it
};

using ListenerId = uint64_t;

class Worker {
 public:
  static constexpr Duration kPause = std::chrono::milliseconds(100);
  static constexpr size_t kMostHeld = 1024;

  static Result<std::unique_ptr<Worker>> open(Loop& loop, const WorkerSettings& settings,
                                              std::shared_ptr<WorkerCounters> counters);
  // For a thread of its own: Reactor::lead() and run().
  Result<void> lead() { return reactor_->lead(); }
  void run(const bool& done) { reactor_->run(done); }
  // Resets what is open.
  ~Worker();

  // A socket of open_frontend_socket(), at that address. Where the kernel has no room to watch it
  // that is said, counted (WorkerCounters::deaf) and tried again every kPause.
  void put(ListenerId id, Fd socket, const SocketAddress& address,
           std::shared_ptr<const Service> service);
  // From now on; connections that are open stay as they are, but UDP sessions of endpoints that are
  // gone end. Connections that have waited begin, if there is where to.
  void update(ListenerId id, std::shared_ptr<const Service> service);
  // Closes the socket, when what waits there has been accepted as far as there is room. TCP
  // connections stay, those that wait for an endpoint and UDP sessions end.
  void remove(ListenerId id);
  void remove_all();
  // The same, but what waits at sockets that have been handed over is left to the other process.
  void leave_all();

  // Who else has had the sockets may have changed who is let in.
  void filter_again();

  // Connections beyond it wait in the kernel's backlog; those that are open stay. At first as
  // WorkerSettings has it.
  void set_most_connections(size_t most) { most_connections_ = most; }

  size_t listeners() const { return listeners_.size(); }
  // Of all frontends; they stay ours.
  std::vector<int> sockets() const;
  // Another process has these too, and no others.
  void hand_over(const std::vector<int>& sockets);
  size_t connections() const { return relays_->connections; }
  size_t held() const { return held_; }
  size_t sessions() const { return sessions_->sessions; }

 private:
  struct Listener;

  Worker(Loop& loop, const WorkerSettings& settings, std::unique_ptr<Reactor> reactor,
         std::shared_ptr<WorkerCounters> counters);
  std::shared_ptr<EndpointGroup> group_of(const std::shared_ptr<const EndpointSet>& set);
  void configure(Listener& listener, std::shared_ptr<const Service> service);
  enum class Accepted : uint8_t { kOne, kNone, kNoRoom };
  void accept_from(Listener& listener);
  Accepted accept_one(Listener& listener);
  void take(Listener& listener, Fd client, const SocketAddress& peer);
  void hold(Listener& listener, Fd client, const SocketAddress& peer);
  void drop_hung_up();
  void drop(ListenerId id);
  std::optional<Disguise> disguise_of(const Listener& listener, const SocketAddress& client) const;
  void release(Listener& listener);
  void refuse_held(Listener& listener, bool all);  // else those that have waited for too long
  std::optional<MonoTime> held_due() const;
  void wait_for_room(ListenerId id);
  std::unordered_multiset<SocketAddress>& own_addresses(Protocol protocol);
  void watch(Listener& listener);
  void watch_deaf();
  void tend_timeouts();

  const WorkerSettings settings_;
  const std::shared_ptr<WorkerCounters> counters_;
  std::unique_ptr<Reactor> reactor_;
  std::unique_ptr<RelayHost> relays_;
  std::unique_ptr<UdpHost> sessions_;
  std::unique_ptr<SourceNat> source_nat_;                              // null: sources are not kept
  std::unordered_map<uint64_t, std::weak_ptr<EndpointGroup>> groups_;  // by EndpointSet::id
  std::unordered_map<ListenerId, std::unique_ptr<Listener>> listeners_;
  size_t most_connections_;
  size_t held_ = 0;               // of all listeners
  std::set<ListenerId> holding_;  // those that have some
  MonoTime looked_at_held_{};     // for those that have hung up
  bool paused_ = false;
  std::set<ListenerId> waiting_;  // for the pause to end
  Timer resume_;
  std::set<ListenerId> deaf_;
  Timer watch_again_;
  Timer timeout_;
  std::optional<MonoTime> timeout_due_;
};

class WorkerThread {
 public:
  // kResourceExhausted when the kernel has no room.
  static Result<std::unique_ptr<WorkerThread>> start(const WorkerSettings& settings);
  // Ends the thread, and with it every connection.
  ~WorkerThread();
  WorkerThread(const WorkerThread&) = delete;
  WorkerThread& operator=(const WorkerThread&) = delete;

  // To be handed over. Waits for the thread, kAnswerLimit at most; none when that is over.
  static constexpr Duration kAnswerLimit = std::chrono::seconds(1);
  std::vector<int> sockets();
  // Runs in the thread, in order.
  void post(std::function<void(Worker&)> task);
  const WorkerCounters& counters() const { return *counters_; }
  // Asks for a sign of life: counters().answered becomes the number of pings that were answered.
  void ping();
  uint64_t pings() const { return pings_; }

 private:
  WorkerThread() = default;

  const std::shared_ptr<WorkerCounters> counters_ = std::make_shared<WorkerCounters>();
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Worker> worker_;  // the thread's
  bool over_ = false;               // the thread's
  std::thread thread_;
  uint64_t pings_ = 0;
};

}  // namespace fairlead::proxy::stream
