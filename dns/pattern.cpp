// SPDX-License-Identifier: Apache-2.0
#include "dns/pattern.h"

namespace fairlead::dns {
namespace {

// (?<name>...) is Go's since 1.22, and not yet this RE2's.
std::string with_named_groups(std::string_view text) {
  std::string out;
  bool in_class = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      out += text.substr(i++, 2);
      continue;
    }
    if (text[i] == '[') in_class = true;
    if (text[i] == ']') in_class = false;
    const std::string_view rest = text.substr(i);
    out += text[i];
    if (!in_class && rest.starts_with("(?<") && rest.size() > 3 && rest[3] != '=' && rest[3] != '!')
      out += "?P", ++i;
  }
  return out;
}

}  // namespace

namespace {

// As it stands in a name's text (RFC 1035 section 5.1), four bytes at most.
size_t write_char(uint8_t c, char* out) {
  if (c <= ' ' || c >= 0x7f) {
    out[0] = '\\';
    out[1] = static_cast<char>('0' + c / 100);
    out[2] = static_cast<char>('0' + c / 10 % 10);
    out[3] = static_cast<char>('0' + c % 10);
    return 4;
  }
  size_t size = 0;
  if (Name::is_special(c)) out[size++] = '\\';
  out[size++] = static_cast<char>(c);
  return size;
}

}  // namespace

NameText::NameText(const Name& name) {
  for (size_t i = 0; i < name.labels(); ++i) {
    for (const char c : name.label(i)) size_ += write_char(static_cast<uint8_t>(c), text_ + size_);
    text_[size_++] = '.';
  }
  if (size_ == 0) text_[size_++] = '.';
}

std::string label_text(std::string_view label) {
  std::string text;
  char one[4];
  for (const char c : label) text.append(one, write_char(static_cast<uint8_t>(c), one));
  return text;
}

Result<Pattern> Pattern::compile(std::string_view text) {
  const auto bad = [&](const std::string& why) {
    return Error(ErrorCode::kInvalid,
                 "'" + std::string(text) + "' is no regular expression: " + why);
  };
  if (text.size() > kMaxPattern) return bad("it is too long");
  re2::RE2::Options options;
  options.set_encoding(re2::RE2::Options::EncodingLatin1);
  options.set_log_errors(false);
  Pattern pattern;
  pattern.regex_ = std::make_shared<const re2::RE2>(with_named_groups(text), options);
  if (!pattern.regex_->ok()) return bad(pattern.regex_->error());
  pattern.names_.resize(static_cast<size_t>(pattern.regex_->NumberOfCapturingGroups()) + 1);
  for (const auto& [group, name] : pattern.regex_->CapturingGroupNames())
    pattern.names_[static_cast<size_t>(group)] = name;
  return pattern;
}

bool Pattern::search(std::string_view text, std::vector<std::string>* groups) const {
  const re2::StringPiece piece(text.data(), text.size());
  std::vector<re2::StringPiece> found(groups == nullptr ? 0 : names_.size());
  if (!regex_->Match(piece, 0, piece.size(), re2::RE2::UNANCHORED, found.data(),
                     static_cast<int>(found.size())))
    return false;
  if (groups == nullptr) return true;
  groups->clear();
  for (const re2::StringPiece& each : found) groups->emplace_back(each.data(), each.size());
  return true;
}

}  // namespace fairlead::dns
