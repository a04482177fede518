// SPDX-License-Identifier: Apache-2.0
// Every plugin there is, in the order in which a query meets them: CoreDNS's (its plugin.cfg),
// which its users know, never that of a Corefile. The folders of dns/plugins/ are found by the
// build; a new one changes nothing here unless CoreDNS does not have it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dns/plugin.h"

namespace fairlead::dns {

struct Registered {
  std::string_view name;
  const PluginKind* kind;
};

std::span<const Registered> registry();
// nullptr: not here.
const PluginKind* registered(std::string_view name);
// CoreDNS has a plugin of that name.
bool known_to_coredns(std::string_view name);
std::vector<std::string> plugin_names();

}  // namespace fairlead::dns
