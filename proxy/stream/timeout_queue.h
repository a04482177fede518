// SPDX-License-Identifier: Apache-2.0
// Things that all wait for the same length of time, the one that waits longest first: to begin
// anew, which each packet does, is to go to the end, a few pointers. Pure. One thread.
//
// A thing is in one queue at most, and leaves it when it is destroyed.
#pragma once

#include "base/time.h"

namespace fairlead::proxy::stream {

class TimeoutLink {
 public:
  TimeoutLink() = default;
  TimeoutLink(const TimeoutLink&) = delete;
  TimeoutLink& operator=(const TimeoutLink&) = delete;
  virtual ~TimeoutLink() { unlink(); }

  // It has waited for as long as its queue says; it must leave the queue, or begin anew.
  virtual void expired() = 0;
  MonoTime since() const { return since_; }

 protected:
  void unlink() {
    if (next_ == nullptr) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    previous_ = next_ = nullptr;
  }

 private:
  friend class TimeoutQueue;
  TimeoutLink* previous_ = nullptr;
  TimeoutLink* next_ = nullptr;
  MonoTime since_;
};

class TimeoutQueue {
 public:
  static constexpr int kAtOnce = 1024;
  explicit TimeoutQueue(Duration span) : span_(span) { head_.previous_ = head_.next_ = &head_; }
  ~TimeoutQueue() { head_.previous_ = head_.next_ = nullptr; }
  TimeoutQueue(const TimeoutQueue&) = delete;
  TimeoutQueue& operator=(const TimeoutQueue&) = delete;

  // From whatever queue it is in.
  void begin(TimeoutLink& link, MonoTime now) {
    link.unlink();
    link.since_ = now;
    link.previous_ = head_.previous_;
    link.next_ = &head_;
    head_.previous_->next_ = &link;
    head_.previous_ = &link;
  }
  bool empty() const { return head_.next_ == &head_; }
  // The one that waits longest; not of an empty queue.
  TimeoutLink& front() { return *head_.next_; }
  MonoTime due() const { return head_.next_->since_ + span_; }
  // kAtOnce at most, so that others have their turn: due() stays in the past then.
  void expire(MonoTime now) {
    for (int left = kAtOnce; left > 0 && !empty() && due() <= now; --left) front().expired();
  }

 private:
  struct Head : TimeoutLink {
    void expired() override {}
  };
  const Duration span_;
  Head head_;
};

}  // namespace fairlead::proxy::stream
