// SPDX-License-Identifier: Apache-2.0
// Keys and data of our sets' elements, taken apart again. Pure.
#pragma once

#include <cstring>
#include <optional>

#include "netlink/nftables/value.h"
#include "proxy/frontend.h"
#include "proxy/ruleset.h"

namespace fairlead::proxy {

// Takes a value apart as Value::concat put it together: components padded to 4 bytes. What is read
// behind the end is nothing in particular; done() says whether all was there and nothing is left.
class ElementReader {
 public:
  explicit ElementReader(const nft::Value& value) : rest_(value.bytes()) {}

  IpAddress address(Family family) {
    const nft::Bytes bytes = take(family == Family::kIpv4 ? 4 : 16);
    return bytes.empty() ? IpAddress::any(family) : IpAddress::from_bytes(bytes);
  }
  std::optional<Protocol> protocol() {
    const nft::Bytes bytes = take(4);
    return bytes.empty() ? std::nullopt : protocol_of(bytes[0]);
  }
  uint16_t port() {
    const nft::Bytes bytes = take(4);
    return bytes.empty() ? 0 : static_cast<uint16_t>(bytes[0] << 8 | bytes[1]);
  }
  uint32_t index() {
    uint32_t value = 0;
    const nft::Bytes bytes = take(4);
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), 4);
    return value;
  }
  bool done() const { return !failed_ && rest_.empty(); }

 private:
  nft::Bytes take(size_t size) {
    if (rest_.size() < size) {
      failed_ = true;
      return {};
    }
    const nft::Bytes bytes = rest_.first(size);
    rest_ = rest_.subspan(size);
    return bytes;
  }
  nft::Bytes rest_;
  bool failed_ = false;
};

}  // namespace fairlead::proxy
