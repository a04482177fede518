// SPDX-License-Identifier: Apache-2.0
// Protobuf's wire format, one field after the other (protobuf.dev/programming-guides/encoding).
// Groups are refused: proto3 and gogo-proto do not write them. Pure; what is read points into the
// bytes given.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace fairlead::orchestrator::apiserver::schema {

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct WireField {
  int number = 0;
  WireType type = WireType::kVarint;
  uint64_t integer = 0;    // of kVarint, kFixed64, kFixed32
  std::string_view bytes;  // of kBytes
};

class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : left_(bytes) {}
  bool done() const { return left_.empty(); }
  Result<WireField> next();
  Result<uint64_t> varint();  // an item of a packed list

 private:
  Result<std::string_view> take(uint64_t size);
  Result<uint64_t> fixed(size_t size);

  std::string_view left_;
};

}  // namespace fairlead::orchestrator::apiserver::schema
