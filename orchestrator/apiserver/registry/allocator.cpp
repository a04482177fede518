// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/registry/allocator.h"

#include <algorithm>
#include <array>
#include <random>
#include <set>

#include "orchestrator/apiserver/schema/decode.h"
#include "orchestrator/apiserver/schema/service_spec.h"

namespace fairlead::orchestrator::apiserver {
namespace {

constexpr const char* kFamilyV4 = "IPv4";
constexpr const char* kFamilyV6 = "IPv6";

uint64_t random_below(uint64_t n) {
  thread_local std::mt19937_64 rng(std::random_device{}());
  return n == 0 ? 0 : rng() % n;
}

// The size of a range, without its network and broadcast addresses; large IPv6 ranges are cut to
// 2^16.
uint32_t usable(const Cidr& cidr) {
  const int host_bits =
      std::min(cidr.address().bits() - cidr.prefix_length(), cidr.address().is_v6() ? 16 : 31);
  const uint64_t size = uint64_t{1} << host_bits;
  const uint64_t edges = cidr.address().is_v4() ? 2 : 1;
  return size <= edges ? 0 : static_cast<uint32_t>(size - edges);
}

// Chosen addresses come from above this band, so that fixed ones find room below (KEP-3070).
uint32_t static_band(uint32_t size) {
  return size < 16 ? 0 : std::min(std::max(16u, size / 16), 256u);
}

// What a Service holds, by the same conditions under which it was given.
std::set<IpAddress> ips_of(const Json& service) {
  std::set<IpAddress> ips;
  const Json& spec = at(service, "spec");
  if (!spec.is_object() || !schema::has_cluster_ip(spec)) return ips;
  auto ip = IpAddress::parse(string_at(spec, "clusterIP"));
  if (ip) ips.insert(*ip);
  return ips;
}

std::set<uint16_t> node_ports_of(const Json& service) {
  std::set<uint16_t> ports;
  const auto add = [&ports](int64_t number) {
    if (number > 0 && number <= 65535) ports.insert(static_cast<uint16_t>(number));
  };
  const Json& spec = at(service, "spec");
  const Json& list = at(spec, "ports");
  if (schema::has_node_ports(spec) && list.is_array())
    for (const Json& port : list) add(int_at(port, "nodePort"));
  if (schema::has_health_check_port(spec)) add(int_at(spec, "healthCheckNodePort"));
  return ports;
}

}  // namespace

ServiceAllocator::ServiceAllocator(Cidr cidr, PortRange ports) : cidr_(cidr), ports_(ports) {}

ServiceAllocator::Reservation::Reservation(Reservation&& other) noexcept {
  *this = std::move(other);
}

ServiceAllocator::Reservation& ServiceAllocator::Reservation::operator=(
    Reservation&& other) noexcept {
  if (this == &other) return *this;
  release();
  owner_ = std::exchange(other.owner_, nullptr);
  new_ips_ = std::move(other.new_ips_);
  old_ips_ = std::move(other.old_ips_);
  new_ports_ = std::move(other.new_ports_);
  old_ports_ = std::move(other.old_ports_);
  return *this;
}

ServiceAllocator::Reservation::~Reservation() {
  release();
}

void ServiceAllocator::Reservation::release() {
  if (owner_ == nullptr) return;
  std::lock_guard lock(owner_->mutex_);
  for (const IpAddress& ip : new_ips_) owner_->used_ips_.erase(ip);
  for (const uint16_t port : new_ports_) owner_->used_ports_.erase(port);
  owner_ = nullptr;
}

void ServiceAllocator::Reservation::keep() {
  if (owner_ == nullptr) return;
  std::lock_guard lock(owner_->mutex_);
  for (const IpAddress& ip : old_ips_) owner_->used_ips_.erase(ip);
  for (const uint16_t port : old_ports_) owner_->used_ports_.erase(port);
  owner_ = nullptr;
}

IpAddress ServiceAllocator::nth(uint32_t n) const {
  std::array<uint8_t, 16> bytes{};
  const auto base = cidr_.address().bytes();
  std::copy(base.begin(), base.end(), bytes.begin());
  uint64_t carry = n;
  for (size_t i = base.size(); i-- > 0 && carry != 0;) {
    carry += bytes[i];
    bytes[i] = static_cast<uint8_t>(carry);
    carry >>= 8;
  }
  return IpAddress::from_bytes({bytes.data(), base.size()});
}

bool ServiceAllocator::free_ip(const IpAddress& ip) const {
  return !used_ips_.contains(ip);
}

bool ServiceAllocator::pick_ip(IpAddress& ip) {
  const uint32_t size = usable(cidr_);
  const uint32_t band = static_band(size);
  // From a random place upwards through the dynamic part, then through the static band.
  for (const auto& [first, count] : {std::pair(band, size - band), std::pair(0u, band)}) {
    const uint64_t start = random_below(count);
    for (uint32_t i = 0; i < count; ++i) {
      ip = nth(1 + first + static_cast<uint32_t>((start + i) % count));
      if (free_ip(ip)) return true;
    }
  }
  return false;
}

uint16_t ServiceAllocator::pick_port() {
  const uint32_t size = ports_.last - ports_.first + 1u;
  const uint32_t band = size < 16 ? 0 : std::min(std::max(16u, size / 32), 128u);
  for (const auto& [first, count] : {std::pair(band, size - band), std::pair(0u, band)}) {
    const uint64_t start = random_below(count);
    for (uint32_t i = 0; i < count; ++i) {
      const auto port = static_cast<uint16_t>(ports_.first + first + (start + i) % count);
      if (!used_ports_.contains(port)) return port;
    }
  }
  return 0;
}

// As Kubernetes does on a cluster of one family (pkg/registry/core/service/storage/alloc.go,
// initIPFamilyFields); a headless Service with endpoints of its own may ask for either.
void ServiceAllocator::settle_families(Json& spec, std::vector<Cause>& causes) const {
  const std::string ours = cidr_.family() == Family::kIpv4 ? kFamilyV4 : kFamilyV6;
  const std::string policy = string_at(spec, "ipFamilyPolicy");
  const Json ips = at(spec, "clusterIPs");
  Json& families = spec["ipFamilies"];
  if (!families.is_array()) families = Json::array();
  const auto single = [&](size_t count, const char* of_what) {
    if (policy == "SingleStack" && count == 2)
      causes.push_back(
          invalid_value("spec.ipFamilyPolicy", go_value(policy),
                        "must be 'RequireDualStack' or 'PreferDualStack' when multiple " +
                            std::string(of_what) + " are specified"));
  };
  single(ips.size(), "cluster IPs");
  single(families.size(), "IP families");
  for (size_t i = families.size(); i < ips.size() && !schema::is_headless(spec); ++i) {
    const auto ip = IpAddress::parse(ips[i].get<std::string>());
    const std::string family = ip && ip->is_v6() ? kFamilyV6 : kFamilyV4;
    if (family != ours)
      causes.push_back(invalid_value(schema::indexed("spec.clusterIPs", i), dump(ips),
                                     family + " is not configured on this cluster"));
    families.push_back(family);
  }
  if (!causes.empty()) return;
  if (families.empty()) families.push_back(ours);
  if (schema::is_selectorless(spec)) {
    if (families.size() == 1 && policy != "SingleStack")
      families.push_back(families[0] == kFamilyV4 ? kFamilyV6 : kFamilyV4);
    return;
  }
  if (policy == "RequireDualStack")
    causes.push_back(invalid_value("spec.ipFamilyPolicy", go_value(policy),
                                   "this cluster is not configured for dual-stack services"));
  for (size_t i = 0; i < families.size(); ++i)
    if (families[i] != ours)
      causes.push_back(invalid_value(schema::indexed("spec.ipFamilies", i), go_value(families[i]),
                                     "not configured on this cluster"));
}

void ServiceAllocator::admit_ip(Json& spec, const Json& before, Reservation& reservation,
                                std::vector<Cause>& causes) {
  settle_families(spec, causes);
  if (!causes.empty()) return;
  const std::set<IpAddress> old = ips_of(before);
  std::string wanted = string_at(spec, "clusterIP");
  if (wanted == "None") {
    reservation.old_ips_.assign(old.begin(), old.end());
    return;
  }
  IpAddress ip;
  if (wanted.empty()) {
    if (!pick_ip(ip)) {
      causes.push_back({"FieldValueInvalid",
                        "Internal error: failed to allocate a serviceIP: range is full",
                        "spec.clusterIPs"});
      return;
    }
    wanted = ip.to_string();
  } else if (auto parsed = IpAddress::parse(wanted)) {
    ip = *parsed;
  }
  const std::string shown = dump(Json::array({wanted}));
  // What it has already may be of a range that was another at the time.
  const bool fresh = !old.contains(ip);
  if (fresh && (!cidr_.contains(ip) || ip == cidr_.address()))
    causes.push_back(invalid_value(
        "spec.clusterIPs", shown,
        "failed to allocate IP " + wanted + ": the provided IP (" + wanted +
            ") is not in the valid range. The range of valid IPs is " + cidr_.to_string()));
  else if (fresh && !free_ip(ip))
    causes.push_back(
        invalid_value("spec.clusterIPs", shown,
                      "failed to allocate IP " + wanted + ": provided IP is already allocated"));
  else if (fresh) {
    used_ips_.emplace(ip, 1);
    reservation.new_ips_.push_back(ip);
  }
  for (const IpAddress& one : old)
    if (one != ip) reservation.old_ips_.push_back(one);
  spec["clusterIP"] = wanted;
  spec["clusterIPs"] = {wanted};
}

// Several ports of one Service may share a number for several protocols; its health check is a
// listener of its own and shares with none.
void ServiceAllocator::admit_ports(Json& service, const Json& before, Reservation& reservation,
                                   std::vector<Cause>& causes) {
  const std::set<uint16_t> old = node_ports_of(before);
  std::set<uint16_t> now;
  Json& spec = service["spec"];
  const auto take = [&](int64_t wanted, const std::string& path, bool shares) -> uint16_t {
    const uint16_t port = wanted == 0 ? pick_port() : static_cast<uint16_t>(wanted);
    const auto refuse = [&](const std::string& why) {
      causes.push_back(invalid_value(path, std::to_string(wanted), why));
      return port;
    };
    if (port == 0) return refuse("range is full");
    if (!old.contains(port) && (port < ports_.first || port > ports_.last))
      return refuse("provided port is not in the valid range. The range of valid ports is " +
                    std::to_string(ports_.first) + "-" + std::to_string(ports_.last));
    const bool again = now.contains(port);
    const bool another = !again && !old.contains(port) && used_ports_.contains(port);
    if (another || (again && !shares)) return refuse("provided port is already allocated");
    if (!again && !old.contains(port)) {
      used_ports_.emplace(port, 1);
      reservation.new_ports_.push_back(port);
    }
    now.insert(port);
    return port;
  };
  // What was asked for comes first, so that no chosen number takes its place.
  for (const bool chosen : {false, true}) {
    for (size_t i = 0; i < at(spec, "ports").size(); ++i) {
      Json& port = spec["ports"][i];
      const int64_t wanted = int_at(port, "nodePort");
      if ((wanted == 0) != chosen) continue;
      if (wanted != 0 || schema::allocates_node_ports(spec))
        port["nodePort"] = take(wanted, schema::indexed("spec.ports", i) + ".nodePort", true);
      else
        port.erase("nodePort");
    }
    const int64_t health = int_at(spec, "healthCheckNodePort");
    if ((health == 0) == chosen && schema::has_health_check_port(spec))
      spec["healthCheckNodePort"] = take(health, "spec.healthCheckNodePort", false);
  }
  if (!schema::has_health_check_port(spec)) spec.erase("healthCheckNodePort");  // it was 0
  for (const uint16_t port : old)
    if (!now.contains(port)) reservation.old_ports_.push_back(port);
}

Outcome<ServiceAllocator::Reservation> ServiceAllocator::admit(const Subject& subject,
                                                               Json& service, const Json& before) {
  Reservation reservation;
  reservation.owner_ = this;
  std::vector<Cause> causes;
  {
    std::lock_guard lock(mutex_);
    Json& spec = service["spec"];
    if (schema::has_cluster_ip(spec))
      admit_ip(spec, before, reservation, causes);
    else
      for (const IpAddress& ip : ips_of(before)) reservation.old_ips_.push_back(ip);
    admit_ports(service, before, reservation, causes);
  }
  if (!causes.empty()) return invalid(subject, std::move(causes));
  return reservation;
}

void ServiceAllocator::forget(const Json& service) {
  std::lock_guard lock(mutex_);
  for (const IpAddress& ip : ips_of(service)) used_ips_.erase(ip);
  for (const uint16_t port : node_ports_of(service)) used_ports_.erase(port);
}

void ServiceAllocator::load(const Json& service) {
  std::lock_guard lock(mutex_);
  for (const IpAddress& ip : ips_of(service)) used_ips_.emplace(ip, 1);
  for (const uint16_t port : node_ports_of(service)) used_ports_.emplace(port, 1);
}

}  // namespace fairlead::orchestrator::apiserver
