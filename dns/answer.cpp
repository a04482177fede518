// SPDX-License-Identifier: Apache-2.0
#include "dns/answer.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <optional>
#include <string_view>

#include "dns/find.h"

namespace fairlead::dns {
namespace {

using Kind = Found::Kind;

constexpr uint32_t kMaxSoaTtl = 300;
constexpr uint32_t kRefresh = 7200;
constexpr uint32_t kRetry = 1800;
constexpr uint32_t kExpire = 86400;
constexpr uint32_t kVersionTtl = 28800;
constexpr std::string_view kVersion = "1.1.0";  // of the specification we answer by
constexpr size_t kMaxChain = 10;                // CNAMEs in one answer
constexpr size_t kMaxNameServers = 8;
constexpr size_t kMaxPointer = 0x3fff;

uint8_t* put_bytes(uint8_t* at, std::span<const uint8_t> bytes) {
  std::memcpy(at, bytes.data(), bytes.size());
  return at + bytes.size();
}

uint8_t* put_label(uint8_t* at, std::string_view label) {
  *at++ = static_cast<uint8_t>(label.size());
  std::memcpy(at, label.data(), label.size());
  return at + label.size();
}

// One query being answered.
class Answerer {
 public:
  Answerer(const ZoneConfig& config, const Snapshot& snapshot, const Query& query,
           uint32_t rotation, Reply& reply)
      : config_(config), snapshot_(snapshot), query_(query), rotation_(rotation), reply_(reply) {}

  Outcome run(Name& target);

 private:
  Outcome give(const Found& found, Name& target);
  void add_apex();
  void add_version();
  void add_reverse(const ReverseRecord& record);
  Outcome add_alias(const ServiceRecord& service, Name& target);
  bool add_addresses(const Found& found, Family family, uint16_t owner_at, bool dry);
  bool add_service_addresses(const Found& found, Family family, uint16_t owner_at, bool dry);
  void add_ports(const Found& found);
  void add_cluster_ip_ports(const ServiceRecord& service, const Selector& selector);
  void add_endpoint_ports(const ServiceRecord& service, const Selector& selector);
  void add_endpoint_glue(const ServiceRecord& service, const Selector& selector, size_t at);
  void add_soa(Section section);
  void add_name_servers();
  void no_such_name();

  // [label.]svc.ns.svc.Z in wire form. Zero: longer than a name may be.
  size_t service_name_size(std::string_view label, const ServiceName& name) const;
  uint8_t* put_service_name(uint8_t* at, std::string_view label, const ServiceName& name) const;
  uint8_t* add_srv(std::string_view label, const ServiceRecord& service, uint16_t port,
                   size_t matches);
  bool asks_for(Type type) const { return query_.type == type || query_.type == Type::kAny; }

