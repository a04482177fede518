// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/kubernetes/source.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>

#include "base/file.h"
#include "base/log.h"
#include "dns/zone/snapshot_file.h"

namespace fairlead::dns {
namespace {

constexpr size_t kMaxSnapshot = 256 * 1024 * 1024;        // a million endpoints take 11 MB
constexpr Duration kWordLimit = std::chrono::seconds(5);  // then it is logged that there is none

Result<kube::ClientConfig> config_of(const ClusterAccess& access, const std::string& kubeconfig) {
  if (!access.kubeconfig.empty())
    return kube::load_kubeconfig(access.kubeconfig, kube::read_file, access.context);
  if (access.endpoint.empty()) return kube::find_config(kubeconfig);
  kube::ClientConfig config;
  config.server = access.endpoint;
  while (config.server.ends_with('/')) config.server.pop_back();
  config.certificate.file = access.certificate;
  config.key.file = access.key;
  config.ca.file = access.ca;
  return config;
}

// What is read: another's snapshot on disk is none to begin with.
std::string description_of(const ClusterAccess& access, const FeedFilter& filter) {
  return fmt::format("kubernetes {}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}{}{}{}{}{}",
                     access.kubeconfig, access.context, access.endpoint, access.certificate,
                     access.key, access.ca, filter.labels, filter.namespace_labels,
                     fmt::join(filter.namespaces, " "), filter.endpoints, filter.pods,
                     filter.content.pod_names, filter.content.topology, filter.content.namespaces,
                     filter.imports ? "\nimports" : "");
}

// What is kept of those who ask, which no snapshot has.
std::string description_of(const ClientContent& clients) {
  if (!clients.any) return {};
  return fmt::format("\nclients {}{}", clients.all_labels ? "*" : "",
                     fmt::join(clients.labels, " "));
}

std::string utc(uint64_t unix_time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(unix_time)));
}

}  // namespace

Result<std::shared_ptr<ClusterSource>> ClusterSource::of(Host& host, const ClusterAccess& access,
                                                         const FeedFilter& filter,
                                                         const std::string& snapshot) {
  const std::string description = description_of(access, filter);
  bool made = false;
  auto source = host.shared<ClusterSource>(
      description + description_of(filter.content.clients),
      [&]() -> Result<std::shared_ptr<ClusterSource>> {
        std::shared_ptr<ClusterSource> created(new ClusterSource(host, filter));
        created->description_ = description;
        if (const Result<void> connected = created->connect(access, filter); !connected.ok())
          return connected.error();
        made = true;
        return created;
      });
  if (!source.ok()) return source;
  // Somebody who only asks what would be answered neither needs one nor may change it.
  if (!snapshot.empty() && host.serves()) {
    if (made) (*source)->load_snapshot(snapshot);
    (*source)->keep_snapshot(snapshot);
  }
  if (made) (*source)->feed_->start();
  return source;
}

Result<void> ClusterSource::connect(const ClusterAccess& access, const FeedFilter& filter) {
  Result<kube::ClientConfig> config = config_of(access, host_.kubeconfig());
  if (!config.ok()) return config.error();
  requests_ = *host_.shared<RequestMetrics>("kubernetes requests", [this] {
    return Result<std::shared_ptr<RequestMetrics>>(std::make_shared<RequestMetrics>(host_));
  });
  auto cluster = kube::Cluster::connect(
      host_.loop(), *std::move(config), "fairlead-dns/0.1.0", [this](HttpTransport& inner) {
        return std::make_unique<CountedTransport>(inner, host_.loop().clock(), requests_->counted);
      });
  if (!cluster.ok()) return cluster.error();
  cluster_ = *std::move(cluster);
  description_ += "\n" + cluster_->config().server;
  add_monitoring(filter.imports);
  changes_ = *host_.shared<ChangeMetrics>("kubernetes changes", [this] {
    return Result<std::shared_ptr<ChangeMetrics>>(std::make_shared<ChangeMetrics>(host_));
  });
  feed_ = std::make_unique<ClusterFeed>(
      host_.loop(), cluster_->api(), zone_, filter, changes_->histograms, [this] {
        unsynced_.cancel();
        stale_.cancel();
        host_.ready_changed();
        malloc_trim(0);  // what reading the first lists took and nothing needs again
      });
  feed_->on_published([this] {
    if (saver_) saver_->changed();
  });
  feed_->on_lacking([this] { host_.ready_changed(); });
  unsynced_ = host_.loop().clock().after(kWordLimit, [this] {
    if (feed_->lacks_imports()) return;
    log::warn("no word from {} yet: SERVFAIL for what is not known", cluster_->config().server);
  });
  return ok();
}

