// SPDX-License-Identifier: Apache-2.0
// The plugin that asks other servers: it relays whole messages and waits for the reply.
//
// A server that fails (no reply in time, refused by the network, no TLS to be had) is followed by
// the next one until somebody replies, `attempts` have failed or `total` has passed; then the
// client gets SERVFAIL and an extended error: 22 when nobody answered, 23 when the network or TLS
// refused. Any reply counts, SERVFAIL too, but for the rcodes in `failover`: these are passed on
// only when no other server has better. Over `in_flight` questions at once, all workers together,
// are REFUSED, and so are those of a client that has its share of them (client_share.h). Without
// any server: SERVFAIL and error 22. Servers that are down are asked for
// `probe_name` NS every `probe_period` until they reply.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dns/plugin.h"
#include "dns/plugins/forward/exchange.h"
#include "dns/plugins/forward/in_flight.h"
#include "dns/plugins/forward/targets.h"
#include "dns/plugins/forward/upstream.h"

namespace fairlead::dns {

struct ForwardOptions : PluginOptions {
  // Whatever `attempts` says.
  static constexpr size_t kMaxAttempts = 150;

  std::string server;                 // label of metrics
  std::vector<Name> from = {Name()};  // for which names: a zone, or those of a prefix
  std::vector<Name> except;           // and for which below them not
  std::shared_ptr<UpstreamList> upstreams;
  UpstreamPolicy policy = UpstreamPolicy::kRandom;
  unsigned max_fails = 2;
  std::shared_ptr<InFlightLimit> in_flight = std::make_shared<InFlightLimit>(1000);
  std::optional<size_t> attempts;  // that fail, for one question; two for each server without
  bool failfast = false;           // SERVFAIL at once when all servers are down
  bool force_tcp = false;
  bool prefer_udp = false;      // also for clients that ask over TCP
  std::vector<Rcode> failover;  // with these of a reply the next server is asked
  // With these, or no record in the answer, the next directive for the name is asked.
  std::vector<Rcode> next;
  bool next_on_nodata = false;
  Duration total = std::chrono::seconds(5);  // not less than the time of one server
  Duration probe_period = std::chrono::milliseconds(500);
  Name probe_name;
  bool probe_recursion = true;  // RD
  IdleLimits idle;
  ExchangeLimits limits;
  std::optional<IpAddress> source;  // where our questions come from
  std::shared_ptr<TlsClient> tls;   // null: no server is asked over TLS
  TlsPems pems;                     // for HTTPS, too
  bool https_get = false;           // GET instead of POST
  std::shared_ptr<ForwardMetrics> metrics = std::make_shared<ForwardMetrics>();

  corefile::Place place;                 // of the directive
  std::vector<Target> targets;           // as written
  std::vector<SocketAddress> resolvers;  // for host names among them; none: those of
  std::string resolv_conf = "/etc/resolv.conf";
  Duration look_up = std::chrono::seconds(30);  // again
  Duration look_up_retry = std::chrono::seconds(5);
  // The block's further `forward` directives; the first that is for a name gets it.
  std::vector<std::shared_ptr<ForwardOptions>> others;

  bool is_for(const Name& name) const;
};

}  // namespace fairlead::dns
