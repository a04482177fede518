// SPDX-License-Identifier: Apache-2.0
#include "dns/record_text.h"

#include <algorithm>
#include <charconv>

#include "base/address.h"

namespace fairlead::dns {
namespace {

constexpr size_t kMaxString = 255;
constexpr uint64_t kMaxTtl = 0x7fffffff;

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

std::string upper(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  });
  return out;
}

template <typename Number>
std::optional<Number> number_of(std::string_view text) {
  Number number{};
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || at != end) return std::nullopt;
  return number;
}

Error bad(const std::string& what) {
  return Error(ErrorCode::kInvalid, what);
}

// The bytes of a character string with its escapes undone (\" and \065).
Result<std::string> unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
    } else if (i + 1 == text.size()) {
      return bad("a backslash at the end");
    } else if (text[i + 1] < '0' || text[i + 1] > '9') {
      out += text[++i];
    } else {
      const auto code =
          i + 3 < text.size() ? number_of<unsigned>(text.substr(i + 1, 3)) : std::nullopt;
      if (!code || *code > 255) return bad("'" + std::string(text) + "' has a bad escape");
      out += static_cast<char>(*code);
      i += 3;
    }
  }
  return out;
}

// The tokens of a record's data, read into bytes.
class RdataReader {
 public:
  RdataReader(std::span<const Token> tokens, const Name& origin)
      : tokens_(tokens), origin_(origin) {}

  Result<std::vector<uint8_t>> run(Type type);

 private:
  Result<void> read(Type type);
  Result<void> generic();
  Result<void> each(std::string_view what);
  Result<void> field(char kind);
  Result<void> name();
  Result<void> number(size_t bytes, bool is_ttl);
  Result<void> string();
  Result<void> address(Family family);
  Result<void> caa();

  void bytes(uint64_t value, size_t count) {
    while (count-- > 0) out_.push_back(static_cast<uint8_t>(value >> (8 * count)));
  }
  const std::string& text() const { return tokens_.front().text; }

  std::span<const Token> tokens_;
  const Name& origin_;
  std::vector<uint8_t> out_;
};

Result<std::vector<uint8_t>> RdataReader::run(Type type) {
  const bool is_generic = !tokens_.empty() && !tokens_.front().quoted && text() == "\\#";
  const Result<void> done = is_generic ? generic() : read(type);
  if (!done.ok()) return done.error();
  if (!tokens_.empty()) return bad("'" + text() + "' is too much");
  if (out_.size() > kMaxMessage) return bad("the data is over 65535 bytes");
  return std::move(out_);
}

// What the data is made of: n a name, 1 2 4 numbers of so many bytes, t a duration of four, s a
// string, + more of them.
Result<void> RdataReader::read(Type type) {
  switch (static_cast<uint16_t>(type)) {
    case 1:
      return tokens_.empty() ? bad("the address is missing") : address(Family::kIpv4);
    case 28:
      return tokens_.empty() ? bad("the address is missing") : address(Family::kIpv6);
    case 2:
    case 5:
    case 12:
    case 39:
      return each("n");
    case 6:
      return each("nn4tttt");
    case 13:
      return each("ss");
    case 15:
      return each("2n");
    case 16:
    case 99:
      return each("s+");
    case 33:
      return each("222n");
    case 257:
      return caa();
    default:
      return bad(type_to_text(type) + " is only understood in the form of RFC 3597: \\# SIZE HEX");
  }
}

Result<void> RdataReader::each(std::string_view what) {
  for (const char kind : what) {
    if (kind == '+') {
      while (!tokens_.empty())
        if (const auto done = field('s'); !done.ok()) return done;
      return ok();
    }
    if (tokens_.empty()) return bad("there is too little data");
    if (const auto done = field(kind); !done.ok()) return done;
  }
  return ok();
}

Result<void> RdataReader::field(char kind) {
  Result<void> done;
  if (kind == 'n')
    done = name();
  else if (kind == 's')
    done = string();
  else
    done = number(kind == 't' ? 4u : static_cast<size_t>(kind - '0'), kind == 't');
  if (done.ok()) tokens_ = tokens_.subspan(1);
  return done;
}

Result<void> RdataReader::name() {
  const Result<Name> read = name_from_text(text(), origin_);
  if (!read.ok()) return read.error();
  out_.insert(out_.end(), read->wire().begin(), read->wire().end());
  return ok();
}

Result<void> RdataReader::number(size_t size, bool is_ttl) {
  std::optional<uint64_t> value;
  if (is_ttl)
    value = ttl_from_text(text());
  else
    value = number_of<uint64_t>(text());
  if (!value || *value >> (8 * size) != 0) return bad("'" + text() + "' is no number that fits");
  bytes(*value, size);
  return ok();
}

Result<void> RdataReader::string() {
  const Result<std::string> value = unescaped(text());
  if (!value.ok()) return value.error();
  if (value->size() > kMaxString) return bad("a string is over 255 bytes");
  out_.push_back(static_cast<uint8_t>(value->size()));
  out_.insert(out_.end(), value->begin(), value->end());
  return ok();
}

