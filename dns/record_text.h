// SPDX-License-Identifier: Apache-2.0
// Records in their presentation form (RFC 1035 section 5.1), as zone files and templates have them:
//
//   www.example.org.  300 IN A 192.0.2.1
//   @ IN SOA ns.example.org. root.example.org. (
//       7 7200 1800 86400 60 )    ; several lines in parentheses
//
// The data is rdata_text.h's. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dns/edit.h"
#include "dns/mnemonics.h"
#include "dns/rdata_text.h"

namespace fairlead::dns {

// What stands on one line, or on several in parentheses.
struct Entry {
  size_t line = 0;            // where it begins, from 1
  bool starts_blank = false;  // no owner: the last record's
  std::vector<Token> tokens;
};

// The entries of a text one by one; empty lines and comments are skipped.
class EntryReader {
 public:
  explicit EntryReader(std::string_view text) : rest_(text) {}
  // False at the end. Fails on a quote or a parenthesis that is not closed.
  Result<bool> next(Entry& entry);
  size_t line() const { return line_; }

 private:
  Result<void> quoted(Entry& entry);
  void word(Entry& entry);

  std::string_view rest_;
  size_t line_ = 1;
};

// What a record leaves out.
struct RecordDefaults {
  Name origin;  // of names without a final dot
  Name owner;   // of entries that start with a blank
  uint32_t ttl = 3600;
  Class klass = Class::kIn;
};

// `ttl_given`: whether it names a TTL.
Result<EditRecord> parse_record(const Entry& entry, const RecordDefaults& defaults,
                                bool* ttl_given = nullptr);
// One record in a text of its own, as dns.NewRR of Go's library takes it.
Result<EditRecord> parse_record(std::string_view text);

}  // namespace fairlead::dns
