// SPDX-License-Identifier: Apache-2.0
#include "dns/zone/snapshot_file.h"

#include <algorithm>
#include <bit>
#include <map>
#include <tuple>
#include <utility>

namespace fairlead::dns {
namespace {

constexpr std::string_view kMagic("fldnszn\x01", 8);
constexpr size_t kPiece = 64 * 1024;
constexpr size_t kMaxSource = 16 * 1024;
constexpr size_t kChecksumSize = 8;

template <size_t kSize>
uint64_t little_endian(const char* bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < kSize; ++i)
    value |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  return value;
}

// Each step is a bijection of the state, so a change within one word is always seen.
class Checksum {
 public:
  // Whole words, but for the last call.
  void add(std::string_view bytes) {
    size_ += bytes.size();
    for (; bytes.size() >= 8; bytes.remove_prefix(8)) step(little_endian<8>(bytes.data()));
    if (bytes.empty()) return;
    char last[8] = {};
    std::ranges::copy(bytes, last);
    step(little_endian<8>(last));
  }
  uint64_t value() const { return (state_ ^ size_) * kOdd; }

 private:
  static constexpr uint64_t kOdd = 0x9e3779b97f4a7c15u;
  void step(uint64_t value) { state_ = std::rotl(state_ ^ value, 27) * kOdd; }

  uint64_t state_ = 0;
  uint64_t size_ = 0;
};

// ---- writing ----

std::string_view text_of(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class Output {
 public:
  explicit Output(const ByteSink& sink) : sink_(sink) { buffer_.reserve(kPiece + 1024); }

  void number(uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) buffer_ += static_cast<char>(value >> (8 * i) & 255);
  }
  void bytes(std::string_view bytes) {
    buffer_ += bytes;
    if (buffer_.size() >= kPiece) flush(buffer_.size() / 8 * 8);
  }
  void text(std::string_view text) {  // at most 255 bytes
    number(text.size(), 1);
    bytes(text);
  }
  void address(const IpAddress& address) { text(text_of(address.bytes())); }
  Result<void> finish() {
    flush(buffer_.size());
    number(checksum_.value(), kChecksumSize);
    if (result_.ok()) result_ = sink_(buffer_);
    return result_;
  }
  bool failed() const { return !result_.ok(); }

 private:
  void flush(size_t size) {
    const std::string_view piece = std::string_view(buffer_).substr(0, size);
    checksum_.add(piece);
    if (result_.ok()) result_ = sink_(piece);
    buffer_.erase(0, size);
  }

  const ByteSink& sink_;
  std::string buffer_;
  Checksum checksum_;
  Result<void> result_ = ok();
};

void write_ports(const ServiceRecord& service, std::span<const PortRecord> ports, Output& out) {
  out.number(ports.size(), 4);
  for (const PortRecord& port : ports) {
    out.text(service.name_of(port));
    out.number(static_cast<uint8_t>(port.protocol), 1);
    out.number(port.number, 2);
  }
}

// The topology zones and port lists first, each once; the endpoints say which.
void write_endpoints(const ServiceRecord& service, Output& out) {
  std::map<uint8_t, std::span<const uint8_t>> topologies;
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> lists;
  std::vector<PortRange> ranges;
  for (const EndpointRecord& endpoint : service.endpoints()) {
    if (endpoint.topology != 0)
      topologies.try_emplace(endpoint.topology, service.topology_of(endpoint));
    const bool added = lists
                           .try_emplace({endpoint.ports.begin, endpoint.ports.count},
                                        static_cast<uint32_t>(ranges.size()))
                           .second;
    if (added) ranges.push_back(endpoint.ports);
  }
  out.number(topologies.size(), 1);
  for (const auto& [number, labels] : topologies) {
    out.number(number, 1);
    out.text(text_of(labels));
  }
  out.number(ranges.size(), 4);
  for (const PortRange& range : ranges) write_ports(service, service.ports_of(range), out);
  out.number(service.endpoints().size(), 4);
  for (const EndpointRecord& endpoint : service.endpoints()) {
    out.text(service.label_of(endpoint));
    out.address(endpoint.address);
    out.number(endpoint.topology, 1);
    out.number(lists.at({endpoint.ports.begin, endpoint.ports.count}), 4);
  }
}

void write_service(const ServiceRecord& service, Output& out) {
  out.number('s', 1);
  out.text(service.name().ns());
  out.text(service.name().name());
  out.number(static_cast<uint8_t>(service.kind()), 1);
  for (const auto addresses : {service.cluster_ips(), service.external_ips()}) {
    out.number(addresses.size(), 1);
    for (const IpAddress& address : addresses) out.address(address);
  }
  out.number(service.external_hosts(), 1);
  for (size_t i = 0; i < service.external_hosts(); ++i) out.text(text_of(service.external_host(i)));
  out.text(text_of(service.external_name()));
  write_ports(service, service.ports(), out);
  write_endpoints(service, out);
}

// In the order in which a zone keeps them, so that it is filled from the end, fast.
std::vector<const ServiceRecord*> by_name(const Snapshot& snapshot) {
  std::vector<const ServiceRecord*> services;
  snapshot.services.for_each([&](const ServiceRecord& service) { services.push_back(&service); });
  std::sort(services.begin(), services.end(), [](const auto* a, const auto* b) {
    return std::tuple(a->name().ns(), a->name().name()) <
           std::tuple(b->name().ns(), b->name().name());
  });
  return services;
}

// ---- reading ----

// Once it has failed everything read is empty.
class Input {
 public:
  explicit Input(std::string_view bytes) : bytes_(bytes) {}

