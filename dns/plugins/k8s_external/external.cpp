// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/k8s_external/external.h"

#include <algorithm>
#include <cstring>

#include "dns/find.h"
#include "dns/record_writer.h"
#include "dns/service_ports.h"

namespace fairlead::dns {
namespace {

constexpr uint32_t kRefresh = 7200;
constexpr uint32_t kRetry = 1800;
constexpr uint32_t kExpire = 86400;

bool has_external(const ServiceRecord& service) {
  return !service.external_ips().empty() || service.external_hosts() > 0;
}

// One query being answered.
class Answerer {
 public:
  Answerer(const ExternalConfig& config, const Snapshot& snapshot, const Query& query,
           const Name& zone, const std::vector<IpAddress>& local, uint32_t rotation, Reply& reply,
           Name& target)
      : config_(config),
        snapshot_(snapshot),
        query_(query),
        labels_(query.name.labels() - zone.labels()),
        zone_at_(Reply::kQuestionName + query.name.offset(labels_)),
        local_(local),
        rotation_(rotation),
        reply_(reply),
        writer_(reply, config.ttl, query.name.wire().subspan(query.name.offset(labels_)), {}),
        target_(target) {}

  Outcome run(bool reverse, bool falls_through);

 private:
  bool answer_name();
  bool answer_reverse();
  void answer_apex();
  bool answer_own_names();
  bool answer_service();
  bool answer_external_service(const ServiceRecord& service, const Selector& selector);
  bool answer_endpoints(const ServiceRecord& service, const Selector& selector);
  void add_cname(const ServiceRecord& service);
  void add_address(size_t owner_at, Section section, const IpAddress& address);
  void add_own_addresses(size_t owner_at, Section section);
  void add_soa(Section section);
  // Of ANY one set of records (RFC 8482): the family that comes first.
  bool wants(const IpAddress& address) {
    const Type type = address.is_v4() ? Type::kA : Type::kAaaa;
    if (query_.type == Type::kAny && any_ == Type::kAny) any_ = type;
    return query_.type == type || any_ == type;
  }

