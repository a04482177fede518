// SPDX-License-Identifier: Apache-2.0
// Whether one endpoint, by what became of connections to it, should get new ones. Pure: time is
// given. One thread.
//
// So many failed connections in a row eject it for a while. Then one connection tries it: until
// that has succeeded, or for kTrial without any verdict (a datagram nobody answers), nothing else
// goes there. When it fails, the next while is twice as long, up to
// a limit. Any success clears all. That an endpoint is ejected is advice: where every endpoint is,
// the caller tries them all (EndpointGroup).
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

  // A connection is made to it. True: it is the trial, and one of the three below should follow.
  bool begin(MonoTime now);
  void succeeded();
  // True: this ejects it, or keeps it ejected for longer.
  bool failed(MonoTime now, const EjectionRules& rules);
  // The connection ended without a verdict on the endpoint.
  void abandoned() {
    if (std::exchange(trying_, false)) until_ = MonoTime::min();
  }

 private:
  uint32_t failures_ = 0;   // in a row
  uint32_t ejections_ = 0;  // since the last success
  std::optional<MonoTime> until_;
  bool trying_ = false;
};

}  // namespace fairlead::proxy::stream