  template <size_t kSize>
  uint64_t number() {
    const std::string_view from = take(kSize);
    return from.empty() ? 0 : little_endian<kSize>(from.data());
  }
  std::string_view take(size_t size) {
    if (size > bytes_.size()) return fail(), std::string_view();
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  std::string_view text() { return take(number<1>()); }
  IpAddress address() {
    const std::string_view bytes = text();
    if (bytes.size() != 4 && bytes.size() != 16) return fail(), IpAddress();
    return IpAddress::from_bytes({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  }
  // How many things follow that take `least` bytes each.
  template <size_t kSizeOfCount>
  size_t count(size_t least) {
    const uint64_t count = number<kSizeOfCount>();
    if (count > bytes_.size() / least) return fail(), 0;
    return count;
  }
  void fail() {
    failed_ = true;
    bytes_ = {};
  }
  bool failed() const { return failed_; }
  bool empty() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
  bool failed_ = false;
};

// A whole name, and nothing behind it.
std::string read_name(Input& in) {
  std::string wire(in.text());
  Name name;
  size_t at = 0;
  if (!name.parse({reinterpret_cast<const uint8_t*>(wire.data()), wire.size()}, at) ||
      at != wire.size())
    in.fail();
  return wire;
}

// Labels without the root.
std::string read_labels(Input& in) {
  std::string labels(in.text());
  const std::string wire = labels + '\0';
  Name name;
  size_t at = 0;
  if (labels.empty() ||
      !name.parse({reinterpret_cast<const uint8_t*>(wire.data()), wire.size()}, at) ||
      at != wire.size())
    in.fail();
  return labels;
}

void read_ports(Input& in, std::vector<PortDraft>& ports) {
  ports.resize(in.count<4>(4));
  for (PortDraft& port : ports) {
    port.name = in.text();
    const uint64_t protocol = in.number<1>();
    port.number = static_cast<uint16_t>(in.number<2>());
    if (port.name.size() > kMaxLabelSize || protocol > 2) in.fail();
    if (in.failed()) return;
    port.protocol = static_cast<kube::Protocol>(protocol);
  }
}

void read_endpoints(Input& in, ServiceDraft& draft) {
  std::map<uint64_t, std::string> topologies;
  for (size_t i = in.count<1>(2); i > 0; --i) {
    const uint64_t number = in.number<1>();
    topologies[number] = read_labels(in);
  }
  std::vector<PortList> lists(in.count<4>(4));
  for (PortList& list : lists) {
    std::vector<PortDraft> ports;
    read_ports(in, ports);
    list = PortList(std::move(ports));
  }
  draft.endpoints.resize(in.count<4>(11));
  for (EndpointDraft& endpoint : draft.endpoints) {
    endpoint.label = in.text();
    endpoint.address = in.address();
    const uint64_t topology = in.number<1>();
    const uint64_t list = in.number<4>();
    if (in.failed() || list >= lists.size()) return in.fail();
    endpoint.topology = topology != 0 ? topologies[topology] : std::string();
    endpoint.ports = lists[list];
  }
}

// The draft is one for all services: what it has allocated for one serves the next.
void read_service(Input& in, ServiceDraft& draft, Zone& zone) {
  const std::string ns(in.text());
  const std::string name(in.text());
  const uint64_t kind = in.number<1>();
  if (kind > static_cast<uint64_t>(ServiceKind::kExternalName)) return in.fail();
  draft.kind = static_cast<ServiceKind>(kind);
  for (auto* addresses : {&draft.cluster_ips, &draft.external_ips}) {
    addresses->resize(in.count<1>(5));
    for (IpAddress& address : *addresses) address = in.address();
  }
  draft.external_hosts.resize(in.count<1>(1));
  for (std::string& host : draft.external_hosts) host = read_name(in);
  draft.external_name = in.text();  // empty: where it leads is no name
  if (draft.kind == ServiceKind::kExternalName) {
    Name target;
    size_t at = 0;
    const std::span<const uint8_t> wire(
        reinterpret_cast<const uint8_t*>(draft.external_name.data()), draft.external_name.size());
    if (!wire.empty() && (!target.parse(wire, at) || at != wire.size())) in.fail();
  } else if (!draft.external_name.empty()) {
    in.fail();
  }
  read_ports(in, draft.ports);
  read_endpoints(in, draft);
  if (in.failed()) return;
  if (!zone.restore({ns, name}, std::move(draft))) in.fail();
}

void read_namespace(Input& in, Zone& zone) {
  kube::Namespace ns;
  const std::string_view key = in.text();
  if (key.size() < 2 || key.size() - 1 != static_cast<uint8_t>(key[0])) return in.fail();
  ns.meta.name = key.substr(1);
  zone.put(ns);
}

// Its name is not known, only that the namespace has one with the address. No pod is called so.
void read_pod(Input& in, Zone& zone) {
  Input key(in.text());
  kube::Pod pod;
  pod.meta.ns = key.text();
  const uint64_t family = key.number<1>();
  const std::string_view bytes = key.take(family == 4 ? 4 : 16);
  if (key.failed() || !key.empty() || (family != 4 && family != 6)) return in.fail();
  pod.pod_ips.push_back(
      IpAddress::from_bytes({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}));
  pod.meta.name = "/" + pod.pod_ips.front().to_string();
  zone.put(pod);
}

// Up to the end, which must be the file's.
bool read_entries(Input& in, Zone& zone) {
  ServiceDraft draft;
  while (!in.failed()) {
    switch (in.number<1>()) {
      case 'n':
        read_namespace(in, zone);
        break;
      case 's':
        read_service(in, draft, zone);
        break;
      case 'p':
        read_pod(in, zone);
        break;
      case 'e':
        return in.empty() && !in.failed();
      default:
        return false;
    }
  }
  return false;
}

Error damaged(const char* how) {
  return Error(ErrorCode::kInvalid, how);
}

}  // namespace

uint64_t snapshot_checksum(std::string_view bytes) {
  Checksum checksum;
  checksum.add(bytes);
  return checksum.value();
}

Result<void> write_snapshot(const Snapshot& snapshot, std::string_view source, uint64_t taken,
                            const ByteSink& sink) {
  if (source.size() > kMaxSource)
    return Error(ErrorCode::kInvalid, "what is read of the cluster is too long to be written down");
  Output out(sink);
  out.bytes(kMagic);
  out.number(source.size(), 4);
  out.bytes(source);
  out.number(taken, 8);
  out.number(snapshot.serial, 4);
  snapshot.namespaces.for_each([&](const KeyRecord& record) {
    out.number('n', 1);
    out.text(text_of(record.key()));
  });
  for (const ServiceRecord* service : by_name(snapshot))
    if (!out.failed()) write_service(*service, out);
  snapshot.pods.for_each([&](const KeyRecord& record) {
    out.number('p', 1);
    out.text(text_of(record.key()));
  });
  out.number('e', 1);
  return out.finish();
}

Result<SavedSnapshot> read_snapshot(std::string_view file, std::string_view source, Zone& zone) {
  if (!file.starts_with(kMagic.substr(0, 7))) return damaged("it is no snapshot");
  if (!file.starts_with(kMagic)) return damaged("it is of another version");
  if (file.size() < kMagic.size() + kChecksumSize) return damaged("it is cut off");
  const std::string_view content = file.substr(0, file.size() - kChecksumSize);
  if (Input(file.substr(content.size())).number<kChecksumSize>() != snapshot_checksum(content))
    return damaged("it is damaged: the checksum differs");
  Input in(content.substr(kMagic.size()));
  const bool same_source = in.take(in.number<4>()) == source;
  SavedSnapshot saved;
  saved.taken = in.number<8>();
  saved.serial = static_cast<uint32_t>(in.number<4>());
  if (in.failed()) return damaged("it is damaged");
  if (!same_source) return damaged("it is of another cluster, or of other objects than are read");
  if (read_entries(in, zone)) return saved;
  zone.retain_services({});
  zone.retain_slices({});
  zone.retain_namespaces({});
  zone.retain_pods({});
  return damaged("it is damaged");
}

}  // namespace fairlead::dns
