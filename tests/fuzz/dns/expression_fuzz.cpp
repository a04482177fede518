// SPDX-License-Identifier: Apache-2.0
// Any text as an expression of `template`, in the expr language: an expression or an error;
// evaluating it ends, with a value that can be told or an error, and twice with the same.
#include <cstdlib>

#include "dns/plugins/template/expression.h"
#include "tests/fuzz/dns/template_data.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace fairlead::dns;
  static const FuzzedQuery query;
  const auto expression = Expression::parse({reinterpret_cast<const char*>(bytes), size}, {"v"});
  if (!expression.ok()) {
    if (expression.error().message().empty()) std::abort();
    return 0;
  }
  const auto first = expression->evaluate(query.data());
  const auto second = expression->evaluate(query.data());
  if (first.ok() != second.ok()) std::abort();
  if (first.ok() && (first->text() != second->text() || first->kind() == Value::Kind::kQuery))
    std::abort();
  return 0;
}
