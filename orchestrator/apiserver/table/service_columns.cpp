// SPDX-License-Identifier: Apache-2.0
// Columns of services, their endpoints and the workloads.
#include <algorithm>

#include "orchestrator/apiserver/selector.h"
#include "orchestrator/apiserver/table/columns.h"

namespace fairlead::orchestrator::apiserver {
namespace {

constexpr size_t kShownEndpoints = 3;
constexpr size_t kLoadBalancerWidth = 16;

std::vector<std::string> strings(const Json& list) {
  std::vector<std::string> result;
  if (list.is_array())
    for (const Json& one : list) result.push_back(one.is_string() ? one.get<std::string>() : "");
  return result;
}

// --- Service

Json service_type_cell(const Json& service, WallTime) {
  return string_at(service, "spec.type");
}

Json cluster_ip_cell(const Json& service, WallTime) {
  const std::string ip = string_at(service, "spec.clusterIP");
  return ip.empty() ? "<none>" : ip;
}

Json service_external_ip_cell(const Json& service, WallTime) {
  const std::string type = string_at(service, "spec.type");
  if (type == "ExternalName") return string_at(service, "spec.externalName");
  std::vector<std::string> addresses = strings(at_path(service, "spec.externalIPs"));
  if (type == "LoadBalancer") {
    std::vector<std::string> ingress;
    const Json& list = at_path(service, "status.loadBalancer.ingress");
    if (list.is_array())
      for (const Json& one : list) {
        const std::string ip = string_at(one, "ip");
        ingress.push_back(ip.empty() ? string_at(one, "hostname") : ip);
      }
    std::string text = comma_joined(ingress);
    if (text.size() > kLoadBalancerWidth) text = text.substr(0, kLoadBalancerWidth - 3) + "...";
    if (!text.empty()) addresses.insert(addresses.begin(), text);
    if (addresses.empty()) return "<pending>";
  }
  return addresses.empty() ? "<none>" : comma_joined(addresses);
}

Json ports_cell(const Json& service, WallTime) {
  std::vector<std::string> parts;
  const Json& ports = at_path(service, "spec.ports");
  if (ports.is_array())
    for (const Json& port : ports) {
      std::string text = std::to_string(int_at(port, "port"));
      if (int_at(port, "nodePort") != 0) text += ":" + std::to_string(int_at(port, "nodePort"));
      parts.push_back(text + "/" + string_at(port, "protocol"));
    }
  return parts.empty() ? "<none>" : comma_joined(parts);
}

Json service_selector_cell(const Json& service, WallTime) {
  const std::string text =
      label_selector_text({{"matchLabels", at_path(service, "spec.selector")}});
  return text.empty() ? "<none>" : text;
}

constexpr Column kService[] = {
    kNameColumn,
    {"Type", "string", "", 0, "How the service is exposed.", service_type_cell},
    {"Cluster-IP", "string", "", 0, "The service's address inside the cluster.", cluster_ip_cell},
    {"External-IP", "string", "", 0, "The service's addresses outside the cluster.",
     service_external_ip_cell},
    {"Port(s)", "string", "", 0, "The ports the service listens on.", ports_cell},
    kAgeColumn,
    {"Selector", "string", "", 1, "The labels of the pods behind the service.",
     service_selector_cell},
};

// --- EndpointSlice

Json address_type_cell(const Json& slice, WallTime) {
  return string_at(slice, "addressType");
}

std::string first_few(const std::vector<std::string>& parts, const char* none) {
  if (parts.empty()) return none;
  const size_t shown = std::min(parts.size(), kShownEndpoints);
  std::string text =
      comma_joined({parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(shown)});
  if (parts.size() > shown) text += " + " + std::to_string(parts.size() - shown) + " more...";
  return text;
}

Json slice_ports_cell(const Json& slice, WallTime) {
  std::vector<std::string> parts;
  const Json& ports = at(slice, "ports");
  if (ports.is_array())
    for (const Json& port : ports)
      parts.push_back(int_at(port, "port") != 0 ? std::to_string(int_at(port, "port")) : "*");
  return first_few(parts, "<unset>");
}

Json slice_endpoints_cell(const Json& slice, WallTime) {
  std::vector<std::string> parts;
  const Json& endpoints = at(slice, "endpoints");
  if (endpoints.is_array())
    for (const Json& one : endpoints) parts.push_back(comma_joined(strings(at(one, "addresses"))));
  return first_few(parts, "<unset>");
}

constexpr Column kEndpointSlice[] = {
    kNameColumn,
    {"AddressType", "string", "", 0, "The type of address the endpoints have.", address_type_cell},
    {"Ports", "string", "", 0, "The ports every endpoint listens on.", slice_ports_cell},
    {"Endpoints", "string", "", 0, "The addresses of the endpoints.", slice_endpoints_cell},
    kAgeColumn,
};

// --- Endpoints

// Each ready address with each port; not ready ones are left out.
Json endpoints_cell(const Json& endpoints, WallTime) {
  std::vector<std::string> parts;
  const auto each = [](const Json& list, const auto& visit) {
    if (list.is_array())
      for (const Json& one : list) visit(one);
  };
  each(at(endpoints, "subsets"), [&](const Json& subset) {
    const Json& addresses = at(subset, "addresses");
    const Json& ports = at(subset, "ports");
    if (is_empty(ports))  // headless
      each(addresses, [&](const Json& address) { parts.push_back(string_at(address, "ip")); });
    each(ports, [&](const Json& port) {
      each(addresses, [&](const Json& address) {
        const std::string ip = string_at(address, "ip");
        const std::string host = ip.find(':') == ip.npos ? ip : "[" + ip + "]";
        parts.push_back(host + ":" + std::to_string(int_at(port, "port")));
      });
    });
  });
  return first_few(parts, "<none>");
}

constexpr Column kEndpoints[] = {
    kNameColumn,
    {"Endpoints", "string", "", 0, "The addresses and ports that are ready.", endpoints_cell},
    kAgeColumn,
};

// --- Deployment, ReplicaSet

template <char const* Path>
Json number_cell(const Json& object, WallTime) {
  return int_at(object, Path);
}
constexpr char kSpecReplicas[] = "spec.replicas";
constexpr char kReplicas[] = "status.replicas";
constexpr char kReadyReplicas[] = "status.readyReplicas";
constexpr char kUpdatedReplicas[] = "status.updatedReplicas";
constexpr char kAvailableReplicas[] = "status.availableReplicas";

Json ready_replicas_cell(const Json& object, WallTime) {
  return std::to_string(int_at(object, "status.readyReplicas")) + "/" +
         std::to_string(int_at(object, "spec.replicas"));
}

std::string of_containers(const Json& object, std::string_view member) {
  std::vector<std::string> parts;
  const Json& containers = at_path(object, "spec.template.spec.containers");
  if (containers.is_array())
    for (const Json& one : containers) parts.push_back(string_at(one, member));
  return comma_joined(parts);
}
Json containers_cell(const Json& object, WallTime) {
  return of_containers(object, "name");
}
Json images_cell(const Json& object, WallTime) {
  return of_containers(object, "image");
}
Json selector_cell(const Json& object, WallTime) {
  return label_selector_text(at_path(object, "spec.selector"));
}

constexpr Column kContainersColumn = {
    "Containers", "string", "", 1, "Names of each container in the template.", containers_cell};
constexpr Column kImagesColumn = {
    "Images", "string", "", 1, "Images referenced by each container in the template.", images_cell};
constexpr Column kSelectorColumn = {"Selector",   "string", "", 1, "Label selector of the pods.",
                                    selector_cell};

constexpr Column kDeployment[] = {
    kNameColumn,
    {"Ready", "string", "", 0, "Number of the pod with ready state", ready_replicas_cell},
    {"Up-to-date", "integer", "", 0, "Pods that have the desired template.",
     number_cell<kUpdatedReplicas>},
    {"Available", "integer", "", 0, "Pods ready for at least minReadySeconds.",
     number_cell<kAvailableReplicas>},
    kAgeColumn,
    kContainersColumn,
    kImagesColumn,
    kSelectorColumn,
};
constexpr Column kScale[] = {
    kNameColumn,
    {"Desired", "integer", "", 0,
     "replicas is the desired number of instances for the scaled object.",
     number_cell<kSpecReplicas>},
    {"Available", "integer", "", 0,
     "replicas is the actual number of observed instances of the scaled object.",
     number_cell<kReplicas>},
    kAgeColumn,
};
constexpr Column kReplicaSet[] = {
    kNameColumn,
    {"Desired", "integer", "", 0, "Number of pods wanted.", number_cell<kSpecReplicas>},
    {"Current", "integer", "", 0, "Number of pods there are.", number_cell<kReplicas>},
    {"Ready", "integer", "", 0, "Number of pods that are ready.", number_cell<kReadyReplicas>},
    kAgeColumn,
    kContainersColumn,
    kImagesColumn,
    kSelectorColumn,
};

}  // namespace

const std::span<const Column> kServiceColumns = kService;
const std::span<const Column> kEndpointSliceColumns = kEndpointSlice;
const std::span<const Column> kEndpointsColumns = kEndpoints;
const std::span<const Column> kDeploymentColumns = kDeployment;
const std::span<const Column> kReplicaSetColumns = kReplicaSet;
const std::span<const Column> kScaleColumns = kScale;

}  // namespace fairlead::orchestrator::apiserver
