// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/template/expression.h"

#include <fmt/format.h>

#include <algorithm>

#include "dns/number_text.h"
#include "dns/plugins/template/expression_functions.h"

namespace fairlead::dns {
namespace {

using Kind = ExpressionNode::Kind;

constexpr size_t kMaxDepth = 50;
constexpr size_t kMaxHeight = 500;  // of the tree: 1 + 1 + 1 is three high
// In steps, what takes long but makes only little.
constexpr size_t kCompileSteps = 256;
constexpr size_t kSearchedInAStep = 4'096;

// With its parts in it. Fails when to walk so high a tree could take too much of the stack.
Result<ExpressionNode> grown(ExpressionNode node) {
  for (const ExpressionNode& part : node.parts)
    node.height = std::max(node.height, part.height + 1);
  if (node.height > kMaxHeight) return Error::invalid("it is too long");
  return node;
}

struct ExpressionToken {
  enum class Kind : uint8_t { kName, kNumber, kString, kMark, kEnd };
  Kind kind = Kind::kEnd;
  std::string text;
  bool is(std::string_view mark) const {
    return (kind == Kind::kMark || kind == Kind::kName) && text == mark;
  }
};

bool is_name_byte(char c) {
  return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// A string off the front of the text, which begins with its quote.
Result<ExpressionToken> take_string(std::string_view& text) {
  const char quote = text.front();
  ExpressionToken out{ExpressionToken::Kind::kString, ""};
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == quote) {
      text.remove_prefix(i + 1);
      return out;
    }
    if (text[i] != '\\' || quote == '`') {
      out.text += text[i];
      continue;
    }
    if (++i == text.size()) break;
    const size_t known = std::string_view("nrt\\'\"").find(text[i]);
    if (known == std::string_view::npos)
      return Error::invalid(fmt::format("'\\{}' in a string is not understood", text[i]));
    out.text += "\n\r\t\\'\""[known];
  }
  return Error::invalid("a string does not end");
}

Result<std::vector<ExpressionToken>> tokens_of(std::string_view text) {
  static constexpr std::string_view kMarks[] = {"||", "&&", "==", "!=", "<=", ">=", "(",
                                                ")",  "[",  "]",  ",",  "?",  ":",  "!",
                                                "<",  ">",  "+",  "-",  "*",  "%",  "#"};
  std::vector<ExpressionToken> out;
  for (;;) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
    if (text.empty()) break;
    if (text.front() == '\'' || text.front() == '"' || text.front() == '`') {
      auto token = take_string(text);
      if (!token.ok()) return token.error();
      out.push_back(*std::move(token));
      continue;
    }
    size_t size = 0;
    while (size < text.size() && is_name_byte(text[size])) ++size;
    const bool digit = text.front() >= '0' && text.front() <= '9';
    auto kind = digit ? ExpressionToken::Kind::kNumber : ExpressionToken::Kind::kName;
    if (size == 0) {
      kind = ExpressionToken::Kind::kMark;
      for (const std::string_view mark : kMarks)
        if (size == 0 && text.starts_with(mark)) size = mark.size();
      if (size == 0)
        return Error::invalid(fmt::format("'{}' is not understood in fairlead-dns", text.front()));
    }
    out.push_back({kind, std::string(text.substr(0, size))});
    text.remove_prefix(size);
  }
  out.push_back({});
  return out;
}

struct Operator {
  std::string_view word;
  std::string_view name;
  int binding;
};
constexpr Operator kOperators[] = {
    {"or", "or", 1},
    {"||", "or", 1},
    {"and", "and", 2},
    {"&&", "and", 2},
    {"==", "==", 3},
    {"!=", "!=", 3},
    {"<", "<", 3},
    {"<=", "<=", 3},
    {">", ">", 3},
    {">=", ">=", 3},
    {"in", "in", 3},
    {"contains", "contains", 3},
    {"startsWith", "startsWith", 3},
    {"endsWith", "endsWith", 3},
    {"matches", "matches", 3},
    {"+", "+", 4},
    {"-", "-", 4},
    {"*", "*", 5},
    {"%", "%", 5},
};
constexpr int kNotBinding = 5;  // of what follows `not`

