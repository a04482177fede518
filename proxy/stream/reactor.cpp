// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/reactor.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>

namespace fairlead::proxy::stream {

namespace {

constexpr size_t kEventsAtOnce = 256;  // taken at once
constexpr int kRoundsOfEvents = 4;     // of them, before the loop's other work has its turn

}  // namespace

Result<std::unique_ptr<Reactor>> Reactor::open(Loop& loop) {
  Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return Error::from_errno(errno, "epoll_create1");
  Fd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return Error::from_errno(errno, "eventfd");
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0)
    return Error::from_errno(errno, "epoll_ctl");
  return std::unique_ptr<Reactor>(new Reactor(loop, std::move(epoll), std::move(wake)));
}

Reactor::Reactor(Loop& loop, Fd epoll, Fd wake)
    : loop_(loop),
      epoll_(std::move(epoll)),
      wake_(std::move(wake)),
      poll_(std::make_unique<Poll>(loop, epoll_.get())),
      now_(loop.clock().now()),
      events_(kEventsAtOnce) {
  poll_->start(UV_READABLE, [this](int) { turn(0); });
}

// Level-triggered: what the loop leaves undone is told again.
Result<void> Reactor::lead() {
  poll_.reset();
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = &loop_;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, uv_backend_fd(loop_.uv()), &event) == 0) return ok();
  return Error::from_errno(errno, "epoll_ctl");
}

// The loop's own waits are none. It has its turn when its set is ready, when a timer is due, and
// when it has something else to do (libuv's design, "embedding": uv_backend_timeout is 0 then).
void Reactor::run(const bool& done) {
  while (!done) {
    uv_update_time(loop_.uv());
    const int wait = uv_backend_timeout(loop_.uv());
    loop_is_due_ = wait == 0;
    turn(wait);
    if (loop_is_due_) uv_run(loop_.uv(), UV_RUN_NOWAIT);
  }
}

Reactor::~Reactor() {
  destroy_dead();
}

// What is destroyed may bury others.
void Reactor::destroy_dead() {
  for (std::vector<std::unique_ptr<Mortal>> dead; !dead_.empty(); dead.clear()) dead.swap(dead_);
}

Result<void> Reactor::add(int fd, Source& source, uint32_t events) {
  return control(EPOLL_CTL_ADD, fd, source, events);
}

Result<void> Reactor::change(int fd, Source& source, uint32_t events) {
  return control(EPOLL_CTL_MOD, fd, source, events);
}

Result<void> Reactor::control(int operation, int fd, Source& source, uint32_t events) {
  epoll_event event{};
  event.events = events | EPOLLET;
  event.data.ptr = &source;
  if (epoll_ctl(epoll_.get(), operation, fd, &event) == 0) return ok();
  return Error::from_errno(errno, "epoll_ctl");
}

void Reactor::remove(int fd) {
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void Reactor::again(Source& source) {
  if (std::exchange(source.again_, true)) return;
  again_.push_back(&source);
  wake();
}

void Reactor::forget(Source& source) {
  if (!std::exchange(source.again_, false)) return;
  std::erase(again_, &source);
  std::replace(running_.begin(), running_.end(), &source, static_cast<Source*>(nullptr));
}

void Reactor::bury(std::unique_ptr<Mortal> dead) {
  dead_.push_back(std::move(dead));
  wake();
}

// Each write is an edge, whether the last one has been read or not (eventfd(2), epoll(7)). In a
// turn its end sees to it.
void Reactor::wake() {
  if (!in_turn_) eventfd_write(wake_.get(), 1);
}

void Reactor::turn(int wait_millis) {
  in_turn_ = true;
  bool more = take_events(wait_millis);
  for (int round = 1; round < kRoundsOfEvents && more; ++round) more = take_events(0);
  // Those that ask again in here come in the next turn.
  running_.swap(again_);
  for (size_t i = 0; i < running_.size(); ++i) {
    Source* source = running_[i];
    if (source == nullptr) continue;
    source->again_ = false;
    source->on_ready(0);
  }
  running_.clear();
  destroy_dead();
  if (on_turn_) on_turn_();
  in_turn_ = false;
  if (!again_.empty() || !dead_.empty()) wake();
}

// True: there may be more.
bool Reactor::take_events(int wait_millis) {
  const int count =
      epoll_wait(epoll_.get(), events_.data(), static_cast<int>(kEventsAtOnce), wait_millis);
  look_at_clock();
  if (count <= 0 && wait_millis > 0) loop_is_due_ = true;  // it was a timer's time
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events_[static_cast<size_t>(i)];
    if (event.data.ptr == &loop_)
      loop_is_due_ = true;
    else if (event.data.ptr != nullptr)
      static_cast<Source*>(event.data.ptr)->on_ready(event.events);
  }
  return count == static_cast<int>(kEventsAtOnce);
}

}  // namespace fairlead::proxy::stream
