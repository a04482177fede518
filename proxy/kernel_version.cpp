// SPDX-License-Identifier: Apache-2.0
#include "proxy/kernel_version.h"

#include <charconv>
#include <string>

namespace fairlead::proxy {

std::optional<KernelVersion> parse_kernel_version(std::string_view release) {
  KernelVersion version;
  const char* end = release.data() + release.size();
  const auto major = std::from_chars(release.data(), end, version.major);
  if (major.ec != std::errc() || major.ptr == end || *major.ptr != '.') return std::nullopt;
  if (std::from_chars(major.ptr + 1, end, version.minor).ec != std::errc()) return std::nullopt;
  return version;
}

Result<void> check_kernel(std::string_view release, const char* skip) {
  if (skip != nullptr && *skip != '\0') return ok();
  const std::optional<KernelVersion> version = parse_kernel_version(release);
  const std::string bypass = "; set " + std::string(kSkipKernelCheck) + "=1 to try all the same";
  if (!version)
    return Error(ErrorCode::kUnsupported,
                 "the kernel's version \"" + std::string(release) + "\" cannot be read" + bypass);
  if (*version < kOldestKernel)
    return Error(ErrorCode::kUnsupported, "Linux " + std::string(release) +
                                              " is too old: nf_tables of 5.13 or newer is needed" +
                                              bypass);
  return ok();
}

bool lookups_may_miss(std::string_view release) {
  const std::optional<KernelVersion> version = parse_kernel_version(release);
  return !version || *version < KernelVersion{6, 17};
}

}  // namespace fairlead::proxy
