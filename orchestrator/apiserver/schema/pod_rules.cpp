// SPDX-License-Identifier: Apache-2.0
// Pods, their templates and where they may run.
#include <set>

#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/formats.h"
#include "orchestrator/apiserver/schema/rules.h"

namespace fairlead::orchestrator::apiserver::schema {
namespace {

constexpr size_t kMaxNameservers = 3;  // what libc reads
constexpr size_t kMaxSearches = 32;

std::set<std::string> names_of(const Json& list) {
  std::set<std::string> names;
  for (const Json& item : list) names.insert(string_at(item, "name"));
  return names;
}

void check_names(const Json& value, const std::string& path, Causes& causes) {
  const std::set<std::string> volumes = names_of(at(value, "volumes"));
  const std::set<std::string> containers = names_of(at(value, "containers"));
  for (const char* list : {"initContainers", "containers", "ephemeralContainers"}) {
    const Json& items = at(value, list);
    for (size_t i = 0; i < items.size(); ++i) {
      const std::string at_item = indexed(join(path, list), i);
      if (std::string_view(list) != "containers" &&
          containers.contains(string_at(items[i], "name")))
        causes.push_back(duplicate(join(at_item, "name"), go_value(at(items[i], "name"))));
      const Json& mounts = at(items[i], "volumeMounts");
      for (size_t k = 0; k < mounts.size(); ++k)
        if (!volumes.contains(string_at(mounts[k], "name")))
          causes.push_back(not_found_value(indexed(join(at_item, "volumeMounts"), k) + ".name",
                                           go_value(at(mounts[k], "name"))));
    }
  }
}

// An init container runs to its end before others begin: there is nothing to probe.
void check_init_containers(const Json& value, const std::string& path, Causes& causes) {
  const Json& items = at(value, "initContainers");
  for (size_t i = 0; i < items.size(); ++i) {
    if (string_at(items[i], "restartPolicy") == "Always") continue;
    for (const char* name : {"lifecycle", "livenessProbe", "readinessProbe", "startupProbe"})
      if (items[i].contains(name))
        causes.push_back(
            forbidden_field(join(indexed(join(path, "initContainers"), i), name),
                            "may not be set for init containers without restartPolicy=Always"));
  }
}

void check_host_ports_of(const Json& one, const std::string& path, std::set<std::string>& taken,
                         Causes& causes) {
  const Json& ports = at(one, "ports");
  for (size_t i = 0; i < ports.size(); ++i) {
    const int64_t number = int_at(ports[i], "hostPort");
    const std::string text = string_at(ports[i], "protocol") + "/" + string_at(ports[i], "hostIP") +
                             "/" + std::to_string(number);
    if (number != 0 && !taken.insert(text).second)
      causes.push_back(duplicate(indexed(join(path, "ports"), i) + ".hostPort", go_value(text)));
  }
}

// Containers share the host's ports; init containers run one by one.
void check_host_ports(const Json& value, const std::string& path, Causes& causes) {
  std::set<std::string> taken;
  const Json& containers = at(value, "containers");
  for (size_t i = 0; i < containers.size(); ++i) {
    const std::string where = indexed(join(path, "containers"), i);
    check_host_ports_of(containers[i], where, taken, causes);
    const Json& ports = at(containers[i], "ports");
    for (size_t k = 0; k < ports.size() && bool_at(value, "hostNetwork"); ++k)
      if (const int64_t host = int_at(ports[k], "hostPort");
          host != 0 && host != int_at(ports[k], "containerPort"))
        causes.push_back(invalid_value(indexed(join(where, "ports"), k) + ".hostPort",
                                       std::to_string(host),
                                       "must match `containerPort` when `hostNetwork` is true"));
  }
  const Json& inits = at(value, "initContainers");
  for (size_t i = 0; i < inits.size(); ++i) {
    std::set<std::string> own;
    check_host_ports_of(inits[i], indexed(join(path, "initContainers"), i), own, causes);
  }
}

}  // namespace

void check_pod(const Json& value, const std::string& path, Causes& causes) {
  const std::string at_spec = join(path, "spec");
  if (!is_empty(at_path(value, "spec.ephemeralContainers")))
    causes.push_back(
        forbidden_field(join(at_spec, "ephemeralContainers"), "cannot be set on create"));
  for (const char* list : {"containers", "initContainers"}) {
    const Json& items = at(at(value, "spec"), list);
    for (size_t i = 0; i < items.size(); ++i) {
      const std::string image = string_at(items[i], "image");
      if (image.find_first_of(" \t\n") == 0 || image.find_last_of(" \t\n") + 1 == image.size())
        if (!image.empty())
          causes.push_back(invalid_value(join(indexed(join(at_spec, list), i), "image"),
                                         go_value(image),
                                         "must not have leading or trailing whitespace"));
    }
  }
}

void check_pod_template(const Json& value, const std::string& path, Causes& causes) {
  if (!is_empty(at_path(value, "spec.ephemeralContainers")))
    causes.push_back(forbidden_field(join(path, "spec.ephemeralContainers"),
                                     "ephemeral containers not allowed in pod template"));
}

void check_pod_spec(const Json& value, const std::string& path, Causes& causes) {
  check_names(value, path, causes);
  check_init_containers(value, path, causes);
  check_host_ports(value, path, causes);
  if (string_at(value, "dnsPolicy") == "None" && is_empty(at_path(value, "dnsConfig.nameservers")))
    causes.push_back(required(join(path, "dnsConfig.nameservers"),
                              "must provide at least one DNS nameserver when `dnsPolicy` is None"));
}

void check_dns_config(const Json& value, const std::string& path, Causes& causes) {
  const auto limit = [&](const char* name, size_t most, const std::string& what) {
    if (at(value, name).size() > most)
      causes.push_back(invalid_value(join(path, name), dump(at(value, name)),
                                     "must not have more than " + std::to_string(most) + what));
  };
  limit("nameservers", kMaxNameservers, " nameservers");
  limit("searches", kMaxSearches, " search paths");
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

}  // namespace fairlead::orchestrator::apiserver::schema
