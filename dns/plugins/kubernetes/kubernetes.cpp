// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/kubernetes/kubernetes.h"

#include <cstring>

#include "dns/chain.h"

namespace fairlead::dns {
namespace {

class Kubernetes : public Plugin {
 public:
  Kubernetes(const PluginContext& context, const KubernetesOptions& options)
      : context_(context), zone_(options.zone) {}

  std::string_view name() const override { return "kubernetes"; }

  Step serve(Request& request) override {
    Name target;
    const Published::Reader::Guard guard(context_.reader);
    switch (answer(zone_, context_.reader.snapshot(), request.query(), rotation_++, request.reply(),
                   target)) {
      case Outcome::kAnswered:
        return Step::kAnswered;
      case Outcome::kNotOurs:
      case Outcome::kFallsThrough:
        return Step::kNext;
      case Outcome::kChase:
        break;
    }
    if (request.client().transport == Transport::kInternal) return Step::kAnswered;
    chase(request, target);
    return Step::kPending;
  }

 private:
  // The CNAME alone is a complete answer too, should the target not resolve.
  void chase(Request& request, const Name& target) {
    const Client client = request.client();
    const std::shared_ptr<Deferred> deferred = request.defer();
    context_.chain.ask(target, deferred->query().type, client,
                       [deferred, target](std::span<const uint8_t> message) {
                         append_chased(message, target, deferred->query().type, deferred->reply());
                         deferred->finish();
                       });
  }

  const PluginContext context_;
  const ZoneConfig& zone_;
  uint32_t rotation_ = 0;
};

}  // namespace

std::unique_ptr<Plugin> make_kubernetes(const PluginContext& context,
                                        const PluginOptions& options) {
  return std::make_unique<Kubernetes>(context, dynamic_cast<const KubernetesOptions&>(options));
}

void append_chased(std::span<const uint8_t> message, const Name& target, Type type, Reply& reply) {
  const std::optional<ReplyView> view = parse_reply(message);
  if (!view) return;
  Name wanted = target;
  size_t at = view->question_end;
  for (uint16_t i = 0; i < view->counts[0]; ++i) {
    Record record;
    if (!read_record(message, at, record)) return;
    Name owner;
    size_t name_at = record.at;
    if (record.klass != Class::kIn || !owner.parse_compressed(message, name_at) ||
        !(owner == wanted))
      continue;
    if (record.type == Type::kCname) {
      Name next;
      size_t next_at = record.rdata_at;
      if (!next.parse_compressed(message, next_at) || next_at != record.end()) return;
      uint8_t* rdata = reply.add(Section::kAnswer, owner, Type::kCname, record.ttl, next.size());
      if (rdata == nullptr) return;
      std::memcpy(rdata, next.wire().data(), next.size());
      wanted = next;
    } else if (record.type == type && record.rdata_size == (type == Type::kA ? 4u : 16u)) {
      uint8_t* rdata = reply.add(Section::kAnswer, owner, type, record.ttl, record.rdata_size);
      if (rdata == nullptr) return;
      std::memcpy(rdata, &message[record.rdata_at], record.rdata_size);
    }
  }
  if (view->truncated()) reply.set_flag(kFlagTruncated);
}

}  // namespace fairlead::dns
