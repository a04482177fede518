// SPDX-License-Identifier: Apache-2.0
// The functions of templates: Go's own, but for `call` and those that escape for HTML, and
// CoreDNS's parseInt. Pure.
#pragma once

#include <span>
#include <string_view>

#include "dns/plugins/template/value.h"

namespace fairlead::dns {

// `and` and `or` are among them, and are no business of call_function(): they do not look at all of
// their arguments.
bool is_function(std::string_view name);

Result<Value> call_function(std::string_view name, std::span<const Value> arguments);

// Fails on what printf does not understand in a format.
Result<void> check_format(std::string_view format);

}  // namespace fairlead::dns
