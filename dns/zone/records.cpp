// SPDX-License-Identifier: Apache-2.0
#include "dns/zone/records.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <random>

namespace fairlead::dns {
namespace {

// Whoever may create services must not be able to make them collide.
uint64_t hash_seed() {
  static const uint64_t seed = [] {
    std::random_device device;
    return static_cast<uint64_t>(device()) << 32 | device();
  }();
  return seed;
}

uint64_t mix(uint64_t a, uint64_t b) {
  const __uint128_t product = static_cast<__uint128_t>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t hash_bytes(std::span<const uint8_t> bytes) {
  uint64_t hash = hash_seed() ^ bytes.size();
  size_t at = 0;
  while (at < bytes.size()) {
    uint64_t chunk = 0;
    const size_t size = std::min<size_t>(8, bytes.size() - at);
    std::memcpy(&chunk, &bytes[at], size);
    hash = mix(hash ^ chunk, 0x9e3779b97f4a7c15u);
    at += size;
  }
  return mix(hash, 0xd6e8feb86659fd93u);
}

void append_label(std::string& key, std::string_view label) {
  assert(!label.empty() && label.size() <= kMaxLabelSize);
  key += static_cast<char>(label.size());
  for (const char c : label) key += static_cast<char>(to_lower(static_cast<uint8_t>(c)));
}

PortList both(const PortList& first, const PortList& second) {
  if (first.is(second)) return first;
  std::vector<PortDraft> ports(first.all().begin(), first.all().end());
  for (const PortDraft& port : second.all())
    if (std::find(ports.begin(), ports.end(), port) == ports.end()) ports.push_back(port);
  return PortList(std::move(ports));
}

// Orders endpoints as ServiceRecord::endpoints() promises and merges those that are the same.
void normalize(std::vector<EndpointDraft>& endpoints, bool by_cluster) {
  const auto key = [by_cluster](const EndpointDraft& e) {
    return std::tuple(e.label.empty(), std::string_view(e.label),
                      by_cluster ? std::string_view(e.topology) : std::string_view(), e.address);
  };
  const auto less = [&](const auto& a, const auto& b) { return key(a) < key(b); };
  if (!std::ranges::is_sorted(endpoints, less)) std::ranges::stable_sort(endpoints, less);
  size_t kept = 0;
  for (size_t i = 0; i < endpoints.size(); ++i) {
    if (kept > 0 && key(endpoints[kept - 1]) == key(endpoints[i])) {
      PortList& ports = endpoints[kept - 1].ports;
      ports = both(ports, endpoints[i].ports);
      continue;
    }
    if (kept != i) endpoints[kept] = std::move(endpoints[i]);
    ++kept;
  }
  endpoints.resize(kept);
}

// Collects what the parts of a record refer to: each port list and each text once.
class RecordPacker {
 public:
  uint32_t add_text(std::string_view text) {
    const auto [at, added] =
        texts_.try_emplace(std::string(text), static_cast<uint32_t>(text_.size()));
    if (added) text_ += text;
    return at->second;
  }
  // Most lists are the one before.
  PortRange add_list(const PortList& list) {
    if (last_list_ == nullptr || !last_list_->is(list))
      last_range_ = add_ports({list.all().begin(), list.all().end()});
    last_list_ = &list;
    return last_range_;
  }
  PortRange add_ports(const std::vector<PortDraft>& ports) {
    const auto [at, added] = ranges_.try_emplace(ports);
    if (!added) return at->second;
    at->second = {static_cast<uint32_t>(ports_.size()), static_cast<uint32_t>(ports.size())};
    for (const auto& port : ports)
      ports_.push_back({add_text(port.name), static_cast<uint8_t>(port.name.size()), port.protocol,
                        port.number});
    return at->second;
  }
  // From 1; 0 stands for an empty one, and for those beyond 255.
  uint8_t add_topology(const std::string& topology) {
    if (topology.empty()) return 0;
    const auto known = topologies_.find(topology);
    if (known != topologies_.end()) return known->second;
    if (topologies_.size() == 255) return 0;
    add_range(topology);
    const auto number = static_cast<uint8_t>(topologies_.size() + 1);
    topologies_.emplace(topology, number);
    return number;
  }
  void add_range(const std::string& text) {
    ranges_of_text_.push_back({add_text(text), static_cast<uint8_t>(text.size())});
  }
  std::vector<PortRecord> ports_;
  std::vector<TextRange> ranges_of_text_;
  std::string text_;

 private:
  std::map<std::string, uint8_t> topologies_;
  std::map<std::string, uint32_t> texts_;
  std::map<std::vector<PortDraft>, PortRange> ranges_;
  const PortList* last_list_ = nullptr;
  PortRange last_range_;
};

std::vector<EndpointRecord> pack_endpoints(const std::vector<EndpointDraft>& drafts,
                                           RecordPacker& packer) {
  std::vector<EndpointRecord> records;
  records.reserve(drafts.size());
  for (const EndpointDraft& draft : drafts) {
    EndpointRecord record;
    record.address = draft.address;
    record.label_size = static_cast<uint8_t>(draft.label.size());
    record.label_at = draft.label.empty() ? 0 : packer.add_text(draft.label);
    record.ports = packer.add_list(draft.ports);
    record.topology = packer.add_topology(draft.topology);
    records.push_back(record);
  }
  // Those without labels are in the order of addresses, each once.
  if (drafts.empty() || drafts.front().label.empty()) return records;
  std::vector<uint32_t> order(records.size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return std::tie(records[a].address, a) < std::tie(records[b].address, b);
  });
  for (size_t i = 1; i < order.size(); ++i)
    records[order[i]].repeated = records[order[i]].address == records[order[i - 1]].address;
  return records;
}

template <typename T>
void place(uint8_t*& at, std::span<const T> from) {
  std::uninitialized_copy(from.begin(), from.end(), reinterpret_cast<T*>(at));
  at += from.size_bytes();
}

}  // namespace

LabelKey::LabelKey(std::span<const uint8_t> bytes) : bytes_(bytes), hash_(hash_bytes(bytes)) {}

uint8_t LabelKey::nibble_of(uint64_t hash, std::span<const uint8_t> bytes, size_t index) {
  if (index < 16) return static_cast<uint8_t>(hash >> (4 * index) & 15);
  const size_t at = (index - 16) / 2;
  if (at >= bytes.size()) return 0;  // not reached: keys are no prefixes of one another
  return index % 2 == 0 ? bytes[at] >> 4 : bytes[at] & 15;
}

bool LabelKey::same(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

ServiceName::Ptr ServiceName::make(std::string_view name, std::string_view ns) {
  std::string key;
  append_label(key, name);
  append_label(key, ns);
  static_assert(2 * (1 + kMaxLabelSize) <= UINT8_MAX);
  const uint64_t hash = hash_bytes({reinterpret_cast<const uint8_t*>(key.data()), key.size()});
  void* const block = ::operator new(std::max(sizeof(ServiceName), kKeyAt + key.size()));
  auto* const made = new (block) ServiceName(hash, key.size());
  std::memcpy(static_cast<char*>(block) + kKeyAt, key.data(), key.size());
  return Ptr(made);
}

void ServiceName::destroy(void* name) {
  ::operator delete(name);
}

KeyRecord::KeyRecord(std::string key) : key_(std::move(key)), hash_(0) {
  key_.shrink_to_fit();
  hash_ = hash_bytes(this->key());
}

uint64_t seeded_hash(std::string_view text) {
  return hash_bytes({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

std::string namespace_key(std::string_view name) {
  std::string key;
  append_label(key, name);
  return key;
}

PodKey::PodKey(std::span<const uint8_t> label, const IpAddress& address) {
  assert(label.size() <= 1 + kMaxLabelSize);
  uint8_t* at = std::copy(label.begin(), label.end(), bytes_);
  *at++ = address.is_v4() ? 4 : 6;
  at = std::copy(address.bytes().begin(), address.bytes().end(), at);
  size_ = static_cast<size_t>(at - bytes_);
}

ServiceRecord* ServiceRecord::make(const ServiceName& name, ServiceDraft&& draft) {
  normalize(draft.endpoints, draft.by_cluster);
  RecordPacker packer;
  packer.text_ = std::move(draft.external_name);
  const size_t external_size = packer.text_.size();
  for (const std::string& host : draft.external_hosts) packer.add_range(host);
  const PortRange own_ports = packer.add_ports(draft.ports);
  const std::vector<EndpointRecord> endpoints = pack_endpoints(draft.endpoints, packer);

  static_assert(alignof(EndpointRecord) <= 8 && sizeof(ServiceRecord) % 8 == 0);
  static_assert(sizeof(EndpointRecord) % alignof(PortRecord) == 0 &&
                sizeof(PortRecord) % alignof(TextRange) == 0 &&
                sizeof(TextRange) % alignof(IpAddress) == 0);
  const size_t size = sizeof(ServiceRecord) + endpoints.size() * sizeof(EndpointRecord) +
                      packer.ports_.size() * sizeof(PortRecord) +
                      packer.ranges_of_text_.size() * sizeof(TextRange) +
                      (draft.cluster_ips.size() + draft.external_ips.size()) * sizeof(IpAddress) +
                      packer.text_.size();
  auto* block = static_cast<uint8_t*>(::operator new(size));
  auto* record = new (block) ServiceRecord;
  uint8_t* at = block + sizeof(ServiceRecord);
  record->name_ = &name;
  record->kind_ = draft.kind;
  place<EndpointRecord>(at, endpoints);
  place<PortRecord>(at, packer.ports_);
  place<TextRange>(at, packer.ranges_of_text_);
  place<IpAddress>(at, draft.cluster_ips);
  place<IpAddress>(at, draft.external_ips);
  place<char>(at, packer.text_);
  record->endpoint_count_ = static_cast<uint32_t>(endpoints.size());
  record->named_count_ = static_cast<uint32_t>(
      std::count_if(endpoints.begin(), endpoints.end(), [](auto& e) { return e.label_size != 0; }));
  record->port_count_ = static_cast<uint32_t>(packer.ports_.size());
  record->own_port_count_ = own_ports.count;
  record->text_count_ = static_cast<uint16_t>(packer.ranges_of_text_.size());
  record->external_name_size_ = static_cast<uint16_t>(external_size);
  record->cluster_ip_count_ = static_cast<uint8_t>(draft.cluster_ips.size());
  record->external_ip_count_ = static_cast<uint8_t>(draft.external_ips.size());
  record->external_host_count_ = static_cast<uint8_t>(draft.external_hosts.size());
  return record;
}

void ServiceRecord::destroy(void* record) {
  ::operator delete(record);
}

ServiceDraft ServiceRecord::draft() const {
  ServiceDraft draft;
  draft.kind = kind_;
  draft.cluster_ips.assign(cluster_ips().begin(), cluster_ips().end());
  for (const PortRecord& port : ports())
    draft.ports.push_back({std::string(name_of(port)), port.protocol, port.number});
  draft.external_name.assign(external_name().begin(), external_name().end());
  draft.external_ips.assign(external_ips().begin(), external_ips().end());
  for (size_t i = 0; i < external_hosts(); ++i)
    draft.external_hosts.emplace_back(external_host(i).begin(), external_host(i).end());
  return draft;
}

std::vector<EndpointDraft> ServiceRecord::endpoint_drafts() const {
  std::map<std::pair<uint32_t, uint32_t>, PortList> lists;
  std::vector<EndpointDraft> drafts;
  drafts.reserve(endpoint_count_);
  for (const EndpointRecord& endpoint : endpoints()) {
    const auto [list, added] =
        lists.try_emplace(std::pair(endpoint.ports.begin, endpoint.ports.count));
    if (added) {
      std::vector<PortDraft> ports;
      for (const PortRecord& port : ports_of(endpoint.ports))
        ports.push_back({std::string(name_of(port)), port.protocol, port.number});
      list->second = PortList(std::move(ports));
    }
    const std::span<const uint8_t> topology = topology_of(endpoint);
    drafts.push_back({std::string(label_of(endpoint)),
                      std::string(topology.begin(), topology.end()), endpoint.address,
                      list->second});
  }
  return drafts;
}

std::span<const EndpointRecord> ServiceRecord::endpoints_named(std::string_view label) const {
  const EndpointRecord* const begin = endpoints_at();
  const EndpointRecord* const end = begin + named_count_;
  const auto [first, last] =
      std::equal_range(begin, end, label, [this](const auto& a, const auto& b) {
        if constexpr (std::is_same_v<std::decay_t<decltype(a)>, EndpointRecord>) {
          return label_of(a) < b;
        } else {
          return a < label_of(b);
        }
      });
  if (first != last) return {first, last};
  IpAddress address;
  char canonical[64];
  if (!parse_dashed(label, address)) return {};
  if (label != std::string_view(canonical, write_dashed(address, canonical))) return {};
  const EndpointRecord* const all = begin + endpoint_count_;
  const EndpointRecord* const found = std::lower_bound(
      end, all, address, [](const EndpointRecord& e, const IpAddress& a) { return e.address < a; });
  if (found == all || found->address != address) return {};
  return {found, 1};
}

size_t write_dashed(const IpAddress& address, char* out) {
  size_t size = 0;
  if (address.is_v4()) {
    for (const uint8_t octet : address.bytes()) {
      if (size > 0) out[size++] = '-';
      if (octet >= 100) out[size++] = static_cast<char>('0' + octet / 100);
      if (octet >= 10) out[size++] = static_cast<char>('0' + octet / 10 % 10);
      out[size++] = static_cast<char>('0' + octet % 10);
    }
    return size;
  }
  char text[INET6_ADDRSTRLEN];
  // "::ffff:1.2.3.4" keeps its dots otherwise, which no label may have.
  const auto bytes = address.bytes();
  inet_ntop(AF_INET6, bytes.data(), text, sizeof text);
  // inet_ntop has "::0.1.0.2" for ::1:2, which nobody else has.
  if (std::strchr(text, '.') != nullptr && std::ranges::count(bytes.first(12), 0) == 12)
    std::snprintf(text, sizeof text, "::%x:%x", bytes[12] << 8 | bytes[13],
                  bytes[14] << 8 | bytes[15]);
  for (const char* c = text; *c != '\0'; ++c) out[size++] = *c == ':' || *c == '.' ? '-' : *c;
  if (out[size - 1] == '-') out[size++] = '0';
  return size;
}

bool parse_dashed(std::string_view label, IpAddress& address) {
  char text[INET6_ADDRSTRLEN];
  if (label.empty() || label.size() >= sizeof text) return false;
  const bool v4 = std::count(label.begin(), label.end(), '-') == 3 &&
                  label.find("--") == std::string_view::npos;
  for (size_t i = 0; i < label.size(); ++i) text[i] = label[i] != '-' ? label[i] : v4 ? '.' : ':';
  text[label.size()] = '\0';
  uint8_t bytes[16];
  if (inet_pton(v4 ? AF_INET : AF_INET6, text, bytes) != 1) return false;
  address = IpAddress::from_bytes({bytes, v4 ? 4u : 16u});
  return true;
}

}  // namespace fairlead::dns
