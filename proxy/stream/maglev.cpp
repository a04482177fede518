// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/maglev.h"

#include <cassert>
#include <cstring>

namespace fairlead::proxy::stream {

uint64_t spread(uint64_t value) {
  value = (value ^ value >> 33) * 0xff51afd7ed558ccd;
  value = (value ^ value >> 33) * 0xc4ceb9fe1a85ec53;
  return value ^ value >> 33;
}

uint64_t hash_of(const IpAddress& address, uint16_t port) {
  uint64_t words[2] = {};
  std::memcpy(words, address.bytes().data(), address.bytes().size());
  return spread(words[0] ^
                spread(words[1] ^ spread(uint64_t{port} << 8 | (address.is_v4() ? 4u : 6u))));
}

// Every endpoint has an order in which it likes the places, and they take turns: each takes the
// first place of its order that is still free.
MaglevTable::MaglevTable(const std::vector<SocketAddress>& endpoints) {
  assert(!endpoints.empty());
  constexpr uint32_t kFree = UINT32_MAX;
  const size_t size = endpoints.size() <= kMostInSmall ? kSmall : kLarge;
  struct Order {
    size_t next, step;
  };
  std::vector<Order> orders;
  orders.reserve(endpoints.size());
  for (const SocketAddress& endpoint : endpoints) {
    const uint64_t hash = hash_of(endpoint.address, endpoint.port);
    orders.push_back({hash % size, spread(~hash) % (size - 1) + 1});
  }
  places_.assign(size, kFree);
  for (size_t taken = 0, turn = 0; taken < size; ++taken, turn = (turn + 1) % orders.size()) {
    Order& order = orders[turn];
    while (places_[order.next] != kFree) order.next = (order.next + order.step) % size;
    places_[order.next] = static_cast<uint32_t>(turn);
  }
}

}  // namespace fairlead::proxy::stream
