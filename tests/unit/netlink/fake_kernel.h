// SPDX-License-Identifier: Apache-2.0
// The kernel's side of a netlink Connection, played by a test over a socketpair: it takes requests
// and answers as net/netlink/af_netlink.c and nfnetlink.c do, or not at all.
#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "netlink/connection.h"

namespace fairlead::netlink {

// What arrived in one datagram.
struct Asked {
  enum class Kind { kRequest, kDump, kBatch } kind = Kind::kRequest;
  uint32_t first_sequence = 0;
  uint32_t count = 0;  // messages
};

class FakeKernel {
 public:
  FakeKernel();
  ~FakeKernel();
  FakeKernel(const FakeKernel&) = delete;
  FakeKernel& operator=(const FakeKernel&) = delete;

  // Once: the other end.
  std::unique_ptr<Connection> connect(Loop& loop, Connection::Options options);

  // The next datagram, if one has arrived.
  std::optional<Asked> take();

  // NLMSG_ERROR; error 0 is an ack, else an errno.
  void answer(uint32_t sequence, int error);
  void row(uint32_t sequence, uint16_t flags = 0);
  // NLMSG_DONE; error 0, or the errno a dump ended with.
  void done(uint32_t sequence, int error = 0, uint16_t flags = 0);
  void noop();
  // What reading a real socket says with ENOBUFS.
  void overrun();
  void send(uint16_t type, uint16_t flags, uint32_t sequence, const std::vector<uint8_t>& payload);

 private:
  int ours_ = -1;
  int theirs_ = -1;  // until connect()
};

}  // namespace fairlead::netlink
