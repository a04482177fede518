// SPDX-License-Identifier: Apache-2.0
// How long a changed endpoint takes until a client is told: a headless service has one of its ten
// addresses replaced again and again, and a client asks for it in a tight loop.
//
// The time is from when the API source has written the event to the socket until the first reply
// with the new address has been received. It so includes the event's way through the kernel, waking
// up, reading and decoding it, publishing, and a whole question; not making the event's JSON.
//
// Threads: the API's loop, which stands still meanwhile.
#pragma once

#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/result.h"
#include "tests/support/cluster_api.h"

namespace fairlead::bench {

// The service whose endpoints change; it must be there, and known to the server, before.
void put_moving_service(test::ClusterApi& api);

// Of `count` changes that the server at `server` hears of from `api`, one after another.
Result<std::vector<Duration>> time_changes(test::ClusterApi& api, const SocketAddress& server,
                                           int count);

}  // namespace fairlead::bench
