// SPDX-License-Identifier: Apache-2.0
// Two quantities, a line each: the canonical form says the same, and the order of quantities is the
// order of their values. (A canonical form need not be its own: "1.953125Ki" is "2000", which
// without a binary suffix is a decimal quantity, canonically "2k"; in Kubernetes too.)
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "orchestrator/values/quantity.h"

namespace {

using fairlead::orchestrator::Quantity;

void require(bool condition) {
  if (!condition) std::abort();
}

fairlead::Result<Quantity> parse(std::string_view text) {
  const auto quantity = Quantity::parse(text);
  if (!quantity.ok()) {
    require(!quantity.error().message().empty());
    return quantity;
  }
  const auto again = Quantity::parse(quantity->canonical());
  require(again.ok() && *again == *quantity);
  return quantity;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t line = text.find('\n');
  const auto first = parse(text.substr(0, line));
  if (line == std::string_view::npos) return 0;
  const auto second = parse(text.substr(line + 1));
  if (!first.ok() || !second.ok()) return 0;
  if (*first < *second) require(first->value() <= second->value());
  if (*first == *second) require(first->milli() == second->milli());
  require((*first <=> *second) == 0 <=> (*second <=> *first));
  return 0;
}
