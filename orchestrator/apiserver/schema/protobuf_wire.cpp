// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/schema/protobuf_wire.h"

#include <string>

namespace fairlead::orchestrator::apiserver::schema {
namespace {

constexpr int kMaxVarintBytes = 10;
constexpr uint64_t kMaxFieldNumber = (1U << 29) - 1;

}  // namespace

Result<WireField> WireReader::next() {
  const auto tag = varint();
  if (!tag) return tag.error();
  const uint64_t number = *tag >> 3;
  if (number == 0 || number > kMaxFieldNumber)
    return Error::invalid("a field has the number " + std::to_string(number) +
                          ", which no field can have");
  WireField field{static_cast<int>(number), static_cast<WireType>(*tag & 7), 0, {}};
  switch (field.type) {
    case WireType::kVarint: {
      const auto value = varint();
      if (!value) return value.error();
      field.integer = *value;
      return field;
    }
    case WireType::kFixed64:
    case WireType::kFixed32: {
      const auto value = fixed(field.type == WireType::kFixed64 ? 8 : 4);
      if (!value) return value.error();
      field.integer = *value;
      return field;
    }
    case WireType::kBytes: {
      const auto size = varint();
      if (!size) return size.error();
      const auto content = take(*size);
      if (!content) return content.error();
      field.bytes = *content;
      return field;
    }
  }
  return Error::invalid("field " + std::to_string(number) + " has wire type " +
                        std::to_string(*tag & 7) + ", which is not read");
}

Result<uint64_t> WireReader::varint() {
  uint64_t value = 0;
  for (int i = 0; i < kMaxVarintBytes; ++i) {
    const auto byte = take(1);
    if (!byte) return byte.error();
    const auto bits = static_cast<uint8_t>(byte->front());
    value |= static_cast<uint64_t>(bits & 0x7f) << (7 * i);
    if (bits < 0x80) return value;
  }
  return Error::invalid("a varint has more than 10 bytes");
}

Result<std::string_view> WireReader::take(uint64_t size) {
  if (size > left_.size())
    return Error::invalid("the message ends in the middle of a field: " + std::to_string(size) +
                          " bytes are announced and " + std::to_string(left_.size()) + " left");
  const std::string_view taken = left_.substr(0, size);
  left_.remove_prefix(size);
  return taken;
}

Result<uint64_t> WireReader::fixed(size_t size) {
  const auto bytes = take(size);
  if (!bytes) return bytes.error();
  uint64_t value = 0;
  for (size_t i = size; i > 0; --i) value = value << 8 | static_cast<uint8_t>((*bytes)[i - 1]);
  return value;
}

}  // namespace fairlead::orchestrator::apiserver::schema
