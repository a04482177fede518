// SPDX-License-Identifier: Apache-2.0
#include "dns/server/framing.h"

#include <algorithm>

#include "dns/types.h"

namespace fairlead::dns {

bool Framer::feed(std::span<const uint8_t> bytes, const OnMessage& on_message) {
  while (!bytes.empty()) {
    // Whole messages in `bytes` need no copy.
    if (buffer_.empty() && bytes.size() >= 2) {
      const size_t size = read_u16(bytes.data());
      if (size == 0 || size > max_message_) return false;
      if (bytes.size() >= 2 + size) {
        if (!on_message(bytes.subspan(2, size))) return false;
        bytes = bytes.subspan(2 + size);
        continue;
      }
    }
    const size_t wanted = buffer_.size() < 2 ? 2 : 2u + read_u16(buffer_.data());
    const size_t take = std::min(wanted - buffer_.size(), bytes.size());
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(take));
    bytes = bytes.subspan(take);
    if (buffer_.size() < 2) continue;
    const size_t size = read_u16(buffer_.data());
    if (size == 0 || size > max_message_) return false;
    if (buffer_.size() < 2 + size) continue;
    if (!on_message(std::span<const uint8_t>(buffer_).subspan(2))) return false;
    buffer_.clear();
  }
  return true;
}

}  // namespace fairlead::dns
