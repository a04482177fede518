// SPDX-License-Identifier: Apache-2.0
// Pipes of one size for splice(2), made when needed and kept for the next who needs one. One
// thread.
//
// Bounded: at most `limit` exist at once, or as many as the kernel gives a useful size (a user
// without privileges gets 64 of 1 MiB); who gets none copies instead. A refusal holds for a while.
#pragma once

#include <cstddef>
#include <vector>

#include "base/fd.h"
#include "proxy/stream/counters.h"

namespace fairlead::proxy::stream {

class PipePool;

struct Pipe {
  Fd reader, writer;
  PipePool* pool = nullptr;  // its owner's
  explicit operator bool() const { return static_cast<bool>(reader); }
};

class PipePool {
 public:
  // `bytes`: what each should hold; a smaller one will do, 64 KiB or more.
  PipePool(int bytes, size_t limit, Count& made) : bytes_(bytes), limit_(limit), made_(made) {}

  // None when the limit is reached, or descriptors have run out.
  Pipe take();
  // An empty one comes back. One with something in it must not: give_up().
  static void give_back(Pipe pipe) { pipe.pool->idle_.push_back(std::move(pipe)); }
  static void give_up(Pipe pipe) { --pipe.pool->existing_; }
  // The most to be put into one: it is bounded by its places for pages or parts of them, and a part
  // of a packet may be eight pages (skb_frag_t of the kernel).
  size_t bytes() const { return static_cast<size_t>(bytes_); }

 private:
  bool enlarge(int pipe) const;

  const int bytes_;
  const size_t limit_;
  Count& made_;
  size_t existing_ = 0;
  size_t patience_ = 0;  // before the kernel is asked again
  std::vector<Pipe> idle_;
};

}  // namespace fairlead::proxy::stream
