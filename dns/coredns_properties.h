// SPDX-License-Identifier: Apache-2.0
// What CoreDNS 1.14's plugins take in their blocks, so that an error can say whether something is
// not here yet or nowhere. Of the plugins that are here; what they do not take themselves is no
// property here.
#pragma once

#include <string_view>

namespace fairlead::dns {

bool coredns_has_property(std::string_view plugin, std::string_view property);

}  // namespace fairlead::dns
