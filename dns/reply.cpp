// SPDX-License-Identifier: Apache-2.0
#include "dns/reply.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace fairlead::dns {
namespace {

constexpr size_t kOptSize = 11;          // an OPT record without options
constexpr size_t kOptionHeaderSize = 4;  // code and length
constexpr size_t kMaxErrorText = 60;
constexpr uint16_t kPointer = 0xc000;

}  // namespace

void Reply::begin(const Query& query, size_t limit) {
  limit_ = std::min(limit, buffer_.size());
  counts_[0] = counts_[1] = counts_[2] = 0;
  rcode_ = Rcode::kNoError;
  error_ = Ede::kNone;
  cookie_size_ = 0;
  finished_ = false;
  has_edns_ = query.edns.has_value();
  dnssec_ok_ = has_edns_ && query.edns->dnssec_ok;
  reserved_ = has_edns_ ? kOptSize : 0;
  flags_ = static_cast<uint16_t>(kFlagResponse | (query.flags & (0x7800 | kFlagRecursionDesired)));
  question_end_ = query.question_end == 0 ? kHeaderSize : query.question_end;
  write_u16(&buffer_[0], query.id);
  if (query.question_end != 0)
    std::memcpy(&buffer_[kHeaderSize], &query.packet[kHeaderSize], question_end_ - kHeaderSize);
  size_ = question_end_;
}

void Reply::set_error(Ede code, std::string_view text) {
  if (!has_edns_ || error_ != Ede::kNone) return;
  error_text_ = text.substr(0, kMaxErrorText);
  const size_t needed = kOptionHeaderSize + 2 + error_text_.size();
  if (size_ + reserved_ + needed > limit_) return;
  error_ = code;
  reserved_ += needed;
}

void Reply::set_cookie(std::span<const uint8_t> cookie) {
  assert(cookie.size() <= sizeof cookie_);
  if (!has_edns_ || cookie_size_ != 0) return;
  if (size_ + reserved_ + kOptionHeaderSize + cookie.size() > limit_) return;
  std::memcpy(cookie_, cookie.data(), cookie.size());
  cookie_size_ = static_cast<uint8_t>(cookie.size());
  reserved_ += kOptionHeaderSize + cookie.size();
}

bool Reply::fits(Section section, size_t bytes) {
  if (truncated()) return false;  // nothing after the first record that was left out
  if (size_ + bytes + reserved_ <= limit_) return true;
  if (section != Section::kAdditional) flags_ |= kFlagTruncated;
  return false;
}

uint8_t* Reply::add_fixed(Section section, Type type, uint32_t ttl, size_t rdata_size) {
  uint8_t* at = &buffer_[size_];
  write_u16(at, static_cast<uint16_t>(type));
  write_u16(at + 2, static_cast<uint16_t>(Class::kIn));
  write_u32(at + 4, ttl);
  write_u16(at + 8, static_cast<uint16_t>(rdata_size));
  size_ += 10 + rdata_size;
  ++counts_[static_cast<size_t>(section)];
  return at + 10;
}

uint8_t* Reply::add(Section section, uint16_t owner_at, Type type, uint32_t ttl,
                    size_t rdata_size) {
  assert(owner_at <= kMaxPointer);
  if (!fits(section, 12 + rdata_size)) return nullptr;
  write_u16(&buffer_[size_], static_cast<uint16_t>(kPointer | owner_at));
  size_ += 2;
  return add_fixed(section, type, ttl, rdata_size);
}

uint8_t* Reply::add(Section section, const Name& owner, Type type, uint32_t ttl,
                    size_t rdata_size) {
  if (!fits(section, owner.size() + 10 + rdata_size)) return nullptr;
  std::memcpy(&buffer_[size_], owner.wire().data(), owner.size());
  size_ += owner.size();
  return add_fixed(section, type, ttl, rdata_size);
}

bool Reply::add_address(Section section, uint16_t owner_at, uint32_t ttl,
                        const IpAddress& address) {
  const auto bytes = address.bytes();
  uint8_t* rdata =
      add(section, owner_at, address.is_v4() ? Type::kA : Type::kAaaa, ttl, bytes.size());
  if (rdata == nullptr) return false;
  std::memcpy(rdata, bytes.data(), bytes.size());
  return true;
}

// RFC 6891 section 6.1.2.
void Reply::write_opt(std::span<const uint8_t> options) {
  uint8_t* at = &buffer_[size_];
  at[0] = 0;
  write_u16(at + 1, static_cast<uint16_t>(Type::kOpt));
  write_u16(at + 3, kEdnsUdpSize);
  write_u32(at + 5, (static_cast<uint32_t>(rcode_) >> 4) << 24 | (dnssec_ok_ ? 0x8000u : 0u));
  write_u16(at + 9, static_cast<uint16_t>(reserved_ - kOptSize));
  at += kOptSize;
  std::copy(options.begin(), options.end(), at);
  at += options.size();
  if (cookie_size_ != 0) {
    write_u16(at, static_cast<uint16_t>(EdnsOption::kCookie));
    write_u16(at + 2, cookie_size_);
    std::memcpy(at + 4, cookie_, cookie_size_);
    at += kOptionHeaderSize + cookie_size_;
  }
  if (error_ != Ede::kNone) {
    write_u16(at, static_cast<uint16_t>(EdnsOption::kExtendedError));
    write_u16(at + 2, static_cast<uint16_t>(2 + error_text_.size()));
    write_u16(at + 4, static_cast<uint16_t>(error_));
    std::memcpy(at + 6, error_text_.data(), error_text_.size());
  }
  size_ += reserved_;
}

std::span<const uint8_t> Reply::finish() {
  if (finished_) return buffer_.first(size_);
  if (has_edns_) write_opt({});
  finished_ = true;
  write_u16(&buffer_[2], static_cast<uint16_t>(flags_ | (static_cast<uint16_t>(rcode_) & 15)));
  write_u16(&buffer_[4], question_end_ == kHeaderSize ? 0 : 1);
  write_u16(&buffer_[6], counts_[0]);
  write_u16(&buffer_[8], counts_[1]);
  write_u16(&buffer_[10], static_cast<uint16_t>(counts_[2] + (has_edns_ ? 1 : 0)));
  return buffer_.first(size_);
}

Reply Reply::moved_to(std::span<uint8_t> buffer) const {
  assert(buffer.size() >= limit_);
  Reply moved = *this;
  moved.buffer_ = buffer;
  std::memcpy(buffer.data(), buffer_.data(), size_);
  return moved;
}

size_t Reply::room(size_t options) const {
  const size_t opt = has_edns_ ? reserved_ + options : 0;
  return limit_ > opt ? limit_ - opt : 0;
}

void Reply::adopt(std::span<const uint8_t> message, Rcode rcode, std::span<const uint8_t> options) {
  assert(message.size() >= kHeaderSize && message.size() <= room(options.size()));
  std::memcpy(buffer_.data(), message.data(), message.size());
  size_ = message.size();
  rcode_ = rcode;
  flags_ = static_cast<uint16_t>(read_u16(&message[2]) & 0xfff0);
  if (has_edns_) {
    reserved_ += options.size();
    write_opt(options);
    write_u16(&buffer_[10], static_cast<uint16_t>(read_u16(&message[10]) + 1));
  }
  finished_ = true;
}

}  // namespace fairlead::dns
