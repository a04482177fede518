// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/template/print.h"

#include <fmt/format.h>

namespace fairlead::dns {
namespace {

std::string literal(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (c == '\r')
      out += "\\r";
    else
      out += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
  }
  return out + "\"";
}

std::string literal(const Value& value) {
  if (value.kind() == Value::Kind::kNothing) return "nil";
  return value.string() != nullptr ? literal(*value.string()) : value.text();
}

std::string print(const Pipeline& pipeline);

std::string print(const Operand& operand) {
  std::string out;
  switch (operand.kind) {
    case Operand::Kind::kLiteral:
      out = literal(operand.literal);
      break;
    case Operand::Kind::kDot:
      out = operand.fields.empty() ? "." : "";
      break;
    case Operand::Kind::kVariable:
    case Operand::Kind::kFunction:
      out = operand.name;
      break;
    case Operand::Kind::kPipeline:
      out = "(" + print(*operand.pipeline) + ")";
      break;
  }
  for (const std::string& field : operand.fields) out += "." + field;
  return out;
}

std::string print(const Pipeline& pipeline) {
  std::string out;
  if (!pipeline.variables.empty())
    out =
        fmt::format("{} {} ", fmt::join(pipeline.variables, ", "), pipeline.declares ? ":=" : "=");
  for (size_t i = 0; i < pipeline.commands.size(); ++i) {
    out += i == 0 ? "" : " | ";
    for (size_t j = 0; j < pipeline.commands[i].size(); ++j)
      out += (j == 0 ? "" : " ") + print(pipeline.commands[i][j]);
  }
  return out;
}

std::string print(const std::vector<Node>& nodes);

std::string block(const char* name, const Node& node) {
  std::string out = fmt::format("{{{{{} {}}}}}", name, print(node.pipeline)) + print(node.body);
  if (!node.otherwise.empty()) out += "{{else}}" + print(node.otherwise);
  return out + "{{end}}";
}

std::string print(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kText:
      return node.text;
    case Node::Kind::kAction:
      return "{{" + print(node.pipeline) + "}}";
    case Node::Kind::kIf:
      return block("if", node);
    case Node::Kind::kWith:
      return block("with", node);
    case Node::Kind::kRange:
      return block("range", node);
    case Node::Kind::kBreak:
      return "{{break}}";
    case Node::Kind::kContinue:
      return "{{continue}}";
  }
  return "";
}

std::string print(const std::vector<Node>& nodes) {
  std::string out;
  for (const Node& node : nodes) out += print(node);
  return out;
}

}  // namespace

std::string to_text(const Tree& tree) {
  return print(tree.nodes);
}

}  // namespace fairlead::dns
