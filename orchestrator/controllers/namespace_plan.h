// SPDX-License-Identifier: Apache-2.0
// What a namespace that is being deleted says of what is still in it. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "orchestrator/apiserver/api.h"
#include "orchestrator/controllers/objects.h"

namespace fairlead::orchestrator::controllers {

struct NamespaceRemains {
  std::map<std::string, int> resources;   // "pods." or "deployments.apps": how many
  std::map<std::string, int> finalizers;  // of how many objects

  void add(const Resource& resource, const Meta& meta);
  bool empty() const { return resources.empty(); }
};

// Its conditions, in the words of kubernetes/pkg/controller/namespace/deletion; nothing when those
// it has say the same. Others' conditions stay.
std::optional<std::vector<Condition>> namespace_conditions(const std::vector<Condition>& current,
                                                           const NamespaceRemains& remains,
                                                           WallTime now);

}  // namespace fairlead::orchestrator::controllers
