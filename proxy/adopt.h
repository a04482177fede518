// SPDX-License-Identifier: Apache-2.0
// The reverse of Ruleset: what the kernel has in our table, read back into the same value, and what
// has to be put right first. Pure. Used at start, so that a restart changes nothing that is right,
// and after someone else has changed our table.
#pragma once

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "proxy/ruleset.h"
#include "proxy/service_map.h"

namespace fairlead::proxy {

// Repairs of everything but services: those are for diff(). Empty when the table is as we left it.
struct Repairs {
  // The table has our name but not our shape (another version's): replace it as a whole, in one
  // transaction. The other fields then say nothing.
  bool rebuild = false;
  std::vector<std::pair<nft::Set, nft::Element>> wrong_elements;  // to remove
  std::vector<SetId> missing_sets;                                // to add
  std::vector<nft::Chain> missing_chains;                         // to add, with their rules
  std::vector<nft::Chain> changed_chains;                         // to flush and write again
  std::vector<nft::Chain> missing_hooks;  // base chains, to add once all elements are right
  std::vector<nft::Chain> moved_hooks;  // of another priority, to remove when those are added: all
                                        // of those that are missing, or none
  std::vector<nft::Chain> foreign_chains;  // to flush, and then to remove
  std::vector<nft::Set> foreign_sets;      // to remove after that
  std::vector<Operation> leftovers;        // elements without use, to remove in the end
  // That no rule names since larger ones are there: to remove in time, and nothing to repair.
  std::vector<nft::Set> outgrown_sets;

  bool empty() const;
};

class Adopter {
 public:
  // `skeleton`: table, sets, chains and rules of our table as listed; elements follow one by one.
  // `services` knows the source ranges behind the names of guards.
  Adopter(Config config, Parameters parameters, const ServiceMap& services,
          nft::TableContent skeleton);

  const std::vector<nft::Set>& sets() const { return skeleton_.sets; }
  // `set`: index into sets().
  void element(size_t set, const nft::Element& element);

  std::pair<Ruleset, Repairs> finish();

 private:
  struct Slot {
    SetId set = SetId::kEndpoints;
    Frontend frontend;
    uint32_t index = 0;
    Backend backend;
    bool operator<(const Slot& other) const {
      return std::tie(set, frontend, index) < std::tie(other.set, other.frontend, other.index);
    }
  };

  void adopt_node_addresses();
  void adopt_sets();
  void adopt_choices(const ServiceMap& services);
  void adopt_chains();
  bool is_outgrown(const nft::Set& set) const;
  bool mentioned_in_rules(const std::string& set) const;
  bool read_element(SetId id, const nft::Element& element);
  bool read_service(SetId id, const nft::Element& element);
  bool read_endpoint(SetId id, const nft::Element& element);
  bool read_cluster_ip(const nft::Element& element);
  bool read_hairpin(const nft::Element& element);
  bool read_local_dns(const nft::Element& element);
  void finish_endpoints();
  void finish_services();
  void compare_rules();

  nft::TableContent skeleton_;
  Ruleset ruleset_;
  Repairs repairs_;
  std::vector<int> ids_;  // SetId of skeleton_.sets, -1: foreign
  std::vector<Slot> slots_;
  std::vector<Operation> services_;
};

}  // namespace fairlead::proxy
