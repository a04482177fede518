// SPDX-License-Identifier: Apache-2.0
// What the kernel's version says of its nf_tables. Pure.
#pragma once

#include <compare>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace fairlead::proxy {

struct KernelVersion {
  int major = 0;
  int minor = 0;
  auto operator<=>(const KernelVersion&) const = default;
};

// Of a release as uname(2) tells it: "6.1.0-18-amd64". nullopt when it does not begin so.
std::optional<KernelVersion> parse_kernel_version(std::string_view release);

// kube-proxy's bound (pkg/proxy/nftables/supported.go), which is ours: before it nf_tables lacks
// what the rules need, or nft of that age cannot print them.
inline constexpr KernelVersion kOldestKernel{5, 13};
// kube-proxy's variable; not empty: any kernel will do.
inline constexpr const char* kSkipKernelCheck = "KUBE_PROXY_NFTABLES_SKIP_KERNEL_VERSION_CHECK";

// Whether this proxy may run there. `skip` is the value of kSkipKernelCheck, or null.
Result<void> check_kernel(std::string_view release, const char* skip);

// Before 6.17 a lookup at the moment of a commit may miss an element that is being replaced
// (net/netfilter/nft_set_hash.c); a release that cannot be read counts as old.
bool lookups_may_miss(std::string_view release);

}  // namespace fairlead::proxy
