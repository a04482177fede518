// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/template/text.h"

#include <fmt/format.h>

#include <algorithm>

#include "dns/plugins/template/functions.h"
#include "dns/plugins/template/print.h"

namespace fairlead::dns {
namespace {

// Of what is not there nothing, which prints as "<no value>" (text/template's missingkey=default).
Value member(const ValueMap& map, const std::string& name) {
  const auto at = map.find(name);
  return at == map.end() ? Value() : at->second;
}

Result<Value> field_of_query(const TemplateData& data, const std::string& name) {
  if (name == "Name") return Value(data.name);
  if (name == "Zone") return Value(data.zone);
  if (name == "Class") return Value(data.klass);
  if (name == "Type") return Value(data.type);
  if (name == "Remote") return Value(data.remote);
  if (name == "Regex") return Value(data.regex);
  if (name == "Message") return Value(QueryPart::kMessage);
  if (name == "Question") return Value(QueryPart::kQuestion);
  if (name == "Var") return Value(data.variables);
  if (name == "Match") return Value(ValueList(data.match.begin(), data.match.end()));
  if (name != "Group") return Error::invalid("a query has no field ." + name);
  ValueMap groups;
  for (size_t i = 0; i < data.match.size(); ++i) {
    groups[std::to_string(i)] = data.match[i];
    if (data.names != nullptr && !(*data.names)[i].empty())
      groups[(*data.names)[i]] = data.match[i];
  }
  return Value(std::move(groups));
}

Result<Value> field_of_message(const Query& query, const std::string& name) {
  if (name == "Id") return Value(int64_t{query.id});
  if (name == "Opcode") return Value(static_cast<int64_t>(query.opcode()));
  if (name == "RecursionDesired") return Value(query.recursion_desired());
  if (name == "CheckingDisabled") return Value((query.flags & kFlagCheckingDisabled) != 0);
  if (name == "AuthenticatedData") return Value((query.flags & kFlagAuthenticData) != 0);
  return Error::invalid("a message has no field ." + name);
}

Result<Value> field_of_question(const Query& query, const std::string& name) {
  if (name == "Name") return Value(query.name.to_text());
  if (name == "Qtype") return Value(static_cast<int64_t>(query.type));
  if (name == "Qclass") return Value(static_cast<int64_t>(query.klass));
  return Error::invalid("a question has no field ." + name);
}

Result<Value> field_of(const TemplateData& data, const Value& value, const std::string& name) {
  if (const auto* part = value.query()) {
    switch (*part) {
      case QueryPart::kAll:
        return field_of_query(data, name);
      case QueryPart::kMessage:
        return field_of_message(*data.query, name);
      case QueryPart::kQuestion:
        return field_of_question(*data.query, name);
    }
  }
  const auto* map = value.map();
  if (map == nullptr)
    return Error::invalid(fmt::format("a {} has no field .{}", value.kind_name(), name));
  return member(*map, name);
}

enum class Flow : uint8_t { kOn, kBreak, kContinue };

// One filling.
class Run {
 public:
  explicit Run(const TemplateData& data) : data_(data) {
    variables_.emplace_back("$", QueryPart::kAll);
  }
  Result<std::string> fill(const std::vector<Node>& nodes) {
    const auto done = walk(nodes, QueryPart::kAll);
    if (!done.ok()) return done.error();
    return std::move(out_);
  }

 private:
  Result<Flow> walk(const std::vector<Node>& nodes, const Value& dot);
  Result<Flow> visit(const Node& node, const Value& dot);
  Result<Flow> choose(const Node& node, const Value& dot);
  Result<Flow> loop(const Node& node, const Value& dot);
  Result<Flow> turn(const Node& range, const Value& key, const Value& value);
  Result<Value> evaluate(const Pipeline& pipeline, const Value& dot);
  Result<Value> call(const std::vector<Operand>& command, const Value& dot, const Value* piped);
  Result<Value> shortcut(const std::vector<Operand>& command, const Value& dot, const Value* piped);
  Result<Value> label(std::span<const Value> arguments) const;
  Result<Value> value_of(const Operand& operand, const Value& dot);
  void set(const std::string& name, bool declare, const Value& value);
  auto variable(const std::string& name) {
    return std::find_if(variables_.rbegin(), variables_.rend(),
                        [&](const auto& each) { return each.first == name; });
  }

