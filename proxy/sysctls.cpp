// SPDX-License-Identifier: Apache-2.0
#include "proxy/sysctls.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

#include "base/file.h"

namespace fairlead::proxy {

namespace {

// More would be much memory on a machine with many CPUs (kube-proxy 1.36).
constexpr int64_t kMaxScaled = 1048576;
constexpr const char* kMaxName = "nf_conntrack_max";
constexpr size_t kNumberBytes = 64;  // at most, of a file with one or two
constexpr const char* kHashSize = "/sys/module/nf_conntrack/parameters/hashsize";

int64_t conntrack_max(const KubeProxyConfig::Conntrack& config, int cpus) {
  if (config.max_per_core <= 0) return 0;
  const int64_t scaled = int64_t{config.max_per_core} * cpus;
  return scaled > kMaxScaled ? kMaxScaled : std::max<int64_t>(scaled, config.min);
}

std::optional<int64_t> read_number(const std::string& path) {
  const Result<std::string> text = read_file(path, kNumberBytes);
  if (!text.ok()) return std::nullopt;
  int64_t number = 0;
  const auto result = std::from_chars(text->data(), text->data() + text->size(), number);
  if (result.ec != std::errc()) return std::nullopt;
  return number;
}

SysctlFailure::Kind kind_of(int error_number) {
  switch (error_number) {
    case ENOENT:
      return SysctlFailure::Kind::kMissing;
    case EACCES:
    case EPERM:
    case EROFS:
    case EOPNOTSUPP:  // hashsize outside the first network namespace
      return SysctlFailure::Kind::kForbidden;
    default:
      return SysctlFailure::Kind::kFailed;
  }
}

void write_number(const std::string& path, int64_t value, std::vector<SysctlFailure>& failures) {
  const std::string text = std::to_string(value);
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const bool written =
      fd >= 0 && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int reason = errno;
  if (fd >= 0) close(fd);
  if (!written)
    failures.push_back(
        {kind_of(reason), Error::from_errno(reason, "writing " + text + " to " + path)});
}

}  // namespace

std::vector<Sysctl> conntrack_sysctls(const KubeProxyConfig::Conntrack& config, int cpus) {
  std::vector<Sysctl> sysctls;
  if (const int64_t max = conntrack_max(config, cpus); max > 0) sysctls.push_back({kMaxName, max});
  const auto add_timeout = [&](const char* name, Duration timeout) {
    if (timeout > Duration{})
      sysctls.push_back({name, std::chrono::duration_cast<std::chrono::seconds>(timeout).count()});
  };
  add_timeout("nf_conntrack_tcp_timeout_established", config.tcp_established_timeout);
  add_timeout("nf_conntrack_tcp_timeout_close_wait", config.tcp_close_wait_timeout);
  if (config.tcp_be_liberal) sysctls.push_back({"nf_conntrack_tcp_be_liberal", 1});
  add_timeout("nf_conntrack_udp_timeout", config.udp_timeout);
  add_timeout("nf_conntrack_udp_timeout_stream", config.udp_stream_timeout);
  return sysctls;
}

std::vector<SysctlFailure> write_sysctls(const std::vector<Sysctl>& sysctls,
                                         const std::string& root) {
  std::vector<SysctlFailure> failures;
  for (const Sysctl& sysctl : sysctls) {
    const std::string path = root + "/proc/sys/net/netfilter/" + sysctl.name;
    const size_t before = failures.size();
    if (read_number(path) != sysctl.value) write_number(path, sysctl.value, failures);
    if (sysctl.name != kMaxName || failures.size() > before) continue;
    const std::optional<int64_t> buckets = read_number(root + kHashSize);
    if (!buckets || *buckets < sysctl.value / 4)
      write_number(root + kHashSize, sysctl.value / 4, failures);
  }
  return failures;
}

Result<void> let_ports_be_used_again(const std::string& root) {
  const std::string path = root + "/proc/sys/net/ipv4/tcp_tw_reuse";
  std::vector<SysctlFailure> failures;
  if (read_number(path) != 1) write_number(path, 1, failures);
  if (failures.empty()) return ok();
  return failures.front().error;
}

std::optional<Duration> conntrack_timeout(const std::string& name, const std::string& root) {
  const auto seconds = read_number(root + "/proc/sys/net/netfilter/" + name);
  if (!seconds || *seconds <= 0) return std::nullopt;
  return std::chrono::seconds(*seconds);
}

std::pair<uint16_t, uint16_t> local_ports(const std::string& root) {
  std::pair<uint16_t, uint16_t> ports = {32768, 60999};  // the kernel's own
  const Result<std::string> text =
      read_file(root + "/proc/sys/net/ipv4/ip_local_port_range", kNumberBytes);
  if (!text.ok()) return ports;
  uint16_t first = 0, last = 0;
  const char* end = text->data() + text->size();
  const auto low = std::from_chars(text->data(), end, first);
  if (low.ec != std::errc() || low.ptr == end) return ports;
  const auto high = std::from_chars(low.ptr + 1, end, last);
  if (high.ec == std::errc() && first <= last) ports = {first, last};
  return ports;
}

int cpu_count() {
  return static_cast<int>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
}

}  // namespace fairlead::proxy
