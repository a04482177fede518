// SPDX-License-Identifier: Apache-2.0
#include "dns/asker.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "dns/types.h"

namespace fairlead::dns {

Asker::Asker(Loop& loop, const SocketAddress& server)
    : loop_(loop), server_(server), timer_(loop), soon_(loop) {}

Asker::~Asker() = default;

void Asker::ask(std::vector<uint8_t> query, OnReply on_reply) {
  queued_.push_back({std::move(query), std::move(on_reply)});
  if (!soon_.active()) soon_.start_once(Duration::zero(), [this] { pump(); });
}

// Hands on what there is room for.
void Asker::pump() {
  if (queued_.empty() && asked_.empty()) return timer_.stop();
  if (!socket_ && !connect()) return;
  while (!queued_.empty() && asked_.size() < kAtOnce) {
    while (asked_.contains(next_id_)) ++next_id_;
    Question question = std::move(queued_.front());
    queued_.pop_front();
    write_u16(question.query.data(), next_id_);
    const size_t size = question.query.size();
    out_.push_back(static_cast<uint8_t>(size >> 8));
    out_.push_back(static_cast<uint8_t>(size));
    out_.insert(out_.end(), question.query.begin(), question.query.end());
    asked_.emplace(next_id_++, std::move(question));
  }
  if (!timer_.active())
    timer_.start_once(kReplyLimit, [this] { broken("no reply within 10 seconds"); });
  poll_->start(UV_READABLE | (out_.empty() ? 0 : UV_WRITABLE),
               [this](int events) { on_ready(events); });
}

bool Asker::connect() {
  socket_ = Fd(::socket(server_.address.is_v4() ? AF_INET : AF_INET6,
                        SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_storage storage;
  const socklen_t length = server_.to_sockaddr(storage);
  if (!socket_ || (::connect(socket_.get(), reinterpret_cast<sockaddr*>(&storage), length) != 0 &&
                   errno != EINPROGRESS)) {
    broken(std::strerror(errno));
    return false;
  }
  framer_ = std::make_unique<Framer>(kMaxMessage);
  poll_ = std::make_unique<Poll>(loop_, socket_.get());
  return true;
}

void Asker::on_ready(int events) {
  if ((events & UV_WRITABLE) != 0 && !write()) return;
  if ((events & UV_READABLE) != 0 && !read()) return;
  pump();
}

bool Asker::write() {
  while (!out_.empty()) {
    const ssize_t sent = send(socket_.get(), out_.data(), out_.size(), MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (sent < 0) return broken(std::strerror(errno)), false;
    out_.erase(out_.begin(), out_.begin() + sent);
  }
  return true;
}

bool Asker::read() {
  uint8_t buffer[65536];
  const ssize_t got = recv(socket_.get(), buffer, sizeof buffer, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (got <= 0) return broken(got == 0 ? "it closed the connection" : std::strerror(errno)), false;
  const bool good =
      framer_->feed({buffer, static_cast<size_t>(got)}, [this](std::span<const uint8_t> message) {
        if (message.size() < kHeaderSize) return false;
        const auto at = asked_.find(read_u16(message.data()));
        if (at == asked_.end()) return true;
        Question question = std::move(at->second);
        asked_.erase(at);
        broken_ = 0;
        timer_.stop();
        question.on_reply(std::vector<uint8_t>(message.begin(), message.end()));
        return true;
      });
  if (!good) return broken("it sends what is no DNS message"), false;
  return true;
}

// Servers close connections as they like: what was asked is asked again over the next one.
void Asker::broken(const std::string& why) {
  poll_.reset();
  socket_.reset();
  out_.clear();
  timer_.stop();
  for (auto& [id, question] : asked_) queued_.push_front(std::move(question));
  asked_.clear();
  if (++broken_ < kMostBroken) {
    soon_.start_once(std::chrono::milliseconds(100), [this] { pump(); });
    return;
  }
  broken_ = 0;
  fail_all(Error(ErrorCode::kUnavailable, fmt::format("{}: {}", server_.to_string(), why)));
}

void Asker::fail_all(const Error& error) {
  std::deque<Question> all = std::move(queued_);
  queued_.clear();
  for (const Question& question : all) question.on_reply(error);
}

}  // namespace fairlead::dns
