// SPDX-License-Identifier: Apache-2.0
// Asks the next plugins something else than the client did, and changes their replies. The rules
// are tried in order; `stop` (the default) ends with a rule that was for the query, `continue` goes
// on with what it made of the query. The client always gets its own question back.
//
//   rewrite [stop|continue] name [KIND] FROM TO [answer auto|[answer] name|value REGEX TO]...
//   rewrite [stop|continue] type|class FROM TO
//   rewrite [stop|continue] edns0 local set|append|replace CODE DATA [revert]
//   rewrite [stop|continue] edns0 nsid set|append|replace [revert]
//   rewrite [stop|continue] edns0 subnet set|append|replace IPV4-BITS IPV6-BITS [revert]
//   rewrite [stop|continue] edns0 local unset CODE
//   rewrite [stop|continue] edns0 nsid|subnet unset
//   rewrite [stop|continue] ttl [KIND] NAME SECONDS|LEAST-MOST|LEAST-|-MOST
//   rewrite [stop|continue] rcode [KIND] NAME FROM TO
//   rewrite [stop|continue] cname [KIND] FROM TO
//
// KIND: exact (the default), prefix, suffix, substring or regex (dns/pattern.h), whose groups are
// {0} to {9} in TO. A rule may also stand in a block, with `answer` on lines of its own.
#include <algorithm>

#include "dns/adopt_reply.h"
#include "dns/plugins/rewrite/setup.h"
#include "dns/router.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

using Field = RewriteRule::Field;

class Rewrite : public Plugin {
 public:
  Rewrite(Router& router, const RewriteOptions& options)
      : router_(router),
        options_(options),
        in_place_(std::ranges::any_of(options.rules,
                                      [](const RewriteRule& rule) {
                                        return rule.field == Field::kTtl ||
                                               rule.field == Field::kRcode;
                                      })),
        chaos_(std::ranges::any_of(options.rules, [](const RewriteRule& rule) {
          return rule.field == Field::kClass && static_cast<Class>(rule.from) == Class::kChaos;
        })) {}

  bool serves_chaos() const override { return chaos_; }

  Step serve(Request& request) override {
    RewritePlan made = plan_rewrite(options_.rules, request.query(), request.client());
    if (made.bad_name) {
      request.reply().set_rcode(Rcode::kServFail);
      request.reply().set_error(Ede::kOther, "rewrite made a name that is none");
      return Step::kAnswered;
    }
    if (!made.changes_query && !made.follows_cnames()) return Step::kNext;
    const auto plan = std::make_shared<const RewritePlan>(std::move(made));
    const auto packet = rewritten_query(*plan, request.query());
    const std::shared_ptr<Deferred> deferred = request.defer();
    request.client().explain([] { return std::string("a rule changes the question"); });
    deferred->ask_next(packet, [this, plan, deferred](std::span<const uint8_t> message) {
      on_message(*plan, deferred, message);
    });
    return Step::kPending;
  }

  // Only for queries that serve() left alone.
  void on_reply(const Query& query, const Client& client, Reply& reply) override {
    if (in_place_) rewrite_in_place(plan_rewrite(options_.rules, query, client), reply);
  }

 private:
  void on_message(const RewritePlan& plan, const std::shared_ptr<Deferred>& deferred,
                  std::span<const uint8_t> message);
  void chase(const std::shared_ptr<Deferred>& deferred, const Name& target,
             std::vector<uint8_t> options);

  Router& router_;
  const RewriteOptions& options_;
  const bool in_place_;
  const bool chaos_;
};

void Rewrite::on_message(const RewritePlan& plan, const std::shared_ptr<Deferred>& deferred,
                         std::span<const uint8_t> message) {
  std::optional<Name> target;
  std::vector<uint8_t> options;
  adopt_reply(*deferred, message, [&](AdoptedReply& reply) {
    rewrite_reply(plan, {reply.message, reply.rcode, reply.options});
    target = redirect_cname(plan, reply.message);
    options = reply.options;
  });
  const bool ours = deferred->client().transport == Transport::kInternal;
  if (!target || deferred->query().type == Type::kCname || ours) return deferred->finish();
  chase(deferred, *target, std::move(options));
}

// The records of the new target behind what is there, with the options of that.
void Rewrite::chase(const std::shared_ptr<Deferred>& deferred, const Name& target,
                    std::vector<uint8_t> options) {
  router_.ask(target, deferred->query().type, deferred->client(),
              [deferred, options = std::move(options)](std::span<const uint8_t> message) {
                const std::optional<EditMessage> more = decode(message);
                const auto so_far = deferred->reply().message();
                std::optional<EditMessage> reply = decode(so_far);
                if (more && reply) {
                  auto& answers = (*reply)[Section::kAnswer];
                  for (const EditRecord& record : (*more)[Section::kAnswer])
                    if (record.type == deferred->query().type || record.type == Type::kCname)
                      answers.push_back(record);
                  (*reply)[Section::kAuthority].clear();
                  reply->flags |= more->flags & kFlagTruncated;
                  deferred->adopt(encode(*reply), static_cast<Rcode>(more->flags & 15), options);
                }
                deferred->finish();
              });
}

std::unique_ptr<Plugin> make(const PluginContext& context, const PluginOptions& options) {
  return std::make_unique<Rewrite>(context.router, dynamic_cast<const RewriteOptions&>(options));
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(rewrite) = {&parse_rewrite, &make, nullptr};

}  // namespace fairlead::dns
