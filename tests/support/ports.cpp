// SPDX-License-Identifier: Apache-2.0
#include "tests/support/ports.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"

namespace fairlead::test {
namespace {

// Binds the port for this kind of socket to see whether it is free; 0 asks the kernel for one.
uint16_t try_bind(int type, uint16_t port) {
  const int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
  sockaddr_storage storage;
  socklen_t length = SocketAddress{IpAddress::v4(127, 0, 0, 1), port}.to_sockaddr(storage);
  uint16_t bound = 0;
  if (bind(fd, reinterpret_cast<sockaddr*>(&storage), length) == 0) {
    getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length);
    bound = SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&storage)).port;
  }
  close(fd);
  return bound;
}

}  // namespace

uint16_t free_port() {
  for (;;) {
    const uint16_t port = try_bind(SOCK_STREAM, 0);
    if (port != 0 && try_bind(SOCK_DGRAM, port) == port) return port;
  }
}

}  // namespace fairlead::test
