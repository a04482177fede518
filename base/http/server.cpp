// SPDX-License-Identifier: Apache-2.0
#include "base/http/server.h"

#include <unistd.h>

#include <cassert>
#include <utility>

#include "base/http/connection.h"

namespace fairlead {

using internal::Connection;
using internal::ConnectionHost;
using internal::TlsServerContext;

namespace {

constexpr int kBacklog = 1024;

// A TCP socket bound to `address`, ready to listen.
Result<int> bound_socket(const SocketAddress& address, bool reuse_port) {
  sockaddr_storage storage;
  const socklen_t length = address.to_sockaddr(storage);
  const std::string what = "listen " + address.to_string();
  const int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return Error::from_errno(errno, what);
  const int one = 1, zero = 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  // Every address is those of IPv4 too, whatever net.ipv6.bindv6only says.
  if (address.address == IpAddress::any(Family::kIpv6))
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
  if ((reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0) ||
      bind(fd, reinterpret_cast<sockaddr*>(&storage), length) != 0) {
    const Error error = Error::from_errno(errno, what);
    close(fd);
    return error;
  }
  return fd;
}

}  // namespace

class HttpServer::Impl : public std::enable_shared_from_this<HttpServer::Impl> {
 public:
  Impl(Loop& loop, HttpServerOptions options, HttpHandler handler)
      : host_(std::make_shared<ConnectionHost>()), drain_timer_(loop) {
    host_->loop = &loop;
    host_->options = std::move(options);
    host_->handler = std::make_shared<const HttpHandler>(std::move(handler));
    if (host_->options.tls) tls_state_ = set_tls(*host_->options.tls);
  }

  // The server is going away: no callback of its owner runs from here on.
  void shut_down() {
    stop_listening();
    host_->on_connection_closed = nullptr;
    on_drained_ = nullptr;
    drain_timer_.stop();
    close_all(false);
    host_->handler.reset();
  }

  Result<void> set_tls(const TlsServerConfig& config) {
    auto made = TlsServerContext::make(config);
    if (!made.ok()) return made.error();
    tls_ = std::move(*made);
    tls_state_ = ok();
    return ok();
  }

  Result<SocketAddress> listen(const SocketAddress& address);
  void drain(Duration limit, std::function<void()> on_done);
  size_t connections() const { return host_->open.size(); }

 private:
  // Freed by libuv's close callback; forgets its server before.
  struct Listener {
    uv_tcp_t handle;
    Impl* server;
  };

  static void on_connection(uv_stream_t* stream, int status) {
    Impl* server = static_cast<Listener*>(stream->data)->server;
    if (status == 0 && server != nullptr) Connection::accept(server->host_, server->tls_, stream);
  }

  static void close_listener(Listener* listener) {
    listener->server = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&listener->handle),
             [](uv_handle_t* handle) { delete static_cast<Listener*>(handle->data); });
  }

  void stop_listening() {
    for (Listener* listener : std::exchange(listeners_, {})) close_listener(listener);
  }

  void close_all(bool notify) {
    const auto open = host_->open;  // closing changes the table
    for (const auto& [raw, connection] : open) connection->close(notify);
  }

  void check_drained() {
    if (!host_->open.empty() || !on_drained_) return;
    // Never inside drain() or a connection's own work.
    drain_timer_.start_once(Duration::zero(), [this] {
      const auto done = std::exchange(on_drained_, nullptr);
      if (done) done();
    });
  }

  std::shared_ptr<ConnectionHost> host_;
  std::shared_ptr<TlsServerContext> tls_;
  Result<void> tls_state_;  // why the configured certificate cannot be used
  std::vector<Listener*> listeners_;
  Timer drain_timer_;
  std::function<void()> on_drained_;
};

Result<SocketAddress> HttpServer::Impl::listen(const SocketAddress& address) {
  if (!tls_state_.ok()) return tls_state_.error().with_context("listen " + address.to_string());
  const auto fd = bound_socket(address, host_->options.reuse_port);
  if (!fd.ok()) return fd.error();
  auto* listener = new Listener{{}, this};
  uv_tcp_init(host_->loop->uv(), &listener->handle);
  listener->handle.data = listener;
  int status = uv_tcp_open(&listener->handle, *fd);
  if (status != 0) {
    close(*fd);
  } else {
    status = uv_listen(reinterpret_cast<uv_stream_t*>(&listener->handle), kBacklog,
                       &Impl::on_connection);
  }
  sockaddr_storage storage{};
  int length = sizeof storage;
  if (status == 0)
    status = uv_tcp_getsockname(&listener->handle, reinterpret_cast<sockaddr*>(&storage), &length);
  if (status != 0) {
    close_listener(listener);
    return Error::from_errno(-status, "listen " + address.to_string());
  }
  listeners_.push_back(listener);
  return SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&storage));
}

void HttpServer::Impl::drain(Duration limit, std::function<void()> on_done) {
  stop_listening();
  host_->draining = true;
  on_drained_ = std::move(on_done);
  host_->on_connection_closed = [this] { check_drained(); };
  drain_timer_.start_once(limit, [this] {
    const auto self = shared_from_this();
    close_all(true);
    check_drained();
  });
  const auto open = host_->open;
  for (const auto& [raw, connection] : open) connection->close_if_idle();
  check_drained();
}

HttpServer::HttpServer(Loop& loop, HttpServerOptions options, HttpHandler handler)
    : impl_(std::make_shared<Impl>(loop, std::move(options), std::move(handler))) {}
HttpServer::~HttpServer() {
  impl_->shut_down();
}

Result<SocketAddress> HttpServer::listen(const SocketAddress& address) {
  return impl_->listen(address);
}
Result<void> HttpServer::set_tls(const TlsServerConfig& tls) {
  return impl_->set_tls(tls);
}
void HttpServer::drain(Duration limit, std::function<void()> on_done) {
  impl_->drain(limit, std::move(on_done));
}
size_t HttpServer::connections() const {
  return impl_->connections();
}

std::optional<std::string_view> HttpServerRequest::query_value(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return std::nullopt;
}

}  // namespace fairlead
