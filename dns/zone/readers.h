// SPDX-License-Identifier: Apache-2.0
// The readers of one worker, one for each cluster its plugins answer for, and the guard over all of
// them that a batch of queries is answered under. Threads: the worker's. It outlives what of()
// gave.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "dns/zone/snapshot.h"

namespace fairlead::dns {

class Readers {
 public:
  Readers() = default;
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;

  // The reader of `published`, which outlives it. Neither this nor the end of a reader is under a
  // Guard.
  std::shared_ptr<Published::Reader> of(Published& published) {
    if (auto known = known_[&published].lock()) return known;
    auto* reader = new Published::Reader(published);
    live_.push_back(reader);
    std::shared_ptr<Published::Reader> shared(reader, [this, key = &published](auto* gone) {
      std::erase(live_, gone);
      known_.erase(key);
      delete gone;
    });
    known_[&published] = shared;
    return shared;
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
  std::map<Published*, std::weak_ptr<Published::Reader>> known_;
  std::vector<Published::Reader*> live_;
};

}  // namespace fairlead::dns
