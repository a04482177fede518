// SPDX-License-Identifier: Apache-2.0
// The environment of a container: service variables, envFrom, env with its references, and $(NAME)
// expansion. Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "kube/objects.h"
#include "orchestrator/node/pod_spec.h"

namespace fairlead::orchestrator {

// A ConfigMap or Secret a pod refers to, in the pod's namespace.
struct ObjectRef {
  bool secret = false;
  std::string name;
  std::string to_string() const { return (secret ? "secret \"" : "configmap \"") + name + "\""; }
  auto operator<=>(const ObjectRef&) const = default;
};
// Their data, decoded (data, binaryData, a Secret's base64). What is absent does not exist.
struct ObjectData : std::map<std::string, std::string> {
  using Base = std::map<std::string, std::string>;
  using Base::Base;
  ObjectData(Base values) : Base(std::move(values)) {}  // NOLINT(google-explicit-constructor)
  std::set<std::string> binary;  // keys of binaryData, which are for volumes alone
};
using Objects = std::map<ObjectRef, ObjectData>;

std::set<ObjectRef> env_references(const ContainerSpec& container);
std::set<ObjectRef> volume_references(const PodSpec& pod);

// What the node knows of itself and of the pod's addresses.
struct NodeFacts {
  std::string node_name;
  std::string host_ip;
  std::vector<std::string> pod_ips;
  int64_t cpu_millis = 0;  // allocatable: what "limits.cpu" is without a limit
  int64_t memory_bytes = 0;
};

// "metadata.name", "metadata.labels['app']", "status.podIP" ...; kInvalid for what is no field.
Result<std::string> field_value(const PodSpec& pod, const NodeFacts& node, std::string_view path);
// "limits.cpu", "requests.memory" of a container, divided (thousandths; 0 is 1) and rounded up.
Result<std::string> resource_value(const ContainerSpec& container, const NodeFacts& node,
                                   std::string_view resource, int64_t divisor);

// HELLO_SERVICE_HOST, HELLO_SERVICE_PORT, HELLO_SERVICE_PORT_HTTP, HELLO_PORT_80_TCP_ADDR ... of
// Services with an address.
std::map<std::string, std::string> service_env(const std::vector<kube::Service>& services);

// "$(NAME)" by value, "$$(NAME)" as "$(NAME)"; a name that is not known stays as written. Such
// names, and those of empty values, are told in `missing` where that is asked for.
std::string expand(std::string_view text, const std::map<std::string, std::string>& values,
                   std::set<std::string>* missing = nullptr);

// The container with each subPathExpr expanded to the subPath that it means (kubelet makeMounts).
Result<ContainerSpec> with_sub_paths(
    ContainerSpec container, const std::vector<std::pair<std::string, std::string>>& environment);

// In the order given, service variables first; a later name replaces an earlier one. The error is
// what CreateContainerConfigError says.
Result<std::vector<std::pair<std::string, std::string>>> build_env(
    const PodSpec& pod, const ContainerSpec& container, const NodeFacts& node,
    const Objects& objects, const std::map<std::string, std::string>& services);

}  // namespace fairlead::orchestrator
