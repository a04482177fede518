// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/template/text.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace fairlead::dns {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::pair<std::string_view, std::string TemplateData::*> kFields[] = {
    {".Name", &TemplateData::name},
    {".Zone", &TemplateData::zone},
    {".Class", &TemplateData::klass},
    {".Type", &TemplateData::type},
    {".Remote", &TemplateData::remote},
    {".Regex", &TemplateData::regex},
    {".Message.Id", &TemplateData::id},
    {".Message.ID", &TemplateData::id},
    {".Question.Name", &TemplateData::question},
};

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// "index .Match 1" without "index .Match".
std::optional<std::string_view> behind(std::string_view text, std::string_view first,
                                       std::string_view second) {
  if (!text.starts_with(first)) return std::nullopt;
  text = trimmed(text.substr(first.size()));
  if (!text.starts_with(second)) return std::nullopt;
  return trimmed(text.substr(second.size()));
}

std::optional<size_t> number(std::string_view text) {
  size_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || at != end || value > 99) return std::nullopt;
  return value;
}

bool is_identifier(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
}

}  // namespace

Result<TemplateText> TemplateText::parse(std::string_view text) {
  TemplateText out;
  const auto add_text = [&](std::string_view part) {
    if (!part.empty()) out.pieces_.push_back({Kind::kText, std::string(part), nullptr, 0});
  };
  bool trim = false;  // the last action ended in "-"
  for (;;) {
    if (trim) text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
    const size_t open = text.find("{{");
    if (open == std::string_view::npos) break;
    const size_t close = text.find("}}", open);
    if (close == std::string_view::npos) return Error(ErrorCode::kInvalid, "a '{{' without a '}}'");
    std::string_view action = text.substr(open + 2, close - open - 2);
    std::string_view before = text.substr(0, open);
    if (action.starts_with("- ")) {
      before = before.substr(0, before.find_last_not_of(kBlanks) + 1);
      action.remove_prefix(1);
    }
    trim = action.ends_with(" -");
    if (trim) action.remove_suffix(1);
    add_text(before);
    Result<Piece> piece = parse_action(trimmed(action));
    if (!piece.ok()) return piece.error();
    out.pieces_.push_back(*std::move(piece));
    text.remove_prefix(close + 2);
  }
  add_text(text);
  return out;
}

Result<TemplateText::Piece> TemplateText::parse_action(std::string_view action) {
  for (const auto& [name, field] : kFields)
    if (action == name) return Piece{Kind::kField, "", field, 0};
  std::optional<size_t> index;
  if (const auto rest = behind(action, "index ", ".Match ")) index = number(*rest);
  if (action.starts_with(".Match[") && action.ends_with(']'))
    index = number(action.substr(7, action.size() - 8));
  if (index) return Piece{Kind::kMatch, "", nullptr, *index};
  std::string_view group;
  if (action.starts_with(".Group.")) group = action.substr(7);
  if (const auto rest = behind(action, "index ", ".Group "))
    if (rest->size() > 2 && rest->front() == '"' && rest->back() == '"')
      group = rest->substr(1, rest->size() - 2);
  if (is_identifier(group)) return Piece{Kind::kGroup, std::string(group), nullptr, 0};
  const std::string shown = "'{{ " + std::string(action) + " }}'";
  if (action.starts_with(".Meta"))
    return Error(ErrorCode::kInvalid, shown + ": labels of metadata are not in fairlead-dns");
  return Error(ErrorCode::kInvalid,
               shown +
                   " is not in fairlead-dns; there are .Name, .Zone, .Type, .Class, .Remote, "
                   ".Group.NAME and 'index .Match 1'");
}

std::string TemplateText::fill(const TemplateData& data) const {
  std::string out;
  for (const Piece& piece : pieces_) {
    switch (piece.kind) {
      case Kind::kText:
        out += piece.text;
        break;
      case Kind::kField:
        out += data.*piece.field;
        break;
      case Kind::kMatch:
        if (piece.index < data.match.size()) out += data.match[piece.index];
        break;
      case Kind::kGroup: {
        const auto index = number(piece.text);  // "1" is a name, too
        for (size_t i = 0; i < data.match.size(); ++i)
          if (index == i || (data.names != nullptr && (*data.names)[i] == piece.text))
            out += data.match[i];
        break;
      }
    }
  }
  return out;
}

bool TemplateText::constant() const {
  return std::ranges::all_of(pieces_, [](const Piece& piece) { return piece.kind == Kind::kText; });
}

std::vector<std::string> TemplateText::groups() const {
  std::vector<std::string> out;
  for (const Piece& piece : pieces_)
    if (piece.kind == Kind::kGroup && !number(piece.text)) out.push_back(piece.text);
  return out;
}

}  // namespace fairlead::dns