void ClusterSource::add_monitoring(bool imports) {
  readiness_ = host_.add_readiness(
      "kubernetes",
      [this] {
        // What is stale is no reason for what is not to go. Where there is no ServiceImport the
        // other zones are answered all the same.
        return feed_->lacks_imports() || zone_.snapshot().synced ||
               (answers_stale_ && !host_.answered_before());
      },
      [this] { return remark(); });
  if (imports) return;  // the gauges tell of the cluster's own
  metrics_ = host_.add_metrics([this](std::string& out) { render(out); });
}

std::string ClusterSource::remark() const {
  if (!zone_.snapshot().stale) return {};
  return "answers from a snapshot of " + utc(stale_since_);
}

void ClusterSource::render(std::string& out) const {
  const Snapshot& snapshot = zone_.snapshot();
  render_value(out, "fairlead_dns_services", "gauge", "Services known.", "", zone_.services());
  render_value(out, "fairlead_dns_endpoints", "gauge", "Ready endpoints known.", "",
               zone_.endpoints());
  render_value(out, "fairlead_dns_zone_serial", "gauge",
               "SOA serial: Unix time of the last change.", "", snapshot.serial);
  render_value(out, "fairlead_dns_synced", "gauge", "1 once all objects have been read.", "",
               snapshot.synced ? 1 : 0);
  render_value(out, "fairlead_dns_stale", "gauge", "1 while a snapshot on disk is answered from.",
               "", snapshot.stale ? 1 : 0);
  const uint64_t taken = saver_ && saver_->taken() != 0 ? saver_->taken() : stale_since_;
  if (taken == 0) return;
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(
      host_.loop().clock().wall_now().time_since_epoch());
  render_value(out, "fairlead_dns_snapshot_age_seconds", "gauge",
               "Since the snapshot on disk was written.", "",
               std::max<int64_t>(0, now.count() - static_cast<int64_t>(taken)));
}

// The newest path counts.
void ClusterSource::keep_snapshot(const std::string& path) {
  if (saver_ && saver_->path() == path) return;
  saver_.reset();
  saver_ = std::make_unique<SnapshotSaver>(host_.loop(), zone_.published(), path, description_);
  if (zone_.snapshot().synced) saver_->changed();
}

// A file that is not there, or is no good, changes nothing.
void ClusterSource::load_snapshot(const std::string& path) {
  const MonoTime begun = host_.loop().clock().now();
  const Result<std::string> file = read_file(path, kMaxSnapshot);
  if (!file.ok()) {
    log::info("no snapshot to begin with: {}", file.error().message());
    return;
  }
  const Result<SavedSnapshot> saved = read_snapshot(*file, description_, zone_);
  if (!saved.ok()) {
    log::warn("the snapshot {} is not used: {}", path, saved.error().message());
    return;
  }
  zone_.set_stale();
  zone_.publish(saved->serial);
  stale_since_ = saved->taken;
  log::info("{} services with {} ready endpoints known from a snapshot of {}", zone_.services(),
            zone_.endpoints(), utc(stale_since_));
  const Duration taken = host_.loop().clock().now() - begun;
  stale_ =
      host_.loop().clock().after(std::max<Duration>(Duration::zero(), kStaleAfter - taken), [this] {
        answers_stale_ = true;
        log::warn("answering from the snapshot of {}: no word from {} yet", utc(stale_since_),
                  cluster_->config().server);
        host_.ready_changed();
        malloc_trim(0);  // the file, and what it was taken apart into
      });
}

}  // namespace fairlead::dns
