// SPDX-License-Identifier: Apache-2.0
#include "proxy/instance_lock.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace fairlead::proxy {

namespace {

constexpr char kName[] = "fairlead-proxy";
constexpr auto kLength = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + sizeof kName);

sockaddr_un lock_address() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, kName, sizeof kName - 1);
  return address;
}

}  // namespace

Result<InstanceLock> InstanceLock::acquire() {
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return Error::from_errno(errno, "unix socket");
  const sockaddr_un address = lock_address();
  if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), kLength) == 0)
    return InstanceLock(std::move(socket));
  if (errno == EADDRINUSE)
    return Error(ErrorCode::kAlreadyExists,
                 "another fairlead-proxy runs in this network namespace; stop it first");
  return Error::from_errno(errno, "taking the instance lock");
}

bool InstanceLock::is_one(const Fd& socket) {
  const sockaddr_un wanted = lock_address();
  sockaddr_un address{};
  socklen_t length = sizeof address;
  return getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0 &&
         length == kLength && std::memcmp(&address, &wanted, kLength) == 0;
}

}  // namespace fairlead::proxy
