// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/bootstrap.h"

#include "base/log.h"

namespace fairlead::orchestrator::apiserver {
namespace {

constexpr uint32_t kApiAddress = 1;  // the n-th of the service range, as everywhere
constexpr uint32_t kDnsAddress = 10;
constexpr Duration kPatience = std::chrono::seconds(60);
constexpr Duration kFirstLook = std::chrono::seconds(1);
constexpr Duration kNextLook = std::chrono::seconds(10);

using Wanted = BootstrapObject;

Json meta(const std::string& name, Json labels) {
  return {{"name", name}, {"labels", std::move(labels)}};
}

Json api_service(const IpAddress& ip, uint16_t port) {
  return {
      {"apiVersion", "v1"},
      {"kind", "Service"},
      {"metadata", meta("kubernetes", {{"component", "apiserver"}, {"provider", "kubernetes"}})},
      {"spec",
       {{"type", "ClusterIP"},
        {"clusterIP", ip.to_string()},
        {"ports", Json::array({{{"name", "https"}, {"port", 443}, {"targetPort", port}}})}}}};
}

Json api_slice(const IpAddress& address, uint16_t port) {
  return {
      {"apiVersion", "discovery.k8s.io/v1"},
      {"kind", "EndpointSlice"},
      {"metadata", meta("kubernetes", {{"kubernetes.io/service-name", "kubernetes"}})},
      {"addressType", address.is_v4() ? "IPv4" : "IPv6"},
      {"endpoints",
       Json::array({{{"addresses", {address.to_string()}}, {"conditions", {{"ready", true}}}}})},
      {"ports", Json::array({{{"name", "https"}, {"port", port}, {"protocol", "TCP"}}})}};
}

// For clients that know no slices. The label keeps them from being made into slices a second time.
Json api_endpoints(const IpAddress& address, uint16_t port) {
  return {
      {"apiVersion", "v1"},
      {"kind", "Endpoints"},
      {"metadata", meta("kubernetes", {{"endpointslice.kubernetes.io/skip-mirror", "true"}})},
      {"subsets",
       Json::array({{{"addresses", Json::array({{{"ip", address.to_string()}}})},
                     {"ports",
                      Json::array({{{"name", "https"}, {"port", port}, {"protocol", "TCP"}}})}}})}};
}

// Its endpoints are written by the nodes that run a DNS server.
Json dns_service(const IpAddress& ip) {
  return {
      {"apiVersion", "v1"},
      {"kind", "Service"},
      {"metadata", meta("kube-dns", {{"k8s-app", "kube-dns"},
                                     {"kubernetes.io/cluster-service", "true"},
                                     {"kubernetes.io/name", "CoreDNS"}})},
      {"spec",
       {{"type", "ClusterIP"},
        {"clusterIP", ip.to_string()},
        {"ports",
         Json::array(
             {{{"name", "dns"}, {"port", 53}, {"protocol", "UDP"}, {"targetPort", 1053}},
              {{"name", "dns-tcp"}, {"port", 53}, {"protocol", "TCP"}, {"targetPort", 1053}}})}}}};
}

// As kubernetes/pkg/controlplane/controller/clusterauthenticationtrust makes it.
Json authentication_trust(const std::string& client_authority) {
  return {{"apiVersion", "v1"},
          {"kind", "ConfigMap"},
          {"metadata", {{"name", "extension-apiserver-authentication"}}},
          {"data", {{"client-ca-file", client_authority}}}};
}

std::vector<Wanted> wanted_objects(Registry& registry, const BootstrapOptions& options) {
  std::vector<Wanted> wanted;
  for (const char* name : {"default", "kube-system", "kube-public", "kube-node-lease"})
    wanted.push_back(
        {{"", "namespaces"},
         "",
         {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", name}}}}});
  ServiceAllocator& allocator = registry.allocator();
  wanted.push_back(
      {{"", "services"}, "default", api_service(allocator.nth(kApiAddress), options.api_port)});
  wanted.push_back({{"", "services"}, "kube-system", dns_service(allocator.nth(kDnsAddress))});
  wanted.push_back({{"discovery.k8s.io", "endpointslices"},
                    "default",
                    api_slice(options.api_address, options.api_port),
                    true});
  wanted.push_back(
      {{"", "endpoints"}, "default", api_endpoints(options.api_address, options.api_port), true});
  if (!options.client_authority.empty())
    wanted.push_back(
        {{"", "configmaps"}, "kube-system", authentication_trust(options.client_authority), true});
  return wanted;
}

std::string name_of(const Wanted& wanted) {
  return string_at(wanted.object, "metadata.name");
}
const Kind& kind_of(const Wanted& wanted) {
  return *Kinds::builtin().find(wanted.resource);
}

Error told_of(const Wanted& wanted, const ApiError& error) {
  return error.to_error().with_context("make " + wanted.resource.plural + " " + name_of(wanted));
}

bool exists(const Registry& registry, const Wanted& wanted) {
  return registry.get(kind_of(wanted), {wanted.ns, name_of(wanted)}).ok();
}

// Creates it, or replaces the one there is.
void write_object(Registry& registry, Loop& loop, const Wanted& wanted, WrittenDone done) {
  const Kind& kind = kind_of(wanted);
  std::vector<std::string> warnings;
  auto document = admit_document(kind, wanted.object, {FieldValidation::kStrict, {}}, warnings);
  if (!document)
    return loop.post([done = std::move(done), error = document.error()] { done(error); });
  if (!exists(registry, wanted))
    return registry.create(kind, wanted.ns, std::move(*document), {}, loop, std::move(done));
  registry.update(
      kind, "", {wanted.ns, name_of(wanted)},
      [object = std::move(*document)](const Json&) -> Outcome<Json> { return object; }, {}, loop,
      std::move(done));
}

Result<void> make(Registry& registry, Loop& loop, const Wanted& wanted) {
  if (!wanted.corrected && exists(registry, wanted)) return ok();
  std::optional<Outcome<Written>> outcome;
  write_object(registry, loop, wanted,
               [&outcome](Outcome<Written> result) { outcome = std::move(result); });
  if (!loop.run_until([&] { return outcome.has_value(); }, kPatience))
    return Error(ErrorCode::kTimeout, "the store did not answer for " + std::to_string(60) + " s");
  if (!*outcome) return told_of(wanted, outcome->error());
  return ok();
}

}  // namespace

Result<void> bootstrap(Registry& registry, Loop& loop, const BootstrapOptions& options) {
  for (const Wanted& wanted : wanted_objects(registry, options))
    if (auto made = make(registry, loop, wanted); !made) return made;
  return ok();
}

BootstrapKeeper::BootstrapKeeper(Registry& registry, Loop& loop, const BootstrapOptions& options)
    : registry_(registry), loop_(loop), wanted_(wanted_objects(registry, options)) {
  follow();
}
BootstrapKeeper::~BootstrapKeeper() = default;

void BootstrapKeeper::follow() {
  watches_.clear();
  const int64_t now = registry_.store().revision();
  for (const Wanted& wanted : wanted_) {
    auto watch = registry_.store().watch(
        {kind_of(wanted).key(wanted.ns, name_of(wanted)), now}, loop_,
        {[this](const store::Batch& batch) { on_batch(batch); },
         [this](const Error&) { loop_.post(guarded([this] { follow(); })); }});
    if (watch) watches_.push_back(std::move(*watch));
  }
  look_after(kFirstLook);
}

void BootstrapKeeper::on_batch(const store::Batch& batch) {
  for (const store::EventRef& event : batch.events)
    if (event->type == store::Event::Type::kDelete) look_after(kFirstLook);
}

void BootstrapKeeper::look_after(Duration delay) {
  look_ = loop_.clock().after(delay, [this] { make_missing(); });
}

void BootstrapKeeper::make_missing() {
  for (const Wanted& wanted : wanted_) {
    if (exists(registry_, wanted)) continue;
    write_object(
        registry_, loop_, wanted,
        [this, &wanted, alive = std::weak_ptr<bool>(alive_)](const Outcome<Written>& outcome) {
          if (alive.expired() || outcome) return;
          log::warn("api: {}", told_of(wanted, outcome.error()).message());
          look_after(kNextLook);
        });
  }
}

std::function<void()> BootstrapKeeper::guarded(std::function<void()> work) const {
  return [work = std::move(work), alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.expired()) work();
  };
}

}  // namespace fairlead::orchestrator::apiserver
