// SPDX-License-Identifier: Apache-2.0
#include "base/http/curl_engine.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace fairlead::internal {
namespace {

constexpr long kMaxConnectionsPerHost = 64;
// libcurl counts busy connections too: a smaller pool would close each one as it falls idle.
constexpr long kMaxConnections = kMaxConnectionsPerHost;
constexpr size_t kMaxSpareHandles = 8;

void init_libcurl_once() {
  static const CURLcode status = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (status != CURLE_OK) std::abort();  // out of memory before anything began
}

}  // namespace

CurlEngine::CurlEngine(Loop& loop, TlsClientConfig tls, std::weak_ptr<void> client)
    : loop_(loop),
      tls_(std::move(tls)),
      client_(std::move(client)),
      timer_(std::make_unique<Timer>(loop)) {
  init_libcurl_once();
  multi_ = curl_multi_init();
  if (multi_ == nullptr) std::abort();
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &CurlEngine::on_socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &CurlEngine::on_timer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_MAX_HOST_CONNECTIONS, kMaxConnectionsPerHost);
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, kMaxConnections);
  curl_multi_setopt(multi_, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_NOTHING));
}

CurlEngine::~CurlEngine() {
  close_now();
}

void CurlEngine::start(std::shared_ptr<CurlTransfer> transfer) {
  transfer->engine = weak_from_this();
  if (in_curl_) {
    to_add_.push_back(std::move(transfer));
  } else {
    add(transfer);
  }
}

void CurlEngine::cancel(const std::shared_ptr<CurlTransfer>& transfer) {
  transfer->cancel();
  if (in_curl_) {
    to_remove_.push_back(transfer);
    return;
  }
  detach(*transfer);
  if (retiring_ && running_.empty()) close_now();
}

void CurlEngine::resume(const std::shared_ptr<CurlTransfer>& transfer) {
  loop_.post([engine = weak_from_this(), weak = std::weak_ptr(transfer), client = client_] {
    const auto self = engine.lock();
    const auto alive = weak.lock();
    if (!self || !alive || client.expired() || self->is_closed()) return;
    if (alive->easy() == nullptr || alive->paused()) return;
    self->in_curl_ = true;
    curl_easy_pause(alive->easy(), CURLPAUSE_CONT);
    self->in_curl_ = false;
    self->drive(CURL_SOCKET_TIMEOUT, 0);
  });
}

void CurlEngine::retire() {
  retiring_ = true;
  if (!in_curl_ && running_.empty()) close_now();
}

void CurlEngine::close() {
  closing_ = true;
  for (auto& [easy, transfer] : running_) transfer->cancel();
  for (auto& transfer : to_add_) transfer->cancel();
  if (!in_curl_) close_now();
}

// Adding runs nothing of the transfer: libcurl only asks for a timer of zero length.
void CurlEngine::add(const std::shared_ptr<CurlTransfer>& transfer) {
  if (const auto valid = transfer->check(); !valid.ok()) return fail_later(transfer, valid.error());
  CURL* easy = take_easy();
  if (const auto applied = transfer->apply_to(easy, tls_); !applied.ok()) {
    curl_easy_cleanup(easy);
    transfer->forget_easy();
    return fail_later(transfer, applied.error());
  }
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, &CurlEngine::close_socket);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, this);
  running_.emplace(easy, transfer);
  curl_multi_add_handle(multi_, easy);
  if (const Duration idle = transfer->request().idle_timeout; idle > Duration::zero()) {
    transfer->last_byte = loop_.clock().now();
    transfer->idle_timer = std::make_unique<Timer>(loop_);
    watch_idle(transfer, idle);
  }
}

CURL* CurlEngine::take_easy() {
  if (spare_.empty()) {
    CURL* easy = curl_easy_init();
    if (easy == nullptr) std::abort();
    return easy;
  }
  CURL* easy = spare_.back();
  spare_.pop_back();
  return easy;
}

void CurlEngine::fail_later(const std::shared_ptr<CurlTransfer>& transfer, Error error) {
  loop_.post([weak = std::weak_ptr(transfer), client = client_, error = std::move(error)] {
    const auto alive = weak.lock();
    if (alive && !client.expired()) alive->complete(error);
  });
}

