// SPDX-License-Identifier: Apache-2.0
// Feeds a Proxy from an API server: Services and EndpointSlices straight into its ServiceMap,
// without a copy of the objects in between. The proxy starts once both are known completely.
//
// What is asked for is what kube-proxy asks for (cmd/kube-proxy/app/server.go): Services that no
// other proxy serves, slices that are not of headless Services.
//
// Threads: the loop's. Inert until start(). The client and the proxy must outlive it.
#pragma once

#include <functional>

#include "kube/reflector.h"
#include "proxy/proxy.h"

namespace fairlead::proxy {

class Feed {
 public:
  Feed(Clock& clock, kube::ApiClient& client, Proxy& proxy);

  void start();

 private:
  template <typename T>
  class Target : public kube::ReflectorTarget {
   public:
    explicit Target(Feed& feed) : feed_(feed) {}
    Result<kube::ObjectVersion> put(std::string_view json) override;
    void remove(const kube::ObjectKey& key) override;
    void retain(const std::set<kube::ObjectKey>& keys) override;
    void mark_synced() override {
      synced_ = true;
      feed_.start_when_synced();
    }
    bool synced() const { return synced_; }

   private:
    Feed& feed_;
    bool synced_ = false;
  };
  void start_when_synced();

  Proxy& proxy_;
  Target<kube::Service> services_;
  Target<kube::EndpointSlice> slices_;
  kube::Reflector service_reflector_;
  kube::Reflector slice_reflector_;
  bool started_ = false;
};

}  // namespace fairlead::proxy
