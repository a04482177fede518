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
  // Header with RD, the question, and an OPT record so that upstream may say much over UDP.
  uint8_t packet[kHeaderSize + kMaxNameSize + 4 + 11] = {};
  packet[2] = kFlagRecursionDesired >> 8;
  packet[5] = 1;
  packet[11] = 1;
  uint8_t* at = packet + kHeaderSize;
  std::memcpy(at, name.wire().data(), name.size());
  at += name.size();
  write_u16(at, static_cast<uint16_t>(type));
  write_u16(at + 2, static_cast<uint16_t>(Class::kIn));
  write_u16(at + 5, static_cast<uint16_t>(Type::kOpt));
  write_u16(at + 7, kEdnsUdpSize);
  at += 4 + 11;

  Query query;
  [[maybe_unused]] const Parsed parsed =
      parse_query({packet, static_cast<size_t>(at - packet)}, query);
  assert(parsed.verdict == Verdict::kAnswer);
  const std::unique_ptr<uint8_t[]> buffer(new uint8_t[kMaxMessage]);
  Reply reply({buffer.get(), kMaxMessage});
  reply.begin(query, kMaxMessage);
  const Client internal{client.address, Transport::kInternal};
  InternalPath path(std::move(on_reply));
  Request request(query, internal, reply, path);
  const Route* route = find(name);
  if (route == nullptr) refuse_name(reply);
  if (route == nullptr || route->chain->serve(request) == Step::kAnswered)
    path.send(reply.finish());
}

}  // namespace fairlead::dns
