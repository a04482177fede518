// SPDX-License-Identifier: Apache-2.0
// How descriptors are divided.
#include <gtest/gtest.h>

#include "proxy/stream/budget.h"
#include "proxy/stream/relay.h"
#include "proxy/stream/udp.h"

namespace fairlead::proxy::stream {
namespace {

const size_t kPipes = RelaySettings().pipes, kSessions = UdpSettings().sessions;

TEST(Budget, GivesConnectionsWhatNobodyElseNeeds) {
  struct Case {
    size_t descriptors, workers, listening;
    size_t connections;  // of all workers
  };
  for (const Case& c :
       {Case{20'000, 1, 10, 8203}, Case{20'000, 2, 10, 8074}, Case{20'000, 2, 4000, 5702},
        Case{1024, 2, 10, 198}, Case{1'048'576, 8, 1000, 456'784}, Case{64, 2, 0, 2}}) {
    const Budget budget(c.descriptors, c.workers, kPipes, kSessions);
    EXPECT_EQ(budget.connections(c.listening) * c.workers, c.connections) << c.descriptors;
  }
}

// Whatever the order in which they come, all that there is together stays below the limit.
TEST(Budget, IsNeverExceeded) {
  for (const size_t descriptors : {64u, 256u, 1024u, 4096u, 20'000u, 1'048'576u})
    for (const size_t workers : {1u, 2u, 8u, 64u}) {
      const Budget budget(descriptors, workers, kPipes, kSessions);
      const size_t fixed = (2 * budget.pipes() + budget.sessions()) * workers;
      for (size_t open = 0; open <= budget.connections(0) * workers; open += 1 + open / 3) {
        const size_t listening = budget.listening(open);
        if (listening == 0) continue;
        EXPECT_LE(fixed + listening + 2 * open + 64 + 8 * workers, descriptors)
            << descriptors << " " << workers << " " << open;
        EXPECT_LE(listening, descriptors * 6 / 16);
      }
      for (size_t sockets = 0; sockets <= budget.listening(0); sockets += 1 + sockets / 3) {
        const size_t each = budget.connections(sockets);
        if (each == 1) continue;  // it may always have one
        EXPECT_LE(fixed + sockets + 2 * each * workers + 64 + 8 * workers, descriptors)
            << descriptors << " " << workers << " " << sockets;
      }
    }
}

// A cluster that grows by a fifth has room for it, however many connections are open.
TEST(Budget, LeavesRoomForMoreSockets) {
  const Budget budget(20'000, 2, kPipes, kSessions);
  for (const size_t sockets : {0u, 100u, 1000u, 4000u})
    EXPECT_GE(budget.listening(budget.connections(sockets) * 2), sockets + sockets / 5) << sockets;
}

}  // namespace
}  // namespace fairlead::proxy::stream
