// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/rewrite/setup.h"

#include <algorithm>
#include <charconv>

#include "dns/labels.h"
#include "dns/mnemonics.h"
#include "dns/number_text.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

using corefile::Directive;
using corefile::Word;
using Field = RewriteRule::Field;
using Kind = NameRule::Kind;
using Back = RewriteRule::Back;

constexpr size_t kMaxRules = 1000;
constexpr uint32_t kMaxTtl = 0x7fffffff;
constexpr uint16_t kSubnetCode = 8;

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) {
    return static_cast<char>(to_lower(static_cast<uint8_t>(c)));
  });
  return text;
}

std::string with_dot(std::string text) {
  return text.ends_with('.') ? text : text + ".";
}

// The words of one rule, taken one by one.
class RuleReader {
 public:
  RuleReader(const Word& start, std::span<const Word> words) : start_(start), rest_(words) {}
  Result<RewriteRule> run();

 private:
  Result<void> read_field();
  Result<void> numbers(const char* what, std::optional<uint16_t> (*read)(std::string_view));
  Result<void> name(size_t least_behind, bool has_target);
  Result<void> name_rule();
  Result<void> answers();
  Result<void> ttl();
  Result<void> rcode();
  Result<void> option();
  Result<void> local_option();
  Result<void> local_data(const Word& word);
  Result<void> subnet_option();

  bool unsets() const { return rule_.option.action == OptionRule::Action::kUnset; }
  Error missing(const std::string& what) const { return start_.place.error(what); }
  Result<const Word*> take(const char* what) {
    if (rest_.empty()) return missing(std::string("rewrite: ") + what + " is missing");
    const Word* word = &rest_.front();
    rest_ = rest_.subspan(1);
    return word;
  }

  const Word& start_;
  std::span<const Word> rest_;
  RewriteRule rule_;
};

std::optional<uint16_t> type_number(std::string_view text) {
  const auto type = type_from_text(text);
  return type ? std::optional(static_cast<uint16_t>(*type)) : std::nullopt;
}
std::optional<uint16_t> class_number(std::string_view text) {
  const auto klass = class_from_text(text);
  return klass ? std::optional(static_cast<uint16_t>(*klass)) : std::nullopt;
}
std::optional<uint16_t> rcode_number(std::string_view text) {
  if (const auto rcode = rcode_from_text(text)) return static_cast<uint16_t>(*rcode);
  // Or its number, of those that have a name (IANA "DNS RCODEs").
  const auto number = number_of<uint16_t>(text);
  return number && *number <= 23 ? number : std::nullopt;
}

// As Go's strconv.ParseUint reads it in base 0: 0x, 0o, 0b or 0 in front tells the base, and '_'
// may stand behind that and between digits.
std::optional<uint64_t> prefixed_number(std::string_view text) {
  int base = 10;
  bool digit_before = false;
  if (text.size() > 1 && text[0] == '0') {
    const char letter = static_cast<char>(text[1] | 0x20);
    base = letter == 'x' ? 16 : letter == 'b' ? 2 : 8;
    text.remove_prefix(base != 8 || letter == 'o' ? 2 : 1);
    digit_before = true;
  }
  std::string digits;
  for (const char c : text) {
    if (c == '_' && !digit_before) return std::nullopt;
    digit_before = c != '_';
    if (digit_before) digits += c;
  }
  uint64_t number = 0;
  const char* const end = digits.data() + digits.size();
  const auto [at, error] = std::from_chars(digits.data(), end, number, base);
  if (error != std::errc() || at != end || !digit_before) return std::nullopt;
  return number;
}

// A group that the expression has not would stay in the name as it is written.
Result<void> check_groups(const Word& word, const Pattern& pattern) {
  for (size_t i = 0; i < word.text.size(); ++i) {
    const auto group = group_at(word.text, i);
    if (group && group->number >= pattern.group_names().size())
      return word.place.error("rewrite: '" + word.text + "' uses group " +
                              std::to_string(group->number) + ", the expression has " +
                              std::to_string(pattern.group_names().size() - 1));
  }
  return ok();
}

