// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/env.h"

#include <algorithm>
#include <cctype>

namespace fairlead::orchestrator {

namespace {

using Values = std::map<std::string, std::string>;

std::string env_name(std::string_view service) {
  std::string name(service);
  for (char& c : name)
    c = c == '-' || c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

void collect(const VolumeSource& source, std::set<ObjectRef>& references) {
  if (source.kind == VolumeSource::Kind::kConfigMap) references.insert({false, source.object});
  if (source.kind == VolumeSource::Kind::kSecret) references.insert({true, source.object});
  for (const VolumeSource& part : source.sources) collect(part, references);
}

// "metadata.labels['app']": the part between the quotes.
std::optional<std::string> subscript(std::string_view path, std::string_view prefix) {
  if (!path.starts_with(prefix) || !path.ends_with("']")) return std::nullopt;
  return std::string(path.substr(prefix.size(), path.size() - prefix.size() - 2));
}

std::string quoted_lines(const Labels& labels) {
  std::string text;
  for (const auto& [key, value] : labels) {
    text += text.empty() ? "" : "\n";
    text += key + "=\"";
    for (const char c : value) {
      if (c == '"' || c == '\\') text += '\\';
      text += c == '\n' ? std::string("\\n") : std::string(1, c);
    }
    text += '"';
  }
  return text;
}

std::string join(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ",") + part;
  return text;
}

Result<std::string> value_of(const EnvVar& var, const PodSpec& pod, const ContainerSpec& container,
                             const NodeFacts& node, const Objects& objects, const Values& known,
                             bool* absent) {
  switch (var.source) {
    case EnvVar::Source::kValue:
      return expand(var.value, known);
    case EnvVar::Source::kField:
      return field_value(pod, node, var.path);
    case EnvVar::Source::kResource: {
      const ContainerSpec* of = var.container.empty() ? &container : pod.find(var.container);
      if (of == nullptr)
        return Error(ErrorCode::kInvalid, "container " + var.container + " not found");
      return resource_value(*of, node, var.path, var.divisor);
    }
    case EnvVar::Source::kConfigMap:
    case EnvVar::Source::kSecret:
      break;
  }
  const ObjectRef reference{var.source == EnvVar::Source::kSecret, var.object};
  const auto object = objects.find(reference);
  *absent = var.optional;
  if (object == objects.end())
    return Error(ErrorCode::kNotFound, reference.to_string() + " not found");
  const auto value = object->second.find(var.key);
  if (value == object->second.end() || object->second.binary.contains(var.key))
    return Error(ErrorCode::kNotFound, "couldn't find key " + var.key + " in " +
                                           (reference.secret ? "Secret " : "ConfigMap ") +
                                           pod.key.ns + "/" + var.object);
  *absent = false;
  return value->second;
}

}  // namespace

std::set<ObjectRef> env_references(const ContainerSpec& container) {
  std::set<ObjectRef> references;
  for (const EnvFrom& from : container.env_from) references.insert({from.secret, from.object});
  for (const EnvVar& var : container.env) {
    if (var.source == EnvVar::Source::kConfigMap) references.insert({false, var.object});
    if (var.source == EnvVar::Source::kSecret) references.insert({true, var.object});
  }
  return references;
}

std::set<ObjectRef> volume_references(const PodSpec& pod) {
  std::set<ObjectRef> references;
  for (const VolumeSpec& volume : pod.volumes) collect(volume.source, references);
  return references;
}

Result<std::string> field_value(const PodSpec& pod, const NodeFacts& node, std::string_view path) {
  if (path == "metadata.name") return pod.key.name;
  if (path == "metadata.namespace") return pod.key.ns;
  if (path == "metadata.uid") return pod.uid;
  if (path == "metadata.labels") return quoted_lines(pod.labels);
  if (path == "metadata.annotations") return quoted_lines(pod.annotations);
  if (path == "spec.nodeName") return node.node_name;
  if (path == "spec.serviceAccountName") return pod.service_account;
  if (path == "status.hostIP" || path == "status.hostIPs") return node.host_ip;
  if (path == "status.podIP") return node.pod_ips.empty() ? std::string() : node.pod_ips.front();
  if (path == "status.podIPs") return join(node.pod_ips);
  const auto find = [](const Labels& map, const std::string& key) {
    const auto it = map.find(key);
    return it == map.end() ? std::string() : it->second;
  };
  if (const auto key = subscript(path, "metadata.labels['")) return find(pod.labels, *key);
  if (const auto key = subscript(path, "metadata.annotations['"))
    return find(pod.annotations, *key);
  return Error(ErrorCode::kInvalid, "unsupported fieldPath: " + std::string(path));
}

Result<std::string> resource_value(const ContainerSpec& container, const NodeFacts& node,
                                   std::string_view resource, int64_t divisor) {
  const size_t dot = resource.find('.');
  const std::string_view side = resource.substr(0, dot);
  if (dot == std::string_view::npos || (side != "limits" && side != "requests"))
    return Error(ErrorCode::kInvalid, "unsupported resource: " + std::string(resource));
  const std::string name(resource.substr(dot + 1));
  const Quantities& quantities = side == "limits" ? container.limits : container.requests;
  int64_t millis = 0;
  if (const auto found = quantities.find(name); found != quantities.end())
    millis = found->second;
  else if (side == "limits" && name == "cpu")
    millis = node.cpu_millis;
  else if (side == "limits" && name == "memory")
    millis = node.memory_bytes * 1000;
  const int64_t unit = divisor <= 0 ? 1000 : divisor;
  return std::to_string(millis / unit + (millis % unit != 0 ? 1 : 0));
}

std::map<std::string, std::string> service_env(const std::vector<kube::Service>& services) {
  Values env;
  for (const kube::Service& service : services) {
    if (service.headless || service.cluster_ips.empty() || service.ports.empty()) continue;
    const std::string name = env_name(service.meta.name);
    const std::string host = service.cluster_ips.front().to_string();
    const std::string first_port = std::to_string(service.ports.front().port);
    env[name + "_SERVICE_HOST"] = host;
    env[name + "_SERVICE_PORT"] = first_port;
    const std::string bracketed = service.cluster_ips.front().is_v6() ? "[" + host + "]" : host;
    bool first = true;
    for (const kube::ServicePort& port : service.ports) {
      const std::string number = std::to_string(port.port);
      std::string protocol = kube::to_string(port.protocol);
      const std::string prefix = name + "_PORT_" + number + "_" + protocol;
      std::transform(protocol.begin(), protocol.end(), protocol.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      if (!port.name.empty()) env[name + "_SERVICE_PORT_" + env_name(port.name)] = number;
      const std::string url = protocol + "://" + bracketed + ":" + number;
      if (std::exchange(first, false)) env[name + "_PORT"] = url;
      env[prefix] = url;
      env[prefix + "_PROTO"] = protocol;
      env[prefix + "_PORT"] = number;
      env[prefix + "_ADDR"] = host;
    }
  }
  return env;
}

std::string expand(std::string_view text, const Values& values, std::set<std::string>* missing) {
  std::string out;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '$' || at + 1 == text.size()) {
      out += text[at];
      continue;
    }
    if (text[at + 1] == '$') {
      out += '$';
      ++at;
      continue;
    }
    const size_t end = text[at + 1] == '(' ? text.find(')', at + 2) : std::string_view::npos;
    if (end == std::string_view::npos) {
      out += '$';
      continue;
    }
    const std::string name(text.substr(at + 2, end - at - 2));
    const auto found = values.find(name);
    const bool empty = found == values.end() || found->second.empty();
    if (empty && missing != nullptr) missing->insert(name);
    out += found == values.end() ? "$(" + name + ")" : found->second;
    at = end;
  }
  return out;
}

