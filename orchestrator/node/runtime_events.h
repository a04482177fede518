// SPDX-License-Identifier: Apache-2.0
// containerd's event service (containerd.services.events.v1), of which we hear /tasks/exit and
// /tasks/oom in the namespace of pods, "k8s.io".
//
// Threads: the loop's. The stream is opened again 200 ms doubling to 5 s after it ends, for ever.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "base/loop.h"
#include "orchestrator/node/cri.h"
#include "orchestrator/node/grpc_channel.h"

namespace fairlead::orchestrator {

// One message of the stream; nullopt: not one of ours. No I/O.
std::optional<RuntimeEvent> parse_runtime_event(std::string_view envelope);

class RuntimeEvents {
 public:
  // Both must outlive it.
  RuntimeEvents(Loop& loop, GrpcChannel& channel) : loop_(loop), channel_(channel) {}

  void subscribe(std::function<void(const RuntimeEvent&)> on_event, std::function<void()> on_gap);

 private:
  void open();
  void ended(const Error& error);

  Loop& loop_;
  GrpcChannel& channel_;
  std::function<void(const RuntimeEvent&)> on_event_;
  std::function<void()> on_gap_;
  GrpcStream stream_;
  Alarm retry_;
  Duration backoff_{};
};

}  // namespace fairlead::orchestrator
