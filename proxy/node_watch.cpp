// SPDX-License-Identifier: Apache-2.0
#include "proxy/node_watch.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/log.h"
#include "kube/decode.h"

namespace fairlead::proxy {

namespace {

using kube::Kind;

constexpr const char* kVersions[] = {Kind<kube::ServiceCidr>::kApi,
                                     Kind<kube::ServiceCidr>::kOldApi};
constexpr Duration kAskLimit = std::chrono::seconds(10);

kube::ReflectorOptions node_options(const std::string& name) {
  kube::ReflectorOptions options;
  options.kind = Kind<kube::Node>::kName;
  options.path = kube::resource_path(Kind<kube::Node>::kApi, Kind<kube::Node>::kResource);
  options.field_selector = "metadata.name=" + name;
  return options;
}

// An APIResourceList names what a version has.
bool has_resource(const std::string& body, const char* name) {
  const nlohmann::json list = nlohmann::json::parse(body, nullptr, false);
  if (!list.is_object() || !list.contains("resources") || !list["resources"].is_array())
    return false;
  const auto& resources = list["resources"];
  return std::any_of(resources.begin(), resources.end(), [&](const nlohmann::json& resource) {
    return resource.is_object() && resource.contains("name") && resource["name"] == name;
  });
}

// The server will not tell.
bool is_refused(const kube::Reflector& reflector) {
  const std::optional<Error>& error = reflector.status().last_error;
  return error && (error->is(ErrorCode::kPermission) || error->is_not_found());
}

}  // namespace

std::vector<IpAddress> primary_addresses(const kube::Node& node) {
  std::vector<IpAddress> all = node.internal_ips;
  all.insert(all.end(), node.external_ips.begin(), node.external_ips.end());
  std::vector<IpAddress> primary;
  for (const IpAddress& address : all)
    if (std::none_of(primary.begin(), primary.end(),
                     [&](const IpAddress& other) { return other.family() == address.family(); }))
      primary.push_back(address);
  return primary;
}

NodeWatch::NodeWatch(Clock& clock, kube::ApiClient& client, std::string name,
                     const IpAddress& bind_address)
    : name_(std::move(name)),
      bind_address_(bind_address),
      reflector_(clock, client, *this, node_options(name_)) {}

bool NodeWatch::refused() const {
  return is_refused(reflector_);
}

std::optional<kube::Node> NodeWatch::stand_in() const {
  if (bind_address_.is_unspecified() || !missing()) return std::nullopt;
  kube::Node node;
  node.meta.name = name_;
  node.internal_ips = {bind_address_};
  return node;
}

Result<kube::ObjectVersion> NodeWatch::put(std::string_view json) {
  Result<kube::Node> node = kube::decode<kube::Node>(json);
  if (!node.ok()) return node.error();
  const kube::ObjectVersion version{node->meta.key(), node->meta.resource_version, false};
  if (node->meta.name != name_) return version;
  if (!bind_address_.is_unspecified())
    node->internal_ips.insert(node->internal_ips.begin(), bind_address_);
  const bool same = node_ == *node;
  node_ = *std::move(node);
  if (!same) changed();
  return version;
}

void NodeWatch::remove(const kube::ObjectKey& key) {
  if (!node_ || key != node_->meta.key()) return;
  log::warn("Node {} has been deleted", name_);
  node_.reset();
  changed();
}

void NodeWatch::retain(const std::set<kube::ObjectKey>& keys) {
  if (node_ && !keys.contains(node_->meta.key())) remove(node_->meta.key());
}

void NodeWatch::mark_synced() {
  const bool first = !std::exchange(synced_, true);
  if (first && !node_) log::warn("there is no Node {} yet", name_);
  changed();
}

void NodeWatch::changed() {
  for (const auto& subscriber : subscribers_) subscriber();
}

ServiceCidrWatch::ServiceCidrWatch(Clock& clock, kube::ApiClient& client,
                                   std::function<void(const std::vector<Cidr>&)> on_change,
                                   Duration retry)
    : clock_(clock), client_(client), on_change_(std::move(on_change)), retry_(retry) {}

void ServiceCidrWatch::ask(size_t version) {
  kube::ApiRequest request;
  request.path = kVersions[version];
  request.timeout = kAskLimit;
  call_ = client_.request(std::move(request), [this, version](const Result<HttpResponse>& answer) {
    on_answer(version, answer);
  });
}

void ServiceCidrWatch::on_answer(size_t version, const Result<HttpResponse>& response) {
  if (response.ok() && has_resource(response->body, Kind<kube::ServiceCidr>::kResource)) {
    kube::ReflectorOptions options;
    options.kind = Kind<kube::ServiceCidr>::kName;
    options.path = kube::resource_path(kVersions[version], Kind<kube::ServiceCidr>::kResource);
    reflector_ = std::make_unique<kube::Reflector>(clock_, client_, *this, options);
    return reflector_->start();
  }
  const bool told = response.ok() || response.error().is_not_found() ||
                    response.error().is(ErrorCode::kPermission);
  const size_t next = told ? version + 1 : 0;
  if (told && next < std::size(kVersions)) {
    again_ = clock_.after(Duration{}, [this, next] { ask(next); });
    return;
  }
  again_ = clock_.after(told ? kAskAgain : retry_, [this] { ask(0); });
  if (!told || known_) return;
  known_ = true;
  log::info("the API server has no ServiceCIDRs");
  if (subscriber_) subscriber_();
}

bool ServiceCidrWatch::known() const {
  return known_ || (reflector_ && is_refused(*reflector_));
}

Result<kube::ObjectVersion> ServiceCidrWatch::put(std::string_view json) {
  Result<kube::ServiceCidr> range = kube::decode<kube::ServiceCidr>(json);
  if (!range.ok()) return range.error();
  ranges_[range->meta.key()] = range->cidrs;
  publish();
  return kube::ObjectVersion{range->meta.key(), range->meta.resource_version, false};
}

void ServiceCidrWatch::remove(const kube::ObjectKey& key) {
  if (ranges_.erase(key) > 0) publish();
}

void ServiceCidrWatch::retain(const std::set<kube::ObjectKey>& keys) {
  std::erase_if(ranges_, [&](const auto& entry) { return !keys.contains(entry.first); });
  publish();
}

void ServiceCidrWatch::mark_synced() {
  synced_ = known_ = true;
  publish();
  if (subscriber_) subscriber_();
}

// Only what is complete: a range that is missing during the first list would be no harm, but each
// step would be a transaction.
void ServiceCidrWatch::publish() {
  if (!synced_) return;
  std::set<Cidr> all;
  for (const auto& [key, cidrs] : ranges_) all.insert(cidrs.begin(), cidrs.end());
  std::vector<Cidr> now(all.begin(), all.end());
  if (now == published_) return;
  published_ = std::move(now);
  on_change_(published_);
}

}  // namespace fairlead::proxy
