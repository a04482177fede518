// SPDX-License-Identifier: Apache-2.0
#include "proxy/kernel_release.h"

#include <sys/utsname.h>

#include <charconv>
#include <optional>
#include <utility>

namespace fairlead::proxy {

namespace {

using Version = std::pair<int, int>;

std::optional<Version> parse(std::string_view release) {
  Version version;
  const char* const end = release.data() + release.size();
  const auto major = std::from_chars(release.data(), end, version.first);
  if (major.ec != std::errc() || major.ptr == end || *major.ptr != '.') return std::nullopt;
  if (std::from_chars(major.ptr + 1, end, version.second).ec != std::errc()) return std::nullopt;
  return version;
}

}  // namespace

std::string kernel_release() {
  utsname kernel{};
  return uname(&kernel) == 0 ? kernel.release : "";
}

bool lookups_may_miss(std::string_view release) {
  return parse(release).value_or(Version()) < Version(6, 17);
}

Result<void> check_release(std::string_view release) {
  const std::optional<Version> version = parse(release);
  if (!version || *version >= Version(5, 13)) return ok();
  return Error(ErrorCode::kUnsupported,
               "this is Linux " + std::string(release) +
                   "; what is needed of nftables came with 5.13: update the kernel, or set "
                   "KUBE_PROXY_NFTABLES_SKIP_KERNEL_VERSION_CHECK=1 if this one has it too");
}

}  // namespace fairlead::proxy
