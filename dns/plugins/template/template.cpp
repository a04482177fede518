// SPDX-License-Identifier: Apache-2.0
// Answers made of the query's own parts.
//
//   template CLASS TYPE [ZONE...] {     ANY: every class, every type; the block's zones
//       match REGEX...                  .*; one of them must match the name in lower case
//       var NAME EXPRESSION             .Var.NAME (expression.h)
//       expr EXPRESSION                 must be true, too
//       answer|additional|authority RECORD...
//       rcode CODE                      NOERROR
//       ederror CODE [TEXT]             an extended error for clients with EDNS
//       fallthrough [ZONE...]           names that nothing matches go on; without it SERVFAIL
//   }
//
// RECORD is a record as in a zone file, with actions such as {{ .Name }} (text.h). Directives are
// tried in order; those for another class, type or zone are passed over.
#include "dns/edit.h"
#include "dns/labels.h"
#include "dns/plugins/template/setup.h"
#include "dns/record_text.h"
#include "dns/router.h"

namespace fairlead::dns {
namespace {

// Sets the variables. False when a condition is not true, or no truth value, as in CoreDNS.
Result<bool> conditions_hold(const TemplateRule& rule, TemplateData& data) {
  for (const TemplateRule::Variable& each : rule.variables) {
    const auto value = each.value.evaluate(data);
    if (!value.ok()) return value.error();
    data.variables[each.name] = *value;
  }
  for (const Expression& condition : rule.conditions) {
    const auto value = condition.evaluate(data);
    if (!value.ok()) return value.error();
    if (value->kind() != Value::Kind::kBool || !value->truth()) return false;
  }
  return true;
}

class Template : public Plugin {
 public:
  Template(Router& router, const TemplateOptions& options)
      : router_(router), options_(options), counts_(options.counts.add()) {
    for (const auto& rule : options.rules)
      if (rule->klass == Class::kChaos || rule->klass == Class::kAny) chaos_ = true;
  }
  bool serves_chaos() const override { return chaos_; }

  Step serve(Request& request) override {
    for (const auto& rule : options_.rules) {
      const Name* zone = zone_of(*rule, request.query());
      if (zone == nullptr) continue;
      const NameText text(request.query().name);
      std::vector<std::string> groups;
      if (const TemplateRule::Match* match = match_of(*rule, text.view(), groups)) {
        const TemplateCounts::Asked asked = asked_of(*rule, *zone, request.query());
        TemplateData data = data_of(asked, request);
        data.name = text.view();
        data.regex = match->text;
        data.match = std::move(groups);
        data.names = &match->pattern.group_names();
        const Result<bool> holds = conditions_hold(*rule, data);
        if (!holds.ok()) return fail(request.reply());
        if (*holds) return answer(*rule, asked, data, request);
      }
      if (!rule->fallthrough.through(request.query().name)) return fail(request.reply());
    }
    return Step::kNext;
  }

 private:
  // The longest zone of the rule that the name is in; null when the rule is not for the query.
  static const Name* zone_of(const TemplateRule& rule, const Query& query) {
    if (rule.klass != Class::kAny && rule.klass != query.klass) return nullptr;
    if (rule.type != Type::kAny && query.type != Type::kAny && rule.type != query.type)
      return nullptr;
    const Name* longest = nullptr;
    for (const Name& zone : rule.zones)
      if (query.name.ends_with(zone) && (longest == nullptr || zone.labels() > longest->labels()))
        longest = &zone;
    return longest;
  }
  static const TemplateRule::Match* match_of(const TemplateRule& rule, std::string_view name,
                                             std::vector<std::string>& groups) {
    for (const TemplateRule::Match& match : rule.matches)
      if (match.pattern.search(name, &groups)) return &match;
    return nullptr;
  }
  static Step fail(Reply& reply) {
    reply.set_rcode(Rcode::kServFail);
    reply.set_error(Ede::kOther, "no template matches the name");
    return Step::kAnswered;
  }

  // Of a question for any, the directive's.
  static TemplateCounts::Asked asked_of(const TemplateRule& rule, const Name& zone,
                                        const Query& query) {
    return {&zone, query.klass == Class::kAny ? rule.klass : query.klass,
            query.type == Type::kAny ? rule.type : query.type};
  }
  static TemplateData data_of(const TemplateCounts::Asked& asked, const Request& request) {
    const Query& query = request.query();
    const Client& client = request.client();
    TemplateData data;
    data.zone = NameText(*asked.zone).view();
    data.klass = class_to_text(asked.klass);
    data.type = type_to_text(asked.type);
    data.remote = client.address.address.to_string();
    data.query = &query;
    data.client = &client;
    data.label = [&client](std::string_view label) { return label_value(client, label); };
    return data;
  }

