// SPDX-License-Identifier: Apache-2.0
// Sets and clears header flags. Lines are taken in their order, so the last one counts.
//
//   header {
//       response set|clear aa|ra|rd...   of replies
//       query set|clear aa|ra|rd...      of what the plugins behind see; `request` is the same
//       set|clear aa|ra|rd...            the old form of `response`
//   }
#include "dns/adopt_reply.h"
#include "dns/plugin.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

using corefile::Directive;
using corefile::Word;

struct Flags {
  uint16_t set = 0;
  uint16_t clear = 0;
  uint16_t apply(uint16_t flags) const {
    return static_cast<uint16_t>((flags | set) & ~unsigned{clear});
  }
};

struct HeaderOptions : PluginOptions {
  Flags query;
  Flags response;
};

Result<void> read_flags(std::span<const Word> words, bool set, Flags& flags) {
  static constexpr uint16_t kFlags[] = {kFlagAuthoritative, kFlagRecursionAvailable,
                                        kFlagRecursionDesired};
  for (const Word& word : words) {
    const auto choice = read_choice(word, {"aa", "ra", "rd"}, Letters::kAnyCase);
    if (!choice.ok()) return choice.error();
    const uint16_t flag = kFlags[*choice];
    (set ? flags.set : flags.clear) |= flag;
    (set ? flags.clear : flags.set) &= static_cast<uint16_t>(~unsigned{flag});
  }
  return ok();
}

// `set` or `clear`, then the flags.
auto action_into(Flags& flags) {
  return [&flags](const Directive& property) -> Result<void> {
    const auto action = read_choice(property.arguments[0], {"clear", "set"}, Letters::kAnyCase);
    if (!action.ok()) return action.error();
    return read_flags(std::span(property.arguments).subspan(1), *action == 1, flags);
  };
}

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup& block) {
  auto options = std::make_shared<HeaderOptions>();
  for (const Directive& directive : directives) {
    if (!directive.arguments.empty())
      block.notes.push_back("header: its arguments have no effect");  // nor have they in CoreDNS
    if (!directive.block || directive.block->empty())
      return directive.name.place.error("header needs a block such as { response set ra }");
    const auto read = read_properties(
        directive,
        {{"response", 2, Property::kAny, action_into(options->response)},
         {"query", 2, Property::kAny, action_into(options->query)},
         {"request", 2, Property::kAny, action_into(options->query)},
         {"set", 1, Property::kAny,
          [&](const Directive& p) { return read_flags(p.arguments, true, options->response); }},
         {"clear", 1, Property::kAny,
          [&](const Directive& p) { return read_flags(p.arguments, false, options->response); }}},
        Letters::kAnyCase);
    if (!read.ok()) return read.error();
  }
  return std::shared_ptr<PluginOptions>(std::move(options));
}

class Header : public Plugin {
 public:
  explicit Header(const HeaderOptions& options) : options_(options) {}

  Step serve(Request& request) override {
    const Query& query = request.query();
    const uint16_t flags = options_.query.apply(query.flags);
    if (flags == query.flags) return Step::kNext;
    std::vector<uint8_t> packet(query.packet.begin(), query.packet.end());
    write_u16(&packet[2], flags);
    const std::shared_ptr<Deferred> deferred = request.defer();
    deferred->ask_next(packet, [this, deferred](std::span<const uint8_t> message) {
      adopt_reply(*deferred, message);
      change(deferred->reply());
      deferred->finish();
    });
    return Step::kPending;
  }
  void on_reply(const Query&, const Client&, Reply& reply) override { change(reply); }

 private:
  void change(Reply& reply) {
    reply.set_flag(options_.response.set);
    reply.clear_flag(options_.response.clear);
  }

  const HeaderOptions& options_;
};

std::unique_ptr<Plugin> make(const PluginContext&, const PluginOptions& options) {
  return std::make_unique<Header>(dynamic_cast<const HeaderOptions&>(options));
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(header) = {&parse, &make, nullptr};

}  // namespace fairlead::dns
