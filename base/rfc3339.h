// SPDX-License-Identifier: Apache-2.0
// Timestamps as Kubernetes has them (RFC 3339, section 5.6). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace fairlead {

// metav1.Time: "2026-01-02T03:04:05Z", UTC, whole seconds.
std::string to_rfc3339(WallTime time);
// metav1.MicroTime: "2026-01-02T03:04:05.000006Z".
std::string to_rfc3339_micro(WallTime time);
// Takes any fraction and any offset; nothing when the text is no timestamp, or one that WallTime
// does not reach (before 1678, after 2261).
std::optional<WallTime> parse_rfc3339(std::string_view text);

}  // namespace fairlead