void CurlEngine::watch_idle(const std::shared_ptr<CurlTransfer>& transfer, Duration delay) {
  transfer->idle_timer->start_once(delay, [this, weak = std::weak_ptr(transfer)] {
    const auto alive = weak.lock();
    if (!alive || alive->easy() == nullptr) return;
    const Duration idle = alive->request().idle_timeout;
    if (alive->paused()) alive->last_byte = loop_.clock().now();
    const Duration quiet = loop_.clock().now() - alive->last_byte;
    if (quiet < idle) return watch_idle(alive, idle - quiet);
    const auto self = shared_from_this();
    detach(*alive);
    alive->fail(
        ErrorCode::kTimeout,
        "no byte received for " +
            std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(idle).count()) +
            " ms");
    settle();
  });
}

// Takes the transfer out of libcurl; its handle is kept for the next one.
void CurlEngine::detach(CurlTransfer& transfer) {
  CURL* easy = transfer.easy();
  if (easy == nullptr) return;
  transfer.forget_easy();
  transfer.idle_timer.reset();
  curl_multi_remove_handle(multi_, easy);
  const auto node = running_.extract(easy);
  if (spare_.size() < kMaxSpareHandles) {
    curl_easy_reset(easy);
    spare_.push_back(easy);
  } else {
    curl_easy_cleanup(easy);
  }
}

void CurlEngine::drive(curl_socket_t fd, int events) {
  if (is_closed()) return;
  const auto self = shared_from_this();
  int running = 0;
  in_curl_ = true;
  curl_multi_socket_action(multi_, fd, events, &running);
  in_curl_ = false;
  settle();
}

// Does what could not be done inside libcurl, then reports what has finished. Every handler called
// here may start, cancel and close.
void CurlEngine::settle() {
  if (closing_) return close_now();
  for (const auto& transfer : std::exchange(to_remove_, {})) detach(*transfer);
  for (const auto& transfer : std::exchange(to_add_, {})) {
    if (!transfer->cancelled()) add(transfer);
  }
  std::vector<std::pair<std::shared_ptr<CurlTransfer>, Result<HttpResponseHead>>> finished;
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    const auto found = running_.find(message->easy_handle);
    if (message->msg != CURLMSG_DONE || found == running_.end()) continue;
    const auto transfer = found->second;
    finished.emplace_back(transfer, transfer->outcome(message->data.result));
    detach(*transfer);
  }
  for (auto& [transfer, result] : finished) {
    if (!closing_) transfer->complete(std::move(result));
  }
  if (closing_ || (retiring_ && running_.empty())) close_now();
}

void CurlEngine::close_now() {
  if (is_closed()) return;
  while (!running_.empty()) {
    const auto transfer = running_.begin()->second;
    transfer->cancel();
    detach(*transfer);
  }
  to_add_.clear();
  to_remove_.clear();
  for (CURL* easy : std::exchange(spare_, {})) curl_easy_cleanup(easy);
  curl_multi_cleanup(multi_);
  multi_ = nullptr;
  polls_.clear();
  timer_.reset();
}

int CurlEngine::on_socket(CURL*, curl_socket_t fd, int what, void* engine, void*) {
  auto& self = *static_cast<CurlEngine*>(engine);
  if (what == CURL_POLL_REMOVE) {
    self.polls_.erase(fd);
    return 0;
  }
  auto& poll = self.polls_[fd];
  if (!poll) poll = std::make_unique<Poll>(self.loop_, fd);
  const int events = ((what & CURL_POLL_IN) != 0 ? UV_READABLE : 0) |
                     ((what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0);
  poll->start(events, [&self, fd](int ready) {
    self.drive(fd, ((ready & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0) |
                       ((ready & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0));
  });
  return 0;
}

int CurlEngine::on_timer(CURLM*, long timeout_ms, void* engine) {
  auto& self = *static_cast<CurlEngine*>(engine);
  if (timeout_ms < 0) {
    self.timer_->stop();
  } else {
    self.timer_->start_once(std::chrono::milliseconds(timeout_ms),
                            [&self] { self.drive(CURL_SOCKET_TIMEOUT, 0); });
  }
  return 0;
}

// The kernel hands a closed number out again at once: whatever libcurl has said about this socket,
// the loop must let go of it before the number is free.
int CurlEngine::close_socket(void* engine, curl_socket_t fd) {
  static_cast<CurlEngine*>(engine)->polls_.erase(fd);
  return ::close(fd);
}

}  // namespace fairlead::internal
