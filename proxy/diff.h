// SPDX-License-Identifier: Apache-2.0
// What to change, and in which order, so that a programmed Ruleset does what is wanted. Pure.
//
// The order is the point: packets run between any two operations of a list, if the list is
// committed in pieces, and even inside one transaction a packet may make its first lookup before
// and its second after the commit. So an index is filled before anything draws it and emptied after
// nothing draws it any more, or while a draw that misses is repeated; the endpoint with the last
// index moves into a hole before its old place goes. After every prefix of the list each packet of
// a service that has endpoints before and after reaches one of them (tests/unit/proxy/diff_test.cpp
// checks every prefix).
//
// A frontend that goes to a chain which will do (choices_will_do()) is left there: its own element
// has a goto, which makes the kernel walk through all of them. fit() moves it later.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "proxy/ruleset.h"
#include "proxy/service_map.h"

namespace fairlead::proxy {

// Operations that make `frontend` do what `wanted` says (nullopt: it is nobody's). Empty: it does.
// Each is to be applied to `programmed` in order (Ruleset::apply).
std::vector<Operation> diff(const Ruleset& programmed, const Frontend& frontend,
                            const std::optional<Target>& wanted);
// The same, appended to `plan`.
void diff(const Ruleset& programmed, const Frontend& frontend, const std::optional<Target>& wanted,
          std::vector<Operation>& plan);
// The same, and to the chain that is its own.
void fit(const Ruleset& programmed, const Frontend& frontend, const std::optional<Target>& wanted,
         std::vector<Operation>& plan);
// Whether what diff() has left is for fit() to do.
bool is_loose(const Ruleset& programmed, const Frontend& frontend,
              const std::optional<Target>& wanted);

// Choice chains nobody goes to any more. Remove them in a transaction after the one that removed
// the last goto: kernels before 6.2 refuse both in one.
std::vector<Operation> unused_chains(const Ruleset& programmed);

// Elements of the local DNS set: all of config().local_dns, or none.
std::vector<Operation> diff_local_dns(const Ruleset& programmed, bool exempt);

// How many elements a set would have to hold after these operations, at the worst moment.
uint32_t peak_use(const Ruleset& programmed, SetId set, std::span<const Operation> operations);
// A size for that many elements with room to grow; at least the set's present size.
uint32_t size_for(const Ruleset& programmed, SetId set, size_t elements);
// Whether a set with that use should grow before it is filled further: more than 3/4 full.
bool too_full(const Ruleset& programmed, SetId set, uint32_t use);

}  // namespace fairlead::proxy
