// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/template/syntax.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "dns/plugins/template/functions.h"
#include "dns/plugins/template/words.h"

namespace fairlead::dns {
namespace {

using Word = ActionWord;
using WordKind = ActionWord::Kind;

constexpr std::string_view kTemplateBlanks = " \t\r\n";
constexpr size_t kMaxTemplateDepth = 20;
constexpr size_t kMaxChained = 500;  // each `else if` is within the one before
constexpr std::string_view kFields[] = {"Name",  "Zone",  "Class",   "Type",     "Remote", "Regex",
                                        "Match", "Group", "Message", "Question", "Var",    "Meta"};
constexpr std::string_view kMessageFields[] = {"Id", "Opcode", "RecursionDesired",
                                               "CheckingDisabled", "AuthenticatedData"};
constexpr std::string_view kQuestionFields[] = {"Name", "Qtype", "Qclass"};

template <typename Names>
bool among(const Names& names, const std::string& name) {
  return std::ranges::find(names, name) != std::end(names);
}

// A piece of text or an action.
struct Piece {
  bool action = false;
  std::string text;
};

Result<std::vector<Piece>> pieces_of(std::string_view text) {
  std::vector<Piece> out;
  const auto add_text = [&](std::string_view part) {
    if (!part.empty()) out.push_back({false, std::string(part)});
  };
  bool trim = false;  // the last action ended in "-"
  for (;;) {
    if (trim) text.remove_prefix(std::min(text.find_first_not_of(kTemplateBlanks), text.size()));
    const size_t open = text.find("{{");
    if (open == std::string_view::npos) break;
    std::string_view before = text.substr(0, open);
    text.remove_prefix(open + 2);
    const bool trims_before = text.starts_with('-') && text.size() > 1 &&
                              kTemplateBlanks.find(text[1]) != std::string_view::npos;
    if (trims_before) {
      before = before.substr(0, before.find_last_not_of(kTemplateBlanks) + 1);
      text.remove_prefix(1);
    }
    add_text(before);
    const size_t first = std::min(text.find_first_not_of(kTemplateBlanks), text.size());
    const bool comment = text.substr(first).starts_with("/*");
    const size_t comment_end = comment ? text.find("*/", first + 2) : 0;
    if (comment_end == std::string_view::npos) return Error::invalid("a comment does not end");
    const size_t skipped = comment ? comment_end + 2 : 0;
    const size_t close = action_end(text.substr(skipped));
    if (close == std::string_view::npos) return Error::invalid("a '{{' without a '}}'");
    std::string_view action = text.substr(skipped, close);
    trim = action.ends_with('-') && action.size() > 1 &&
           kTemplateBlanks.find(action[action.size() - 2]) != std::string_view::npos;
    if (trim) action.remove_suffix(1);
    if (!comment) out.push_back({true, std::string(action)});
    text.remove_prefix(skipped + close + 2);
  }
  add_text(text);
  return out;
}

class TemplateParser {
 public:
  explicit TemplateParser(std::vector<Piece> pieces) : pieces_(std::move(pieces)) {}
  Result<Tree> run();

 private:
  struct List {
    std::vector<Node> nodes;
    std::string end;  // "end", "else", or "" at the end of the text
  };
  Result<List> list();
  Result<Node> action(const Piece& piece);
  Result<Node> control(Node::Kind kind);
  Result<std::vector<Node>> otherwise(Node::Kind kind);
  Result<Pipeline> pipeline(std::string_view end, bool ranges);
  Result<void> declaration(Pipeline& out, bool ranges);
  Result<std::vector<Operand>> command();
  Result<void> check(const std::vector<Operand>& command);
  Result<Operand> operand();
  Result<Operand> name_operand(const Word& word);
  Result<void> fields(Operand& out);
  bool of_query(const Operand& operand) const {
    return (operand.kind == Operand::Kind::kDot && dots_ == 0) ||
           (operand.kind == Operand::Kind::kVariable && operand.name == "$");
  }

