// SPDX-License-Identifier: Apache-2.0
// One line for each query that was answered.
//
//   log [NAMES...] [FORMAT] {          for names at or below NAMES, "." without; "{common}"
//       class CLASSES...               success, denial, error, all (the default)
//   }
//
// Of several directives the first whose names fit counts. A FORMAT has a '{' in it
// (dns/plugins/log/format.h). success: an answer, or a referral; denial: NXDOMAIN, or no such
// records; error: every other rcode.
#include "base/log.h"

#include "dns/labels.h"
#include "dns/mnemonics.h"
#include "dns/plugin_line.h"
#include "dns/plugins/log/format.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

using corefile::Directive;

constexpr unsigned kSuccess = 1;
constexpr unsigned kDenial = 2;
constexpr unsigned kError = 4;
constexpr unsigned kAll = kSuccess | kDenial | kError;

struct Rule {
  std::vector<Name> names;
  LogFormat format;
  unsigned classes = kAll;

  bool is_for(const Name& name) const {
    for (const Name& each : names)
      if (name.ends_with(each)) return true;
    return false;
  }
};

struct LogOptions : PluginOptions {
  std::vector<Rule> rules;
};

bool has_soa(Reply& reply) {
  const std::span<const uint8_t> message = reply.message();
  size_t at = reply.records_at();
  Record record;
  for (size_t i = 0; i < reply.count(Section::kAuthority); ++i)
    if (!read_record(message, at, record) || record.type == Type::kSoa) return true;
  return false;
}

unsigned class_of(Reply& reply) {
  if (reply.rcode() == Rcode::kNxDomain) return kDenial;
  if (reply.rcode() != Rcode::kNoError) return kError;
  return reply.count(Section::kAnswer) == 0 && has_soa(reply) ? kDenial : kSuccess;
}

// What CoreDNS's log knows of a reply.
void set_labels(Labels& labels, Reply& reply) {
  const unsigned of = class_of(reply);
  const bool no_data = of == kDenial && reply.rcode() == Rcode::kNoError;
  labels.set("log/class", of == kSuccess ? "success" : of == kDenial ? "denial" : "error");
  labels.set("log/type", no_data ? "NODATA" : rcode_to_text(reply.rcode()));
}

class Log : public Plugin {
 public:
  Log(Clock& clock, const LogOptions& options) : clock_(clock), options_(options) {}

  void on_reply(const Query& query, const Client& client, Reply& reply) override {
    if (client.transport == Transport::kInternal || !log::enabled(log::Level::kInfo)) return;
    for (const Rule& rule : options_.rules) {
      if (!rule.is_for(query.name)) continue;
      if (rule.classes != kAll && (rule.classes & class_of(reply)) == 0) return;
      if (client.labels) set_labels(*client.labels, reply);
      fmt::memory_buffer line;
      rule.format.write(line, query, client, reply, clock_.now());
      return write_line(log::Level::kInfo, {line.data(), line.size()});
    }
  }
  bool serves_chaos() const override { return true; }

 private:
  Clock& clock_;
  const LogOptions& options_;
};

Result<void> read_classes(const Directive& property, Rule& rule) {
  if (rule.classes == kAll) rule.classes = 0;
  for (const corefile::Word& word : property.arguments) {
    const auto choice = read_choice(word, {"success", "denial", "error", "all"});
    if (!choice.ok()) return choice.error();
    rule.classes |= *choice == 3 ? kAll : 1u << *choice;
  }
  return ok();
}

Result<Rule> read_rule(const Directive& directive) {
  Rule rule;
  std::span<const corefile::Word> names = directive.arguments;
  const bool has_format = !names.empty() && names.back().text.find('{') != std::string::npos;
  rule.format = LogFormat::parse(has_format ? names.back().text : "{common}");
  if (has_format) names = names.first(names.size() - 1);
  auto zones = read_zones(names, {Name()});
  if (!zones.ok()) return zones.error();
  rule.names = *std::move(zones);
  const auto read = read_properties(
      directive,
      {{"class", 1, Property::kAny, [&](const Directive& p) { return read_classes(p, rule); }}});
  if (!read.ok()) return read.error();
  return rule;
}

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup& block) {
  auto options = std::make_shared<LogOptions>();
  for (const Directive& directive : directives) {
    auto rule = read_rule(directive);
    if (!rule.ok()) return rule.error();
    for (const std::string& label : rule->format.labels()) ask_label(block, label);
    options->rules.push_back(*std::move(rule));
  }
  return std::shared_ptr<PluginOptions>(std::move(options));
}

std::unique_ptr<Plugin> make(const PluginContext& context, const PluginOptions& options) {
  return std::make_unique<Log>(context.loop.clock(), dynamic_cast<const LogOptions&>(options));
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(log) = {&parse, &make, nullptr};

}  // namespace fairlead::dns
