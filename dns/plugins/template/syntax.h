// SPDX-License-Identifier: Apache-2.0
// A template as a tree: that part of Go's text/template that can be of use in a record. Pure.
//
//   text {{ pipeline }} {{ if p }} .. {{ else if p }} .. {{ else }} .. {{ end }}
//   {{ with p }} {{ range p }} {{ range $i, $x := p }} {{ break }} {{ continue }} {{ /* comment */ }}
//   {{ $x := p }} {{ $x = p }}
//
// A pipeline is commands between bars, a command a function or `.Meta` with its arguments, or one
// value: a string, a whole number, true, false, nil, a variable, the dot, fields of these, or a
// pipeline in parentheses. "{{- " and " -}}" trim the blanks beside.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dns/plugins/template/value.h"

namespace fairlead::dns {

struct Pipeline;

struct Operand {
  enum class Kind : uint8_t { kLiteral, kDot, kVariable, kPipeline, kFunction };
  Kind kind = Kind::kLiteral;
  Value literal;
  std::string name;  // of a variable or function
  std::shared_ptr<const Pipeline> pipeline;
  std::vector<std::string> fields;
};

struct Pipeline {
  std::vector<std::string> variables;  // that take the value; `range` may have two
  bool declares = false;               // the variables are new
  std::vector<std::vector<Operand>> commands;
};

struct Node {
  enum class Kind : uint8_t { kText, kAction, kIf, kWith, kRange, kBreak, kContinue };
  Kind kind = Kind::kText;
  std::string text;
  Pipeline pipeline;
  std::vector<Node> body;
  std::vector<Node> otherwise;
};

struct Tree {
  std::vector<Node> nodes;
  std::vector<std::string> groups;     // the named groups it asks for
  std::vector<std::string> variables;  // .Var.NAME
  std::vector<std::string> labels;     // that it asks for; "": which is only known later
};

// Fails on what is not understood, and on fields of the query that there are not.
Result<Tree> parse_template_text(std::string_view text);

}  // namespace fairlead::dns
