// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/cluster/preflight.h"

#include <linux/capability.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "base/loop.h"
#include "netlink/nftables/list.h"
#include "orchestrator/node/cgroup.h"
#include "orchestrator/node/containerd.h"
#include "orchestrator/node/files.h"

namespace fairlead::orchestrator {

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
  if (!has_capability(CAP_NET_ADMIN))
    return Error(ErrorCode::kPermission,
                 "the capability CAP_NET_ADMIN is missing: pods' networks cannot be made");
  if (!has_capability(CAP_SYS_ADMIN))
    return Error(ErrorCode::kPermission,
                 "the capability CAP_SYS_ADMIN is missing: containers cannot be made");
  return ok();
}

namespace {

// Any answer of nf_tables will do: the number of the last commit.
Result<void> ask_nf_tables() {
  Loop loop;
  const auto connection = netlink::Connection::open(loop, netlink::Protocol::kNetfilter);
  if (!connection.ok()) return connection.error();
  Result<void> answer = Error(ErrorCode::kTimeout, "it does not answer");
  bool answered = false;
  netlink::nft::get_generation(**connection, [&](const Result<netlink::nft::Generation>& found) {
    answered = true;
    answer = found.ok() ? ok() : Result<void>(found.error());
  });
  (*connection)->wait([&] { return answered; }, std::chrono::seconds(2));
  return answer;
}

}  // namespace

Result<void> check_nf_tables() {
  const Result<void> answer = ask_nf_tables();
  if (answer.ok()) return ok();
  if (answer.error().is(ErrorCode::kPermission))
    return Error(ErrorCode::kPermission,
                 "nf_tables refuses us: the capability CAP_NET_ADMIN is missing");
  return Error(ErrorCode::kUnsupported,
               "this kernel has no nf_tables: load the module nf_tables or use a kernel with "
               "CONFIG_NF_TABLES (" +
                   answer.error().message() + ")");
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