  const ExternalConfig& config_;
  const Snapshot& snapshot_;
  const Query& query_;
  const size_t labels_;  // left of the zone
  const size_t zone_at_;
  const std::vector<IpAddress>& local_;
  const uint32_t rotation_;
  Reply& reply_;
  RecordWriter writer_;
  Name& target_;
  Type any_ = Type::kAny;
  Outcome outcome_ = Outcome::kAnswered;
};

Outcome Answerer::run(bool reverse, bool falls_through) {
  if (!(reverse ? answer_reverse() : answer_name())) {
    if (snapshot_.synced && falls_through) return Outcome::kFallsThrough;
    if (snapshot_.synced) {
      reply_.set_rcode(Rcode::kNxDomain);
    } else {
      reply_.set_rcode(Rcode::kServFail);
      reply_.set_error(Ede::kNotReady, "the cluster's objects are still being read");
    }
  } else if (snapshot_.stale) {
    reply_.set_error(Ede::kStale, kStaleText);
  }
  reply_.set_flag(kFlagAuthoritative);
  if (reply_.count(Section::kAnswer) == 0 && !reply_.truncated()) add_soa(Section::kAuthority);
  return outcome_;
}

// False: there is no such name.
bool Answerer::answer_name() {
  const Name& name = query_.name;
  if (labels_ == 0) return answer_apex(), true;
  if (name.label(labels_ - 1) == config_.apex) return answer_own_names();
  const auto ns = name.lower().subspan(name.offset(labels_ - 1),
                                       name.offset(labels_) - name.offset(labels_ - 1));
  if (snapshot_.namespaces.find(LabelKey(ns)) == nullptr) return false;
  return labels_ == 1 || answer_service();
}

bool Answerer::answer_reverse() {
  if (labels_ == 0) return answer_apex(), true;
  const Found found = find_reverse(snapshot_.external, query_.name, 0);
  if (found.kind != Found::Kind::kReverse) return found.kind != Found::Kind::kNothing;
  if (query_.type == Type::kPtr || query_.type == Type::kAny) {
    // Into the first zone, which the question does not have.
    RecordWriter writer(reply_, config_.ttl, config_.zones.front().wire(), {});
    for (const ReverseName& each : found.reverse->names()) writer.pointer({}, *each.service);
  }
  return true;
}

void Answerer::answer_apex() {
  if (query_.type == Type::kSoa || query_.type == Type::kAny) return add_soa(Section::kAnswer);
  if (query_.type != Type::kNs) return;
  // ns1.APEX.Z, Z being a pointer (RFC 1035 section 4.1.4).
  const size_t size = 1 + 3 + 1 + config_.apex.size() + 2;
  uint8_t* at = reply_.add(Section::kAnswer, Reply::kQuestionName, Type::kNs, config_.ttl, size);
  if (at == nullptr) return;
  const size_t name_at = reply_.position(at);
  std::memcpy(at, "\3ns1", 4);
  at[4] = static_cast<uint8_t>(config_.apex.size());
  std::memcpy(at + 5, config_.apex.data(), config_.apex.size());
  write_u16(at + size - 2, static_cast<uint16_t>(0xc000 | zone_at_));
  add_own_addresses(name_at, Section::kAdditional);
}

bool Answerer::answer_own_names() {
  if (labels_ == 1) return true;
  if (labels_ != 2 || query_.name.label(0) != "ns1") return false;
  add_own_addresses(Reply::kQuestionName, Section::kAnswer);
  return true;
}

// Where the services that lead to this server are reached from outside; without such a service the
// server's own addresses.
void Answerer::add_own_addresses(size_t owner_at, Section section) {
  bool found = false;
  std::vector<const ServiceRecord*> known;
  for (const IpAddress& address : local_) {
    const ReverseRecord* const record = snapshot_.address(address);
    if (record == nullptr) continue;
    for (const ReverseName& name : record->names()) {
      const ServiceRecord* const service = snapshot_.service(name.service->key());
      if (name.cluster_ip || service == nullptr || std::ranges::find(known, service) != known.end())
        continue;
      found = true;
      known.push_back(service);
      for (const IpAddress& outside : service->external_ips())
        add_address(owner_at, section, outside);
    }
  }
  if (found) return;
  for (const IpAddress& address : local_) add_address(owner_at, section, address);
}

bool Answerer::answer_service() {
  const Name& name = query_.name;
  const auto key = name.lower().subspan(name.offset(labels_ - 2),
                                        name.offset(labels_) - name.offset(labels_ - 2));
  const ServiceRecord* const service = snapshot_.service(key);
  const size_t below = labels_ - 2;
  if (service == nullptr || below > 2) return false;
  Selector selector;
  if (below == 1) selector.endpoint = name.label(0);
  if (below == 2) selector = Selector::of_port(name.label(0), name.label(1));
  if (!has_external(*service))
    return config_.headless && (service->kind() == ServiceKind::kHeadless || below == 1) &&
           answer_endpoints(*service, selector);
  if (below != 1) return answer_external_service(*service, selector);
  // Nothing but _proto, which has ports below it (RFC 8020).
  const Selector protocol = Selector::of_port({}, name.label(0));
  return !protocol.protocol.empty() && protocol.matches(*service, service->ports());
}

bool Answerer::answer_external_service(const ServiceRecord& service, const Selector& selector) {
  if (selector.by_port && !selector.matches(service, service.ports())) return false;
  if (query_.type == Type::kSrv) {
    add_external_ports(service, selector, writer_);
    return true;
  }
  const auto addresses = service.external_ips();
  if (addresses.empty()) return add_cname(service), true;
  for (size_t i = 0; i < addresses.size(); ++i)
    add_address(Reply::kQuestionName, Section::kAnswer,
                addresses[(i + rotation_) % addresses.size()]);
  return true;
}

// A load balancer without an address. One CNAME is all a name may have (RFC 2181 section 10.1).
void Answerer::add_cname(const ServiceRecord& service) {
  const bool follows = query_.type == Type::kA || query_.type == Type::kAaaa;
  if (!follows && query_.type != Type::kCname && query_.type != Type::kAny) return;
  const auto host = service.external_host(0);
  size_t at = 0;
  if (writer_.cname(Reply::kQuestionName, host) != 0 && follows && target_.parse(host, at))
    outcome_ = Outcome::kChase;
}

bool Answerer::answer_endpoints(const ServiceRecord& service, const Selector& selector) {
  const auto endpoints = chosen_endpoints(service, selector);
  const auto chosen = [&](const EndpointRecord& each) { return selector.chooses(service, each); };
  if (std::ranges::none_of(endpoints, chosen)) return false;
  if (query_.type == Type::kSrv) return add_service_ports(service, selector, writer_), true;
  const size_t start = rotation_ % endpoints.size();
  for (const auto part : {endpoints.subspan(start), endpoints.first(start)})
    for (const EndpointRecord& each : part) {
      const bool known = each.repeated && std::any_of(endpoints.data(), &each, [&](auto& earlier) {
                           return earlier.address == each.address && chosen(earlier);
                         });
      if (chosen(each) && !known) add_address(Reply::kQuestionName, Section::kAnswer, each.address);
    }
  return true;
}

void Answerer::add_address(size_t owner_at, Section section, const IpAddress& address) {
  if (section == Section::kAdditional || wants(address))
    writer_.address(section, owner_at, address);
}

// ns1.APEX.Z, hostmaster.APEX.Z and five numbers; Z and APEX.Z are pointers.
void Answerer::add_soa(Section section) {
  const size_t size = 4 + 1 + config_.apex.size() + 2 + 11 + 2 + 5 * 4;
  uint8_t* at = reply_.add(section, static_cast<uint16_t>(zone_at_), Type::kSoa, config_.ttl, size);
  if (at == nullptr) return;
  const size_t apex_at = reply_.position(at) + 4;
  std::memcpy(at, "\3ns1", 4);
  at += 4;
  *at++ = static_cast<uint8_t>(config_.apex.size());
  std::memcpy(at, config_.apex.data(), config_.apex.size());
  at += config_.apex.size();
  write_u16(at, static_cast<uint16_t>(0xc000 | zone_at_));
  std::memcpy(at + 2, "\12hostmaster", 11);
  write_u16(at + 13, static_cast<uint16_t>(0xc000 | apex_at));
  at += 15;
  for (const uint32_t number : {snapshot_.serial, kRefresh, kRetry, kExpire, config_.ttl}) {
    write_u32(at, number);
    at += 4;
  }
}

}  // namespace

Outcome answer_external(const ExternalConfig& config, const Snapshot& snapshot, const Query& query,
                        const std::vector<IpAddress>& local, bool falls_through, uint32_t rotation,
                        Reply& reply, Name& target) {
  const Name* zone = nullptr;
  for (const Name& each : config.zones)
    if (query.name.ends_with(each) && (zone == nullptr || each.labels() > zone->labels()))
      zone = &each;
  if (zone == nullptr) return Outcome::kNotOurs;
  return Answerer(config, snapshot, query, *zone, local, rotation, reply, target)
      .run(is_reverse(*zone), falls_through);
}

}  // namespace fairlead::dns
