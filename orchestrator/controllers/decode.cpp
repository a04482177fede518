// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/decode.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "orchestrator/controllers/json_fields.h"

namespace fairlead::orchestrator::controllers {
namespace {

// Parses, reads the metadata and lets `fill` read the rest.
template <typename T, typename Fill>
Result<T> decode_with(const Bytes& bytes, Fill fill) {
  Result<Json> document = parse_object(bytes);
  if (!document) return document.error();
  Result<Meta> meta = read_meta(*document);
  if (!meta) return meta.error();
  T object;
  object.meta = std::move(meta).value();
  fill(object, *document, field(*document, "spec"), field(*document, "status"));
  return object;
}

kube::Protocol read_protocol(const Json& port) {
  const std::string& name = text(port, "protocol");
  if (name == "UDP") return kube::Protocol::kUdp;
  if (name == "SCTP") return kube::Protocol::kSctp;
  return kube::Protocol::kTcp;
}

int int_or(const Json& object, const char* name, int fallback) {
  return static_cast<int>(number(object, name, fallback));
}

IntOrPercent read_int_or_percent(const Json& object, const char* name, IntOrPercent fallback) {
  const Json& value = field(object, name);
  if (value.is_number_integer()) return {value.get<int>(), false};
  if (!value.is_string()) return fallback;
  const std::string& digits = value.get_ref<const std::string&>();
  IntOrPercent result;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), result.value);
  if (parsed.ec != std::errc()) return fallback;
  result.percent = parsed.ptr != digits.data() + digits.size() && *parsed.ptr == '%';
  return result;
}

void add_ports(const Json& containers, std::vector<ContainerPort>& ports) {
  for (const Json& container : containers)
    for (const Json& port : items(container, "ports"))
      if (!text(port, "name").empty())
        ports.push_back({text(port, "name"), read_protocol(port),
                         static_cast<uint16_t>(number(port, "containerPort", 0))});
}

void fill_pod(Pod& pod, const Json&, const Json& spec, const Json& status) {
  pod.node_name = text(spec, "nodeName");
  pod.hostname = text(spec, "hostname");
  pod.subdomain = text(spec, "subdomain");
  pod.tolerations = read_tolerations(spec);
  add_ports(items(spec, "containers"), pod.ports);
  // A restartable init container (sidecar, KEP-753) may name a target port as well.
  for (const Json& container : items(spec, "initContainers"))
    if (text(container, "restartPolicy") == "Always")
      add_ports(Json::array({container}), pod.ports);
  pod.phase = text(status, "phase");
  for (const Json& item : items(status, "podIPs"))
    if (auto ip = IpAddress::parse(text(item, "ip"))) pod.ips.push_back(*ip);
  if (pod.ips.empty())
    if (auto ip = IpAddress::parse(text(status, "podIP"))) pod.ips.push_back(*ip);
  for (const Json& condition : items(status, "conditions")) {
    if (text(condition, "type") != "Ready") continue;
    pod.has_ready_condition = true;
    pod.ready = text(condition, "status") == "True";
    pod.ready_changed = timestamp(condition, "lastTransitionTime");
  }
  for (const Json& container : items(status, "containerStatuses"))
    pod.restarts = std::max(pod.restarts, int_or(container, "restartCount", 0));
}

void fill_replica_set(ReplicaSet& set, const Json&, const Json& spec, const Json& status) {
  set.replicas = int_or(spec, "replicas", 1);
  set.min_ready_seconds = int_or(spec, "minReadySeconds", 0);
  set.selector = read_selector(field(spec, "selector"));
  set.template_labels = labels(field(field(spec, "template"), "metadata"), "labels");
  set.template_print = template_print(field(spec, "template"));
  set.status.replicas = int_or(status, "replicas", 0);
  set.status.fully_labeled = int_or(status, "fullyLabeledReplicas", 0);
  set.status.ready = int_or(status, "readyReplicas", 0);
  set.status.available = int_or(status, "availableReplicas", 0);
  set.status.observed_generation = number(status, "observedGeneration", 0);
  set.status.conditions = read_conditions(status);
}

void fill_deployment(Deployment& deployment, const Json&, const Json& spec, const Json& status) {
  deployment.replicas = int_or(spec, "replicas", 1);
  deployment.paused = flag(spec, "paused");
  const Json& strategy = field(spec, "strategy");
  deployment.recreate = text(strategy, "type") == "Recreate";
  const Json& rolling = field(strategy, "rollingUpdate");
  deployment.max_surge = read_int_or_percent(rolling, "maxSurge", {25, true});
  deployment.max_unavailable = read_int_or_percent(rolling, "maxUnavailable", {25, true});
  deployment.min_ready_seconds = int_or(spec, "minReadySeconds", 0);
  deployment.revision_history_limit = int_or(spec, "revisionHistoryLimit", 10);
  deployment.progress_deadline_seconds = int_or(spec, "progressDeadlineSeconds", 600);
  deployment.selector = read_selector(field(spec, "selector"));
  deployment.template_labels = labels(field(field(spec, "template"), "metadata"), "labels");
  deployment.template_print = template_print(field(spec, "template"));
  DeploymentStatus& have = deployment.status;
  have.observed_generation = number(status, "observedGeneration", 0);
  have.replicas = int_or(status, "replicas", 0);
  have.updated = int_or(status, "updatedReplicas", 0);
  have.ready = int_or(status, "readyReplicas", 0);
  have.available = int_or(status, "availableReplicas", 0);
  have.unavailable = int_or(status, "unavailableReplicas", 0);
  if (field(status, "collisionCount").is_number_integer())
    have.collision_count = int_or(status, "collisionCount", 0);
  have.conditions = read_conditions(status);
}

