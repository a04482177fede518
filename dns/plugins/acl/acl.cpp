// SPDX-License-Identifier: Apache-2.0
// Who may ask for what. Rules are tried in order, directive by directive, and the first that
// matches decides; a query that none matches is allowed.
//
//   acl [ZONES...] {                                        the block's zones
//       allow|block|filter|drop [type TYPE...] [net NET...]     any type, any client
//   }
//
//   allow    goes on to the next plugin
//   block    REFUSED
//   filter   NOERROR without records
//   drop     nothing is sent
//
// TYPE is a record type, `*` for all of them; ANY is what questions of that type ask for. NET an
// address, a prefix, `*` or `any`.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>

#include "dns/counters.h"
#include "dns/mnemonics.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

using corefile::Directive;
using corefile::Word;

enum class Action : uint8_t { kAllow, kBlock, kFilter, kDrop };
constexpr size_t kActions = 4;

struct Rule {
  Action action{};
  std::vector<Type> types;  // none: any
  std::vector<Cidr> nets;   // none: any

  bool matches(Type type, const IpAddress& client) const {
    return (types.empty() || std::ranges::find(types, type) != types.end()) &&
           (nets.empty() ||
            std::ranges::any_of(nets, [&](const Cidr& net) { return net.contains(client); }));
  }
};

struct Counted {
  Name zone;
  std::array<std::atomic<uint64_t>, kActions> refused{};  // by action
};

struct Directed {
  std::vector<std::unique_ptr<Counted>> zones;
  std::vector<Rule> rules;
};

struct AclOptions : PluginOptions {
  std::string server;
  std::vector<Directed> directives;
  mutable std::atomic<uint64_t> allowed{0};
};

Result<void> read_type(const Word& word, bool& any, std::vector<Type>& types) {
  if (word.text == "*") return any = true, ok();
  const auto type = type_from_text(word.text);
  if (!type) return word.place.error("'" + word.text + "' is no record type such as AAAA");
  types.push_back(*type);
  return ok();
}

Result<void> read_net(const Word& word, bool& any, std::vector<Cidr>& nets) {
  if (word.text == "*" || word.text == "any") return any = true, ok();
  if (const auto address = IpAddress::parse(word.text); address.ok())
    nets.push_back(Cidr::host(*address));
  else if (const auto net = Cidr::parse(word.text); net.ok())
    nets.push_back(*net);
  else
    return word.place.error("'" + word.text + "' is no address such as 10.0.0.1 or 10.0.0.0/8");
  return ok();
}

bool is_section(std::string_view text) {
  return same_word(text, "type", Letters::kAnyCase) || same_word(text, "net", Letters::kAnyCase);
}

Result<Rule> read_rule(const Directive& property, Action action) {
  Rule rule{action, {}, {}};
  bool any_type = false;
  bool any_net = false;
  const auto& words = property.arguments;
  for (size_t i = 0; i < words.size();) {
    const auto section = read_choice(words[i], {"type", "net"}, Letters::kAnyCase);
    if (!section.ok()) return section.error();
    const size_t first = ++i;
    for (; i < words.size() && !is_section(words[i].text); ++i) {
      const Result<void> read = *section == 0 ? read_type(words[i], any_type, rule.types)
                                              : read_net(words[i], any_net, rule.nets);
      if (!read.ok()) return read.error();
    }
    if (i == first)
      return words[first - 1].place.error("nothing follows '" + words[first - 1].text + "'");
  }
  if (any_type) rule.types.clear();
  if (any_net) rule.nets.clear();
  return rule;
}

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup& block) {
  auto options = std::make_shared<AclOptions>();
  options->server = block.server_label();
  for (const Directive& directive : directives) {
    Directed& directed = options->directives.emplace_back();
    const auto zones = read_zones(directive.arguments, block.zones);
    if (!zones.ok()) return zones.error();
    for (const Name& zone : *zones)
      directed.zones.emplace_back(std::make_unique<Counted>())->zone = zone;
    const auto into = [&directed](Action action) {
      return [&directed, action](const Directive& property) -> Result<void> {
        const auto rule = read_rule(property, action);
        if (!rule.ok()) return rule.error();
        directed.rules.push_back(*rule);
        return ok();
      };
    };
    const auto read = read_properties(directive,
                                      {{"allow", 0, Property::kAny, into(Action::kAllow)},
                                       {"block", 0, Property::kAny, into(Action::kBlock)},
                                       {"filter", 0, Property::kAny, into(Action::kFilter)},
                                       {"drop", 0, Property::kAny, into(Action::kDrop)}},
                                      Letters::kAnyCase);
    if (!read.ok()) return read.error();
  }
  return std::shared_ptr<PluginOptions>(std::move(options));
}

