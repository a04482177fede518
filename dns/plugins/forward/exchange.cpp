// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/forward/exchange.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "dns/plugins/forward/relay.h"

namespace fairlead::dns {
namespace {

constexpr size_t kUdpBuffer = 4096;  // we announce 1232
constexpr size_t kStreamChunk = 8192;

}  // namespace

UpstreamExchange::UpstreamExchange(const Outside& outside, const UpstreamServer& server,
                                   std::vector<uint8_t> query, uint16_t id, bool over_tcp,
                                   const ExchangeLimits& limits, ForwardMetrics::Server& counts,
                                   OnDone on_done)
    : outside_(outside),
      server_(server),
      query_(std::move(query)),
      limits_(limits),
      counts_(counts),
      on_done_(std::move(on_done)),
      timer_(outside.loop) {
  write_u16(query_.data(), id);
  if (server_.way == UpstreamWay::kHttps) {
    start_https();
  } else if (over_tcp || !server_.is_plain()) {
    start_stream();
  } else {
    start_udp();
  }
}

std::string UpstreamExchange::what() const {
  constexpr const char* kOver[] = {" over UDP", " over TCP", " over TLS", " over HTTPS"};
  return "DNS server " + server_.address.to_string() + kOver[proto()];
}

ForwardMetrics::Proto UpstreamExchange::proto() const {
  if (server_.way == UpstreamWay::kHttps) return ForwardMetrics::kHttps;
  if (server_.way == UpstreamWay::kTls) return ForwardMetrics::kTls;
  return over_tcp_ ? ForwardMetrics::kTcp : ForwardMetrics::kUdp;
}

Error UpstreamExchange::late(const char* what_is_missing) const {
  return Error(ErrorCode::kTimeout, what() + ": no " + what_is_missing + " in time");
}

void UpstreamExchange::start_udp() {
  counts_.misses[proto()].fetch_add(1, std::memory_order_relaxed);
  Result<Fd> socket = connect_socket(server_.address, outside_.source, SOCK_DGRAM);
  if (!socket.ok()) return fail(socket.error());
  socket_ = *std::move(socket);
  poll_ = std::make_unique<Poll>(outside_.loop, socket_.get());
  if (send(socket_.get(), query_.data(), query_.size(), 0) < 0)
    return fail(Error::from_errno(errno, "send"));
  poll_->start(UV_READABLE, [this](int) { on_udp(); });
  timer_.start_once(limits_.udp_reply, [this] { done(late("reply")); });
}

void UpstreamExchange::on_udp() {
  uint8_t buffer[kUdpBuffer];
  const ssize_t size = recv(socket_.get(), buffer, sizeof buffer, 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size < 0) return done(Error::from_errno(errno, what()));
  const std::optional<ReplyView> reply = parse_reply({buffer, static_cast<size_t>(size)});
  if (!reply || !is_reply_to(*reply, query_)) return start_stream();
  if (!reply->truncated()) return done(*reply);
  truncated_.assign(buffer, buffer + size);
  start_stream();
}

void UpstreamExchange::start_stream() {
  over_tcp_ = true;
  out_.resize(2);
  write_u16(out_.data(), static_cast<uint16_t>(query_.size()));
  out_.insert(out_.end(), query_.begin(), query_.end());
  std::unique_ptr<Stream> idle = outside_.idle.take(server_);
  auto& counts = idle ? counts_.hits : counts_.misses;
  counts[proto()].fetch_add(1, std::memory_order_relaxed);
  if (!idle) return connect_stream();
  reused_ = true;
  open_ = true;
  use_stream(std::move(idle));
  await_stream_reply();
}

void UpstreamExchange::connect_stream() {
  reused_ = false;
  open_ = false;
  Result<Fd> socket = connect_socket(server_.address, outside_.source, SOCK_STREAM);
  if (!socket.ok()) return fail(socket.error());
  const MonoTime now = outside_.loop.clock().now();
  if (server_.way == UpstreamWay::kTls) {
    Result<std::unique_ptr<Stream>> made = outside_.tls.dial(server_, *std::move(socket), now);
    if (!made.ok()) return fail(made.error());
    use_stream(*std::move(made));
  } else {
    use_stream(plain_stream(*std::move(socket), now));
  }
  timer_.start_once(limits_.tcp_connect, [this] { give_up(late("connection")); });
}

void UpstreamExchange::use_stream(std::unique_ptr<Stream> stream) {
  poll_.reset();
  socket_.reset();
  stream_ = std::move(stream);
  sent_ = 0;
  poll_ = std::make_unique<Poll>(outside_.loop, stream_->fd());
  poll_->start(UV_WRITABLE, [this](int) { on_stream(); });
}

// As far as it goes now: the connection, the query, the reply.
void UpstreamExchange::on_stream() {
  Result<bool> complete = open_stream();
  if (complete.ok() && *complete) complete = write_stream();
  if (complete.ok() && *complete) complete = read_stream();
  if (!complete.ok()) return stream_failed(complete.error());
  if (*complete) return on_stream_reply();
  poll_->start(stream_->awaits(), [this](int) { on_stream(); });
}

Result<bool> UpstreamExchange::open_stream() {
  if (open_) return true;
  Result<bool> open = stream_->open();
  if (!open.ok() || !*open) return open;
  open_ = true;
  await_stream_reply();
  return true;
}

void UpstreamExchange::await_stream_reply() {
  timer_.start_once(limits_.tcp_reply, [this] { give_up(late("reply")); });
}

Result<bool> UpstreamExchange::write_stream() {
  while (sent_ < out_.size()) {
    const Result<size_t> size = stream_->write(std::span<const uint8_t>(out_).subspan(sent_));
    if (!size.ok()) return size.error();
    if (*size == 0) return false;
    sent_ += *size;
  }
  return true;
}

// No byte is read behind what the server says is the reply's end once it has said it.
Result<bool> UpstreamExchange::read_stream() {
  for (;;) {
    const size_t had = in_.size();
    const size_t whole = had < 2 ? kStreamChunk : 2u + read_u16(in_.data());
    if (had >= whole) return true;
    in_.resize(whole);
    const Result<size_t> size = stream_->read(std::span(in_).subspan(had));
    in_.resize(had + (size.ok() ? *size : 0));
    if (!size.ok()) return size.error();
    if (*size == 0) return false;
  }
}

void UpstreamExchange::on_stream_reply() {
  const std::optional<ReplyView> reply =
      parse_reply(std::span<const uint8_t>(in_).subspan(2, read_u16(in_.data())));
  if (!reply || !is_reply_to(*reply, query_))
    return give_up(Error(ErrorCode::kInvalid, what() + ": the reply is not to our question"));
  poll_.reset();
  // More than the reply was not asked for: such a connection is not to be trusted with another.
  if (in_.size() == 2 + reply->message.size()) outside_.idle.put(server_, std::move(stream_));
  done(*reply);
}

void UpstreamExchange::start_https() {
  HttpTransport* transport = outside_.https == nullptr ? nullptr : outside_.https->to(server_);
  if (transport == nullptr) return fail(Error(ErrorCode::kUnsupported, "no HTTPS is set up"));
  HttpRequest request = outside_.https->request(server_, query_);
  request.connect_timeout = limits_.tcp_connect;
  request.total_timeout = limits_.tcp_connect + limits_.tcp_reply;
  call_ = fetch(*transport, std::move(request), kMaxMessage,
                [this](const Result<HttpResponse>& response) { on_https(response); });
}

void UpstreamExchange::on_https(const Result<HttpResponse>& response) {
  if (!response.ok()) return done(response.error().with_context(what()));
  if (response->status != 200)
    return done(Error(ErrorCode::kUnavailable,
                      what() + ": HTTP status " + std::to_string(response->status)));
  in_.assign(response->body.begin(), response->body.end());
  const std::optional<ReplyView> reply = parse_reply(in_);
  if (!reply || !is_reply_to(*reply, query_))
    return done(Error(ErrorCode::kInvalid, what() + ": the reply is not to our question"));
  done(*reply);
}

// An idle connection that had already ended says nothing of the server.
void UpstreamExchange::stream_failed(Error error) {
  if (reused_ && in_.empty()) return connect_stream();
  tls_failure_ = stream_->failure();
  give_up(error.with_context(what()));
}

// A reply with TC is better than none: the client can ask over TCP itself.
void UpstreamExchange::give_up(Error error) {
  const std::optional<ReplyView> reply = parse_reply(truncated_);
  if (!truncated_.empty() && reply) return done(*reply);
  done(std::move(error));
}

// For failures that may come within the constructor: reports from the loop.
void UpstreamExchange::fail(Error error) {
  poll_.reset();
  timer_.start_once(Duration::zero(),
                    [this, error = error.with_context(what())] { give_up(error); });
}

void UpstreamExchange::done(Result<ReplyView> result) {
  poll_.reset();
  timer_.stop();
  const OnDone on_done = std::move(on_done_);
  on_done(std::move(result));  // may destroy this
}

}  // namespace fairlead::dns
