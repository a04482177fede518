// SPDX-License-Identifier: Apache-2.0
// What one Service means to the DNS, packed: immutable records that hang in the tries of a
// snapshot. Each is one block of memory; made by the zone, destroyed when no reader can see it.
// Labels are stored in lower case, as they are compared. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "dns/name.h"
#include "kube/objects.h"

namespace fairlead::dns {

// The two lowest labels of a service's name in wire form ("\3web\7default"): how a query finds it.
// A namespace has one label. Two such strings are equal or neither is a prefix of the other.
class LabelKey {
 public:
  explicit LabelKey(std::span<const uint8_t> bytes);
  uint8_t nibble(size_t index) const { return nibble_of(hash_, bytes_, index); }
  template <typename Leaf>
  bool matches(const Leaf& leaf) const {
    return leaf.hash() == hash_ && same(leaf.key(), bytes_);
  }
  uint64_t hash() const { return hash_; }
  // Sixteen nibbles of the hash, then the bytes themselves: hashes may collide, keys do not.
  static uint8_t nibble_of(uint64_t hash, std::span<const uint8_t> bytes, size_t index);

 private:
  static bool same(std::span<const uint8_t> a, std::span<const uint8_t> b);
  std::span<const uint8_t> bytes_;
  uint64_t hash_;
};

// Of what others choose: they cannot make two collide.
uint64_t seeded_hash(std::string_view text);

// The name of a service, shared by its records of all versions; lives as long as the service.
class ServiceName {
 public:
  static void destroy(void* name);
  struct Free {
    void operator()(ServiceName* name) const { destroy(name); }
  };
  using Ptr = std::unique_ptr<ServiceName, Free>;
  // Both must be labels: 1 to 63 bytes.
  static Ptr make(std::string_view name, std::string_view ns);

  std::string_view name() const { return text().substr(1, name_size()); }
  std::string_view ns() const { return text().substr(2 + name_size()); }
  std::span<const uint8_t> key() const { return {bytes(), size_}; }
  uint64_t hash() const { return hash_; }

 private:
  static constexpr size_t kKeyAt = sizeof(uint64_t) + 1;  // in the block
  ServiceName(uint64_t hash, size_t size) : hash_(hash), size_(static_cast<uint8_t>(size)) {}
  const uint8_t* bytes() const { return &size_ + 1; }
  std::string_view text() const { return {reinterpret_cast<const char*>(bytes()), size_}; }
  size_t name_size() const { return *bytes(); }
  uint64_t hash_;
  uint8_t size_;  // of the key, which follows
};

enum class ServiceKind : uint8_t { kClusterIp, kHeadless, kExternalName };

struct PortRecord {
  uint32_t name_at;  // in the record's text
  uint8_t name_size;
  kube::Protocol protocol;
  uint16_t number;
};

// The ports an endpoint has: a range of the record's ports. Empty: the service declares none.
struct PortRange {
  uint32_t begin = 0;
  uint32_t count = 0;
};

// A ready endpoint. Its label is the host name it was given, or its address with dashes (size 0).
struct EndpointRecord {
  IpAddress address;
  uint8_t label_size = 0;
  bool repeated = false;  // an earlier endpoint of the record has the same address
  uint8_t topology = 0;   // which of the record's topology zones it is in, from 1; 0: none
  uint32_t label_at = 0;
  PortRange ports;
};

// The draft of a record, from which it is packed.
struct PortDraft {
  std::string name;
  kube::Protocol protocol = kube::Protocol::kTcp;
  uint16_t number = 0;
  auto operator<=>(const PortDraft&) const = default;
};
// Immutable, and shared by its copies: all endpoints of a slice have the same.
class PortList {
 public:
  PortList() = default;
  explicit PortList(std::vector<PortDraft> ports)
      : ports_(std::make_shared<const std::vector<PortDraft>>(std::move(ports))) {}
  std::span<const PortDraft> all() const {
    return ports_ != nullptr ? std::span(*ports_) : std::span<const PortDraft>();
  }
  // A copy of the other one, not merely equal to it.
  bool is(const PortList& other) const { return ports_ == other.ports_; }
  // An order in which copies of one are the same.
  struct ByIdentity {
    bool operator()(const PortList& a, const PortList& b) const { return a.ports_ < b.ports_; }
  };

 private:
  std::shared_ptr<const std::vector<PortDraft>> ports_;
};
struct EndpointDraft {
  std::string label;     // empty: the address with dashes
  std::string topology;  // the zone it is in, as lower-case labels on the wire; empty: none. Of
                         // what is imported: the cluster
  IpAddress address;
  PortList ports;
};
struct ServiceDraft {
  ServiceKind kind = ServiceKind::kClusterIp;
  std::vector<IpAddress> cluster_ips;
  std::vector<PortDraft> ports;
  std::vector<EndpointDraft> endpoints;  // any order; the same (label, address) twice is merged
  std::string external_name;             // a whole name in wire form
  // What is imported: endpoints are called LABEL.CLUSTER, their topology being the cluster.
  bool by_cluster = false;
  // Where a load balancer or an administrator takes clients from outside to it.
  std::vector<IpAddress> external_ips;
  std::vector<std::string> external_hosts;  // whole names in wire form
};

// A piece of a record's text.
struct TextRange {
  uint32_t at = 0;
  uint8_t size = 0;
};

class ServiceRecord {
 public:
  // The draft may be filled and used again, but says nothing afterwards.
  static ServiceRecord* make(const ServiceName& name, ServiceDraft&& draft);
  static void destroy(void* record);
  // What it was made of, but for its endpoints; and these.
  ServiceDraft draft() const;
  std::vector<EndpointDraft> endpoint_drafts() const;

