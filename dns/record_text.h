// SPDX-License-Identifier: Apache-2.0
// Records in their presentation form (RFC 1035 section 5.1), as zone files and templates have them:
//
//   www.example.org.  300 IN A 192.0.2.1
//   @ IN SOA ns.example.org. root.example.org. (
//       7 7200 1800 86400 60 )    ; several lines in parentheses
//
// Types A, AAAA, CNAME, DNAME, NS, PTR, MX, SRV, TXT, SPF, SOA, CAA and HINFO, and any type in the
// form of RFC 3597 (TYPE731 \# 3 abcdef). Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dns/edit.h"
#include "dns/mnemonics.h"

namespace fairlead::dns {

// A TTL in seconds ("300") or in BIND's units ("1h30m"), at most 2^31 - 1 (RFC 2181 section 8).
std::optional<uint32_t> ttl_from_text(std::string_view text);

struct Token {
  std::string text;  // with its backslash escapes
  bool quoted = false;
};

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

// A name, relative to the origin without a final dot; "@" is the origin.
Result<Name> name_from_text(std::string_view text, const Name& origin);
// `ttl_given`: whether it names a TTL.
Result<EditRecord> parse_record(const Entry& entry, const RecordDefaults& defaults,
                                bool* ttl_given = nullptr);
// One record in a text of its own, as dns.NewRR of Go's library takes it.
Result<EditRecord> parse_record(std::string_view text);

}  // namespace fairlead::dns
