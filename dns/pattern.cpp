// SPDX-License-Identifier: Apache-2.0
#include "dns/pattern.h"

namespace fairlead::dns {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// From RE2's syntax to that of std::regex (ECMAScript).
class Translator {
 public:
  explicit Translator(std::string_view text) : rest_(text) {}

  Result<void> run() {
    if (take("(?i)")) ignore_case = true;
    while (!rest_.empty()) {
      const Result<void> done = step();
      if (!done.ok()) return done;
    }
    return ok();
  }

  std::string out;
  std::vector<std::string> names = {""};
  bool ignore_case = false;

 private:
  Result<void> step() {
    const char c = rest_.front();
    if (const size_t size = repetition(); size > 0) return repeat(size);
    if (c == '?') return ++repeats_ > 2 ? bad("?") : copy(1);
    repeats_ = 0;
    switch (c) {
      case '\\':
        return escape();
      case '(':
        return group();
      case '[':
        return bracket();
      case '{':
      case '}':
      case ']':
        out += '\\';
        break;
      default:
        break;
    }
    return copy(1);
  }

  // RE2 refuses a repetition of a repetition.
  Result<void> repeat(size_t size) {
    if (repeats_ != 0) return bad(rest_.substr(0, size));
    repeats_ = 1;
    return copy(size);
  }

  Result<void> copy(size_t count) {
    out += rest_.substr(0, count);
    rest_.remove_prefix(count);
    return ok();
  }
  bool take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  Error bad(std::string_view what) const {
    return Error(ErrorCode::kInvalid, "'" + std::string(what) + "' is not understood here");
  }

  // The size of *, +, {2}, {2,} or {2,5}, else 0; other braces are literal.
  size_t repetition() const {
    if (rest_.front() == '*' || rest_.front() == '+') return 1;
    if (rest_.front() != '{') return 0;
    size_t at = 1;
    while (at < rest_.size() && is_digit(rest_[at])) ++at;
    if (at == 1) return 0;
    if (at < rest_.size() && rest_[at] == ',') ++at;
    while (at < rest_.size() && is_digit(rest_[at])) ++at;
    return at < rest_.size() && rest_[at] == '}' ? at + 1 : 0;
  }

  Result<void> escape() {
    if (rest_.size() == 1) return bad("\\");
    const char c = rest_[1];
    if (take("\\A")) return out += '^', ok();
    if (take("\\z")) return out += '$', ok();
    if (take("\\Q")) return quoted();
    if (is_word(c) && std::string_view("dDwWsSbBnrtfvx").find(c) == std::string_view::npos)
      return bad(rest_.substr(0, 2));
    if (c == 'x' && !is_hex_escape()) return bad("\\x");
    return copy(2);
  }
  bool is_hex_escape() const {
    return rest_.size() >= 4 && std::isxdigit(static_cast<unsigned char>(rest_[2])) != 0 &&
           std::isxdigit(static_cast<unsigned char>(rest_[3])) != 0;
  }
  Result<void> quoted() {
    while (!rest_.empty() && !take("\\E")) {
      if (!is_word(rest_.front())) out += '\\';
      (void)copy(1);
    }
    return ok();
  }

  Result<void> group() {
    if (take("(?:")) return out += "(?:", ok();
    if (take("(?P<") || take("(?<")) {
      const size_t end = rest_.find('>');
      const std::string name(rest_.substr(0, end));
      if (end == std::string_view::npos || name.empty()) return bad("(?P<");
      for (const char c : name)
        if (!is_word(c)) return bad("(?P<" + name + ">");
      rest_.remove_prefix(end + 1);
      names.push_back(name);
      return out += '(', ok();
    }
    if (rest_.starts_with("(?")) return bad(rest_.substr(0, 3));
    names.emplace_back();
    return copy(1);
  }

  // A ']' that comes first is one of the characters.
  Result<void> bracket() {
    (void)copy(rest_.starts_with("[^") ? 2 : 1);
    if (take("]")) out += "\\]";
    while (!rest_.empty() && rest_.front() != ']') {
      Result<void> done;
      const size_t named = rest_.starts_with("[:") ? rest_.find(":]") : std::string_view::npos;
      if (rest_.front() == '\\')
        done = rest_.starts_with("\\b") || rest_.starts_with("\\B") ? bad("\\b") : escape();
      else if (named != std::string_view::npos)
        done = copy(named + 2);
      else if (rest_.front() == '[')
        done = (out += '\\', copy(1));
      else
        done = copy(1);
      if (!done.ok()) return done;
    }
    if (rest_.empty()) return bad("[");
    return copy(1);
  }

  std::string_view rest_;
  int repeats_ = 0;  // 1 behind a repetition, 2 behind a lazy one
};

}  // namespace

NameText::NameText(const Name& name) {
  for (size_t i = 0; i < name.labels(); ++i) {
    for (const char c : name.label(i)) add(static_cast<uint8_t>(c));
    text_[size_++] = '.';
  }
  if (size_ == 0) text_[size_++] = '.';
}

void NameText::add(uint8_t c) {
  if (c <= ' ' || c >= 0x7f) {
    text_[size_++] = '\\';
    text_[size_++] = static_cast<char>('0' + c / 100);
    text_[size_++] = static_cast<char>('0' + c / 10 % 10);
    text_[size_++] = static_cast<char>('0' + c % 10);
    return;
  }
  if (c == '.' || c == '\\') text_[size_++] = '\\';
  text_[size_++] = static_cast<char>(c);
}

Result<Pattern> Pattern::compile(std::string_view text) {
  const auto bad = [&](const std::string& why) {
    return Error(ErrorCode::kInvalid,
                 "'" + std::string(text) + "' is no regular expression: " + why);
  };
  if (text.size() > kMaxPattern) return bad("it is too long");
  Translator translator(text);
  if (const Result<void> done = translator.run(); !done.ok()) return bad(done.error().message());
  // __polynomial is the breadth-first matcher of libstdc++: a hostile name costs no more than one
  // step for each of the expression's states and the name's bytes.
  auto flags = std::regex::ECMAScript | std::regex_constants::__polynomial;
  if (translator.ignore_case) flags |= std::regex::icase;
  Pattern pattern;
  try {
    pattern.regex_.assign(translator.out, flags);
    pattern.finder_.assign("[\\s\\S]*?(?:" + translator.out + ")", flags | std::regex::nosubs);
  } catch (const std::regex_error& error) {
    return bad(error.what());
  }
  pattern.names_ = std::move(translator.names);
  return pattern;
}

bool Pattern::search(std::string_view text, std::vector<std::string>* groups) const {
  const char* const end = text.data() + text.size();
  std::cmatch found;
  try {
    if (!std::regex_search(text.data(), end, finder_, std::regex_constants::match_continuous))
      return false;
    if (groups == nullptr) return true;
    if (!std::regex_search(text.data(), end, found, regex_)) return false;
  } catch (const std::regex_error&) {
    return false;  // over the library's limits
  }
  groups->clear();
  for (const auto& group : found) groups->push_back(group.str());
  return true;
}

}  // namespace fairlead::dns
