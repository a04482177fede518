// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/kubernetes/source.h"

#include <fmt/format.h>
#include <malloc.h>

#include "base/log.h"

namespace fairlead::dns {
namespace {

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

}  // namespace

Result<std::shared_ptr<ClusterSource>> ClusterSource::of(Host& host, const ClusterAccess& access,
                                                         const FeedFilter& filter) {
  const std::string name = fmt::format(
      "kubernetes {}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}{}{}{}{}", access.kubeconfig,
      access.context, access.endpoint, access.certificate, access.key, access.ca, filter.labels,
      filter.namespace_labels, fmt::join(filter.namespaces, " "), filter.endpoints, filter.pods,
      filter.content.pod_names, filter.content.topology, filter.content.namespaces);
  return host.shared<ClusterSource>(name, [&]() -> Result<std::shared_ptr<ClusterSource>> {
    std::shared_ptr<ClusterSource> source(new ClusterSource(host, filter));
    if (const Result<void> connected = source->connect(access, filter); !connected.ok())
      return connected.error();
    return source;
  });
}

Result<void> ClusterSource::connect(const ClusterAccess& access, const FeedFilter& filter) {
  Result<kube::ClientConfig> config = config_of(access, host_.kubeconfig());
  if (!config.ok()) return config.error();
  auto cluster = kube::Cluster::connect(host_.loop(), *std::move(config), "fairlead-dns/0.1.0");
  if (!cluster.ok()) return cluster.error();
  cluster_ = *std::move(cluster);
  readiness_ = host_.add_readiness("kubernetes", [this] { return zone_.snapshot().synced; });
  metrics_ = host_.add_metrics([this](std::string& out) {
    render_value(out, "fairlead_dns_services", "gauge", "Services known.", "", zone_.services());
    render_value(out, "fairlead_dns_endpoints", "gauge", "Ready endpoints known.", "",
                 zone_.endpoints());
    render_value(out, "fairlead_dns_zone_serial", "gauge",
                 "SOA serial: Unix time of the last change.", "", zone_.snapshot().serial);
    render_value(out, "fairlead_dns_synced", "gauge", "1 once all objects have been read.", "",
                 zone_.snapshot().synced ? 1 : 0);
  });
  feed_ = std::make_unique<ClusterFeed>(host_.loop(), cluster_->api(), zone_, filter, [this] {
    unsynced_.cancel();
    host_.ready_changed();
    malloc_trim(0);  // what reading the first lists took and nothing needs again
  });
  unsynced_ = host_.loop().clock().after(kWordLimit, [this] {
    log::warn("no word from {} yet: SERVFAIL for what is not known", cluster_->config().server);
  });
  feed_->start();
  return ok();
}

}  // namespace fairlead::dns
