// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/bootstrap.h"

namespace fairlead::orchestrator::apiserver {
namespace {

constexpr uint32_t kApiAddress = 1;  // the n-th of the service range, as everywhere
constexpr uint32_t kDnsAddress = 10;
constexpr Duration kPatience = std::chrono::seconds(60);

struct Wanted {
  Resource resource;
  std::string ns;
  Json object;
  bool corrected = false;  // written again at every start: its address may be another one
};

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
  return wanted;
}

Result<void> make(Registry& registry, Loop& loop, const Wanted& wanted) {
  const Kind& kind = *Kinds::builtin().find(wanted.resource);
  const std::string name = string_at(wanted.object, "metadata.name");
  std::vector<std::string> warnings;
  auto document = admit_document(kind, wanted.object, {FieldValidation::kStrict, {}}, warnings);
  if (!document) return document.error().to_error();
  std::optional<Outcome<Written>> outcome;
  const auto done = [&outcome](Outcome<Written> result) { outcome = std::move(result); };
  const bool exists = registry.get(kind, {wanted.ns, name}).ok();
  if (exists && !wanted.corrected) return ok();
  if (exists) {
    registry.update(
        kind, "", {wanted.ns, name},
        [object = *document](const Json&) -> Outcome<Json> { return object; }, {}, loop, done);
  } else {
    registry.create(kind, wanted.ns, *document, {}, loop, done);
  }
  if (!loop.run_until([&] { return outcome.has_value(); }, kPatience))
    return Error(ErrorCode::kTimeout, "the store did not answer for " + std::to_string(60) + " s");
  if (!*outcome)
    return outcome->error().to_error().with_context("make " + wanted.resource.plural + " " + name);
  return ok();
}

}  // namespace

Result<void> bootstrap(Registry& registry, Loop& loop, const BootstrapOptions& options) {
  for (const Wanted& wanted : wanted_objects(registry, options))
    if (auto made = make(registry, loop, wanted); !made) return made;
  return ok();
}

}  // namespace fairlead::orchestrator::apiserver
