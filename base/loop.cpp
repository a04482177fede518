// SPDX-License-Identifier: Apache-2.0
#include "base/loop.h"

#include <cassert>
#include <csignal>
#include <cstdint>
#include <cstdlib>

#include "base/loop_handle.h"

namespace fairlead {

namespace {

using TimerState = internal::HandleState<uv_timer_t, void()>;
using PollState = internal::HandleState<uv_poll_t, void(int)>;
using SignalState = internal::HandleState<uv_signal_t, void()>;

// Neither libuv nor OpenSSL keeps the kernel from sending SIGPIPE when the peer has gone. A handler
// that does nothing, not SIG_IGN: exec sets handlers back, so children start with the default.
void survive_sigpipe() {
  [[maybe_unused]] static const bool done = [] {
    struct sigaction current {};
    if (sigaction(SIGPIPE, nullptr, &current) != 0 || current.sa_handler != SIG_DFL) return true;
    struct sigaction quiet {};
    quiet.sa_handler = [](int) {};
    quiet.sa_flags = SA_RESTART;
    return sigaction(SIGPIPE, &quiet, nullptr) == 0;
  }();
}

uint64_t to_millis_rounded_up(Duration duration) {
  if (duration <= Duration::zero()) return 0;
  return static_cast<uint64_t>(std::chrono::ceil<std::chrono::milliseconds>(duration).count());
}

// The time-out for libuv, whose clock counts whole milliseconds: at the end of the one in which
// `delay` is over, so that no rounding of that clock cuts it short.
uint64_t uv_timeout(const uv_loop_t* loop, Duration delay) {
  if (delay <= Duration::zero()) return 0;
  constexpr uint64_t kMilli = std::nano::den / std::milli::den;
  const uint64_t due = uv_hrtime() + static_cast<uint64_t>(delay.count());  // 2^64 is out of reach
  return (due + kMilli - 1) / kMilli - uv_now(loop);
}

class LoopClock : public Clock {
 public:
  explicit LoopClock(Loop& loop) : loop_(loop) {}

  MonoTime now() const override { return std::chrono::steady_clock::now(); }
  WallTime wall_now() const override { return std::chrono::system_clock::now(); }
  Alarm after(Duration delay, std::function<void()> callback) override {
    auto pending = std::make_unique<TimerAlarm>(loop_);
    pending->timer.start_once(delay, std::move(callback));
    return Alarm(std::move(pending));
  }

 private:
  struct TimerAlarm : Alarm::Pending {
    explicit TimerAlarm(Loop& loop) : timer(loop) {}
    Timer timer;
  };
  Loop& loop_;
};

}  // namespace

Loop::Loop() : clock_(std::make_unique<LoopClock>(*this)) {
  survive_sigpipe();
  if (uv_loop_init(&loop_) != 0) std::abort();  // out of descriptors before anything began
  wake_.data = this;
  uv_async_init(&loop_, &wake_,
                [](uv_async_t* handle) { static_cast<Loop*>(handle->data)->run_posted(); });
}

Loop::~Loop() {
  uv_close(reinterpret_cast<uv_handle_t*>(&wake_), nullptr);
  {
    std::lock_guard lock(mutex_);
    posted_.clear();
  }
  // Pending close callbacks run here. Whatever is still open afterwards outlived its Loop.
  int status = uv_loop_close(&loop_);
  for (int round = 0; round < 100 && status == UV_EBUSY; ++round) {
    uv_run(&loop_, UV_RUN_NOWAIT);
    status = uv_loop_close(&loop_);
  }
  assert(status == 0 && "a handle outlived its Loop");
}

void Loop::run() {
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
  }
  uv_run(&loop_, UV_RUN_DEFAULT);
}

bool Loop::run_until(const std::function<bool()>& done, Duration limit) {
  bool expired = false;
  Timer deadline(*this);
  deadline.start_once(limit, [this, &expired] {
    expired = true;
    uv_stop(&loop_);  // due before uv_run() waits, it would be noticed after the next event only
  });
  bool well = done();
  while (!well && !expired) {
    uv_run(&loop_, UV_RUN_ONCE);
    well = done();
  }
  return well;
}

void Loop::stop() {
  std::lock_guard lock(mutex_);
  stopping_ = true;
  uv_async_send(&wake_);
}

void Loop::post(std::function<void()> task) {
  std::lock_guard lock(mutex_);
  posted_.push_back(std::move(task));
  uv_async_send(&wake_);
}

void Loop::run_posted() {
  std::vector<std::function<void()>> tasks;
  bool stopping = false;
  {
    std::lock_guard lock(mutex_);
    tasks.swap(posted_);
    stopping = stopping_;
  }
  for (auto& task : tasks) task();
  if (stopping) uv_stop(&loop_);
}

Timer::Timer(Loop& loop) : state_(new TimerState) {
  uv_timer_init(loop.uv(), &state_->handle);
}
Timer::~Timer() {
  TimerState::close(state_);
}

void Timer::start_once(Duration delay, std::function<void()> callback) {
  state_->callback = std::move(callback);
  uv_update_time(state_->handle.loop);
  uv_timer_start(
      &state_->handle, [](uv_timer_t* handle) { TimerState::of(handle)->call(); },
      uv_timeout(state_->handle.loop, delay), 0);
}

void Timer::start_every(Duration period, std::function<void()> callback) {
  const uint64_t millis = to_millis_rounded_up(period);
  assert(millis > 0);
  state_->callback = std::move(callback);
  uv_update_time(state_->handle.loop);
  uv_timer_start(
      &state_->handle, [](uv_timer_t* handle) { TimerState::of(handle)->call(); },
      uv_timeout(state_->handle.loop, period), millis);
}

void Timer::stop() {
  uv_timer_stop(&state_->handle);
}
bool Timer::active() const {
  return uv_is_active(reinterpret_cast<const uv_handle_t*>(&state_->handle)) != 0;
}

Poll::Poll(Loop& loop, int fd) : state_(new PollState) {
  [[maybe_unused]] const int status = uv_poll_init(loop.uv(), &state_->handle, fd);
  assert(status == 0 && "Poll needs an open, pollable descriptor");
}
Poll::~Poll() {
  PollState::close(state_);
}

void Poll::start(int events, std::function<void(int)> callback) {
  state_->callback = std::move(callback);
  uv_poll_start(&state_->handle, events, [](uv_poll_t* handle, int status, int ready) {
    PollState::of(handle)->call(status < 0 ? UV_READABLE | UV_WRITABLE : ready);
  });
}

void Poll::stop() {
  uv_poll_stop(&state_->handle);
}

SignalWatch::SignalWatch(Loop& loop, int signal_number, std::function<void()> callback)
    : state_(new SignalState) {
  uv_signal_init(loop.uv(), &state_->handle);
  state_->callback = std::move(callback);
  uv_signal_start(
      &state_->handle, [](uv_signal_t* handle, int) { SignalState::of(handle)->call(); },
      signal_number);
}
SignalWatch::~SignalWatch() {
  SignalState::close(state_);
}

}  // namespace fairlead
