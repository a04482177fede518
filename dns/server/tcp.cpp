// SPDX-License-Identifier: Apache-2.0
#include "dns/server/tcp.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <tuple>
#include <utility>

#include "base/log.h"
#include "dns/server/framing.h"

namespace fairlead::dns {
namespace {

constexpr Duration kSweepPeriod = std::chrono::milliseconds(250);
constexpr Duration kAcceptPause = std::chrono::seconds(1);  // when out of descriptors or memory
constexpr int kAcceptsPerWakeup = 64;
// The limit on unsent bytes is looked at between reads: few questions fit into one.
constexpr size_t kReadChunk = 1024;
constexpr int kDrainedChunks = 64;

}  // namespace

struct TcpServer::Listener {
  Listener(Loop& loop, Fd fd, Handler& to, const TcpLimits& most)
      : socket(std::move(fd)), poll(loop, socket.get()), handler(to), limits(most) {}
  Fd socket;
  Poll poll;
  Handler& handler;
  TcpLimits limits;
};

class TcpServer::Connection {
 public:
  Connection(TcpServer& server, const Listener& listener, uint64_t id, Fd socket,
             const SocketAddress& peer)
      : server_(server),
        handler_(listener.handler),
        limits_(listener.limits),
        id_(id),
        client_{peer, Transport::kTcp},
        socket_(std::move(socket)),
        poll_(server.loop_, socket_.get()),
        framer_(kMaxQuery),
        active_at_(server.loop_.clock().now()) {
    update_poll();
  }

  const IpAddress& client() const { return client_.address.address; }
  bool idle() const { return expendable() && (ended_ || !framer_.partial()); }
  // Nothing that was asked is lost with it.
  bool expendable() const { return waiting_ == 0 && out_.empty(); }
  // It has asked as often as it may.
  bool spent() const { return limits_.queries != 0 && queries_ >= limits_.queries; }
  // To be closed by us.
  bool done() const { return ended_ ? expendable() : server_.stopping_ && idle(); }
  // The least makes room.
  auto merit() const {
    return std::tuple(!expendable(), !idle(), idle() ? active_at_ : message_at_);
  }

  // False: past a deadline.
  bool in_time(MonoTime now) const {
    if (!out_.empty() && now - progress_at_ > limits_.write) return false;
    if (framer_.partial() && !ended_ && !paused() && now - message_at_ > limits_.message)
      return false;
    return !idle() || now - active_at_ <= limits_.idle;
  }

  // A reply that came later.
  void reply(std::span<const uint8_t> message) {
    --waiting_;
    append(message);
    // From inside read() the connection must not go; on_events() flushes after it.
    if (!reading_ && flush()) update_poll();
  }
  // Answers what has been received, and closes unless something is still to come.
  void finish() { on_events(UV_READABLE); }
  // A reply that never comes.
  void gone() {
    --waiting_;
    if (reading_) return;
    if (done()) return close();
    update_poll();
  }

 private:
  friend class TcpServer::Path;
  friend class TcpServer::Waiting;

  bool paused() const {
    return waiting_ >= limits_.waiting_queries || out_.size() >= limits_.unsent_bytes;
  }
  void update_poll();
  void on_events(int events);
  bool read();
  void append(std::span<const uint8_t> message);
  bool flush();
  void close();  // destroys this

