// SPDX-License-Identifier: Apache-2.0
#include "proxy/instance_lock.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace fairlead::proxy {

Result<InstanceLock> InstanceLock::acquire() {
  constexpr char kName[] = "fairlead-proxy";
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Error::from_errno(errno, "unix socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, kName, sizeof kName - 1);
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + sizeof kName);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0) return InstanceLock(fd);
  const int reason = errno;
  close(fd);
  if (reason == EADDRINUSE)
    return Error(ErrorCode::kAlreadyExists,
                 "another fairlead-proxy runs in this network namespace; stop it first");
  return Error::from_errno(reason, "taking the instance lock");
}

InstanceLock::~InstanceLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace fairlead::proxy
