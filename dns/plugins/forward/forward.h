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
#include <string>
#include <vector>

#include "dns/plugin.h"
#include "dns/plugins/forward/exchange.h"
#include "dns/plugins/forward/in_flight.h"
#include "dns/plugins/forward/upstream.h"

namespace fairlead::dns {

struct ForwardOptions : PluginOptions {
  Name from;                 // for which names
  std::vector<Name> except;  // and for which below it not
  std::shared_ptr<UpstreamList> upstreams;
  UpstreamPolicy policy = UpstreamPolicy::kRandom;
  unsigned max_fails = 2;
  std::shared_ptr<InFlightLimit> in_flight = std::make_shared<InFlightLimit>(1000);
  bool force_tcp = false;
  bool prefer_udp = false;  // also for clients that ask over TCP
  std::vector<Rcode> next;  // with these of a reply the next of them for the name is asked
  Duration total = std::chrono::seconds(5);
  Duration probe_period = std::chrono::milliseconds(500);
  Duration idle = std::chrono::seconds(10);  // of a connection
  ExchangeLimits limits;

  corefile::Place place;               // of the directive
  std::vector<SocketAddress> servers;  // written in the Corefile
  std::vector<std::string> files;      // resolv.conf(5)s with more of them, which are followed
  // The block's further `forward` directives; the first that is for a name gets it.
  std::vector<std::shared_ptr<ForwardOptions>> others;

  bool is_for(const Name& name) const;
};

}  // namespace fairlead::dns
