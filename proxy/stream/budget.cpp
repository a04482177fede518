// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/budget.h"

#include <algorithm>

namespace fairlead::proxy::stream {

namespace {

constexpr size_t kOwn = 64;      // of the process: sockets to the kernel, this program
constexpr size_t kWorker = 8;    // of a worker's loop
constexpr size_t kAround = 512;  // the API server, and who asks
constexpr size_t kGrowth = 256;  // listening sockets that always have room, at first

size_t less(size_t from, size_t taken) {
  return from - std::min(from, taken);
}

size_t sixteenth(size_t descriptors, size_t workers) {
  return less(descriptors, kOwn + kWorker * workers) / 16;
}

}  // namespace

Budget::Budget(size_t descriptors, size_t workers, size_t pipes, size_t sessions)
    : workers_(workers),
      most_listening_(6 * sixteenth(descriptors, workers)),
      pipes_(std::min(pipes, sixteenth(descriptors, workers) / 2 / workers)),
      sessions_(
          std::min(sessions, std::max<size_t>(2 * sixteenth(descriptors, workers) / workers, 1))) {
  const size_t part = sixteenth(descriptors, workers);
  divided_ = less(16 * part, std::min(2 * part, kAround) + (2 * pipes_ + sessions_) * workers);
}

size_t Budget::connections(size_t listening) const {
  const size_t kept = std::max(listening + listening / 4, std::min(kGrowth, most_listening_));
  return std::max<size_t>(less(divided_, kept) / 2 / workers_, 1);
}

size_t Budget::listening(size_t connections) const {
  return std::min(most_listening_, less(divided_, 2 * connections));
}

}  // namespace fairlead::proxy::stream
