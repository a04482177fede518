// SPDX-License-Identifier: Apache-2.0
// The objects the controllers read, trimmed at the door to the fields they use. Values; equality is
// by content. Templates stay in the encoded object, which is shared with the store (`raw`).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/time.h"
#include "kube/objects.h"
#include "orchestrator/apiserver/api.h"
#include "orchestrator/controllers/selector.h"

namespace fairlead::orchestrator::controllers {

using kube::ObjectKey;

struct OwnerRef {
  std::string api_version;
  std::string kind;
  std::string name;
  std::string uid;
  bool controller = false;
  bool block_owner_deletion = false;
  bool operator==(const OwnerRef&) const = default;
};

struct Meta {
  std::string ns;
  std::string name;
  std::string uid;
  int64_t revision = 0;    // resourceVersion
  int64_t generation = 0;  // of the spec
  Labels labels;
  Labels annotations;  // without kubectl's last-applied-configuration
  std::vector<OwnerRef> owners;
  std::vector<std::string> finalizers;
  WallTime created{};
  bool deleting = false;

  ObjectKey key() const { return {ns, name}; }
  // The owner that manages this object, or null.
  const OwnerRef* controller() const {
    for (const OwnerRef& owner : owners)
      if (owner.controller) return &owner;
    return nullptr;
  }
  std::string annotation(const std::string& name_) const {
    const auto it = annotations.find(name_);
    return it == annotations.end() ? std::string() : it->second;
  }
  bool operator==(const Meta&) const = default;
};

struct Condition {
  std::string type;
  std::string status;  // True, False, Unknown
  std::string reason;
  std::string message;
  WallTime last_update{};
  WallTime last_transition{};
  bool operator==(const Condition&) const = default;
};

const Condition* find_condition(const std::vector<Condition>& conditions, const std::string& type);

struct Toleration {
  std::string key;
  std::string op;  // "" or Equal, Exists
  std::string value;
  std::string effect;  // empty: all effects
  std::optional<int64_t> seconds;
  bool operator==(const Toleration&) const = default;
};

struct Taint {
  std::string key;
  std::string value;
  std::string effect;  // NoSchedule, PreferNoSchedule, NoExecute
  WallTime added{};
  bool operator==(const Taint&) const = default;
};

// As k8s.io/api/core/v1 Toleration.ToleratesTaint.
bool tolerates(const Toleration& toleration, const Taint& taint);

struct ContainerPort {
  std::string name;
  kube::Protocol protocol = kube::Protocol::kTcp;
  uint16_t port = 0;
  bool operator==(const ContainerPort&) const = default;
};

struct Pod {
  Meta meta;
  std::string node_name;
  std::string phase;  // Pending, Running, Succeeded, Failed, Unknown
  std::string hostname;
  std::string subdomain;
  std::vector<IpAddress> ips;
  std::vector<ContainerPort> ports;  // the named ones
  std::vector<Toleration> tolerations;
  bool has_ready_condition = false;
  bool ready = false;
  WallTime ready_changed{};  // lastTransitionTime of Ready
  int restarts = 0;

  bool terminal() const { return phase == "Succeeded" || phase == "Failed"; }
  // Counts towards a ReplicaSet's replicas.
  bool active() const { return !terminal() && !meta.deleting; }
  bool operator==(const Pod&) const = default;
};

struct ReplicaSetStatus {
  int replicas = 0;
  int fully_labeled = 0;
  int ready = 0;
  int available = 0;
  std::optional<int> terminating;  // pods being deleted that still run
  int64_t observed_generation = 0;
  std::vector<Condition> conditions;
  bool operator==(const ReplicaSetStatus&) const = default;
};

struct ReplicaSet {
  Meta meta;
  int replicas = 1;
  int min_ready_seconds = 0;
  LabelSelector selector;
  Labels template_labels;
  std::string template_print;  // fingerprint of the template without pod-template-hash
  ReplicaSetStatus status;
  Bytes raw;  // as stored: what mirrored_slices() reads
  bool operator==(const ReplicaSet& other) const { return meta == other.meta; }
};

// An integer, or a percentage of the replicas (intstr.IntOrString).
struct IntOrPercent {
  int value = 0;
  bool percent = false;
  bool operator==(const IntOrPercent&) const = default;
};

struct DeploymentStatus {
  int64_t observed_generation = 0;
  int replicas = 0;
  int updated = 0;
  int ready = 0;
  int available = 0;
  int unavailable = 0;
  std::optional<int> terminating;  // unknown while one of its sets does not tell
  std::optional<int> collision_count;
  std::vector<Condition> conditions;
  bool operator==(const DeploymentStatus&) const = default;
};

struct Deployment {
  Meta meta;
  int replicas = 1;
  bool paused = false;
  bool recreate = false;
  IntOrPercent max_surge{25, true};
  IntOrPercent max_unavailable{25, true};
  int min_ready_seconds = 0;
  int revision_history_limit = 10;
  int progress_deadline_seconds = 600;  // INT32_MAX: none
  LabelSelector selector;
  Labels template_labels;
  std::string template_print;
  DeploymentStatus status;
  Bytes raw;
  bool operator==(const Deployment& other) const { return meta == other.meta; }
};

struct ServicePort {
  std::string name;
  kube::Protocol protocol = kube::Protocol::kTcp;
  std::string app_protocol;
  uint16_t port = 0;
  uint16_t target_port = 0;  // 0: target_name counts
  std::string target_name;
  bool operator==(const ServicePort&) const = default;
};

struct Service {
  Meta meta;
  bool external_name = false;
  bool headless = false;
  bool publish_not_ready = false;
  bool prefer_same_zone = false;  // trafficDistribution, all its values
  bool prefer_same_node = false;
  Labels selector;  // empty: the user keeps the slices
  std::vector<Family> families;
  std::vector<ServicePort> ports;
  bool operator==(const Service&) const = default;
};

struct Endpoint {
  IpAddress address;
  bool ready = false;
  bool serving = false;
  bool terminating = false;
  std::string hostname;
  std::string node_name;
  std::string zone;
  std::string hint_zone;  // for whom it is; empty: no hint
  std::string hint_node;
  std::string pod_name;
  std::string pod_uid;
  bool operator==(const Endpoint&) const = default;
};

struct SlicePort {
  std::string name;
  kube::Protocol protocol = kube::Protocol::kTcp;
  uint16_t port = 0;
  std::string app_protocol;
  auto operator<=>(const SlicePort&) const = default;
};

struct EndpointSlice {
  Meta meta;
  Family family = Family::kIpv4;
  std::vector<SlicePort> ports;
  std::vector<Endpoint> endpoints;
  bool operator==(const EndpointSlice&) const = default;
};

// core/v1: the older form of a Service's slices.
struct Endpoints {
  Meta meta;
  std::string print;  // fingerprint of the subsets
  Bytes raw;
  bool operator==(const Endpoints& other) const { return meta == other.meta; }
};

struct Node {
  Meta meta;
  bool unschedulable = false;
  std::vector<Taint> taints;
  std::vector<Condition> conditions;
  bool operator==(const Node&) const = default;
};

struct Lease {
  Meta meta;
  std::string renew_time;
  bool operator==(const Lease&) const = default;
};

struct Namespace {
  Meta meta;
  std::vector<std::string> spec_finalizers;
  std::vector<Condition> conditions;
  bool operator==(const Namespace&) const = default;
};

// Any kind, for owners and namespaces.
struct AnyObject {
  Meta meta;
  bool operator==(const AnyObject&) const = default;
};

}  // namespace fairlead::orchestrator::controllers
