// SPDX-License-Identifier: Apache-2.0
// Label and field selectors, request paths, Accept headers, quantities and times.
#include <cstdint>
#include <string_view>

#include "orchestrator/apiserver/auth/auth.h"
#include "orchestrator/apiserver/front/request_info.h"
#include "orchestrator/apiserver/schema/formats.h"
#include "orchestrator/apiserver/selector.h"
#include "orchestrator/apiserver/table/columns.h"
#include "orchestrator/values/quantity.h"

using namespace fairlead::orchestrator::apiserver;
using fairlead::orchestrator::Quantity;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Json labels = {{"a", "b"}, {"app", "web"}};
  if (auto selector = LabelSelector::parse(text)) (void)matches(*selector, labels);
  if (auto selector = FieldSelector::parse(text)) (void)selector->matches({{"metadata", labels}});
  (void)read_request("GET", text, false);
  (void)negotiate(text, true, true);
  (void)Authenticator::parse(text);
  (void)parse_timestamp(text);
  (void)schema::base64_error(text);
  if (const auto quantity = Quantity::parse(text)) {
    (void)quantity->value();
    (void)quantity->milli();
    const auto again = Quantity::parse(quantity->canonical());
    if (!again || *again != *quantity) __builtin_trap();
  }
  return 0;
}
