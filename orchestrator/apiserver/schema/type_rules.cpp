// SPDX-License-Identifier: Apache-2.0
// Which type has which rule, and the rules of workloads, data and nodes.
#include <algorithm>
#include <cstdlib>
#include <set>

#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/formats.h"
#include "orchestrator/apiserver/schema/rules.h"
#include "orchestrator/apiserver/selector.h"

namespace fairlead::orchestrator::apiserver::schema {
namespace {

constexpr size_t kMaxDataBytes = 1024 * 1024;

void workload(const Json& value, const std::string& path, Causes& causes) {
  const Json& spec = at(value, "spec");
  const std::string at_spec = join(path, "spec");
  const Json& selector = at(spec, "selector");
  const Json& labels = at_path(spec, "template.metadata.labels");
  const bool empty =
      is_empty(at(selector, "matchLabels")) && is_empty(at(selector, "matchExpressions"));
  // Of a ReplicaSet, too, Kubernetes says "deployment".
  if (selector.is_null())
    causes.push_back(required(join(at_spec, "selector")));
  else if (empty)
    causes.push_back(invalid_value(join(at_spec, "selector"), dump(selector),
                                   "empty selector is invalid for deployment"));
  if (selector.is_null() || (!empty && !matches_label_selector(selector, labels)))
    causes.push_back(invalid_value(at_spec + ".template.metadata.labels", dump(labels),
                                   "`selector` does not match template `labels`"));
  const std::string policy = string_at(spec, "template.spec.restartPolicy");
  if (!policy.empty() && policy != "Always")
    causes.push_back(
        unsupported_value(at_spec + ".template.spec.restartPolicy", go_value(policy), {"Always"}));
  if (!at_path(spec, "template.spec.activeDeadlineSeconds").is_null())
    causes.push_back(forbidden_field(at_spec + ".template.spec.activeDeadlineSeconds",
                                     "activeDeadlineSeconds in ReplicaSet is not Supported"));
}

void deployment(const Json& value, const std::string& path, Causes& causes) {
  workload(value, path, causes);
  const Json& deadline = at_path(value, "spec.progressDeadlineSeconds");
  if (deadline.is_number_integer() && deadline <= int_at(value, "spec.minReadySeconds"))
    causes.push_back(invalid_value(join(path, "spec.progressDeadlineSeconds"), go_value(deadline),
                                   "must be greater than minReadySeconds"));
}

// No count of pods exceeds the one it is part of.
void replica_counts(const Json& value, const std::string& path, Causes& causes) {
  const auto part_of = [&](const char* part, const char* whole, const char* message) {
    if (int_at(value, part) > int_at(value, whole))
      causes.push_back(
          invalid_value(join(path, part), std::to_string(int_at(value, part)), message));
  };
  for (const char* part :
       {"fullyLabeledReplicas", "updatedReplicas", "readyReplicas", "availableReplicas"})
    part_of(part, "replicas", "cannot be greater than status.replicas");
  part_of("availableReplicas", "readyReplicas", "cannot be greater than readyReplicas");
}

void strategy(const Json& value, const std::string& path, Causes& causes) {
  const Json& rolling = at(value, "rollingUpdate");
  if (string_at(value, "type") == "Recreate") {
    if (rolling.is_object())
      causes.push_back(forbidden_field(join(path, "rollingUpdate"),
                                       "may not be specified when strategy `type` is 'Recreate'"));
    return;
  }
  const Json& unavailable = at(rolling, "maxUnavailable");
  if (unavailable.is_string() &&
      std::strtol(string_at(rolling, "maxUnavailable").c_str(), nullptr, 10) > 100)
    causes.push_back(invalid_value(join(path, "rollingUpdate.maxUnavailable"),
                                   go_value(unavailable), "must not be greater than 100%"));
  const auto zero = [](const Json& amount) { return amount == 0 || amount == "0%"; };
  if (zero(unavailable) && zero(at(rolling, "maxSurge")))
    causes.push_back(invalid_value(join(path, "rollingUpdate.maxUnavailable"),
                                   go_value(unavailable), "may not be 0 when `maxSurge` is 0"));
}

// Bytes of the values, as they will be in a file.
size_t data_size(const Json& values, bool base64) {
  size_t size = 0;
  if (values.is_object())
    for (const auto& [key, text] : values.items()) {
      const std::string& bytes = text.get_ref<const std::string&>();
      size += base64 ? base64_decode(bytes).size() : bytes.size();
    }
  return size;
}

void check_size(size_t size, const std::string& path, Causes& causes) {
  if (size > kMaxDataBytes)
    causes.push_back({"FieldValueTooLong", "Too long: may not be more than 1048576 bytes", path});
}

void config_map(const Json& value, const std::string& path, Causes& causes) {
  const Json& texts = at(value, "data");
  const Json& bytes = at(value, "binaryData");
  if (texts.is_object())
    for (const auto& [key, text] : texts.items())
      if (bytes.contains(key))
        causes.push_back(invalid_value(join(path, "data") + "[" + key + "]", go_value(key),
                                       "duplicate of key present in binaryData"));
  check_size(data_size(texts, false) + data_size(bytes, true), join(path, "data"), causes);
}

// The types Kubernetes knows have keys that must be there; the value of a registry's is JSON.
void secret(const Json& value, const std::string& path, Causes& causes) {
  const Json& data = at(value, "data");
  const std::string type = string_at(value, "type");
  check_size(data_size(data, true), join(path, "data"), causes);
  const auto where = [&](const std::string& key) { return join(path, "data") + "[" + key + "]"; };
  const auto need = [&](const char* key) {
    if (!data.contains(key)) causes.push_back(required(where(key)));
  };
  const auto need_json = [&](const char* key) {
    need(key);
    if (data.contains(key) && !Json::accept(base64_decode(data[key].get_ref<const std::string&>())))
      causes.push_back(
          invalid_value(where(key), "\"<secret contents redacted>\"", "is not valid JSON"));
  };
  if (type == "kubernetes.io/dockercfg") need_json(".dockercfg");
  if (type == "kubernetes.io/dockerconfigjson") need_json(".dockerconfigjson");
  if (type == "kubernetes.io/ssh-auth") need("ssh-privatekey");
  if (type == "kubernetes.io/tls")
    for (const char* key : {"tls.crt", "tls.key"}) need(key);
  if (type == "kubernetes.io/basic-auth" && !data.contains("username") &&
      !data.contains("password"))
    for (const char* key : {"username", "password"}) need(key);
  if (type == "kubernetes.io/service-account-token" &&
      is_empty(at(at_path(value, "metadata.annotations"), "kubernetes.io/service-account.name")))
    causes.push_back(
        required(join(path, "metadata.annotations[kubernetes.io/service-account.name]")));
}

// One range of each family.
void check_pod_cidrs(const Json& value, const std::string& path, Causes& causes) {
  const Json& cidrs = at(value, "podCIDRs");
  std::set<std::string> seen;
  std::set<bool> families;
  for (size_t i = 0; i < cidrs.size(); ++i) {
    const std::string text = cidrs[i].get<std::string>();
    families.insert(text.find(':') != text.npos);
    if (!seen.insert(text).second)
      causes.push_back(duplicate(indexed(join(path, "podCIDRs"), i), go_value(text)));
  }
  if (cidrs.size() > 1 && families.size() != cidrs.size())
    causes.push_back(invalid_value(join(path, "podCIDRs"), dump(cidrs),
                                   "may specify no more than one CIDR for each IP family"));
}

void node_spec(const Json& value, const std::string& path, Causes& causes) {
  check_pod_cidrs(value, path, causes);
  const Json& taints = at(value, "taints");
  std::set<std::pair<std::string, std::string>> seen;
  for (size_t i = 0; i < taints.size(); ++i)
    if (!seen.emplace(string_at(taints[i], "key"), string_at(taints[i], "effect")).second)
      causes.push_back(
          duplicate(indexed(join(path, "taints"), i),
                    dump(taints[i]) + ": taints must be unique by key and effect pair"));
}

// Events go by themselves: nobody may hang on one (validateOwnerReference).
void check_owner(const Json& owner, const std::string& path, Causes& causes) {
  const std::string version = string_at(owner, "apiVersion");
  if (std::count(version.begin(), version.end(), '/') > 1)
    causes.push_back(
        invalid_value(join(path, "apiVersion"), go_value(version), "version must not be empty"));
  if (string_at(owner, "kind") != "Event" || (version != "v1" && version != "events.k8s.io/v1"))
    return;
  const std::string shown = version == "v1" ? "/v1" : version;
  causes.push_back(
      invalid_value(path, dump(owner), shown + ", Kind=Event is disallowed from being an owner"));
}

void object_meta(const Json& value, const std::string& path, Causes& causes) {
  const Json& owners = at(value, "ownerReferences");
  std::string first;
  for (const Json& owner : owners) check_owner(owner, join(path, "ownerReferences"), causes);
  for (const Json& owner : owners) {
    if (!bool_at(owner, "controller")) continue;
    const std::string name = string_at(owner, "kind") + "/" + string_at(owner, "name");
    if (!first.empty())
      causes.push_back(invalid_value(join(path, "ownerReferences"), dump(owners),
                                     "Only one reference can have Controller set to true. Found "
                                     "\"true\" in references for " +
                                         first + " and " + name));
    else
      first = name;
  }
}

constexpr std::pair<std::string_view, ValidateRule> kRules[] = {
    {"AppArmorProfile", check_app_armor_profile},
    {"ConfigMap", config_map},
    {"ConfigMapProjection", check_named_source},
    {"ConfigMapVolumeSource", check_named_source},
    {"Container", check_container},
    {"Deployment", deployment},
    {"DeploymentStatus", replica_counts},
    {"DeploymentStrategy", strategy},
    {"DownwardAPIVolumeFile", check_field_file},
    {"EmptyDirVolumeSource", check_empty_dir},
    {"EndpointSlice", check_endpoint_slice},
    {"EndpointSubset", check_endpoint_subset},
    {"EnvFromSource", check_env_from},
    {"EnvVar", check_env_var},
    {"ExecAction", check_exec},
    {"HTTPGetAction", check_http_get},
    {"HostPathVolumeSource", check_host_path},
    {"KeySelector", check_key_selector},
    {"KeyToPath", check_key_to_path},
    {"LabelSelectorRequirement", check_label_requirement},
    {"LifecycleHandler", check_handler},
    {"NodeSelector", check_node_selector},
    {"NodeSelectorRequirement", check_requirement},
    {"NodeSelectorTerm", check_node_term},
    {"NodeSpec", node_spec},
    {"ObjectMeta", object_meta},
    {"Pod", check_pod},
    {"PodAffinityTerm", check_affinity_term},
    {"PodDNSConfig", check_dns_config},
    {"PodSpec", check_pod_spec},
    {"PodStatus", check_pod_status},
    {"PodTemplateSpec", check_pod_template},
    {"Probe", check_handler},
    {"ReplicaSet", workload},
    {"ReplicaSetStatus", replica_counts},
    {"ResourceRequirements", check_resources},
    {"SeccompProfile", check_seccomp_profile},
    {"Secret", secret},
    {"SecretProjection", check_named_source},
    {"SecretVolumeSource", check_secret_source},
    {"SecurityContext", check_security_context},
    {"ServiceSpec", check_service_spec},
    {"Toleration", check_toleration},
    {"TopologySpreadConstraint", check_spread},
    {"Volume", check_volume},
};

}  // namespace

ValidateRule find_validate_rule(std::string_view type_name) {
  for (const auto& [name, rule] : kRules)
    if (name == type_name) return rule;
  return nullptr;
}

}  // namespace fairlead::orchestrator::apiserver::schema
