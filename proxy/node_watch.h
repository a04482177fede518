// SPDX-License-Identifier: Apache-2.0
// What the API says of the node we are on, and of the ranges of cluster IPs. Both are watched
// beside Services: programming does not wait for them for ever.
//
// Threads: the loop's. Inert until start(). The client must outlive them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "kube/client.h"
#include "kube/objects.h"
#include "kube/reflector.h"

namespace fairlead::proxy {

// The addresses of a node that count: its first internal one, else external, and the first of the
// other family (k8s.io/component-helpers/node/util GetNodeHostIPs).
std::vector<IpAddress> primary_addresses(const kube::Node& node);

// One object by name, whatever else the server sends.
class NodeWatch : public kube::ReflectorTarget {
 public:
  // `bind_address`: stands before the Node's own addresses (kube-proxy's --bind-address), unless it
  // is 0.0.0.0 or ::.
  NodeWatch(Clock& clock, kube::ApiClient& client, std::string name, const IpAddress& bind_address);

  // Runs at each change, and when it is known that there is no such Node.
  void subscribe(std::function<void()> callback) { subscribers_.push_back(std::move(callback)); }
  void start() { reflector_.start(); }

  const std::optional<kube::Node>& node() const { return node_; }
  // What to go by where missing(): a Node with the bind address alone (kube-proxy, detectNodeIPs).
  // Nullopt: nobody has named one, or the server has not said that there is none.
  std::optional<kube::Node> stand_in() const;
  // The server has told us, or will not.
  bool known() const { return synced_ || refused(); }
  // The server says there is none.
  bool missing() const { return synced_ && !node_; }
  bool refused() const;

 private:
  Result<kube::ObjectVersion> put(std::string_view json) override;
  void remove(const kube::ObjectKey& key) override;
  void retain(const std::set<kube::ObjectKey>& keys) override;
  void mark_synced() override;
  void changed();

  const std::string name_;
  const IpAddress bind_address_;
  std::optional<kube::Node> node_;
  bool synced_ = false;
  std::vector<std::function<void()>> subscribers_;
  kube::Reflector reflector_;
};

// ServiceCIDRs of a server that has them: v1, else v1beta1 (Kubernetes 1.31 and 1.32), else none,
// which is asked again every kAskAgain: a server may be upgraded.
class ServiceCidrWatch : public kube::ReflectorTarget {
 public:
  static constexpr Duration kAskAgain = std::chrono::minutes(10);
  static constexpr Duration kRetry = std::chrono::seconds(5);

  // `on_change` gets all ranges of all objects, sorted.
  ServiceCidrWatch(Clock& clock, kube::ApiClient& client,
                   std::function<void(const std::vector<Cidr>&)> on_change,
                   Duration retry = kRetry);

  void start() { ask(0); }
  // The server has told us, has none, or will not say.
  bool known() const;
  // Runs whenever known() or the ranges may have changed.
  void subscribe(std::function<void()> callback) { subscriber_ = std::move(callback); }

 private:
  Result<kube::ObjectVersion> put(std::string_view json) override;
  void remove(const kube::ObjectKey& key) override;
  void retain(const std::set<kube::ObjectKey>& keys) override;
  void mark_synced() override;
  void ask(size_t version);
  void on_answer(size_t version, const Result<HttpResponse>& response);
  void publish();

  Clock& clock_;
  kube::ApiClient& client_;
  std::function<void(const std::vector<Cidr>&)> on_change_;
  const Duration retry_;
  std::function<void()> subscriber_;
  std::map<kube::ObjectKey, std::vector<Cidr>> ranges_;
  std::vector<Cidr> published_;
  bool known_ = false;
  bool synced_ = false;
  HttpCall call_;
  Alarm again_;
  std::unique_ptr<kube::Reflector> reflector_;
};

}  // namespace fairlead::proxy
