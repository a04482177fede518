// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>

#include "netlink/route/address.h"
#include "netlink/route/link.h"
#include "netlink/route/neighbour.h"
#include "netlink/route/route.h"
#include "netlink/route/rule.h"

using namespace fairlead::netlink;

namespace {

// What was parsed once survives being written and parsed again.
template <typename T>
void check(const MessageView& message, fairlead::Result<T> (*parse)(const MessageView&),
           MessageWriter (*build)(const T&)) {
  const auto value = parse(message);
  if (!value.ok()) return;
  const MessageWriter writer = build(*value);
  Bytes rest(writer.bytes());
  MessageView written;
  if (!next_message(rest, written)) std::abort();
  const auto again = parse(written);
  if (!again.ok()) std::abort();
  const MessageWriter second = build(*again);
  if (!std::ranges::equal(second.bytes(), writer.bytes())) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Bytes rest(data, size);
  MessageView message;
  while (next_message(rest, message)) {
    check(message, route::parse_route, route::add_route);
    check(message, route::parse_rule, route::add_rule);
    check(message, route::parse_address, route::add_address);
    check(message, route::parse_neighbour, route::add_neighbour);
    (void)route::parse_link(message);
  }
  return 0;
}
