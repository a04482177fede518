// SPDX-License-Identifier: Apache-2.0
// nft text of every object, letter by letter as `nft list ruleset` of Debian 12 (nft 1.0.6) prints
// it. Pure. No trailing newline unless said otherwise.
#pragma once

#include <string>
#include <vector>

#include "netlink/nftables/objects.h"

namespace fairlead::netlink::nft {

// A table and all that is in it.
struct TableContent {
  Table table;
  std::vector<Set> sets;                       // in the order of the kernel's list
  std::vector<std::vector<Element>> elements;  // of each set, same order as `sets`; may be shorter
  std::vector<Chain> chains;
  std::vector<Rule> rules;  // of all chains, in order within each
};

std::string to_nft(const TableContent& content);  // with a trailing newline, as nft has it
std::string to_nft(const Rule& rule);             // one line
std::string to_nft(const Chain& chain, const std::vector<Rule>& rules);  // "\tchain x {\n...\t}\n"
std::string to_nft(const Set& set, const std::vector<Element>& elements);
std::string to_nft(const Set& set, const Element& element);  // "10.0.0.1 . tcp . 80 : goto sel_2"
// A value of the given components: "10.0.0.1 . tcp . 80".
std::string to_nft(const std::vector<Field>& fields, const Value& value);

}  // namespace fairlead::netlink::nft