const Operator* operator_of(const ExpressionToken& token) {
  const auto* at =
      std::ranges::find_if(kOperators, [&](const Operator& o) { return token.is(o.word); });
  return at == std::end(kOperators) ? nullptr : at;
}

class ExpressionParser {
 public:
  ExpressionParser(std::vector<ExpressionToken> tokens, const std::vector<std::string>& variables)
      : tokens_(std::move(tokens)), variables_(variables) {}

  Result<ExpressionNode> run() {
    auto whole = choice();
    if (whole.ok() && next().kind != ExpressionToken::Kind::kEnd)
      return Error::invalid("'" + next().text + "' is not expected there");
    return whole;
  }
  std::vector<std::string> labels;
  std::vector<std::string> needs;

 private:
  Result<ExpressionNode> choice();
  Result<ExpressionNode> binary(int least);
  Result<ExpressionNode> operation(const Operator& op, ExpressionNode left);
  Result<ExpressionNode> unary();
  Result<ExpressionNode> primary();
  Result<ExpressionNode> postfix(ExpressionNode node);
  Result<ExpressionNode> named(const std::string& name);
  Result<ExpressionNode> call(const ExpressionFunction& function);
  Result<std::vector<ExpressionNode>> list(std::string_view end, bool predicate);

  const ExpressionToken& next() const { return tokens_[at_]; }
  ExpressionToken take() { return tokens_[at_ + 1 == tokens_.size() ? at_ : at_++]; }
  bool take(std::string_view mark) {
    const bool here = next().is(mark);
    if (here) take();
    return here;
  }

  std::vector<ExpressionToken> tokens_;
  const std::vector<std::string>& variables_;
  size_t at_ = 0;
  size_t depth_ = 0;
  size_t predicates_ = 0;
};

Result<ExpressionNode> ExpressionParser::choice() {
  if (++depth_ > kMaxDepth) return Error::invalid("it is nested 50 deep");
  auto first = binary(1);
  if (first.ok() && take("?")) {
    auto yes = choice();
    if (!yes.ok()) return yes;
    if (!take(":")) return Error::invalid("a '?' without a ':'");
    auto no = choice();
    if (!no.ok()) return no;
    ExpressionNode node{.kind = Kind::kChoice};
    node.parts = {*std::move(first), *std::move(yes), *std::move(no)};
    first = grown(std::move(node));
  }
  --depth_;
  return first;
}

// Operators that bind at least so tightly.
Result<ExpressionNode> ExpressionParser::binary(int least) {
  auto left = unary();
  while (left.ok()) {
    const bool negated = next().is("not");
    const Operator* op = operator_of(negated ? tokens_[at_ + 1] : next());
    if (op == nullptr || op->binding < least || (negated && op->binding != 3)) break;
    take();
    if (negated) take();
    left = operation(*op, *std::move(left));
    if (!left.ok() || !negated) continue;
    ExpressionNode node{.kind = Kind::kNot};
    node.parts.push_back(*std::move(left));
    left = grown(std::move(node));
  }
  return left;
}

Result<ExpressionNode> ExpressionParser::operation(const Operator& op, ExpressionNode left) {
  auto right = binary(op.binding + 1);
  if (!right.ok()) return right;
  ExpressionNode node{.kind = Kind::kBinary, .name = std::string(op.name)};
  if (op.name == "matches" && right->literal.string() != nullptr) {
    auto pattern = Pattern::compile(*right->literal.string());
    if (!pattern.ok()) return pattern.error();
    node.pattern = std::make_shared<const Pattern>(*std::move(pattern));
  }
  node.parts = {std::move(left), *std::move(right)};
  return grown(std::move(node));
}

