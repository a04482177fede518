// SPDX-License-Identifier: Apache-2.0
// How many of the questions that wait for upstream servers are each client's, so that none can take
// all places. Pure. Threads: one worker's.
//
// A client may have eight times as many as there are places free (a dynamic threshold, as switches
// share a buffer): alone it has eight ninths, ten greedy ones have all but one in eighty together,
// and there is always a place for one who has few. A client is an IPv4 address or an IPv6 /64. It
// knows no more clients than there are places.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "base/address.h"

namespace fairlead::dns {

class ClientShare {
 public:
  static constexpr size_t kTimesFree = 8;
  using Key = uint64_t;

  static Key key_of(const IpAddress& client) {
    const auto bytes = client.bytes().first(client.is_v4() ? 4 : 8);
    Key key = client.is_v4() ? 1 : 0;  // no /64 in use begins with as many zeros
    for (const uint8_t byte : bytes) key = key << 8 | byte;
    return key;
  }

  // One waiting question; it waits no more when it goes, which may be after the share.
  using Place = std::shared_ptr<void>;

  // Null: the client has its share; `free`: places that nobody has, this one included.
  Place take(const IpAddress& client, size_t free) {
    const Key key = key_of(client);
    size_t& count = (*counts_)[key];
    if (count != 0 && count / kTimesFree >= free) return nullptr;
    ++count;
    return {counts_.get(), [counts = counts_, key](void*) {
              const auto at = counts->find(key);
              if (--at->second == 0) counts->erase(at);
            }};
  }
  size_t clients() const { return counts_->size(); }

 private:
  std::shared_ptr<std::map<Key, size_t>> counts_ = std::make_shared<std::map<Key, size_t>>();
};

}  // namespace fairlead::dns
