// SPDX-License-Identifier: Apache-2.0
// A pod as the node runner reads it: the API object trimmed to what running it takes. Values;
// parsing is pure and throws nothing.
//
// What a pod asks for and we cannot do yet is not ignored: parse_pod lists it in `refused`, one
// sentence each, and the runner does not start such a pod.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "kube/objects.h"
#include "orchestrator/node/cri.h"

namespace fairlead::orchestrator {

// Where an environment variable's value comes from.
struct EnvVar {
  enum class Source { kValue, kField, kResource, kConfigMap, kSecret };
  std::string name;
  Source source = Source::kValue;
  std::string value;      // kValue
  std::string path;       // kField: fieldPath; kResource: "limits.cpu"
  std::string container;  // kResource: of which container; empty: this one
  int64_t divisor = 0;    // kResource, in thousandths; 0: the default (1)
  std::string object;     // kConfigMap, kSecret
  std::string key;
  bool optional = false;
  bool operator==(const EnvVar&) const = default;
};

struct EnvFrom {
  std::string prefix;
  bool secret = false;
  std::string object;
  bool optional = false;
  bool operator==(const EnvFrom&) const = default;
};

struct VolumeMount {
  std::string volume;
  std::string path;
  std::string sub_path;
  std::string sub_path_expr;  // with_sub_paths makes a sub_path of it
  bool read_only = false;
  CriMount::Propagation propagation = CriMount::Propagation::kPrivate;
  bool operator==(const VolumeMount&) const = default;
};

struct ProbeSpec {
  enum class Kind { kHttp, kTcp, kExec };
  Kind kind = Kind::kTcp;
  std::string host;  // empty: the pod's address
  std::string path = "/";
  bool https = false;
  std::vector<std::pair<std::string, std::string>> headers;
  uint16_t port = 0;
  std::vector<std::string> command;
  Duration initial_delay{};
  Duration period = std::chrono::seconds(10);
  Duration timeout = std::chrono::seconds(1);
  int success_threshold = 1;
  int failure_threshold = 3;
  std::optional<Duration> grace;  // terminationGracePeriodSeconds of the probe
  bool of_hook = false;           // any answer over HTTP is success
  bool operator==(const ProbeSpec&) const = default;
};

// What is done in a container after its start, or before its end.
struct HookSpec {
  std::optional<ProbeSpec> action;  // none: to wait
  Duration sleep{};
  bool operator==(const HookSpec&) const = default;
};

// Thousandths of the unit: 250 for "250m" CPU, 1024000 for "1Ki" memory.
using Quantities = std::map<std::string, int64_t>;

enum class PullPolicy { kAlways, kIfNotPresent, kNever };
enum class RestartPolicy { kAlways, kOnFailure, kNever };

struct ContainerSpec {
  std::string name;
  // An init container that goes on: what comes after it waits for its start alone (KEP-753).
  bool sidecar = false;
  std::string image;
  std::vector<std::string> command;
  std::vector<std::string> args;
  std::string working_dir;
  std::vector<EnvVar> env;
  std::vector<EnvFrom> env_from;
  std::vector<VolumeMount> mounts;
  Quantities requests;
  Quantities limits;
  Labels requested;  // the same as they are written
  Labels limited;
  PullPolicy pull_policy = PullPolicy::kIfNotPresent;
  std::optional<ProbeSpec> liveness;
  std::optional<ProbeSpec> readiness;
  std::optional<ProbeSpec> startup;
  std::optional<HookSpec> post_start;
  std::optional<HookSpec> pre_stop;
  bool standard_input = false;
  bool standard_input_once = false;
  bool tty = false;
  std::string termination_message_path = "/dev/termination-log";
  bool logs_as_termination_message = false;
  // securityContext, the pod's where the container has none.
  std::optional<int64_t> run_as_user;
  std::optional<int64_t> run_as_group;
  bool run_as_non_root = false;
  bool privileged = false;
  bool read_only_root = false;
  bool no_new_privileges = false;
  bool unmasked_proc = false;
  bool seccomp_unconfined = false;
  std::vector<std::string> add_capabilities;
  std::vector<std::string> drop_capabilities;
  bool operator==(const ContainerSpec&) const = default;
};

// One file of a configMap, secret, downwardAPI or projected volume.
struct VolumeItem {
  std::string key;   // of the object's data; downwardAPI: the fieldPath, or "limits.cpu"
  std::string path;  // below the mount
  std::optional<int> mode;
  bool resource = false;  // downwardAPI: `key` is a resource, of `container`
  std::string container;
  int64_t divisor = 0;
  bool operator==(const VolumeItem&) const = default;
};

struct VolumeSource {
  enum class Kind { kEmptyDir, kHostPath, kConfigMap, kSecret, kDownwardApi, kProjected };
  Kind kind = Kind::kEmptyDir;
  bool memory = false;     // emptyDir
  int64_t size_limit = 0;  // emptyDir, bytes; 0: none
  std::string host_path;
  std::string host_path_type;  // "", DirectoryOrCreate, Directory, FileOrCreate, File, Socket, ...
  std::string object;          // configMap, secret
  bool optional = false;
  std::vector<VolumeItem> items;  // empty: every key
  int default_mode = 0644;
  std::vector<VolumeSource> sources;  // projected
  // Made of API objects or of the pod's own fields: the node writes it, containers only read.
  bool of_objects() const { return kind != Kind::kEmptyDir && kind != Kind::kHostPath; }
  bool operator==(const VolumeSource&) const = default;
};

struct VolumeSpec {
  std::string name;
  VolumeSource source;
  bool operator==(const VolumeSpec&) const = default;
};

struct HostAlias {
  std::string ip;
  std::vector<std::string> names;
  bool operator==(const HostAlias&) const = default;
};

struct PodSpec {
  kube::ObjectKey key;
  std::string uid;
  std::string node_name;
  std::string service_account;
  Labels labels;
  Labels annotations;
  std::optional<WallTime> deletion;  // deletionTimestamp: when the grace period is over
  std::optional<int64_t> deletion_grace_seconds;
  int64_t generation = 0;

