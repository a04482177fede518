// SPDX-License-Identifier: Apache-2.0
// Messages of containerd's event stream: any bytes.
#include "orchestrator/node/runtime_events.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)fairlead::orchestrator::parse_runtime_event({reinterpret_cast<const char*>(data), size});
  return 0;
}
