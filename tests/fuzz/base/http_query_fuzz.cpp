// SPDX-License-Identifier: Apache-2.0
// Escapes: what decodes must come back from its encoding.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/http/types.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const bool plus : {false, true}) {
    const auto decoded = fairlead::percent_decode(text, plus);
    if (decoded && fairlead::percent_decode(fairlead::percent_encode(*decoded), plus) != decoded)
      std::abort();
  }
  const auto query = fairlead::parse_query(text);
  if (!query) return 0;
  std::string again;
  for (const auto& [name, value] : *query)
    again += fairlead::percent_encode(name) + "=" + fairlead::percent_encode(value) + "&";
  if (fairlead::parse_query(again) != query) std::abort();
  return 0;
}
