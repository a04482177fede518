// SPDX-License-Identifier: Apache-2.0
#include "dns/rdata_text.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/address.h"
#include "dns/loc_text.h"
#include "dns/mnemonics.h"
#include "dns/number_text.h"
#include "dns/svcb_text.h"

namespace fairlead::dns {
namespace {

constexpr size_t kMaxString = 255;
constexpr uint64_t kMaxTtl = 0x7fffffff;

// What the data of a type is made of:
//   n      a name                          1 2 4  a number of so many bytes
//   t      a duration of four bytes        s      a string with its length, s+ more of them
//   a A    an IPv4, an IPv6 address        r      a string without its length
//   6 8    bytes as 00-00-5e, so many      h b    bytes in hexadecimal, in base64, to the end
//   v      parameters of SVCB              l      a location
struct Layout {
  uint16_t type;
  std::string_view what;
};
constexpr Layout kLayouts[] = {
    {1, "a"},        // A, RFC 1035 section 3.4.1
    {2, "n"},        // NS
    {5, "n"},        // CNAME
    {6, "nn4tttt"},  // SOA
    {7, "n"},        // MB
    {8, "n"},        // MG
    {9, "n"},        // MR
    {12, "n"},       // PTR
    {13, "ss"},      // HINFO
    {14, "nn"},      // MINFO
    {15, "2n"},      // MX
    {16, "s+"},      // TXT
    {17, "nn"},      // RP, RFC 1183 section 2.2
    {18, "2n"},      // AFSDB
    {19, "s"},       // X25
    {20, "s+"},      // ISDN
    {21, "2n"},      // RT
    {26, "2nn"},     // PX, RFC 2163 section 4
    {28, "A"},       // AAAA, RFC 3596
    {29, "l"},       // LOC, RFC 1876
    {33, "222n"},    // SRV, RFC 2782
    {35, "22sssn"},  // NAPTR, RFC 3403 section 4.1
    {36, "2n"},      // KX, RFC 2230
    {37, "221b"},    // CERT, RFC 4398
    {39, "n"},       // DNAME, RFC 6672
    {43, "211h"},    // DS, RFC 4034 section 5.3
    {44, "11h"},     // SSHFP, RFC 4255 section 3.2
    {48, "211b"},    // DNSKEY, RFC 4034 section 2.2
    {49, "b"},       // DHCID, RFC 4701
    {52, "111h"},    // TLSA, RFC 6698 section 2.2
    {53, "111h"},    // SMIMEA, RFC 8162
    {59, "211h"},    // CDS, RFC 7344
    {60, "211b"},    // CDNSKEY
    {61, "b"},       // OPENPGPKEY, RFC 7929
    {63, "411h"},    // ZONEMD, RFC 8976
    {64, "2nv"},     // SVCB, RFC 9460
    {65, "2nv"},     // HTTPS
    {99, "s+"},      // SPF
    {108, "6"},      // EUI48, RFC 7043
    {109, "8"},      // EUI64
    {256, "22r"},    // URI, RFC 7553
    {257, "1sr"},    // CAA, RFC 8659 section 4.1
};

// The tokens of a record's data, read into bytes.
class RdataReader {
 public:
  RdataReader(std::span<const Token> tokens, const Name& origin)
      : tokens_(tokens), origin_(origin) {}

  Result<std::vector<uint8_t>> run(Type type);

 private:
  Result<void> read(Type type);
  Result<void> generic();
  Result<void> field(char kind);
  Result<void> rest(char kind);
  Result<void> name();
  Result<void> number(size_t bytes, bool is_ttl);
  Result<void> string(bool with_length);
  Result<void> address(Family family);
  Result<void> eui(size_t bytes);

  void append(std::span<const uint8_t> bytes) {
    out_.insert(out_.end(), bytes.begin(), bytes.end());
  }
  const std::string& text() const { return tokens_.front().text; }
  // All that is left, which goes.
  std::string joined() {
    std::string all;
    for (; !tokens_.empty(); tokens_ = tokens_.subspan(1)) all += text();
    return all;
  }

