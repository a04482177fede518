// SPDX-License-Identifier: Apache-2.0
#include "dns/name.h"

#include <algorithm>
#include <cstring>

namespace fairlead::dns {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// One character of a label at text[at], escapes resolved (RFC 1035 section 5.1); -1 when malformed.
int next_character(std::string_view text, size_t& at) {
  if (text[at] != '\\') return static_cast<uint8_t>(text[at++]);
  if (at + 1 >= text.size()) return -1;
  if (!is_digit(text[at + 1])) {
    at += 2;
    return static_cast<uint8_t>(text[at - 1]);
  }
  if (at + 3 >= text.size() || !is_digit(text[at + 2]) || !is_digit(text[at + 3])) return -1;
  const int value = (text[at + 1] - '0') * 100 + (text[at + 2] - '0') * 10 + (text[at + 3] - '0');
  at += 4;
  return value <= 255 ? value : -1;
}

// Eight characters at once. Their upper bits aside, a character is at least 'A' when adding 0x3f
// to it carries into the upper bit, and over 'Z' when adding 0x25 does.
uint64_t to_lower(uint64_t word) {
  constexpr uint64_t kEach = 0x0101010101010101;
  const uint64_t low = word & kEach * 0x7f;
  const uint64_t upper_case = (low + kEach * 0x3f) & ~(low + kEach * 0x25) & ~word & kEach * 0x80;
  return word | upper_case >> 2;
}

}  // namespace

void Name::clear() {
  wire_[0] = lower_[0] = 0;
  size_ = 1;
  labels_ = 0;
}

bool Name::append_bytes(const uint8_t* bytes, size_t length) {
  if (length == 0 || length > kMaxLabelSize || size_ + length + 1 > kMaxNameSize) return false;
  size_t at = size_ - 1u;
  offsets_[labels_++] = static_cast<uint8_t>(at);
  wire_[at] = lower_[at] = static_cast<uint8_t>(length);
  std::memcpy(&wire_[at + 1], bytes, length);
  for (size_t i = 0; i < length; ++i) lower_[at + 1 + i] = to_lower(bytes[i]);
  at += length + 1;
  wire_[at] = lower_[at] = 0;
  size_ = static_cast<uint8_t>(at + 1);
  return true;
}

bool Name::append(std::string_view label) {
  return append_bytes(reinterpret_cast<const uint8_t*>(label.data()), label.size());
}

bool Name::append(const Name& suffix) {
  for (size_t i = 0; i < suffix.labels_; ++i) {
    const uint8_t* at = &suffix.wire_[suffix.offsets_[i]];
    if (!append_bytes(at + 1, *at)) return false;
  }
  return true;
}

Result<Name> Name::from_text(std::string_view text) {
  const auto bad = [text](const char* why) {
    return Error(ErrorCode::kInvalid, "'" + std::string(text) + "' is not a domain name: " + why);
  };
  Name name;
  if (text == ".") return name;
  if (text.empty()) return bad("it is empty");
  uint8_t label[kMaxLabelSize];
  size_t length = 0;
  size_t at = 0;
  while (at < text.size()) {
    if (text[at] == '.') {
      if (!name.append_bytes(label, length)) return bad("an empty label, or over 255 bytes");
      length = 0;
      ++at;
      continue;
    }
    const int c = next_character(text, at);
    if (c < 0) return bad("a malformed escape");
    if (length == kMaxLabelSize) return bad("a label over 63 bytes");
    label[length++] = static_cast<uint8_t>(c);
  }
  if (length > 0 && !name.append_bytes(label, length)) return bad("over 255 bytes");
  return name;
}

bool Name::parse(std::span<const uint8_t> packet, size_t& at) {
  clear();
  const size_t start = at;
  uint8_t labels = 0;
  for (;;) {
    if (at >= packet.size()) return false;
    const size_t length = packet[at];
    if (length == 0) break;
    const size_t offset = at - start;
    if (length > kMaxLabelSize || offset + 1 + length + 1 > kMaxNameSize) return false;
    offsets_[labels++] = static_cast<uint8_t>(offset);
    at += 1 + length;
  }
  ++at;
  labels_ = labels;
  size_ = static_cast<uint8_t>(at - start);
  std::memcpy(wire_.data(), &packet[start], size_);
  make_lower();
  return true;
}

// The lengths of labels are below 'A' and stay as they are.
void Name::make_lower() {
  for (size_t at = 0; at < size_; at += 8) {
    uint64_t word;
    std::memcpy(&word, &wire_[at], 8);
    word = to_lower(word);
    std::memcpy(&lower_[at], &word, 8);
  }
}

bool Name::parse_compressed(std::span<const uint8_t> message, size_t& at) {
  clear();
  size_t read = at;
  size_t limit = at;  // a pointer must go to before this, so there is no loop
  bool jumped = false;
  for (;;) {
    if (read >= message.size()) return false;
    const size_t length = message[read];
    if (length >= 0xc0) {
      if (read + 2 > message.size()) return false;
      const size_t target = read_u16(&message[read]) & 0x3fffu;
      if (target >= limit) return false;
      if (!jumped) at = read + 2;
      jumped = true;
      read = limit = target;
      continue;
    }
    if (length == 0) {
      if (!jumped) at = read + 1;
      return true;
    }
    if (length > kMaxLabelSize || read + 1 + length > message.size()) return false;
    if (!append_bytes(&message[read + 1], length)) return false;
    read += 1 + length;
  }
}

std::string_view Name::label(size_t index) const {
  const uint8_t* at = &lower_[offsets_[index]];
  return {reinterpret_cast<const char*>(at + 1), *at};
}

bool Name::ends_with(const Name& suffix) const {
  if (suffix.labels_ > labels_ || suffix.size_ > size_) return false;
  return offset(labels_ - suffix.labels_) == static_cast<size_t>(size_ - suffix.size_) &&
         std::memcmp(&lower_[size_ - suffix.size_], suffix.lower_.data(), suffix.size_) == 0;
}

bool Name::operator==(const Name& other) const {
  return size_ == other.size_ && std::memcmp(lower_.data(), other.lower_.data(), size_) == 0;
}

bool Name::is_special(uint8_t c) {
  return std::string_view(".\\\"();@'").find(static_cast<char>(c)) != std::string_view::npos;
}

std::string Name::to_text() const {
  if (labels_ == 0) return ".";
  std::string text;
  for (size_t i = 0; i < labels_; ++i) {
    const uint8_t* at = &wire_[offsets_[i]];
    for (size_t k = 1; k <= *at; ++k) {
      const uint8_t c = at[k];
      if (c <= ' ' || c >= 0x7f) {
        const char digits[] = {'\\', static_cast<char>('0' + c / 100),
                               static_cast<char>('0' + c / 10 % 10),
                               static_cast<char>('0' + c % 10)};
        text.append(digits, sizeof digits);
        continue;
      }
      if (is_special(c)) text += '\\';
      text += static_cast<char>(c);
    }
    text += '.';
  }
  return text;
}

bool skip_name(std::span<const uint8_t> message, size_t& at) {
  while (at < message.size()) {
    const size_t length = message[at];
    if (length >= 0xc0) {
      at += 2;
      return at <= message.size();
    }
    if (length > kMaxLabelSize) return false;
    at += 1 + length;
    if (length == 0) return at <= message.size();
  }
  return false;
}

}  // namespace fairlead::dns
