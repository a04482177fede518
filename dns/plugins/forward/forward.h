// SPDX-License-Identifier: Apache-2.0
// The plugin that asks other servers: it relays whole messages and waits for the reply.
//
// A server that fails (no reply in time, refused by the network) is followed by the next one until
// somebody replies, two rounds have been made or `total` has passed; then the client gets SERVFAIL
// and an extended error: 22 when nobody answered, 23 when the network refused. Any reply counts,
// SERVFAIL too. Over 1000 questions at once, all workers together, are REFUSED. Without any server:
// SERVFAIL and error 22. Servers that are down are asked for ". NS" every half second until they
// reply.
#pragma once

#include <memory>

#include "dns/plugin.h"
#include "dns/plugins/forward/exchange.h"
#include "dns/plugins/forward/in_flight.h"
#include "dns/plugins/forward/upstream.h"

namespace fairlead::dns {

struct ForwardOptions : PluginOptions {
  std::shared_ptr<UpstreamList> upstreams;
  UpstreamPolicy policy = UpstreamPolicy::kRandom;
  unsigned max_fails = 2;
  std::shared_ptr<InFlightLimit> in_flight = std::make_shared<InFlightLimit>(1000);
  Duration total = std::chrono::seconds(5);
  Duration probe_period = std::chrono::milliseconds(500);
  ExchangeLimits limits;
};

// `options` must be ForwardOptions.
std::unique_ptr<Plugin> make_forward(const PluginContext& context, const PluginOptions& options);

}  // namespace fairlead::dns