  const Word& next() const { return words_[word_]; }
  const Word& take() { return words_[word_ + 1 == words_.size() ? word_ : word_++]; }
  bool take_name(std::string_view name) {
    const bool here = next().kind == WordKind::kName && next().text == name;
    if (here) take();
    return here;
  }

  std::vector<Piece> pieces_;
  size_t piece_ = 0;
  std::vector<Word> words_;  // of the action
  size_t word_ = 0;
  size_t depth_ = 0;
  size_t chained_ = 0;
  size_t loops_ = 0;
  size_t dots_ = 0;  // in how many `with` and `range`: the dot is not the query there
  std::vector<std::string> variables_ = {"$"};
  Tree tree_;
};

Result<Tree> TemplateParser::run() {
  auto all = list();
  if (!all.ok()) return all.error();
  if (!all->end.empty())
    return Error::invalid("'{{ " + all->end + " }}' without an 'if', 'with' or 'range'");
  tree_.nodes = std::move(all->nodes);
  return std::move(tree_);
}

// Up to an action that begins with `end` or `else`, whose other words are left to be read.
Result<TemplateParser::List> TemplateParser::list() {
  if (++depth_ > kMaxTemplateDepth) return Error::invalid("blocks within blocks, 20 deep");
  List out;
  const size_t variables = variables_.size();
  while (out.end.empty() && piece_ < pieces_.size()) {
    const Piece& piece = pieces_[piece_++];
    if (!piece.action) {
      out.nodes.push_back({Node::Kind::kText, piece.text, {}, {}, {}});
      continue;
    }
    auto words = action_words(piece.text);
    const auto in_action = [&](const Error& error) {
      return Error::invalid(fmt::format("'{{{{{}}}}}': {}", piece.text, error.message()));
    };
    if (!words.ok()) return in_action(words.error());
    words_ = *std::move(words);
    word_ = 0;
    if (take_name("end")) out.end = "end";
    if (take_name("else")) out.end = "else";
    if (!out.end.empty()) break;
    auto node = action(piece);
    if (!node.ok())
      return node.error().message().starts_with("'{{") ? node.error() : in_action(node.error());
    out.nodes.push_back(*std::move(node));
  }
  variables_.resize(variables);
  --depth_;
  return out;
}

Result<Node> TemplateParser::action(const Piece&) {
  if (take_name("if")) return control(Node::Kind::kIf);
  if (take_name("with")) return control(Node::Kind::kWith);
  if (take_name("range")) return control(Node::Kind::kRange);
  for (const auto& [name, kind] :
       {std::pair("break", Node::Kind::kBreak), std::pair("continue", Node::Kind::kContinue)}) {
    if (!take_name(name)) continue;
    if (loops_ == 0) return Error::invalid("it is in no 'range'");
    if (next().kind != WordKind::kEnd) return Error::invalid("nothing may follow it");
    return Node{kind, "", {}, {}, {}};
  }
  for (const char* name : {"define", "template", "block"})
    if (take_name(name)) return Error::invalid("there is only one template in a record");
  auto what = pipeline("", false);
  if (!what.ok()) return what.error();
  return Node{Node::Kind::kAction, "", *std::move(what), {}, {}};
}

Result<Node> TemplateParser::control(Node::Kind kind) {
  const size_t variables = variables_.size();
  auto what = pipeline("", kind == Node::Kind::kRange);
  if (!what.ok()) return what.error();
  Node node{kind, "", *std::move(what), {}, {}};
  const bool moves_dot = kind != Node::Kind::kIf;
  dots_ += moves_dot ? 1 : 0;
  loops_ += kind == Node::Kind::kRange ? 1 : 0;
  auto body = list();
  dots_ -= moves_dot ? 1 : 0;
  loops_ -= kind == Node::Kind::kRange ? 1 : 0;
  if (!body.ok()) return body.error();
  node.body = std::move(body->nodes);
  if (body->end.empty()) return Error::invalid("it has no '{{ end }}'");
  if (body->end == "else") {
    auto other = otherwise(kind);
    if (!other.ok()) return other.error();
    node.otherwise = *std::move(other);
  }
  if (next().kind != WordKind::kEnd) return Error::invalid("nothing may follow 'end'");
  variables_.resize(variables);
  return node;
}

// Behind an `else`: a list up to `end`, or another `if` that shares it.
Result<std::vector<Node>> TemplateParser::otherwise(Node::Kind kind) {
  const bool chained = (kind == Node::Kind::kIf && take_name("if")) ||
                       (kind == Node::Kind::kWith && take_name("with"));
  if (chained) {
    if (++chained_ > kMaxChained)
      return Error::invalid(fmt::format("over {} 'else if'", kMaxChained));
    auto inner = control(kind);
    --chained_;
    if (!inner.ok()) return inner.error();
    return std::vector<Node>{*std::move(inner)};
  }
  if (next().kind != WordKind::kEnd) return Error::invalid("'else' is followed by 'if' or nothing");
  auto other = list();
  if (!other.ok()) return other.error();
  if (other->end != "end") return Error::invalid("an 'else' without '{{ end }}'");
  return std::move(other->nodes);
}

Result<void> TemplateParser::declaration(Pipeline& out, bool ranges) {
  const size_t start = word_;
  std::vector<std::string> names;
  while (next().kind == WordKind::kVariable && names.size() < (ranges ? 2 : 1)) {
    names.push_back(take().text);
    if (!ranges || !next().is(",")) break;
    take();
  }
  const bool assigns = next().is("=");
  if (names.empty() || (!next().is(":=") && !assigns)) {
    word_ = start;
    return ok();
  }
  take();
  for (const std::string& name : names)
    if (name == "$" || (assigns && !among(variables_, name)))
      return Error::invalid("there is no variable '" + name + "' to set");
  out.variables = std::move(names);
  out.declares = !assigns;
  return ok();
}

// Commands up to the mark `end`, or to the end of the action.
Result<Pipeline> TemplateParser::pipeline(std::string_view end, bool ranges) {
  if (++depth_ > kMaxTemplateDepth)
    return Error::invalid("parentheses within parentheses, 20 deep");
  Pipeline out;
  if (end.empty())
    if (const auto read = declaration(out, ranges); !read.ok()) return read.error();
  for (;;) {
    auto one = command();
    if (!one.ok()) return one.error();
    out.commands.push_back(*std::move(one));
    if (!next().is("|")) break;
    take();
  }
  const bool ends = end.empty() ? next().kind == WordKind::kEnd : next().is(end);
  if (!ends) return Error::invalid("'" + next().text + "' is not expected there");
  if (!end.empty()) take();
  if (out.declares) variables_.insert(variables_.end(), out.variables.begin(), out.variables.end());
  --depth_;
  return out;
}

Result<std::vector<Operand>> TemplateParser::command() {
  std::vector<Operand> out;
  while (next().kind != WordKind::kEnd && !next().is("|") && !next().is(")")) {
    auto one = operand();
    if (!one.ok()) return one.error();
    out.push_back(*std::move(one));
  }
  if (out.empty()) return Error::invalid("a value is missing");
  if (const auto right = check(out); !right.ok()) return right.error();
  return out;
}

// What can be told before there is a query.
Result<void> TemplateParser::check(const std::vector<Operand>& command) {
  const Operand& first = command.front();
  const auto literal_text = [&](size_t at) {
    return at < command.size() ? command[at].literal.string() : nullptr;
  };
  const bool meta = !first.fields.empty() && first.fields.back() == "Meta";
  const bool bare = std::ranges::any_of(std::span(command).subspan(1), [&](const Operand& each) {
    return of_query(each) && each.fields == std::vector<std::string>{"Meta"};
  });
  if (bare || (meta && command.size() < 2))
    return Error::invalid("'.Meta' needs a label, such as .Meta \"kubernetes/service\"");
  if (meta) tree_.labels.push_back(literal_text(1) != nullptr ? *literal_text(1) : "");
  if (first.kind != Operand::Kind::kFunction && !meta && command.size() > 1)
    return Error::invalid("only functions and '.Meta' take arguments");
  if (first.name == "printf" && literal_text(1) != nullptr) return check_format(*literal_text(1));
  const bool of_group = first.name == "index" && command.size() > 2 &&
                        command[1].fields == std::vector<std::string>{"Group"};
  if (of_group && literal_text(2) != nullptr) tree_.groups.push_back(*literal_text(2));
  return ok();
}

Result<Operand> TemplateParser::operand() {
  const Word word = take();
  Operand out;
  switch (word.kind) {
    case WordKind::kString:
      out.literal = word.text;
      break;
    case WordKind::kNumber:
      out.literal = word.number;
      break;
    case WordKind::kDot:
      out.kind = Operand::Kind::kDot;
      break;
    case WordKind::kField:
      out.kind = Operand::Kind::kDot;
      out.fields.push_back(word.text);
      break;
    case WordKind::kVariable:
      if (!among(variables_, word.text))
        return Error::invalid("there is no variable '" + word.text + "'");
      out.kind = Operand::Kind::kVariable;
      out.name = word.text;
      break;
    case WordKind::kName: {
      auto named = name_operand(word);
      if (!named.ok()) return named.error();
      out = *std::move(named);
      break;
    }
    case WordKind::kMark: {
      if (!word.is("(")) return Error::invalid("'" + word.text + "' is not expected there");
      auto inner = pipeline(")", false);
      if (!inner.ok()) return inner.error();
      out.kind = Operand::Kind::kPipeline;
      out.pipeline = std::make_shared<const Pipeline>(*std::move(inner));
      break;
    }
    case WordKind::kEnd:
      return Error::invalid("a value is missing");
  }
  if (const auto read = fields(out); !read.ok()) return read.error();
  return out;
}

Result<Operand> TemplateParser::name_operand(const Word& word) {
  Operand out;
  if (word.text == "true" || word.text == "false") {
    out.literal = word.text == "true";
  } else if (word.text != "nil") {
    if (!is_function(word.text))
      return Error::invalid("there is no function '" + word.text + "' in fairlead-dns");
    out.kind = Operand::Kind::kFunction;
    out.name = word.text;
  }
  return out;
}

// The fields that follow at once, and whether a query has them.
Result<void> TemplateParser::fields(Operand& out) {
  while (next().kind == WordKind::kField && !next().after_blank) out.fields.push_back(take().text);
  if (!of_query(out) || out.fields.empty()) return ok();
  const std::string& first = out.fields[0];
  const std::string second = out.fields.size() > 1 ? out.fields[1] : "";
  const bool known = among(kFields, first) && out.fields.size() <= 2 &&
                     (second.empty() || first == "Group" || first == "Var" ||
                      (first == "Message" && among(kMessageFields, second)) ||
                      (first == "Question" && among(kQuestionFields, second)));
  if (!known)
    return Error::invalid("a query has no field ." + fmt::format("{}", fmt::join(out.fields, ".")) +
                          " in fairlead-dns");
  if (first == "Group" && !second.empty()) tree_.groups.push_back(second);
  if (first == "Var" && !second.empty()) tree_.variables.push_back(second);
  return ok();
}

}  // namespace

Result<Tree> parse_template_text(std::string_view text) {
  auto pieces = pieces_of(text);
  if (!pieces.ok()) return pieces.error();
  return TemplateParser(*std::move(pieces)).run();
}

}  // namespace fairlead::dns
