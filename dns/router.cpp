// SPDX-License-Identifier: Apache-2.0
#include "dns/router.h"

#include <algorithm>

namespace fairlead::dns {
void Router::add(const Route& route) {
  const auto at = std::find_if(routes_.begin(), routes_.end(), [&](const Route& other) {
    return other.zone.labels() < route.zone.labels();
  });
  routes_.insert(at, route);
}

void Router::ask(const Name& name, Type type, const Client& client, SendLater on_reply) const {
  Client internal = client;
  internal.transport = Transport::kInternal;
  ask(question_packet(name, type), internal, std::move(on_reply));
}

void Router::ask(std::span<const uint8_t> packet, const Client& client, SendLater on_reply) const {
  Query query;
  const bool readable = parse_query(packet, query).verdict == Verdict::kAnswer;
  const Route* const route = readable ? find(query.name, query.type) : nullptr;
  if (route != nullptr) return route->chain->ask(packet, client, std::move(on_reply));
  std::vector<uint8_t> buffer(kMaxMessage);
  Reply reply(buffer);
  reply.begin(query, kMaxMessage);
  if (readable) {
    refuse_name(reply);
  } else {
    reply.set_rcode(Rcode::kFormErr);
  }
  on_reply(reply.finish());
}

}  // namespace fairlead::dns
