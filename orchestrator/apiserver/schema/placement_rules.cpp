// SPDX-License-Identifier: Apache-2.0
// Where a pod may run and when: gates, tolerations, affinity, spreading.
#include <algorithm>
#include <set>

#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/formats.h"
#include "orchestrator/apiserver/schema/rules.h"

namespace fairlead::orchestrator::apiserver::schema {
namespace {

void check_gates(const Json& spec, const std::string& path, Causes& causes) {
  const Json& gates = at(spec, "schedulingGates");
  std::set<std::string> seen;
  for (size_t i = 0; i < gates.size(); ++i) {
    const std::string name = string_at(gates[i], "name");
    const std::string where = indexed(join(path, "schedulingGates"), i);
    if (name.empty()) continue;  // said already: it is required
    if (auto wrong = check_qualified_name(name))
      causes.push_back(invalid_value(where, go_value(name), *wrong));
    if (!seen.insert(name).second) causes.push_back(duplicate(where, go_value(name)));
  }
}

// One constraint of a key and an action; the path is Kubernetes', brace and all.
void check_spreads(const Json& spec, const std::string& path, Causes& causes) {
  const Json& list = at(spec, "topologySpreadConstraints");
  const auto kind = [&](size_t i) {
    return "{" + string_at(list[i], "topologyKey") + ", " +
           string_at(list[i], "whenUnsatisfiable") + "}";
  };
  for (size_t i = 0; i < list.size(); ++i)
    for (size_t k = i + 1; k < list.size(); ++k) {
      if (kind(i) != kind(k)) continue;
      causes.push_back(duplicate(join(indexed(join(path, "topologySpreadConstraints"), i),
                                      "{topologyKey, whenUnsatisfiable}"),
                                 go_value(kind(i))));
      break;
    }
}

void check_values(const Json& requirement, const std::string& path, Causes& causes) {
  const Json& values = at(requirement, "values");
  for (size_t i = 0; i < values.size(); ++i)
    if (auto wrong = check_label_value(values[i].get<std::string>()))
      causes.push_back(
          invalid_value(indexed(join(path, "values"), i), go_value(values[i]), *wrong));
}

// Keys that are added to a selector from the pod's labels: there must be one, and it lacks them.
void check_label_keys(const Json& value, const char* list, const std::string& path,
                      Causes& causes) {
  const Json& keys = at(value, list);
  if (is_empty(keys)) return;
  const std::string where = join(path, list);
  if (at(value, "labelSelector").is_null())
    causes.push_back(forbidden_field(where, "must not be specified when labelSelector is not set"));
  for (size_t i = 0; i < keys.size(); ++i)
    if (auto wrong = check_qualified_name(keys[i].get<std::string>()))
      causes.push_back(invalid_value(indexed(where, i), go_value(keys[i]), *wrong));
}

}  // namespace

void check_placement(const Json& spec, const std::string& path, Causes& causes) {
  check_gates(spec, path, causes);
  check_spreads(spec, path, causes);
}

void check_toleration(const Json& value, const std::string& path, Causes& causes) {
  const std::string op = string_at(value, "operator");
  const std::string key = string_at(value, "key");
  const std::string text = string_at(value, "value");
  const auto refuse = [&](const char* field, const std::string& given, const std::string& why) {
    causes.push_back(invalid_value(join(path, field), go_value(given), why));
  };
  if (!key.empty())
    if (auto wrong = check_qualified_name(key)) refuse("key", key, *wrong);
  if (key.empty() && op != "Exists")
    refuse("operator", op,
           "operator must be Exists when `key` is empty, which means \"match all values and all "
           "keys\"");
  if (op == "Exists" && !text.empty())
    refuse("operator", text, "value must be empty when `operator` is 'Exists'");
  if (op.empty() || op == "Equal")
    if (auto wrong = check_label_value(text)) refuse("operator", text, *wrong);
  const std::string effect = string_at(value, "effect");
  if (!at(value, "tolerationSeconds").is_null() && effect != "NoExecute")
    refuse("effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
}

void check_requirement(const Json& value, const std::string& path, Causes& causes) {
  const std::string op = string_at(value, "operator");
  const std::string where = join(path, "values");
  const size_t count = at(value, "values").size();
  if ((op == "In" || op == "NotIn") && count == 0)
    causes.push_back(required(where, "must be specified when `operator` is 'In' or 'NotIn'"));
  if ((op == "Exists" || op == "DoesNotExist") && count != 0)
    causes.push_back(forbidden_field(
        where, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
  if ((op == "Gt" || op == "Lt") && count != 1)
    causes.push_back(
        required(where, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
}

void check_label_requirement(const Json& value, const std::string& path, Causes& causes) {
  check_requirement(value, path, causes);
  check_values(value, path, causes);
}

// What must hold is told in valid labels; a wish need not be.
void check_node_selector(const Json& value, const std::string& path, Causes& causes) {
  const Json& terms = at(value, "nodeSelectorTerms");
  for (size_t i = 0; i < terms.size(); ++i) {
    const Json& wanted = at(terms[i], "matchExpressions");
    const std::string where = join(indexed(join(path, "nodeSelectorTerms"), i), "matchExpressions");
    for (size_t k = 0; k < wanted.size(); ++k) check_values(wanted[k], indexed(where, k), causes);
  }
}

// Of the fields of nodes there is their name, and it is one or another.
void check_node_term(const Json& value, const std::string& path, Causes& causes) {
  const Json& fields = at(value, "matchFields");
  for (size_t i = 0; i < fields.size(); ++i) {
    const std::string where = indexed(join(path, "matchFields"), i);
    const std::string op = string_at(fields[i], "operator");
    const std::string key = string_at(fields[i], "key");
    if (op != "In" && op != "NotIn")
      causes.push_back(
          invalid_value(join(where, "operator"), go_value(op), "not a valid selector operator"));
    else if (at(fields[i], "values").size() != 1)
      causes.push_back(
          required(join(where, "values"),
                   "must be only one value when `operator` is 'In' or 'NotIn' for node field "
                   "selector"));
    if (key != "metadata.name")
      causes.push_back(
          invalid_value(join(where, "key"), go_value(key), "not a valid field selector key"));
  }
}

void check_affinity_term(const Json& value, const std::string& path, Causes& causes) {
  for (const Json& ns : at(value, "namespaces"))
    if (auto wrong = check_dns1123_label(ns.get<std::string>()))
      causes.push_back(invalid_value(join(path, "namespace"), go_value(ns), *wrong));
  for (const char* list : {"matchLabelKeys", "mismatchLabelKeys"})
    check_label_keys(value, list, path, causes);
  const std::string key = string_at(value, "topologyKey");
  if (key.empty()) return;  // said already: it is required
  if (auto wrong = check_qualified_name(key))
    causes.push_back(invalid_value(join(path, "topologyKey"), go_value(key), *wrong));
}

void check_spread(const Json& value, const std::string& path, Causes& causes) {
  const std::string action = string_at(value, "whenUnsatisfiable");
  const Json& domains = at(value, "minDomains");
  if (!domains.is_null() && action != "DoNotSchedule")
    causes.push_back(
        invalid_value(join(path, "minDomains"), go_value(domains),
                      "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not " + action));
  check_label_keys(value, "matchLabelKeys", path, causes);
}

}  // namespace fairlead::orchestrator::apiserver::schema
