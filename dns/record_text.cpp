// SPDX-License-Identifier: Apache-2.0
#include "dns/record_text.h"

#include <algorithm>

namespace fairlead::dns {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

}  // namespace

Result<bool> EntryReader::next(Entry& entry) {
  entry = {};
  bool line_start = true;
  size_t open = 0;
  while (!rest_.empty()) {
    const char c = rest_.front();
    if (c == '\n') {
      ++line_;
      rest_.remove_prefix(1);
      line_start = true;
      if (open == 0 && !entry.tokens.empty()) return true;
      continue;
    }
    if (entry.tokens.empty() && open == 0 && line_start) {
      entry.line = line_;
      entry.starts_blank = is_blank(c);
    }
    line_start = false;
    if (is_blank(c)) {
      rest_.remove_prefix(1);
    } else if (c == ';') {
      rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size()));
    } else if (c == '(') {
      ++open;
      rest_.remove_prefix(1);
    } else if (c == ')') {
      if (open == 0) return Error::invalid("a ')' without a '('");
      --open;
      rest_.remove_prefix(1);
    } else if (c == '"') {
      if (const auto done = quoted(entry); !done.ok()) return done.error();
    } else {
      word(entry);
    }
  }
  if (open != 0) return Error::invalid("a '(' without a ')'");
  return !entry.tokens.empty();
}

Result<void> EntryReader::quoted(Entry& entry) {
  Token token{.text = {}, .quoted = true};
  rest_.remove_prefix(1);
  while (!rest_.empty() && rest_.front() != '"') {
    if (rest_.front() == '\n') break;
    const size_t take = rest_.front() == '\\' && rest_.size() > 1 && rest_[1] != '\n' ? 2 : 1;
    token.text += rest_.substr(0, take);
    rest_.remove_prefix(take);
  }
  if (rest_.empty() || rest_.front() != '"') return Error::invalid("a quote that is not closed");
  rest_.remove_prefix(1);
  entry.tokens.push_back(std::move(token));
  return ok();
}

void EntryReader::word(Entry& entry) {
  Token token;
  while (!rest_.empty() &&
         std::string_view(" \t\r\n;()\"").find(rest_.front()) == std::string_view::npos) {
    const size_t take = rest_.front() == '\\' && rest_.size() > 1 && rest_[1] != '\n' ? 2 : 1;
    token.text += rest_.substr(0, take);
    rest_.remove_prefix(take);
  }
  entry.tokens.push_back(std::move(token));
}

Result<EditRecord> parse_record(const Entry& entry, const RecordDefaults& defaults,
                                bool* ttl_given) {
  EditRecord record{defaults.owner, Type{}, defaults.klass, defaults.ttl, {}};
  std::span<const Token> rest = entry.tokens;
  if (!entry.starts_blank) {
    if (rest.empty()) return Error::invalid("an empty record");
    const Result<Name> owner = name_from_text(rest.front().text, defaults.origin);
    if (!owner.ok()) return owner.error();
    record.owner = *owner;
    rest = rest.subspan(1);
  }
  bool has_ttl = false;
  bool has_class = false;
  for (; !rest.empty() && !rest.front().quoted; rest = rest.subspan(1)) {
    const std::string& text = rest.front().text;
    const auto ttl = ttl_from_text(text);
    const auto klass = class_from_text(text);
    if (ttl && !has_ttl) {
      record.ttl = *ttl;
      has_ttl = true;
    } else if (klass && !has_class && *klass != Class::kAny && *klass != Class::kNone) {
      record.klass = *klass;
      has_class = true;
    } else {
      break;
    }
  }
  if (ttl_given != nullptr) *ttl_given = has_ttl;
  if (rest.empty()) return Error::invalid("the type is missing");
  const auto type = type_from_text(rest.front().text);
  if (!type || rest.front().quoted) {
    const bool number = !rest.front().quoted &&
                        rest.front().text.find_first_not_of("0123456789") == std::string::npos;
    return Error::invalid("'" + rest.front().text + "' is no " +
                          (number && !has_ttl ? "TTL (2147483647 at most)" : "record type"));
  }
  record.type = *type;
  Result<std::vector<uint8_t>> rdata = rdata_from_text(*type, rest.subspan(1), defaults.origin);
  if (!rdata.ok()) return rdata.error().with_context(type_to_text(*type));
  record.rdata = *std::move(rdata);
  if (!well_formed(record)) return Error::invalid(type_to_text(*type) + ": the data is malformed");
  return record;
}

Result<EditRecord> parse_record(std::string_view text) {
  while (!text.empty() && (is_blank(text.front()) || text.front() == '\n')) text.remove_prefix(1);
  EntryReader reader(text);
  Entry entry;
  const Result<bool> found = reader.next(entry);
  if (!found.ok()) return found.error();
  if (!*found) return Error::invalid("an empty record");
  Entry more;
  const Result<bool> second = reader.next(more);
  if (!second.ok()) return second.error();
  if (*second) return Error::invalid("more than one record");
  return parse_record(entry, {});
}

}  // namespace fairlead::dns
