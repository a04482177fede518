// SPDX-License-Identifier: Apache-2.0
// The names that record types, classes and rcodes have in text (IANA "Domain Name System
// Parameters"). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "dns/types.h"

namespace fairlead::dns {

std::string to_upper(std::string_view text);  // of ASCII

// Mnemonics in any case; TYPE731 and CLASS3 for those without.
std::optional<Type> type_from_text(std::string_view text);
std::string type_to_text(Type type);
std::optional<Class> class_from_text(std::string_view text);
std::string class_to_text(Class klass);
std::optional<Rcode> rcode_from_text(std::string_view text);  // "NXDOMAIN"
std::string rcode_to_text(Rcode rcode);                       // RCODE11 for those without a name

}  // namespace fairlead::dns
