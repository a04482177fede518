// SPDX-License-Identifier: Apache-2.0
// Any bytes as each kind of object, and as everything else a server may say in one document.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kube/decode.h"
#include "kube/service_import.h"

namespace {

using namespace fairlead::kube;

void require(bool condition) {
  if (!condition) std::abort();
}

// The same bytes give the same object; an error says something.
template <typename T>
void decode_twice(std::string_view json) {
  const auto first = decode<T>(json);
  const auto second = decode<T>(json);
  require(first.ok() == second.ok());
  if (first.ok()) {
    require(*first == *second);
    require(!first->meta.name.empty());
    require(decode_version(json)->key == first->meta.key());
  } else {
    require(!first.error().message().empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  decode_twice<Service>(json);
  decode_twice<EndpointSlice>(json);
  decode_twice<Node>(json);
  decode_twice<Namespace>(json);
  decode_twice<Pod>(json);
  decode_twice<ServiceImport>(json);
  const auto slice = decode<EndpointSlice>(json);
  if (slice.ok()) {
    for (const Endpoint& endpoint : slice->endpoints) {
      require(!endpoint.addresses.empty());
      for (const auto& address : endpoint.addresses) require(address.family() == slice->family);
    }
  }
  (void)decode_version(json);
  (void)decode_status(json);
  (void)decode_list_meta(json);
  const auto event = decode_event(json);
  if (event.ok()) {
    require(event->object.data() >= json.data());
    require(event->object.data() + event->object.size() <= json.data() + json.size());
    (void)decode_version(event->object);
  }
  return 0;
}
