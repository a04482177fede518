// SPDX-License-Identifier: Apache-2.0
// One message in, at most one message out: parses, rejects what is malformed, asks the
// chain of the zone, counts. Knows no socket. One for each address a worker listens on; its thread.
#pragma once

#include <cstdint>
#include <span>

#include "base/clock.h"
#include "dns/chain.h"
#include "dns/cookie.h"
#include "dns/metrics.h"
#include "dns/router.h"

namespace fairlead::dns {

class Handler {
 public:
  // Malformed queries answered in a second; more are dropped, since their senders may be forged.
  static constexpr uint32_t kMaxErrorsPerSecond = 200;

  // `local`: where it listens.
  Handler(const SocketAddress& local, WorkerMetrics& metrics, const CookieMaker& cookies,
          const Clock& clock)
      : local_(local),
        metrics_(metrics),
        unrouted_(metrics.block({label_of(local), "dropped"})),
        cookies_(cookies),
        clock_(clock) {}

  // Who answers from now on; outlives the handler or the next call.
  void set_router(const Router& router) { router_ = &router; }

  // The reply, in `buffer` (at least 512 bytes), or empty: it comes later through `path`, or never.
  std::span<const uint8_t> handle(std::span<const uint8_t> packet, Client client,
                                  std::span<uint8_t> buffer, ReplyPath& path);

  // Requests whose reply is still to come.
  size_t waiting() const { return waiting_; }

 private:
  class CountedPath;
  // "dns://:53", "dns://192.0.2.1:53": as CoreDNS calls the server there.
  static std::string label_of(const SocketAddress& local);
  bool may_answer_error();
  void add_cookie(const Query& query, const Client& client, Reply& reply) const;

  static const Router kNobody;
  const Router* router_ = &kNobody;
  const SocketAddress local_;
  WorkerMetrics& metrics_;
  BlockMetrics& unrouted_;  // queries for nobody here
  const CookieMaker& cookies_;
  const Clock& clock_;
  size_t waiting_ = 0;
  MonoTime second_{};  // in which errors are counted
  uint32_t errors_ = 0;
};

}  // namespace fairlead::dns
