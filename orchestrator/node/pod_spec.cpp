// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/pod_spec.h"

#include <algorithm>

#include "base/address.h"
#include "orchestrator/node/pod_volume_spec.h"
#include "orchestrator/values/json_reader.h"
#include "orchestrator/values/quantity.h"

namespace fairlead::orchestrator {

namespace {

using json::Json;
using std::chrono::seconds;

// What parsing one pod collects.
struct Parser {
  const Json& pod_security;
  std::vector<std::string>& refused;
  void refuse(const std::string& sentence) { refused.push_back(sentence); }
};

Quantities parse_resources(const Json& resources, const char* side, const std::string& where,
                           Parser& parser) {
  Quantities quantities;
  const Json& map = json::member(resources, side);
  if (!map.is_object()) return quantities;
  for (const auto& [name, value] : map.items()) {
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    const Result<Quantity> quantity = Quantity::parse(text);
    if (quantity.ok())
      quantities[name] = quantity->milli();
    else
      parser.refuse(where + ": resources." + side + "." + name + ": " + quantity.error().message());
  }
  return quantities;
}

std::vector<EnvVar> parse_env(const Json& container, const std::string& where, Parser& parser) {
  std::vector<EnvVar> env;
  for (const Json& item : json::items(container, "env")) {
    EnvVar var;
    var.name = json::text(item, "name");
    var.value = json::text(item, "value");
    const Json& from = json::member(item, "valueFrom");
    if (const Json& field = json::member(from, "fieldRef"); field.is_object()) {
      var.source = EnvVar::Source::kField;
      var.path = json::text(field, "fieldPath");
    } else if (const Json& resource = json::member(from, "resourceFieldRef");
               resource.is_object()) {
      var.source = EnvVar::Source::kResource;
      var.path = json::text(resource, "resource");
      var.container = json::text(resource, "containerName");
      const Result<Quantity> divisor = Quantity::parse(json::text(resource, "divisor", "0"));
      var.divisor = divisor.ok() ? divisor->milli() : 0;
    } else if (const Json& config = json::member(from, "configMapKeyRef"); config.is_object()) {
      var.source = EnvVar::Source::kConfigMap;
      var.object = json::text(config, "name");
      var.key = json::text(config, "key");
      var.optional = json::flag(config, "optional");
    } else if (const Json& secret = json::member(from, "secretKeyRef"); secret.is_object()) {
      var.source = EnvVar::Source::kSecret;
      var.object = json::text(secret, "name");
      var.key = json::text(secret, "key");
      var.optional = json::flag(secret, "optional");
    } else if (!from.is_null()) {
      parser.refuse(where + ": env " + var.name + ": this valueFrom is not supported");
    }
    env.push_back(std::move(var));
  }
  return env;
}

std::vector<EnvFrom> parse_env_from(const Json& container) {
  std::vector<EnvFrom> list;
  for (const Json& item : json::items(container, "envFrom")) {
    EnvFrom from;
    from.prefix = json::text(item, "prefix");
    from.secret = json::member(item, "secretRef").is_object();
    const Json& reference = json::member(item, from.secret ? "secretRef" : "configMapRef");
    from.object = json::text(reference, "name");
    from.optional = json::flag(reference, "optional");
    list.push_back(std::move(from));
  }
  return list;
}

std::vector<VolumeMount> parse_mounts(const Json& container) {
  std::vector<VolumeMount> mounts;
  for (const Json& item : json::items(container, "volumeMounts")) {
    VolumeMount mount;
    mount.volume = json::text(item, "name");
    mount.path = json::text(item, "mountPath");
    mount.sub_path = json::text(item, "subPath");
    mount.sub_path_expr = json::text(item, "subPathExpr");
    mount.read_only = json::flag(item, "readOnly");
    const std::string propagation = json::text(item, "mountPropagation");
    if (propagation == "HostToContainer")
      mount.propagation = CriMount::Propagation::kHostToContainer;
    if (propagation == "Bidirectional") mount.propagation = CriMount::Propagation::kBidirectional;
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

// A port by number, or by the name the container gives it; 0 when there is none.
uint16_t parse_port(const Json& container, const Json& port) {
  if (port.is_number_integer()) {
    const auto value = port.get<int64_t>();
    return value > 0 && value < 65536 ? static_cast<uint16_t>(value) : 0;
  }
  if (!port.is_string()) return 0;
  for (const Json& item : json::items(container, "ports"))
    if (json::text(item, "name") == port.get<std::string>())
      return static_cast<uint16_t>(json::number_or(item, "containerPort", 0));
  return 0;
}

Duration seconds_of(const Json& object, const char* name, int64_t otherwise) {
  return seconds(std::clamp<int64_t>(json::number_or(object, name, otherwise), 0, 86400 * 365));
}

// The three ways that probes and hooks share to ask a container for something; false for others.
bool parse_action(const Json& container, const Json& item, ProbeSpec& probe) {
  if (const Json& http = json::member(item, "httpGet"); http.is_object()) {
    probe.kind = ProbeSpec::Kind::kHttp;
    probe.host = json::text(http, "host");
    probe.path = json::text(http, "path", "/");
    if (probe.path.empty() || probe.path.front() != '/') probe.path.insert(0, "/");
    probe.https = json::text(http, "scheme") == "HTTPS";
    probe.port = parse_port(container, json::member(http, "port"));
    for (const Json& header : json::items(http, "httpHeaders"))
      probe.headers.emplace_back(json::text(header, "name"), json::text(header, "value"));
  } else if (const Json& tcp = json::member(item, "tcpSocket"); tcp.is_object()) {
    probe.kind = ProbeSpec::Kind::kTcp;
    probe.host = json::text(tcp, "host");
    probe.port = parse_port(container, json::member(tcp, "port"));
  } else if (const Json& exec = json::member(item, "exec"); exec.is_object()) {
    probe.kind = ProbeSpec::Kind::kExec;
    probe.command = json::texts(exec, "command");
  } else {
    return false;
  }
  return true;
}

std::optional<ProbeSpec> parse_probe(const Json& container, const char* name,
                                     const std::string& where, Parser& parser) {
  const Json& item = json::member(container, name);
  if (!item.is_object()) return std::nullopt;
  ProbeSpec probe;
  if (!parse_action(container, item, probe)) {
    parser.refuse(where + ": " + name + ": only httpGet, tcpSocket and exec probes are supported");
    return std::nullopt;
  }
  if (probe.kind == ProbeSpec::Kind::kTcp && !probe.host.empty() &&
      !IpAddress::parse(probe.host).ok())
    parser.refuse(where + ": " + name + ": tcpSocket.host is an address here, not a name");
  if (probe.kind != ProbeSpec::Kind::kExec && probe.port == 0)
    parser.refuse(where + ": " + name + ": its port is not a port of the container");
  probe.initial_delay = seconds_of(item, "initialDelaySeconds", 0);
  probe.period = std::max<Duration>(seconds_of(item, "periodSeconds", 10), seconds(1));
  probe.timeout = std::max<Duration>(seconds_of(item, "timeoutSeconds", 1), seconds(1));
  probe.success_threshold =
      static_cast<int>(std::max<int64_t>(json::number_or(item, "successThreshold", 1), 1));
  probe.failure_threshold =
      static_cast<int>(std::max<int64_t>(json::number_or(item, "failureThreshold", 3), 1));
  if (json::number(item, "terminationGracePeriodSeconds"))
    probe.grace = seconds_of(item, "terminationGracePeriodSeconds", 30);
  return probe;
}

// postStart or preStop. A tcpSocket, which the API keeps for old objects, does nothing in
// Kubernetes either: it is refused.
std::optional<HookSpec> parse_hook(const Json& container, const char* name,
                                   const std::string& where, Parser& parser) {
  const Json& item = json::member(json::member(container, "lifecycle"), name);
  if (!item.is_object()) return std::nullopt;
  HookSpec hook;
  ProbeSpec action;
  action.of_hook = true;
  if (const Json& sleep = json::member(item, "sleep"); sleep.is_object()) {
    hook.sleep = seconds_of(sleep, "seconds", 0);
  } else if (parse_action(container, item, action) && action.kind != ProbeSpec::Kind::kTcp) {
    if (action.kind == ProbeSpec::Kind::kHttp && action.port == 0)
      parser.refuse(where + ": lifecycle." + name + ": its port is not a port of the container");
    hook.action = std::move(action);
  } else {
    parser.refuse(where + ": lifecycle." + name + ": only exec, httpGet and sleep are supported");
  }
  return hook;
}

// "latest", or no tag at all and no digest: pull each time (the API's defaulting rule).
PullPolicy parse_pull_policy(const Json& container, const std::string& image) {
  const std::string policy = json::text(container, "imagePullPolicy");
  if (policy == "Always") return PullPolicy::kAlways;
  if (policy == "Never") return PullPolicy::kNever;
  if (policy == "IfNotPresent" || image.find('@') != std::string::npos)
    return PullPolicy::kIfNotPresent;
  const size_t colon = image.rfind(':');
  const bool tagged = colon != std::string::npos && image.find('/', colon) == std::string::npos;
  const bool latest = !tagged || image.substr(colon + 1) == "latest";
  return latest ? PullPolicy::kAlways : PullPolicy::kIfNotPresent;
}

// Profiles of a container or of the whole pod that the node does not load.
void refuse_profiles(const Json& security, const std::string& where, Parser& parser) {
  if (json::text(json::member(security, "seccompProfile"), "type") == "Localhost")
    parser.refuse(where + "seccompProfile of type Localhost is not supported");
  const std::string armor = json::text(json::member(security, "appArmorProfile"), "type");
  if (!armor.empty() && armor != "RuntimeDefault")
    parser.refuse(where + "appArmorProfile of type " + armor + " is not supported");
  if (const Json& label = json::member(security, "seLinuxOptions"); !label.empty())
    parser.refuse(where + "seLinuxOptions are not supported");
  if (const Json& windows = json::member(security, "windowsOptions"); !windows.empty())
    parser.refuse(where + "windowsOptions are not for a Linux node");
}

bool is_unconfined(const Json& security) {
  return json::text(json::member(security, "seccompProfile"), "type") == "Unconfined";
}

void parse_security(const Json& container, const std::string& where, ContainerSpec& spec,
                    Parser& parser) {
  const Json& own = json::member(container, "securityContext");
  const Json& pod = parser.pod_security;
  spec.run_as_user = json::number(own, "runAsUser");
  if (!spec.run_as_user) spec.run_as_user = json::number(pod, "runAsUser");
  spec.run_as_group = json::number(own, "runAsGroup");
  if (!spec.run_as_group) spec.run_as_group = json::number(pod, "runAsGroup");
  spec.run_as_non_root = json::flag(own, "runAsNonRoot", json::flag(pod, "runAsNonRoot"));
  spec.privileged = json::flag(own, "privileged");
  spec.read_only_root = json::flag(own, "readOnlyRootFilesystem");
  spec.no_new_privileges = !json::flag(own, "allowPrivilegeEscalation", true);
  spec.unmasked_proc = json::text(own, "procMount") == "Unmasked";
  spec.seccomp_unconfined =
      json::member(own, "seccompProfile").is_object() ? is_unconfined(own) : is_unconfined(pod);
  spec.add_capabilities = json::texts(json::member(own, "capabilities"), "add");
  spec.drop_capabilities = json::texts(json::member(own, "capabilities"), "drop");
  refuse_profiles(own, where + ": ", parser);
}

// Of one container: what changes how it runs and is not done here.
void refuse_container_fields(const Json& item, bool init, const std::string& where,
                             Parser& parser) {
  if (!json::text(json::member(item, "lifecycle"), "stopSignal").empty())
    parser.refuse(where + ": lifecycle.stopSignal is not supported");
  const std::string restart = json::text(item, "restartPolicy");
  if (!restart.empty() && !(init && restart == "Always"))
    parser.refuse(where + ": a restartPolicy of its own is not supported; the pod's is taken");
  if (!json::items(item, "restartPolicyRules").empty())
    parser.refuse(where + ": restartPolicyRules are not supported");
  if (!json::items(item, "volumeDevices").empty())
    parser.refuse(where + ": volumeDevices are not supported");
  if (!json::items(json::member(item, "resources"), "claims").empty())
    parser.refuse(where + ": resources.claims are not supported");
  for (const Json& mount : json::items(item, "volumeMounts")) {
    if (json::text(mount, "recursiveReadOnly") == "Enabled")
      parser.refuse(where + ": volumeMounts.recursiveReadOnly is not supported");
  }
}

ContainerSpec parse_container(const Json& item, bool init, Parser& parser) {
  ContainerSpec spec;
  spec.name = json::text(item, "name");
  const std::string where = (init ? "init container " : "container ") + spec.name;
  spec.sidecar = init && json::text(item, "restartPolicy") == "Always";
  spec.image = json::text(item, "image");
  spec.command = json::texts(item, "command");
  spec.args = json::texts(item, "args");
  spec.working_dir = json::text(item, "workingDir");
  spec.env = parse_env(item, where, parser);
  spec.env_from = parse_env_from(item);
  spec.mounts = parse_mounts(item);
  spec.requests = parse_resources(json::member(item, "resources"), "requests", where, parser);
  spec.limits = parse_resources(json::member(item, "resources"), "limits", where, parser);
  spec.requested = json::text_map(json::member(item, "resources"), "requests");
  spec.limited = json::text_map(json::member(item, "resources"), "limits");
  for (const auto& [name, limit] : spec.limits) spec.requests.emplace(name, limit);
  spec.pull_policy = parse_pull_policy(item, spec.image);
  spec.liveness = parse_probe(item, "livenessProbe", where, parser);
  spec.readiness = parse_probe(item, "readinessProbe", where, parser);
  spec.startup = parse_probe(item, "startupProbe", where, parser);
  spec.post_start = parse_hook(item, "postStart", where, parser);
  spec.pre_stop = parse_hook(item, "preStop", where, parser);
  spec.standard_input = json::flag(item, "stdin");
  spec.standard_input_once = json::flag(item, "stdinOnce");
  spec.tty = json::flag(item, "tty");
  spec.termination_message_path =
      json::text(item, "terminationMessagePath", "/dev/termination-log");
  spec.logs_as_termination_message =
      json::text(item, "terminationMessagePolicy") == "FallbackToLogsOnError";
  parse_security(item, where, spec, parser);
  refuse_container_fields(item, init, where, parser);
  return spec;
}

void refuse_host_ports(const Json& spec, Parser& parser) {
  if (json::flag(spec, "hostNetwork"))
    return;  // there a hostPort only repeats the container's port
  for (const char* list : {"initContainers", "containers"})
    for (const Json& container : json::items(spec, list))
      for (const Json& port : json::items(container, "ports"))
        if (json::number_or(port, "hostPort", 0) != 0)
          parser.refuse("container " + json::text(container, "name") +
                        ": hostPort is not supported; a Service of type NodePort does it");
}

// Of the whole pod: what changes how it runs and is not done here.
void refuse_pod_fields(const Json& spec, Parser& parser) {
  if (!json::flag(spec, "hostUsers", true))
    parser.refuse("hostUsers: false (a user namespace) is not supported");
  if (const std::string os = json::text(json::member(spec, "os"), "name");
      !os.empty() && os != "linux")
    parser.refuse("os: this node runs linux, not " + os);
  if (json::text(json::member(spec, "securityContext"), "supplementalGroupsPolicy") == "Strict")
    parser.refuse("supplementalGroupsPolicy Strict is not supported");
  if (!json::text(spec, "runtimeClassName").empty())
    parser.refuse("runtimeClassName is not supported");
  // Objects or lists that say something as soon as they are not empty.
  for (const char* field : {"ephemeralContainers", "overhead", "resourceClaims", "resources"})
    if (const Json& value = json::member(spec, field); !value.empty())
      parser.refuse(std::string(field) + " of a pod: not supported");
}

// Those that belong to the pod's own namespaces and to nobody else (kubelet sysctl/safe_sysctls.go;
// all of them are namespaced in the kernels that we run on).
bool is_safe_sysctl(const std::string& name) {
  static constexpr const char* kSafe[] = {"kernel.shm_rmid_forced",
                                          "net.ipv4.ip_local_port_range",
                                          "net.ipv4.tcp_syncookies",
                                          "net.ipv4.ping_group_range",
                                          "net.ipv4.ip_unprivileged_port_start",
                                          "net.ipv4.ip_local_reserved_ports",
                                          "net.ipv4.tcp_keepalive_time",
                                          "net.ipv4.tcp_fin_timeout",
                                          "net.ipv4.tcp_keepalive_intvl",
                                          "net.ipv4.tcp_keepalive_probes",
                                          "net.ipv4.tcp_rmem",
                                          "net.ipv4.tcp_wmem"};
  return std::find(std::begin(kSafe), std::end(kSafe), name) != std::end(kSafe);
}

// A pod that would change what others see of the kernel is not let in.
void check_sysctls(PodSpec& pod) {
  for (const auto& [name, value] : pod.sysctls) {
    const bool of_ipc = name.starts_with("kernel.");
    std::string why;
    if (!is_safe_sysctl(name))
      why = "not allowlisted";
    else if (of_ipc ? pod.namespaces.host_ipc : pod.namespaces.host_network)
      why = std::string("not allowed with host ") + (of_ipc ? "IPC" : "Net") + " enabled";
    if (why.empty()) continue;
    pod.rejected = {"SysctlForbidden", "forbidden sysctl: \"" + name + "\" " + why};
    return;
  }
}

// With slashes between its parts, dots may be in one of them (sysctl NormalizeName).
std::string sysctl_name(std::string name) {
  const size_t first = name.find_first_of("./");
  if (first == std::string::npos || name[first] == '.') return name;
  for (char& c : name) c = c == '/' ? '.' : c == '.' ? '/' : c;
  return name;
}

void parse_metadata(const Json& metadata, PodSpec& pod) {
  pod.key = {json::text(metadata, "namespace"), json::text(metadata, "name")};
  pod.uid = json::text(metadata, "uid");
  pod.labels = json::text_map(metadata, "labels");
  pod.annotations = json::text_map(metadata, "annotations");
  pod.generation = json::number_or(metadata, "generation", 0);
  if (const std::string when = json::text(metadata, "deletionTimestamp"); !when.empty())
    pod.deletion = parse_time(when);
  pod.deletion_grace_seconds = json::number(metadata, "deletionGracePeriodSeconds");
}

void parse_network(const Json& spec, PodSpec& pod) {
  pod.dns_policy = json::text(spec, "dnsPolicy", "ClusterFirst");
  const Json& dns = json::member(spec, "dnsConfig");
  pod.dns_config.servers = json::texts(dns, "nameservers");
  pod.dns_config.searches = json::texts(dns, "searches");
  for (const Json& option : json::items(dns, "options")) {
    const std::string value = json::text(option, "value");
    pod.dns_config.options.push_back(json::text(option, "name") +
                                     (value.empty() ? "" : ":" + value));
  }
  for (const Json& alias : json::items(spec, "hostAliases"))
    pod.host_aliases.push_back({json::text(alias, "ip"), json::texts(alias, "hostnames")});
  pod.namespaces.host_network = json::flag(spec, "hostNetwork");
  pod.namespaces.host_pid = json::flag(spec, "hostPID");
  pod.namespaces.host_ipc = json::flag(spec, "hostIPC");
  pod.namespaces.share_process = json::flag(spec, "shareProcessNamespace");
  pod.hostname = json::text(spec, "hostname");
  pod.hostname_override = json::text(spec, "hostnameOverride");
  pod.subdomain = json::text(spec, "subdomain");
  pod.set_hostname_as_fqdn = json::flag(spec, "setHostnameAsFQDN");
  pod.service_links = json::flag(spec, "enableServiceLinks", true);
}

}  // namespace

std::string PodSpec::host_name() const {
  std::string name = !hostname_override.empty() ? hostname_override
                     : !hostname.empty()        ? hostname
                                                : key.name;
  if (name.size() > 63) name.resize(63);
  while (!name.empty() && (name.back() == '-' || name.back() == '.')) name.pop_back();
  return name;
}

std::string PodSpec::full_name(const std::string& cluster_domain) const {
  if (subdomain.empty() || !hostname_override.empty()) return "";
  return host_name() + "." + subdomain + "." + key.ns + ".svc." + cluster_domain;
}

const ContainerSpec* PodSpec::find(std::string_view container) const {
  for (const auto* list : {&containers, &init_containers})
    for (const ContainerSpec& spec : *list)
      if (spec.name == container) return &spec;
  return nullptr;
}

Result<PodSpec> parse_pod(const Json& object) {
  PodSpec pod;
  parse_metadata(json::member(object, "metadata"), pod);
  if (pod.key.name.empty() || pod.key.ns.empty() || pod.uid.empty())
    return Error(ErrorCode::kInvalid, "a pod without name, namespace or uid");
  const Json& spec = json::member(object, "spec");
  const Json& security = json::member(spec, "securityContext");
  Parser parser{security, pod.refused};
  pod.node_name = json::text(spec, "nodeName");
  pod.service_account = json::text(spec, "serviceAccountName", json::text(spec, "serviceAccount"));
  for (const Json& item : json::items(spec, "initContainers"))
    pod.init_containers.push_back(parse_container(item, true, parser));
  for (const Json& item : json::items(spec, "containers"))
    pod.containers.push_back(parse_container(item, false, parser));
  for (const Json& item : json::items(spec, "volumes"))
    pod.volumes.push_back(parse_volume(item, pod.refused));
  const std::string restart = json::text(spec, "restartPolicy");
  if (restart == "Never") pod.restart_policy = RestartPolicy::kNever;
  if (restart == "OnFailure") pod.restart_policy = RestartPolicy::kOnFailure;
  pod.grace = seconds_of(spec, "terminationGracePeriodSeconds", 30);
  if (json::number(spec, "activeDeadlineSeconds"))
    pod.active_deadline = seconds_of(spec, "activeDeadlineSeconds", 0);
  parse_network(spec, pod);
  for (const Json& gate : json::items(spec, "readinessGates"))
    pod.readiness_gates.push_back(json::text(gate, "conditionType"));
  for (const Json& secret : json::items(spec, "imagePullSecrets"))
    if (std::string name = json::text(secret, "name"); !name.empty())
      pod.pull_secrets.push_back(std::move(name));
  pod.fs_group = json::number(security, "fsGroup");
  pod.supplemental_groups = json::numbers(security, "supplementalGroups");
  pod.run_as_user = json::number(security, "runAsUser");
  pod.run_as_group = json::number(security, "runAsGroup");
  for (const Json& sysctl : json::items(security, "sysctls"))
    pod.sysctls[sysctl_name(json::text(sysctl, "name"))] = json::text(sysctl, "value");
  check_sysctls(pod);
  refuse_profiles(security, "", parser);
  refuse_host_ports(spec, parser);
  refuse_pod_fields(spec, parser);
  return pod;
}

QosClass qos_class(const PodSpec& pod) {
  bool any = false;
  bool guaranteed = true;
  for (const auto* list : {&pod.containers, &pod.init_containers}) {
    for (const ContainerSpec& spec : *list) {
      for (const char* name : {"cpu", "memory"}) {
        const auto request = spec.requests.find(name);
        const auto limit = spec.limits.find(name);
        const bool has_limit = limit != spec.limits.end() && limit->second > 0;
        if (has_limit || (request != spec.requests.end() && request->second > 0)) any = true;
        if (!has_limit || request->second != limit->second) guaranteed = false;
      }
    }
  }
  if (!any) return QosClass::kBestEffort;
  return guaranteed ? QosClass::kGuaranteed : QosClass::kBurstable;
}

const char* to_string(QosClass qos) {
  switch (qos) {
    case QosClass::kGuaranteed:
      return "Guaranteed";
    case QosClass::kBurstable:
      return "Burstable";
    case QosClass::kBestEffort:
      return "BestEffort";
  }
  return "BestEffort";
}

}  // namespace fairlead::orchestrator