  TcpServer& server_;
  Handler& handler_;
  const TcpLimits limits_;
  const uint64_t id_;
  const Client client_;
  Fd socket_;
  Poll poll_;
  Framer framer_;
  MonoTime active_at_;      // last message or reply
  MonoTime message_at_{};   // first byte of the message that is not complete
  MonoTime progress_at_{};  // the client last took bytes, or there were none
  size_t waiting_ = 0;
  std::string out_;
  size_t queries_ = 0;    // that have come
  bool ended_ = false;    // the client sends no more, or is not read any more
  bool broken_ = false;   // what came last is no message
  bool reading_ = false;  // inside read(), where a chased answer may come at once
  bool waits_ = false;    // it is not read, for it is paused()
};

// A query whose reply is still to come, or, when it is dropped, never comes.
class TcpServer::Waiting {
 public:
  explicit Waiting(Connection& connection)
      : server_(connection.server_.self_), id_(connection.id_) {
    ++connection.waiting_;
  }
  ~Waiting() {
    if (Connection* connection = find()) connection->gone();
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

  void reply(std::span<const uint8_t> message) {
    Connection* connection = find();
    replied_ = true;
    if (connection != nullptr) connection->reply(message);
  }

 private:
  Connection* find() const {
    if (replied_ || *server_ == nullptr) return nullptr;
    const auto at = (*server_)->connections_.find(id_);
    return at == (*server_)->connections_.end() ? nullptr : at->second.get();
  }

  const std::shared_ptr<TcpServer*> server_;
  const uint64_t id_;
  bool replied_ = false;
};

class TcpServer::Path : public ReplyPath {
 public:
  explicit Path(Connection& connection) : connection_(connection) {}
  SendLater later(PluginId) override {
    return [waiting = std::make_shared<Waiting>(connection_)](std::span<const uint8_t> message) {
      waiting->reply(message);
    };
  }

 private:
  Connection& connection_;
};

void TcpServer::Connection::update_poll() {
  // The rest of a message could not come before.
  if (std::exchange(waits_, paused()) && !waits_) message_at_ = server_.loop_.clock().now();
  int events = 0;
  if (!ended_ && !paused()) events |= UV_READABLE;
  if (!out_.empty()) events |= UV_WRITABLE;
  if (events == 0) return poll_.stop();
  poll_.start(events, [this](int ready) { on_events(ready); });
}

void TcpServer::Connection::on_events(int events) {
  if ((events & UV_READABLE) != 0 && !ended_ && !paused() && !read()) return close();
  if (!flush()) return;
  if (done()) return close();
  update_poll();
}

// False: the connection is to be closed.
bool TcpServer::Connection::read() {
  uint8_t chunk[kReadChunk];
  const ssize_t size = recv(socket_.get(), chunk, sizeof chunk, 0);
  if (size < 0) return errno == EAGAIN || errno == EINTR;
  if (size == 0) {
    ended_ = true;
    return true;
  }
  const MonoTime now = server_.loop_.clock().now();
  const bool was_partial = framer_.partial();
  const Readers::Guard guard(server_.readers_);
  bool any = false;
  reading_ = true;
  const bool fine = framer_.feed({chunk, static_cast<size_t>(size)}, [&](auto message) {
    any = true;
    Path path(*this);
    const auto reply =
        handler_.handle(message, client_, {server_.reply_buffer_.get(), kMaxMessage}, path);
    append(reply);
    ++queries_;
    return !spent();
  });
  reading_ = false;
  if (spent()) return ended_ = true;
  if (any) active_at_ = now;
  if (framer_.partial() && (any || !was_partial)) message_at_ = now;
  // What was asked before is answered.
  if (!fine) ended_ = broken_ = true;
  return true;
}

// With bytes unread the kernel would reset the connection, and the client lose its last replies.
void TcpServer::Connection::close() {
  uint8_t chunk[kReadChunk];
  for (int i = 0; (spent() || broken_) && i < kDrainedChunks; ++i)
    if (recv(socket_.get(), chunk, sizeof chunk, 0) <= 0) break;
  server_.close(id_);
}

void TcpServer::Connection::append(std::span<const uint8_t> message) {
  if (message.empty()) return;
  active_at_ = server_.loop_.clock().now();
  if (out_.empty()) progress_at_ = active_at_;
  uint8_t length[2];
  write_u16(length, static_cast<uint16_t>(message.size()));
  out_.append(reinterpret_cast<const char*>(length), sizeof length);
  out_.append(reinterpret_cast<const char*>(message.data()), message.size());
}

// False: the connection is closed, and this is gone.
bool TcpServer::Connection::flush() {
  if (out_.empty()) return true;
  const ssize_t size = send(socket_.get(), out_.data(), out_.size(), MSG_NOSIGNAL);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (size < 0) return close(), false;
  progress_at_ = server_.loop_.clock().now();
  out_.erase(0, static_cast<size_t>(size));
  if (out_.empty()) out_.shrink_to_fit();
  if (done()) return close(), false;
  return true;
}

TcpServer::TcpServer(Loop& loop, WorkerMetrics& metrics, Readers& readers)
    : loop_(loop),
      metrics_(metrics),
      readers_(readers),
      sweep_timer_(loop),
      retry_timer_(loop),
      self_(std::make_shared<TcpServer*>(this)) {}

TcpServer::~TcpServer() {
  *self_ = nullptr;
}

void TcpServer::listen(Fd socket, Handler& handler, const TcpLimits& limits) {
  listeners_.push_back(std::make_unique<Listener>(loop_, std::move(socket), handler, limits));
  if (started_) start();
}

void TcpServer::set_limits(const Handler& handler, const TcpLimits& limits) {
  for (const auto& listener : listeners_)
    if (&listener->handler == &handler) listener->limits = limits;
}

void TcpServer::unlisten(const Handler& handler) {
  std::erase_if(listeners_, [&](const auto& each) { return &each->handler == &handler; });
}

void TcpServer::start() {
  started_ = true;
  for (const auto& listener : listeners_)
    listener->poll.start(UV_READABLE, [this, l = listener.get()](int) { on_accept(*l); });
}

void TcpServer::stop() {
  stopping_ = true;
  retry_timer_.stop();
  listeners_.clear();
  std::vector<uint64_t> idle;
  for (const auto& [id, connection] : connections_)
    if (connection->idle()) idle.push_back(id);
  for (const uint64_t id : idle)
    if (const auto at = connections_.find(id); at != connections_.end()) at->second->finish();
}

void TcpServer::on_accept(Listener& listener) {
  for (int i = 0; i < kAcceptsPerWakeup; ++i) {
    sockaddr_storage storage;
    socklen_t length = sizeof storage;
    Fd socket(accept4(listener.socket.get(), reinterpret_cast<sockaddr*>(&storage), &length,
                      SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EAGAIN) return;
      log::warn("{}", Error::from_errno(errno, "accept a DNS client over TCP").message());
      for (const auto& each : listeners_) each->poll.stop();
      return retry_timer_.start_once(kAcceptPause, [this] { start(); });
    }
    const auto peer = SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&storage));
    if (!make_room(peer.address, listener.limits)) {
      metrics_.tcp_refused.add();
      continue;
    }
    metrics_.tcp_accepted.add();
    const int on = 1;
    setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!reply_buffer_) reply_buffer_.reset(new uint8_t[kMaxMessage]);
    const uint64_t id = next_id_++;
    ++clients_[peer.address];
    connections_[id] = std::make_unique<Connection>(*this, listener, id, std::move(socket), peer);
    if (!sweep_timer_.active()) sweep_timer_.start_every(kSweepPeriod, [this] { sweep(); });
  }
}

