// SPDX-License-Identifier: Apache-2.0
// Amounts of resources: by which names, how finely counted, and how much of the limit is asked for.
#include <algorithm>

#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/formats.h"
#include "orchestrator/apiserver/schema/rules.h"
#include "orchestrator/values/quantity.h"

namespace fairlead::orchestrator::apiserver::schema {
namespace {

// Names without a domain that mean something somewhere, in quotas too.
constexpr std::string_view kStandardResources[] = {
    "cpu",        "memory",          "ephemeral-storage",      "storage",
    "pods",       "services",        "replicationcontrollers", "resourcequotas",
    "secrets",    "configmaps",      "persistentvolumeclaims", "services.nodeports",
    "limits.cpu", "limits.memory",   "requests.cpu",           "requests.memory",
    "count",      "requests.storage"};
constexpr std::string_view kHugePages = "hugepages-";

// What decode() let in is a quantity.
Quantity quantity_of(const Json& amount) {
  const auto quantity = Quantity::parse(amount.get<std::string>());
  return quantity ? *quantity : Quantity();
}

bool is_native(const std::string& name) {
  return name.find('/') == name.npos || name.find("kubernetes.io/") != name.npos;
}

bool is_extended(const std::string& name) {
  return !is_native(name) && !name.starts_with("requests.") &&
         !check_qualified_name("requests." + name);
}

// Others are had whole or not at all.
bool may_be_overcommitted(const std::string& name) {
  return is_native(name) && !name.starts_with(kHugePages);
}

void check_resource_name(const std::string& name, const std::string& where, Causes& causes) {
  const auto refuse = [&](const std::string& why) {
    causes.push_back(invalid_value(where, go_value(name), why));
  };
  const bool plain = name.find('/') == name.npos;
  const bool pages = name.starts_with(kHugePages);
  if (auto wrong = check_qualified_name(name))
    refuse(*wrong);
  else if (plain && !pages &&
           std::ranges::find(kStandardResources, name) == std::end(kStandardResources))
    refuse("must be a standard resource type or fully qualified");
  if (plain && !pages && name != "cpu" && name != "memory" && name != "ephemeral-storage")
    refuse("must be a standard resource for containers");
  if (!plain && !is_native(name) && !is_extended(name))
    refuse("doesn't follow extended resource name standard");
}

void check_amount(const std::string& name, const Json& amount, const std::string& where,
                  Causes& causes) {
  const Quantity quantity = quantity_of(amount);
  const auto refuse = [&](const std::string& why) {
    causes.push_back(invalid_value(where, go_value(amount), why));
  };
  if (quantity < Quantity()) refuse("must be greater than or equal to 0");
  if (is_extended(name) && quantity.milli() % 1000 != 0) refuse("must be an integer");
  if (!name.starts_with(kHugePages)) return;
  const auto page = Quantity::parse(name.substr(kHugePages.size()));
  if (!page || page->value() <= 0 || quantity.value() % page->value() != 0)
    refuse(amount.get<std::string>() + " is not positive integer multiple of " + name);
}

// What is asked for beside what is allowed.
void check_request(const std::string& name, const Json& amount, const Json& limits,
                   const std::string& path, Causes& causes) {
  const Json& limit = at(limits, name);
  const bool whole = !may_be_overcommitted(name);
  if (limit.is_null()) {
    if (whole)
      causes.push_back(
          required(join(path, "limits"), "Limit must be set for non overcommitable resources"));
    return;
  }
  const auto order = quantity_of(amount) <=> quantity_of(limit);
  const std::string of_limit = name + " limit of " + limit.get<std::string>();
  if (whole && order != 0)
    causes.push_back(
        invalid_value(join(path, "requests"), go_value(amount), "must be equal to " + of_limit));
  else if (order > 0)
    causes.push_back(invalid_value(join(path, "requests"), go_value(amount),
                                   "must be less than or equal to " + of_limit));
}

}  // namespace

void check_resources(const Json& value, const std::string& path, Causes& causes) {
  bool computes = false, pages = false;
  for (const char* side : {"limits", "requests"}) {
    if (!at(value, side).is_object()) continue;
    for (const auto& [name, amount] : at(value, side).items()) {
      const std::string where = join(path, side) + "[" + name + "]";
      check_resource_name(name, where, causes);
      check_amount(name, amount, where, causes);
      if (std::string_view(side) == "requests")
        check_request(name, amount, at(value, "limits"), path, causes);
      computes = computes || name == "cpu" || name == "memory";
      pages = pages || name.starts_with(kHugePages);
    }
  }
  if (pages && !computes)
    causes.push_back(forbidden_field(path, "HugePages require cpu or memory"));
}

}  // namespace fairlead::orchestrator::apiserver::schema
