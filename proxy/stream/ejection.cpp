// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/ejection.h"

#include <algorithm>

namespace fairlead::proxy::stream {

bool Ejection::begin(MonoTime now) {
  if (!until_ || now < *until_) return false;
  if (std::exchange(taken_, false)) return answered(), false;
  until_ = now + kTrial;
  return trying_ = true;
}

void Ejection::connected(bool trial) {
  if (!by_resets_) return answered();
  failures_ = 0;
  taken_ = taken_ || (trying_ && trial);
}

void Ejection::answered() {
  *this = Ejection();
}

bool Ejection::count(uint32_t& in_a_row, MonoTime now, const EjectionRules& rules, bool trial) {
  if (until_ && !(trying_ && trial)) return false;
  if (!until_ && ++in_a_row < rules.failures) return false;
  trying_ = taken_ = false;
  constexpr uint32_t kDoublings = 16;  // many more would overflow, and are beyond any limit
  const Duration span = std::min(ejections_, kDoublings) == kDoublings
                            ? rules.most
                            : rules.first * (int64_t{1} << ejections_);
  ++ejections_;
  until_ = now + std::min(span, rules.most);
  return true;
}

}  // namespace fairlead::proxy::stream