Result<void> RdataReader::address(Family family) {
  const Result<IpAddress> value = IpAddress::parse(text());
  if (!value.ok() || value->family() != family)
    return bad("'" + text() + "' is no " + (family == Family::kIpv4 ? "IPv4" : "IPv6") +
               " address");
  out_.insert(out_.end(), value->bytes().begin(), value->bytes().end());
  tokens_ = tokens_.subspan(1);
  return ok();
}

// RFC 8659 section 4.1: the value goes on to the end.
Result<void> RdataReader::caa() {
  if (const auto done = each("1s"); !done.ok()) return done;
  if (tokens_.empty()) return bad("there is too little data");
  const Result<std::string> value = unescaped(text());
  if (!value.ok()) return value.error();
  out_.insert(out_.end(), value->begin(), value->end());
  tokens_ = tokens_.subspan(1);
  return ok();
}

// RFC 3597 section 5.
Result<void> RdataReader::generic() {
  tokens_ = tokens_.subspan(1);
  if (tokens_.empty()) return bad("the size is missing behind \\#");
  const auto size = number_of<uint16_t>(text());
  if (!size) return bad("'" + text() + "' is no size");
  std::string digits;
  for (tokens_ = tokens_.subspan(1); !tokens_.empty(); tokens_ = tokens_.subspan(1))
    digits += text();
  if (digits.size() != 2u * *size) return bad("the data has another size");
  for (size_t i = 0; i < digits.size(); i += 2) {
    uint8_t byte = 0;
    const char* const end = digits.data() + i + 2;
    const auto [at, error] = std::from_chars(digits.data() + i, end, byte, 16);
    if (error != std::errc() || at != end) return bad("'" + digits.substr(i, 2) + "' is not hex");
    out_.push_back(byte);
  }
  return ok();
}

}  // namespace

std::optional<uint32_t> ttl_from_text(std::string_view text) {
  static constexpr std::pair<char, uint64_t> kUnits[] = {
      {'S', 1}, {'M', 60}, {'H', 3600}, {'D', 86400}, {'W', 604800}};
  const std::string all = upper(text);
  std::string_view rest = all;
  if (rest.empty()) return std::nullopt;
  uint64_t sum = 0;
  while (!rest.empty()) {
    const size_t digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
    const auto number = number_of<uint32_t>(rest.substr(0, digits));
    if (!number) return std::nullopt;
    rest.remove_prefix(digits);
    uint64_t unit = 1;
    if (!rest.empty()) {
      const auto* at =
          std::ranges::find(kUnits, rest.front(), [](const auto& row) { return row.first; });
      if (at == std::end(kUnits)) return std::nullopt;
      unit = at->second;
      rest.remove_prefix(1);
    }
    sum += *number * unit;
    if (sum > kMaxTtl) return std::nullopt;
  }
  return static_cast<uint32_t>(sum);
}

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
      if (open == 0) return bad("a ')' without a '('");
      --open;
      rest_.remove_prefix(1);
    } else if (c == '"') {
      if (const auto done = quoted(entry); !done.ok()) return done.error();
    } else {
      word(entry);
    }
  }
  if (open != 0) return bad("a '(' without a ')'");
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
  if (rest_.empty() || rest_.front() != '"') return bad("a quote that is not closed");
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

Result<Name> name_from_text(std::string_view text, const Name& origin) {
  if (text == "@") return origin;
  Result<Name> name = Name::from_text(text);
  if (!name.ok()) return name;
  // A dot that is escaped ends nothing.
  size_t slashes = 0;
  while (slashes + 1 < text.size() && text[text.size() - 2 - slashes] == '\\') ++slashes;
  const bool absolute = text.ends_with('.') && slashes % 2 == 0;
  if (!absolute && !name->append(origin))
    return bad("'" + std::string(text) + "' is too long below " + origin.to_text());
  return name;
}

Result<EditRecord> parse_record(const Entry& entry, const RecordDefaults& defaults,
                                bool* ttl_given) {
  EditRecord record{defaults.owner, Type{}, defaults.klass, defaults.ttl, {}};
  std::span<const Token> rest = entry.tokens;
  if (!entry.starts_blank) {
    if (rest.empty()) return bad("an empty record");
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
  if (rest.empty()) return bad("the type is missing");
  const auto type = type_from_text(rest.front().text);
  if (!type || rest.front().quoted) return bad("'" + rest.front().text + "' is no record type");
  record.type = *type;
  Result<std::vector<uint8_t>> rdata = RdataReader(rest.subspan(1), defaults.origin).run(*type);
  if (!rdata.ok()) return rdata.error().with_context(type_to_text(*type));
  record.rdata = *std::move(rdata);
  if (!well_formed(record)) return bad(type_to_text(*type) + ": the data is malformed");
  return record;
}

Result<EditRecord> parse_record(std::string_view text) {
  while (!text.empty() && (is_blank(text.front()) || text.front() == '\n')) text.remove_prefix(1);
  EntryReader reader(text);
  Entry entry;
  const Result<bool> found = reader.next(entry);
  if (!found.ok()) return found.error();
  if (!*found) return bad("an empty record");
  Entry more;
  const Result<bool> second = reader.next(more);
  if (!second.ok()) return second.error();
  if (*second) return bad("more than one record");
  return parse_record(entry, {});
}

}  // namespace fairlead::dns