Result<ExpressionNode> ExpressionParser::unary() {
  const bool negates = next().is("not") || next().is("!");
  if (!negates && !next().is("-")) return primary();
  if (++depth_ > kMaxDepth) return Error::invalid("it is nested 50 deep");
  const bool loose = take().text == "not";
  auto inner = loose ? binary(kNotBinding) : unary();
  if (!inner.ok()) return inner;
  ExpressionNode node{.kind = negates ? Kind::kNot : Kind::kMinus};
  node.parts.push_back(*std::move(inner));
  --depth_;
  return grown(std::move(node));
}

Result<ExpressionNode> ExpressionParser::primary() {
  const ExpressionToken token = take();
  ExpressionNode node;
  switch (token.kind) {
    case ExpressionToken::Kind::kString:
      node.literal = token.text;
      return postfix(std::move(node));
    case ExpressionToken::Kind::kNumber: {
      const auto number = number_of<int64_t>(token.text);
      if (!number) return Error::invalid("'" + token.text + "' is no whole number");
      node.literal = *number;
      return node;
    }
    case ExpressionToken::Kind::kName: {
      auto read = named(token.text);
      return read.ok() ? postfix(*std::move(read)) : read;
    }
    case ExpressionToken::Kind::kMark:
      break;
    case ExpressionToken::Kind::kEnd:
      return Error::invalid("a value is missing");
  }
  if (token.is("(")) {
    auto inner = choice();
    if (!inner.ok()) return inner;
    return take(")") ? postfix(*std::move(inner))
                     : Result<ExpressionNode>(Error::invalid("a '(' without a ')'"));
  }
  if (token.is("[")) {
    auto elements = list("]", false);
    if (!elements.ok()) return elements.error();
    node.kind = Kind::kList;
    node.parts = *std::move(elements);
    auto whole = grown(std::move(node));
    return whole.ok() ? postfix(*std::move(whole)) : whole;
  }
  if (!token.is("#")) return Error::invalid("'" + token.text + "' is not expected there");
  if (predicates_ == 0) return Error::invalid("'#' is an element, in a predicate only");
  node.kind = Kind::kElement;
  return postfix(std::move(node));
}

// Behind a list or a string: [1], [1:2], [:2], [1:].
Result<ExpressionNode> ExpressionParser::postfix(ExpressionNode node) {
  while (take("[")) {
    ExpressionNode outer{.kind = Kind::kIndex};
    outer.parts.push_back(std::move(node));
    ExpressionNode open;  // nothing
    auto first = next().is(":") ? Result<ExpressionNode>(open) : choice();
    if (!first.ok()) return first;
    outer.parts.push_back(*std::move(first));
    if (take(":")) {
      outer.kind = Kind::kSlice;
      auto second = next().is("]") ? Result<ExpressionNode>(open) : choice();
      if (!second.ok()) return second;
      outer.parts.push_back(*std::move(second));
    }
    if (!take("]")) return Error::invalid("a '[' without a ']'");
    auto whole = grown(std::move(outer));
    if (!whole.ok()) return whole;
    node = *std::move(whole);
  }
  return node;
}

Result<ExpressionNode> ExpressionParser::named(const std::string& name) {
  ExpressionNode node;
  if (name == "true" || name == "false") {
    node.literal = name == "true";
    return node;
  }
  if (name == "nil") return node;
  if (take("(")) {
    const ExpressionFunction* function = find_expression_function(name);
    if (function == nullptr)
      return Error::invalid("there is no function '" + name + "' in fairlead-dns");
    return call(*function);
  }
  if (std::ranges::find(variables_, name) == variables_.end())
    return Error::invalid("there is no variable '" + name + "'");
  needs.push_back(name);
  node.kind = Kind::kVariable;
  node.name = name;
  return node;
}

