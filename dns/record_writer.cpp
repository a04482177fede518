// SPDX-License-Identifier: Apache-2.0
#include "dns/record_writer.h"

#include <algorithm>
#include <cstring>

namespace fairlead::dns {
namespace {

constexpr uint32_t kMaxSoaTtl = 300;
constexpr uint32_t kRefresh = 7200;
constexpr uint32_t kRetry = 1800;
constexpr uint32_t kExpire = 86400;
constexpr uint16_t kPointer = 0xc000;

uint8_t* put_bytes(uint8_t* at, std::span<const uint8_t> bytes) {
  std::memcpy(at, bytes.data(), bytes.size());
  return at + bytes.size();
}

uint8_t* put_label(uint8_t* at, std::string_view label) {
  *at++ = static_cast<uint8_t>(label.size());
  std::memcpy(at, label.data(), label.size());
  return at + label.size();
}

// Of one that may be missing.
size_t label_size(std::string_view label) {
  return label.empty() ? 0 : 1 + label.size();
}

uint8_t* put_pointer(uint8_t* at, size_t target) {
  write_u16(at, static_cast<uint16_t>(kPointer | target));
  return at + 2;
}

}  // namespace

bool RecordWriter::address(Section section, size_t owner_at, const IpAddress& address) {
  return owner_at <= Reply::kMaxPointer &&
         reply_.add_address(section, static_cast<uint16_t>(owner_at), ttl_, address);
}

// ns.dns.Z and hostmaster.Z, where Z is a pointer, and five numbers (RFC 1035 section 3.3.13).
void RecordWriter::soa(Section section, size_t zone_at, uint32_t serial) {
  constexpr size_t kSize = 3 + 4 + 2 + 11 + 2 + 5 * 4;
  uint8_t* at = reply_.add(section, static_cast<uint16_t>(zone_at), Type::kSoa,
                           std::min(ttl_, kMaxSoaTtl), kSize);
  if (at == nullptr) return;
  at = put_pointer(put_label(put_label(at, "ns"), "dns"), zone_at);
  at = put_pointer(put_label(at, "hostmaster"), zone_at);
  for (const uint32_t number : {serial, kRefresh, kRetry, kExpire, ttl_}) {
    write_u32(at, number);
    at += 4;
  }
}

void RecordWriter::text(std::string_view text, uint32_t ttl) {
  uint8_t* at =
      reply_.add(Section::kAnswer, Reply::kQuestionName, Type::kTxt, ttl, 1 + text.size());
  if (at != nullptr) put_label(at, text);
}

size_t RecordWriter::cname(size_t owner_at, std::span<const uint8_t> target) {
  uint8_t* at = reply_.add(Section::kAnswer, static_cast<uint16_t>(owner_at), Type::kCname, ttl_,
                           target.size());
  if (at == nullptr) return 0;
  put_bytes(at, target);
  return reply_.position(at);
}

void RecordWriter::pointer(std::string_view label, const ServiceName& service) {
  const size_t size = name_size(label, service);
  uint8_t* at = size != 0 ? add_to_question(Type::kPtr, size) : nullptr;
  if (at != nullptr) put_name(at, label, service);
}

size_t RecordWriter::name_server(std::string_view label, const ServiceName& service) {
  const size_t size = name_size(label, service);
  uint8_t* at = size != 0 ? add_to_question(Type::kNs, size) : nullptr;
  if (at == nullptr) return 0;
  put_name(at, label, service);
  return reply_.position(at);
}

size_t RecordWriter::own_name_server() {
  uint8_t* at = add_to_question(Type::kNs, 3 + 4 + domain_.size());
  if (at == nullptr) return 0;
  put_bytes(put_label(put_label(at, "ns"), "dns"), domain_);
  return reply_.position(at);
}

// RFC 2782. The priority is always 0.
size_t RecordWriter::srv(std::string_view label, std::span<const uint8_t> cluster,
                         const ServiceName& service, uint16_t port, uint16_t weight) {
  const size_t size = name_size(label, service, cluster);
  uint8_t* at = size != 0 ? add_to_question(Type::kSrv, 6 + size) : nullptr;
  if (at == nullptr) return 0;
  write_u16(at, 0);
  write_u16(at + 2, weight);
  write_u16(at + 4, port);
  put_name(at + 6, label, service, cluster);
  return reply_.position(at + 6);
}

void RecordWriter::srv_to(std::span<const uint8_t> target, uint16_t port, uint16_t weight) {
  uint8_t* at = add_to_question(Type::kSrv, 6 + target.size());
  if (at == nullptr) return;
  write_u16(at, 0);
  write_u16(at + 2, weight);
  write_u16(at + 4, port);
  put_bytes(at + 6, target);
}

size_t RecordWriter::srv_size(std::string_view label, std::span<const uint8_t> cluster,
                              const ServiceName& service) const {
  const size_t size = name_size(label, service, cluster);
  return size != 0 ? kSrvNameAt + size : 0;
}

// Zero: longer than a name may be.
size_t RecordWriter::name_size(std::string_view label, const ServiceName& service,
                               std::span<const uint8_t> cluster) const {
  const size_t size = label_size(label) + cluster.size() + service.key().size() +
                      label_size(kind_) + domain_.size();
  return size <= kMaxNameSize ? size : 0;
}

void RecordWriter::put_name(uint8_t* at, std::string_view label, const ServiceName& service,
                            std::span<const uint8_t> cluster) const {
  if (!label.empty()) at = put_label(at, label);
  if (!cluster.empty()) at = put_bytes(at, cluster);
  at = put_bytes(at, service.key());
  if (!kind_.empty()) at = put_label(at, kind_);
  put_bytes(at, domain_);
}

uint8_t* RecordWriter::add_to_question(Type type, size_t size) {
  return reply_.add(Section::kAnswer, Reply::kQuestionName, type, ttl_, size);
}

}  // namespace fairlead::dns
