// SPDX-License-Identifier: Apache-2.0
// LOC records in presentation form (RFC 1876 section 3):
//
//   42 21 54.5 N 71 6 18 W -24m [SIZE [HORIZONTAL [VERTICAL]]]    precisions in metres
//
// Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dns/rdata_text.h"

namespace fairlead::dns {

Result<std::vector<uint8_t>> loc_from_text(std::span<const Token> tokens);

}  // namespace fairlead::dns