Result<ExpressionNode> ExpressionParser::call(const ExpressionFunction& function) {
  auto arguments = list(")", function.predicate);
  if (!arguments.ok()) return arguments.error();
  if (arguments->size() < function.least || arguments->size() > function.most)
    return Error::invalid(
        fmt::format("{} does not take {} arguments", function.name, arguments->size()));
  if (is_of_query(function)) needs.emplace_back();
  if (function.name == "metadata") {
    const auto* label = arguments->front().literal.string();
    labels.push_back(label != nullptr ? *label : "");
  }
  ExpressionNode node{.kind = Kind::kCall, .name = std::string(function.name)};
  node.parts = *std::move(arguments);
  return grown(std::move(node));
}

// Up to `end`, with commas between. All but the first may be of a predicate.
Result<std::vector<ExpressionNode>> ExpressionParser::list(std::string_view end, bool predicate) {
  std::vector<ExpressionNode> out;
  while (!take(end)) {
    if (!out.empty() && !take(","))
      return Error::invalid("',' or '" + std::string(end) + "' is missing");
    const size_t predicates = predicate && !out.empty() ? 1 : 0;
    predicates_ += predicates;
    auto one = choice();
    predicates_ -= predicates;
    if (!one.ok()) return one.error();
    out.push_back(*std::move(one));
  }
  return out;
}

// One evaluation.
class Run {
 public:
  explicit Run(const TemplateData& data) : data_(data) {}
  Result<Value> value(const ExpressionNode& node);

 private:
  Result<Value> compute(const ExpressionNode& node);
  Result<Value> negated(const ExpressionNode& node);
  Result<Value> binary(const ExpressionNode& node);
  Result<Value> order(const std::string& op, const Value& a, const Value& b);
  Result<Value> text_operation(const ExpressionNode& node, const Value& a, const Value& b);
  Result<Value> arithmetic(const std::string& op, const Value& a, const Value& b);
  Result<Value> call(const ExpressionNode& node);
  Result<Value> element(const ExpressionNode& node);
  Result<Value> slice(const ExpressionNode& node);
  Result<ValueList> values(const std::vector<ExpressionNode>& nodes);
  Result<void> search(const Value& text, const Value& wanted);

  const TemplateData& data_;
  std::vector<const Value*> elements_;  // what # is
  Work work_;
};

Result<Value> Run::value(const ExpressionNode& node) {
  auto out = compute(node);
  if (!out.ok()) return out;
  if (const auto made = work_.made(*out); !made.ok()) return made.error();
  return out;
}

Result<Value> Run::compute(const ExpressionNode& node) {
  switch (node.kind) {
    case Kind::kLiteral:
      return node.literal;
    case Kind::kVariable: {
      const auto at = data_.variables.find(node.name);
      return at == data_.variables.end() ? Value() : at->second;
    }
    case Kind::kElement:
      if (elements_.empty()) return Error::invalid("'#' is an element, in a predicate only");
      return *elements_.back();
    case Kind::kList: {
      auto all = values(node.parts);
      return all.ok() ? Result<Value>(Value(*std::move(all))) : all.error();
    }
    case Kind::kNot:
    case Kind::kMinus:
      return negated(node);
    case Kind::kBinary:
      return binary(node);
    case Kind::kChoice: {
      const auto which = value(node.parts[0]);
      if (!which.ok()) return which;
      return value(node.parts[which->truth() ? 1 : 2]);
    }
    case Kind::kCall:
      return call(node);
    case Kind::kIndex:
      return element(node);
    case Kind::kSlice:
      return slice(node);
  }
  return Value();
}

Result<Value> Run::negated(const ExpressionNode& node) {
  const auto inner = value(node.parts[0]);
  if (!inner.ok()) return inner;
  if (node.kind == Kind::kMinus && inner->number() != nullptr)
    return arithmetic("-", Value(int64_t{0}), *inner);
  if (node.kind == Kind::kNot && inner->kind() == Value::Kind::kBool) return Value(!inner->truth());
  return Error::invalid(
      fmt::format("'{}' of a {}", node.kind == Kind::kNot ? "not" : "-", inner->kind_name()));
}

