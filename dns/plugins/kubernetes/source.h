// SPDX-License-Identifier: Apache-2.0
// A cluster that is watched: its API server, the feed and the zone that is made of it. All server
// blocks that ask for the same one share it, over a reload of the configuration too. Threads: the
// program's.
//
// With a path for snapshots it is kept there (saver.h), and a source that finds one answers from it
// until the API server's first complete lists are here. For kStaleAfter it waits for these first:
// where the API server is there, clients see no stale answer and no SERVFAIL.
#pragma once

#include <memory>
#include <string>

#include "dns/feed.h"
#include "dns/host.h"
#include "dns/plugins/kubernetes/kubernetes.h"
#include "dns/plugins/kubernetes/rest_metrics.h"
#include "dns/plugins/kubernetes/saver.h"
#include "dns/zone/zone.h"
#include "kube/cluster.h"

namespace fairlead::dns {

// How long changes take, of all sources of the program.
struct ChangeMetrics {
  explicit ChangeMetrics(Host& host)
      : token(host.add_metrics([this](std::string& out) { histograms.render(out); })) {}
  ChangeHistograms histograms;
  Host::Token token;
};
// What they ask for.
struct RequestMetrics {
  explicit RequestMetrics(Host& host)
      : token(host.add_metrics([this](std::string& out) { counted->render(out); })) {}
  const std::shared_ptr<RestMetrics> counted = std::make_shared<RestMetrics>();
  Host::Token token;
};

class ClusterSource {
 public:
  static constexpr Duration kStaleAfter = std::chrono::milliseconds(20);

  // The one there is, or a new one that begins to watch. Fails when a file of `access` cannot be
  // read. `snapshot`: the path, empty: none, or the one that another block gave.
  static Result<std::shared_ptr<ClusterSource>> of(Host& host, const ClusterAccess& access,
                                                   const FeedFilter& filter,
                                                   const std::string& snapshot);

  Published& published() { return zone_.published(); }

 private:
  ClusterSource(Host& host, const FeedFilter& filter) : host_(host), zone_(filter.content) {}
  Result<void> connect(const ClusterAccess& access, const FeedFilter& filter);
  void add_monitoring(bool imports);
  void render(std::string& out) const;
  void keep_snapshot(const std::string& path);
  void load_snapshot(const std::string& path);
  std::string remark() const;

  Host& host_;
  Zone zone_;
  std::string description_;  // what is read, for the snapshot
  bool answers_stale_ = false;
  uint64_t stale_since_ = 0;  // Unix time of the snapshot that was loaded
  std::unique_ptr<SnapshotSaver> saver_;
  std::unique_ptr<kube::Cluster> cluster_;
  Alarm unsynced_;
  Alarm stale_;
  Host::Token readiness_;
  Host::Token metrics_;
  std::shared_ptr<ChangeMetrics> changes_;
  std::shared_ptr<RequestMetrics> requests_;
  std::unique_ptr<ClusterFeed> feed_;
};

}  // namespace fairlead::dns