void fill_service(Service& service, const Json&, const Json& spec, const Json&) {
  service.external_name = text(spec, "type") == "ExternalName";
  service.headless = text(spec, "clusterIP") == "None";
  service.publish_not_ready = flag(spec, "publishNotReadyAddresses");
  service.selector = labels(spec, "selector");
  for (const std::string& family : texts(spec, "ipFamilies"))
    service.families.push_back(family == "IPv6" ? Family::kIpv6 : Family::kIpv4);
  if (service.families.empty()) service.families.push_back(Family::kIpv4);
  for (const Json& item : items(spec, "ports")) {
    ServicePort port;
    port.name = text(item, "name");
    port.protocol = read_protocol(item);
    port.app_protocol = text(item, "appProtocol");
    port.port = static_cast<uint16_t>(number(item, "port", 0));
    port.target_name = text(item, "targetPort");
    port.target_port = static_cast<uint16_t>(number(item, "targetPort", 0));
    if (port.target_name.empty() && port.target_port == 0) port.target_port = port.port;
    service.ports.push_back(std::move(port));
  }
}

Endpoint read_endpoint(const Json& item) {
  Endpoint endpoint;
  const Json& addresses = items(item, "addresses");
  if (!addresses.empty() && addresses.front().is_string())
    if (auto address = IpAddress::parse(addresses.front().get<std::string>()))
      endpoint.address = *address;
  const Json& conditions = field(item, "conditions");
  endpoint.ready = flag(conditions, "ready");
  endpoint.serving = flag(conditions, "serving");
  endpoint.terminating = flag(conditions, "terminating");
  endpoint.hostname = text(item, "hostname");
  endpoint.node_name = text(item, "nodeName");
  endpoint.zone = text(item, "zone");
  endpoint.pod_name = text(field(item, "targetRef"), "name");
  endpoint.pod_uid = text(field(item, "targetRef"), "uid");
  return endpoint;
}

void fill_slice(EndpointSlice& slice, const Json& document, const Json&, const Json&) {
  slice.family = text(document, "addressType") == "IPv6" ? Family::kIpv6 : Family::kIpv4;
  for (const Json& item : items(document, "ports"))
    slice.ports.push_back({text(item, "name"), read_protocol(item),
                           static_cast<uint16_t>(number(item, "port", 0)),
                           text(item, "appProtocol")});
  std::sort(slice.ports.begin(), slice.ports.end());
  for (const Json& item : items(document, "endpoints"))
    slice.endpoints.push_back(read_endpoint(item));
}

}  // namespace

const Condition* find_condition(const std::vector<Condition>& conditions, const std::string& type) {
  const auto it = std::find_if(conditions.begin(), conditions.end(),
                               [&](const Condition& condition) { return condition.type == type; });
  return it == conditions.end() ? nullptr : &*it;
}

bool tolerates(const Toleration& toleration, const Taint& taint) {
  if (!toleration.effect.empty() && toleration.effect != taint.effect) return false;
  if (!toleration.key.empty() && toleration.key != taint.key) return false;
  if (toleration.op == "Exists") return true;
  if (toleration.op.empty() || toleration.op == "Equal")
    return !toleration.key.empty() && toleration.value == taint.value;
  return false;
}

Result<Pod> decode_pod(const Bytes& bytes) {
  return decode_with<Pod>(bytes, fill_pod);
}

Result<ReplicaSet> decode_replica_set(const Bytes& bytes) {
  Result<ReplicaSet> set = decode_with<ReplicaSet>(bytes, fill_replica_set);
  if (set) set->raw = bytes;
  return set;
}

Result<Deployment> decode_deployment(const Bytes& bytes) {
  Result<Deployment> deployment = decode_with<Deployment>(bytes, fill_deployment);
  if (deployment) deployment->raw = bytes;
  return deployment;
}

Result<Service> decode_service(const Bytes& bytes) {
  return decode_with<Service>(bytes, fill_service);
}

Result<EndpointSlice> decode_endpoint_slice(const Bytes& bytes) {
  return decode_with<EndpointSlice>(bytes, fill_slice);
}

Result<Node> decode_node(const Bytes& bytes) {
  return decode_with<Node>(bytes,
                           [](Node& node, const Json&, const Json& spec, const Json& status) {
                             node.unschedulable = flag(spec, "unschedulable");
                             node.taints = read_taints(spec);
                             node.conditions = read_conditions(status);
                           });
}

Result<Lease> decode_lease(const Bytes& bytes) {
  return decode_with<Lease>(bytes, [](Lease& lease, const Json&, const Json& spec, const Json&) {
    lease.renew_time = text(spec, "renewTime");
  });
}

Result<Namespace> decode_namespace(const Bytes& bytes) {
  return decode_with<Namespace>(bytes,
                                [](Namespace& ns, const Json&, const Json& spec, const Json&) {
                                  ns.spec_finalizers = texts(spec, "finalizers");
                                });
}

Result<AnyObject> decode_any(const Bytes& bytes) {
  return decode_with<AnyObject>(bytes, [](AnyObject&, const Json&, const Json&, const Json&) {});
}

}  // namespace fairlead::orchestrator::controllers
