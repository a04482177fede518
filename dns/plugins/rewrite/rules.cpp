// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/rewrite/rules.h"

#include <algorithm>
#include <charconv>

namespace fairlead::dns {
namespace {

// (Not std::views::reverse, which clang 14 cannot compile with this library's.)
template <typename Range>
struct Backwards {
  const Range& range;
  auto begin() const { return range.rbegin(); }
  auto end() const { return range.rend(); }
};
template <typename Range>
Backwards<Range> backwards(const Range& range) {
  return {range};
}

using Field = RewriteRule::Field;

// {0}, {1} and so on replaced by the groups of the match.
std::string with_groups(std::string_view text, const std::vector<std::string>& groups) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto group = group_at(text, i);
    if (!group || group->number >= groups.size()) {
      out += text[i];
      continue;
    }
    out += groups[group->number];
    i += group->size - 1;
  }
  return out;
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (;;) {
    const size_t at = from.empty() ? std::string_view::npos : text.find(from);
    out += text.substr(0, at);
    if (at == std::string_view::npos) return out;
    out += to;
    text.remove_prefix(at + from.size());
  }
}

// The data of the query's OPT record.
std::vector<uint8_t> options_of(const Query& query) {
  Record opt;
  size_t at = query.edns ? query.edns->at : 0;
  if (!query.edns || !read_record(query.packet, at, opt)) return {};
  const auto data = query.packet.subspan(opt.rdata_at, opt.rdata_size);
  return {data.begin(), data.end()};
}

bool apply_name(const RewriteRule& rule, RewritePlan& plan) {
  const auto text = rule.name.replace(NameText(plan.name).view());
  if (!text) return false;
  const auto name = Name::from_text(*text);
  if (!name.ok()) return plan.bad_name = true;
  plan.of_reply.push_back({.rule = &rule, .asked = *name, .instead_of = plan.name});
  plan.name = *name;
  return plan.changes_query = true;
}

bool apply_option(const RewriteRule& rule, const Query& query, const Client& client,
                  RewritePlan& plan) {
  if (!plan.options) plan.options = options_of(query);
  auto change = change_options(rule.option, {plan.name, plan.type, client}, *plan.options);
  if (!change) return false;
  plan.options = std::move(change->options);
  if (change->undo || change->told)
    plan.of_reply.push_back(
        {.rule = &rule, .undo = std::move(change->undo), .told = std::move(change->told)});
  return plan.changes_query = true;
}

// One rule on the plan so far. Whether it was for this query.
bool apply(const RewriteRule& rule, const Query& query, const Client& client, RewritePlan& plan) {
  switch (rule.field) {
    case Field::kName:
      return apply_name(rule, plan);
    case Field::kType:
      if (plan.type != static_cast<Type>(rule.from)) return false;
      plan.type = static_cast<Type>(rule.to);
      return plan.changes_query = true;
    case Field::kClass:
      if (plan.klass != static_cast<Class>(rule.from)) return false;
      plan.klass = static_cast<Class>(rule.to);
      return plan.changes_query = true;
    case Field::kOption:
      return apply_option(rule, query, client, plan);
    case Field::kTtl:
    case Field::kRcode:
      if (!rule.name.matches(NameText(plan.name).view())) return false;
      break;
    case Field::kCname:
      break;
  }
  plan.of_reply.push_back({.rule = &rule});
  return true;
}

template <typename Change>  // Name -> optional<Name>
void change_names(EditMessage& reply, bool owners, bool values, const Change& change) {
  for (auto& section : reply.sections) {
    for (EditRecord& record : section) {
      if (owners)
        if (const auto name = change(record.owner)) record.owner = *name;
      if (!values) continue;
      const std::vector<Name> names = rdata_names(record);
      // The second name of an SOA record is a mailbox.
      const size_t count =
          record.type == Type::kSoa ? std::min<size_t>(1, names.size()) : names.size();
      for (size_t i = 0; i < count; ++i)
        if (const auto name = change(names[i])) set_rdata_name(record, i, *name);
    }
  }
}

std::optional<Name> name_of(const std::optional<std::string>& text) {
  const auto name = text ? Name::from_text(*text) : Result<Name>(Name());
  return text && name.ok() ? std::optional(*name) : std::nullopt;
}

std::optional<Name> back_of(const RewritePlan::Step& step, const Name& name) {
  using Back = RewriteRule::Back;
  if (name == step.asked) return step.instead_of;
  if (step.rule->back == Back::kSuffix) {
    const NameRule reversed{NameRule::Kind::kSuffix, step.rule->name.to, step.rule->name.from, {}};
    return name_of(reversed.replace(NameText(name).view()));
  }
  if (step.rule->back != Back::kBelow || step.asked.labels() == 0 || !name.ends_with(step.asked))
    return std::nullopt;
  std::string text = name.to_text();
  text.resize(text.size() - step.asked.to_text().size());
  return name_of(text + step.instead_of.to_text());
}

void put_back(EditMessage& reply, const RewritePlan::Step& step) {
  if (step.rule->back == RewriteRule::Back::kNot) return;
  change_names(reply, true, true, [&](const Name& name) { return back_of(step, name); });
}

void apply_answer(EditMessage& reply, const AnswerRule& rule) {
  change_names(reply, !rule.value, rule.value,
               [&](const Name& name) { return name_of(rule.name.replace(NameText(name).view())); });
}