  Step answer(const TemplateRule& rule, const TemplateCounts::Asked& asked,
              const TemplateData& data, Request& request);
  bool fill(const TemplateRule& rule, const TemplateCounts::Asked& asked, const TemplateData& data,
            EditMessage& message);
  void chase(Request& request, const Name& target);

  Router& router_;
  const TemplateOptions& options_;
  const std::shared_ptr<TemplateCounts> counts_;
  bool chaos_ = false;
};

// False when one of the texts is no record: that is counted.
bool Template::fill(const TemplateRule& rule, const TemplateCounts::Asked& asked,
                    const TemplateData& data, EditMessage& message) {
  for (const Section section : {Section::kAnswer, Section::kAdditional, Section::kAuthority})
    for (const TemplateText& text : rule.records[static_cast<size_t>(section)]) {
      const auto filled = text.fill(data);
      if (!filled.ok()) return counts_->failed(asked, TemplateFailure::kText, section, text), false;
      auto record = parse_record(*filled);
      if (!record.ok())
        return counts_->failed(asked, TemplateFailure::kRecord, section, text), false;
      message[section].push_back(*std::move(record));
    }
  return true;
}

Step Template::answer(const TemplateRule& rule, const TemplateCounts::Asked& asked,
                      const TemplateData& data, Request& request) {
  counts_->matched(asked);
  request.client().explain([&] { return "matched by '" + data.regex + "'"; });
  const Query& query = request.query();
  Reply& reply = request.reply();
  EditMessage message = reply_to_edit(query, rule.rcode);
  message.flags |= kFlagAuthoritative;
  // Of that code nothing is filled (as in CoreDNS), and nothing can fail.
  if (rule.rcode != Rcode::kServFail && !fill(rule, asked, data, message)) {
    reply.set_rcode(Rcode::kServFail);
    reply.set_error(Ede::kOther, "the template made no record");
    return Step::kAnswered;
  }
  std::optional<Name> target;
  if (query.type == Type::kA || query.type == Type::kAaaa)
    for (const EditRecord& record : message[Section::kAnswer])
      if (record.type == Type::kCname) target = rdata_names(record).front();
  adopt_edited(reply, query, std::move(message));
  if (rule.error) reply.set_error(*rule.error, rule.error_text);
  if (!target || request.client().transport == Transport::kInternal) return Step::kAnswered;
  chase(request, *target);
  return Step::kPending;
}

// What the target of a CNAME is goes behind it. Without an answer the CNAME alone is one, too.
void Template::chase(Request& request, const Name& target) {
  const std::shared_ptr<Deferred> deferred = request.defer();
  router_.ask(target, deferred->query().type, deferred->client(),
              [deferred](std::span<const uint8_t> message) {
                const std::optional<EditMessage> more = decode(message);
                std::optional<EditMessage> reply = decode(deferred->reply().message());
                if (more && reply) {
                  auto& answers = (*reply)[Section::kAnswer];
                  const auto& found = (*more)[Section::kAnswer];
                  answers.insert(answers.end(), found.begin(), found.end());
                  reply->flags |= more->flags & kFlagTruncated;
                  deferred->adopt(encode(*reply), deferred->reply().rcode());
                }
                deferred->finish();
              });
}

std::unique_ptr<Plugin> make(const PluginContext& context, const PluginOptions& options) {
  return std::make_unique<Template>(context.router, dynamic_cast<const TemplateOptions&>(options));
}

struct Running : Service {
  Host::Token matches;
  Host::Token text_failures;
  Host::Token record_failures;
};

Result<std::unique_ptr<Service>> start(Host& host, PluginOptions& given) {
  const auto& options = dynamic_cast<const TemplateOptions&>(given);
  const auto failures = [&](const char* name, const char* help, TemplateFailure why) {
    return add_counters(host, name, help, [&options, why](std::vector<Count>& out) {
      for (const auto& each : options.counts.all()) each->add_failures(options.server, why, out);
    });
  };
  auto running = std::make_unique<Running>();
  running->matches =
      add_counters(host, "coredns_template_matches_total", "Counter of template regex matches.",
                   [&options](std::vector<Count>& out) {
                     for (const auto& each : options.counts.all())
                       each->add_matches(options.server, out);
                   });
  running->text_failures = failures("coredns_template_template_failures_total",
                                    "Counter of go template failures.", TemplateFailure::kText);
  running->record_failures = failures("coredns_template_rr_failures_total",
                                      "Counter of mis-templated RRs.", TemplateFailure::kRecord);
  return std::unique_ptr<Service>(std::move(running));
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(template) = {&parse_template, &make, &start};

}  // namespace fairlead::dns
