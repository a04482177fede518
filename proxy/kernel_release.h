// SPDX-License-Identifier: Apache-2.0
// What the kernel can do, told from its release as uname(2) gives it ("6.1.0-56-amd64").
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace fairlead::proxy {

// Of the kernel that runs.
std::string kernel_release();

// Config::repeat_lookups: before 6.17. A release that cannot be read counts as old.
bool lookups_may_miss(std::string_view release);

// kUnsupported before 5.13, as kube-proxy decides (pkg/proxy/nftables/supported.go); what is newer
// was tested, what is older lacks things that would fail one by one. A release that cannot be read
// is tried.
Result<void> check_release(std::string_view release);

}  // namespace fairlead::proxy
