// SPDX-License-Identifier: Apache-2.0
// What a Service asks of the stream proxy, by annotations of its own. Pure.
//
//   stream.fairlead.io/mode            "userspace": relay it, where the others go by rules;
//                                      "nftables"
//   stream.fairlead.io/balance         how to choose among endpoints: see parse_policy()
//   stream.fairlead.io/proxy-protocol  "v2": an endpoint is told the client's address in front of
//                                      each TCP stream; "off"
//   stream.fairlead.io/hold            how long a new TCP connection waits for an endpoint while
//                                      there is none, "30s"; "0s": it is refused; kMostHold at most
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "kube/objects.h"
#include "proxy/stream/balance.h"

namespace fairlead::proxy::stream {

inline constexpr Duration kMostHold = std::chrono::minutes(5);

struct Wishes {
  std::optional<Policy> balance = {};
  bool proxy_protocol = false;
  Duration hold{};
  bool relay = false;  // mode
  // What nobody knows: the annotation means nothing, and did so when the Service was seen first.
  bool mode_unknown = false;
  bool proxy_protocol_unknown = false;
  bool operator==(const Wishes&) const = default;
  // Then no TCP may reach endpoints without the header: they believe what a client writes.
  bool may_expect_header() const { return proxy_protocol || proxy_protocol_unknown; }
  // Where rules are beside: they must not lead TCP to endpoints.
  bool relay_only() const { return (relay || mode_unknown) && may_expect_header(); }
};

// What annotations say, each by itself: one whose value means nothing leaves of `before` (nothing:
// the Service is new to this process) what it is about, so that every node makes the same of the
// others, whatever it has seen before. Those of others are theirs.
struct WishesRead {
  Wishes wishes;
  std::optional<Error> bad;  // kInvalid: those that mean nothing, or that there are not, by name
};
WishesRead read_wishes(const std::map<std::string, std::string>& annotations,
                       const std::optional<Wishes>& before);

// Whether there are any of ours, whatever they say.
bool has_wishes(const kube::Service& service);

using OnBadAnnotation = std::function<void(const kube::Service&, const Error&)>;

// Those of every Service. `on_bad` hears once of what means nothing. One thread.
class WishBook {
 public:
  void set_on_bad(OnBadAnnotation callback) { on_bad_ = std::move(callback); }
  // True: they have changed. `known`: the Service is none that has just been seen first
  // (of no matter unless has_wishes()).
  bool put(const kube::Service& service, bool known);
  void remove(const kube::ObjectKey& service) { entries_.erase(service); }
  Wishes of(const kube::ObjectKey& service) const;
  // Nobody asks for anything.
  bool empty() const { return entries_.empty(); }
  // Who asks for something.
  std::vector<kube::ObjectKey> services() const;

 private:
  struct Entry {
    Wishes wishes;
    std::string uid;
    std::string told;  // of what was bad
  };
  std::map<kube::ObjectKey, Entry> entries_;  // those that ask for something
  OnBadAnnotation on_bad_;
};

}  // namespace fairlead::proxy::stream
