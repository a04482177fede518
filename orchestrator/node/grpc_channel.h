// SPDX-License-Identifier: Apache-2.0
// gRPC over a unix socket, as bytes: the only door to the gRPC library. Messages are serialized
// protobufs; method names are full paths ("/runtime.v1.RuntimeService/Version").
//
// Threads: one object lives on one Loop; call() and subscribe() are made there and callbacks run
// there, never from inside the call. A thread of its own waits on gRPC's completion queue.
// Completion: the callback of a call runs exactly once (reply, failure, deadline), unless the
// channel is destroyed first: then nothing of it runs again. The connection is made when first
// needed and again after it breaks (delay 50 ms to 1 s); while it is down, calls fail at once with
// kUnavailable. Limits: messages of 16 MiB, as containerd's own.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/loop.h"
#include "base/result.h"

namespace fairlead::orchestrator {

// A server stream under way. Destroying it ends the stream; nothing of it runs after.
class GrpcStream {
 public:
  struct Pending {
    virtual ~Pending() = default;
  };
  GrpcStream() = default;
  explicit GrpcStream(std::unique_ptr<Pending> pending) : pending_(std::move(pending)) {}
  void cancel() { pending_.reset(); }

 private:
  std::unique_ptr<Pending> pending_;
};

class GrpcChannel {
 public:
  GrpcChannel(Loop& loop, const std::string& socket_path);
  ~GrpcChannel();
  GrpcChannel(const GrpcChannel&) = delete;
  GrpcChannel& operator=(const GrpcChannel&) = delete;

  void call(const std::string& method, const std::string& request, Duration deadline,
            std::function<void(Result<std::string>)> on_reply);
  // on_message for every message; on_end once when the stream ends, which is always an error
  // (kUnavailable when the server closed it in peace).
  [[nodiscard]] GrpcStream subscribe(const std::string& method, const std::string& request,
                                     std::function<void(std::string)> on_message,
                                     std::function<void(Error)> on_end);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace fairlead::orchestrator
