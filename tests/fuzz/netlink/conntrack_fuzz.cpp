// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>

#include "netlink/conntrack.h"

using namespace fairlead::netlink;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Bytes rest(data, size);
  MessageView message;
  while (next_message(rest, message)) {
    const auto entry = conntrack::parse_entry(message);
    if (!entry.ok()) continue;
    conntrack::Filter filter;
    (void)filter.matches(*entry);
    const MessageWriter writer = conntrack::delete_entry(*entry);
    Bytes written(writer.bytes());
    if (!next_message(written, message)) std::abort();
  }
  return 0;
}
