// SPDX-License-Identifier: Apache-2.0
// One TCP connection of a client, and the one to an endpoint that answers it: bytes both ways,
// each direction ended by itself, until both are.
//
// Connecting: the endpoint that the group chooses; when it refuses, cannot be reached or does not
// answer in time, another, `attempts` in all. Where there is no other, one that did not answer has
// another chance: what was lost may have been a packet. Nothing has been read from the client then,
// so nothing is lost. When all have failed the client gets a reset, as from a port where nobody
// listens. Where this process lacks a descriptor, or the kernel memory, for its side of an attempt
// or to watch a connection that has been made, that waits (`parked`), the attempt does not count,
// and no endpoint is to blame; meanwhile the worker accepts no more (lacks_room()).
//
// Relaying: what is read into the worker's one buffer is sent at once; what the receiver does not
// take is kept, at most one buffer a direction, and nothing more is read until it is gone. So an
// idle connection has no buffer, and a slow receiver slows its sender down. A direction whose
// reads fill the buffer goes on through a pipe with splice(2), from the worker's pool, without
// copying; it is given back whenever it is empty.
//
// While a receiver is slow its sender's packets are of no use, but each would wake this thread. So
// once one has a side is registered for what is useful alone: two system calls for each time that a
// receiver keeps a direction waiting.
//
// Ends: an end of stream is passed on as one (shutdown(2)); a reset, or an error, of one side as a
// reset of the other, after what could still be read of it has been passed on and the other's
// kernel has acknowledged it (a reset drops what has not been sent). That takes kMostLooks x kLook
// at most: then the rest is dropped. A connection where nothing moves for the idle time, or the
// half-closed time once one direction has ended, is reset on both sides. An endpoint that vanishes
// is noticed by keepalive, which a connection to it gets once it has been quiet for a while.
//
// Threads: the reactor's.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <unordered_set>
#include <vector>

#include "proxy/stream/endpoint_group.h"
#include "proxy/stream/pipe_pool.h"
#include "proxy/stream/reactor.h"
#include "proxy/stream/service.h"
#include "proxy/stream/sockets.h"
#include "proxy/stream/timeout_queue.h"

namespace fairlead::proxy::stream {

struct RelaySettings {
  Duration connect_timeout = std::chrono::seconds(3);  // of one endpoint
  uint8_t attempts = 3;
  Duration idle_timeout = std::chrono::hours(24);
  Duration half_closed_timeout = std::chrono::hours(1);
  Duration quiet = std::chrono::minutes(1);  // then keepalive watches the endpoint
  size_t buffer = 64 * 1024;
  size_t pipes = 128;  // of a worker; each holds 1 MiB at most
  // Of a worker; those beyond wait in the kernel's backlog. Two descriptors each.
  size_t connections = 100'000;
};

// What the connections of one worker have in common. It must outlive them; they are in its queues.
struct RelayHost {
  RelayHost(Reactor& its_reactor, const RelaySettings& its_settings, WorkerCounters& its_counters);
  ~RelayHost();  // ends all connections, with a reset

  // Ends those that are due.
  void expire(MonoTime now);
  // The first that will be.
  std::optional<MonoTime> due() const;

  Reactor& reactor;
  const RelaySettings settings;
  WorkerCounters& counters;
  // Of many busy connections each is moved far in its turn, so that their ends are woken less
  // often. Of few each is moved in smaller steps, so that both ends have something to do.
  static constexpr int kPipe = 1024 * 1024, kSmallPipe = 256 * 1024;
  PipePool pipes, small_pipes;
  Pipe take_pipe();
  // Says that a connection moves much. `span` is the connection's own: when it last did.
  void count_busy(uint64_t& span);
  // More than kFew have been busy in the last one or two kSpan.
  bool crowded() const { return std::max(busy_, busy_before_) > kFew; }
  std::unique_ptr<uint8_t[]> buffer;  // settings.buffer
  TimeoutQueue connecting, moving, half_closed;
  TimeoutQueue quiet;     // as `moving`, without keepalive yet
  TimeoutQueue parked;    // what they need to connect, or to be watched, is lacking
  TimeoutQueue breaking;  // one side is broken, and the other has not got all of what it said
  size_t connections = 0;
  bool may_splice = true;  // until the kernel says that its sockets cannot
  // Where this worker listens. An endpoint there would be itself, who relays there, and so on: it
  // is taken for one that refuses.
  std::unordered_multiset<SocketAddress> own;
  // Connections wait for a descriptor or memory: more would too.
  bool lacks_room() const { return !parked.empty(); }