  std::vector<ContainerSpec> init_containers;
  std::vector<ContainerSpec> containers;
  std::vector<VolumeSpec> volumes;
  RestartPolicy restart_policy = RestartPolicy::kAlways;
  Duration grace = std::chrono::seconds(30);
  std::optional<Duration> active_deadline;
  std::string dns_policy = "ClusterFirst";
  DnsConfig dns_config;
  std::vector<HostAlias> host_aliases;
  PodNamespaces namespaces;
  std::string hostname;
  std::string hostname_override;
  std::string subdomain;
  bool set_hostname_as_fqdn = false;
  bool service_links = true;
  std::vector<std::string> readiness_gates;
  std::vector<std::string> pull_secrets;
  std::optional<int64_t> fs_group;
  std::vector<int64_t> supplemental_groups;
  std::optional<int64_t> run_as_user;
  std::optional<int64_t> run_as_group;
  Labels sysctls;

  std::vector<std::string> refused;
  // Why the pod is not let in: it fails at once (kubelet lifecycle.PodAdmitHandler).
  struct Rejection {
    std::string reason;
    std::string message;
    bool operator==(const Rejection&) const = default;
  };
  std::optional<Rejection> rejected;

  // The host name inside the pod: hostnameOverride, hostname or the pod's name, at most 63 bytes.
  std::string host_name() const;
  // "NAME.SUBDOMAIN.NS.svc.DOMAIN"; empty without a subdomain.
  std::string full_name(const std::string& cluster_domain) const;
  const ContainerSpec* find(std::string_view container) const;
  bool operator==(const PodSpec&) const = default;
};

// An Error: the object is no pod we can even delete (no name, namespace or uid, or no JSON).
Result<PodSpec> parse_pod(const nlohmann::json& pod);

// RFC 3339 both ways; seconds where Kubernetes has metav1.Time, nanoseconds in logs.
std::string format_time(WallTime time);
std::string format_time_nanos(WallTime time);
std::optional<WallTime> parse_time(std::string_view text);

enum class QosClass { kGuaranteed, kBurstable, kBestEffort };
QosClass qos_class(const PodSpec& pod);
const char* to_string(QosClass qos);  // "Guaranteed", "Burstable", "BestEffort"

}  // namespace fairlead::orchestrator
