// SPDX-License-Identifier: Apache-2.0
// A client's document, as every kind: decoding, defaults, validation, an update onto itself, its
// table.
#include <cstdint>

#include "orchestrator/apiserver/registry/allocator.h"
#include "orchestrator/apiserver/registry/codec.h"
#include "orchestrator/apiserver/registry/filter.h"
#include "orchestrator/apiserver/registry/prepare.h"
#include "orchestrator/apiserver/table/table.h"

using namespace fairlead;
using namespace fairlead::orchestrator::apiserver;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  DocumentOptions options;
  auto json = parse_json({reinterpret_cast<const char*>(data), size}, &options.duplicates);
  if (!json) return 0;
  for (const Kind& kind : Kinds::builtin().all()) {
    Json document = *json;
    if (document.is_object()) document.erase("kind"), document.erase("apiVersion");
    std::vector<std::string> warnings;
    auto admitted = admit_document(kind, document, options, warnings);
    if (!admitted) continue;
    auto object = prepare_create(kind, "default", *admitted,
                                 {WallTime(std::chrono::hours(1)), "uid", "abcde"});
    if (!object) continue;
    if (kind.behaviour == Behaviour::kService) {
      ServiceAllocator allocator(*Cidr::parse("10.96.0.0/28"), {30000, 30003});
      if (!allocator.admit(kind.subject("s"), *object, nullptr)) continue;
    }
    const auto bytes = encode(*object).at(7);
    const Json stored = decode_stored(bytes);
    if (resource_version_of(stored) != 7) __builtin_trap();
    // What was accepted is accepted again, and nothing changes.
    auto again = prepare_update(kind, "", stored, stored);
    if (!again || *again != stored) __builtin_trap();
    (void)make_table(kind, {stored}, Json::object(), {}, {});
    (void)selectable_part(kind, stored);
  }
  return 0;
}
