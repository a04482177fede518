// SPDX-License-Identifier: Apache-2.0
// The ServiceImport of the Multi-Cluster Services API (KEP-1645), trimmed to what the DNS server
// reads: a service that other clusters of the set export. Its endpoints are EndpointSlices with the
// labels below. Pure.
#pragma once

#include <string>
#include <vector>

#include "kube/decode.h"
#include "kube/objects.h"

namespace fairlead::kube {

// On imported EndpointSlices: which ServiceImport they belong to, and where they come from.
inline constexpr const char* kImportNameLabel = "multicluster.kubernetes.io/service-name";
inline constexpr const char* kSourceClusterLabel = "multicluster.kubernetes.io/source-cluster";

struct ServiceImport {
  ObjectMeta meta;
  bool headless = false;       // type Headless; else ClusterSetIP
  std::vector<IpAddress> ips;  // none while none is allotted
  std::vector<ServicePort> ports;
  bool operator==(const ServiceImport&) const = default;
};

// As strict and lenient as for the other kinds (decode.h).
template <>
Result<ServiceImport> decode<ServiceImport>(std::string_view json);

template <>
struct Kind<ServiceImport> {
  static constexpr const char* kName = "ServiceImport";
  // Both have the same fields; a cluster may serve one or both.
  static constexpr const char* kApi = "/apis/multicluster.x-k8s.io/v1alpha1";
  static constexpr const char* kNewApi = "/apis/multicluster.x-k8s.io/v1beta1";
  static constexpr const char* kResource = "serviceimports";
};

}  // namespace fairlead::kube
