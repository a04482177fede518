// SPDX-License-Identifier: Apache-2.0
// What TCP clients may take.
#pragma once

#include <cstddef>

#include "base/time.h"

namespace fairlead::dns {

struct TcpLimits {
  size_t connections = 512;
  size_t connections_per_client = 64;
  Duration message = std::chrono::seconds(3);
  Duration idle = std::chrono::seconds(10);
  Duration write = std::chrono::seconds(5);
  size_t waiting_queries = 128;
  size_t queries = 0;  // of one connection, which is closed after their replies; 0: any number
  size_t unsent_bytes = 256 * 1024;
};

}  // namespace fairlead::dns
