// SPDX-License-Identifier: Apache-2.0
// Containers and what hangs below them.
#include <algorithm>
#include <cctype>
#include <set>

#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/formats.h"
#include "orchestrator/apiserver/schema/rules.h"

namespace fairlead::orchestrator::apiserver::schema {
namespace {

using Names = std::vector<std::string>;

const Names kEnvFields = {"metadata.name",
                          "metadata.namespace",
                          "metadata.uid",
                          "spec.nodeName",
                          "spec.serviceAccountName",
                          "status.hostIP",
                          "status.hostIPs",
                          "status.podIP",
                          "status.podIPs"};
const Names kFileFields = {"metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels",
                           "metadata.annotations"};
const Names kResourceFields = {"limits.cpu",   "limits.memory",   "limits.ephemeral-storage",
                               "requests.cpu", "requests.memory", "requests.ephemeral-storage"};
const Names kCpuDivisors = {"1m", "1"};
const Names kByteDivisors = {"1",   "1k",  "1M",  "1G",  "1T",  "1P", "1E",
                             "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"};

bool has(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// "metadata.labels['app']" -> the key; nullopt: there is no subscript.
std::optional<std::string> subscript_of(const std::string& text, std::string& path) {
  const size_t open = text.find("['");
  if (open == text.npos || !text.ends_with("']")) return std::nullopt;
  path = text.substr(0, open);
  return text.substr(open + 2, text.size() - open - 4);
}

void check_field(const Json& selector, const Names& supported, const std::string& path,
                 Causes& causes) {
  const std::string where = join(path, "fieldPath");
  const std::string text = string_at(selector, "fieldPath");
  if (text.empty()) return;  // said already: it is required
  const auto refuse = [&](const std::string& why) {
    causes.push_back(invalid_value(where, go_value(text), "error converting fieldPath: " + why));
  };
  if (const std::string version = string_at(selector, "apiVersion"); version != "v1")
    return refuse("unsupported pod version: " + version);
  std::string base;
  const auto key = subscript_of(text, base);
  if (!key) {
    if (!has(supported, text))
      causes.push_back(unsupported_value(where, go_value(text), supported));
    return;
  }
  if (base != "metadata.labels" && base != "metadata.annotations")
    return refuse("field label does not support subscript: " + text);
  if (auto wrong = check_qualified_name(base == "metadata.annotations" ? lower_case(*key) : *key))
    causes.push_back(invalid_value(where, go_value(*key), *wrong));
}

void check_divisor(const Json& selector, const std::string& resource, const std::string& path,
                   Causes& causes) {
  const std::string divisor = string_at(selector, "divisor");
  if (divisor.empty() || divisor == "0") return;
  const bool cpu = resource.ends_with(".cpu");
  if (has(cpu ? kCpuDivisors : kByteDivisors, divisor)) return;
  const std::string name = cpu                                        ? "cpu"
                           : resource.ends_with(".memory")            ? "memory"
                           : resource.ends_with(".ephemeral-storage") ? "local ephemeral storage"
                                                                      : "hugepages";
  std::string values;
  for (const std::string& one : cpu ? kCpuDivisors : kByteDivisors)
    values += (values.empty() ? "" : cpu ? " and " : ", ") + one;
  causes.push_back(invalid_value(
      join(path, "divisor"), go_value(resource),
      "only divisor's values " + values + " are supported with the " + name + " resource"));
}

void check_probes(const Json& value, const std::string& path, Causes& causes) {
  for (const char* name : {"livenessProbe", "startupProbe"}) {
    const Json& probe = at(value, name);
    if (const int64_t count = int_at(probe, "successThreshold", 1); count > 1)
      causes.push_back(invalid_value(join(join(path, name), "successThreshold"),
                                     std::to_string(count), "must be 1"));
  }
  const Json& grace = at(at(value, "readinessProbe"), "terminationGracePeriodSeconds");
  if (!grace.is_null())
    causes.push_back(invalid_value(join(path, "readinessProbe.terminationGracePeriodSeconds"),
                                   go_value(grace), "must not be set for readinessProbes"));
}

size_t count_members(const Json& value, std::initializer_list<const char*> names) {
  return static_cast<size_t>(std::count_if(names.begin(), names.end(),
                                           [&](const char* name) { return value.contains(name); }));
}

}  // namespace

void check_env_field(const Json& selector, const std::string& path, Causes& causes) {
  check_field(selector, kEnvFields, path, causes);
}

void check_file_field(const Json& selector, const std::string& path, Causes& causes) {
  check_field(selector, kFileFields, path, causes);
}

void check_resource_field(const Json& selector, const std::string& path, Causes& causes) {
  const std::string resource = string_at(selector, "resource");
  if (resource.empty()) return;  // said already: it is required
  const bool pages =
      resource.starts_with("limits.hugepages-") || resource.starts_with("requests.hugepages-");
  if (!pages && !has(kResourceFields, resource)) {
    causes.push_back(
        unsupported_value(join(path, "resource"), go_value(resource), kResourceFields));
    return;
  }
  check_divisor(selector, resource, path, causes);
}

void check_env_var(const Json& value, const std::string& path, Causes& causes) {
  const Json& from = at(value, "valueFrom");
  if (!from.is_object()) return;
  const std::string where = join(path, "valueFrom");
  if (from.contains("fieldRef")) check_env_field(from["fieldRef"], join(where, "fieldRef"), causes);
  if (from.contains("resourceFieldRef"))
    check_resource_field(from["resourceFieldRef"], join(where, "resourceFieldRef"), causes);
  if (!string_at(value, "value").empty())
    causes.push_back(
        invalid_value(where, "\"\"", "may not be specified when `value` is not empty"));
  if (from.empty())
    causes.push_back(invalid_value(where, "\"\"",
                                   "must specify one of: `fieldRef`, `resourceFieldRef`, "
                                   "`configMapKeyRef` or `secretKeyRef`"));
  if (from.size() > 1)
    causes.push_back(
        invalid_value(where, "\"\"", "may not have more than one field specified at a time"));
}

void check_env_from(const Json& value, const std::string& path, Causes& causes) {
  const size_t count = count_members(value, {"configMapRef", "secretRef"});
  if (count == 0)
    causes.push_back(
        invalid_value(path, "\"\"", "must specify one of: `configMapRef` or `secretRef`"));
  if (count > 1)
    causes.push_back(
        invalid_value(path, "\"\"", "may not have more than one field specified at a time"));
  for (const char* name : {"configMapRef", "secretRef"})
    if (value.contains(name)) check_named_source(value[name], join(path, name), causes);
}

void check_key_selector(const Json& value, const std::string& path, Causes& causes) {
  const std::string name = string_at(value, "name");
  if (auto wrong = check_dns1123_subdomain(name))
    causes.push_back(invalid_value(join(path, "name"), go_value(name), *wrong));
  const std::string key = string_at(value, "key");
  if (key.empty()) return;  // said already: it is required
  if (auto wrong = check_config_key(key))
    causes.push_back(invalid_value(join(path, "key"), go_value(key), *wrong));
}

// The first that is there counts; each that follows is one too many.
void check_handler(const Json& value, const std::string& path, Causes& causes) {
  bool found = false;
  for (const char* name : {"exec", "httpGet", "tcpSocket", "grpc", "sleep"}) {
    if (!value.contains(name)) continue;
    if (found)
      causes.push_back(
          forbidden_field(join(path, name), "may not specify more than 1 handler type"));
    found = true;
  }
  if (!found) causes.push_back(required(path, "must specify a handler type"));
}

void check_http_get(const Json& value, const std::string& path, Causes& causes) {
  const Json& headers = at(value, "httpHeaders");
  for (const Json& header : headers) {
    const std::string name = string_at(header, "name");
    if (name.empty()) continue;  // said already: it is required
    if (!std::ranges::all_of(name, [](unsigned char c) { return std::isalnum(c) || c == '-'; }))
      causes.push_back(
          invalid_value(join(path, "httpHeaders"), go_value(name),
                        "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. "
                        "'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')"));
  }
}

void check_exec(const Json& value, const std::string& path, Causes& causes) {
  if (is_empty(at(value, "command"))) causes.push_back(required(join(path, "command")));
}

void check_security_context(const Json& value, const std::string& path, Causes& causes) {
  if (bool_at(value, "allowPrivilegeEscalation", true)) return;
  const auto refuse = [&](const char* what) {
    causes.push_back(
        invalid_value(path, dump(value),
                      std::string("cannot set `allowPrivilegeEscalation` to false and ") + what));
  };
  if (bool_at(value, "privileged")) refuse("`privileged` to true");
  const Json& added = at_path(value, "capabilities.add");
  if (std::find(added.begin(), added.end(), "CAP_SYS_ADMIN") != added.end())
    refuse("`capabilities.Add` CAP_SYS_ADMIN");
}

void check_container(const Json& value, const std::string& path, Causes& causes) {
  if (string_at(value, "image").empty()) causes.push_back(required(join(path, "image")));
  check_probes(value, path, causes);
  check_volumes_of(value, path, causes);
  std::set<std::string> names;
  const Json& ports = at(value, "ports");
  for (size_t i = 0; i < ports.size(); ++i) {
    const std::string name = string_at(ports[i], "name");
    if (!name.empty() && !names.insert(name).second)
      causes.push_back(duplicate(indexed(join(path, "ports"), i) + ".name", go_value(name)));
  }
}

}  // namespace fairlead::orchestrator::apiserver::schema
