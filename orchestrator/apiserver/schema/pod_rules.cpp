// SPDX-License-Identifier: Apache-2.0
// Pods, their templates and where they may run.
#include <algorithm>
#include <set>

#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/formats.h"
#include "orchestrator/apiserver/schema/rules.h"

namespace fairlead::orchestrator::apiserver::schema {
namespace {

constexpr size_t kMaxNameservers = 3;  // what libc reads
constexpr size_t kMaxSearches = 32;
constexpr size_t kMaxSearchCharacters = 2048;

std::set<std::string> names_of(const Json& list) {
  std::set<std::string> names;
  for (const Json& item : list) names.insert(string_at(item, "name"));
  return names;
}

// The volumes by these names are there; what is a device is one of a claim.
void check_volume_names(const Json& container, const Json& volumes, const std::string& path,
                        Causes& causes) {
  const auto find = [&](const Json& name) {
    return std::find_if(volumes.begin(), volumes.end(),
                        [&](const Json& volume) { return at(volume, "name") == name; });
  };
  for (const char* list : {"volumeMounts", "volumeDevices"})
    for (size_t i = 0; i < at(container, list).size(); ++i) {
      const Json& name = at(container[list][i], "name");
      const std::string where = join(indexed(join(path, list), i), "name");
      const auto volume = find(name);
      if (volume == volumes.end())
        causes.push_back(not_found_value(where, go_value(name)));
      else if (std::string_view(list) == "volumeDevices" &&
               !volume->contains("persistentVolumeClaim") && !volume->contains("ephemeral"))
        causes.push_back(invalid_value(where, go_value(name),
                                       "can only use volume source type of "
                                       "PersistentVolumeClaim or Ephemeral for block mode"));
    }
}

void check_names(const Json& value, const std::string& path, Causes& causes) {
  const std::set<std::string> containers = names_of(at(value, "containers"));
  for (const char* list : {"initContainers", "containers", "ephemeralContainers"}) {
    const Json& items = at(value, list);
    for (size_t i = 0; i < items.size(); ++i) {
      const std::string at_item = indexed(join(path, list), i);
      if (std::string_view(list) != "containers" &&
          containers.contains(string_at(items[i], "name")))
        causes.push_back(duplicate(join(at_item, "name"), go_value(at(items[i], "name"))));
      check_volume_names(items[i], at(value, "volumes"), at_item, causes);
    }
  }
}

// A hook may sleep for as long as the pod has to end.
void check_sleeps(const Json& value, const std::string& path, Causes& causes) {
  const int64_t wanted = int_at(value, "terminationGracePeriodSeconds", 30);
  const int64_t grace = wanted < 0 ? 1 : wanted;
  for (const char* list : {"initContainers", "containers"})
    for (size_t i = 0; i < at(value, list).size(); ++i)
      for (const char* hook : {"postStart", "preStop"}) {
        const Json& sleep = at(at(at(value[list][i], "lifecycle"), hook), "sleep");
        if (int_at(sleep, "seconds") > grace)
          causes.push_back(
              invalid_value(join(join(indexed(join(path, list), i), "lifecycle"), hook) + ".sleep",
                            std::to_string(int_at(sleep, "seconds")),
                            "must be non-negative and less than terminationGracePeriodSeconds (" +
                                std::to_string(grace) + ")"));
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
  if (!string_at(value, "spec.nodeName").empty() &&
      !is_empty(at_path(value, "spec.schedulingGates")))
    causes.push_back(forbidden_field(join(at_spec, "nodeName"),
                                     "cannot be set until all schedulingGates have been cleared"));
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
  check_sleeps(value, path, causes);
  check_pod_security(value, path, causes);
  check_placement(value, path, causes);
  if (value.contains("overhead"))
    check_resources({{"limits", value["overhead"]}}, join(path, "overhead"), causes);
  if (string_at(value, "dnsPolicy") != "None") return;
  if (!value.contains("dnsConfig"))
    causes.push_back(
        required(join(path, "dnsConfig"), "must provide `dnsConfig` when `dnsPolicy` is None"));
  else if (is_empty(at_path(value, "dnsConfig.nameservers")))
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
  const Json& searches = at(value, "searches");
  size_t length = searches.empty() ? 0 : searches.size() - 1;  // the spaces between them
  for (size_t i = 0; i < searches.size(); ++i) {
    std::string domain = searches[i].get<std::string>();
    length += domain.size();
    if (domain == ".") continue;
    if (domain.ends_with('.')) domain.pop_back();
    // Names of services elsewhere have underscores.
    std::string plain = domain;
    std::ranges::replace(plain, '_', 'x');
    if (auto wrong = check_dns1123_subdomain(plain))
      causes.push_back(invalid_value(indexed(join(path, "searches"), i), go_value(domain), *wrong));
  }
  if (length > kMaxSearchCharacters)
    causes.push_back(invalid_value(
        join(path, "searches"), dump(searches),
        "must not have more than 2048 characters (including spaces) in the search list"));
  const Json& options = at(value, "options");
  for (size_t i = 0; i < options.size(); ++i)
    if (string_at(options[i], "name").empty())
      causes.push_back(required(indexed(join(path, "options"), i), "must not be empty"));
}

}  // namespace fairlead::orchestrator::apiserver::schema