Result<ValueList> Run::values(const std::vector<ExpressionNode>& nodes) {
  ValueList out;
  for (const ExpressionNode& each : nodes) {
    auto one = value(each);
    if (!one.ok()) return one.error();
    out.push_back(*std::move(one));
  }
  return out;
}

Result<Value> Run::binary(const ExpressionNode& node) {
  const std::string& op = node.name;
  const auto a = value(node.parts[0]);
  if (!a.ok()) return a;
  if (op == "or" || op == "and") {
    if (a->truth() == (op == "or")) return Value(op == "or");
    const auto b = value(node.parts[1]);
    return b.ok() ? Result<Value>(Value(b->truth())) : b;
  }
  const auto b = value(node.parts[1]);
  if (!b.ok()) return b;
  if (op == "in") {
    const ValueList* list = b->list();
    if (list == nullptr) return Error::invalid(fmt::format("'in' a {}", b->kind_name()));
    return Value(std::ranges::any_of(*list, [&](const Value& each) {
      const auto same = compare(*a, each);
      return same.ok() && *same == 0;
    }));
  }
  if (op == "==" || op == "!=") {
    const auto same = compare(*a, *b);
    return Value((same.ok() && *same == 0) == (op == "=="));
  }
  if (op.starts_with('<') || op.starts_with('>')) return order(op, *a, *b);
  if (op == "+" || op == "-" || op == "*" || op == "%") return arithmetic(op, *a, *b);
  return text_operation(node, *a, *b);
}

Result<Value> Run::order(const std::string& op, const Value& a, const Value& b) {
  const auto order = compare(a, b);
  if (!order.ok()) return order.error();
  if (op == "<") return Value(*order < 0);
  if (op == "<=") return Value(*order <= 0);
  if (op == ">") return Value(*order > 0);
  return Value(*order >= 0);
}

Result<Value> Run::arithmetic(const std::string& op, const Value& a, const Value& b) {
  if (op == "+" && a.string() != nullptr && b.string() != nullptr)
    return Value(*a.string() + *b.string());
  if (a.number() == nullptr || b.number() == nullptr)
    return Error::invalid(fmt::format("'{}' of a {} and a {}", op, a.kind_name(), b.kind_name()));
  int64_t result = 0;
  bool fits = false;
  if (op == "+") fits = !__builtin_add_overflow(*a.number(), *b.number(), &result);
  if (op == "-") fits = !__builtin_sub_overflow(*a.number(), *b.number(), &result);
  if (op == "*") fits = !__builtin_mul_overflow(*a.number(), *b.number(), &result);
  if (op == "%" && *b.number() > 0) {
    result = *a.number() % *b.number();
    fits = true;
  }
  if (!fits) return Error::invalid(fmt::format("{} {} {} is no number", a.text(), op, b.text()));
  return Value(result);
}

// Takes as long as the product of their sizes at worst.
Result<void> Run::search(const Value& text, const Value& wanted) {
  if (text.string() == nullptr || wanted.string() == nullptr) return ok();
  return work_.steps(text.string()->size() * wanted.string()->size() / kSearchedInAStep);
}

Result<Value> Run::text_operation(const ExpressionNode& node, const Value& a, const Value& b) {
  if (a.string() == nullptr || b.string() == nullptr)
    return Error::invalid(
        fmt::format("'{}' of a {} and a {}", node.name, a.kind_name(), b.kind_name()));
  const std::string& text = *a.string();
  const std::string& other = *b.string();
  if (const auto searched = search(a, b); !searched.ok()) return searched.error();
  if (node.name == "contains") return Value(text.find(other) != std::string::npos);
  if (node.name == "startsWith") return Value(text.starts_with(other));
  if (node.name == "endsWith") return Value(text.ends_with(other));
  if (node.pattern) return Value(node.pattern->search(text));
  if (const auto step = work_.steps(kCompileSteps + other.size()); !step.ok()) return step.error();
  const auto pattern = Pattern::compile(other);
  if (!pattern.ok()) return pattern.error();
  return Value(pattern->search(text));
}