Result<RewriteRule> RuleReader::run() {
  const auto begins_with = [&](std::string_view word) {
    return !rest_.empty() && same_word(rest_.front().text, word, Letters::kAnyCase);
  };
  rule_.stop = !begins_with("continue");
  if (begins_with("stop") || begins_with("continue")) rest_ = rest_.subspan(1);
  if (const auto done = read_field(); !done.ok()) return done.error();
  if (!rest_.empty())
    return rest_.front().place.error("rewrite: '" + rest_.front().text + "' is too much");
  return std::move(rule_);
}

Result<void> RuleReader::read_field() {
  const auto word = take("what to rewrite");
  if (!word.ok()) return word.error();
  const auto field = read_choice(
      **word, {"name", "type", "class", "edns0", "ttl", "rcode", "cname"}, Letters::kAnyCase);
  if (!field.ok()) return field.error();
  static constexpr Field kFields[] = {Field::kName, Field::kType,  Field::kClass, Field::kOption,
                                      Field::kTtl,  Field::kRcode, Field::kCname};
  rule_.field = kFields[*field];
  switch (rule_.field) {
    case Field::kName:
      return name_rule();
    case Field::kType:
      return numbers("record type", &type_number);
    case Field::kClass:
      return numbers("class", &class_number);
    case Field::kOption:
      return option();
    case Field::kTtl:
      return ttl();
    case Field::kRcode:
      return rcode();
    case Field::kCname:
      return name(0, true);
  }
  return ok();
}

Result<void> RuleReader::numbers(const char* what,
                                 std::optional<uint16_t> (*read)(std::string_view)) {
  for (uint16_t* to : {&rule_.from, &rule_.to}) {
    const auto word = take(what);
    if (!word.ok()) return word.error();
    const auto number = read((*word)->text);
    if (!number) return (*word)->place.error("'" + (*word)->text + "' is no " + what);
    *to = *number;
  }
  return ok();
}

// [exact|prefix|suffix|substring|regex] FROM and, with `has_target`, TO. `behind`: how many words
// come after at least.
Result<void> RuleReader::name(size_t behind, bool has_target) {
  static constexpr const char* kKinds[] = {"exact", "prefix", "suffix", "substring", "regex"};
  const size_t own = has_target ? 2 : 1;
  const auto* kind =
      rest_.empty() ? std::end(kKinds) : std::ranges::find(kKinds, lower(rest_.front().text));
  if (kind != std::end(kKinds) && rest_.size() > own + behind) {
    rule_.name.kind = static_cast<Kind>(kind - std::begin(kKinds));
    rest_ = rest_.subspan(1);
  }
  // CoreDNS ends them with a dot whatever their kind, but for these.
  const bool whole = rule_.field != Field::kCname || rule_.name.kind == Kind::kExact;
  const auto from = take("the name");
  if (!from.ok()) return from.error();
  if ((*from)->text.empty()) return (*from)->place.error("rewrite: an empty name");
  if (rule_.name.kind == Kind::kRegex) {
    auto pattern = Pattern::compile((*from)->text);
    if (!pattern.ok()) return (*from)->place.error(pattern.error().message());
    rule_.name.pattern = std::make_shared<const Pattern>(*std::move(pattern));
  } else {
    rule_.name.from = lower((*from)->text);
    if (whole) rule_.name.from = with_dot(rule_.name.from);
  }
  if (!has_target) return ok();
  const auto to = take("the new name");
  if (!to.ok()) return to.error();
  rule_.name.to = whole ? with_dot((*to)->text) : (*to)->text;
  if (rule_.name.kind == Kind::kRegex)
    if (const auto done = check_groups(**to, *rule_.name.pattern); !done.ok()) return done;
  if (rule_.name.kind == Kind::kExact)
    if (const auto name = Name::from_text(rule_.name.to); !name.ok())
      return (*to)->place.error(name.error().message());
  return ok();
}

Result<void> RuleReader::name_rule() {
  if (const auto done = name(0, true); !done.ok()) return done;
  return answers();
}

