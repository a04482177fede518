// SPDX-License-Identifier: Apache-2.0
#include "dns/reply.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

namespace fairlead::dns {
namespace {

constexpr size_t kOptSize = 11;          // an OPT record without options
constexpr size_t kOptionHeaderSize = 4;  // code and length
constexpr size_t kMaxErrorText = 60;
constexpr uint16_t kPointer = 0xc000;

// What of a message's records fits, whole and in order.
struct Fit {
  size_t end = 0;
  std::array<uint16_t, 3> counts{};
  bool truncated = false;  // one that is more than additional does not (RFC 2181 section 9)
};

Fit fit(std::span<const uint8_t> message, size_t records_at, std::span<const uint16_t> counts,
        size_t room) {
  Fit fit{.end = records_at};
  for (size_t section = 0; section < 3; ++section) {
    for (uint16_t i = 0; i < counts[section]; ++i) {
      size_t at = fit.end;
      Record record;
      if (!read_record(message, at, record)) return fit;
      if (record.end() > room) {
        fit.truncated = section != static_cast<size_t>(Section::kAdditional);
        return fit;
      }
      fit.end = at;
      ++fit.counts[section];
    }
  }
  return fit;
}

}  // namespace

void Reply::begin(const Query& query, size_t limit) {
  limit_ = std::min(limit, buffer_.size());
  counts_[0] = counts_[1] = counts_[2] = 0;
  rcode_ = Rcode::kNoError;
  error_ = Ede::kNone;
  error_code_ = Ede::kNone;
  error_text_ = {};
  cookie_size_ = 0;
  finished_ = own_ = false;
  options_.clear();
  has_edns_ = query.edns.has_value();
  dnssec_ok_ = has_edns_ && query.edns->dnssec_ok;
  tells_checked_ = dnssec_ok_ || (query.flags & kFlagAuthenticData) != 0;
  reserved_ = has_edns_ ? kOptSize : 0;
  flags_ = static_cast<uint16_t>(kFlagResponse | (query.flags & (0x7800 | kFlagRecursionDesired)));
  question_end_ = query.question_end == 0 ? kHeaderSize : query.question_end;
  write_u16(&buffer_[0], query.id);
  if (query.question_end != 0)
    std::memcpy(&buffer_[kHeaderSize], &query.packet[kHeaderSize], question_end_ - kHeaderSize);
  size_ = question_end_;
}

void Reply::set_error(Ede code, std::string_view text) {
  if (!error_text_.empty()) return;
  note_error(code, text);
  if (!has_edns_) return;
  const size_t needed = kOptionHeaderSize + 2 + error_text_.size();
  if (size_ + reserved_ + needed > limit_) return;
  error_ = code;
  reserved_ += needed;
}

void Reply::note_error(Ede code, std::string_view text) {
  if (!error_text_.empty()) return;
  error_text_ = text.substr(0, kMaxErrorText);
  error_code_ = code;
}

void Reply::set_cookie(std::span<const uint8_t> cookie) {
  assert(cookie.size() <= sizeof cookie_);
  if (!has_edns_ || cookie_size_ != 0) return;
  if (size_ + reserved_ + kOptionHeaderSize + cookie.size() > limit_) return;
  std::memcpy(cookie_, cookie.data(), cookie.size());
  cookie_size_ = static_cast<uint8_t>(cookie.size());
  reserved_ += kOptionHeaderSize + cookie.size();
}

void Reply::drop_option(EdnsOption code) {
  for (size_t at = 0; at + kOptionHeaderSize <= options_.size();) {
    const size_t size = kOptionHeaderSize + read_u16(&options_[at + 2]);
    if (at + size > options_.size()) return;
    if (static_cast<EdnsOption>(read_u16(&options_[at])) != code) {
      at += size;
      continue;
    }
    const auto first = options_.begin() + static_cast<ptrdiff_t>(at);
    options_.erase(first, first + static_cast<ptrdiff_t>(size));
    reserved_ -= size;
  }
}

void Reply::set_option(EdnsOption code, std::span<const uint8_t> data) {
  drop_option(code);
  const size_t needed = kOptionHeaderSize + data.size();
  if (!has_edns_ || question_end_ + reserved_ + needed > limit_) return;
  const size_t at = options_.size();
  options_.resize(at + needed);
  write_u16(&options_[at], static_cast<uint16_t>(code));
  write_u16(&options_[at + 2], static_cast<uint16_t>(data.size()));
  std::copy(data.begin(), data.end(), options_.begin() + static_cast<ptrdiff_t>(at) + 4);
  reserved_ += needed;
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
void Reply::write_opt() {
  uint8_t* at = &buffer_[size_];
  at[0] = 0;
  write_u16(at + 1, static_cast<uint16_t>(Type::kOpt));
  write_u16(at + 3, kEdnsUdpSize);
  write_u32(at + 5, (static_cast<uint32_t>(rcode_) >> 4) << 24 | (dnssec_ok_ ? 0x8000u : 0u));
  write_u16(at + 9, static_cast<uint16_t>(reserved_ - kOptSize));
  at += kOptSize;
  std::copy(options_.begin(), options_.end(), at);
  at += options_.size();
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

void Reply::cut(size_t room) {
  if (size_ <= room) return;
  const Fit fits = fit(buffer_.first(size_), question_end_, counts_, room);
  size_ = fits.end;
  std::copy(fits.counts.begin(), fits.counts.end(), counts_);
  if (fits.truncated) flags_ |= kFlagTruncated;
}

std::span<const uint8_t> Reply::message() {
  if (finished_) return buffer_.first(size_);
  write_u16(&buffer_[2], static_cast<uint16_t>(flags_ | (static_cast<uint16_t>(rcode_) & 15)));
  write_u16(&buffer_[4], question_end_ == kHeaderSize ? 0 : 1);
  for (size_t section = 0; section < 3; ++section)
    write_u16(&buffer_[6 + 2 * section], counts_[section]);
  return buffer_.first(size_);
}

std::span<const uint8_t> Reply::finish() {
  if (finished_) return buffer_.first(size_);
  if (!tells_checked_) clear_flag(kFlagAuthenticData);
  cut(room(0));
  (void)message();
  finished_ = true;
  if (!has_edns_) return buffer_.first(size_);
  write_u16(&buffer_[10], static_cast<uint16_t>(counts_[2] + 1));
  write_opt();
  return buffer_.first(size_);
}

void Reply::drop_from(Section section) {
  size_t at = question_end_;
  for (size_t before = 0; before < static_cast<size_t>(section); ++before)
    for (uint16_t i = 0; i < counts_[before]; ++i) {
      Record record;
      if (!read_record(buffer_.first(size_), at, record)) return;
    }
  size_ = at;
  for (size_t i = static_cast<size_t>(section); i < 3; ++i) counts_[i] = 0;
}

Reply Reply::moved_to(std::span<uint8_t> buffer) const {
  assert(buffer.size() >= size_ + reserved_);
  Reply moved = *this;
  moved.buffer_ = buffer;
  std::memcpy(buffer.data(), buffer_.data(), size_);
  return moved;
}

size_t Reply::room(size_t options) const {
  const size_t opt = has_edns_ ? reserved_ + options : 0;
  return limit_ > opt ? limit_ - opt : 0;
}

void Reply::replace_records(std::span<const uint8_t> message) {
  const std::vector<uint8_t> options = options_;
  adopt(message, rcode_, options);
}

void Reply::adopt(std::span<const uint8_t> message, Rcode rcode, std::span<const uint8_t> options) {
  assert(message.size() >= question_end_);
  reserved_ -= options_.size();
  options_.clear();
  if (has_edns_ && question_end_ + reserved_ + options.size() <= limit_) {
    options_.assign(options.begin(), options.end());
    reserved_ += options.size();
  }
  rcode_ = rcode;
  flags_ = static_cast<uint16_t>(read_u16(&message[2]) & 0xfff0);
  uint16_t counts[3];
  for (size_t section = 0; section < 3; ++section)
    counts[section] = read_u16(&message[6 + 2 * section]);
  const Fit fits = fit(message, question_end_, counts, buffer_.size() - reserved_);
  std::memcpy(&buffer_[question_end_], &message[question_end_], fits.end - question_end_);
  size_ = fits.end;
  std::copy(fits.counts.begin(), fits.counts.end(), counts_);
  if (fits.truncated) flags_ |= kFlagTruncated;
}

}  // namespace fairlead::dns
