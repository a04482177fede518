// SPDX-License-Identifier: Apache-2.0
// One `forward` directive in one worker: the questions under way, the health of the servers as this
// worker sees it, its idle connections. Threads: the worker's loop's. Every question it takes is
// finished once, or dropped when it goes.
//
// Questions go out a few in each turn of the loop: who can be answered at once does not wait behind
// those who cannot, however many come.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/idle.h"
#include "dns/plugins/forward/client_share.h"
#include "dns/plugins/forward/forward.h"
#include "dns/plugins/forward/random_source.h"

namespace fairlead::dns {

class Forwarder {
 public:
  // The block's next one for the name behind `self`, or nullptr.
  using Next = std::function<Forwarder*(const Name& name, const Forwarder& self)>;

  // `options` outlive it.
  Forwarder(const PluginContext& context, const ForwardOptions& options, Next next);
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;

  bool is_for(const Name& name) const { return options_.is_for(name); }
  Step serve(Request& request);
  // A query that another one has deferred.
  void take(std::unique_ptr<Deferred> deferred);

 private:
  struct Places {
    InFlightLimit::Place of_all;
    ClientShare::Place of_client;
  };
  struct Pending {
    Places places;
    std::unique_ptr<Deferred> deferred;
    std::vector<uint8_t> query;
    std::vector<UpstreamServer> servers;
    size_t asked = 0;  // servers, again and again
    size_t failures = 0;
    std::vector<uint8_t> second_best;  // the last reply with an rcode in `failover`
    MonoTime deadline;
    MonoTime sent;              // to the present server
    std::string network_error;  // the last server's; empty: it did not reply in time
    std::string tls_failure;    // the last server's
    std::unique_ptr<UpstreamExchange> exchange;
  };

  // Why it cannot be asked; false: it can.
  bool refuse(const Client& client, Reply& reply, Places& places);
  void begin(Places places, std::unique_ptr<Deferred> deferred);
  void refresh_servers();
  ForwardMetrics::Server& counts(const UpstreamServer& server);
  size_t most_failures(const Pending& pending) const;
  void start_some();
  void attempt(uint64_t id);
  void on_done(uint64_t id, const Result<ReplyView>& result);
  bool wants_another(Pending& pending, const ReplyView& view);
  bool wants_next(const ReplyView& view) const;
  void reply(uint64_t id, const ReplyView& view);
  void give_up(uint64_t id);
  void start_probing();
  void probe();

  Loop& loop_;
  const ForwardOptions& options_;
  const std::string over_limit_;  // why a question is refused then
  const Next next_;
  UpstreamHealth health_;
  uint64_t version_ = 0;
  std::map<SocketAddress, ForwardMetrics::Server*> counts_;
  RandomSource random_;
  TlsDialer tls_;
  IdleConnections idle_;  // its connections use tls_
  HttpsClient https_;
  const Outside outside_;
  ClientShare clients_;
  std::map<uint64_t, Pending> pending_;
  uint64_t next_id_ = 0;
  std::deque<uint64_t> starting_;  // those that have not been asked yet
  Idle start_;
  Timer probe_timer_;
  std::map<UpstreamServer, std::unique_ptr<UpstreamExchange>> probes_;
};

}  // namespace fairlead::dns
