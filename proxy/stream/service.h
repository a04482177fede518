// SPDX-License-Identifier: Apache-2.0
// What a worker has to know of one frontend, as a value that never changes: the control loop makes
// a new one and hands it over by shared_ptr. And the decisions that follow from it alone. Pure.
//
// The decisions are those of the kernel plane's chains (proxy/choice.h):
//   kRefuse    nobody listens: the kernel answers with a reset or ICMP port unreachable
//   kDrop      a socket listens whose filter lets nobody in: no answer
//   kCluster, kExternal   every client goes to one set of endpoints
//   kLocal     pods and this node go to the endpoints anywhere (`inside`), others to those here;
//              where there are none here, only pods and this node are let in
//   a guard    only sources in its ranges are let in
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/time.h"
#include "proxy/service_map.h"
#include "proxy/stream/affinity.h"
#include "proxy/stream/balance.h"
#include "proxy/stream/counters.h"

namespace fairlead::proxy::stream {

// The endpoints one choice is made among. Frontends of one service port share it, so that their
// connections count together and affinity holds whatever address is used.
struct EndpointSet {
  uint64_t id = 0;
  Policy policy = Policy::kTwoChoices;
  std::vector<SocketAddress> endpoints;                                     // sorted, each once
  std::shared_ptr<SharedMaglev> places = std::make_shared<SharedMaglev>();  // of `endpoints`
  std::vector<SocketAddress> leaving;       // the same; not chosen any more, but still serving
  std::shared_ptr<SharedAffinity> clients;  // null: no affinity
  Duration affinity{};
};

// Which clients are pods or this node itself.
struct Origins {
  std::vector<Cidr> pods;
  std::vector<IpAddress> node;  // sorted
  // `reached`: the address the client has used: its own, when this node asks a local address.
  bool inside(const IpAddress& client, const IpAddress& reached) const;
};

// Whose address endpoints see, where the relay can let them (source_nat.h): as the rules decide, by
// masquerading the others.
enum class KeptSources : uint8_t { kNone, kPods, kAll };

struct Service {
  std::string name;  // "default/web:http"
  Protocol protocol = Protocol::kTcp;
  Treatment treatment = Treatment::kRefuse;
  std::shared_ptr<const EndpointSet> outside;  // never null
  std::shared_ptr<const EndpointSet> inside;   // kLocal: for pods and this node; else null
  std::shared_ptr<const std::vector<Cidr>> ranges;
  std::shared_ptr<const Origins> origins;           // never null
  std::vector<std::shared_ptr<Counters>> counters;  // by worker
  bool proxy_protocol = false;                      // annotations.h
  KeptSources kept = KeptSources::kNone;
  // kRefuse: new connections wait so long for endpoints, instead of being refused; else 0.
  Duration hold{};
};

// Whether a client of that address may wait while there is no endpoint.
bool may_wait(const Service& service, const IpAddress& client);

// Where a client of that address goes. nullptr: it is not let in.
const EndpointSet* set_for(const Service& service, const IpAddress& client,
                           const IpAddress& reached);

// Whether an endpoint is to see this client's own address. A client of this node's own has it
// anyway.
bool keeps_source(const Service& service, const IpAddress& client);

// The sources that are let in at a socket of that address; nullopt: any. Sorted.
std::optional<std::vector<Cidr>> admitted(const Service& service, const IpAddress& reached);

}  // namespace fairlead::proxy::stream
