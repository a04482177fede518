// SPDX-License-Identifier: Apache-2.0
// Pipes for splice(2), made when needed and kept for the next who needs one. One thread.
//
// Bounded: at most `limit` exist at once, or as many as the kernel gives a useful size (a user
// without privileges gets 64 of 1 MiB); who gets none copies instead.
#pragma once

#include <cstddef>
#include <vector>

#include "base/fd.h"
#include "proxy/stream/counters.h"

namespace fairlead::proxy::stream {

struct Pipe {
  Fd reader, writer;
  explicit operator bool() const { return static_cast<bool>(reader); }
};

class PipePool {
 public:
  // What a pipe should hold: as much as the kernel gives by default (fs.pipe-max-size). Of many
  // busy connections each is moved further in its turn, and their ends are woken less often: 64 of
  // them cost half of what they do with 256 KiB (scripts/bench stream, with either).
  static constexpr int kBytes = 1024 * 1024;

  PipePool(size_t limit, Count& made) : limit_(limit), made_(made) {}

  // None when the limit is reached, or descriptors have run out.
  Pipe take();
  // An empty one comes back. One with something in it must not: give_up().
  void give_back(Pipe pipe) { idle_.push_back(std::move(pipe)); }
  void give_up(Pipe) { --existing_; }

 private:
  size_t limit_;
  Count& made_;
  size_t existing_ = 0;
  std::vector<Pipe> idle_;
};

}  // namespace fairlead::proxy::stream
