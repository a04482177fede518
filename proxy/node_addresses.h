// SPDX-License-Identifier: Apache-2.0
// The addresses of this machine, as the kernel has them now: listed at start and after every change
// the kernel tells of, so that an address that comes or goes acts at once.
//
// Threads: the loop's. Inert until start(). A listing that fails is tried again after kRetry;
// meanwhile what was known stays. Works in the network namespace of the thread that opens it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/loop.h"
#include "netlink/connection.h"
#include "proxy/ruleset.h"

namespace fairlead::proxy {

class NodeAddresses {
 public:
  static constexpr Duration kRetry = std::chrono::seconds(1);
  // Sorted, each once; loopback (127.0.0.0/8, ::1) and link-local IPv6 addresses left out, and
  // those that kube-proxy's ipvs mode has put on an interface of its own, kube-ipvs0, which it
  // leaves behind: each Service's (pkg/proxy/ipvs, defaultDummyDevice).
  using Changed = std::function<void(const std::vector<IpAddress>&)>;

  static Result<std::unique_ptr<NodeAddresses>> open(Loop& loop, Changed changed);
  ~NodeAddresses();

  // `changed` runs after the first listing, and then whenever the list is another.
  void start();
  bool known() const { return known_; }
  const std::vector<IpAddress>& addresses() const { return addresses_; }

 private:
  NodeAddresses(Loop& loop, std::unique_ptr<netlink::Connection> connection, Changed changed);
  void list();
  void list_addresses(uint32_t besides_link);
  void failed(const Error& error);
  void listed(std::vector<IpAddress> addresses);

  Clock& clock_;
  std::unique_ptr<netlink::Connection> connection_;
  const Changed changed_;
  bool listing_ = false;
  bool again_ = false;  // something changed during the listing
  bool known_ = false;
  std::vector<IpAddress> addresses_;
  Alarm retry_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// Where node ports answer, of one family: in what the operator chose, else on the Node's `primary`
// address of it, and where it has none, or only a loopback address, on every address
// (cmd/kube-proxy/app/server_linux.go, NodePortAddressesPrimary; pkg/proxy/util
// NewNodePortAddresses). `primary` is empty while the Node is not known: nowhere then.
std::vector<Cidr> node_port_ranges(Family family, const std::optional<std::vector<Cidr>>& chosen,
                                   const std::vector<IpAddress>& primary);

// What a ruleset has to know besides Services: ranges of cluster IPs, by flag and
// `api_service_cidrs`, and which addresses have node ports, of the kernel's `addresses` or the
// Node's `primary` ones.
Parameters wanted_parameters(const Config& config, const std::vector<Cidr>& api_service_cidrs,
                             const std::vector<IpAddress>& addresses,
                             const std::vector<IpAddress>& primary);

// Those of `addresses` inside one of `cidrs`.
std::vector<IpAddress> addresses_inside(const std::vector<IpAddress>& addresses,
                                        const std::vector<Cidr>& cidrs);

}  // namespace fairlead::proxy
