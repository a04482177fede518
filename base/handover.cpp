// SPDX-License-Identifier: Apache-2.0
#include "base/handover.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/log.h"

namespace fairlead {
namespace {

constexpr size_t kBatch = 64;  // sockets in a message; the kernel takes 253
constexpr size_t kMostSockets = 1 << 18;
constexpr char kMore = 'm';
constexpr char kLast = 'l';
constexpr char kAnswers = 'a';
constexpr char kGone = 'g';  // never sent: the other side has closed

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return Error(ErrorCode::kInvalid, "--handover: '" + path + "' is longer than a socket's path");
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Result<void> check_peer(const Fd& connection) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    return Error::from_errno(errno, "handover: SO_PEERCRED");
  if (peer.uid != geteuid() && peer.uid != 0)
    return Error(ErrorCode::kPermission,
                 "handover: the other side is user " + std::to_string(peer.uid));
  return ok();
}

// One message with up to kBatch sockets.
bool send_batch(int connection, char kind, const int* sockets, size_t count) {
  alignas(cmsghdr) char control[CMSG_SPACE(kBatch * sizeof(int))] = {};
  iovec data{&kind, 1};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (count > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    std::memcpy(CMSG_DATA(header), sockets, count * sizeof(int));
  }
  return sendmsg(connection, &message, MSG_NOSIGNAL) == 1;
}

bool send_sockets(const Fd& connection, const std::vector<int>& sockets) {
  for (size_t at = 0;; at += kBatch) {
    const size_t count = std::min(kBatch, sockets.size() - at);
    const bool last = at + count == sockets.size();
    if (!send_batch(connection.get(), last ? kLast : kMore, sockets.data() + at, count))
      return false;
    if (last) return true;
  }
}

// The message's kind; 0: there is none, or it is cut.
char receive_batch(const Fd& connection, std::vector<Fd>& sockets) {
  alignas(cmsghdr) char control[CMSG_SPACE(kBatch * sizeof(int))] = {};
  char kind = 0;
  iovec data{&kind, 1};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t size = recvmsg(connection.get(), &message, MSG_CMSG_CLOEXEC);
  if (size == 0 || (size < 0 && errno == ECONNRESET)) return kGone;
  if (size != 1) return 0;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
      int socket = -1;
      std::memcpy(&socket, CMSG_DATA(c) + i * sizeof(int), sizeof socket);
      sockets.emplace_back(socket);
    }
  }
  return (message.msg_flags & MSG_CTRUNC) != 0 ? 0 : kind;
}

void limit_waiting(const Fd& socket, Duration limit) {
  const timeval wait{std::chrono::duration_cast<std::chrono::seconds>(limit).count(), 0};
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO})
    setsockopt(socket.get(), SOL_SOCKET, option, &wait, sizeof wait);
}

}  // namespace

Result<std::unique_ptr<Predecessor>> Predecessor::meet(const std::string& path) {
  const Result<sockaddr_un> address = address_of(path);
  if (!address.ok()) return address.error();
  auto predecessor = std::make_unique<Predecessor>();
  Fd connection(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!connection) return Error::from_errno(errno, "handover");
  limit_waiting(connection, kWait);
  if (connect(connection.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) !=
      0) {
    if (errno == ENOENT || errno == ECONNREFUSED) return std::unique_ptr<Predecessor>();
    return Error::from_errno(errno, "handover: connect to " + path);
  }
  if (const auto trusted = check_peer(connection); !trusted.ok()) return trusted.error();
  for (;;) {
    const char kind = receive_batch(connection, predecessor->sockets_);
    if (kind == kGone) return std::unique_ptr<Predecessor>();
    if ((kind != kMore && kind != kLast) || predecessor->sockets_.size() > kMostSockets)
      return Error(ErrorCode::kUnavailable,
                   "handover: the server at " + path + " has not given its sockets");
    if (kind == kLast) break;
  }
  predecessor->connection_ = std::move(connection);
  return predecessor;
}

void Predecessor::dismiss() {
  if (send(connection_.get(), &kAnswers, 1, MSG_NOSIGNAL) != 1)
    log::info("handover: the server before this one has gone");
  connection_.reset();
}

Result<std::unique_ptr<Succession>> Succession::listen(Loop& loop, const std::string& path,
                                                       Hooks hooks) {
  // Beside it first, then renamed: there is always somebody at the path.
  const std::string beside = path + ".new";
  const Result<sockaddr_un> address = address_of(beside);
  if (!address.ok()) return address.error();
  Fd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener) return Error::from_errno(errno, "handover");
  unlink(beside.c_str());
  const mode_t before = umask(0177);
  const int bound =
      bind(listener.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
  const int error = errno;
  umask(before);
  if (bound != 0) return Error::from_errno(error, "handover: listen at " + beside);
  if (::listen(listener.get(), 4) != 0 || rename(beside.c_str(), path.c_str()) != 0)
    return Error::from_errno(errno, "handover: listen at " + path);
  return std::unique_ptr<Succession>(new Succession(loop, std::move(listener), std::move(hooks)));
}

Succession::Succession(Loop& loop, Fd listener, Hooks hooks)
    : loop_(loop),
      hooks_(std::move(hooks)),
      listener_(std::move(listener)),
      listener_poll_(loop, listener_.get()) {
  listener_poll_.start(UV_READABLE, [this](int) { on_connection(); });
}

void Succession::on_connection() {
  Fd connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!connection || successor_) return;  // one at a time
  if (const auto trusted = check_peer(connection); !trusted.ok())
    return log::warn("{}", trusted.error().message());
  log::info("handover: another server takes over");
  successor_ = std::move(connection);
  limit_waiting(successor_, Predecessor::kWait);
  patience_ = loop_.clock().after(kPatience, [this] { end(false); });
  if (!send_sockets(successor_, hooks_.begin())) return end(false);
  successor_poll_ = std::make_unique<Poll>(loop_, successor_.get());
  successor_poll_->start(UV_READABLE, [this](int) { on_answer(); });
}

void Succession::on_answer() {
  char answer = 0;
  const ssize_t size = recv(successor_.get(), &answer, 1, MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  end(size == 1 && answer == kAnswers);
}

void Succession::end(bool answers) {
  patience_.cancel();
  successor_poll_.reset();
  successor_.reset();
  if (answers) {
    log::info("handover: the other server answers");
    hooks_.done();
  } else {
    log::warn("handover: the other server has gone: this one goes on");
    hooks_.failed();
  }
}

}  // namespace fairlead
