// SPDX-License-Identifier: Apache-2.0
#include "dns/router.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace fairlead::dns {
void Router::add(const Route& route) {
  const auto at = std::find_if(routes_.begin(), routes_.end(), [&](const Route& other) {
    return other.zone.labels() < route.zone.labels();
  });
  routes_.insert(at, route);
}

void Router::ask(const Name& name, Type type, const Client& client, SendLater on_reply) const {
  const std::vector<uint8_t> packet = question_packet(name, type);
  Query query;
  [[maybe_unused]] const Parsed parsed = parse_query(packet, query);
  assert(parsed.verdict == Verdict::kAnswer);
  const std::unique_ptr<uint8_t[]> buffer(new uint8_t[kMaxMessage]);
  Reply reply({buffer.get(), kMaxMessage});
  reply.begin(query, kMaxMessage);
  const Client internal{client.address, Transport::kInternal, client.arrived, client.local,
                        client.trace};
  InternalPath path(std::move(on_reply));
  Request request(query, internal, reply, path);
  const Route* route = find(name);
  if (route == nullptr) refuse_name(reply);
  if (route == nullptr || route->chain->serve(request) == Step::kAnswered)
    path.send(reply.finish());
}

}  // namespace fairlead::dns
