// SPDX-License-Identifier: Apache-2.0
// What `kubectl get` shows of each kind: names, order and texts as kubectl's users know them
// (Kubernetes pkg/printers/internalversion). Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "orchestrator/apiserver/kind.h"

namespace fairlead::orchestrator::apiserver {

extern const std::span<const Column> kConfigMapColumns;
extern const std::span<const Column> kEventColumns;
extern const std::span<const Column> kNamespaceColumns;
extern const std::span<const Column> kNodeColumns;
extern const std::span<const Column> kPodColumns;
extern const std::span<const Column> kSecretColumns;
extern const std::span<const Column> kServiceColumns;
extern const std::span<const Column> kDeploymentColumns;
extern const std::span<const Column> kReplicaSetColumns;
extern const std::span<const Column> kScaleColumns;
extern const std::span<const Column> kLeaseColumns;
extern const std::span<const Column> kEndpointSliceColumns;
extern const std::span<const Column> kEndpointsColumns;
extern const std::span<const Column> kCsiNodeColumns;
extern const std::span<const Column> kCsiDriverColumns;
extern const std::span<const Column> kRuntimeClassColumns;

// "3d4h", "5m12s", "45s": k8s.io/apimachinery pkg/util/duration HumanDuration.
std::string human_duration(Duration duration);
std::string comma_joined(const std::vector<std::string>& parts);
// Age of an RFC 3339 time; "<unknown>" when there is none.
std::string age_of(const Json& timestamp, WallTime now);
// RFC 3339 in seconds, UTC; microseconds for MicroTime.
std::string timestamp(WallTime time);
std::string micro_timestamp(WallTime time);
std::optional<WallTime> parse_timestamp(std::string_view text);

Json name_cell(const Json& object, WallTime now);
Json age_cell(const Json& object, WallTime now);

inline constexpr Column kNameColumn = {
    "Name",
    "string",
    "name",
    0,
    "Name must be unique within a namespace. Is required when creating resources, although some "
    "resources may allow a client to request the generation of an appropriate name automatically.",
    name_cell};
inline constexpr Column kAgeColumn = {
    "Age",
    "string",
    "",
    0,
    "CreationTimestamp is a timestamp representing the server time when this object was created.",
    age_cell};

}  // namespace fairlead::orchestrator::apiserver
