// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/template/functions.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace fairlead::dns {
namespace {

using Arguments = std::span<const Value>;

constexpr size_t kMaxWidth = 1000;

Result<Value> length(Arguments arguments) {
  const Value& of = arguments[0];
  if (const auto* text = of.string()) return Value(int64_t(text->size()));
  if (const auto* list = of.list()) return Value(int64_t(list->size()));
  if (const auto* map = of.map()) return Value(int64_t(map->size()));
  return Error::invalid(fmt::format("len of a {}", of.kind_name()));
}

// A position from 0 to `most`.
Result<size_t> position(const Value& value, size_t most) {
  const auto* number = value.number();
  if (number == nullptr)
    return Error::invalid(fmt::format("a {} where a position is wanted", value.kind_name()));
  if (*number < 0 || static_cast<uint64_t>(*number) > most)
    return Error::invalid(fmt::format("{} is out of range", *number));
  return static_cast<size_t>(*number);
}

Result<Value> index(Arguments arguments) {
  Value value = arguments[0];
  for (const Value& key : arguments.subspan(1)) {
    if (const auto* map = value.map()) {
      const auto* name = key.string();
      if (name == nullptr)
        return Error::invalid(fmt::format("index of a map by a {}", key.kind_name()));
      const auto at = map->find(*name);
      value = at == map->end() ? Value(std::string()) : Value(at->second);
      continue;
    }
    const auto* list = value.list();
    const auto* text = value.string();
    if (list == nullptr && text == nullptr)
      return Error::invalid(fmt::format("index of a {}", value.kind_name()));
    const size_t size = list != nullptr ? list->size() : text->size();
    const auto at = position(key, size);
    if (!at.ok()) return at.error();
    if (*at == size) return Error::invalid(fmt::format("{} is out of range", *at));
    value = list != nullptr ? Value((*list)[*at])
                            : Value(int64_t(static_cast<unsigned char>((*text)[*at])));
  }
  return value;
}

Result<Value> slice(Arguments arguments) {
  const auto* list = arguments[0].list();
  const auto* text = arguments[0].string();
  if (list == nullptr && text == nullptr)
    return Error::invalid(fmt::format("slice of a {}", arguments[0].kind_name()));
  const size_t size = list != nullptr ? list->size() : text->size();
  const auto to = arguments.size() > 2 ? position(arguments[2], size) : Result<size_t>(size);
  if (!to.ok()) return to.error();
  const auto from = arguments.size() > 1 ? position(arguments[1], *to) : Result<size_t>(0);
  if (!from.ok()) return from.error();
  if (text != nullptr) return Value(text->substr(*from, *to - *from));
  return Value(ValueList(list->begin() + static_cast<ptrdiff_t>(*from),
                         list->begin() + static_cast<ptrdiff_t>(*to)));
}

// The first is equal to one of the others.
Result<Value> equal(Arguments arguments) {
  for (const Value& other : arguments.subspan(1)) {
    const auto order = compare(arguments[0], other);
    if (!order.ok()) return order.error();
    if (*order == 0) return Value(true);
  }
  return Value(false);
}

template <typename Holds>  // int -> bool
Result<Value> ordered(Arguments arguments, bool of_bools, const Holds& holds) {
  if (!of_bools && arguments[0].kind() == Value::Kind::kBool)
    return Error::invalid("bools have no order");
  const auto order = compare(arguments[0], arguments[1]);
  if (!order.ok()) return order.error();
  return Value(holds(*order));
}

// strconv.ParseUint: text, base (0: by its prefix), bits (0: 64).
Result<Value> parse_int(Arguments arguments) {
  const auto* text = arguments[0].string();
  const auto* base = arguments[1].number();
  const auto* bits = arguments[2].number();
  if (text == nullptr || base == nullptr || bits == nullptr)
    return Error::invalid("parseInt takes a string and two numbers");
  if (*base < 0 || *base == 1 || *base > 36 || *bits < 0 || *bits > 64)
    return Error::invalid("parseInt: a base is from 2 to 36, and there are 64 bits at most");
  std::string_view digits = *text;
  int number_base = static_cast<int>(*base);
  static constexpr std::pair<std::string_view, int> kPrefixes[] = {
      {"0x", 16}, {"0X", 16}, {"0b", 2}, {"0B", 2}, {"0o", 8}, {"0O", 8}, {"0", 8}};
  if (*base == 0) {
    number_base = 10;
    for (const auto& [prefix, of_prefix] : kPrefixes) {
      if (!digits.starts_with(prefix) || digits.size() == prefix.size()) continue;
      digits.remove_prefix(prefix.size());
      number_base = of_prefix;
      break;
    }
  }
  uint64_t number = 0;
  const char* const end = digits.data() + digits.size();
  const auto [at, error] = std::from_chars(digits.data(), end, number, number_base);
  const int64_t width = *bits == 0 ? 64 : *bits;
  if (error != std::errc() || at != end || number > INT64_MAX ||
      (width < 64 && number >> width != 0))
    return Error::invalid(fmt::format("parseInt: '{}' is no number of {} bits", *text, width));
  return Value(static_cast<int64_t>(number));
}

// As fmt.Sprint: blanks between what are no strings. Like all that print it stops beyond kMaxText,
// where the evaluation fails.
std::string print(Arguments arguments) {
  std::string out;
  for (size_t i = 0; i < arguments.size() && out.size() <= kMaxText; ++i) {
    const auto is_text = [&](size_t at) { return (arguments[at].string() != nullptr); };
    if (i > 0 && !is_text(i) && !is_text(i - 1)) out += ' ';
    out += arguments[i].text();
  }
  return out;
}

std::string print_line(Arguments arguments) {
  std::string out;
  for (const Value& each : arguments) {
    if (out.size() > kMaxText) break;
    out += (out.empty() ? "" : " ") + each.text();
  }
  return out + "\n";
}

// "%-08.3x"
struct Verb {
  bool left = false;
  bool plus = false;
  bool zeros = false;
  bool prefix = false;
  size_t width = 0;
  std::optional<size_t> precision;
  char letter = 0;
};

size_t take_number(std::string_view& text) {
  size_t number = 0;
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1))
    number = std::min(number * 10 + static_cast<size_t>(text.front() - '0'), kMaxWidth);
  return number;
}

