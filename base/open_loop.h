// SPDX-License-Identifier: Apache-2.0
// A Loop for a program that runs already. The constructor, for the start of one, ends the process
// where there is no descriptor left; this is an error then, unless others take the last ones at the
// same moment.
//
// Threads: any; the Loop belongs to the thread that runs it.
#pragma once

#include <memory>

#include "base/loop.h"

namespace fairlead {

// kResourceExhausted: no descriptors for one. Not for the first Loop of a process: libuv ends the
// process where there is no room for what all of them share.
Result<std::unique_ptr<Loop>> open_loop();

}  // namespace fairlead
