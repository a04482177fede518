// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/controllers/decode.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/controllers/object_parts.h"
#include "orchestrator/values/json_reader.h"

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
  fill(object, *document, json::member(*document, "spec"), json::member(*document, "status"));
  return object;
}

kube::Protocol read_protocol(const Json& port) {
  const std::string& name = json::text(port, "protocol");
  if (name == "UDP") return kube::Protocol::kUdp;
  if (name == "SCTP") return kube::Protocol::kSctp;
  return kube::Protocol::kTcp;
}

int int_or(const Json& object, const char* name, int fallback) {
  return static_cast<int>(json::number_or(object, name, fallback));
}

std::optional<int> optional_int(const Json& object, const char* name) {
  const auto value = json::number(object, name);
  return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
}

IntOrPercent read_int_or_percent(const Json& object, const char* name, IntOrPercent fallback) {
  const Json& value = json::member(object, name);
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
    for (const Json& port : json::items(container, "ports"))
      if (!json::text(port, "name").empty())
        ports.push_back({json::text(port, "name"), read_protocol(port),
                         static_cast<uint16_t>(json::number_or(port, "containerPort", 0))});
}

void fill_pod(Pod& pod, const Json&, const Json& spec, const Json& status) {
  pod.node_name = json::text(spec, "nodeName");
  pod.hostname = json::text(spec, "hostname");
  pod.subdomain = json::text(spec, "subdomain");
  pod.tolerations = read_tolerations(spec);
  add_ports(json::items(spec, "containers"), pod.ports);
  // A restartable init container (sidecar, KEP-753) may name a target port as well.
  for (const Json& container : json::items(spec, "initContainers"))
    if (json::text(container, "restartPolicy") == "Always")
      add_ports(Json::array({container}), pod.ports);
  pod.phase = json::text(status, "phase");
  for (const Json& item : json::items(status, "podIPs"))
    if (auto ip = IpAddress::parse(json::text(item, "ip"))) pod.ips.push_back(*ip);
  if (pod.ips.empty())
    if (auto ip = IpAddress::parse(json::text(status, "podIP"))) pod.ips.push_back(*ip);
  for (const Json& condition : json::items(status, "conditions")) {
    if (json::text(condition, "type") != "Ready") continue;
    pod.has_ready_condition = true;
    pod.ready = json::text(condition, "status") == "True";
    pod.ready_changed = timestamp(condition, "lastTransitionTime");
  }
  for (const Json& container : json::items(status, "containerStatuses"))
    pod.restarts = std::max(pod.restarts, int_or(container, "restartCount", 0));
}

// Without zeros that say nothing, and with today's defaults: a version that has one more gives it
// to a stored Deployment with the next write of its status, and not to its ReplicaSets, which must
// not look like another template's then.
std::string defaulted_print(const Json& spec) {
  Json pod_template = json::member(spec, "template");
  if (pod_template.is_object()) {
    const auto& type = *apiserver::schema::Types::builtin().find("PodTemplateSpec");
    apiserver::schema::apply_defaults(type, pod_template);
    apiserver::schema::drop_zeros(type, pod_template);
  }
  // A pod's default that earlier versions wrote into templates, too.
  if (json::flag(json::member(pod_template, "spec"), "enableServiceLinks"))
    pod_template["spec"].erase("enableServiceLinks");
  return template_print(pod_template);
}

void fill_replica_set(ReplicaSet& set, const Json&, const Json& spec, const Json& status) {
  set.replicas = int_or(spec, "replicas", 1);
  set.min_ready_seconds = int_or(spec, "minReadySeconds", 0);
  set.selector = read_selector(json::member(spec, "selector"));
  set.template_labels = labels(json::member(json::member(spec, "template"), "metadata"), "labels");
  set.template_print = defaulted_print(spec);
  set.status.replicas = int_or(status, "replicas", 0);
  set.status.fully_labeled = int_or(status, "fullyLabeledReplicas", 0);
  set.status.ready = int_or(status, "readyReplicas", 0);
  set.status.available = int_or(status, "availableReplicas", 0);
  set.status.terminating = optional_int(status, "terminatingReplicas");
  set.status.observed_generation = json::number_or(status, "observedGeneration", 0);
  set.status.conditions = read_conditions(status);
}

void fill_deployment(Deployment& deployment, const Json&, const Json& spec, const Json& status) {
  deployment.replicas = int_or(spec, "replicas", 1);
  deployment.paused = json::flag(spec, "paused");
  const Json& strategy = json::member(spec, "strategy");
  deployment.recreate = json::text(strategy, "type") == "Recreate";
  const Json& rolling = json::member(strategy, "rollingUpdate");
  deployment.max_surge = read_int_or_percent(rolling, "maxSurge", {25, true});
  deployment.max_unavailable = read_int_or_percent(rolling, "maxUnavailable", {25, true});
  deployment.min_ready_seconds = int_or(spec, "minReadySeconds", 0);
  deployment.revision_history_limit = int_or(spec, "revisionHistoryLimit", 10);
  deployment.progress_deadline_seconds = int_or(spec, "progressDeadlineSeconds", 600);
  deployment.selector = read_selector(json::member(spec, "selector"));
  deployment.template_labels =
      labels(json::member(json::member(spec, "template"), "metadata"), "labels");
  deployment.template_print = defaulted_print(spec);
  DeploymentStatus& have = deployment.status;
  have.observed_generation = json::number_or(status, "observedGeneration", 0);
  have.replicas = int_or(status, "replicas", 0);
  have.updated = int_or(status, "updatedReplicas", 0);
  have.ready = int_or(status, "readyReplicas", 0);
  have.available = int_or(status, "availableReplicas", 0);
  have.unavailable = int_or(status, "unavailableReplicas", 0);
  have.terminating = optional_int(status, "terminatingReplicas");
  have.collision_count = optional_int(status, "collisionCount");
  have.conditions = read_conditions(status);
}

