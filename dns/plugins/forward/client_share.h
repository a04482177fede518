// SPDX-License-Identifier: Apache-2.0
// How many of the questions that wait for upstream servers are each client's, so that none can take
// all places. Pure. Threads: one worker's.
//
// A client may have eight times as many as there are places free (a dynamic threshold, as switches
// share a buffer): alone it has eight ninths, ten greedy ones have all but one in eighty together,
// and there is always a place for one who has few. That is with one worker: with N, who asks them
// all may have eight times as many in each, so that eight N of eight N + 1 are a lone client's.
//
// A client is a whole address, of IPv6 too: the pods of a node, or of a network, may share a /64.
// It knows no more clients than there are places.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>

#include "base/address.h"

namespace fairlead::dns {

class ClientShare {
 public:
  static constexpr size_t kTimesFree = 8;

  // One waiting question; it waits no more when it goes, which may be after the share.
  using Place = std::shared_ptr<void>;

  // Null: the client has its share; `free`: places that nobody has, this one included.
  Place take(const IpAddress& client, size_t free) {
    size_t& count = (*counts_)[client];
    if (count != 0 && count / kTimesFree >= free) return nullptr;
    ++count;
    return {counts_.get(), [counts = counts_, client](void*) {
              const auto at = counts->find(client);
              if (--at->second == 0) counts->erase(at);
            }};
  }
  size_t clients() const { return counts_->size(); }

 private:
  using Counts = std::map<IpAddress, size_t>;
  std::shared_ptr<Counts> counts_ = std::make_shared<Counts>();
};

}  // namespace fairlead::dns
