// SPDX-License-Identifier: Apache-2.0
// The parameters of SVCB and HTTPS records in presentation form (RFC 9460 section 2.1), such as
// alpn="h2,h3" port=8443 ipv4hint=192.0.2.1 key65333=abc. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dns/rdata_text.h"

namespace fairlead::dns {

Result<std::vector<uint8_t>> svcb_from_text(std::span<const Token> tokens);

}  // namespace fairlead::dns
