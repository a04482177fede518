// SPDX-License-Identifier: Apache-2.0
// The kernel's nf_tables with faults of a test's choice: requests of a Connection go on to a real
// netlink socket, or are refused, or their answer is lost on the way back.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/loop.h"
#include "netlink/connection.h"
#include "tests/support/namespace.h"

namespace fairlead::proxy::test {

class FaultyKernel {
 public:
  enum class Kind { kRequest, kDump, kBatch };
  struct Fault {
    int error = 0;             // refused with this errno, by the last of the messages
    bool whole = false;        // a batch refused as a whole, as a commit without memory is
    bool lose_answer = false;  // done, but nobody is told (as by ENOBUFS)
  };
  using Decide = std::function<Fault(Kind)>;

  // Speaks with the kernel of `ns`.
  FaultyKernel(Loop& loop, const fairlead::test::NetNamespace& ns);
  ~FaultyKernel();

  // The Connection's end; the one before is cut off.
  std::unique_ptr<netlink::Connection> connect();
  // Asked for every request.
  void set_decide(Decide decide) { decide_ = std::move(decide); }
  int batches() const { return batches_; }  // that have arrived here
  // CPU time the kernel took for the batch it took longest for.
  Duration longest_batch() const { return longest_; }

 private:
  void on_request();
  void take(std::vector<uint8_t>& datagram);
  void on_answer();
  void answer(uint32_t sequence, uint16_t type, int error);

  Loop& loop_;
  int kernel_ = -1;
  int ours_ = -1;
  std::unique_ptr<Poll> from_kernel_;
  std::unique_ptr<Poll> from_connection_;
  Decide decide_ = [](Kind) { return Fault(); };
  int batches_ = 0;
  Duration longest_{};
  uint32_t lost_from_ = 0, lost_to_ = 0;  // sequence numbers whose answers are lost
  std::vector<uint8_t> buffer_;
};

}  // namespace fairlead::proxy::test
