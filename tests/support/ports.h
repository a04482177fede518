// SPDX-License-Identifier: Apache-2.0
// A free TCP and UDP port on loopback, for tests that must name one before they bind it.
#pragma once

#include <cstdint>

namespace fairlead::test {

uint16_t free_port();

}  // namespace fairlead::test
