// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/rewrite/rules.h"

#include <algorithm>

namespace fairlead::dns {
namespace {

using Field = RewriteRule::Field;

// {0} to {9} replaced by the groups of the match.
std::string with_groups(std::string_view text, const std::vector<std::string>& groups) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool group = text[i] == '{' && i + 2 < text.size() && text[i + 2] == '}' &&
                       text[i + 1] >= '0' && text[i + 1] <= '9' &&
                       static_cast<size_t>(text[i + 1] - '0') < groups.size();
    if (group) {
      out += groups[static_cast<size_t>(text[i + 1] - '0')];
      i += 2;
    } else {
      out += text[i];
    }
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

// One rule on the plan so far. Whether it was for this query.
bool apply(const RewriteRule& rule, RewritePlan& plan) {
  switch (rule.field) {
    case Field::kName: {
      const auto text = rule.name.replace(NameText(plan.name).view());
      if (!text) return false;
      const auto name = Name::from_text(*text);
      if (!name.ok()) return plan.bad_name = true;
      if (rule.automatic) plan.renamed.push_back({*name, plan.name});
      if (!rule.answers.empty()) plan.of_reply.push_back(&rule);
      plan.name = *name;
      return plan.changes_query = true;
    }
    case Field::kType:
      if (plan.type != static_cast<Type>(rule.from)) return false;
      plan.type = static_cast<Type>(rule.to);
      return plan.changes_query = true;
    case Field::kClass:
      if (plan.klass != static_cast<Class>(rule.from)) return false;
      plan.klass = static_cast<Class>(rule.to);
      return plan.changes_query = true;
    case Field::kOption:
      plan.options.push_back(&rule.option);
      return plan.changes_query = true;
    case Field::kTtl:
    case Field::kRcode:
      if (!rule.name.matches(NameText(plan.name).view())) return false;
      break;
    case Field::kCname:
      break;
  }
  plan.of_reply.push_back(&rule);
  return true;
}

void append_u16(std::vector<uint8_t>& out, size_t value) {
  out.push_back(static_cast<uint8_t>(value >> 8));
  out.push_back(static_cast<uint8_t>(value));
}

// RFC 7871 section 6: family, source and scope prefix, and as much of the address.
std::vector<uint8_t> subnet(const OptionRule& rule, const IpAddress& client) {
  const uint8_t prefix = client.is_v4() ? rule.prefix_v4 : rule.prefix_v6;
  const Cidr net(client, prefix);
  std::vector<uint8_t> out = {0, static_cast<uint8_t>(client.is_v4() ? 1 : 2), prefix, 0};
  const auto bytes = net.address().bytes().first((prefix + 7u) / 8u);
  out.insert(out.end(), bytes.begin(), bytes.end());
  return out;
}

std::vector<uint8_t> option_data(const OptionRule& rule, const Query& query, const Client& client) {
  std::vector<uint8_t> out;
  const auto text = [&](std::string_view value) { out.assign(value.begin(), value.end()); };
  const auto address = [&](const IpAddress& value) {
    out.assign(value.bytes().begin(), value.bytes().end());
  };
  switch (rule.data) {
    case OptionRule::Data::kBytes:
      return rule.bytes;
    case OptionRule::Data::kQname:
      text(query.name.to_text());
      break;
    case OptionRule::Data::kQtype:
      append_u16(out, static_cast<uint16_t>(query.type));
      break;
    case OptionRule::Data::kClientIp:
      address(client.address.address);
      break;
    case OptionRule::Data::kClientPort:
      append_u16(out, client.address.port);
      break;
    case OptionRule::Data::kProtocol:
      text(client.transport == Transport::kTcp ? "tcp" : "udp");
      break;
    case OptionRule::Data::kServerIp:
      address(client.local.address);
      break;
    case OptionRule::Data::kServerPort:
      append_u16(out, client.local.port);
      break;
    case OptionRule::Data::kSubnet:
      return subnet(rule, client.address.address);
  }
  return out;
}

// The options of an OPT record with the rule applied.
std::vector<uint8_t> changed_options(std::span<const uint8_t> options, const OptionRule& rule,
                                     std::span<const uint8_t> data) {
  std::vector<uint8_t> out;
  const auto add = [&] {
    append_u16(out, rule.code);
    append_u16(out, data.size());
    out.insert(out.end(), data.begin(), data.end());
  };
  bool replaced = rule.action == OptionRule::Action::kAppend;
  while (options.size() >= 4) {
    const size_t size = std::min<size_t>(4u + read_u16(&options[2]), options.size());
    if (!replaced && read_u16(&options[0]) == rule.code) {
      add();
      replaced = true;
    } else {
      out.insert(out.end(), options.begin(), options.begin() + static_cast<ptrdiff_t>(size));
    }
    options = options.subspan(size);
  }
  const bool adds = rule.action == OptionRule::Action::kAppend ||
                    (rule.action == OptionRule::Action::kSet && !replaced);
  if (adds) add();
  return out;
}

void change_option(EditMessage& message, const OptionRule& rule, std::span<const uint8_t> data) {
  auto& additional = message[Section::kAdditional];
  auto opt = std::ranges::find(additional, Type::kOpt, &EditRecord::type);
  if (opt == additional.end()) {
    if (rule.action == OptionRule::Action::kReplace) return;
    additional.push_back({Name(), Type::kOpt, static_cast<Class>(kEdnsUdpSize), 0, {}});
    opt = additional.end() - 1;
  }
  std::vector<uint8_t> options = changed_options(opt->rdata, rule, data);
  if (options.size() <= 0xffff) opt->rdata = std::move(options);
}

template <typename Change>  // Name -> optional<Name>
void change_names(EditMessage& reply, bool owners, bool values, const Change& change) {
  for (auto& section : reply.sections) {
    for (EditRecord& record : section) {
      if (owners)
        if (const auto name = change(record.owner)) record.owner = *name;
      if (!values || record.type == Type::kPtr) continue;
      const std::vector<Name> names = rdata_names(record);
      // The second name of an SOA record is a mailbox.
      const size_t count =
          record.type == Type::kSoa ? std::min<size_t>(1, names.size()) : names.size();
      for (size_t i = 0; i < count; ++i)
        if (const auto name = change(names[i])) set_rdata_name(record, i, *name);
    }
  }
}

void put_back(EditMessage& reply, const RewritePlan::Renamed& renamed) {
  change_names(reply, true, true, [&](const Name& name) {
    return name == renamed.from ? std::optional(renamed.to) : std::nullopt;
  });
}

void apply_answer(EditMessage& reply, const AnswerRule& rule) {
  change_names(reply, !rule.value, rule.value, [&](const Name& name) -> std::optional<Name> {
    const auto text = rule.name.replace(NameText(name).view());
    if (!text) return std::nullopt;
    const auto changed = Name::from_text(*text);
    return changed.ok() ? std::optional(*changed) : std::nullopt;
  });
}

uint32_t clamped(const RewriteRule& rule, uint32_t ttl) {
  return std::clamp(ttl, rule.least_ttl, rule.most_ttl);
}

}  // namespace

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

const RewriteRule* RewritePlan::cname() const {
  for (const RewriteRule* rule : of_reply)
    if (rule->field == Field::kCname) return rule;
  return nullptr;
}

RewritePlan plan_rewrite(const std::vector<RewriteRule>& rules, const Query& query) {
  RewritePlan plan;
  plan.name = query.name;
  plan.type = query.type;
  plan.klass = query.klass;
  for (const RewriteRule& rule : rules)
    if (apply(rule, plan) && (rule.stop || plan.bad_name)) break;
  return plan;
}

std::vector<uint8_t> rewritten_query(const RewritePlan& plan, const Query& query,
                                     const Client& client) {
  std::optional<EditMessage> message = decode(query.packet);
  if (!message) return {query.packet.begin(), query.packet.end()};
  message->name = plan.name;
  message->type = plan.type;
  message->klass = plan.klass;
  for (const OptionRule* rule : plan.options)
    change_option(*message, *rule, option_data(*rule, query, client));
  return encode(*message);
}

void rewrite_reply(const RewritePlan& plan, EditMessage& reply) {
  for (size_t i = plan.renamed.size(); i-- > 0;) put_back(reply, plan.renamed[i]);
  for (const RewriteRule* rule : plan.of_reply) {
    for (const AnswerRule& answer : rule->answers) apply_answer(reply, answer);
    if (rule->field == Field::kTtl)
      for (auto& section : reply.sections)
        for (EditRecord& record : section) record.ttl = clamped(*rule, record.ttl);
    if (rule->field == Field::kRcode && (reply.flags & 15) == rule->from)
      reply.flags = static_cast<uint16_t>((reply.flags & 0xfff0) | rule->to);
  }
}

void rewrite_in_place(const RewritePlan& plan, Reply& reply) {
  for (const RewriteRule* rule : plan.of_reply) {
    if (rule->field == Field::kRcode && static_cast<uint16_t>(reply.rcode()) == rule->from)
      reply.set_rcode(static_cast<Rcode>(rule->to));
    if (rule->field != Field::kTtl) continue;
    const auto message = reply.message();
    const auto records = reply.records();
    size_t at = reply.records_at();
    Record record;
    while (at < message.size() && read_record(message, at, record)) {
      uint8_t* ttl = &records[record.rdata_at - reply.records_at() - 6];
      write_u32(ttl, clamped(*rule, record.ttl));
    }
  }
}

}  // namespace fairlead::dns
