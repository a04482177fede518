// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/forward/exchange.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "dns/plugins/forward/relay.h"

namespace fairlead::dns {
namespace {

constexpr size_t kUdpBuffer = 4096;  // we announce 1232
constexpr size_t kTcpChunk = 8192;

}  // namespace

UpstreamExchange::UpstreamExchange(Loop& loop, IdleConnections& idle, const SocketAddress& server,
                                   std::vector<uint8_t> query, uint16_t id, bool over_tcp,
                                   const ExchangeLimits& limits, OnDone on_done)
    : loop_(loop),
      idle_(idle),
      server_(server),
      query_(std::move(query)),
      limits_(limits),
      on_done_(std::move(on_done)),
      timer_(loop) {
  write_u16(query_.data(), id);
  if (over_tcp) {
    start_tcp();
  } else {
    start_udp();
  }
}

std::string UpstreamExchange::what() const {
  return std::string("DNS server ") + server_.to_string() + (over_tcp_ ? " over TCP" : " over UDP");
}

Result<void> UpstreamExchange::open(int type) {
  poll_.reset();
  socket_ = Fd(::socket(server_.address.is_v4() ? AF_INET : AF_INET6,
                        type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_) return Error::from_errno(errno, what());
  sockaddr_storage storage;
  const socklen_t length = server_.to_sockaddr(storage);
  if (connect(socket_.get(), reinterpret_cast<sockaddr*>(&storage), length) != 0 &&
      errno != EINPROGRESS)
    return Error::from_errno(errno, what());
  poll_ = std::make_unique<Poll>(loop_, socket_.get());
  return ok();
}

void UpstreamExchange::start_udp() {
  const Result<void> opened = open(SOCK_DGRAM);
  if (!opened.ok()) return fail(opened.error());
  if (send(socket_.get(), query_.data(), query_.size(), 0) < 0)
    return fail(Error::from_errno(errno, what()));
  poll_->start(UV_READABLE, [this](int) { on_udp(); });
  timer_.start_once(limits_.udp_reply,
                    [this] { done(Error(ErrorCode::kTimeout, what() + ": no reply in time")); });
}

void UpstreamExchange::on_udp() {
  uint8_t buffer[kUdpBuffer];
  const ssize_t size = recv(socket_.get(), buffer, sizeof buffer, 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size < 0) return done(Error::from_errno(errno, what()));
  const std::optional<ReplyView> reply = parse_reply({buffer, static_cast<size_t>(size)});
  if (!reply || !is_reply_to(*reply, query_)) return start_tcp();
  if (!reply->truncated()) return done(*reply);
  truncated_.assign(buffer, buffer + size);
  start_tcp();
}

void UpstreamExchange::start_tcp() {
  over_tcp_ = true;
  poll_.reset();
  socket_ = idle_.take(server_);
  if (!socket_) return connect_tcp();
  reused_ = connected_ = true;
  poll_ = std::make_unique<Poll>(loop_, socket_.get());
  poll_->start(UV_WRITABLE, [this](int events) { on_tcp(events); });
  await_tcp_reply();
}

void UpstreamExchange::connect_tcp() {
  reused_ = connected_ = false;
  sent_ = 0;
  const Result<void> opened = open(SOCK_STREAM);
  if (!opened.ok()) return fail(opened.error());
  const int on = 1;
  setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  poll_->start(UV_WRITABLE, [this](int events) { on_tcp(events); });
  timer_.start_once(limits_.tcp_connect, [this] {
    give_up_tcp(Error(ErrorCode::kTimeout, what() + ": no connection in time"));
  });
}

void UpstreamExchange::on_tcp(int events) {
  if (!connected_) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) return give_up_tcp(Error::from_errno(error, what()));
    connected_ = true;
    await_tcp_reply();
  }
  if ((events & UV_WRITABLE) != 0 && sent_ < query_.size() + 2 && !write_tcp()) return;
  if ((events & UV_READABLE) != 0) read_tcp();
}

void UpstreamExchange::await_tcp_reply() {
  timer_.start_once(limits_.tcp_reply, [this] {
    give_up_tcp(Error(ErrorCode::kTimeout, what() + ": no reply in time"));
  });
}

bool UpstreamExchange::write_tcp() {
  std::vector<uint8_t> out(query_.size() + 2);
  write_u16(out.data(), static_cast<uint16_t>(query_.size()));
  std::copy(query_.begin(), query_.end(), out.begin() + 2);
  const ssize_t size = send(socket_.get(), &out[sent_], out.size() - sent_, MSG_NOSIGNAL);
  if (size < 0 && errno != EAGAIN && errno != EINTR) {
    tcp_failed(Error::from_errno(errno, what()));
    return false;
  }
  if (size > 0) sent_ += static_cast<size_t>(size);
  const int events = sent_ < out.size() ? UV_READABLE | UV_WRITABLE : UV_READABLE;
  poll_->start(events, [this](int ready) { on_tcp(ready); });
  return true;
}

void UpstreamExchange::read_tcp() {
  const size_t had = in_.size();
  const size_t wanted = had < 2 ? kTcpChunk : 2u + read_u16(in_.data()) - had;
  in_.resize(had + wanted);
  const ssize_t size = recv(socket_.get(), &in_[had], wanted, 0);
  in_.resize(had + static_cast<size_t>(std::max<ssize_t>(size, 0)));
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size < 0) return tcp_failed(Error::from_errno(errno, what()));
  if (size == 0)
    return tcp_failed(Error(ErrorCode::kUnavailable, what() + ": closed before the reply"));
  if (in_.size() < 2 || in_.size() < 2u + read_u16(in_.data())) return;
  const std::optional<ReplyView> reply =
      parse_reply(std::span<const uint8_t>(in_).subspan(2, read_u16(in_.data())));
  if (!reply || !is_reply_to(*reply, query_))
    return give_up_tcp(Error(ErrorCode::kInvalid, what() + ": the reply is not to our question"));
  poll_.reset();
  // More than the reply was not asked for: such a connection is not to be trusted with another.
  if (in_.size() == 2 + reply->message.size()) idle_.put(server_, std::move(socket_));
  done(*reply);
}

// An idle connection that had already ended says nothing of the server.
void UpstreamExchange::tcp_failed(Error error) {
  if (reused_ && in_.empty()) return connect_tcp();
  give_up_tcp(std::move(error));
}

// A reply with TC is better than none: the client can ask over TCP itself.
void UpstreamExchange::give_up_tcp(Error error) {
  const std::optional<ReplyView> reply = parse_reply(truncated_);
  if (!truncated_.empty() && reply) return done(*reply);
  done(std::move(error));
}

// For failures that may come within the constructor: reports from the loop.
void UpstreamExchange::fail(Error error) {
  poll_.reset();
  timer_.start_once(Duration::zero(), [this, error = std::move(error)] { give_up_tcp(error); });
}

void UpstreamExchange::done(Result<ReplyView> result) {
  poll_.reset();
  timer_.stop();
  const OnDone on_done = std::move(on_done_);
  on_done(std::move(result));  // may destroy this
}

}  // namespace fairlead::dns
