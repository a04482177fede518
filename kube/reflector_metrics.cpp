// SPDX-License-Identifier: Apache-2.0
#include "kube/reflector_metrics.h"

#include <utility>

#include "kube/reflector.h"

namespace fairlead::kube {

ReflectorMetrics::ReflectorMetrics(Metrics& metrics, const std::string& kind)
    : synced_(metrics.gauge("reflector_synced", "1 once the first list was complete.",
                            {{"name", kind}})),
      watching_(metrics.gauge("reflector_watching", "1 while a watch is open and complete.",
                              {{"name", kind}})),
      contact_(metrics.gauge("reflector_last_contact_timestamp_seconds",
                             "When the server last sent a byte; before that, of the start.",
                             {{"name", kind}})) {
  const auto follow = [&](uint64_t ReflectorStatus::*number, const char* name, const char* help) {
    followers_.push_back({metrics.counter(name, help, {{"name", kind}}), number});
  };
  follow(&ReflectorStatus::lists, "reflector_lists_total",
         "Complete lists, by LIST or WatchList; all but the first are relists.");
  follow(&ReflectorStatus::watches, "reflector_watches_total", "Watches opened.");
  follow(&ReflectorStatus::short_watches, "reflector_short_watches_total",
         "Watches that ended within a second.");
  follow(&ReflectorStatus::events, "reflector_events_total", "Changes seen in watches.");
  follow(&ReflectorStatus::failures, "reflector_failures_total",
         "Requests and streams that failed.");
  follow(&ReflectorStatus::decode_failures, "reflector_decode_failures_total",
         "Objects left out because they could not be decoded.");
}

void ReflectorMetrics::update(const ReflectorStatus& now, WallTime contact) {
  for (Follower& follower : followers_) {
    const uint64_t before = std::exchange(follower.seen, now.*follower.number);
    if (follower.seen != before) follower.counter.add(double(follower.seen - before));
  }
  synced_.set(now.synced ? 1 : 0);
  watching_.set(now.watching ? 1 : 0);
  contact_.set(std::chrono::duration<double>(contact.time_since_epoch()).count());
}

}  // namespace fairlead::kube