Result<ContainerSpec> with_sub_paths(
    ContainerSpec container, const std::vector<std::pair<std::string, std::string>>& environment) {
  const Values values(environment.begin(), environment.end());
  for (VolumeMount& mount : container.mounts) {
    if (mount.sub_path_expr.empty()) continue;
    std::set<std::string> missing;
    mount.sub_path = expand(mount.sub_path_expr, values, &missing);
    // Kubelet's ExpandContainerVolumeMounts: an empty name would be the whole volume.
    std::string names;
    for (const std::string& name : missing) names += (names.empty() ? "" : ", ") + name;
    if (!names.empty()) return Error(ErrorCode::kInvalid, "missing value for " + names);
    if (mount.sub_path.starts_with('/'))
      return Error(ErrorCode::kInvalid,
                   "error SubPath `" + mount.sub_path + "` must not be an absolute path");
    if (("/" + mount.sub_path + "/").find("/../") != std::string::npos)
      return Error(ErrorCode::kInvalid,
                   "unable to provision SubPath `" + mount.sub_path + "`: must not contain '..'");
  }
  return container;
}

Result<std::vector<std::pair<std::string, std::string>>> build_env(const PodSpec& pod,
                                                                   const ContainerSpec& container,
                                                                   const NodeFacts& node,
                                                                   const Objects& objects,
                                                                   const Values& services) {
  Values known = services;
  std::vector<std::string> order;
  for (const auto& [name, value] : services) order.push_back(name);
  const auto set = [&](const std::string& name, std::string value) {
    if (!known.contains(name)) order.push_back(name);
    known[name] = std::move(value);
  };
  for (const EnvFrom& from : container.env_from) {
    const ObjectRef reference{from.secret, from.object};
    const auto object = objects.find(reference);
    if (object == objects.end()) {
      if (from.optional) continue;
      return Error(ErrorCode::kNotFound, reference.to_string() + " not found");
    }
    for (const auto& [key, value] : object->second)
      if (!object->second.binary.contains(key)) set(from.prefix + key, value);
  }
  for (const EnvVar& var : container.env) {
    bool absent = false;
    Result<std::string> value = value_of(var, pod, container, node, objects, known, &absent);
    if (!value.ok() && absent) continue;
    if (!value.ok()) return value.error();
    set(var.name, *std::move(value));
  }
  std::vector<std::pair<std::string, std::string>> env;
  for (const std::string& name : order) env.emplace_back(name, known[name]);
  return env;
}

}  // namespace fairlead::orchestrator
