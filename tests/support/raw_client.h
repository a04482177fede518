// SPDX-License-Identifier: Apache-2.0
// A TCP client that speaks bytes, on the loop of the server under test.
#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/loop.h"

namespace fairlead::test {

class RawClient {
 public:
  // `receive_buffer` > 0 makes the kernel's window small.
  RawClient(Loop& loop, const SocketAddress& server, int receive_buffer = 0) : loop_(loop) {
    fd_ = socket(server.address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0)
      setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_storage storage;
    const socklen_t length = server.to_sockaddr(storage);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&storage), length) == 0;
    fcntl(fd_, F_SETFL, O_NONBLOCK);
    resume();
  }
  ~RawClient() { close_now(); }

  bool connected() const { return connected_; }
  const std::string& received() const { return received_; }
  void forget_received() { received_.clear(); }
  bool ended() const { return ended_; }

  // The kernel's buffers must have room: tests send little.
  bool send(std::string_view bytes) {
    return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  // As much as the kernel takes; how much that was.
  size_t send_some(std::string_view bytes) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return sent > 0 ? static_cast<size_t>(sent) : 0;
  }
  void pause() { poll_.reset(); }
  void resume() {
    poll_ = std::make_unique<Poll>(loop_, fd_);
    poll_->start(UV_READABLE, [this](int) { read_some(); });
  }
  void end_sending() { shutdown(fd_, SHUT_WR); }
  void close_now() {
    poll_.reset();
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  // The kernel sends RST instead of FIN.
  void reset() {
    const linger now{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close_now();
  }
  bool wait_for(std::string_view text) {
    size_t from = 0;  // what has been looked at need not be again: answers are large here
    return loop_.run_until(
        [&] {
          if (received_.find(text, from) != std::string::npos) return true;
          from = received_.size() < text.size() ? 0 : received_.size() - text.size() + 1;
          return false;
        },
        std::chrono::seconds(60));
  }
  bool wait_for_end() {
    return loop_.run_until([&] { return ended_; }, std::chrono::seconds(20));
  }

 private:
  void read_some() {
    char buffer[65536];
    const ssize_t length = recv(fd_, buffer, sizeof buffer, 0);
    if (length > 0) received_.append(buffer, static_cast<size_t>(length));
    if (length == 0 || (length < 0 && errno != EAGAIN)) {
      ended_ = true;
      poll_.reset();
    }
  }

  Loop& loop_;
  int fd_ = -1;
  bool connected_ = false;
  bool ended_ = false;
  std::string received_;
  std::unique_ptr<Poll> poll_;
};

}  // namespace fairlead::test
