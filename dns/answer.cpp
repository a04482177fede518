// SPDX-License-Identifier: Apache-2.0
#include "dns/answer.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <optional>

#include "dns/find.h"
#include "dns/record_writer.h"
#include "dns/service_ports.h"

namespace fairlead::dns {
namespace {

using Kind = Found::Kind;

constexpr std::string_view kVersion = "1.1.0";  // of the specification we answer by
constexpr uint32_t kVersionTtl = 28800;
constexpr size_t kMaxChain = 10;  // CNAMEs in one answer
constexpr size_t kMaxNameServers = 8;
constexpr size_t kMaxServerAddresses = 32;

bool falls_through(const Name& name, const ZoneConfig& config) {
  return std::any_of(config.fallthrough.begin(), config.fallthrough.end(),
                     [&](const Name& zone) { return name.ends_with(zone); });
}

// One query being answered.
class Answerer {
 public:
  Answerer(const ZoneConfig& config, const Snapshot& snapshot, const Query& query,
           const ZonePart& zone, uint32_t rotation, Reply& reply, Name& target)
      : config_(config),
        snapshot_(snapshot),
        query_(query),
        zone_(zone),
        rotation_(rotation),
        reply_(reply),
        writer_(reply, config.ttl, zone.domain),
        target_(target) {}

  Outcome run();

 private:
  struct Rule {
    Kind kind;
    Type type;
    void (Answerer::*add)(const Found& found);
  };
  static const Rule kRules[];

  void add_records(const Found& found);
  void deny();
  void add_soa(const Found& found);
  void add_name_servers(const Found& found);
  void add_version(const Found& found);
  void add_ipv4(const Found& found);
  void add_ipv6(const Found& found);
  void add_ports(const Found& found);
  void add_cname(const Found& found);
  void add_alias_ipv4(const Found& found);
  void add_alias_ipv6(const Found& found);
  void add_pointers(const Found& found);

  void add_alias(const Found& found, Family family);
  void add_addresses(Section section, size_t owner_at, const Found& found, Family family);
  bool has_address(const Found& found, Family family) const;
  template <typename Visit>
  void visit_addresses(const Found& found, Family family, Visit&& visit) const;
  template <typename Visit>
  void visit_service_addresses(const Found& found, Family family, Visit&& visit) const;
  template <typename Visit>
  void visit_endpoints(const Found& found, Visit&& visit) const;

  using Servers = std::array<const ServiceRecord*, kMaxNameServers>;
  std::span<const ServiceRecord* const> find_servers(Servers& into) const;