// Any number of `answer auto` and `answer name|value FROM TO`; after the first, `answer` may be
// left out. `answer name auto`, as CoreDNS's examples have it, is `answer auto`.
Result<void> RuleReader::answers() {
  bool any = false;
  bool automatic = false;
  bool names = false;
  const auto at_answer = [&] { return !rest_.empty() && rest_.front().text == "answer"; };
  while (at_answer() || (any && !rest_.empty())) {
    if (at_answer()) rest_ = rest_.subspan(1);
    any = true;
    const auto what = take("auto, name or value");
    if (!what.ok()) return what.error();
    const auto choice = read_choice(**what, {"auto", "name", "value"});
    if (!choice.ok()) return choice.error();
    if (*choice == 0) {
      automatic = true;
      continue;
    }
    const auto from = take("the expression");
    if (!from.ok()) return from.error();
    if (*choice == 1 && (*from)->text == "auto" && (rest_.empty() || at_answer())) {
      automatic = true;
      continue;
    }
    const auto to = take("the new name");
    if (!to.ok()) return to.error();
    auto pattern = Pattern::compile((*from)->text);
    if (!pattern.ok()) return (*from)->place.error(pattern.error().message());
    AnswerRule answer{.value = *choice == 2, .name = {}};
    answer.name.kind = Kind::kRegex;
    answer.name.pattern = std::make_shared<const Pattern>(*std::move(pattern));
    answer.name.to = with_dot((*to)->text);
    if (const auto done = check_groups(**to, *answer.name.pattern); !done.ok()) return done;
    names = names || !answer.value;
    rule_.answers.push_back(std::move(answer));
  }
  if (automatic && names)
    return missing("rewrite: 'answer auto' and 'answer name' are not for one rule");
  // An exact rule knows its name anyway.
  if (automatic || rule_.name.kind == Kind::kExact)
    rule_.back = rule_.name.kind == Kind::kSuffix ? Back::kSuffix : Back::kBelow;
  else if (any)
    rule_.back = Back::kNot;
  return ok();
}

// SECONDS, or a range: 10-60, 10-, -60.
Result<void> RuleReader::ttl() {
  if (const auto done = name(1, false); !done.ok()) return done;
  const auto word = take("the TTL");
  if (!word.ok()) return word.error();
  const std::string& text = (*word)->text;
  const size_t dash = text.find('-');
  const auto bound = [&](const std::string& part, uint32_t fallback) -> std::optional<uint32_t> {
    if (part.empty()) return fallback;
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc() || end != part.data() + part.size() || value > kMaxTtl)
      return std::nullopt;
    return value;
  };
  const auto least = bound(text.substr(0, dash), 0);
  const auto most = dash == std::string::npos ? least : bound(text.substr(dash + 1), kMaxTtl);
  if (text.empty() || text == "-" || !least || !most || *least > *most)
    return (*word)->place.error("'" + text + "' is no TTL such as 30, 30-60, 30- or -60");
  rule_.least_ttl = *least;
  rule_.most_ttl = *most;
  return ok();
}

Result<void> RuleReader::rcode() {
  if (const auto done = name(2, false); !done.ok()) return done;
  return numbers("rcode", &rcode_number);
}

Result<void> RuleReader::option() {
  const auto what = take("local, nsid or subnet");
  if (!what.ok()) return what.error();
  const auto kind = read_choice(**what, {"local", "nsid", "subnet"}, Letters::kAnyCase);
  if (!kind.ok()) return kind.error();
  const auto action = take("set, append, replace or unset");
  if (!action.ok()) return action.error();
  const auto choice =
      read_choice(**action, {"set", "append", "replace", "unset"}, Letters::kAnyCase);
  if (!choice.ok()) return choice.error();
  rule_.option.action = static_cast<OptionRule::Action>(*choice);
  if (!unsets() && !rest_.empty() && rest_.back().text == "revert") {
    rule_.option.revert = true;
    rest_ = rest_.first(rest_.size() - 1);
  }
  if (*kind == 0) return local_option();
  if (*kind == 2) return subnet_option();
  rule_.option.code = static_cast<uint16_t>(EdnsOption::kNsid);
  return ok();
}

Result<void> RuleReader::local_option() {
  const auto code = take("the option's code");
  if (!code.ok()) return code.error();
  const auto number = prefixed_number((*code)->text);
  if (!number || *number > UINT16_MAX)
    return (*code)->place.error("'" + (*code)->text + "' is no option code such as 0xffee");
  rule_.option.code = static_cast<uint16_t>(*number);
  if (rule_.option.code == static_cast<uint16_t>(EdnsOption::kCookie))
    return (*code)->place.error("cookies are between neighbours: option 10 cannot be rewritten");
  if (unsets()) return ok();
  rule_.option.told = true;
  const auto data = take("the option's data");
  if (!data.ok()) return data.error();
  return local_data(**data);
}

