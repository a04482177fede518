// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/registry/allocator.h"

#include <algorithm>
#include <array>
#include <random>
#include <set>

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

std::set<IpAddress> ips_of(const Json& service) {
  std::set<IpAddress> ips;
  if (!at(service, "spec").is_object() || string_at(service, "spec.type") == "ExternalName")
    return ips;
  auto ip = IpAddress::parse(string_at(service, "spec.clusterIP"));
  if (ip) ips.insert(*ip);
  return ips;
}

std::set<uint16_t> node_ports_of(const Json& service) {
  std::set<uint16_t> ports;
  const Json& list = at_path(service, "spec.ports");
  if (list.is_array())
    for (const Json& port : list)
      if (const int64_t number = int_at(port, "nodePort"); number > 0 && number <= 65535)
        ports.insert(static_cast<uint16_t>(number));
  if (const int64_t health = int_at(service, "spec.healthCheckNodePort");
      health > 0 && health <= 65535)
    ports.insert(static_cast<uint16_t>(health));
  return ports;
}

bool wants_node_ports(const Json& service) {
  const std::string type = string_at(service, "spec.type");
  return type == "NodePort" ||
         (type == "LoadBalancer" && bool_at(service, "spec.allocateLoadBalancerNodePorts", true));
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

void ServiceAllocator::admit_ip(Json& spec, const Json& before, Reservation& reservation,
                                std::vector<Cause>& causes) {
  const std::set<IpAddress> old = ips_of(before);
  std::string wanted = string_at(spec, "clusterIP");
  const Json list = at(spec, "clusterIPs");
  if (wanted.empty() && list.is_array() && !list.empty()) wanted = list[0].get<std::string>();
  if (list.is_array() && (list.size() > 1 || (list.size() == 1 && list[0] != wanted))) {
    causes.push_back(invalid_value(
        "spec.clusterIPs", dump(list),
        list.size() > 1 ? "may only hold up to 1 values" : "first value must match `clusterIP`"));
    return;
  }
  const char* family = cidr_.family() == Family::kIpv4 ? kFamilyV4 : kFamilyV6;
  if (wanted != "None") {
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
    if (!cidr_.contains(ip) || ip == cidr_.address())
      causes.push_back(invalid_value(
          "spec.clusterIPs", shown,
          "failed to allocate IP " + wanted + ": the provided IP (" + wanted +
              ") is not in the valid range. The range of valid IPs is " + cidr_.to_string()));
    else if (!old.contains(ip) && !free_ip(ip))
      causes.push_back(
          invalid_value("spec.clusterIPs", shown,
                        "failed to allocate IP " + wanted + ": provided IP is already allocated"));
    else if (!old.contains(ip)) {
      used_ips_.emplace(ip, 1);
      reservation.new_ips_.push_back(ip);
    }
    for (const IpAddress& one : old)
      if (one != ip) reservation.old_ips_.push_back(one);
  } else {
    reservation.old_ips_.assign(old.begin(), old.end());
  }
  spec["clusterIP"] = wanted;
  spec["clusterIPs"] = {wanted};
  if (is_empty(at(spec, "ipFamilies"))) spec["ipFamilies"] = {family};
}

void ServiceAllocator::admit_ports(Json& service, const Json& before, Reservation& reservation,
                                   std::vector<Cause>& causes) {
  const std::set<uint16_t> old = node_ports_of(before);
  std::set<uint16_t> now;
  const bool wants = wants_node_ports(service);
  Json& spec = service["spec"];
  const auto take = [&](int64_t wanted, const std::string& path) -> uint16_t {
    auto port = static_cast<uint16_t>(wanted);
    if (wanted == 0) port = pick_port();
    if (port == 0 || port < ports_.first || port > ports_.last) {
      causes.push_back(invalid_value(
          path, std::to_string(wanted),
          port == 0 ? "range is full"
                    : "provided port is not in the valid range. The range of "
                      "valid ports is " +
                          std::to_string(ports_.first) + "-" + std::to_string(ports_.last)));
      return port;
    }
    // One service may use a number for several protocols.
    if (!old.contains(port) && !now.contains(port)) {
      if (used_ports_.contains(port)) {
        causes.push_back(
            invalid_value(path, std::to_string(wanted), "provided port is already allocated"));
        return port;
      }
      used_ports_.emplace(port, 1);
      reservation.new_ports_.push_back(port);
    }
    now.insert(port);
    return port;
  };
  if (at(spec, "ports").is_array())
    for (size_t i = 0; i < spec["ports"].size(); ++i) {
      Json& port = spec["ports"][i];
      const int64_t wanted = int_at(port, "nodePort");
      if (!wants && wanted == 0) port.erase("nodePort");
      if (wants || wanted != 0)
        port["nodePort"] = take(wanted, "spec.ports[" + std::to_string(i) + "].nodePort");
    }
  if (string_at(spec, "type") == "LoadBalancer" &&
      string_at(spec, "externalTrafficPolicy") == "Local")
    spec["healthCheckNodePort"] =
        take(int_at(spec, "healthCheckNodePort"), "spec.healthCheckNodePort");
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
    if (string_at(spec, "type") != "ExternalName") {
      admit_ip(spec, before, reservation, causes);
    } else {
      for (const IpAddress& ip : ips_of(before)) reservation.old_ips_.push_back(ip);
      for (const char* name : {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"})
        spec.erase(name);
    }
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
