// SPDX-License-Identifier: Apache-2.0
// A Loop for a program that runs already. The constructor, for the start of one, ends the process
// where there is no descriptor left; this is an error then.
//
// Threads: any; the Loop belongs to the thread that runs it.
#pragma once

#include <memory>

#include "base/loop.h"

namespace fairlead {

// kResourceExhausted: no descriptors for one. The first Loop of a process must have been made by
// the constructor: libuv ends the process where there is no room for what its loops share.
Result<std::unique_ptr<Loop>> open_loop();

}  // namespace fairlead
