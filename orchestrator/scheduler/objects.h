// SPDX-License-Identifier: Apache-2.0
// Pods and nodes as the scheduler sees them. Values; pure.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "orchestrator/controllers/objects.h"

namespace fairlead::orchestrator::scheduling {

using controllers::Labels;
using controllers::Meta;
using controllers::Requirement;
using controllers::Taint;
using controllers::Toleration;

// Amounts by resource name: cpu in thousandths, the rest in whole units.
using Resources = std::map<std::string, int64_t>;

struct HostPort {
  std::string ip;  // empty and "0.0.0.0": every address
  std::string protocol;
  int port = 0;
  bool operator==(const HostPort&) const = default;
};

// All of its requirements must hold. An empty term holds nowhere.
struct NodeTerm {
  std::vector<Requirement> labels;
  std::vector<Requirement> fields;  // metadata.name only
  bool operator==(const NodeTerm&) const = default;
};

struct WeightedTerm {
  int weight = 0;
  NodeTerm term;
  bool operator==(const WeightedTerm&) const = default;
};

struct Pod {
  Meta meta;
  std::string scheduler_name;
  std::string node_name;
  std::string phase;
  int64_t priority = 0;
  bool gated = false;       // schedulingGates
  std::string unsupported;  // what it asks for that the scheduler does not know; empty: nothing
  Resources requests;       // of the whole pod, init containers included
  std::vector<HostPort> host_ports;
  Labels node_selector;
  bool has_required_terms = false;
  std::vector<NodeTerm> required_terms;  // one of them must hold
  std::vector<WeightedTerm> preferred_terms;
  std::vector<Toleration> tolerations;
  std::string unschedulable_message;  // of the condition PodScheduled=False, reason Unschedulable

  bool terminal() const { return phase == "Succeeded" || phase == "Failed"; }
  bool operator==(const Pod&) const = default;
};

struct Node {
  Meta meta;
  bool ready = false;
  bool unschedulable = false;
  std::vector<Taint> taints;
  Resources allocatable;
  bool operator==(const Node&) const = default;
};

using PodRef = std::shared_ptr<const Pod>;
using NodeRef = std::shared_ptr<const Node>;

// A node and what is promised on it.
struct NodeInfo {
  NodeRef node;
  Resources used;
  int64_t pods = 0;
  std::vector<HostPort> ports;
  std::map<std::string, int> by_owner;  // pods by controller uid

  void add(const Pod& pod);
  void remove(const Pod& pod);
};

Result<Pod> decode_pod(const Bytes& bytes);
Result<Node> decode_node(const Bytes& bytes);

}  // namespace fairlead::orchestrator::scheduling
