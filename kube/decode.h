// SPDX-License-Identifier: Apache-2.0
// JSON of the Kubernetes API into the trimmed objects of kube/objects.h. Pure; any thread.
//
// Strict about JSON and types, lenient about values, as kube-proxy is: the whole document must be
// JSON; a field we read must have its type (the Error names the object and the field's path); null
// is absent; fields we do not read are ignored; an address, prefix, family or protocol that does
// not parse is left out. What follows from that, and readers may rely on:
//  - addresses may be written with leading zeros or mapped into IPv6 (IpAddress::parse_lenient);
//  - every Endpoint has at least one address, all of the slice's family;
//  - a Service whose loadBalancerSourceRanges are all unreadable is an Error: leaving them out
//    would open it to everyone;
//  - annotations come without kubectl's last-applied-configuration.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "kube/objects.h"

namespace fairlead::kube {

// One object. Its "kind" is not looked at: items of a list have none.
template <typename T>
Result<T> decode(std::string_view json);
template <>
Result<Service> decode<Service>(std::string_view json);
template <>
Result<EndpointSlice> decode<EndpointSlice>(std::string_view json);
template <>
Result<Node> decode<Node>(std::string_view json);
template <>
Result<Namespace> decode<Namespace>(std::string_view json);
template <>
Result<Pod> decode<Pod>(std::string_view json);
template <>
Result<ServiceCidr> decode<ServiceCidr>(std::string_view json);

// What every object has, also one that decode<T> refuses.
struct ObjectVersion {
  ObjectKey key;
  std::string resource_version;
  // The bookmark that ends the initial events of a WatchList stream (KEP-3157).
  bool initial_events_end = false;
};
// A bookmark has no name: its key is empty.
Result<ObjectVersion> decode_version(std::string_view json);

// The "metadata" of a list.
struct ListMeta {
  std::string resource_version;
  std::string continue_token;
};
Result<ListMeta> decode_list_meta(std::string_view metadata_json);

// A "kind: Status" object: what the API server says when it refuses.
struct StatusObject {
  int code = 0;        // 0: not given
  std::string reason;  // "AlreadyExists", "Expired"
  std::string message;
  int retry_after_seconds = 0;              // details.retryAfterSeconds
  bool resource_version_too_large = false;  // details.causes has ResourceVersionTooLarge
};
Result<StatusObject> decode_status(std::string_view json);

// One line of a watch. `object` is a slice of the line.
struct WatchEvent {
  enum class Type : uint8_t { kAdded, kModified, kDeleted, kBookmark, kError };
  Type type = Type::kAdded;
  std::string_view object;
};
Result<WatchEvent> decode_event(std::string_view line);

// Where the API server has a kind.
template <typename T>
struct Kind;
template <>
struct Kind<Service> {
  static constexpr const char* kName = "Service";
  static constexpr const char* kApi = "/api/v1";
  static constexpr const char* kResource = "services";
};
template <>
struct Kind<EndpointSlice> {
  static constexpr const char* kName = "EndpointSlice";
  static constexpr const char* kApi = "/apis/discovery.k8s.io/v1";
  static constexpr const char* kResource = "endpointslices";
};
template <>
struct Kind<Node> {
  static constexpr const char* kName = "Node";
  static constexpr const char* kApi = "/api/v1";
  static constexpr const char* kResource = "nodes";
};
template <>
struct Kind<Namespace> {
  static constexpr const char* kName = "Namespace";
  static constexpr const char* kApi = "/api/v1";
  static constexpr const char* kResource = "namespaces";
};
template <>
struct Kind<Pod> {
  static constexpr const char* kName = "Pod";
  static constexpr const char* kApi = "/api/v1";
  static constexpr const char* kResource = "pods";
};

template <>
struct Kind<ServiceCidr> {
  static constexpr const char* kName = "ServiceCIDR";
  // v1 from Kubernetes 1.33 on, v1beta1 alike in 1.31 and 1.32, nothing before.
  static constexpr const char* kApi = "/apis/networking.k8s.io/v1";
  static constexpr const char* kOldApi = "/apis/networking.k8s.io/v1beta1";
  static constexpr const char* kResource = "servicecidrs";
};

}  // namespace fairlead::kube
