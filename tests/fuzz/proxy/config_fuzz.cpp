// SPDX-License-Identifier: Apache-2.0
// What is accepted can be written, is accepted again, and is the same; what is not is complained
// of.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "proxy/config.h"

using namespace fairlead::proxy;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto config = parse_config({reinterpret_cast<const char*>(data), size});
  if (!config.ok()) {
    if (config.error().message().empty()) std::abort();
    return 0;
  }
  (void)validate(*config);
  (void)without_effect(*config);
  const std::string yaml = to_yaml(*config);
  const auto again = parse_config(yaml);
  // Bytes that are no UTF-8 are replaced, once.
  if (!again.ok()) std::abort();
  if (to_yaml(*again) != yaml) std::abort();
  const auto json = parse_config(to_json(*again));
  if (!json.ok() || to_yaml(*json) != yaml) std::abort();
  return 0;
}
