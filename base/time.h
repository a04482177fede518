// SPDX-License-Identifier: Apache-2.0
// The types of time. Pure; base/clock.h tells the time and waits.
#pragma once

#include <chrono>

namespace fairlead {

using Duration = std::chrono::nanoseconds;
using MonoTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

}  // namespace fairlead
