// SPDX-License-Identifier: Apache-2.0
// Where a random test begins: FAIRLEAD_SEED replays a run, else the machine draws one. Printed, so
// that a failure's log says how to repeat it.
#pragma once

#include <cstdint>

namespace fairlead::test {

uint64_t random_seed();

}  // namespace fairlead::test
