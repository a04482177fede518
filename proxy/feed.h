// SPDX-License-Identifier: Apache-2.0
// Feeds a sink from an API server: Services and EndpointSlices straight into its ServiceMap,
// without a copy of the objects in between; its Node and the ranges of cluster IPs. The sink
// is started once Services and EndpointSlices are known completely, and the rest too or it is long
// in coming.
//
// What is asked for is what kube-proxy asks for (cmd/kube-proxy/app/server.go): Services that no
// other proxy serves, slices that are not of headless Services.
//
// Threads: the loop's. Inert until start(). All it is given must outlive it.
#pragma once

#include <functional>

#include "kube/reflector.h"
#include "proxy/node_watch.h"
#include "proxy/object_sink.h"

namespace fairlead::proxy {

class Feed {
 public:
  // How long Services wait for the Node and the ranges of cluster IPs.
  static constexpr Duration kGrace = std::chrono::seconds(5);

  // `node` is started by its owner.
  Feed(Clock& clock, kube::ApiClient& client, ObjectSink& sink, NodeWatch& node);

  void start();
  // Programming has begun.
  bool started() const { return started_; }

 private:
  template <typename T>
  class Target : public kube::ReflectorTarget {
   public:
    explicit Target(Feed& feed) : feed_(feed) {}
    Result<kube::ObjectVersion> put(std::string_view json) override;
    void remove(const kube::ObjectKey& key) override;
    void retain(const std::set<kube::ObjectKey>& keys) override;
    bool empty() const override { return besides({}).empty(); }
    void mark_synced() override {
      synced_ = true;
      feed_.start_when_synced();
    }
    bool synced() const { return synced_; }

   private:
    std::vector<kube::ObjectKey> besides(const std::set<kube::ObjectKey>& keys) const;

    Feed& feed_;
    bool synced_ = false;
  };
  void start_when_synced();
  void apply_node();
  void tell_node();
  bool stand_in();

  Clock& clock_;
  ObjectSink& sink_;
  NodeWatch& node_;
  Target<kube::Service> services_;
  Target<kube::EndpointSlice> slices_;
  kube::Reflector service_reflector_;
  kube::Reflector slice_reflector_;
  ServiceCidrWatch ranges_;
  std::optional<MonoTime> waiting_since_;
  Alarm look_again_;
  bool node_told_ = false;
  bool started_ = false;
};

}  // namespace fairlead::proxy