// 0x and hex digits, a variable in braces, or the text as it is.
Result<void> RuleReader::local_data(const Word& word) {
  static constexpr const char* kVariables[] = {"{qname}",       "{qtype}",    "{client_ip}",
                                               "{client_port}", "{protocol}", "{server_ip}",
                                               "{server_port}"};
  const std::string& text = word.text;
  if (text.starts_with('{') && text.ends_with('}')) {
    rule_.option.label = text.substr(1, text.size() - 2);
    const auto* at = std::ranges::find(kVariables, text);
    if (at == std::end(kVariables) && !is_label_name(rule_.option.label))
      return word.place.error("rewrite: '" + text +
                              "' is neither a variable nor a label such as {kubernetes/service}");
    rule_.option.data = static_cast<OptionRule::Data>(1 + (at - std::begin(kVariables)));
    return ok();
  }
  if (!text.starts_with("0x")) {
    rule_.option.bytes.assign(text.begin(), text.end());
    return ok();
  }
  for (size_t i = 2; i < text.size(); i += 2) {
    uint8_t byte = 0;
    const char* const start = text.data() + i;
    const char* const end = text.data() + std::min(i + 2, text.size());
    const auto [at, error] = std::from_chars(start, end, byte, 16);
    if (error != std::errc() || at != start + 2)
      return word.place.error("'" + text + "' is not pairs of hex digits");
    rule_.option.bytes.push_back(byte);
  }
  return ok();
}

Result<void> RuleReader::subnet_option() {
  rule_.option.code = kSubnetCode;
  if (unsets()) return ok();
  rule_.option.data = OptionRule::Data::kSubnet;
  const struct {
    const char* what;
    uint64_t most;
    uint8_t& bits;
  } kLengths[] = {{"the prefix length for IPv4", 32, rule_.option.prefix_v4},
                  {"the prefix length for IPv6", 128, rule_.option.prefix_v6}};
  for (const auto& length : kLengths) {
    const auto word = take(length.what);
    if (!word.ok()) return word.error();
    const auto bits = prefixed_number((*word)->text);
    if (!bits || *bits > length.most)
      return (*word)->place.error("'" + (*word)->text + "' is not a whole number from 0 to " +
                                  std::to_string(length.most));
    length.bits = static_cast<uint8_t>(*bits);
  }
  return ok();
}

bool is_answer(std::string_view word) {
  return word == "answer" || word == "auto" || word == "name" || word == "value";
}

// `rewrite stop {` with the rule's words on the lines below is the same as all on one line.
Result<std::vector<Word>> words_of(const Directive& directive) {
  std::vector<Word> words = directive.arguments;
  if (!directive.block) return words;
  for (const Directive& line : *directive.block) {
    if (const auto right = expect_no_block(line); !right.ok()) return right.error();
    if (&line != &directive.block->front() && !is_answer(line.name.text))
      return line.name.place.error("rewrite: one rule in a block, and its 'answer' lines");
    words.push_back(line.name);
    words.insert(words.end(), line.arguments.begin(), line.arguments.end());
  }
  return words;
}

}  // namespace

Result<std::shared_ptr<PluginOptions>> parse_rewrite(const PluginKind::Directives& directives,
                                                     BlockSetup& block) {
  auto options = std::make_shared<RewriteOptions>();
  for (const Directive& directive : directives) {
    if (options->rules.size() == kMaxRules)
      return directive.name.place.error("over 1000 rules of rewrite");
    const auto words = words_of(directive);
    if (!words.ok()) return words.error();
    auto rule = RuleReader(directive.name, *words).run();
    if (!rule.ok()) return rule.error();
    if (rule->option.data == OptionRule::Data::kLabel) ask_label(block, rule->option.label);
    options->rules.push_back(*std::move(rule));
  }
  return std::shared_ptr<PluginOptions>(std::move(options));
}

}  // namespace fairlead::dns
