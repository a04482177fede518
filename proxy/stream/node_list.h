// SPDX-License-Identifier: Apache-2.0
// The addresses of every Node of the cluster: a Service's external address that is one of them must
// not be taken for this node's own, or this node could not reach the other any more.
//
// Threads: the loop's. Inert until start(). The client must outlive it.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "kube/client.h"
#include "kube/reflector.h"

namespace fairlead::proxy::stream {

// Of the API server, in its URL; nullopt for a host by name.
std::optional<IpAddress> api_server_address(const std::string& url);

class NodeList : public kube::ReflectorTarget {
 public:
  // `on_change` gets all of them, once they are known completely and then at each change.
  using Changed = std::function<void(std::set<IpAddress>)>;
  NodeList(Clock& clock, kube::ApiClient& client, Changed on_change);

  void start() { reflector_.start(); }

 private:
  Result<kube::ObjectVersion> put(std::string_view json) override;
  void remove(const kube::ObjectKey& key) override;
  void retain(const std::set<kube::ObjectKey>& keys) override;
  void mark_synced() override;
  void publish();

  const Changed on_change_;
  std::map<kube::ObjectKey, std::vector<IpAddress>> nodes_;
  bool synced_ = false;
  kube::Reflector reflector_;
};

}  // namespace fairlead::proxy::stream
