// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/cluster/preflight.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "orchestrator/node/cgroup.h"
#include "orchestrator/node/containerd.h"
#include "orchestrator/node/files.h"

namespace fairlead::orchestrator {

namespace {

constexpr int kCapNetAdmin = 12;
constexpr int kCapSysAdmin = 21;

uint64_t effective_capabilities() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("CapEff:")) return std::strtoull(line.c_str() + 7, nullptr, 16);
  return 0;
}

// Asks nf_tables for its generation; the answer's errno, 0 when it answered.
int ask_generation() {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (fd < 0) return errno;
  struct {
    nlmsghdr header;
    nfgenmsg body;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  alignas(nlmsghdr) char reply[4096];
  const timeval limit{2, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ssize_t length = send(fd, &request, sizeof request, 0);
  if (length > 0) length = recv(fd, reply, sizeof reply, 0);
  const int error = errno;
  close(fd);
  if (length < static_cast<ssize_t>(sizeof(nlmsghdr))) return length < 0 ? error : EPROTO;
  nlmsghdr header{};
  std::memcpy(&header, reply, sizeof header);
  if (header.nlmsg_type != NLMSG_ERROR) return 0;
  nlmsgerr status{};
  std::memcpy(&status, reply + sizeof header, sizeof status.error);
  return -status.error;
}

}  // namespace

IpAddress ClusterOptions::service_address(uint8_t index) const {
  const auto bytes = service_cidr.address().bytes();
  return IpAddress::v4(bytes[0], bytes[1], bytes[2], static_cast<uint8_t>(bytes[3] + index));
}

std::string own_bin_dir() {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  const std::string file(path, length > 0 ? static_cast<size_t>(length) : 0);
  return file.substr(0, file.rfind('/'));
}

Result<void> check_privileges() {
  if (geteuid() != 0) return Error(ErrorCode::kPermission, "a node needs root: run it with sudo");
  const uint64_t have = effective_capabilities();
  if ((have >> kCapNetAdmin & 1) == 0)
    return Error(ErrorCode::kPermission,
                 "the capability CAP_NET_ADMIN is missing: pods' networks cannot be made");
  if ((have >> kCapSysAdmin & 1) == 0)
    return Error(ErrorCode::kPermission,
                 "the capability CAP_SYS_ADMIN is missing: containers cannot be made");
  return ok();
}

Result<void> check_nf_tables() {
  const int error = ask_generation();
  if (error == 0) return ok();
  if (error == EPERM)
    return Error(ErrorCode::kPermission,
                 "nf_tables refuses us: the capability CAP_NET_ADMIN is missing");
  return Error(ErrorCode::kUnsupported,
               std::string("this kernel has no nf_tables (") + std::strerror(error) +
                   "): load the module nf_tables or use a kernel with CONFIG_NF_TABLES");
}

Result<void> check_node(const ClusterOptions& options) {
  if (const Result<void> right = check_privileges(); !right.ok()) return right;
  if (const Result<void> right = check_nf_tables(); !right.ok()) return right;
  if (const Result<void> right = check_programs(options.containerd_socket.empty()); !right.ok())
    return right;
  if (const Result<Cgroups> cgroups = Cgroups::detect(); !cgroups.ok()) return cgroups.error();
  if (!options.containerd_socket.empty() && !files::exists(options.containerd_socket))
    return Error(ErrorCode::kNotFound,
                 "there is no socket " + options.containerd_socket +
                     ": start that containerd, or leave --containerd-socket out");
  for (const auto& [wanted, name] :
       {std::pair{options.proxy, "fairlead-proxy"}, std::pair{options.dns, "fairlead-dns"}})
    if (wanted && access((options.bin_dir + "/" + name).c_str(), X_OK) != 0)
      return Error(ErrorCode::kNotFound, std::string(name) + " is not in " + options.bin_dir +
                                             ": build it, or give --bin-dir");
  return ok();
}

namespace {

Result<void> check_port(const IpAddress& address, uint16_t port, const char* option) {
  const std::string what = SocketAddress{address, port}.to_string();
  const int fd = socket(address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Error::from_errno(errno, "socket");
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_storage storage;
  const socklen_t length = SocketAddress{address, port}.to_sockaddr(storage);
  const int status = bind(fd, reinterpret_cast<sockaddr*>(&storage), length);
  const int error = errno;
  close(fd);
  if (status == 0) return ok();
  return Error::from_errno(error, "cannot listen on " + what + " (" + option + ")");
}

}  // namespace

Result<void> check_ports(const ClusterOptions& options, bool server, bool node) {
  if (server)
    if (const auto free = check_port(options.bind_address, options.secure_port, "--secure-port");
        !free.ok())
      return free;
  if (!node) return ok();
  return check_port(IpAddress::any(Family::kIpv4), options.kubelet_port, "--kubelet-port");
}

}  // namespace fairlead::orchestrator
