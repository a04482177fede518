// SPDX-License-Identifier: Apache-2.0
// Any bytes as a message that is taken apart and put together again: what could be decoded is the
// same after it.
#include <cstdlib>

#include "dns/edit.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fairlead::dns;
  const auto message = decode({data, size});
  if (!message) return 0;
  const std::vector<uint8_t> bytes = encode(*message);
  const auto again = decode(bytes);
  if (!again || !(again->name == message->name) || again->type != message->type) std::abort();
  if ((again->flags & kFlagTruncated) != 0) return 0;
  for (size_t i = 0; i < 3; ++i) {
    if (again->sections[i].size() != message->sections[i].size()) std::abort();
    for (size_t j = 0; j < again->sections[i].size(); ++j)
      if (!(again->sections[i][j].owner == message->sections[i][j].owner) ||
          again->sections[i][j].rdata.size() != message->sections[i][j].rdata.size())
        std::abort();
  }
  return 0;
}
