// SPDX-License-Identifier: Apache-2.0
#include "dns/zone/slice.h"

#include <cstring>
#include <new>

namespace fairlead::dns {
namespace {

// Numbers in seven bits a byte, least first (LEB128); texts and addresses behind their size.
class SlicePacker {
 public:
  void number(uint64_t value) {
    for (; value >= 128; value >>= 7) bytes_ += static_cast<char>(value | 128);
    bytes_ += static_cast<char>(value);
  }
  void text(std::string_view text) {
    number(text.size());
    bytes_ += text;
  }
  void addresses(const std::vector<IpAddress>& addresses) {
    number(addresses.size());
    for (const IpAddress& address : addresses)
      text({reinterpret_cast<const char*>(address.bytes().data()), address.bytes().size()});
  }
  void rows(const std::vector<std::pair<uint32_t, std::string>>& rows) {
    number(rows.size());
    for (const auto& [index, label] : rows) {
      number(index);
      text(label);
    }
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Of what a SlicePacker wrote.
class Unpacker {
 public:
  explicit Unpacker(const char* at) : at_(at) {}

  uint64_t number() {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<uint8_t>(*at_++);
      value |= static_cast<uint64_t>(byte & 127) << shift;
      if (byte < 128) return value;
    }
  }
  std::string_view text() {
    const size_t size = number();
    const std::string_view text(at_, size);
    at_ += size;
    return text;
  }
  std::vector<IpAddress> addresses() {
    std::vector<IpAddress> addresses(number());
    for (IpAddress& address : addresses) {
      const std::string_view bytes = text();
      address =
          IpAddress::from_bytes({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    }
    return addresses;
  }
  std::vector<std::pair<uint32_t, std::string>> rows() {
    std::vector<std::pair<uint32_t, std::string>> rows(number());
    for (auto& [index, label] : rows) {
      index = static_cast<uint32_t>(number());
      label = text();
    }
    return rows;
  }

 private:
  const char* at_;
};

}  // namespace

void SliceContent::add_to(std::vector<EndpointDraft>& endpoints) const {
  const size_t first = endpoints.size();
  if (first == 0) endpoints.reserve(addresses.size());
  for (const IpAddress& address : addresses) endpoints.push_back({{}, {}, address, ports});
  for (const auto& [index, label] : labels) endpoints[first + index].label = label;
  for (size_t i = 0; i < topologies.size(); ++i) {
    const size_t end = i + 1 < topologies.size() ? topologies[i + 1].first : addresses.size();
    for (size_t k = topologies[i].first; k < end; ++k)
      endpoints[first + k].topology = topologies[i].second;
  }
}

void Slice::Free::operator()(Slice* slice) const {
  slice->~Slice();
  ::operator delete(slice);
}

Slice::Ptr Slice::make(const ServiceName& service, std::string_view name,
                       const SliceContent& content) {
  SlicePacker packer;
  packer.text(name);
  packer.number(content.ports.all().size());
  for (const PortDraft& port : content.ports.all()) {
    packer.text(port.name);
    packer.number(static_cast<uint64_t>(port.protocol));
    packer.number(port.number);
  }
  packer.addresses(content.addresses);
  packer.addresses(content.unready);
  packer.rows(content.labels);
  packer.rows(content.topologies);
  const std::string& bytes = packer.bytes();
  void* const block = ::operator new(sizeof(Slice) + bytes.size());
  std::memcpy(static_cast<char*>(block) + sizeof(Slice), bytes.data(), bytes.size());
  return Ptr(new (block) Slice(service));
}

std::string_view Slice::name() const {
  return Unpacker(bytes()).text();
}

SliceContent Slice::content() const {
  Unpacker unpacker(bytes());
  unpacker.text();
  SliceContent content;
  std::vector<PortDraft> ports(unpacker.number());
  for (PortDraft& port : ports) {
    port.name = unpacker.text();
    port.protocol = static_cast<kube::Protocol>(unpacker.number());
    port.number = static_cast<uint16_t>(unpacker.number());
  }
  content.ports = PortList(std::move(ports));
  content.addresses = unpacker.addresses();
  content.unready = unpacker.addresses();
  content.labels = unpacker.rows();
  content.topologies = unpacker.rows();
  return content;
}

Slices::~Slices() {
  while (first_ != nullptr) {
    const Slice::Ptr gone(first_);
    first_ = gone->next_;
  }
}

void Slices::add(Slice::Ptr slice) {
  slice->next_ = first_;
  first_ = slice.release();
}

Slice::Ptr Slices::remove(const Slice& slice) {
  Slice** at = &first_;
  while (*at != &slice) at = &(*at)->next_;
  Slice* const gone = *at;
  *at = std::exchange(gone->next_, nullptr);
  return Slice::Ptr(gone);
}

}  // namespace fairlead::dns
