// SPDX-License-Identifier: Apache-2.0
// From the API server into the zone: watches Services, EndpointSlices and Namespaces, Pods where
// that is asked for, keeps nothing of them but what the zone keeps, and publishes once for each
// burst of events.
//
// Threads: the loop's, which is the zone's writer.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "base/loop.h"
#include "dns/change_latency.h"
#include "dns/zone/zone.h"
#include "kube/client.h"
#include "kube/reflector.h"

namespace fairlead::dns {

// What of the cluster is read.
struct FeedFilter {
  std::set<std::string> namespaces;  // empty: all
  std::string labels;                // a selector of services and their slices; empty: all
  std::string namespace_labels;      // a selector of namespaces; empty: all
  bool endpoints = true;
  bool pods = false;
  // Instead of Services and their slices: ServiceImports (KEP-1645) and the slices that belong to
  // these, whatever `endpoints` and `pods` say. `labels` chooses slices alone.
  bool imports = false;
  ZoneContent content;

  auto operator<=>(const FeedFilter&) const = default;
};

class ClusterFeed {
 public:
  // `on_synced` runs once, when all kinds are complete and published. `histograms` outlive it.
  ClusterFeed(Loop& loop, kube::ApiClient& client, Zone& zone, FeedFilter filter,
              ChangeHistograms& histograms, std::function<void()> on_synced);
  // From now on runs after each publication of complete knowledge, the first included.
  void on_published(std::function<void()> callback) { on_published_ = std::move(callback); }
  ~ClusterFeed();
  ClusterFeed(const ClusterFeed&) = delete;
  ClusterFeed& operator=(const ClusterFeed&) = delete;

  void start();
  // The API server knows no ServiceImport, in any version; it is asked again and again.
  bool lacks_imports() const { return lacks_imports_; }
  // Runs when the first half of that becomes so.
  void on_lacking(std::function<void()> callback) { on_lacking_ = std::move(callback); }

 private:
  template <typename T>
  class Target;

  template <typename T>
  void add(const char* api);
  template <typename T>
  std::unique_ptr<kube::Reflector> reflector_of(const char* api, kube::ReflectorTarget& target);
  template <typename T>
  bool wants(const T& object) const;
  void look_for_imports();
  void changed();
  void synced_one();
  void publish();
  void release_held();
  void look_for_readers();

  static constexpr size_t kImports = 1;  // the place of ServiceImports among the targets

  Loop& loop_;
  kube::ApiClient& client_;
  Zone& zone_;
  const FeedFilter filter_;
  std::function<void()> on_synced_;
  std::function<void()> on_published_;
  std::vector<std::unique_ptr<kube::ReflectorTarget>> targets_;
  std::vector<std::unique_ptr<kube::Reflector>> reflectors_;
  size_t unsynced_ = 0;
  Timer publish_timer_;
  Timer reclaim_timer_;
  Timer hold_timer_;
  ChangeLatency latency_;
  Timer readers_timer_;
  int looks_ = 0;  // at the readers, since the last publication
  Timer imports_timer_;
  size_t imports_version_ = 0;
  size_t imports_refusals_ = 0;
  uint64_t imports_failures_ = 0;  // at the last look
  bool lacks_imports_ = false;
  std::function<void()> on_lacking_;
};

}  // namespace fairlead::dns
