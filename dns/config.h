// SPDX-License-Identifier: Apache-2.0
// From a Corefile to what is served: every directive read by its plugin, every zone at its address.
// Nothing is opened or started but the files and interfaces it is given.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dns/corefile/corefile.h"
#include "dns/server/plan.h"

namespace fairlead::dns {

struct Config {
  std::shared_ptr<Plan> plan;
  std::vector<std::string> notes;  // what is accepted and has no effect
};

// The addresses of an interface, or none.
using Interfaces = std::function<std::vector<IpAddress>(const std::string& name)>;

// Errors read "file:line: what". A plugin that is not here is one, and says whether CoreDNS has it.
Result<Config> read_config(const corefile::Corefile& corefile, corefile::Files& files,
                           const std::string& folder, const Interfaces& interfaces);

}  // namespace fairlead::dns
