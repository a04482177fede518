// SPDX-License-Identifier: Apache-2.0
// Reading the ruleset from the kernel. For start-up and after a resync only: every commit by anyone
// disturbs a listing, which then fails with kInterrupted and must be done again.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "netlink/connection.h"
#include "netlink/nftables/objects.h"
#include "netlink/nftables/text.h"
#include "netlink/nftables/wire.h"

namespace fairlead::netlink::nft {

template <typename T>
using ListDone = std::function<void(Result<std::vector<T>>)>;

// kUnspecified and an empty table or chain mean all.
void list_tables(Connection& connection, TableFamily family, ListDone<Table> done);
void list_chains(Connection& connection, TableFamily family, ListDone<Chain> done);
void list_rules(Connection& connection, TableFamily family, std::string_view table,
                std::string_view chain, ListDone<Rule> done);
void list_sets(Connection& connection, TableFamily family, std::string_view table,
               ListDone<Set> done);
void list_elements(Connection& connection, const Set& set, ListDone<Element> done);
// The same for who takes rows as they come (parse_elements), with Connection::dump.
MessageWriter elements_request(const Set& set);
// The number of the last commit, anyone's.
void get_generation(Connection& connection, std::function<void(Result<Generation>)> done);

// Everything in one table as of one generation: kNotFound when there is no such table, kInterrupted
// when anyone committed meanwhile. The Connection must outlive the listing.
void list_table(Connection& connection, TableFamily family, std::string table,
                std::function<void(Result<TableContent>)> done);
// Repeats an interrupted listing until `limit` has passed.
Result<TableContent> list_table_sync(Connection& connection, TableFamily family, std::string table,
                                     Duration limit);

}  // namespace fairlead::netlink::nft
