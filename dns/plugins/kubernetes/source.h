// SPDX-License-Identifier: Apache-2.0
// A cluster that is watched: its API server, the feed and the zone that is made of it. All server
// blocks that ask for the same one share it, over a reload of the configuration too. Threads: the
// program's.
#pragma once

#include <memory>
#include <string>

#include "dns/feed.h"
#include "dns/host.h"
#include "dns/plugins/kubernetes/kubernetes.h"
#include "dns/zone/zone.h"
#include "kube/cluster.h"

namespace fairlead::dns {

class ClusterSource {
 public:
  // The one there is, or a new one that begins to watch. Fails when a file cannot be read.
  static Result<std::shared_ptr<ClusterSource>> of(Host& host, const ClusterAccess& access,
                                                   const FeedFilter& filter);

  Published& published() { return zone_.published(); }

 private:
  ClusterSource(Host& host, const FeedFilter& filter) : host_(host), zone_(filter.content) {}
  Result<void> connect(const ClusterAccess& access, const FeedFilter& filter);

  Host& host_;
  Zone zone_;
  std::unique_ptr<kube::Cluster> cluster_;
  std::unique_ptr<ClusterFeed> feed_;
  Alarm unsynced_;
  Host::Token readiness_;
  Host::Token metrics_;
};

}  // namespace fairlead::dns