uint32_t clamped(const RewriteRule& rule, uint32_t ttl) {
  return std::clamp(ttl, rule.least_ttl, rule.most_ttl);
}

}  // namespace

std::optional<GroupInText> group_at(std::string_view text, size_t at) {
  if (at >= text.size() || text[at] != '{') return std::nullopt;
  GroupInText group;
  const char* const digits = text.data() + at + 1;
  const char* const end = text.data() + text.size();
  const auto [last, error] = std::from_chars(digits, end, group.number);
  if (error != std::errc() || last == end || *last != '}') return std::nullopt;
  group.size = static_cast<size_t>(last + 1 - (text.data() + at));
  return group;
}

bool NameRule::matches(std::string_view name) const {
  switch (kind) {
    case Kind::kExact:
      return name == from;
    case Kind::kPrefix:
      return name.starts_with(from);
    case Kind::kSuffix:
      return name.ends_with(from);
    case Kind::kSubstring:
      return name.find(from) != std::string_view::npos;
    case Kind::kRegex:
      break;
  }
  return pattern->search(name);
}

std::optional<std::string> NameRule::replace(std::string_view name) const {
  if (kind == Kind::kRegex) {
    std::vector<std::string> groups;
    if (!pattern->search(name, &groups)) return std::nullopt;
    return with_groups(to, groups);
  }
  if (!matches(name)) return std::nullopt;
  switch (kind) {
    case Kind::kPrefix:
      return to + std::string(name.substr(from.size()));
    case Kind::kSuffix:
      return std::string(name.substr(0, name.size() - from.size())) + to;
    case Kind::kSubstring:
      return replace_all(name, from, to);
    case Kind::kExact:
    case Kind::kRegex:
      break;
  }
  return to;
}

bool RewritePlan::follows_cnames() const {
  return std::ranges::any_of(of_reply,
                             [](const Step& step) { return step.rule->field == Field::kCname; });
}

RewritePlan plan_rewrite(const std::vector<RewriteRule>& rules, const Query& query,
                         const Client& client) {
  RewritePlan plan;
  plan.name = query.name;
  plan.type = query.type;
  plan.klass = query.klass;
  for (const RewriteRule& rule : rules)
    if (apply(rule, query, client, plan) && (rule.stop || plan.bad_name)) break;
  return plan;
}

std::vector<uint8_t> rewritten_query(const RewritePlan& plan, const Query& query) {
  std::optional<EditMessage> message = decode(query.packet);
  if (!message) return {query.packet.begin(), query.packet.end()};
  message->name = plan.name;
  message->type = plan.type;
  message->klass = plan.klass;
  if (plan.options) {
    auto& additional = (*message)[Section::kAdditional];
    auto opt = std::ranges::find(additional, Type::kOpt, &EditRecord::type);
    if (opt == additional.end()) {
      additional.push_back({Name(), Type::kOpt, static_cast<Class>(kEdnsUdpSize), 0, {}});
      opt = additional.end() - 1;
    }
    opt->rdata = *plan.options;
  }
  return encode(*message);
}

void rewrite_reply(const RewritePlan& plan, RewrittenReply reply) {
  for (const RewritePlan::Step& step : backwards(plan.of_reply)) {
    const RewriteRule& rule = *step.rule;
    for (const AnswerRule& answer : backwards(rule.answers)) apply_answer(reply.message, answer);
    if (rule.field == Field::kName) put_back(reply.message, step);
    if (step.undo) reply.options = undo_options(*step.undo, reply.options);
    // Unless another rule has taken it away again.
    if (step.told && has_option(*plan.options, rule.option.code))
      reply.options = tell_option(rule.option.code, *step.told, reply.options);
    if (rule.field == Field::kTtl)
      for (auto& section : reply.message.sections)
        for (EditRecord& record : section) record.ttl = clamped(rule, record.ttl);
    if (rule.field == Field::kRcode && static_cast<uint16_t>(reply.rcode) == rule.from)
      reply.rcode = static_cast<Rcode>(rule.to);
  }
}

std::optional<Name> redirect_cname(const RewritePlan& plan, EditMessage& reply) {
  auto& answers = reply[Section::kAnswer];
  for (const RewritePlan::Step& step : backwards(plan.of_reply)) {
    if (step.rule->field != Field::kCname) continue;
    for (size_t i = 0; i < answers.size(); ++i) {
      if (answers[i].type != Type::kCname) continue;
      const std::vector<Name> names = rdata_names(answers[i]);
      if (names.empty()) continue;
      const auto target = name_of(step.rule->name.replace(NameText(names.front()).view()));
      if (!target) continue;
      set_rdata_name(answers[i], 0, *target);
      answers.resize(i + 1);
      return target;
    }
  }
  return std::nullopt;
}

void rewrite_in_place(const RewritePlan& plan, Reply& reply) {
  for (const RewritePlan::Step& step : backwards(plan.of_reply)) {
    const RewriteRule& rule = *step.rule;
    if (rule.field == Field::kRcode && static_cast<uint16_t>(reply.rcode()) == rule.from)
      reply.set_rcode(static_cast<Rcode>(rule.to));
    if (rule.field != Field::kTtl) continue;
    const auto message = reply.message();
    const auto records = reply.records();
    size_t at = reply.records_at();
    Record record;
    while (at < message.size() && read_record(message, at, record)) {
      uint8_t* ttl = &records[record.rdata_at - reply.records_at() - 6];
      write_u32(ttl, clamped(rule, record.ttl));
    }
  }
}

}  // namespace fairlead::dns
