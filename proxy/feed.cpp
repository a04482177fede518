// SPDX-License-Identifier: Apache-2.0
#include "proxy/feed.h"

#include <type_traits>

#include "base/log.h"

namespace fairlead::proxy {

namespace {

template <typename T>
kube::ReflectorOptions options(const char* label_selector) {
  kube::ReflectorOptions result;
  result.kind = kube::Kind<T>::kName;
  result.path = kube::resource_path(kube::Kind<T>::kApi, kube::Kind<T>::kResource);
  result.label_selector = label_selector;
  return result;
}

}  // namespace

Feed::Feed(Clock& clock, kube::ApiClient& client, Proxy& proxy)
    : proxy_(proxy),
      services_(*this),
      slices_(*this),
      service_reflector_(clock, client, services_,
                         options<kube::Service>("!service.kubernetes.io/service-proxy-name")),
      slice_reflector_(clock, client, slices_,
                       options<kube::EndpointSlice>("!service.kubernetes.io/headless,"
                                                    "!service.kubernetes.io/service-proxy-name")) {}

void Feed::start() {
  service_reflector_.start();
  slice_reflector_.start();
}

void Feed::start_when_synced() {
  if (started_ || !services_.synced() || !slices_.synced()) return;
  started_ = true;
  log::info("{} Services and {} EndpointSlices are known, programming starts",
            proxy_.services().services().size(), proxy_.services().slices().size());
  proxy_.start();
}

template <typename T>
Result<kube::ObjectVersion> Feed::Target<T>::put(std::string_view json) {
  const Result<T> object = kube::decode<T>(json);
  if (!object.ok()) return object.error();
  feed_.proxy_.put(*object);
  return kube::ObjectVersion{object->meta.key(), object->meta.resource_version, false};
}

template <typename T>
void Feed::Target<T>::remove(const kube::ObjectKey& key) {
  if constexpr (std::is_same_v<T, kube::Service>)
    feed_.proxy_.remove_service(key);
  else
    feed_.proxy_.remove_slice(key);
}

template <typename T>
void Feed::Target<T>::retain(const std::set<kube::ObjectKey>& keys) {
  const ServiceMap& map = feed_.proxy_.services();
  for (const kube::ObjectKey& key :
       std::is_same_v<T, kube::Service> ? map.services() : map.slices())
    if (!keys.contains(key)) remove(key);
}

}  // namespace fairlead::proxy
