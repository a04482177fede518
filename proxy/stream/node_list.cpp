// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/node_list.h"

#include <utility>

#include "kube/decode.h"

namespace fairlead::proxy::stream {

namespace {

using kube::Kind;

kube::ReflectorOptions all_nodes() {
  kube::ReflectorOptions options;
  options.kind = Kind<kube::Node>::kName;
  options.path = kube::resource_path(Kind<kube::Node>::kApi, Kind<kube::Node>::kResource);
  return options;
}

}  // namespace

std::optional<IpAddress> api_server_address(const std::string& url) {
  const size_t scheme = url.find("://");
  const size_t begin = scheme == std::string::npos ? 0 : scheme + 3;
  const std::string host = url.substr(begin, url.find('/', begin) - begin);
  for (const std::string& text : {host, host + ":443"})
    if (const auto address = SocketAddress::parse(text); address.ok()) return address->address;
  return std::nullopt;
}

NodeList::NodeList(Clock& clock, kube::ApiClient& client, Changed on_change)
    : on_change_(std::move(on_change)), reflector_(clock, client, *this, all_nodes()) {}

// Most changes of a Node are of its status, and none of ours.
Result<kube::ObjectVersion> NodeList::put(std::string_view json) {
  const Result<kube::Node> node = kube::decode<kube::Node>(json);
  if (!node.ok()) return node.error();
  std::vector<IpAddress> addresses = node->internal_ips;
  addresses.insert(addresses.end(), node->external_ips.begin(), node->external_ips.end());
  std::vector<IpAddress>& known = nodes_[node->meta.key()];
  if (known != addresses) {
    known = std::move(addresses);
    publish();
  }
  return kube::ObjectVersion{node->meta.key(), node->meta.resource_version, false};
}

void NodeList::remove(const kube::ObjectKey& key) {
  if (nodes_.erase(key) > 0) publish();
}

void NodeList::retain(const std::set<kube::ObjectKey>& keys) {
  if (std::erase_if(nodes_, [&](const auto& entry) { return !keys.contains(entry.first); }) > 0)
    publish();
}

void NodeList::mark_synced() {
  synced_ = true;
  publish();
}

void NodeList::publish() {
  if (!synced_) return;
  std::set<IpAddress> all;
  for (const auto& [key, addresses] : nodes_) all.insert(addresses.begin(), addresses.end());
  on_change_(std::move(all));
}

}  // namespace fairlead::proxy::stream
