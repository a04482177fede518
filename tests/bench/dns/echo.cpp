// SPDX-License-Identifier: Apache-2.0
// The ceiling of any DNS server on UDP sockets: sends each query back with the QR bit set, up to 64
// in a system call each way. Usage: bench_dns_echo ADDRESS:PORT
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstdio>

#include "base/address.h"

namespace {

constexpr unsigned kBatch = 64;

struct Batch {
  std::array<sockaddr_storage, kBatch> peers;
  std::array<std::array<uint8_t, 2048>, kBatch> packets;
  std::array<iovec, kBatch> parts;
  std::array<mmsghdr, kBatch> messages;
};

void serve(int fd, Batch& batch) {
  for (;;) {
    pollfd p{fd, POLLIN, 0};
    poll(&p, 1, -1);
    for (unsigned i = 0; i < kBatch; ++i) {
      batch.parts[i] = {batch.packets[i].data(), batch.packets[i].size()};
      batch.messages[i] = {};
      batch.messages[i].msg_hdr.msg_iov = &batch.parts[i];
      batch.messages[i].msg_hdr.msg_iovlen = 1;
      batch.messages[i].msg_hdr.msg_name = &batch.peers[i];
      batch.messages[i].msg_hdr.msg_namelen = sizeof batch.peers[i];
    }
    const int received = recvmmsg(fd, batch.messages.data(), kBatch, MSG_DONTWAIT, nullptr);
    for (int i = 0; i < received; ++i) {
      batch.parts[i].iov_len = batch.messages[i].msg_len;
      batch.packets[i][2] |= 0x80;
    }
    if (received > 0) sendmmsg(fd, batch.messages.data(), static_cast<unsigned>(received), 0);
  }
}

}  // namespace

int main(int argc, char** argv) {
  using fairlead::SocketAddress;
  const auto address = SocketAddress::parse(argc == 2 ? argv[1] : "");
  if (!address.ok()) {
    std::fprintf(stderr, "usage: %s ADDRESS:PORT\n", argv[0]);
    return 2;
  }
  const int fd =
      socket(address->address.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_storage storage;
  const socklen_t length = address->to_sockaddr(storage);
  if (bind(fd, reinterpret_cast<sockaddr*>(&storage), length) != 0) {
    std::perror(argv[1]);
    return 1;
  }
  static Batch batch;
  serve(fd, batch);
}
