// SPDX-License-Identifier: Apache-2.0
// The readers of one worker, one for each cluster its plugins answer for, and the guard over all of
// them that a batch of queries is answered under. Threads: the worker's. It outlives what of()
// gave.
#pragma once

#include <memory>
#include <vector>

#include "dns/zone/snapshot.h"

namespace fairlead::dns {

class Readers {
 public:
  Readers() = default;
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;

  // A reader of `published`, which outlives it. Neither this nor the end of a reader is under a
  // Guard.
  std::shared_ptr<Published::Reader> of(Published& published) {
    auto* reader = new Published::Reader(published);
    live_.push_back(reader);
    return {reader, [this](Published::Reader* gone) {
              std::erase(live_, gone);
              delete gone;
            }};
  }

  // Nothing that any of the readers may see goes while it lives.
  class Guard {
   public:
    explicit Guard(Readers& readers) : readers_(readers) {
      for (Published::Reader* reader : readers_.live_) reader->enter();
    }
    ~Guard() {
      for (Published::Reader* reader : readers_.live_) reader->leave();
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    Readers& readers_;
  };

 private:
  std::vector<Published::Reader*> live_;
};

}  // namespace fairlead::dns
