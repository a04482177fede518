// SPDX-License-Identifier: Apache-2.0
// The texts of `template`: that part of Go's text/template that Corefiles use. An action is a field
// of the query, with or without "-" that trims the blanks beside it:
//
//   {{ .Name }} {{ .Zone }} {{ .Class }} {{ .Type }} {{ .Remote }} {{ .Regex }}
//   {{ .Match[1] }} {{ index .Match 1 }} {{ .Group.name }} {{ index .Group "name" }}
//   {{ .Message.Id }} {{ .Question.Name }}
//
// Everything else is an error. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fairlead::dns {

// What a text is filled with.
struct TemplateData {
  std::string name;  // in lower case, with the final dot
  std::string zone;
  std::string klass;
  std::string type;
  std::string remote;
  std::string regex;
  std::string question;  // the name as the client wrote it
  std::string id;
  std::vector<std::string> match;                   // the groups
  const std::vector<std::string>* names = nullptr;  // of the groups
};

class TemplateText {
 public:
  static Result<TemplateText> parse(std::string_view text);
  std::string fill(const TemplateData& data) const;
  // Without actions: the same for every query.
  bool constant() const;
  // The named groups it uses.
  std::vector<std::string> groups() const;

 private:
  enum class Kind : uint8_t { kText, kField, kMatch, kGroup };
  struct Piece {
    Kind kind = Kind::kText;
    std::string text;                            // kText, or the name of kGroup
    std::string TemplateData::*field = nullptr;  // kField
    size_t index = 0;                            // kMatch
  };
  static Result<Piece> parse_action(std::string_view action);

  std::vector<Piece> pieces_;
};

}  // namespace fairlead::dns
