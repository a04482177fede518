// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/template/setup.h"

#include <algorithm>

#include "dns/labels.h"
#include "dns/number_text.h"
#include "dns/record_text.h"

namespace fairlead::dns {
namespace {

using corefile::Directive;
using corefile::Word;

Result<TemplateRule::Match> read_match(const Word& word) {
  auto pattern = Pattern::compile(word.text);
  if (!pattern.ok()) return word.place.error(pattern.error().message());
  return TemplateRule::Match{word.text, *std::move(pattern)};
}

// What is the same for every query is checked here and now.
auto texts_into(std::vector<TemplateText>& texts, BlockSetup& block) {
  return [&texts, &block](const Directive& property) -> Result<void> {
    for (const Word& word : property.arguments) {
      auto text = TemplateText::parse(word.text);
      if (!text.ok()) return word.place.error(text.error().message());
      if (text->constant())
        if (const auto record = parse_record(word.text); !record.ok())
          return word.place.error("'" + word.text + "' is no record: " + record.error().message());
      for (const std::string& label : text->labels()) ask_label(block, label);
      texts.push_back(*std::move(text));
    }
    return ok();
  };
}

Result<void> read_rcode(const Directive& property, TemplateRule& rule) {
  const Word& word = property.arguments[0];
  const auto rcode = rcode_from_text(word.text);
  if (!rcode) return word.place.error("'" + word.text + "' is no rcode such as NXDOMAIN");
  rule.rcode = *rcode;
  return ok();
}

Result<void> read_error(const Directive& property, TemplateRule& rule) {
  const auto code = read_number(property.arguments[0], 0, UINT16_MAX - 1);
  if (!code.ok()) return code.error();
  rule.error = static_cast<Ede>(*code);
  if (property.arguments.size() == 2) rule.error_text = property.arguments[1].text;
  return ok();
}

// What it is for every query, whatever that is; nothing: that depends. Fails where it always would.
Result<std::optional<Value>> constant_of(const Expression& expression, const TemplateRule& rule) {
  TemplateData data;
  for (const TemplateRule::Variable& each : rule.variables)
    if (each.constant) data.variables[each.name] = *each.constant;
  for (const std::string& name : expression.needs())
    if (!data.variables.contains(name)) return std::optional<Value>();
  auto value = expression.evaluate(data);
  if (!value.ok()) return value.error();
  return std::optional<Value>(*std::move(value));
}

// The words of an expression, which may but need not be in quotes.
Result<Expression> read_expression(std::span<const Word> words, const TemplateRule& rule,
                                   BlockSetup& block) {
  std::string text;
  for (const Word& word : words) text += (text.empty() ? "" : " ") + word.text;
  std::vector<std::string> variables;
  for (const TemplateRule::Variable& each : rule.variables) variables.push_back(each.name);
  auto expression = Expression::parse(text, variables);
  if (!expression.ok())
    return words[0].place.error("'" + text + "': " + expression.error().message());
  if (const auto constant = constant_of(*expression, rule); !constant.ok())
    return words[0].place.error("'" + text + "': " + constant.error().message());
  for (const std::string& label : expression->labels()) ask_label(block, label);
  return expression;
}

Result<void> read_variable(const Directive& property, TemplateRule& rule, BlockSetup& block) {
  const Word& name = property.arguments[0];
  const bool letters = !name.text.empty() && !number_of<int>(name.text.substr(0, 1)) &&
                       std::ranges::all_of(name.text, [](char c) {
                         return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                                (c >= 'A' && c <= 'Z');
                       });
  if (!letters || is_expression_word(name.text))
    return name.place.error("'" + name.text + "' cannot be the name of a variable");
  if (std::ranges::find(rule.variables, name.text, &TemplateRule::Variable::name) !=
      rule.variables.end())
    return name.place.error("there are two 'var " + name.text + "'");
  auto value = read_expression(std::span(property.arguments).subspan(1), rule, block);
  if (!value.ok()) return value.error();
  std::optional<Value> constant = *constant_of(*value, rule);
  rule.variables.push_back({name.text, *std::move(value), std::move(constant)});
  return ok();
}

Result<void> read_condition(const Directive& property, TemplateRule& rule, BlockSetup& block) {
  auto condition = read_expression(property.arguments, rule, block);
  if (!condition.ok()) return condition.error();
  rule.conditions.push_back(*std::move(condition));
  return ok();
}

Result<void> read_class_and_type(const Directive& directive, TemplateRule& rule) {
  const Word& klass = directive.arguments[0];
  const Word& type = directive.arguments[1];
  const auto read_class = class_from_text(klass.text);
  if (!read_class) return klass.place.error("'" + klass.text + "' is no class such as IN or ANY");
  const auto read_type = type_from_text(type.text);
  if (!read_type) return type.place.error("'" + type.text + "' is no record type such as A or ANY");
  rule.klass = *read_class;
  rule.type = *read_type;
  return ok();
}

// A group that no expression has is nothing, always.
Result<void> check_groups(const Directive& directive, const TemplateRule& rule, BlockSetup& block) {
  for (const auto& texts : rule.records)
    for (const TemplateText& text : texts)
      for (const std::string& group : text.groups())
        if (!number_of<size_t>(group) &&
            std::ranges::none_of(rule.matches, [&](const TemplateRule::Match& match) {
              const auto& names = match.pattern.group_names();
              return std::ranges::find(names, group) != names.end();
            }))
          block.notes.push_back(
              directive.name.place.error("template: no 'match' has a group '" + group + "'")
                  .message());
  for (const auto& texts : rule.records)
    for (const TemplateText& text : texts)
      for (const std::string& name : text.variables())
        if (std::ranges::find(rule.variables, name, &TemplateRule::Variable::name) ==
            rule.variables.end())
          return directive.name.place.error("template: there is no 'var " + name + "'");
  return ok();
}

Result<std::unique_ptr<TemplateRule>> read_rule(const Directive& directive, BlockSetup& block) {
  if (const auto right = expect_arguments(directive, 2, Property::kAny); !right.ok())
    return right.error();
  auto rule = std::make_unique<TemplateRule>();
  if (const auto read = read_class_and_type(directive, *rule); !read.ok()) return read.error();
  auto zones = read_zones(std::span(directive.arguments).subspan(2), block.zones);
  if (!zones.ok()) return zones.error();
  rule->zones = *std::move(zones);
  const auto section = [&](Section which) {
    return texts_into(rule->records[static_cast<size_t>(which)], block);
  };
  const auto read = read_properties(
      directive, {{"match", 1, Property::kAny,
                   [&](const Directive& p) -> Result<void> {
                     for (const Word& word : p.arguments) {
                       auto match = read_match(word);
                       if (!match.ok()) return match.error();
                       rule->matches.push_back(*std::move(match));
                     }
                     return ok();
                   }},
                  {"answer", 1, Property::kAny, section(Section::kAnswer)},
                  {"additional", 1, Property::kAny, section(Section::kAdditional)},
                  {"authority", 1, Property::kAny, section(Section::kAuthority)},
                  {"rcode", 1, 1, [&](const Directive& p) { return read_rcode(p, *rule); }},
                  {"ederror", 1, 2, [&](const Directive& p) { return read_error(p, *rule); }},
                  {"fallthrough", 0, Property::kAny,
                   [&](const Directive& p) { return rule->fallthrough.read(p); }},
                  {"var", 2, Property::kAny,
                   [&](const Directive& p) { return read_variable(p, *rule, block); }},
                  {"expr", 1, Property::kAny,
                   [&](const Directive& p) { return read_condition(p, *rule, block); }},
                  {"upstream", 0, Property::kAny, [](const Directive&) { return ok(); }}});
  if (!read.ok()) return read.error();
  if (rule->matches.empty()) rule->matches.push_back({".*", *Pattern::compile(".*")});
  if (const auto checked = check_groups(directive, *rule, block); !checked.ok())
    return checked.error();
  return rule;
}

}  // namespace

Result<std::shared_ptr<PluginOptions>> parse_template(const PluginKind::Directives& directives,
                                                      BlockSetup& block) {
  auto options = std::make_shared<TemplateOptions>();
  options->server = block.server_label();
  for (const Directive& directive : directives) {
    auto rule = read_rule(directive, block);
    if (!rule.ok()) return rule.error();
    options->rules.push_back(*std::move(rule));
  }
  return std::shared_ptr<PluginOptions>(std::move(options));
}

}  // namespace fairlead::dns
