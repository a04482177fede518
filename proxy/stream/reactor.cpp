// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/reactor.h"

#include <algorithm>
#include <cerrno>

namespace fairlead::proxy::stream {

namespace {

constexpr size_t kEventsAtOnce = 256;  // taken at once
constexpr int kRoundsOfEvents = 4;     // of them, before the loop's other work has its turn

}  // namespace

Result<std::unique_ptr<Reactor>> Reactor::open(Loop& loop) {
  Descriptor epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return Error::from_errno(errno, "epoll_create1");
  return std::unique_ptr<Reactor>(new Reactor(loop, std::move(epoll)));
}

Reactor::Reactor(Loop& loop, Descriptor epoll)
    : loop_(loop),
      epoll_(std::move(epoll)),
      poll_(std::make_unique<Poll>(loop, epoll_.get())),
      soon_(loop),
      now_(loop.clock().now()),
      events_(kEventsAtOnce) {
  poll_->start(UV_READABLE, [this](int) { turn(); });
}

Reactor::~Reactor() {
  destroy_dead();
}

// What is destroyed may bury others.
void Reactor::destroy_dead() {
  for (std::vector<std::unique_ptr<Mortal>> dead; !dead_.empty(); dead.clear()) dead.swap(dead_);
}

Result<void> Reactor::add(int fd, Source& source, uint32_t events) {
  epoll_event event{};
  event.events = events | EPOLLET;
  event.data.ptr = &source;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return ok();
  return Error::from_errno(errno, "epoll_ctl");
}

void Reactor::again(Source& source) {
  if (std::exchange(source.again_, true)) return;
  again_.push_back(&source);
  if (!soon_.active()) soon_.start_once(Duration{}, [this] { turn(); });
}

void Reactor::forget(Source& source) {
  if (!std::exchange(source.again_, false)) return;
  std::erase(again_, &source);
  std::replace(running_.begin(), running_.end(), &source, static_cast<Source*>(nullptr));
}

void Reactor::bury(std::unique_ptr<Mortal> dead) {
  dead_.push_back(std::move(dead));
  if (!soon_.active()) soon_.start_once(Duration{}, [this] { turn(); });
}

void Reactor::turn() {
  look_at_clock();
  for (int round = 0; round < kRoundsOfEvents && take_events(); ++round) {
  }
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
  if (again_.empty())
    soon_.stop();
  else
    soon_.start_once(Duration{}, [this] { turn(); });
}

// True: there may be more.
bool Reactor::take_events() {
  const int count = epoll_wait(epoll_.get(), events_.data(), static_cast<int>(kEventsAtOnce), 0);
  for (int i = 0; i < count; ++i)
    static_cast<Source*>(events_[static_cast<size_t>(i)].data.ptr)
        ->on_ready(events_[static_cast<size_t>(i)].events);
  return count == static_cast<int>(kEventsAtOnce);
}

}  // namespace fairlead::proxy::stream
