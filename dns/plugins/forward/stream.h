// SPDX-License-Identifier: Apache-2.0
// Bytes to and from an upstream server, over TCP or over TLS on it, without blocking: who uses a
// stream polls its socket for what awaits() says and calls again. One thread; bounded by the
// caller's deadlines alone, so a peer that drips costs a socket and nothing else.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/address.h"
#include "base/fd.h"
#include "base/result.h"
#include "base/time.h"

namespace fairlead::dns {

class Stream {
 public:
  Stream(Fd socket, MonoTime born) : socket_(std::move(socket)), born_(born) {}
  virtual ~Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  int fd() const { return socket_.get(); }
  MonoTime born() const { return born_; }
  // UV_READABLE or UV_WRITABLE: what the last call that came to nothing waits for.
  virtual int awaits() const = 0;
  // Whether everything is there that must be before the first byte: the connection, a handshake.
  virtual Result<bool> open() = 0;
  // How many bytes went; 0: none now. The peer's end is an error.
  virtual Result<size_t> write(std::span<const uint8_t> bytes) = 0;
  virtual Result<size_t> read(std::span<uint8_t> bytes) = 0;
  // Of a readable stream on which nothing is expected: whether nothing came that was for us.
  virtual bool still_idle() = 0;
  // Why the security of the connection could not be had; empty: that is not what failed.
  virtual std::string failure() const { return ""; }

 private:
  const Fd socket_;
  const MonoTime born_;
};

// A socket on its way to the server; the connection may still be coming about. `source`: where it
// comes from.
Result<Fd> connect_socket(const SocketAddress& server, const std::optional<IpAddress>& source,
                          int type);
// Over TCP.
std::unique_ptr<Stream> plain_stream(Fd socket, MonoTime now);
// Whether connect(2) has come to its end.
Result<void> connected(int socket);

}  // namespace fairlead::dns
