// SPDX-License-Identifier: Apache-2.0
// What may change in a pod once it is there (ValidatePodUpdate).
#include <algorithm>

#include "orchestrator/apiserver/registry/prepare.h"
#include "orchestrator/apiserver/schema/decode.h"

namespace fairlead::orchestrator::apiserver {
namespace {

constexpr const char* kContainerLists[] = {"containers", "initContainers"};

// Containers come and go with their pod; false: nothing more is worth saying.
bool same_containers(const Json& now, const Json& then, std::vector<Cause>& causes) {
  for (const char* list : kContainerLists) {
    if (at(now, list).size() == at(then, list).size()) continue;
    causes.push_back(forbidden_field(schema::join("spec", list),
                                     "pod updates may not add or remove containers"));
    return false;
  }
  return true;
}

// A deadline may come, and come nearer.
void check_deadline(const Json& now, const Json& then, std::vector<Cause>& causes) {
  const Json& after = at(now, "activeDeadlineSeconds");
  const Json& before = at(then, "activeDeadlineSeconds");
  if (before.is_null()) return;
  const auto refuse = [&](const char* why) {
    causes.push_back(invalid_value("spec.activeDeadlineSeconds", go_value(after), why));
  };
  if (after.is_null()) return refuse("must not update from a positive integer to nil value");
  if (after > before) refuse("must be less than or equal to previous value");
}

Json without_seconds(Json toleration) {
  toleration.erase("tolerationSeconds");
  return toleration;
}

void check_tolerations(const Json& now, const Json& then, std::vector<Cause>& causes) {
  const Json& after = at(now, "tolerations");
  const Json& before = at(then, "tolerations");
  const bool kept = std::all_of(before.begin(), before.end(), [&](const Json& old) {
    return std::any_of(after.begin(), after.end(), [&](const Json& one) {
      return without_seconds(one) == without_seconds(old);
    });
  });
  if (!kept)
    causes.push_back(
        forbidden_field("spec.tolerations",
                        "existing toleration can not be modified except its tolerationSeconds"));
}

void check_gates_left(const Json& now, const Json& then, std::vector<Cause>& causes) {
  const Json& after = at(now, "schedulingGates");
  const Json& before = at(then, "schedulingGates");
  for (size_t i = 0; i < after.size(); ++i) {
    const std::string name = string_at(after[i], "name");
    if (std::none_of(before.begin(), before.end(),
                     [&](const Json& one) { return string_at(one, "name") == name; }))
      causes.push_back(forbidden_field(
          schema::indexed("spec.schedulingGates", i) + ".name",
          "only deletion is allowed, but found new scheduling gate '" + name + "'"));
  }
}

// The list begins as the other did; one that was empty stays so where both of a term were.
bool starts_with(const Json& list, const Json& start) {
  return list.size() >= start.size() && std::equal(start.begin(), start.end(), list.begin());
}

bool only_narrows(const Json& term, const Json& old) {
  constexpr const char* kLists[] = {"matchExpressions", "matchFields"};
  const auto empty = [&](const Json& one) {
    return is_empty(at(one, kLists[0])) && is_empty(at(one, kLists[1]));
  };
  if (empty(old) && !empty(term)) return false;
  return std::all_of(std::begin(kLists), std::end(kLists),
                     [&](const char* list) { return starts_with(at(term, list), at(old, list)); });
}

// A pod behind gates may still be told more closely where to run (KEP-3838).
void check_narrowing(const Json& now, const Json& then, std::vector<Cause>& causes) {
  const Json& selector = at(now, "nodeSelector");
  const Json& old_selector = at(then, "nodeSelector");
  Json wanted = selector.is_object() ? selector : Json::object();
  if (old_selector.is_object()) wanted.update(old_selector);
  if (!is_empty(wanted) && wanted != selector)
    causes.push_back(invalid_value("spec.nodeSelector", dump(selector),
                                   "only additions to spec.nodeSelector are allowed (no mutations "
                                   "or deletions)"));
  constexpr const char* kTerms =
      "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
  const Json& terms = at_path(now, kTerms);
  const Json& old_terms = at_path(then, kTerms);
  const std::string path = schema::join("spec", kTerms);
  if (is_empty(old_terms)) return;
  if (terms.size() != old_terms.size()) {
    causes.push_back(
        invalid_value(path, dump(terms),
                      "no additions/deletions to non-empty NodeSelectorTerms list are allowed"));
    return;
  }
  for (size_t i = 0; i < terms.size(); ++i)
    if (!only_narrows(terms[i], old_terms[i]))
      causes.push_back(invalid_value(schema::indexed(path, i), dump(terms[i]),
                                     "only additions are allowed (no mutations or deletions)"));
}

void take(Json& spec, const Json& from, const char* name) {
  if (at(from, name).is_null())
    spec.erase(name);
  else
    spec[name] = at(from, name);
}

// The spec with what an update may change as it was; what is left over must be the same.
Json with_changeable(Json spec, const Json& from) {
  for (const char* list : kContainerLists)
    for (size_t i = 0; i < at(from, list).size(); ++i)
      spec[list][i]["image"] = at(from[list][i], "image");
  for (const char* name : {"activeDeadlineSeconds", "schedulingGates", "tolerations"})
    take(spec, from, name);
  if (is_empty(at(from, "schedulingGates"))) return spec;
  take(spec, from, "nodeSelector");
  Json affinity = at(spec, "affinity").is_object() ? at(spec, "affinity") : Json::object();
  take(affinity, at(from, "affinity"), "nodeAffinity");
  if (affinity.empty() && !from.contains("affinity"))
    spec.erase("affinity");
  else
    spec["affinity"] = std::move(affinity);
  return spec;
}

}  // namespace

void validate_pod_update(const Json& pod, const Json& before, std::vector<Cause>& causes) {
  const Json& now = at(pod, "spec");
  const Json& then = at(before, "spec");
  if (now == then || !same_containers(now, then, causes)) return;
  check_deadline(now, then, causes);
  check_tolerations(now, then, causes);
  check_gates_left(now, then, causes);
  if (!is_empty(at(then, "schedulingGates"))) check_narrowing(now, then, causes);
  if (with_changeable(now, then) == then) return;
  causes.push_back(
      forbidden_field("spec",
                      "pod updates may not change fields other than `spec.containers[*].image`,"
                      "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec."
                      "tolerations` (only additions "
                      "to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to "
                      "be set to 1 if it was "
                      "previously negative)"));
}

void carry_pod_status(Json& pod, const Json& before) {
  for (const char* name : {"qosClass", "observedGeneration"})
    if (is_empty(at(at(pod, "status"), name)) && !at(at(before, "status"), name).is_null())
      pod["status"][name] = at(at(before, "status"), name);
}

}  // namespace fairlead::orchestrator::apiserver