// `text` begins behind the '%' and ends up behind the verb.
Result<Verb> take_verb(std::string_view& text) {
  Verb verb;
  for (; !text.empty(); text.remove_prefix(1)) {
    if (text.front() == '-')
      verb.left = true;
    else if (text.front() == '+')
      verb.plus = true;
    else if (text.front() == '0')
      verb.zeros = true;
    else if (text.front() == '#')
      verb.prefix = true;
    else
      break;
  }
  verb.width = take_number(text);
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    verb.precision = take_number(text);
  }
  if (text.empty() || std::string_view("vsqdxXobct%").find(text.front()) == std::string_view::npos)
    return Error::invalid("printf knows %v, %s, %q, %d, %x, %X, %o, %b, %c, %t and %%");
  verb.letter = text.front();
  text.remove_prefix(1);
  return verb;
}

std::string hex(const std::string& text, bool upper) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += upper ? fmt::format("{:02X}", byte) : fmt::format("{:02x}", byte);
  }
  return out;
}

std::string integer(const Verb& verb, int64_t number) {
  const uint64_t size = number < 0 ? 0 - static_cast<uint64_t>(number) : uint64_t(number);
  std::string digits;
  const char* prefix = "";
  switch (verb.letter) {
    case 'x':
      digits = fmt::format("{:x}", size);
      prefix = "0x";
      break;
    case 'X':
      digits = fmt::format("{:X}", size);
      prefix = "0X";
      break;
    case 'o':
      digits = fmt::format("{:o}", size);
      prefix = "0";
      break;
    case 'b':
      digits = fmt::format("{:b}", size);
      prefix = "0b";
      break;
    default:
      digits = fmt::format("{}", size);
  }
  if (verb.precision && digits.size() < *verb.precision)
    digits.insert(0, *verb.precision - digits.size(), '0');
  std::string sign = number < 0 ? "-" : verb.plus ? "+" : "";
  if (verb.prefix) sign += prefix;
  const size_t size_now = sign.size() + digits.size();
  if (verb.zeros && !verb.left && !verb.precision && size_now < verb.width)
    digits.insert(0, verb.width - size_now, '0');
  return sign + digits;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string formatted(const Verb& verb, const Value& value) {
  const auto* number = value.number();
  const auto* text = value.string();
  const bool numeric = std::string_view("dxXob").find(verb.letter) != std::string_view::npos;
  if (number != nullptr && (numeric || verb.letter == 'v')) return integer(verb, *number);
  if (number != nullptr && verb.letter == 'c' && *number >= 0 && *number < 128)
    return std::string(1, static_cast<char>(*number));
  std::string whole = value.text();
  if (text != nullptr && verb.precision) whole.resize(std::min(whole.size(), *verb.precision));
  if (text != nullptr && (verb.letter == 'x' || verb.letter == 'X'))
    return hex(whole, verb.letter == 'X');
  if (text != nullptr && verb.letter == 'q') return quoted(whole);
  const bool fits = verb.letter == 'v' || (text != nullptr && verb.letter == 's') ||
                    (verb.letter == 't' && value.kind() == Value::Kind::kBool) ||
                    (verb.letter == 's' && value.list() != nullptr);
  return fits ? whole : fmt::format("%!{}({}={})", verb.letter, value.kind_name(), whole);
}

// As fmt.Sprintf, what it says of wrong arguments included.
Result<Value> print_format(Arguments arguments) {
  const auto* format = arguments[0].string();
  if (format == nullptr) return Error::invalid("printf takes a format first");
  arguments = arguments.subspan(1);
  std::string out;
  std::string_view rest = *format;
  while (!rest.empty() && out.size() <= kMaxText) {
    const size_t percent = std::min(rest.find('%'), rest.size());
    out += rest.substr(0, percent);
    rest.remove_prefix(percent);
    if (rest.empty()) break;
    rest.remove_prefix(1);
    const auto verb = take_verb(rest);
    if (!verb.ok()) return verb.error();
    if (verb->letter == '%') {
      out += '%';
      continue;
    }
    std::string text = arguments.empty() ? fmt::format("%!{}(MISSING)", verb->letter)
                                         : formatted(*verb, arguments.front());
    if (!arguments.empty()) arguments = arguments.subspan(1);
    if (text.size() < verb->width)
      text.insert(verb->left ? text.size() : 0, verb->width - text.size(), ' ');
    out += text;
  }
  return Value(std::move(out));
}

struct Function {
  std::string_view name;
  size_t least;
  size_t most;
  Result<Value> (*call)(Arguments);
};

constexpr size_t kAny = SIZE_MAX;
const Function kTemplateFunctions[] = {
    {"and", 1, kAny, nullptr},
    {"or", 1, kAny, nullptr},
    {"not", 1, 1, [](Arguments a) { return Result<Value>(Value(!a[0].truth())); }},
    {"len", 1, 1, &length},
    {"index", 1, kAny, &index},
    {"slice", 1, 3, &slice},
    {"print", 0, kAny, [](Arguments a) { return Result<Value>(Value(print(a))); }},
    {"println", 0, kAny, [](Arguments a) { return Result<Value>(Value(print_line(a))); }},
    {"printf", 1, kAny, &print_format},
    {"parseInt", 3, 3, &parse_int},
    {"eq", 2, kAny, &equal},
    {"ne", 2, 2, [](Arguments a) { return ordered(a, true, [](int o) { return o != 0; }); }},
    {"lt", 2, 2, [](Arguments a) { return ordered(a, false, [](int o) { return o < 0; }); }},
    {"le", 2, 2, [](Arguments a) { return ordered(a, false, [](int o) { return o <= 0; }); }},
    {"gt", 2, 2, [](Arguments a) { return ordered(a, false, [](int o) { return o > 0; }); }},
    {"ge", 2, 2, [](Arguments a) { return ordered(a, false, [](int o) { return o >= 0; }); }},
};

const Function* find(std::string_view name) {
  const auto* at = std::ranges::find(kTemplateFunctions, name, &Function::name);
  return at == std::end(kTemplateFunctions) ? nullptr : at;
}

}  // namespace

bool is_function(std::string_view name) {
  return find(name) != nullptr;
}

Result<Value> call_function(std::string_view name, Arguments arguments) {
  const Function& function = *find(name);
  if (arguments.size() < function.least || arguments.size() > function.most)
    return Error::invalid(fmt::format("{} does not take {} arguments", name, arguments.size()));
  return function.call(arguments);
}

Result<void> check_format(std::string_view format) {
  for (size_t at = format.find('%'); at != std::string_view::npos; at = format.find('%')) {
    format.remove_prefix(at + 1);
    if (const auto verb = take_verb(format); !verb.ok()) return verb.error();
  }
  return ok();
}

}  // namespace fairlead::dns
