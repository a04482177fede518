// SPDX-License-Identifier: Apache-2.0
// Mode userspace: every Service of the node is relayed, in a Proxy's place.
//
//   put, remove -> ServiceMap, WishBook, ApiServers -> Plane
//
// Threads: the loop's.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "proxy/object_sink.h"
#include "proxy/stream/plane.h"

namespace fairlead::proxy::stream {

class Userspace : public ObjectSink, private PlaneOwner {
 public:
  static Result<std::unique_ptr<Userspace>> open(Loop& loop, PlaneSettings settings);

  void put(const kube::Service& service) override;
  void put(const kube::EndpointSlice& slice) override;
  void remove_service(const kube::ObjectKey& key) override;
  void remove_slice(const kube::ObjectKey& key) override;
  void set_node(const kube::Node& node) override;
  void set_service_cidrs(std::vector<Cidr> cidrs) override;
  const ServiceMap& services() const override { return services_; }
  void start() override { plane_->start(); }

  // Besides the endpoints of Service default/kubernetes.
  void set_api_server(const IpAddress& address) { api_servers_.set_own(address); }
  // Runs after each change of services or endpoints.
  void set_on_services_changed(std::function<void()> callback) {
    on_services_changed_ = std::move(callback);
  }
  // Hears of annotations that mean nothing (WishBook).
  void set_on_bad_annotation(OnBadAnnotation callback) { wishes_.set_on_bad(std::move(callback)); }
  Plane& plane() { return *plane_; }

 private:
  explicit Userspace(const PlaneSettings& settings);
  Stage stage(const Frontend&) const override { return Stage::kServe; }
  Dirty frontends(Family family) const override { return services_.frontends(family); }
  void placed(const Frontend&, const std::optional<SocketAddress>&) override {}
  void mark(const Dirty& dirty);

  ServiceMap services_;
  WishBook wishes_;
  ApiServers api_servers_;
  std::function<void()> on_services_changed_;
  std::unique_ptr<Plane> plane_;
};

}  // namespace fairlead::proxy::stream