class Acl : public Plugin {
 public:
  explicit Acl(const AclOptions& options) : options_(options) {}

  Step serve(Request& request) override {
    const Query& query = request.query();
    for (const Directed& directed : options_.directives) {
      Counted* zone = zone_of(directed, query.name);
      if (zone == nullptr) continue;
      const Rule* rule = first(directed, query.type, request.client().address.address);
      if (rule == nullptr) continue;
      request.client().explain([&] {
        return fmt::format("a rule of zone {} is for {}", zone->zone.to_text(),
                           request.client().address.address.to_string());
      });
      if (rule->action == Action::kAllow) break;
      zone->refused[static_cast<size_t>(rule->action)].fetch_add(1, std::memory_order_relaxed);
      return act(rule->action, request);
    }
    options_.allowed.fetch_add(1, std::memory_order_relaxed);
    return Step::kNext;
  }

 private:
  static Counted* zone_of(const Directed& directed, const Name& name) {
    Counted* longest = nullptr;
    for (const auto& zone : directed.zones)
      if (name.ends_with(zone->zone) &&
          (longest == nullptr || zone->zone.labels() > longest->zone.labels()))
        longest = zone.get();
    return longest;
  }
  static const Rule* first(const Directed& directed, Type type, const IpAddress& client) {
    for (const Rule& rule : directed.rules)
      if (rule.matches(type, client)) return &rule;
    return nullptr;
  }
  static Step act(Action action, Request& request) {
    switch (action) {
      case Action::kAllow:
        break;
      case Action::kBlock:
        request.reply().set_rcode(Rcode::kRefused);
        request.reply().set_error(Ede::kProhibited, "blocked by acl");
        return Step::kAnswered;
      case Action::kFilter:
        request.reply().set_error(Ede::kFiltered, "filtered by acl");
        return Step::kAnswered;
      case Action::kDrop:
        request.defer().reset();
        return Step::kPending;
    }
    return Step::kNext;
  }

  const AclOptions& options_;
};

std::unique_ptr<Plugin> make(const PluginContext&, const PluginOptions& options) {
  return std::make_unique<Acl>(dynamic_cast<const AclOptions&>(options));
}

struct Running : Service {
  std::vector<Host::Token> counters;
};

Result<std::unique_ptr<Service>> start(Host& host, PluginOptions& given) {
  static constexpr std::pair<Action, const char*> kRefused[] = {
      {Action::kBlock, "blocked"}, {Action::kFilter, "filtered"}, {Action::kDrop, "dropped"}};
  const auto& options = dynamic_cast<const AclOptions&>(given);
  auto running = std::make_unique<Running>();
  for (const auto& [action, name] : kRefused)
    running->counters.push_back(
        add_counters(host, fmt::format("coredns_acl_{}_requests_total", name),
                     fmt::format("Counter of DNS requests being {}.", name),
                     [&options, index = static_cast<size_t>(action)](std::vector<Count>& out) {
                       for (const Directed& directed : options.directives)
                         for (const auto& zone : directed.zones)
                           out.push_back({fmt::format("server=\"{}\",zone=\"{}\",view=\"\"",
                                                      options.server, zone->zone.to_text()),
                                          zone->refused[index].load(std::memory_order_relaxed)});
                     }));
  running->counters.push_back(
      add_counters(host, "coredns_acl_allowed_requests_total",
                   "Counter of DNS requests being allowed.", [&options](std::vector<Count>& out) {
                     out.push_back({fmt::format("server=\"{}\",view=\"\"", options.server),
                                    options.allowed.load(std::memory_order_relaxed)});
                   }));
  return std::unique_ptr<Service>(std::move(running));
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(acl) = {&parse, &make, &start};

}  // namespace fairlead::dns
