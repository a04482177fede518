// SPDX-License-Identifier: Apache-2.0
// The rules of every chain of a Ruleset. Pure: the same ruleset gives the same rules.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "proxy/ruleset.h"

namespace fairlead::proxy::rules {

// Chains that are there whatever services exist, without and with a hook, in the order of adding.
std::vector<std::string> fixed_chains();
std::vector<std::pair<std::string, nft::BaseChain>> hooks(const Ruleset& ruleset);

// Asserts a name from the two lists above.
std::vector<nft::Rule> of_fixed(const Ruleset& ruleset, const std::string& chain);
// Asserts that the choice has a chain. Nothing for a guard whose ranges the ruleset does not know.
std::vector<nft::Rule> of_choice(const Ruleset& ruleset, const Choice& choice);

}  // namespace fairlead::proxy::rules
