// SPDX-License-Identifier: Apache-2.0
// Label and field selectors, request paths, Accept headers, quantities and times.
#include <cstdint>
#include <string_view>

#include "orchestrator/apiserver/auth/auth.h"
#include "orchestrator/apiserver/front/request_info.h"
#include "orchestrator/apiserver/schema/formats.h"
#include "orchestrator/apiserver/selector.h"
#include "orchestrator/apiserver/table/columns.h"

using namespace fairlead::orchestrator::apiserver;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Json labels = {{"a", "b"}, {"app", "web"}};
  if (auto selector = LabelSelector::parse(text)) (void)selector->matches(labels);
  if (auto selector = FieldSelector::parse(text)) (void)selector->matches({{"metadata", labels}});
  (void)read_request("GET", text, false);
  (void)negotiate(text, true, true);
  (void)Authenticator::parse(text);
  (void)parse_timestamp(text);
  (void)schema::base64_error(text);
  (void)schema::quantity_milli(text);
  if (auto canonical = schema::canonical_quantity(text))
    if (schema::canonical_quantity(*canonical) != canonical) __builtin_trap();
  return 0;
}
