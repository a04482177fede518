// SPDX-License-Identifier: Apache-2.0
#include "proxy/node_addresses.h"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <functional>

#include "base/log.h"
#include "netlink/route/address.h"
#include "netlink/route/link.h"

namespace fairlead::proxy {

namespace route = netlink::route;

namespace {

template <typename T>
void make_unique(std::vector<T>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

bool has_node_ports(const IpAddress& address) {
  static const Cidr kLinkLocal = Cidr::parse("fe80::/10").value();
  return !address.is_loopback() && !address.is_unspecified() && !kLinkLocal.contains(address);
}

// The kernel lists those of all families (of MCTP, say): others are none.
Result<route::InterfaceAddress> parse_ip(const netlink::MessageView& message) {
  Result<route::InterfaceAddress> parsed = route::parse_address(message);
  if (parsed.ok() || !parsed.error().is(ErrorCode::kUnsupported)) return parsed;
  return route::InterfaceAddress();
}

}  // namespace

Result<std::unique_ptr<NodeAddresses>> NodeAddresses::open(Loop& loop, Changed changed) {
  auto connection = netlink::Connection::open(loop, netlink::Protocol::kRoute);
  if (!connection.ok()) return connection.error();
  std::unique_ptr<NodeAddresses> opened(
      new NodeAddresses(loop, std::move(*connection), std::move(changed)));
  for (const auto group : {RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR})
    if (auto subscribed = opened->connection_->subscribe(group); !subscribed.ok())
      return subscribed.error();
  return opened;
}

NodeAddresses::NodeAddresses(Loop& loop, std::unique_ptr<netlink::Connection> connection,
                             Changed changed)
    : clock_(loop.clock()), connection_(std::move(connection)), changed_(std::move(changed)) {
  connection_->set_on_notification([this](const netlink::MessageView&) { list(); });
  connection_->set_on_resync([this] { list(); });
}

NodeAddresses::~NodeAddresses() {
  *alive_ = false;
}

void NodeAddresses::start() {
  list();
}

void NodeAddresses::list() {
  if (std::exchange(listing_, true)) {
    again_ = true;
    return;
  }
  route::Link services;
  services.name = "kube-ipvs0";
  const auto index = std::make_shared<uint32_t>(0);  // no link has it
  connection_->request(
      route::get_link(services),
      [this, alive = alive_, index](const Result<void>& result) {
        if (!*alive) return;
        if (!result.ok() && !result.error().is_not_found()) return failed(result.error());
        list_addresses(*index);
      },
      [index](const netlink::MessageView& message) {
        if (const auto link = route::parse_link(message); link.ok()) *index = link->index;
      });
}

void NodeAddresses::list_addresses(uint32_t besides_link) {
  connection_->dump<route::InterfaceAddress>(
      route::dump_addresses(std::nullopt), parse_ip,
      [this, besides_link, alive = alive_](Result<std::vector<route::InterfaceAddress>> found) {
        if (!*alive) return;
        if (!found.ok()) return failed(found.error());
        listing_ = false;
        std::vector<IpAddress> addresses;
        for (const route::InterfaceAddress& one : *found)
          if (has_node_ports(one.address) && one.link != besides_link)
            addresses.push_back(one.address);
        listed(std::move(addresses));
        if (std::exchange(again_, false)) list();
      });
}

void NodeAddresses::failed(const Error& error) {
  listing_ = false;
  log::warn("listing this node's addresses failed: {}; trying again", error.message());
  retry_ = clock_.after(kRetry, [this] { list(); });
}

void NodeAddresses::listed(std::vector<IpAddress> addresses) {
  make_unique(addresses);
  if (std::exchange(known_, true) && addresses == addresses_) return;
  addresses_ = std::move(addresses);
  changed_(addresses_);
}

std::vector<IpAddress> addresses_inside(const std::vector<IpAddress>& addresses,
                                        const std::vector<Cidr>& cidrs) {
  std::vector<IpAddress> result;
  std::copy_if(addresses.begin(), addresses.end(), std::back_inserter(result),
               [&](const IpAddress& address) {
                 return std::any_of(cidrs.begin(), cidrs.end(),
                                    [&](const Cidr& cidr) { return cidr.contains(address); });
               });
  return result;
}

std::vector<Cidr> node_port_ranges(Family family, const std::optional<std::vector<Cidr>>& chosen,
                                   const std::vector<IpAddress>& primary) {
  if (chosen) return *chosen;
  if (primary.empty()) return {};
  std::vector<Cidr> ranges;
  for (const IpAddress& address : primary)
    if (address.family() == family && !address.is_loopback()) ranges.push_back(Cidr::host(address));
  if (ranges.empty()) ranges.emplace_back(IpAddress::any(family), 0);
  return ranges;
}

Parameters wanted_parameters(const Config& config, const std::vector<Cidr>& api_service_cidrs,
                             const std::vector<IpAddress>& addresses,
                             const std::vector<IpAddress>& primary) {
  Parameters result;
  const auto of_family = [&](const auto& one) { return one.family() == config.family; };
  std::vector<Cidr>& cidrs = result.service_cidrs;
  cidrs = config.service_cidrs;
  std::copy_if(api_service_cidrs.begin(), api_service_cidrs.end(), std::back_inserter(cidrs),
               of_family);
  result.node_known = config.node_port_cidrs || !primary.empty();
  // What the Node says of itself holds before an interface has it.
  std::vector<IpAddress> candidates = addresses;
  if (!config.node_port_cidrs)
    std::copy_if(primary.begin(), primary.end(), std::back_inserter(candidates),
                 [](const IpAddress& address) { return !address.is_loopback(); });
  result.node_addresses = addresses_inside(
      candidates, node_port_ranges(config.family, config.node_port_cidrs, primary));
  std::erase_if(result.node_addresses, std::not_fn(of_family));
  make_unique(result.node_addresses);
  make_unique(cidrs);
  return result;
}

}  // namespace fairlead::proxy