  const ZoneConfig& config_;
  const Snapshot& snapshot_;
  const Query& query_;
  const uint32_t rotation_;
  Reply& reply_;
  uint16_t zone_at_ = 0;  // where the zone's name stands in the question
  // The cluster domain, in the question's case if the question is in it.
  std::span<const uint8_t> domain_;
};

Outcome Answerer::run(Name& target) {
  const bool forward = query_.name.ends_with(config_.zone);
  const size_t zone_labels = forward ? config_.zone.labels() : reverse_zone_labels(query_.name);
  if (zone_labels == 0) return Outcome::kNotOurs;
  const size_t zone_offset = query_.name.offset(query_.name.labels() - zone_labels);
  zone_at_ = static_cast<uint16_t>(kHeaderSize + zone_offset);
  domain_ = forward ? query_.name.wire().subspan(zone_offset) : config_.zone.wire();

  const Found found = forward ? find_in_zone(config_, snapshot_, query_.name)
                              : find_reverse(snapshot_, query_.name);
  // Before everything is known another server must not deny what may be ours.
  if (found.kind == Kind::kNothing && !forward && config_.reverse_falls_through && snapshot_.synced)
    return Outcome::kFallsThrough;
  reply_.set_flag(kFlagAuthoritative);
  if (found.kind == Kind::kNothing) {
    no_such_name();
    return Outcome::kAnswered;
  }
  const Outcome outcome = give(found, target);
  // NODATA, RFC 2308 section 2.2.
  if (reply_.count(Section::kAnswer) == 0 && !reply_.truncated()) add_soa(Section::kAuthority);
  return outcome;
}

// The records of the type asked for. For ANY just one set of them (RFC 8482 section 4.1).
Outcome Answerer::give(const Found& found, Name& target) {
  switch (found.kind) {
    case Kind::kNothing:
    case Kind::kEmpty:
      return Outcome::kAnswered;
    case Kind::kApex:
      return add_apex(), Outcome::kAnswered;
    case Kind::kVersion:
      return add_version(), Outcome::kAnswered;
    case Kind::kReverse:
      return add_reverse(*found.reverse), Outcome::kAnswered;
    case Kind::kService:
      if (found.service->kind() == ServiceKind::kExternalName)
        return add_alias(*found.service, target);
      break;
    case Kind::kNameServer:
    case Kind::kPod:
      break;
  }
  constexpr uint16_t kOwner = Reply::kQuestionName;
  if (asks_for(Type::kA) && add_addresses(found, Family::kIpv4, kOwner, false))
    return Outcome::kAnswered;
  if (asks_for(Type::kAaaa) && add_addresses(found, Family::kIpv6, kOwner, false))
    return Outcome::kAnswered;
  if (asks_for(Type::kSrv) && found.kind == Kind::kService) add_ports(found);
  return Outcome::kAnswered;
}

// RFC 2308 section 2.1. While objects are still to come nobody can say that a name is not there.
void Answerer::no_such_name() {
  if (snapshot_.synced) {
    reply_.set_rcode(Rcode::kNxDomain);
  } else {
    reply_.set_rcode(Rcode::kServFail);
    reply_.set_error(Ede::kNotReady, "the cluster's objects are still being read");
  }
  add_soa(Section::kAuthority);
}

void Answerer::add_apex() {
  if (asks_for(Type::kSoa)) return add_soa(Section::kAnswer);
  if (query_.type == Type::kNs) add_name_servers();
}

void Answerer::add_version() {
  if (!asks_for(Type::kTxt)) return;
  uint8_t* rdata = reply_.add(Section::kAnswer, Reply::kQuestionName, Type::kTxt, kVersionTtl,
                              1 + kVersion.size());
  if (rdata != nullptr) put_label(rdata, kVersion);
}

void Answerer::add_soa(Section section) {
  // ns.dns.Z and hostmaster.Z, where Z is a pointer, and five numbers (RFC 1035 section 3.3.13).
  constexpr size_t kSize = 3 + 4 + 2 + 11 + 2 + 5 * 4;
  uint8_t* at = reply_.add(section, zone_at_, Type::kSoa, std::min(config_.ttl, kMaxSoaTtl), kSize);
  if (at == nullptr) return;
  const auto pointer = static_cast<uint16_t>(0xc000 | zone_at_);
  at = put_label(put_label(at, "ns"), "dns");
  write_u16(at, pointer);
  at = put_label(at + 2, "hostmaster");
  write_u16(at, pointer);
  at += 2;
  for (const uint32_t number : {snapshot_.serial, kRefresh, kRetry, kExpire, config_.ttl}) {
    write_u32(at, number);
    at += 4;
  }
}

size_t Answerer::service_name_size(std::string_view label, const ServiceName& name) const {
  const size_t size =
      (label.empty() ? 0 : 1 + label.size()) + name.key().size() + 4 + domain_.size();
  return size <= kMaxNameSize ? size : 0;
}

uint8_t* Answerer::put_service_name(uint8_t* at, std::string_view label,
                                    const ServiceName& name) const {
  if (!label.empty()) at = put_label(at, label);
  at = put_bytes(at, name.key());
  at = put_label(at, "svc");
  return put_bytes(at, domain_);
}

// The text of an endpoint's label: its own, or its address with dashes.
struct EndpointLabel {
  EndpointLabel(const ServiceRecord& service, const EndpointRecord& endpoint)
      : EndpointLabel(service.label_of(endpoint), endpoint.address) {}
  EndpointLabel(std::string_view own, const IpAddress& address) {
    text = own.empty() ? std::string_view(dashed, write_dashed(address, dashed)) : own;
  }
  EndpointLabel(const EndpointLabel&) = delete;
  char dashed[64];
  std::string_view text;
};

// A service's own address has one name; else every endpoint with the address has.
void Answerer::add_reverse(const ReverseRecord& record) {
  if (!asks_for(Type::kPtr)) return;
  for (const ReverseName& name : record.names()) {
    const EndpointLabel label(name.label, record.address());
    const std::string_view text = name.cluster_ip ? std::string_view() : label.text;
    const size_t size = service_name_size(text, *name.service);
    if (size == 0) continue;
    uint8_t* rdata =
        reply_.add(Section::kAnswer, Reply::kQuestionName, Type::kPtr, config_.ttl, size);
    if (rdata == nullptr) return;
    put_service_name(rdata, text, *name.service);
    if (name.cluster_ip) return;
  }
}

// An ExternalName service: its CNAME; for addresses also what that leads to. Within the zone that
// is known at once, and a chain that leads nowhere is left out altogether, as CoreDNS does.
Outcome Answerer::add_alias(const ServiceRecord& service, Name& target) {
  const bool wants_addresses = query_.type == Type::kA || query_.type == Type::kAaaa;
  if (!wants_addresses && !asks_for(Type::kCname)) return Outcome::kAnswered;
  const Family family = query_.type == Type::kA ? Family::kIpv4 : Family::kIpv6;
  std::array<const ServiceRecord*, kMaxChain> chain;
  size_t length = 0;
  Found end;
  const ServiceRecord* next = &service;
  while (next != nullptr) {
    if (length == kMaxChain) return Outcome::kAnswered;
    chain[length++] = next;
    size_t at = 0;
    [[maybe_unused]] const bool parsed = target.parse(next->external_name(), at);
    assert(parsed);
    next = nullptr;
    if (!wants_addresses || !target.ends_with(config_.zone)) break;
    end = find_in_zone(config_, snapshot_, target);
    if (end.kind == Kind::kService && end.service->kind() == ServiceKind::kExternalName)
      next = end.service;
  }
  const bool inside = wants_addresses && target.ends_with(config_.zone);
  if (inside && !add_addresses(end, family, 0, true)) return Outcome::kAnswered;

  uint16_t owner_at = Reply::kQuestionName;
  for (size_t i = 0; i < length; ++i) {
    const auto wire = chain[i]->external_name();
    uint8_t* rdata = reply_.add(Section::kAnswer, owner_at, Type::kCname, config_.ttl, wire.size());
    if (rdata == nullptr) return Outcome::kAnswered;
    put_bytes(rdata, wire);
    owner_at = static_cast<uint16_t>(reply_.position(rdata));
  }
  if (!wants_addresses) return Outcome::kAnswered;
  if (!inside) return Outcome::kChase;
  add_addresses(end, family, owner_at, false);
  return Outcome::kAnswered;
}

// Adds what `found` has of the family, or with `dry` only says whether there is any.
bool Answerer::add_addresses(const Found& found, Family family, uint16_t owner_at, bool dry) {
  const auto add = [&](const IpAddress& address) {
    if (address.family() != family) return false;
    if (!dry) reply_.add_address(Section::kAnswer, owner_at, config_.ttl, address);
    return true;
  };
  switch (found.kind) {
    case Kind::kPod:
      return add(found.address);
    case Kind::kNameServer: {
      bool any = false;
      for (const IpAddress& address : config_.local_addresses) any = add(address) || any;
      return any;
    }
    case Kind::kService:
      return add_service_addresses(found, family, owner_at, dry);
    case Kind::kNothing:
    case Kind::kEmpty:
    case Kind::kApex:
    case Kind::kVersion:
    case Kind::kReverse:
      break;
  }
  return false;
}

// Whether an endpoint before this one has the same address and is chosen too.
bool address_seen(const ServiceRecord& service, const Selector& selector,
                  std::span<const EndpointRecord> chosen, const EndpointRecord& endpoint) {
  if (!endpoint.repeated) return false;
  return std::any_of(chosen.data(), &endpoint, [&](const EndpointRecord& earlier) {
    return earlier.address == endpoint.address &&
           selector.matches(service, service.ports_of(earlier.ports));
  });
}

bool Answerer::add_service_addresses(const Found& found, Family family, uint16_t owner_at,
                                     bool dry) {
  const ServiceRecord& service = *found.service;
  bool any = false;
  if (uses_cluster_ips(service, found.selector)) {
    for (const IpAddress& address : service.cluster_ips()) {
      if (address.family() != family) continue;
      any = true;
      if (!dry) reply_.add_address(Section::kAnswer, owner_at, config_.ttl, address);
    }
    return any;
  }
  const auto endpoints = chosen_endpoints(service, found.selector);
  const size_t start = endpoints.empty() ? 0 : rotation_ % endpoints.size();
  for (size_t i = 0; i < endpoints.size(); ++i) {
    const size_t index = start + i < endpoints.size() ? start + i : start + i - endpoints.size();
    const EndpointRecord& endpoint = endpoints[index];
    if (endpoint.address.family() != family) continue;
    if (found.selector.by_port &&
        !found.selector.matches(service, service.ports_of(endpoint.ports)))
      continue;
    if (address_seen(service, found.selector, endpoints, endpoint)) continue;
    any = true;
    if (dry) return true;
    if (!reply_.add_address(Section::kAnswer, owner_at, config_.ttl, endpoint.address)) return true;
  }
  return any;
}

void Answerer::add_ports(const Found& found) {
  if (uses_cluster_ips(*found.service, found.selector)) {
    add_cluster_ip_ports(*found.service, found.selector);
  } else {
    add_endpoint_ports(*found.service, found.selector);
  }
}

// RFC 2782. The target is not compressed (RFC 3597 section 4). All of `matches` share the weight.
uint8_t* Answerer::add_srv(std::string_view label, const ServiceRecord& service, uint16_t port,
                           size_t matches) {
  const size_t size = service_name_size(label, service.name());
  if (size == 0) return nullptr;
  uint8_t* rdata =
      reply_.add(Section::kAnswer, Reply::kQuestionName, Type::kSrv, config_.ttl, 6 + size);
  if (rdata == nullptr) return nullptr;
  write_u16(rdata, 0);
  write_u16(rdata + 2, static_cast<uint16_t>(std::max<size_t>(1, 100 / matches)));
  write_u16(rdata + 4, port);
  put_service_name(rdata + 6, label, service.name());
  return rdata + 6;
}

// Whether a chosen port before this one has the same number: the SRV record would be the same.
bool port_seen(const ServiceRecord& service, const Selector& selector,
               std::span<const PortRecord> ports, const PortRecord& port) {
  return std::any_of(ports.data(), &port, [&](const PortRecord& earlier) {
    return earlier.number == port.number && selector.matches(service, earlier);
  });
}

size_t count_matches(const ServiceRecord& service, const Selector& selector,
                     std::span<const PortRecord> ports) {
  if (ports.empty()) return 1;
  return static_cast<size_t>(std::count_if(ports.begin(), ports.end(), [&](const PortRecord& port) {
    return selector.matches(service, port);
  }));
}

void Answerer::add_cluster_ip_ports(const ServiceRecord& service, const Selector& selector) {
  const auto ports = service.ports();
  const size_t matches = count_matches(service, selector, ports) * service.cluster_ips().size();
  if (matches == 0) return;
  size_t target_at = 0;
  for (const PortRecord& port : ports) {
    if (!selector.matches(service, port) || port_seen(service, selector, ports, port)) continue;
    const uint8_t* target = add_srv({}, service, port.number, matches);
    if (target == nullptr) return;
    if (target_at == 0) target_at = reply_.position(target);
  }
  if (target_at == 0 || target_at > kMaxPointer) return;
  for (const IpAddress& address : service.cluster_ips())
    reply_.add_address(Section::kAdditional, static_cast<uint16_t>(target_at), config_.ttl,
                       address);
}

// Whether the endpoint just before this one has the same label and the same port: endpoints of one
// label stand together, such as the two families of one pod.
bool target_seen(const ServiceRecord& service, const Selector& selector,
                 std::span<const EndpointRecord> chosen, const EndpointRecord& endpoint,
                 uint16_t number) {
  if (endpoint.label_size == 0) return false;
  const std::string_view label = service.label_of(endpoint);
  for (const EndpointRecord* earlier = &endpoint; earlier-- != chosen.data();) {
    if (service.label_of(*earlier) != label) return false;
    for (const PortRecord& port : service.ports_of(earlier->ports))
      if (port.number == number && selector.matches(service, port)) return true;
  }
  return false;
}

void Answerer::add_endpoint_ports(const ServiceRecord& service, const Selector& selector) {
  const auto endpoints = chosen_endpoints(service, selector);
  size_t matches = 0;
  for (const EndpointRecord& endpoint : endpoints)
    matches += count_matches(service, selector, service.ports_of(endpoint.ports));
  const size_t first_at = reply_.size();
  for (const EndpointRecord& endpoint : endpoints) {
    const EndpointLabel label(service, endpoint);
    const auto ports = service.ports_of(endpoint.ports);
    for (const PortRecord& port : ports) {
      if (!selector.matches(service, port) || port_seen(service, selector, ports, port)) continue;
      if (target_seen(service, selector, endpoints, endpoint, port.number)) continue;
      add_srv(label.text, service, port.number, matches);
      if (reply_.truncated()) return;
    }
  }
  if (reply_.count(Section::kAnswer) > 0) add_endpoint_glue(service, selector, first_at);
}

// The addresses of the targets just written from `at` on, in the same order: each owner is a
// pointer to the first SRV record of its endpoint.
void Answerer::add_endpoint_glue(const ServiceRecord& service, const Selector& selector,
                                 size_t at) {
  constexpr size_t kFixed = 12 + 6;  // of an SRV record before its target
  const auto endpoints = chosen_endpoints(service, selector);
  size_t target_at = 0;
  for (const EndpointRecord& endpoint : endpoints) {
    const EndpointLabel label(service, endpoint);
    const auto ports = service.ports_of(endpoint.ports);
    const size_t size = service_name_size(label.text, service.name());
    if (size == 0) continue;
    bool written = false;
    bool chosen = false;
    for (const PortRecord& port : ports) {
      if (!selector.matches(service, port) || port_seen(service, selector, ports, port)) continue;
      chosen = true;
      if (target_seen(service, selector, endpoints, endpoint, port.number)) continue;
      if (!written) target_at = at + kFixed;
      written = true;
      at += kFixed + size;
    }
    if (!chosen) continue;
    // Without a record of its own the endpoint shares the label, and the target, of the one before.
    if (target_at > kMaxPointer) return;
    if (!reply_.add_address(Section::kAdditional, static_cast<uint16_t>(target_at), config_.ttl,
                            endpoint.address))
      return;
  }
}

// The services this server is an endpoint or the cluster IP of; without one, ns.dns.Z.
void Answerer::add_name_servers() {
  struct Server {
    const ServiceRecord* service;
    uint16_t target_at;
  };
  std::array<Server, kMaxNameServers> servers;
  size_t count = 0;
  for (const IpAddress& address : config_.local_addresses) {
    const ReverseRecord* record = snapshot_.address(address);
    if (record == nullptr) continue;
    for (const ReverseName& name : record->names()) {
      const ServiceRecord* service = snapshot_.service(name.service->key());
      if (service == nullptr || count == servers.size()) continue;
      if (std::any_of(servers.begin(), servers.begin() + count,
                      [&](const Server& known) { return known.service == service; }))
        continue;
      const size_t size = service_name_size({}, service->name());
      if (size == 0) continue;
      uint8_t* rdata =
          reply_.add(Section::kAnswer, Reply::kQuestionName, Type::kNs, config_.ttl, size);
      if (rdata == nullptr) return;
      put_service_name(rdata, {}, service->name());
      servers[count++] = {service, static_cast<uint16_t>(reply_.position(rdata))};
    }
  }
  for (size_t i = 0; i < count; ++i) {
    const Found found{.kind = Kind::kService, .service = servers[i].service};
    const auto add = [&](const IpAddress& address) {
      reply_.add_address(Section::kAdditional, servers[i].target_at, config_.ttl, address);
    };
    for (const IpAddress& address : found.service->cluster_ips()) add(address);
    if (found.service->kind() != ServiceKind::kHeadless) continue;
    for (const EndpointRecord& endpoint : found.service->endpoints())
      if (!endpoint.repeated) add(endpoint.address);
  }
  if (count > 0) return;
  uint8_t* at = reply_.add(Section::kAnswer, Reply::kQuestionName, Type::kNs, config_.ttl,
                           3 + 4 + domain_.size());
  if (at == nullptr) return;
  const auto target_at = static_cast<uint16_t>(reply_.position(at));
  put_bytes(put_label(put_label(at, "ns"), "dns"), domain_);
  for (const IpAddress& address : config_.local_addresses)
    reply_.add_address(Section::kAdditional, target_at, config_.ttl, address);
}

}  // namespace

Outcome answer(const ZoneConfig& config, const Snapshot& snapshot, const Query& query,
               uint32_t rotation, Reply& reply, Name& target) {
  return Answerer(config, snapshot, query, rotation, reply).run(target);
}

}  // namespace fairlead::dns
