// SPDX-License-Identifier: Apache-2.0
// Whether one endpoint, by what became of connections to it, should get new ones. Pure: time is
// given. One thread.
//
// So many connections in a row that fail, or that it resets at once, eject it for a while. Then one
// connection, the trial, goes there: until that has succeeded, or for kTrial without any verdict (a
// datagram nobody answers), nothing else does. When it fails, the next while is twice as long, up
// to a limit. An answer clears all. That a connection is made does so too, unless resets have had
// their part in it: then the trial must not be reset for kTrial. That an endpoint is ejected is
// advice: where every endpoint is, the caller tries them all (EndpointGroup).
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "base/time.h"

namespace fairlead::proxy::stream {

struct EjectionRules {
  uint32_t failures = 3;  // in a row
  Duration first = std::chrono::seconds(5);
  Duration most = std::chrono::minutes(5);
};

class Ejection {
 public:
  static constexpr Duration kTrial = std::chrono::seconds(30);

  bool usable(MonoTime now) const { return !until_ || now >= *until_; }
  bool ejected() const { return until_.has_value(); }

  // A connection is begun to it. True: it is the trial, and whoever ends it must say one of those
  // below of it.
  bool begin(MonoTime now);
  // `trial`: that it is of it. Where it is ejected others say nothing new of what fails.
  void connected(bool trial = true);
  void answered();
  // No connection was made. True: this ejects it, or keeps it ejected for longer.
  bool failed(MonoTime now, const EjectionRules& rules, bool trial = true) {
    return count(failures_, now, rules, trial);
  }
  // It has reset a connection that nothing had come of, less than kTrial old. The same.
  bool broke(MonoTime now, const EjectionRules& rules, bool trial = true) {
    by_resets_ = by_resets_ || !until_ || (trying_ && trial);
    return count(resets_, now, rules, trial);
  }
  // A connection is older than that: it does not reset each.
  void lasted() {
    if (until_) return;
    resets_ = 0;
    by_resets_ = false;
  }
  // The trial ended without a verdict on the endpoint.
  void abandoned() {
    taken_ = false;
    if (std::exchange(trying_, false)) until_ = MonoTime::min();
  }

 private:
  bool count(uint32_t& in_a_row, MonoTime now, const EjectionRules& rules, bool trial);

  uint32_t failures_ = 0, resets_ = 0;  // in a row
  bool by_resets_ = false;              // some of them were resets
  uint32_t ejections_ = 0;              // since the last success
  std::optional<MonoTime> until_;
  bool trying_ = false;
  bool taken_ = false;  // the trial has been, and not been reset yet
};

}  // namespace fairlead::proxy::stream
