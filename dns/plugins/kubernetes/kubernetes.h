// SPDX-License-Identifier: Apache-2.0
// The plugin that answers for the cluster domain and, as far as it knows the addresses, the reverse
// zones. At once, from the newest snapshot; only an ExternalName that leads out of the cluster
// domain waits for other chains.
#pragma once

#include <memory>
#include <vector>

#include "dns/answer.h"
#include "dns/feed.h"
#include "dns/plugin.h"

namespace fairlead::dns {

class ClusterSource;

// Which cluster is read. With neither a kubeconfig nor an endpoint: the program's kubeconfig, else
// the pod's service account.
struct ClusterAccess {
  std::string kubeconfig;
  std::string context;               // of the kubeconfig; empty: its current-context
  std::string endpoint;              // "https://10.96.0.1:443"
  std::string certificate, key, ca;  // files, for the endpoint
};

struct KubernetesOptions : PluginOptions {
  // One for each cluster domain; reverse zones are the first's that is not of imports.
  std::vector<ZoneConfig> zones;
  ClusterAccess access;
  FeedFilter filter;
  std::string snapshot;  // where what is known is kept; empty: nowhere
  Duration startup_timeout = std::chrono::seconds(5);  // how long queries wait for the first sync
  // Once started; tests set them by hand.
  Published* published = nullptr;
  std::shared_ptr<ClusterSource> source;
  // The same for the multicluster zones; null without one.
  Published* imports = nullptr;
  std::shared_ptr<ClusterSource> import_source;

  Published& published_for(const ZoneConfig& zone) const {
    return zone.multicluster ? *imports : *published;
  }
};

// Answers a request whose reply ends in a CNAME to `target` once that has been looked up: by the
// server block it belongs to. The CNAME alone is a complete answer too, should it not resolve. A
// question of our own is answered with it at once: it may not lead to another.
Step chase_alias(Router& router, Request& request, const Name& target);

// Appends to `reply` what `message`, an answer to a question for `target`, says of it: CNAME
// records and records of `type`, as far as they hang together (what an upstream adds unasked is
// left out). Nothing when it is malformed. TC is carried over.
void append_chased(std::span<const uint8_t> message, const Name& target, Type type, Reply& reply);

}  // namespace fairlead::dns