// Whether one more connection of this client is within the limits, maybe at another's expense: the
// one idle for longest, of its own where it has as many as it may; when all are busy, the one whose
// unfinished message began first, for an honest client sends a message at once.
bool TcpServer::make_room(const IpAddress& client, const TcpLimits& limits) {
  const auto known = clients_.find(client);
  const bool too_many = known != clients_.end() && known->second >= limits.connections_per_client;
  if (!too_many && connections_.size() < limits.connections) return true;
  auto worst = connections_.end();
  for (auto at = connections_.begin(); at != connections_.end(); ++at) {
    if (too_many && (at->second->client() != client || !at->second->idle())) continue;
    if (worst == connections_.end() || at->second->merit() < worst->second->merit()) worst = at;
  }
  if (worst == connections_.end() || !worst->second->expendable()) return false;
  metrics_.tcp_evicted.add();
  close(worst->first);
  return true;
}

void TcpServer::close(uint64_t id) {
  const auto at = connections_.find(id);
  const auto client = clients_.find(at->second->client());
  if (--client->second == 0) clients_.erase(client);
  connections_.erase(at);
  if (connections_.empty()) sweep_timer_.stop();
}

void TcpServer::sweep() {
  const MonoTime now = loop_.clock().now();
  std::vector<uint64_t> late;
  for (const auto& [id, connection] : connections_)
    if (!connection->in_time(now)) late.push_back(id);
  for (const uint64_t id : late) {
    metrics_.tcp_timeouts.add();
    close(id);
  }
}

}  // namespace fairlead::dns