void fill_service(Service& service, const Json&, const Json& spec, const Json&) {
  service.external_name = json::text(spec, "type") == "ExternalName";
  service.headless = json::text(spec, "clusterIP") == "None";
  service.publish_not_ready = json::flag(spec, "publishNotReadyAddresses");
  const std::string& distribution = json::text(spec, "trafficDistribution");
  service.prefer_same_node = distribution == "PreferSameNode";
  service.prefer_same_zone =
      service.prefer_same_node || distribution == "PreferSameZone" || distribution == "PreferClose";
  service.selector = labels(spec, "selector");
  for (const std::string& family : json::texts(spec, "ipFamilies"))
    service.families.push_back(family == "IPv6" ? Family::kIpv6 : Family::kIpv4);
  if (service.families.empty()) service.families.push_back(Family::kIpv4);
  for (const Json& item : json::items(spec, "ports")) {
    ServicePort port;
    port.name = json::text(item, "name");
    port.protocol = read_protocol(item);
    port.app_protocol = json::text(item, "appProtocol");
    port.port = static_cast<uint16_t>(json::number_or(item, "port", 0));
    port.target_name = json::text(item, "targetPort");
    port.target_port = static_cast<uint16_t>(json::number_or(item, "targetPort", 0));
    if (port.target_name.empty() && port.target_port == 0) port.target_port = port.port;
    service.ports.push_back(std::move(port));
  }
}

// We give one name; what others wrote beside it makes a text that is no name.
std::string read_hint(const Json& hints, const char* list) {
  std::string text;
  for (const Json& item : json::items(hints, list))
    text += (text.empty() ? "" : ",") + json::text(item, "name");
  return text;
}

Endpoint read_endpoint(const Json& item) {
  Endpoint endpoint;
  const Json& addresses = json::items(item, "addresses");
  if (!addresses.empty() && addresses.front().is_string())
    if (auto address = IpAddress::parse(addresses.front().get<std::string>()))
      endpoint.address = *address;
  const Json& conditions = json::member(item, "conditions");
  endpoint.ready = json::flag(conditions, "ready");
  endpoint.serving = json::flag(conditions, "serving");
  endpoint.terminating = json::flag(conditions, "terminating");
  endpoint.hostname = json::text(item, "hostname");
  endpoint.node_name = json::text(item, "nodeName");
  endpoint.zone = json::text(item, "zone");
  endpoint.hint_zone = read_hint(json::member(item, "hints"), "forZones");
  endpoint.hint_node = read_hint(json::member(item, "hints"), "forNodes");
  endpoint.pod_name = json::text(json::member(item, "targetRef"), "name");
  endpoint.pod_uid = json::text(json::member(item, "targetRef"), "uid");
  return endpoint;
}

void fill_slice(EndpointSlice& slice, const Json& document, const Json&, const Json&) {
  slice.family = json::text(document, "addressType") == "IPv6" ? Family::kIpv6 : Family::kIpv4;
  for (const Json& item : json::items(document, "ports"))
    slice.ports.push_back({json::text(item, "name"), read_protocol(item),
                           static_cast<uint16_t>(json::number_or(item, "port", 0)),
                           json::text(item, "appProtocol")});
  std::sort(slice.ports.begin(), slice.ports.end());
  for (const Json& item : json::items(document, "endpoints"))
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

Result<Endpoints> decode_endpoints(const Bytes& bytes) {
  Result<Endpoints> endpoints = decode_with<Endpoints>(
      bytes, [](Endpoints& object, const Json& document, const Json&, const Json&) {
        object.print = fingerprint(json::items(document, "subsets"));
      });
  if (endpoints) endpoints->raw = bytes;
  return endpoints;
}

Result<Node> decode_node(const Bytes& bytes) {
  return decode_with<Node>(bytes,
                           [](Node& node, const Json&, const Json& spec, const Json& status) {
                             node.unschedulable = json::flag(spec, "unschedulable");
                             node.taints = read_taints(spec);
                             node.conditions = read_conditions(status);
                           });
}

Result<Lease> decode_lease(const Bytes& bytes) {
  return decode_with<Lease>(bytes, [](Lease& lease, const Json&, const Json& spec, const Json&) {
    lease.renew_time = json::text(spec, "renewTime");
  });
}

Result<Namespace> decode_namespace(const Bytes& bytes) {
  return decode_with<Namespace>(
      bytes, [](Namespace& ns, const Json&, const Json& spec, const Json& status) {
        ns.spec_finalizers = json::texts(spec, "finalizers");
        ns.conditions = read_conditions(status);
      });
}

Result<AnyObject> decode_any(const Bytes& bytes) {
  return decode_with<AnyObject>(bytes, [](AnyObject&, const Json&, const Json&, const Json&) {});
}

}  // namespace fairlead::orchestrator::controllers