 private:
  static constexpr size_t kFew = 3;
  static constexpr Duration kSpan = std::chrono::milliseconds(10);
  uint64_t span_ = 0;  // number of the present one
  size_t busy_ = 0;    // connections in it
  size_t busy_before_ = 0;
  std::array<TimeoutQueue*, 6> queues_ = {&connecting, &moving, &half_closed,
                                          &quiet,      &parked, &breaking};
};

class Relay : public TimeoutLink, public Reactor::Mortal {
 public:
  static constexpr Duration kLook =
      std::chrono::milliseconds(20);  // at a broken one, and how often
  static constexpr uint32_t kMostLooks = 1000;
  static constexpr Duration kPark = std::chrono::milliseconds(100);  // before another try
  static constexpr uint32_t kMostParks = 300;                        // then the client is reset
  // Takes over an accepted connection; lives until it ends. `counters`: of its service. `preface`:
  // what the endpoint hears first; 64 KiB at most. `disguise`: as whom it is seen by the endpoint.
  static void begin(RelayHost& host, Fd client, const IpAddress& client_address,
                    std::shared_ptr<EndpointGroup> group, std::shared_ptr<Counters> counters,
                    std::span<const uint8_t> preface = {},
                    const std::optional<Disguise>& disguise = std::nullopt);
  ~Relay() override;

  void expired() override;

 private:
  static constexpr uint32_t kEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI;

  // One end, and what the kernel has said of it.
  struct Side : Reactor::Source {
    explicit Side(Relay& its_relay) : relay(its_relay) {}
    void on_ready(uint32_t events) override { relay.on_ready(*this, events); }

    Relay& relay;
    Fd socket;
    uint32_t told = kEvents;  // EPOLL*: what the reactor tells of it
    bool choosy = false;      // has been told of what was of no use
    bool readable = true;
    bool writable = true;
    bool read_on = false;   // until the kernel says that there is no more: an end or urgent data
    bool all_here = false;  // so has its end of stream arrived: a short read reaches it
    bool urgent = false;    // has had urgent data, which splice(2) does not pass
    bool ended = false;     // its end of stream has been read
    bool broken = false;    // nothing can be sent to it any more
    bool torn = false;      // and what it has sent has no end: a reset, not after a FIN
  };
  // One direction.
  struct Flow {
    std::unique_ptr<uint8_t[]> kept;  // read, not sent
    uint32_t kept_from = 0, kept_to = 0;
    uint32_t in_pipe = 0;
    Pipe pipe;
    uint8_t full_reads = 0;
    bool bulk = false;
    bool any = false;                                       // has brought something
    bool done = false;                                      // its end has been passed on
    bool over = false;                                      // done, or nothing more can come, or go
    bool waits() const { return kept != nullptr || pipe; }  // for its receiver
  };
  enum class State : uint8_t { kConnecting, kParked, kMoving, kOver };

  Relay(RelayHost& host, Fd client, const IpAddress& client_address,
        std::shared_ptr<EndpointGroup> group, std::shared_ptr<Counters> counters);
  void put_in_front(std::span<const uint8_t> preface);
  void try_next();
  EndpointPtr choose();
  void await(Fd socket);  // that it is connected
  void attempt_failed(int error);
  void judge(bool over);
  void park();
  void unpark();
  void connected();
  void watch_client();
  void on_ready(Side& side, uint32_t events);
  static void note_events(Side& side, uint32_t events);
  void pump();
  bool listen(bool again);
  uint32_t useful(const Side& side) const;
  void wait();
  bool move(Flow& flow, Side& from, Side& to, Count& bytes);
  void give_up(Flow& flow);
  bool flush(Flow& flow, Side& to);
  bool flush_kept(Flow& flow, Side& to);
  bool flush_pipe(Flow& flow, Side& to);
  size_t copy(Flow& flow, Side& from, Side& to);
  size_t fill_pipe(Flow& flow, Side& from);
  void unload_pipe(Flow& flow);
  static void found_end(Side& side);
  static void broke(Side& side, int error);
  static void note_error(Side& side, bool reading);
  bool all_acknowledged() const;
  void shut(bool reset);
  void end(bool reset);

  RelayHost& host_;
  const IpAddress client_address_;
  std::shared_ptr<EndpointGroup> group_;  // until there is a verdict on the endpoint
  std::shared_ptr<Counters> counters_;
  EndpointPtr endpoint_;
  std::vector<EndpointPtr> tried_;  // those that have refused first
  uint8_t refused_ = 0;             // of them
  uint8_t attempts_ = 0;
  std::unique_ptr<const Disguise> disguise_;  // the same
  MonoTime attempt_began_;                    // once made: when it was
  State state_ = State::kConnecting;
  bool trial_ = false;     // of the endpoint
  bool made_ = false;      // the connection to it
  bool breaking_ = false;  // in that queue
  bool quiet_ = false;     // in that one, or has been
  bool watched_ = false;   // by keepalive
  uint32_t waits_ = 0;     // looks, or tries while parked
  uint64_t busy_span_ = 0;
  Side client_{*this}, server_{*this};
  Flow up_, down_;  // from the client, from the server
};

}  // namespace fairlead::proxy::stream
