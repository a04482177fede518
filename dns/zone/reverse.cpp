// SPDX-License-Identifier: Apache-2.0
#include "dns/zone/reverse.h"

#include <cstring>
#include <new>

namespace fairlead::dns {
namespace {

void put(uint8_t*& at, const void* from, size_t size) {
  if (size != 0) std::memcpy(at, from, size);
  at += size;
}

}  // namespace

size_t ReverseRecord::size_of(size_t count, size_t address_size, bool labelled) {
  return sizeof(ReverseRecord) + count * (sizeof(uintptr_t) + (labelled ? sizeof(Label) : 0)) +
         address_size;
}

ReverseRecord* ReverseRecord::make(const IpAddress& address, std::span<const ReverseName> names) {
  static_assert(sizeof(ReverseRecord) % alignof(uintptr_t) == 0 && alignof(ServiceName) > 1);
  size_t text_size = 0;
  for (const ReverseName& name : names) text_size += name.label.size();
  const bool labelled = text_size > 0;
  const auto bytes = address.bytes();
  const size_t size = size_of(names.size(), bytes.size(), labelled);
  auto* const block = static_cast<uint8_t*>(::operator new(size + text_size));
  auto* const record = new (block) ReverseRecord(names.size(), bytes.size(), labelled);
  uint8_t* at = block + sizeof(ReverseRecord);
  for (const ReverseName& name : names) {
    const uintptr_t service = reinterpret_cast<uintptr_t>(name.service) | (name.cluster_ip ? 1 : 0);
    put(at, &service, sizeof service);
  }
  Label label{static_cast<uint32_t>(size), 0};
  for (size_t i = 0; labelled && i < names.size(); ++i) {
    label = {label.at + label.size, static_cast<uint32_t>(names[i].label.size())};
    put(at, &label, sizeof label);
  }
  put(at, bytes.data(), bytes.size());
  for (const ReverseName& name : names) put(at, name.label.data(), name.label.size());
  return record;
}

IpAddress ReverseRecord::address() const {
  return IpAddress::from_bytes({address_at(), address_size_});
}

ReverseName ReverseRecord::name(uint32_t index) const {
  const uintptr_t service = services_at()[index];
  ReverseName name{
      reinterpret_cast<const ServiceName*>(service & ~uintptr_t{1}), (service & 1) != 0, {}};
  if (!labelled_) return name;
  const Label& label = labels_at()[index];
  name.label = {reinterpret_cast<const char*>(this) + label.at, label.size};
  return name;
}

void ReverseRecord::destroy(void* record) {
  ::operator delete(record);
}

}  // namespace fairlead::dns
