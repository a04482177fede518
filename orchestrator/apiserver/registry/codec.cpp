// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/registry/codec.h"

#include <charconv>
#include <random>

namespace fairlead::orchestrator::apiserver {
namespace {

// Stands for the revision while the object is dumped; no client can guess it.
const std::string& marker() {
  static const std::string kMarker = [] {
    std::random_device random;
    std::string text = "rv-";
    for (int i = 0; i < 4; ++i) text += std::to_string(random());
    return text;
  }();
  return kMarker;
}

}  // namespace

store::Value encode(Json object) {
  object["metadata"]["resourceVersion"] = marker();
  store::Value value;
  value.bytes = dump(object);
  value.revision_slot = value.bytes.find(marker());
  value.bytes.erase(value.revision_slot, marker().size());
  return value;
}

Json decode_stored(const Bytes& bytes) {
  return Json::parse(*bytes, nullptr, false);
}

int64_t resource_version_of(const Json& object) {
  const std::string text = string_at(object, "metadata.resourceVersion");
  int64_t revision = 0;
  std::from_chars(text.data(), text.data() + text.size(), revision);
  return revision;
}

store::Value tombstone_of(const store::Entry& entry) {
  return encode(decode_stored(entry.value));
}

}  // namespace fairlead::orchestrator::apiserver