  const ZoneConfig& config_;
  const Snapshot& snapshot_;
  const Query& query_;
  const ZonePart& zone_;
  const uint32_t rotation_;
  Reply& reply_;
  RecordWriter writer_;
  Name& target_;
  Outcome outcome_ = Outcome::kAnswered;
};

// What each kind of name has. A question for ANY gets the first that is there.
const Answerer::Rule Answerer::kRules[] = {
    {Kind::kService, Type::kA, &Answerer::add_ipv4},
    {Kind::kService, Type::kAaaa, &Answerer::add_ipv6},
    {Kind::kService, Type::kSrv, &Answerer::add_ports},
    {Kind::kAlias, Type::kCname, &Answerer::add_cname},
    {Kind::kAlias, Type::kA, &Answerer::add_alias_ipv4},
    {Kind::kAlias, Type::kAaaa, &Answerer::add_alias_ipv6},
    {Kind::kPod, Type::kA, &Answerer::add_ipv4},
    {Kind::kPod, Type::kAaaa, &Answerer::add_ipv6},
    {Kind::kReverse, Type::kPtr, &Answerer::add_pointers},
    {Kind::kApex, Type::kSoa, &Answerer::add_soa},
    {Kind::kApex, Type::kNs, &Answerer::add_name_servers},
    {Kind::kNameServer, Type::kA, &Answerer::add_ipv4},
    {Kind::kNameServer, Type::kAaaa, &Answerer::add_ipv6},
    {Kind::kVersion, Type::kTxt, &Answerer::add_version},
};

Outcome Answerer::run() {
  const Found found = find(zone_, config_, snapshot_, query_.name);
  if (found.kind == Kind::kNothing) {
    // Before everything is known another server must not deny what may be ours.
    if (snapshot_.synced && falls_through(query_.name, config_)) return Outcome::kFallsThrough;
    deny();
  } else {
    add_records(found);
    if (snapshot_.stale) reply_.set_error(Ede::kStale, kStaleText);
  }
  reply_.set_flag(kFlagAuthoritative);
  // RFC 2308 section 2: a name that is not there, or has nothing of the type.
  if (reply_.count(Section::kAnswer) == 0 && !reply_.truncated())
    writer_.soa(Section::kAuthority, Reply::kQuestionName + zone_.at, snapshot_.serial);
  return outcome_;
}

// Of the type asked for, or for ANY one set of records (RFC 8482 section 4.1).
void Answerer::add_records(const Found& found) {
  for (const Rule& rule : kRules) {
    if (rule.kind != found.kind) continue;
    if (rule.type != query_.type && query_.type != Type::kAny) continue;
    (this->*rule.add)(found);
    if (query_.type != Type::kAny || reply_.count(Section::kAnswer) > 0) return;
  }
}

// While objects are still to come nobody can say that a name is not there.
void Answerer::deny() {
  if (snapshot_.synced) return reply_.set_rcode(Rcode::kNxDomain);
  reply_.set_rcode(Rcode::kServFail);
  reply_.set_error(Ede::kNotReady, "the cluster's objects are still being read");
}

void Answerer::add_soa(const Found&) {
  writer_.soa(Section::kAnswer, Reply::kQuestionName + zone_.at, snapshot_.serial);
}

void Answerer::add_version(const Found&) {
  writer_.text(kVersion, kVersionTtl);
}

void Answerer::add_ipv4(const Found& found) {
  add_addresses(Section::kAnswer, Reply::kQuestionName, found, Family::kIpv4);
}

void Answerer::add_ipv6(const Found& found) {
  add_addresses(Section::kAnswer, Reply::kQuestionName, found, Family::kIpv6);
}

void Answerer::add_ports(const Found& found) {
  add_service_ports(*found.service, found.selector, writer_);
}

void Answerer::add_cname(const Found& found) {
  writer_.cname(Reply::kQuestionName, found.service->external_name());
}

void Answerer::add_alias_ipv4(const Found& found) {
  add_alias(found, Family::kIpv4);
}

void Answerer::add_alias_ipv6(const Found& found) {
  add_alias(found, Family::kIpv6);
}

// The CNAME of an ExternalName service and the addresses it leads to. Within the zone these are
// known at once, and a chain that leads nowhere is left out altogether, as CoreDNS does. While
// objects are still to come nobody can say that it leads nowhere.
void Answerer::add_alias(const Found& found, Family family) {
  std::array<const ServiceRecord*, kMaxChain> chain;
  size_t length = 0;
  Found end = found;
  bool inside = true;
  while (inside && end.kind == Kind::kAlias) {
    if (length == kMaxChain) return;
    chain[length++] = end.service;
    size_t at = 0;
    [[maybe_unused]] const bool parsed = target_.parse(end.service->external_name(), at);
    assert(parsed);
    inside = target_.ends_with(config_.zone);
    if (inside) end = find_in_zone(config_, snapshot_, target_);
  }
  if (inside && end.kind == Kind::kNothing && !snapshot_.synced) return deny();
  if (inside && !has_address(end, family)) return;

  size_t owner_at = Reply::kQuestionName;
  for (size_t i = 0; i < length; ++i) {
    owner_at = writer_.cname(owner_at, chain[i]->external_name());
    if (owner_at == 0) return;
  }
  if (inside) {
    add_addresses(Section::kAnswer, owner_at, end, family);
  } else {
    outcome_ = Outcome::kChase;
  }
}

// A service's own address has one name; else every endpoint with the address has.
void Answerer::add_pointers(const Found& found) {
  for (const ReverseName& name : found.reverse->names()) {
    if (name.cluster_ip) return writer_.pointer({}, *name.service);
    const EndpointLabel label(name.label, found.reverse->address());
    writer_.pointer(label.text(), *name.service);
  }
}

// The services this server is an endpoint or the cluster IP of, each once.
std::span<const ServiceRecord* const> Answerer::find_servers(Servers& into) const {
  size_t count = 0;
  const auto add = [&](const ServiceName& name) {
    const ServiceRecord* service = snapshot_.service(name.key());
    const auto known = std::span(into).first(count);
    if (service == nullptr || count == into.size() ||
        std::find(known.begin(), known.end(), service) != known.end())
      return;
    into[count++] = service;
  };
  for (const IpAddress& address : config_.local_addresses)
    if (const ReverseRecord* record = snapshot_.address(address))
      for (const ReverseName& name : record->names()) add(*name.service);
  return std::span(into).first(count);
}

// Those services, of a headless one its endpoints; without one, ns.dns.Z.
void Answerer::add_name_servers(const Found&) {
  struct Server {
    size_t name_at;
    std::span<const IpAddress> addresses;
    std::span<const EndpointRecord> endpoints;
  };
  std::array<Server, kMaxNameServers> servers;
  size_t count = 0;
  const auto add = [&](std::string_view label, const ServiceName& service,
                       std::span<const IpAddress> addresses,
                       std::span<const EndpointRecord> endpoints) {
    if (count == servers.size()) return;
    const size_t name_at = writer_.name_server(label, service);
    if (name_at != 0) servers[count++] = {name_at, addresses, endpoints};
  };
  Servers found;
  for (const ServiceRecord* service : find_servers(found)) {
    if (service->kind() != ServiceKind::kHeadless) {
      add({}, service->name(), service->cluster_ips(), {});
      continue;
    }
    for (auto rest = service->endpoints(); !rest.empty();) {
      const auto target = take_target(*service, false, rest);
      const EndpointRecord& first = target.front();
      add(EndpointLabel(service->label_of(first), first.address).text(), service->name(), {},
          target);
    }
  }
  if (count == 0) servers[count++] = {writer_.own_name_server(), config_.local_addresses, {}};
  for (const Server& server : std::span(servers).first(count)) {
    for (const IpAddress& address : server.addresses)
      writer_.address(Section::kAdditional, server.name_at, address);
    for (const EndpointRecord& endpoint : server.endpoints)
      writer_.address(Section::kAdditional, server.name_at, endpoint.address);
  }
}

void Answerer::add_addresses(Section section, size_t owner_at, const Found& found, Family family) {
  visit_addresses(found, family, [&](const IpAddress& address) {
    return writer_.address(section, owner_at, address);
  });
}

bool Answerer::has_address(const Found& found, Family family) const {
  bool any = false;
  visit_addresses(found, family, [&any](const IpAddress&) {
    any = true;
    return false;
  });
  return any;
}

// Those of a service's name.
template <typename Visit>
void Answerer::visit_service_addresses(const Found& found, Family family, Visit&& visit) const {
  const auto visit_one = [&](const IpAddress& address) {
    return address.family() != family || visit(address);
  };
  if (!uses_cluster_ips(*found.service, found.selector)) return visit_endpoints(found, visit_one);
  for (const IpAddress& address : found.service->cluster_ips())
    if (!visit_one(address)) return;
}

// Calls visit(address) for every address of the family, each once, as long as it returns true.
template <typename Visit>
void Answerer::visit_addresses(const Found& found, Family family, Visit&& visit) const {
  const auto visit_one = [&](const IpAddress& address) {
    return address.family() != family || visit(address);
  };
  const auto visit_all = [&](std::span<const IpAddress> addresses) {
    for (const IpAddress& address : addresses)
      if (!visit_one(address)) return;
  };
  switch (found.kind) {
    case Kind::kService:
      return visit_service_addresses(found, family, visit);
    case Kind::kPod:
      return visit_all({&found.address, 1});
    case Kind::kNameServer: {
      Servers servers;
      const auto found_servers = find_servers(servers);
      if (found_servers.empty()) return visit_all(config_.local_addresses);
      std::array<IpAddress, kMaxServerAddresses> seen;  // two services may share endpoints
      size_t count = 0;
      bool more = true;
      const auto visit_new = [&](const IpAddress& address) {
        const auto known = std::span(seen).first(count);
        if (std::find(known.begin(), known.end(), address) != known.end()) return true;
        seen[count++] = address;
        return more = visit(address) && count < seen.size();
      };
      for (size_t i = 0; i < found_servers.size() && more; ++i)
        visit_service_addresses({.kind = Kind::kService, .service = found_servers[i]}, family,
                                visit_new);
      return;
    }
    case Kind::kNothing:
    case Kind::kEmpty:
    case Kind::kApex:
    case Kind::kVersion:
    case Kind::kAlias:
    case Kind::kReverse:
      return;
  }
}

// The addresses of the endpoints that the selector chooses, beginning with another each time.
template <typename Visit>
void Answerer::visit_endpoints(const Found& found, Visit&& visit) const {
  const ServiceRecord& service = *found.service;
  const auto endpoints = chosen_endpoints(service, found.selector);
  const auto is_chosen = [&](const EndpointRecord& endpoint) {
    return found.selector.chooses(service, endpoint);
  };
  const auto is_first = [&](const EndpointRecord& endpoint) {
    return !endpoint.repeated ||
           std::none_of(endpoints.data(), &endpoint, [&](const EndpointRecord& earlier) {
             return earlier.address == endpoint.address && is_chosen(earlier);
           });
  };
  const size_t start = endpoints.empty() ? 0 : rotation_ % endpoints.size();
  for (const auto part : {endpoints.subspan(start), endpoints.first(start)})
    for (const EndpointRecord& endpoint : part)
      if (is_chosen(endpoint) && is_first(endpoint) && !visit(endpoint.address)) return;
}

}  // namespace

std::vector<Name> reverse_zones() {
  return {*Name::from_text("in-addr.arpa"), *Name::from_text("ip6.arpa")};
}

bool is_reverse(const Name& zone) {
  static const std::vector<Name> kParents = reverse_zones();
  return std::ranges::any_of(kParents, [&](const Name& parent) { return zone.ends_with(parent); });
}

Outcome answer(const ZoneConfig& config, const Snapshot& snapshot, const Query& query,
               uint32_t rotation, Reply& reply, Name& target) {
  const std::optional<ZonePart> zone = zone_of(query.name, config);
  if (!zone) return Outcome::kNotOurs;
  return Answerer(config, snapshot, query, *zone, rotation, reply, target).run();
}

}  // namespace fairlead::dns
