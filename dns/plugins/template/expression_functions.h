// SPDX-License-Identifier: Apache-2.0
// The functions of expressions (expression.h). No I/O and no clock.
#pragma once

#include <span>
#include <string_view>

#include "dns/plugins/template/text.h"

namespace fairlead::dns {

struct ExpressionFunction {
  std::string_view name;
  size_t least = 0;
  size_t most = 0;
  bool predicate = false;  // the second argument is an expression that sees each element as #
  Result<Value> (*call)(std::span<const Value> arguments, const TemplateData& data) = nullptr;
};

// Whether what it says depends on the query.
bool is_of_query(const ExpressionFunction& function);

// Null: there is none.
const ExpressionFunction* find_expression_function(std::string_view name);

// What any, all, none, one, filter, map and count come to: `results` has the predicate's value for
// each element.
Result<Value> apply_predicate(std::string_view name, const ValueList& elements,
                              const ValueList& results);

}  // namespace fairlead::dns
