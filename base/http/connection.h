// SPDX-License-Identifier: Apache-2.0
// One connection of an HttpServer: a state machine between a TCP stream and the handler. Internal.
//
//   kReading --request complete--> kResponding --answered--> kReading
//   kReading, kResponding --last answer--> kFlushing --all sent--> kLingering
//   kLingering --peer closed, or time over--> kClosed
//   any --error, or the host is destroyed--> kClosed
//
// Lingering (RFC 9112 section 9.6): closing with unread bytes in the receive buffer would make the
// kernel reset the connection and destroy the answer on its way.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/http/parser.h"
#include "base/http/server.h"
#include "base/http/tls_stream.h"

namespace fairlead::internal {

class Connection;
class Exchange;

// What the connections of one server share. The server lets go of the handler when it is destroyed.
struct ConnectionHost {
  Loop* loop = nullptr;
  HttpServerOptions options;
  std::shared_ptr<const HttpHandler> handler;
  std::unordered_map<Connection*, std::shared_ptr<Connection>> open;
  bool draining = false;
  std::function<void()> on_connection_closed;

  const std::string& date();

 private:
  int64_t date_second_ = -1;
  std::string date_;
};

// Bytes to send: its own, or shared with other connections.
struct Piece {
  std::string owned;
  std::shared_ptr<const std::string> shared;
  std::string_view view() const {
    return shared ? std::string_view(*shared) : std::string_view(owned);
  }
};
using Pieces = std::array<Piece, 3>;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // Takes the next connection waiting on `listener` and registers it with the host. When the
  // host is full the one that has been idle for longest is closed; if none is, this one.
  static void accept(const std::shared_ptr<ConnectionHost>& host,
                     std::shared_ptr<TlsServerContext> tls, uv_stream_t* listener);
  explicit Connection(std::shared_ptr<ConnectionHost> host);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // For the Exchange under way.
  void send(Pieces pieces);
  size_t queued() const;
  void answered(bool keep_alive);
  void abandoned();
  ConnectionHost& host() { return *host_; }

  // Ends it if it is idle.
  void close_if_idle();
  // Ends it now; `notify` tells the handler's on_closed.
  void close(bool notify);

 private:
  enum class Phase { kReading, kResponding, kFlushing, kLingering, kClosed };
  struct WriteRequest;

  static void close_idlest(const ConnectionHost& host);
  bool open(std::shared_ptr<TlsServerContext> tls, uv_stream_t* listener);
  void on_read(ssize_t length, const char* data);
  void on_bytes(std::string_view bytes);
  void on_end_of_input();
  void process();
  bool parse_some(size_t& offset);
  void dispatch();
  void refuse(int status, const std::string& text);
  void update_reading();
  void write_raw(Pieces pieces);
  void on_written(int status);
  void watch_stall(uint64_t sent_before);
  // No request is under way, or has begun to arrive.
  bool idle() const { return phase_ == Phase::kReading && !parser_ && input_.empty(); }
  uint64_t sent() const { return total_queued_ - queued(); }
  void close_gracefully();
  void close_soon();
  void wait_for_request();

  std::shared_ptr<ConnectionHost> host_;
  uv_tcp_t handle_;
  uv_shutdown_t shutdown_;
  std::shared_ptr<Connection> self_;  // until libuv lets go of the handle
  Timer timer_;
  std::unique_ptr<Timer> stall_timer_;
  Phase phase_ = Phase::kReading;
  std::unique_ptr<TlsStream> tls_;
  SocketAddress peer_;
  MonoTime idle_since_;
  std::string input_;  // received, decrypted, not yet parsed
  std::unique_ptr<HttpRequestParser> parser_;
  uint64_t total_queued_ = 0;     // bytes the socket did not take at once, ever
  Exchange* exchange_ = nullptr;  // its owner is the handler
  bool processing_ = false;
  bool reading_ = false;
  bool input_ended_ = false;
  bool served_one_ = false;
};

}  // namespace fairlead::internal
