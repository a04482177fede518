// SPDX-License-Identifier: Apache-2.0
#include "base/http/connection.h"

#include <algorithm>
#include <cstdlib>

#include "base/http/exchange.h"

namespace fairlead::internal {
namespace {

constexpr size_t kMaxUnparsed = 16 * 1024;  // received ahead while a response is under way
constexpr auto kLinger = std::chrono::seconds(1);
constexpr unsigned kKeepaliveSeconds = 60;

template <typename Handle>
Connection& of(Handle* handle) {
  return *static_cast<Connection*>(handle->data);
}

// Clients that reached a dual-stack socket over IPv4 appear as ::ffff:a.b.c.d (RFC 4291 2.5.5.2).
SocketAddress peer_of(const uv_tcp_t* handle) {
  sockaddr_storage storage{};
  int length = sizeof storage;
  if (uv_tcp_getpeername(handle, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return {};
  const SocketAddress peer = SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&storage));
  const auto plain = IpAddress::parse_lenient(peer.address.to_string());
  return {plain.ok() ? *plain : peer.address, peer.port};
}

}  // namespace

struct Connection::WriteRequest {
  uv_write_t request;
  Pieces pieces;
};

const std::string& ConnectionHost::date() {
  const WallTime now = loop->clock().wall_now();
  const auto second =
      std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  if (second != date_second_) {
    date_second_ = second;
    date_ = http_date(now);
  }
  return date_;
}

void Connection::accept(const std::shared_ptr<ConnectionHost>& host,
                        std::shared_ptr<TlsServerContext> tls, uv_stream_t* listener) {
  const auto connection = std::make_shared<Connection>(host);
  const auto is_full = [&] { return host->open.size() >= host->options.max_connections; };
  if (is_full()) close_idlest(*host);
  const bool full = is_full();
  host->open.emplace(connection.get(), connection);
  if (!connection->open(std::move(tls), listener) || full) connection->close(false);
}

void Connection::close_idlest(const ConnectionHost& host) {
  const std::shared_ptr<Connection>* idlest = nullptr;
  for (const auto& [raw, connection] : host.open)
    if (raw->idle() && raw->queued() == 0 && (!idlest || raw->idle_since_ < (*idlest)->idle_since_))
      idlest = &connection;
  if (idlest) std::shared_ptr(*idlest)->close(false);
}

Connection::Connection(std::shared_ptr<ConnectionHost> host)
    : host_(std::move(host)), timer_(*host_->loop) {
  uv_tcp_init(host_->loop->uv(), &handle_);
  handle_.data = this;
  shutdown_.data = this;
}

Connection::~Connection() = default;

bool Connection::open(std::shared_ptr<TlsServerContext> tls, uv_stream_t* listener) {
  if (uv_accept(listener, reinterpret_cast<uv_stream_t*>(&handle_)) != 0) return false;
  uv_tcp_nodelay(&handle_, 1);
  uv_tcp_keepalive(&handle_, 1, kKeepaliveSeconds);
  peer_ = peer_of(&handle_);
  if (tls) tls_ = std::make_unique<TlsStream>(std::move(tls));
  update_reading();
  wait_for_request();
  return true;
}

void Connection::update_reading() {
  const bool blocked = phase_ == Phase::kResponding || queued() > host_->options.max_buffered_bytes;
  const bool wanted =
      phase_ != Phase::kClosed && !input_ended_ && !(blocked && input_.size() > kMaxUnparsed);
  if (wanted == reading_) return;
  reading_ = wanted;
  auto* stream = reinterpret_cast<uv_stream_t*>(&handle_);
  if (!wanted) {
    uv_read_stop(stream);
    return;
  }
  uv_read_start(
      stream,
      [](uv_handle_t*, size_t, uv_buf_t* buffer) {
        // Every read is used up before the thread's next: one for all servers.
        static thread_local std::array<char, 64 * 1024> bytes;
        *buffer = uv_buf_init(bytes.data(), static_cast<unsigned>(bytes.size()));
      },
      [](uv_stream_t* handle, ssize_t length, const uv_buf_t* buffer) {
        const auto self = of(handle).shared_from_this();
        self->on_read(length, buffer->base);
      });
}

void Connection::on_read(ssize_t length, const char* data) {
  if (length == 0) return;  // EAGAIN
  if (length == UV_EOF) return on_end_of_input();
  if (length < 0) return close(true);
  if (phase_ == Phase::kReading || phase_ == Phase::kResponding)
    on_bytes({data, static_cast<size_t>(length)});
}

void Connection::on_bytes(std::string_view bytes) {
  if (!tls_) {
    input_.append(bytes);
    return process();
  }
  const TlsStream::Status status = tls_->receive(bytes, input_);
  if (std::string output = tls_->take_output(); !output.empty())
    write_raw({Piece{std::move(output), nullptr}});
  switch (status) {
    case TlsStream::Status::kOpen:
      return process();
    case TlsStream::Status::kPeerClosed:
      process();
      return on_end_of_input();
    case TlsStream::Status::kFailed:
      if (phase_ == Phase::kResponding) return close(true);
      return close_gracefully();
  }
}

void Connection::on_end_of_input() {
  input_ended_ = true;
  switch (phase_) {
    case Phase::kReading:
      return close_gracefully();  // earlier answers may still be on their way
    case Phase::kResponding:
    case Phase::kLingering:
      return close(true);
    case Phase::kFlushing:
      return update_reading();
    case Phase::kClosed:
      return;
  }
}

// Parses and hands over what has arrived, one request at a time.
void Connection::process() {
  if (processing_) return;
  processing_ = true;
  size_t offset = 0;
  while (phase_ == Phase::kReading && queued() <= host_->options.max_buffered_bytes &&
         parse_some(offset)) {
  }
  processing_ = false;
  input_.erase(0, offset);
  if (input_.empty()) input_ = std::string();  // an idle connection holds no buffer
  if (phase_ != Phase::kClosed) update_reading();
}

// False when more bytes are needed first.
bool Connection::parse_some(size_t& offset) {
  if (!parser_) {
    // RFC 9112 section 2.2: empty lines before a request line are ignored.
    while (offset < input_.size() && (input_[offset] == '\r' || input_[offset] == '\n')) ++offset;
    if (offset == input_.size()) return false;
    const auto& options = host_->options;
    parser_ = std::make_unique<HttpRequestParser>(
        HttpRequestParser::Limits{options.max_header_bytes, options.max_body_bytes});
    timer_.start_once(options.request_timeout, [this] {
      const auto self = shared_from_this();
      refuse(408, "the request did not arrive in time");
    });
  }
  offset += parser_->feed(std::string_view(input_).substr(offset));
  switch (parser_->state()) {
    case HttpRequestParser::State::kHead:
      return false;
    case HttpRequestParser::State::kBody:
      if (parser_->take_expectation()) send({Piece{"HTTP/1.1 100 Continue\r\n\r\n", nullptr}});
      return false;
    case HttpRequestParser::State::kFailed:
      refuse(parser_->error_status(), parser_->error_text());
      return false;
    case HttpRequestParser::State::kDone:
      dispatch();
      return true;
  }
  return false;
}

void Connection::dispatch() {
  ParsedRequest parsed = parser_->take();
  parser_.reset();
  timer_.stop();
  served_one_ = true;
  phase_ = Phase::kResponding;
  auto exchange = std::make_shared<Exchange>(*this, parsed);
  exchange_ = exchange.get();
  HttpServerRequest request;
  request.method = std::move(parsed.method);
  request.target = std::move(parsed.target);
  request.path = std::move(parsed.path);
  request.query = std::move(parsed.query);
  request.headers = std::move(parsed.headers);
  request.body = std::move(parsed.body);
  request.peer = peer_;
  if (tls_) request.client = tls_->client();
  const auto handler = host_->handler;  // the server may be destroyed inside
  (*handler)(std::move(request), std::move(exchange));
}

void Connection::answered(bool keep_alive) {
  exchange_ = nullptr;
  phase_ = Phase::kReading;
  if (!keep_alive || host_->draining) return close_gracefully();
  if (processing_) return wait_for_request();
  wait_for_request();
  // The next request may have arrived already; its handler must not run inside this one's
  // respond().
  if (!input_.empty()) {
    timer_.start_once(Duration::zero(), [this] {
      const auto self = shared_from_this();
      wait_for_request();
      process();
    });
  }
  update_reading();
}

void Connection::abandoned() {
  exchange_ = nullptr;
  close(false);
}

// The error answers nobody but the connection can give, then the end (RFC 9112 section 9.6).
void Connection::refuse(int status, const std::string& text) {
  if (phase_ != Phase::kReading) return;
  if (!tls_ || tls_->handshake_done()) {
    const HttpErrorBody error =
        host_->options.error_body
            ? host_->options.error_body(status, text)
            : HttpErrorBody{"text/plain; charset=utf-8", std::to_string(status) + " " +
                                                             std::string(reason_phrase(status)) +
                                                             ": " + text + "\n"};
    const HttpHeaders headers{{"Content-Type", error.content_type}};
    const ResponseFraming framing{ResponseFraming::Kind::kLength, error.body.size()};
    send({Piece{response_head(status, headers, framing, false, false, host_->date()) + error.body,
                nullptr}});
  }
  close_gracefully();
}

void Connection::wait_for_request() {
  const auto& options = host_->options;
  idle_since_ = host_->loop->clock().now();
  // A new connection has to begin speaking; an old one may rest.
  timer_.start_once(served_one_ ? options.idle_timeout : options.request_timeout, [this] {
    const auto self = shared_from_this();
    if (queued() == 0) return close_gracefully();
    wait_for_request();  // a long answer is still on its way; the stall timer watches it
  });
}

size_t Connection::queued() const {
  return uv_stream_get_write_queue_size(reinterpret_cast<const uv_stream_t*>(&handle_));
}

void Connection::send(Pieces pieces) {
  if (phase_ == Phase::kClosed) return;
  if (!tls_) return write_raw(std::move(pieces));
  constexpr size_t kRecord = 16 * 1024;
  TlsStream::Status status = TlsStream::Status::kOpen;
  size_t total = 0;
  for (const Piece& piece : pieces) total += piece.view().size();
  if (total <= kRecord) {  // one record instead of three
    std::string joined;
    joined.reserve(total);
    for (const Piece& piece : pieces) joined.append(piece.view());
    status = tls_->send(joined);
  } else {
    for (const Piece& piece : pieces) {
      if (status == TlsStream::Status::kOpen) status = tls_->send(piece.view());
    }
  }
  if (status != TlsStream::Status::kOpen) return close_soon();
  write_raw({Piece{tls_->take_output(), nullptr}});
}

// Sends what the socket takes at once and queues the rest, without copying either.
void Connection::write_raw(Pieces pieces) {
  if (phase_ == Phase::kClosed) return;
  auto* stream = reinterpret_cast<uv_stream_t*>(&handle_);
  std::array<uv_buf_t, 3> buffers;
  unsigned count = 0;
  const auto collect = [&](Pieces& from, size_t skip) {
    count = 0;
    for (const Piece& piece : from) {
      std::string_view bytes = piece.view();
      const size_t skipped = std::min(skip, bytes.size());
      skip -= skipped;
      bytes.remove_prefix(skipped);
      if (bytes.empty()) continue;
      buffers[count++] =
          uv_buf_init(const_cast<char*>(bytes.data()), static_cast<unsigned>(bytes.size()));
    }
  };
  collect(pieces, 0);
  if (count == 0) return;
  const int taken = uv_try_write(stream, buffers.data(), count);
  if (taken < 0 && taken != UV_EAGAIN) return close_soon();
  auto write = std::make_unique<WriteRequest>();
  write->pieces = std::move(pieces);  // short strings move with their bytes: collect again
  collect(write->pieces, static_cast<size_t>(std::max(taken, 0)));
  if (count == 0) return;
  write->request.data = write.get();
  const int status =
      uv_write(&write->request, stream, buffers.data(), count, [](uv_write_t* request, int result) {
        const std::unique_ptr<WriteRequest> done(static_cast<WriteRequest*>(request->data));
        const auto self = of(request->handle).shared_from_this();
        self->on_written(result);
      });
  if (status != 0) return close_soon();
  (void)write.release();  // the callback's now
  for (unsigned i = 0; i < count; ++i) total_queued_ += buffers[i].len;
  if (!stall_timer_) watch_stall(sent());
}

void Connection::on_written(int status) {
  if (phase_ == Phase::kClosed) return;
  if (status < 0) return close(true);
  if (queued() == 0) stall_timer_.reset();
  if (exchange_ != nullptr && queued() <= host_->options.max_buffered_bytes / 2) {
    const auto keep = exchange_->shared_from_this();
    keep->drained();
  }
  if (phase_ == Phase::kReading) process();
}

// The client must take something now and then.
void Connection::watch_stall(uint64_t sent_before) {
  if (!stall_timer_) stall_timer_ = std::make_unique<Timer>(*host_->loop);
  stall_timer_->start_once(host_->options.idle_timeout, [this, sent_before] {
    const auto self = shared_from_this();
    if (sent() == sent_before) return close(true);
    watch_stall(sent());
  });
}

void Connection::close_if_idle() {
  if (!idle()) return;
  if (queued() > 0) return close_gracefully();
  close(false);
}

void Connection::close_gracefully() {
  if (phase_ == Phase::kClosed || phase_ == Phase::kFlushing || phase_ == Phase::kLingering) return;
  phase_ = Phase::kFlushing;
  timer_.stop();
  parser_.reset();
  if (tls_) {
    tls_->close();
    write_raw({Piece{tls_->take_output(), nullptr}});
  }
  // libuv shuts down once everything queued has been sent.
  const int status = uv_shutdown(
      &shutdown_, reinterpret_cast<uv_stream_t*>(&handle_), [](uv_shutdown_t* request, int result) {
        const auto self = of(request).shared_from_this();
        if (self->phase_ == Phase::kClosed) return;
        if (result < 0 || self->input_ended_) return self->close(true);
        self->phase_ = Phase::kLingering;
        self->timer_.start_once(kLinger, [raw = self.get()] { raw->close(true); });
      });
  if (status != 0) return close_soon();
  update_reading();
}

// For failures met while a caller of ours is in the middle of something.
void Connection::close_soon() {
  host_->loop->post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->close(true);
  });
}

void Connection::close(bool notify) {
  if (phase_ == Phase::kClosed) return;
  self_ = shared_from_this();
  const auto self = self_;
  phase_ = Phase::kClosed;
  timer_.stop();
  stall_timer_.reset();
  uv_close(reinterpret_cast<uv_handle_t*>(&handle_),
           [](uv_handle_t* handle) { const auto last = std::exchange(of(handle).self_, nullptr); });
  const auto host = host_;
  host->open.erase(this);
  if (exchange_ != nullptr) {
    const auto exchange = std::exchange(exchange_, nullptr)->shared_from_this();
    exchange->detach(notify);
  }
  if (host->on_connection_closed) host->on_connection_closed();
}

}  // namespace fairlead::internal