  const ServiceName& name() const { return *name_; }
  ServiceKind kind() const { return kind_; }
  std::span<const IpAddress> cluster_ips() const { return {addresses_at(), cluster_ip_count_}; }
  std::span<const IpAddress> external_ips() const {
    return {addresses_at() + cluster_ip_count_, external_ip_count_};
  }
  size_t external_hosts() const { return external_host_count_; }
  // A whole name in wire form.
  std::span<const uint8_t> external_host(size_t index) const { return bytes_of(texts_at()[index]); }
  // The service's own, for a cluster IP.
  std::span<const PortRecord> ports() const { return {ports_at(), own_port_count_}; }
  std::span<const PortRecord> ports_of(PortRange range) const {
    return {ports_at() + range.begin, range.count};
  }
  // Those with a label of their own first, by label; then the others, by address.
  std::span<const EndpointRecord> endpoints() const { return {endpoints_at(), endpoint_count_}; }
  // The endpoints with this lower-case label.
  std::span<const EndpointRecord> endpoints_named(std::string_view label) const;
  std::string_view label_of(const EndpointRecord& endpoint) const {
    return {text_at() + endpoint.label_at, endpoint.label_size};
  }
  std::string_view name_of(const PortRecord& port) const {
    return {text_at() + port.name_at, port.name_size};
  }
  // The zone it is in, as lower-case labels on the wire; empty: it is not known.
  std::span<const uint8_t> topology_of(const EndpointRecord& endpoint) const {
    if (endpoint.topology == 0) return {};
    return bytes_of(texts_at()[external_host_count_ + endpoint.topology - 1u]);
  }
  // Empty for other kinds.
  std::span<const uint8_t> external_name() const {
    return {reinterpret_cast<const uint8_t*>(text_at()), external_name_size_};
  }

  // As a leaf of a trie.
  uint8_t nibble(size_t index) const {
    return LabelKey::nibble_of(name_->hash(), name_->key(), index);
  }
  uint64_t hash() const { return name_->hash(); }
  std::span<const uint8_t> key() const { return name_->key(); }

 private:
  ServiceRecord() = default;
  std::span<const uint8_t> bytes_of(const TextRange& range) const {
    return {reinterpret_cast<const uint8_t*>(text_at()) + range.at, range.size};
  }
  // What follows in the same block, one after the other.
  const EndpointRecord* endpoints_at() const {
    return reinterpret_cast<const EndpointRecord*>(this + 1);
  }
  const PortRecord* ports_at() const {  // the service's own, then those of endpoints
    return reinterpret_cast<const PortRecord*>(endpoints_at() + endpoint_count_);
  }
  const TextRange* texts_at() const {  // external hosts, then topology zones
    return reinterpret_cast<const TextRange*>(ports_at() + port_count_);
  }
  const IpAddress* addresses_at() const {  // the cluster's, then external ones
    return reinterpret_cast<const IpAddress*>(texts_at() + text_count_);
  }
  const char* text_at() const {
    return reinterpret_cast<const char*>(addresses_at() + cluster_ip_count_ + external_ip_count_);
  }
  const ServiceName* name_ = nullptr;
  uint32_t endpoint_count_ = 0;
  uint32_t named_count_ = 0;
  uint32_t port_count_ = 0;
  uint32_t own_port_count_ = 0;
  uint16_t external_name_size_ = 0;
  uint16_t text_count_ = 0;
  uint8_t cluster_ip_count_ = 0;
  uint8_t external_ip_count_ = 0;
  uint8_t external_host_count_ = 0;
  ServiceKind kind_ = ServiceKind::kClusterIp;
};

// Says that a namespace, or a pod, is there.
class KeyRecord {
 public:
  explicit KeyRecord(std::string key);
  static void destroy(void* record) { delete static_cast<KeyRecord*>(record); }
  uint8_t nibble(size_t index) const { return LabelKey::nibble_of(hash_, key(), index); }
  uint64_t hash() const { return hash_; }
  std::span<const uint8_t> key() const {
    return {reinterpret_cast<const uint8_t*>(key_.data()), key_.size()};
  }

 private:
  std::string key_;
  uint64_t hash_;
};

// A namespace's key is its label. A pod's is its namespace's label, then its address, which a byte
// for the family precedes. Neither is a prefix of another of its kind.
std::string namespace_key(std::string_view name);
class PodKey {
 public:
  // `label`: the namespace on the wire, in lower case.
  PodKey(std::span<const uint8_t> label, const IpAddress& address);
  std::span<const uint8_t> bytes() const { return {bytes_, size_}; }

 private:
  uint8_t bytes_[1 + kMaxLabelSize + 1 + 16];
  size_t size_;
};

// "10-0-0-1", "fd00--1"; a trailing dash gets a zero. Returns the length; `out` has 64 bytes.
size_t write_dashed(const IpAddress& address, char* out);
// Reads either form back: dashes are dots when there are three and no two together, else colons.
// Any spelling of an IPv6 address will do.
bool parse_dashed(std::string_view label, IpAddress& address);

}  // namespace fairlead::dns
