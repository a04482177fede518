// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/template/words.h"

#include <charconv>

namespace fairlead::dns {
namespace {

using Kind = ActionWord::Kind;

constexpr std::string_view kBlanks = " \t\r\n";

bool is_letter(char c) {
  return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Behind the quote that ends a text that begins with one; npos: it does not end.
size_t quote_end(std::string_view text) {
  const char quote = text.front();
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\' && quote == '"')
      ++i;
    else if (text[i] == quote)
      return i + 1;
  }
  return std::string_view::npos;
}

Result<std::string> unquoted(std::string_view text) {
  const std::string_view inner = text.substr(1, text.size() - 2);
  if (text.front() == '`') return std::string(inner);
  std::string out;
  for (size_t i = 0; i < inner.size(); ++i) {
    if (inner[i] != '\\') {
      out += inner[i];
      continue;
    }
    static constexpr std::pair<char, char> kEscapes[] = {
        {'n', '\n'}, {'t', '\t'}, {'r', '\r'}, {'\\', '\\'}, {'"', '"'}};
    bool known = false;
    for (const auto& [letter, byte] : kEscapes) {
      if (inner[i + 1] != letter) continue;
      out += byte;
      known = true;
    }
    if (!known)
      return Error::invalid("'\\" + std::string(1, inner[i + 1]) +
                            "' in a string is not understood");
    ++i;
  }
  return out;
}

size_t name_size(std::string_view text) {
  size_t size = 0;
  while (size < text.size() && (is_letter(text[size]) || is_digit(text[size]))) ++size;
  return size;
}

// One word off the front of the text, which is not empty and begins with no blank.
Result<ActionWord> take_word(std::string_view& text) {
  const auto take = [&](Kind kind, size_t size, size_t skipped = 0) {
    ActionWord word{kind, std::string(text.substr(skipped, size - skipped))};
    text.remove_prefix(size);
    return word;
  };
  const char c = text.front();
  if (c == '"' || c == '`') {
    const size_t end = quote_end(text);
    if (end == std::string_view::npos) return Error::invalid("a string does not end");
    const auto inner = unquoted(text.substr(0, end));
    if (!inner.ok()) return inner.error();
    ActionWord word = take(Kind::kString, end);
    word.text = *inner;
    return word;
  }
  if (c == '.') {
    const size_t size = name_size(text.substr(1));
    return size == 0 ? take(Kind::kDot, 1) : take(Kind::kField, 1 + size, 1);
  }
  if (c == '$') return take(Kind::kVariable, 1 + name_size(text.substr(1)));
  if (is_letter(c)) return take(Kind::kName, name_size(text));
  if (is_digit(c) || (c == '-' && text.size() > 1 && is_digit(text[1]))) {
    ActionWord word{Kind::kNumber, ""};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), word.number);
    if (error != std::errc()) return Error::invalid("a number is too large");
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    if (name_size(text) != 0 || text.starts_with('.'))
      return Error::invalid("numbers are whole and decimal");
    return word;
  }
  if (text.starts_with(":=")) return take(Kind::kMark, 2);
  if (std::string_view("()|,=").find(c) != std::string_view::npos) return take(Kind::kMark, 1);
  return Error::invalid("'" + std::string(1, c) + "' is not understood");
}

}  // namespace

Result<std::vector<ActionWord>> action_words(std::string_view action) {
  std::vector<ActionWord> words;
  for (;;) {
    const size_t blanks = std::min(action.find_first_not_of(kBlanks), action.size());
    action.remove_prefix(blanks);
    if (action.empty()) break;
    auto word = take_word(action);
    if (!word.ok()) return word.error();
    word->after_blank = blanks > 0 || words.empty();
    words.push_back(*std::move(word));
  }
  words.push_back({});
  return words;
}

size_t action_end(std::string_view text) {
  for (size_t i = 0; i + 1 < text.size();) {
    if (text[i] == '}' && text[i + 1] == '}') return i;
    const bool quote = text[i] == '"' || text[i] == '`';
    const size_t end = quote ? quote_end(text.substr(i)) : 1;
    if (end == std::string_view::npos) break;
    i += end;
  }
  return std::string_view::npos;
}

}  // namespace fairlead::dns