  const TemplateData& data_;
  std::string out_;
  Work work_;
  std::vector<std::pair<std::string, Value>> variables_;
};

Result<Flow> Run::walk(const std::vector<Node>& nodes, const Value& dot) {
  const size_t variables = variables_.size();
  Flow flow = Flow::kOn;
  for (const Node& node : nodes) {
    const auto done = visit(node, dot);
    if (!done.ok()) return done.error();
    flow = *done;
    if (flow != Flow::kOn) break;
    if (out_.size() > kMaxText) return Error::invalid("the text is too long");
  }
  variables_.resize(variables);
  return flow;
}

Result<Flow> Run::visit(const Node& node, const Value& dot) {
  if (const auto step = work_.steps(1); !step.ok()) return step.error();
  switch (node.kind) {
    case Node::Kind::kText:
      out_ += node.text;
      return Flow::kOn;
    case Node::Kind::kAction: {
      const auto value = evaluate(node.pipeline, dot);
      if (!value.ok()) return value.error();
      if (node.pipeline.variables.empty()) out_ += value->text();
      return Flow::kOn;
    }
    case Node::Kind::kIf:
    case Node::Kind::kWith:
      return choose(node, dot);
    case Node::Kind::kRange:
      return loop(node, dot);
    case Node::Kind::kBreak:
      return Flow::kBreak;
    case Node::Kind::kContinue:
      return Flow::kContinue;
  }
  return Flow::kOn;
}

Result<Flow> Run::choose(const Node& node, const Value& dot) {
  const size_t variables = variables_.size();
  const auto value = evaluate(node.pipeline, dot);
  if (!value.ok()) return value.error();
  const bool moves = node.kind == Node::Kind::kWith;
  const auto done =
      value->truth() ? walk(node.body, moves ? *value : dot) : walk(node.otherwise, dot);
  variables_.resize(variables);
  return done;
}

// The variables are there: the pipeline declared them.
Result<Flow> Run::turn(const Node& range, const Value& key, const Value& value) {
  if (const auto step = work_.steps(1); !step.ok()) return step.error();
  const auto& names = range.pipeline.variables;
  if (names.size() == 2) set(names[0], false, key);
  if (!names.empty()) set(names.back(), false, value);
  return walk(range.body, value);
}

Result<Flow> Run::loop(const Node& node, const Value& dot) {
  const size_t variables = variables_.size();
  const auto over = evaluate(node.pipeline, dot);  // what its variables are at first, as in Go
  if (!over.ok()) return over.error();
  const auto* number = over->number();
  const auto* list = over->list();
  const auto* map = over->map();
  if (number == nullptr && list == nullptr && map == nullptr)
    return Error::invalid(fmt::format("a range over a {}", over->kind_name()));
  Result<Flow> done = Flow::kOn;
  if (!over->truth() || (number != nullptr && *number < 0)) {
    done = walk(node.otherwise, dot);
    variables_.resize(variables);
    return done;
  }
  const auto goes_on = [&] { return done.ok() && *done != Flow::kBreak; };
  const int64_t turns = number != nullptr ? *number
                        : list != nullptr ? static_cast<int64_t>(list->size())
                                          : 0;
  for (int64_t i = 0; i < turns && goes_on(); ++i)
    done = turn(node, i, list != nullptr ? (*list)[static_cast<size_t>(i)] : Value(i));
  if (map != nullptr)
    for (auto at = map->begin(); at != map->end() && goes_on(); ++at)
      done = turn(node, at->first, at->second);
  variables_.resize(variables);
  return done.ok() ? Flow::kOn : done;
}

void Run::set(const std::string& name, bool declare, const Value& value) {
  const auto at = variable(name);
  if (declare || at == variables_.rend())
    variables_.emplace_back(name, value);
  else
    at->second = value;
}

Result<Value> Run::evaluate(const Pipeline& pipeline, const Value& dot) {
  Value value;
  const Value* piped = nullptr;
  for (const auto& command : pipeline.commands) {
    auto next = call(command, dot, piped);
    if (!next.ok()) return next.error();
    if (const auto made = work_.made(*next); !made.ok()) return made.error();
    value = *std::move(next);
    piped = &value;
  }
  for (const std::string& name : pipeline.variables) set(name, pipeline.declares, value);
  return value;
}

Result<Value> Run::call(const std::vector<Operand>& command, const Value& dot, const Value* piped) {
  const Operand& first = command.front();
  const bool function = first.kind == Operand::Kind::kFunction;
  if (function && (first.name == "and" || first.name == "or")) return shortcut(command, dot, piped);
  const bool meta = !first.fields.empty() && first.fields.back() == "Meta";
  if (!function && !meta) {
    if (piped != nullptr) return Error::invalid("what is piped to is no function");
    return value_of(first, dot);
  }
  std::vector<Value> arguments;
  for (const Operand& operand : std::span(command).subspan(1)) {
    auto value = value_of(operand, dot);
    if (!value.ok()) return value.error();
    arguments.push_back(*std::move(value));
  }
  if (piped != nullptr) arguments.push_back(*piped);
  return function ? call_function(first.name, arguments) : label(arguments);
}

// `and` ends with the first that is not true, `or` with the first that is.
Result<Value> Run::shortcut(const std::vector<Operand>& command, const Value& dot,
                            const Value* piped) {
  const bool wanted = command.front().name == "or";
  Value last;
  for (const Operand& operand : std::span(command).subspan(1)) {
    auto value = value_of(operand, dot);
    if (!value.ok() || value->truth() == wanted) return value;
    last = *std::move(value);
  }
  return piped != nullptr ? *piped : last;
}

Result<Value> Run::label(std::span<const Value> arguments) const {
  const auto* name = arguments.size() == 1 ? arguments[0].string() : nullptr;
  if (name == nullptr) return Error::invalid("'.Meta' takes one label");
  return Value(data_.label ? data_.label(*name) : "");
}

Result<Value> Run::value_of(const Operand& operand, const Value& dot) {
  Result<Value> value = operand.literal;
  switch (operand.kind) {
    case Operand::Kind::kLiteral:
      break;
    case Operand::Kind::kDot:
      value = dot;
      break;
    case Operand::Kind::kVariable: {
      const auto at = variable(operand.name);
      if (at == variables_.rend())
        return Error::invalid("there is no variable '" + operand.name + "'");
      value = at->second;
      break;
    }
    case Operand::Kind::kPipeline:
      value = evaluate(*operand.pipeline, dot);
      break;
    case Operand::Kind::kFunction:
      value = call_function(operand.name, {});
      break;
  }
  for (size_t i = 0;; ++i) {
    if (!value.ok()) return value;
    if (const auto made = work_.made(*value); !made.ok()) return made.error();
    if (i == operand.fields.size()) return value;
    const auto* part = value->query();
    const bool one_of_many = part != nullptr && *part == QueryPart::kAll &&
                             operand.fields[i] == "Var" && i + 1 < operand.fields.size();
    value = one_of_many ? member(data_.variables, operand.fields[++i])
                        : field_of(data_, *value, operand.fields[i]);
  }
}

}  // namespace

Result<TemplateText> TemplateText::parse(std::string_view text) {
  auto tree = parse_template_text(text);
  if (!tree.ok()) return tree.error();
  TemplateText out;
  out.tree_ = *std::move(tree);
  out.printed_ = to_text(out.tree_);
  return out;
}

Result<std::string> TemplateText::fill(const TemplateData& data) const {
  return Run(data).fill(tree_.nodes);
}

bool TemplateText::constant() const {
  return std::ranges::all_of(tree_.nodes,
                             [](const Node& node) { return node.kind == Node::Kind::kText; });
}

}  // namespace fairlead::dns