  std::span<const Token> tokens_;
  const Name& origin_;
  std::vector<uint8_t> out_;
  bool may_split_ = false;  // a text may be as many strings as it takes
};

std::optional<std::vector<uint8_t>> hex_from_text(std::string_view digits) {
  std::vector<uint8_t> out;
  if (digits.size() % 2 != 0) return std::nullopt;
  for (size_t i = 0; i < digits.size(); i += 2) {
    uint8_t byte = 0;
    const char* const end = digits.data() + i + 2;
    const auto [at, error] = std::from_chars(digits.data() + i, end, byte, 16);
    if (error != std::errc() || at != end) return std::nullopt;
    out.push_back(byte);
  }
  return out;
}

Result<std::vector<uint8_t>> RdataReader::run(Type type) {
  const bool is_generic = !tokens_.empty() && !tokens_.front().quoted && text() == "\\#";
  const Result<void> done = is_generic ? generic() : read(type);
  if (!done.ok()) return done.error();
  if (!tokens_.empty()) return Error::invalid("'" + text() + "' is too much");
  if (out_.size() > kMaxMessage) return Error::invalid("the data is over 65535 bytes");
  return std::move(out_);
}

Result<void> RdataReader::read(Type type) {
  const auto* layout = std::ranges::find(kLayouts, static_cast<uint16_t>(type), &Layout::type);
  if (layout == std::end(kLayouts))
    return Error::invalid(type_to_text(type) +
                          " is only understood in the form of RFC 3597: \\# SIZE HEX");
  may_split_ = std::string_view(layout->what).ends_with('+');
  for (const char kind : layout->what) {
    if (kind == '+') {
      while (!tokens_.empty())
        if (const auto done = field('s'); !done.ok()) return done;
    } else if (const auto done = field(kind); !done.ok()) {
      return done;
    }
  }
  return ok();
}

Result<void> RdataReader::field(char kind) {
  if (kind == 'v') return rest(kind);  // there may be none
  if (tokens_.empty()) return Error::invalid("there is too little data");
  Result<void> done;
  switch (kind) {
    case 'n':
      done = name();
      break;
    case 's':
    case 'r':
      done = string(kind == 's');
      break;
    case 'a':
    case 'A':
      done = address(kind == 'a' ? Family::kIpv4 : Family::kIpv6);
      break;
    case '6':
    case '8':
      done = eui(static_cast<size_t>(kind - '0'));
      break;
    case 'h':
    case 'b':
    case 'l':
      return rest(kind);
    default:
      done = number(kind == 't' ? 4u : static_cast<size_t>(kind - '0'), kind == 't');
      break;
  }
  if (done.ok()) tokens_ = tokens_.subspan(1);
  return done;
}

// What goes on to the end.
Result<void> RdataReader::rest(char kind) {
  if (kind == 'h' || kind == 'b') {
    const std::string all = joined();
    const auto bytes = kind == 'h' ? hex_from_text(all) : base64_from_text(all);
    if (!bytes) return Error::invalid("'" + all + "' is not " + (kind == 'h' ? "hex" : "base64"));
    append(*bytes);
    return ok();
  }
  const auto bytes = kind == 'v' ? svcb_from_text(tokens_) : loc_from_text(tokens_);
  if (!bytes.ok()) return bytes.error();
  append(*bytes);
  tokens_ = {};
  return ok();
}

Result<void> RdataReader::name() {
  const Result<Name> read = name_from_text(text(), origin_);
  if (!read.ok()) return read.error();
  append(read->wire());
  return ok();
}

Result<void> RdataReader::number(size_t size, bool is_ttl) {
  std::optional<uint64_t> value;
  if (is_ttl)
    value = ttl_from_text(text());
  else
    value = number_of<uint64_t>(text());
  if (!value || *value >> (8 * size) != 0)
    return Error::invalid("'" + text() + "' is no number that fits");
  while (size-- > 0) out_.push_back(static_cast<uint8_t>(*value >> (8 * size)));
  return ok();
}

Result<void> RdataReader::string(bool with_length) {
  const Result<std::string> value = unescaped(text());
  if (!value.ok()) return value.error();
  if (!with_length) {
    out_.insert(out_.end(), value->begin(), value->end());
    return ok();
  }
  // A long text is several strings, as keys of 2048 bits (DKIM) are mostly written.
  size_t at = 0;
  do {
    const size_t size = std::min(kMaxString, value->size() - at);
    if (at > 0 && !may_split_) return Error::invalid("a string is over 255 bytes");
    out_.push_back(static_cast<uint8_t>(size));
    out_.insert(out_.end(), value->begin() + static_cast<ptrdiff_t>(at),
                value->begin() + static_cast<ptrdiff_t>(at + size));
    at += size;
  } while (at < value->size());
  return ok();
}

Result<void> RdataReader::address(Family family) {
  const Result<IpAddress> value = IpAddress::parse(text());
  if (!value.ok() || value->family() != family)
    return Error::invalid("'" + text() + "' is no " + (family == Family::kIpv4 ? "IPv4" : "IPv6") +
                          " address");
  append(value->bytes());
  return ok();
}

// RFC 7043: 00-00-5e-00-53-2a.
Result<void> RdataReader::eui(size_t size) {
  std::string digits;
  const std::string& all = text();
  for (size_t i = 0; i < all.size(); ++i)
    if (i % 3 != 2)
      digits += all[i];
    else if (all[i] != '-')
      return Error::invalid("'" + all + "' is no identifier such as 00-00-5e-00-53-2a");
  const auto bytes = hex_from_text(digits);
  if (!bytes || bytes->size() != size || all.size() != 3 * size - 1)
    return Error::invalid("'" + all + "' is no identifier such as 00-00-5e-00-53-2a");
  append(*bytes);
  return ok();
}

// RFC 3597 section 5.
Result<void> RdataReader::generic() {
  tokens_ = tokens_.subspan(1);
  if (tokens_.empty()) return Error::invalid("the size is missing behind \\#");
  const auto size = number_of<uint16_t>(text());
  if (!size) return Error::invalid("'" + text() + "' is no size");
  tokens_ = tokens_.subspan(1);
  const std::string digits = joined();
  if (digits.size() != 2u * *size) return Error::invalid("the data has another size");
  const auto bytes = hex_from_text(digits);
  if (!bytes) return Error::invalid("'" + digits + "' is not hex");
  append(*bytes);
  return ok();
}

}  // namespace

std::optional<uint32_t> ttl_from_text(std::string_view text) {
  static constexpr std::pair<char, uint64_t> kUnits[] = {
      {'S', 1}, {'M', 60}, {'H', 3600}, {'D', 86400}, {'W', 604800}};
  const std::string all = to_upper(text);
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

Result<Name> name_from_text(std::string_view text, const Name& origin) {
  if (text == "@") return origin;
  Result<Name> name = Name::from_text(text);
  if (!name.ok()) return name;
  // A dot that is escaped ends nothing.
  size_t slashes = 0;
  while (slashes + 1 < text.size() && text[text.size() - 2 - slashes] == '\\') ++slashes;
  const bool absolute = text.ends_with('.') && slashes % 2 == 0;
  if (!absolute && !name->append(origin))
    return Error::invalid("'" + std::string(text) + "' is too long below " + origin.to_text());
  return name;
}

Result<std::string> unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
    } else if (i + 1 == text.size()) {
      return Error::invalid("a backslash at the end");
    } else if (text[i + 1] < '0' || text[i + 1] > '9') {
      out += text[++i];
    } else {
      const auto code =
          i + 3 < text.size() ? number_of<unsigned>(text.substr(i + 1, 3)) : std::nullopt;
      if (!code || *code > 255)
        return Error::invalid("'" + std::string(text) + "' has a bad escape");
      out += static_cast<char>(*code);
      i += 3;
    }
  }
  return out;
}

std::optional<std::vector<uint8_t>> base64_from_text(std::string_view text) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.size() % 4 != 0) return std::nullopt;
  size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  std::vector<uint8_t> out;
  uint32_t bits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t digit = i < text.size() - padding ? kDigits.find(text[i]) : 0;
    if (digit == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    if (i % 4 != 3) continue;
    for (const int shift : {16, 8, 0}) out.push_back(static_cast<uint8_t>(bits >> shift));
    bits = 0;
  }
  for (; padding > 0 && !out.empty(); --padding) out.pop_back();
  return out;
}

Result<std::vector<uint8_t>> rdata_from_text(Type type, std::span<const Token> tokens,
                                             const Name& origin) {
  return RdataReader(tokens, origin).run(type);
}

}  // namespace fairlead::dns
