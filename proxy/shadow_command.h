// SPDX-License-Identifier: Apache-2.0
// `fairlead-proxy --shadow`: learns what a proxy learns, programs nothing, and compares what it
// would program with the rules kube-proxy has in the kernel (tables `ip kube-proxy` and `ip6
// kube-proxy`), or with iptables-save text. One comparison, then it ends.
//
// Threads: the loop's; a comparison holds it up for as long as it takes. Works in the network
// namespace of the thread that opens it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/result.h"
#include "netlink/connection.h"
#include "proxy/iptables_save.h"
#include "proxy/node_addresses.h"
#include "proxy/object_sink.h"
#include "proxy/shadow.h"
#include "proxy/take_over.h"

namespace fairlead::proxy {

struct ShadowSettings {
  std::string node_name;
  std::vector<Config> families;
  std::vector<std::string> rules_files;  // empty: the kernel's rules
  // A difference that goes within this time was one side being slower than the other: kube-proxy
  // takes its changes together for a second and more.
  Duration settle = std::chrono::seconds(30);
  Duration look_again = std::chrono::seconds(3);
};

class Shadow : public ObjectSink {
 public:
  static Result<std::unique_ptr<Shadow>> open(Loop& loop, ShadowSettings settings);

  void put(const kube::Service& service) override { services_.put(service); }
  void put(const kube::EndpointSlice& slice) override { services_.put(slice); }
  void remove_service(const kube::ObjectKey& key) override { services_.remove_service(key); }
  void remove_slice(const kube::ObjectKey& key) override { services_.remove_slice(key); }
  void set_node(const kube::Node& node) override;
  void set_service_cidrs(std::vector<Cidr> cidrs) override { service_cidrs_ = std::move(cidrs); }
  const ServiceMap& services() const override { return services_; }
  void start() override { started_ = true; }

  // All is known that a comparison needs.
  bool ready() const { return started_ && addresses_->known(); }
  // Runs the loop between two looks. `stop` is asked after each: to end early. An Error's message
  // is one sentence: no kube-proxy here, no permission, a file that is not understood and where.
  Result<Comparison> compare(const std::function<bool()>& stop = nullptr);

 private:
  Shadow(Loop& loop, ShadowSettings settings);
  Result<Comparison> look();
  Result<std::map<Family, OtherProxy>> kernel_rules();
  Result<std::map<Family, OtherProxy>> file_rules();

  Loop& loop_;
  const ShadowSettings settings_;
  ServiceMap services_;
  std::unique_ptr<netlink::Connection> connection_;
  std::unique_ptr<NodeAddresses> addresses_;
  std::vector<IpAddress> primary_addresses_;
  std::vector<Cidr> service_cidrs_;
  bool started_ = false;
};

}  // namespace fairlead::proxy
