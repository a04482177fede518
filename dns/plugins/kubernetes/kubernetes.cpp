// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/kubernetes/kubernetes.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <optional>
#include <vector>

#include "dns/plugins/kubernetes/describe.h"
#include "dns/plugins/kubernetes/setup.h"
#include "dns/plugins/kubernetes/source.h"
#include "dns/router.h"

namespace fairlead::dns {
namespace {

class Kubernetes : public Plugin {
 public:
  Kubernetes(const PluginContext& context, const KubernetesOptions& options)
      : router_(context.router),
        reader_(context.readers.of(*options.published)),
        import_reader_(options.imports != nullptr ? context.readers.of(*options.imports)
                                                  : nullptr) {
    for (const ZoneConfig& zone : options.zones) zones_.push_back(&zone);
    std::ranges::stable_sort(zones_, std::ranges::greater(),
                             [](const ZoneConfig* zone) { return zone->zone.labels(); });
  }

  Step serve(Request& request) override {
    for (const ZoneConfig* zone : zones_)
      if (const std::optional<Step> step = serve_zone(*zone, request)) return *step;
    return Step::kNext;
  }

  std::optional<std::string> label(std::string_view name, const Query& query,
                                   const Client& client) const override {
    if (name.starts_with(kClientLabels)) {
      const Published::Reader::Guard guard(*reader_);
      return client_label(reader_->snapshot(), name, client.address.address);
    }
    for (const ZoneConfig* zone : zones_)
      if (auto value = kubernetes_label(*zone, name, query.name)) return value;
    return std::nullopt;
  }

 private:
  // Nothing: the name is in another zone.
  std::optional<Step> serve_zone(const ZoneConfig& zone, Request& request) {
    Name target;
    Published::Reader& reader = zone.multicluster ? *import_reader_ : *reader_;
    const Published::Reader::Guard guard(reader);
    const Outcome outcome =
        answer(zone, reader.snapshot(), request.query(), rotation_++, request.reply(), target);
    request.client().explain([&] {
      return outcome == Outcome::kNotOurs ? "not in " + zone.zone.to_text()
                                          : describe(zone, reader.snapshot(), request.query().name);
    });
    switch (outcome) {
      case Outcome::kAnswered:
        request.reply().set_own();
        return Step::kAnswered;
      case Outcome::kNotOurs:
        return std::nullopt;
      case Outcome::kFallsThrough:
        return Step::kNext;
      case Outcome::kChase:
        break;
    }
    request.reply().set_own();
    return chase_alias(router_, request, target);
  }

  Router& router_;
  std::vector<const ZoneConfig*> zones_;  // the longest first: one may be below another
  const std::shared_ptr<Published::Reader> reader_;
  const std::shared_ptr<Published::Reader> import_reader_;  // null: no zone is of imports
  uint32_t rotation_ = 0;
};

std::unique_ptr<Plugin> make(const PluginContext& context, const PluginOptions& options) {
  return std::make_unique<Kubernetes>(context, dynamic_cast<const KubernetesOptions&>(options));
}

// What is read for the multicluster zones.
FeedFilter imports_of(FeedFilter filter) {
  filter.imports = filter.content.imports = true;
  filter.endpoints = filter.pods = filter.content.topology = false;
  filter.content.clients = {};
  return filter;
}

// The options have the source from now on.
Result<std::unique_ptr<Service>> start(Host& host, PluginOptions& given) {
  auto& options = dynamic_cast<KubernetesOptions&>(given);
  auto source = ClusterSource::of(host, options.access, options.filter, options.snapshot);
  if (!source.ok()) return source.error();
  options.source = *std::move(source);
  options.published = &options.source->published();
  if (std::ranges::any_of(options.zones, &ZoneConfig::multicluster)) {
    auto imports = ClusterSource::of(host, options.access, imports_of(options.filter), "");
    if (!imports.ok()) return imports.error();
    options.import_source = *std::move(imports);
    options.imports = &options.import_source->published();
  }
  for (ZoneConfig& zone : options.zones) zone.local_addresses = host.local_addresses();
  return host.add_startup_limit(options.startup_timeout);
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(kubernetes) = {&parse_kubernetes, &make, &start};

Step chase_alias(Router& router, Request& request, const Name& target) {
  const Client client = request.client();
  if (client.transport == Transport::kInternal) return Step::kAnswered;
  const std::shared_ptr<Deferred> deferred = request.defer();
  router.ask(target, deferred->query().type, client,
             [deferred, target](std::span<const uint8_t> message) {
               append_chased(message, target, deferred->query().type, deferred->reply());
               deferred->finish();
             });
  return Step::kPending;
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
      // One that is there already leads round.
      if (has_record(reply.message(), reply.records_at(), reply.count(Section::kAnswer), owner,
                     Type::kCname))
        return;
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
