// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/namespace_plan.h"

#include <fmt/core.h>

#include <algorithm>

namespace fairlead::orchestrator::controllers {
namespace {

std::string told(const std::map<std::string, int>& counts, const char* between) {
  std::string text;
  for (const auto& [name, count] : counts)
    text += fmt::format("{}{} {} {} resource instances", text.empty() ? "" : ", ", name, between,
                        count);
  return text;
}

// Discovery, versions and deletions do not fail here: what cannot be done is tried again.
std::vector<Condition> wanted_conditions(const NamespaceRemains& remains) {
  std::vector<Condition> list = {
      {"NamespaceDeletionDiscoveryFailure",
       "False",
       "ResourcesDiscovered",
       "All resources successfully discovered",
       {},
       {}},
      {"NamespaceDeletionGroupVersionParsingFailure",
       "False",
       "ParsedGroupVersions",
       "All legacy kube types successfully parsed",
       {},
       {}},
      {"NamespaceDeletionContentFailure",
       "False",
       "ContentDeleted",
       "All content successfully deleted, may be waiting on finalization",
       {},
       {}},
      {"NamespaceContentRemaining",
       "False",
       "ContentRemoved",
       "All content successfully removed",
       {},
       {}},
      {"NamespaceFinalizersRemaining",
       "False",
       "ContentHasNoFinalizers",
       "All content-preserving finalizers finished",
       {},
       {}}};
  if (!remains.resources.empty())
    list[3] = {"NamespaceContentRemaining",
               "True",
               "SomeResourcesRemain",
               "Some resources are remaining: " + told(remains.resources, "has"),
               {},
               {}};
  if (!remains.finalizers.empty())
    list[4] = {
        "NamespaceFinalizersRemaining",
        "True",
        "SomeFinalizersRemain",
        "Some content in the namespace has finalizers remaining: " + told(remains.finalizers, "in"),
        {},
        {}};
  return list;
}

}  // namespace

void NamespaceRemains::add(const Resource& resource, const Meta& meta) {
  ++resources[resource.plural + "." + resource.group];
  for (const std::string& finalizer : meta.finalizers) ++finalizers[finalizer];
}

std::optional<std::vector<Condition>> namespace_conditions(const std::vector<Condition>& current,
                                                           const NamespaceRemains& remains,
                                                           WallTime now) {
  std::vector<Condition> result = current;
  for (Condition& wanted : wanted_conditions(remains)) {
    wanted.last_transition = std::chrono::floor<std::chrono::seconds>(now);
    const auto found = std::find_if(result.begin(), result.end(), [&](const Condition& condition) {
      return condition.type == wanted.type;
    });
    if (found == result.end()) {
      result.push_back(std::move(wanted));
      continue;
    }
    if (found->status == wanted.status) wanted.last_transition = found->last_transition;
    *found = std::move(wanted);
  }
  if (result == current) return std::nullopt;
  return result;
}

}  // namespace fairlead::orchestrator::controllers
