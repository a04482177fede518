// SPDX-License-Identifier: Apache-2.0
// YAML bodies: what is read is JSON that reads back.
#include <cstdint>
#include <string_view>

#include "orchestrator/apiserver/yaml.h"

using namespace fairlead::orchestrator::apiserver;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<std::string> duplicates;
  const auto parsed =
      parse_yaml(std::string_view(reinterpret_cast<const char*>(data), size), &duplicates);
  if (parsed && !parse_json(dump(*parsed))) __builtin_trap();
  return 0;
}
