// SPDX-License-Identifier: Apache-2.0
// Writes one reply into a buffer of the caller's. Pure; nothing allocates.
//
// The question is copied as the client wrote it, so an owner that is a pointer to it (0xC00C)
// echoes the client's upper and lower case for free. Room for the OPT record is kept from the
// start. A record that does not fit is left out whole and sets TC, unless it is only additional
// (RFC 2181 section 9): what fits is sent, since some resolvers never come back over TCP.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "dns/message.h"

namespace fairlead::dns {

class Reply {
 public:
  static constexpr uint16_t kQuestionName = kHeaderSize;  // where the question's name starts
  static constexpr size_t kMaxPointer = 0x3fff;           // the last position a name can point to

  Reply() = default;
  // The buffer stays the caller's; its size bounds every reply.
  explicit Reply(std::span<uint8_t> buffer) : buffer_(buffer) {}

  // Starts a reply of at most `limit` bytes: header, question (when it could be read), no records.
  // NOERROR, RD as asked; AA, RA, AD and CD clear.
  void begin(const Query& query, size_t limit);

  void set_rcode(Rcode rcode) { rcode_ = rcode; }
  // AD is sent to clients that ask for it or for DNSSEC alone (RFC 6840 section 5.8).
  void set_flag(uint16_t flag) { flags_ |= flag; }
  void clear_flag(uint16_t flag) { flags_ &= static_cast<uint16_t>(~flag); }
  uint16_t flags() const { return flags_; }
  // At least 512 for UDP; only ever less than begin() was given.
  void lower_limit(size_t limit) { limit_ = std::min(limit_, limit); }
  // Answers about our own zones: no cache keeps them, since we know when they change.
  void set_own() { own_ = true; }
  bool own() const { return own_; }
  // Sent in the OPT record when the client sent one. `text` must live until finish().
  void set_error(Ede code, std::string_view text);
  // What went wrong, where what is sent has it already or does not say. The first of both counts.
  void note_error(Ede code, std::string_view text);
  // What set_error() or note_error() was given, also for clients without EDNS.
  std::string_view error_text() const { return error_text_; }
  Ede error_code() const { return error_code_; }
  // The data of a cookie option to return, at most 40 bytes; copied.
  void set_cookie(std::span<const uint8_t> cookie);
  // An option for the OPT record, in place of what adopt() brought of the code; copied. Not sent to
  // clients without EDNS, nor when there is no room. adopt() replaces it.
  void set_option(EdnsOption code, std::span<const uint8_t> data);

  // Begins a record whose owner is a pointer to `owner_at` and makes room for its data; null when
  // it does not fit. Sections go in order: answer, authority, additional.
  uint8_t* add(Section section, uint16_t owner_at, Type type, uint32_t ttl, size_t rdata_size);
  // The same with the owner written out.
  uint8_t* add(Section section, const Name& owner, Type type, uint32_t ttl, size_t rdata_size);
  bool add_address(Section section, uint16_t owner_at, uint32_t ttl, const IpAddress& address);

  // The same reply, as far as it is written, going on in another buffer at least as large.
  Reply moved_to(std::span<uint8_t> buffer) const;
  size_t capacity() const { return buffer_.size(); }

  // Position in the message of a byte in it, such as the data of a record just added.
  size_t position(const uint8_t* at) const { return static_cast<size_t>(at - buffer_.data()); }
  size_t count(Section section) const { return counts_[static_cast<size_t>(section)]; }
  size_t size() const { return size_; }
  size_t limit() const { return limit_; }
  // Of the message that finish() would make now.
  size_t final_size() const {
    return std::min(finished_ ? size_ : size_ + (has_edns_ ? reserved_ : 0), limit_);
  }
  Rcode rcode() const { return rcode_; }
  bool truncated() const { return (flags_ & kFlagTruncated) != 0; }

  // Takes a message written elsewhere (an upstream's, a cache's; without its OPT record) in place
  // of what was begun: its records, flags and rcode, with our question. More than the buffer holds
  // is cut, and so it is by finish() if it is more than limit(). The OPT record is still ours:
  // `options` go into it as they are, without them and without `rcode`'s upper bits when the client
  // sent none.
  void adopt(std::span<const uint8_t> message, Rcode rcode, std::span<const uint8_t> options = {});
  // The same for a message made of message(): options stay.
  void replace_records(std::span<const uint8_t> message);
  // How long a message for adopt() may be that brings options of this size and is not to be cut.
  size_t room(size_t options) const;

  // The message as it is now, without OPT record, for plugins that look at answers on their way
  // back. Valid until the reply is changed.
  std::span<const uint8_t> message();
  // Where its records begin.
  size_t records_at() const { return question_end_; }
  // The bytes of its records, to be changed in place.
  std::span<uint8_t> records() { return buffer_.subspan(question_end_, size_ - question_end_); }
  // Takes the last sections away.
  void drop_from(Section section);

  // Completes header and OPT record. What is over the limit is left out, whole records from the
  // end, with TC unless they are only additional. The bytes stay valid until begin().
  std::span<const uint8_t> finish();

 private:
  uint8_t* add_fixed(Section section, Type type, uint32_t ttl, size_t rdata_size);
  bool fits(Section section, size_t bytes);
  void drop_option(EdnsOption code);
  void write_opt();
  void cut(size_t room);

  std::span<uint8_t> buffer_;
  size_t size_ = 0;
  size_t limit_ = 0;
  size_t question_end_ = 0;
  size_t reserved_ = 0;  // for the OPT record
  uint16_t flags_ = 0;
  uint16_t counts_[3] = {};
  Rcode rcode_ = Rcode::kNoError;
  bool has_edns_ = false;
  bool dnssec_ok_ = false;
  bool tells_checked_ = false;
  bool finished_ = false;
  bool own_ = false;
  std::vector<uint8_t> options_;  // adopted
  Ede error_ = Ede::kNone;        // to be sent
  Ede error_code_ = Ede::kNone;
  std::string_view error_text_;
  uint8_t cookie_size_ = 0;
  uint8_t cookie_[40];
};

}  // namespace fairlead::dns
