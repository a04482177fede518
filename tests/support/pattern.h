// SPDX-License-Identifier: Apache-2.0
// Bytes of a stream of any length, known by their position: a lost, repeated or moved one shows.
#pragma once

#include <algorithm>
#include <string>

namespace fairlead::test {

// Those from `position` on: runs of a letter, of a prime length so that no block equals another.
inline std::string pattern(size_t position, size_t size) {
  constexpr size_t kRun = 4093;
  std::string bytes;
  bytes.reserve(size);
  while (bytes.size() < size) {
    const size_t at = position + bytes.size();
    const size_t run = std::min(kRun - at % kRun, size - bytes.size());
    bytes.append(run, static_cast<char>('a' + at / kRun % 26));
  }
  return bytes;
}

}  // namespace fairlead::test
