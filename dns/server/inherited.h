// SPDX-License-Identifier: Apache-2.0
// Sockets that whoever started this program has opened, so that it needs no right to bind port 53:
// systemd's socket units hand them over as sd_listen_fds(3) has it, from descriptor 3 on.
//
// Of an address there must be a UDP and a TCP socket: DNS is both. One pair is read by all workers,
// several pairs (SO_REUSEPORT) are dealt out; more than there are workers would leave one unread,
// which the server refuses. Threads: the program's.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <vector>

#include "base/address.h"
#include "base/fd.h"
#include "base/result.h"

namespace fairlead::dns {

class InheritedSockets {
 public:
  static constexpr int kFirst = 3;  // SD_LISTEN_FDS_START
  static constexpr size_t kMost = 128;

  // How many there are, from the variables LISTEN_PID and LISTEN_FDS (null: not set). None when
  // they are meant for another process.
  static Result<size_t> count(const char* listen_pid, const char* listen_fds, int own_pid);

  InheritedSockets() = default;
  // Those of the environment, whose variables are taken away: they are not our children's. Before
  // any thread is started. Fails when one is no UDP or TCP socket or lacks its other half.
  static Result<InheritedSockets> from_environment();
  // Takes bound sockets as they come.
  static Result<InheritedSockets> of(std::vector<Fd> sockets);

  // How many pairs there are of the address.
  size_t pairs(const SocketAddress& address) const;
  struct Pair {
    Fd udp;
    Fd tcp;
  };
  // A descriptor of its own for each worker, ready to be served. The address must have a pair.
  Result<Pair> pair_for(const SocketAddress& address, size_t worker) const;
  // Of any address at most.
  size_t most_pairs() const;
  std::vector<SocketAddress> addresses() const;

 private:
  std::map<SocketAddress, std::vector<Pair>> pairs_;
};

}  // namespace fairlead::dns
