// SPDX-License-Identifier: Apache-2.0
// "document\npatch" through the three kinds of patch.
#include <cstdint>
#include <string_view>

#include "orchestrator/apiserver/patch/patch.h"

using namespace fairlead::orchestrator::apiserver;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t line = text.find('\n');
  if (line == text.npos) return 0;
  auto document = parse_json(text.substr(0, line));
  auto patch = parse_json(text.substr(line + 1));
  if (!document || !patch) return 0;
  (void)apply_json_patch(*document, *patch);
  const Json merged = apply_merge_patch(*document, *patch);
  if (apply_merge_patch(merged, *patch) != merged)
    __builtin_trap();  // doing it twice changes nothing
  for (const char* type : {"Pod", "PodSpec", "Deployment", "Service", "ObjectMeta"})
    (void)apply_strategic_patch(*schema::Types::builtin().find(type), *document, *patch);
  return 0;
}
