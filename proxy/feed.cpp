// SPDX-License-Identifier: Apache-2.0
#include "proxy/feed.h"

#include <malloc.h>

#include <type_traits>

#include "base/log.h"

namespace fairlead::proxy {

namespace {

constexpr Duration kLook = std::chrono::milliseconds(20);

template <typename T>
kube::ReflectorOptions options(const char* label_selector) {
  kube::ReflectorOptions result;
  result.kind = kube::Kind<T>::kName;
  result.path = kube::resource_path(kube::Kind<T>::kApi, kube::Kind<T>::kResource);
  result.label_selector = label_selector;
  return result;
}

}  // namespace

Feed::Feed(Clock& clock, kube::ApiClient& client, ObjectSink& sink, NodeWatch& node)
    : clock_(clock),
      sink_(sink),
      node_(node),
      services_(*this),
      slices_(*this),
      service_reflector_(clock, client, services_,
                         options<kube::Service>("!service.kubernetes.io/service-proxy-name")),
      slice_reflector_(clock, client, slices_,
                       options<kube::EndpointSlice>("!service.kubernetes.io/headless")),
      ranges_(clock, client,
              [this](const std::vector<Cidr>& ranges) { sink_.set_service_cidrs(ranges); }) {
  node_.subscribe([this] { apply_node(); });
  ranges_.subscribe([this] { start_when_synced(); });
}

void Feed::start() {
  tell_node();
  ranges_.start();
  service_reflector_.start();
  slice_reflector_.start();
}

void Feed::apply_node() {
  tell_node();
  if (started_) stand_in();
  start_when_synced();
}

// True: somebody has named an address.
bool Feed::stand_in() {
  const std::optional<kube::Node> node = node_told_ ? std::nullopt : node_.stand_in();
  if (node) sink_.set_node(*node);
  return node.has_value();
}

// A Node that was deleted is not forgotten: what it was is still the best guess.
void Feed::tell_node() {
  if (!node_.node()) return;
  node_told_ = true;
  sink_.set_node(*node_.node());
}

void Feed::start_when_synced() {
  if (started_ || !services_.synced() || !slices_.synced()) return;
  if (!waiting_since_) waiting_since_ = clock_.now();
  const bool late = clock_.now() - *waiting_since_ >= kGrace;
  if (!late && (!node_.known() || !ranges_.known())) {
    // Not every refusal calls back.
    look_again_ = clock_.after(kLook, [this] { start_when_synced(); });
    return;
  }
  started_ = true;
  log::info("all Services and EndpointSlices are known");
  if (!node_.node())
    log::warn("the Node of this machine is not known, nor its zone and {} addresses, until it is",
              stand_in() ? "other" : "primary");
  sink_.start();
}

template <typename T>
Result<kube::ObjectVersion> Feed::Target<T>::put(std::string_view json) {
  const Result<T> object = kube::decode<T>(json);
  if (!object.ok()) return object.error();
  feed_.sink_.put(*object);
  return kube::ObjectVersion{object->meta.key(), object->meta.resource_version, false};
}

template <typename T>
void Feed::Target<T>::remove(const kube::ObjectKey& key) {
  if constexpr (std::is_same_v<T, kube::Service>)
    feed_.sink_.remove_service(key);
  else
    feed_.sink_.remove_slice(key);
}

template <typename T>
void Feed::Target<T>::retain(const std::set<kube::ObjectKey>& keys) {
  for (const kube::ObjectKey& key : besides(keys)) remove(key);
  malloc_trim(0);  // what reading the list took and nothing needs again
}

template <typename T>
std::vector<kube::ObjectKey> Feed::Target<T>::besides(const std::set<kube::ObjectKey>& keys) const {
  const ServiceMap& map = feed_.sink_.services();
  return std::is_same_v<T, kube::Service> ? map.services_besides(keys) : map.slices_besides(keys);
}

}  // namespace fairlead::proxy
