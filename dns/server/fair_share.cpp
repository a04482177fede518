// SPDX-License-Identifier: Apache-2.0
#include "dns/server/fair_share.h"

#include <algorithm>
#include <cstring>

namespace fairlead::dns {
namespace {

constexpr double kOverloaded = 0.5;  // of the buffer
constexpr unsigned kBatchSize = 64;  // of a full batch

// splitmix64's finisher: every bit of the input changes half of the output.
uint64_t mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

uint64_t client_hash(const IpAddress& client, uint64_t key) {
  uint64_t parts[2] = {};
  const auto bytes = client.bytes();
  std::memcpy(parts, bytes.data(), bytes.size());
  return mix(mix(mix(parts[0] ^ key) ^ parts[1]) + key);
}

}  // namespace

bool FairShare::batch(bool full, MonoTime now) {
  if (!full) {
    streak_ = 0;
    emptied_ = true;
  } else {
    const Duration since = now - full_at_;
    quickest_ = ++streak_ <= 2 ? since : std::min(quickest_, since);
    full_at_ = now;
  }
  if (sketch_ != nullptr) {
    if (now >= window_ends_) end_window(now);
    return false;
  }
  return streak_ >= kStreak;
}

void FairShare::filled(double part, MonoTime now) {
  if (part >= kOverloaded) return begin(now);
  streak_ = 0;  // many came at once, and they are being answered
}

// The first allowance is what the worker can answer in a window. Of the streak the quickest batch
// tells: in the others the worker may have been without a processor for a while.
void FairShare::begin(MonoTime now) {
  const auto took = std::max<Duration>(quickest_, Duration(1));
  const auto in_a_window = uint64_t{kBatchSize} * static_cast<uint64_t>(kWindow.count()) /
                           static_cast<uint64_t>(took.count());
  allowance_ = static_cast<uint32_t>(std::clamp<uint64_t>(in_a_window, kLeast, 1u << 20));
  key_ = mix(key_);
  sketch_ = std::make_unique<Sketch>();
  window_ends_ = now + kWindow;
  emptied_ = shed_ = false;
  calm_ = 0;
}

void FairShare::end_window(MonoTime now) {
  const auto windows = 1 + static_cast<uint64_t>((now - window_ends_) / kWindow);
  calm_ = shed_ || !emptied_
              ? 0
              : calm_ + static_cast<unsigned>(std::min<uint64_t>(windows, kCalmWindows));
  if (calm_ >= kCalmWindows) {
    sketch_.reset();
    streak_ = 0;
    return;
  }
  if (emptied_)
    allowance_ = std::min(allowance_ + allowance_ / 32 + 1, 1u << 20);
  else
    allowance_ = std::max(allowance_ - allowance_ / 16, kLeast);
  // After so many windows even the highest level is nothing.
  for (uint64_t i = 0; i < std::min<uint64_t>(windows, 128); ++i)
    for (auto& row : *sketch_)
      for (uint32_t& level : row) level -= (level + 7) / 8;
  emptied_ = shed_ = false;
  window_ends_ = now + kWindow;
}

// Of the cells of a client the lowest is nearest to its own level; the others only follow it.
bool FairShare::admit(const IpAddress& client) {
  const uint64_t hash = client_hash(client, key_);
  std::array<uint32_t*, kRows> cells;
  uint32_t level = UINT32_MAX;
  for (size_t row = 0; row < kRows; ++row) {
    cells[row] = &(*sketch_)[row][(hash >> (row * 16)) % kCells];
    level = std::min(level, *cells[row]);
  }
  if (level >= allowance_) {
    shed_ = true;
    return false;
  }
  for (uint32_t* cell : cells) *cell = std::max(*cell, level + 1);
  return true;
}

}  // namespace fairlead::dns