Result<Value> Run::call(const ExpressionNode& node) {
  const ExpressionFunction& function = *find_expression_function(node.name);
  if (!function.predicate) {
    const auto arguments = values(node.parts);
    if (!arguments.ok()) return arguments.error();
    if (arguments->size() > 1)
      if (const auto searched = search((*arguments)[0], (*arguments)[1]); !searched.ok())
        return searched.error();
    return function.call(*arguments, data_);
  }
  const auto over = value(node.parts[0]);
  if (!over.ok()) return over;
  if (over->list() == nullptr)
    return Error::invalid(fmt::format("{} of a {}", node.name, over->kind_name()));
  ValueList results;
  for (const Value& each : *over->list()) {
    elements_.push_back(&each);
    auto one = value(node.parts[1]);
    elements_.pop_back();
    if (!one.ok()) return one;
    results.push_back(*std::move(one));
  }
  return apply_predicate(node.name, *over->list(), results);
}

// Negative positions count from the end.
Result<Value> Run::element(const ExpressionNode& node) {
  const auto of = value(node.parts[0]);
  if (!of.ok()) return of;
  const auto key = value(node.parts[1]);
  if (!key.ok()) return key;
  if (of->list() == nullptr || key->number() == nullptr)
    return Error::invalid(fmt::format("a {} of a {}", key->kind_name(), of->kind_name()));
  const auto size = static_cast<int64_t>(of->list()->size());
  const int64_t at = *key->number() < 0 ? *key->number() + size : *key->number();
  if (at < 0 || at >= size)
    return Error::invalid(fmt::format("{} is out of range", *key->number()));
  return (*of->list())[static_cast<size_t>(at)];
}

Result<Value> Run::slice(const ExpressionNode& node) {
  const auto all = values(node.parts);
  if (!all.ok()) return all.error();
  const Value& of = (*all)[0];
  if (of.list() == nullptr && of.string() == nullptr)
    return Error::invalid(fmt::format("a part of a {}", of.kind_name()));
  const auto size =
      static_cast<int64_t>(of.list() != nullptr ? of.list()->size() : of.string()->size());
  const auto bound = [&](const Value& value, int64_t fallback) {
    const int64_t at = value.number() != nullptr ? *value.number() : fallback;
    return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size);
  };
  const auto from = static_cast<size_t>(bound((*all)[1], 0));
  const auto to = std::max(from, static_cast<size_t>(bound((*all)[2], size)));
  if (of.string() != nullptr) return Value(of.string()->substr(from, to - from));
  return Value(ValueList(of.list()->begin() + static_cast<ptrdiff_t>(from),
                         of.list()->begin() + static_cast<ptrdiff_t>(to)));
}

}  // namespace

Result<Expression> Expression::parse(std::string_view text,
                                     const std::vector<std::string>& variables) {
  auto tokens = tokens_of(text);
  if (!tokens.ok()) return tokens.error();
  ExpressionParser parser(*std::move(tokens), variables);
  auto root = parser.run();
  if (!root.ok()) return root.error();
  Expression out;
  out.root_ = *std::move(root);
  out.labels_ = std::move(parser.labels);
  out.needs_ = std::move(parser.needs);
  return out;
}

Result<Value> Expression::evaluate(const TemplateData& data) const {
  return Run(data).value(root_);
}

bool is_expression_word(std::string_view name) {
  static constexpr std::string_view kWords[] = {"true", "false", "nil", "not", "let", "if", "else"};
  return std::ranges::find(kWords, name) != std::end(kWords) ||
         std::ranges::find(kOperators, name, &Operator::word) != std::end(kOperators) ||
         find_expression_function(name) != nullptr;
}

}  // namespace fairlead::dns
