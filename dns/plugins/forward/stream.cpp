// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/forward/stream.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <uv.h>

#include <cerrno>

namespace fairlead::dns {
namespace {

class PlainStream : public Stream {
 public:
  using Stream::Stream;

  int awaits() const override { return awaits_; }
  Result<bool> open() override {
    if (const auto there = connected(fd()); !there.ok()) return there.error();
    return true;
  }
  Result<size_t> write(std::span<const uint8_t> bytes) override {
    awaits_ = UV_WRITABLE;
    return moved(send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
  }
  Result<size_t> read(std::span<uint8_t> bytes) override {
    awaits_ = UV_READABLE;
    const ssize_t size = recv(fd(), bytes.data(), bytes.size(), 0);
    if (size == 0) return Error(ErrorCode::kUnavailable, "closed before the reply");
    return moved(size);
  }
  bool still_idle() override { return false; }

 private:
  static Result<size_t> moved(ssize_t size) {
    if (size >= 0) return static_cast<size_t>(size);
    if (errno == EAGAIN || errno == EINTR) return size_t{0};
    return Error::from_errno(errno, "connection");
  }

  int awaits_ = UV_WRITABLE;
};

Result<void> bind_source(int socket, const IpAddress& source, int type) {
  // The port is chosen when it is connected: then it is free for another server at the same time.
  const int on = 1;
  if (type == SOCK_STREAM) setsockopt(socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  sockaddr_storage storage;
  const socklen_t length = SocketAddress{source, 0}.to_sockaddr(storage);
  if (bind(socket, reinterpret_cast<sockaddr*>(&storage), length) != 0)
    return Error::from_errno(errno, "source address " + source.to_string());
  return ok();
}

}  // namespace

Result<void> connected(int socket) {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return Error::from_errno(error, "connect");
  return ok();
}

Result<Fd> connect_socket(const SocketAddress& server, const std::optional<IpAddress>& source,
                          int type) {
  if (source && source->family() != server.address.family())
    return Error(ErrorCode::kUnsupported, "source_address is of the other family");
  Fd socket(::socket(server.address.is_v4() ? AF_INET : AF_INET6,
                     type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return Error::from_errno(errno, "socket");
  if (source)
    if (const auto bound = bind_source(socket.get(), *source, type); !bound.ok())
      return bound.error();
  const int on = 1;
  if (type == SOCK_STREAM) setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_storage storage;
  const socklen_t length = server.to_sockaddr(storage);
  if (connect(socket.get(), reinterpret_cast<sockaddr*>(&storage), length) != 0 &&
      errno != EINPROGRESS)
    return Error::from_errno(errno, "connect");
  return socket;
}

std::unique_ptr<Stream> plain_stream(Fd socket, MonoTime now) {
  return std::make_unique<PlainStream>(std::move(socket), now);
}

}  // namespace fairlead::dns
