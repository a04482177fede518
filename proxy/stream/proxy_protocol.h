// SPDX-License-Identifier: Apache-2.0
// The PROXY protocol, version 2 (HAProxy's doc/proxy-protocol.txt, section 2.2), of a TCP stream.
// Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "base/address.h"

namespace fairlead::proxy::stream {

// What goes in front of the stream: that `client` reached `reached`, both of one family.
std::vector<uint8_t> proxy_header(const SocketAddress& client, const SocketAddress& reached);

}  // namespace fairlead::proxy::stream
