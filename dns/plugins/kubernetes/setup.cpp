// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/kubernetes/setup.h"

#include <algorithm>

namespace fairlead::dns {
namespace {

using corefile::Directive;

Result<void> not_here(const Directive& property) {
  return property.name.place.error("CoreDNS's property '" + property.name.text +
                                   "' of kubernetes is not in fairlead-dns");
}

bool is_reverse(const Name& zone) {
  const auto parents = reverse_zones();
  return std::ranges::any_of(parents, [&](const Name& parent) { return zone.ends_with(parent); });
}

Result<void> read_zones_into(const Directive& directive, const BlockSetup& block,
                             KubernetesOptions& options) {
  const auto zones = read_zones(directive.arguments, block.zones);
  if (!zones.ok()) return zones.error();
  std::vector<Name> reverse;
  for (const Name& zone : *zones) {
    if (is_reverse(zone)) {
      reverse.push_back(zone);
    } else if (zone.labels() == 0) {
      return directive.name.place.error(
          "kubernetes needs a zone, such as 'kubernetes cluster.local': the root is not a "
          "cluster's");
    } else {
      options.zones.emplace_back().zone = zone;
    }
  }
  if (options.zones.empty())
    return directive.name.place.error(
        "kubernetes needs a zone that is no reverse zone: names of addresses end in it");
  for (ZoneConfig& zone : options.zones) {
    zone.reverse.clear();
    zone.fallthrough.clear();
    zone.pods_insecure = false;
  }
  options.zones.front().reverse = std::move(reverse);
  return ok();
}

// What is read of which cluster.
std::vector<Property> source_properties(BlockSetup& block, KubernetesOptions& options) {
  return {{"kubeconfig", 1, 2,
           [&](const Directive& p) {
             options.access.kubeconfig = block.path_of(p.arguments[0].text);
             if (p.arguments.size() == 2) options.access.context = p.arguments[1].text;
             return ok();
           }},
          {"endpoint", 1, 1,
           [&](const Directive& p) -> Result<void> {
             const std::string& url = p.arguments[0].text;
             if (!url.starts_with("https://") && !url.starts_with("http://"))
               return p.arguments[0].place.error("'" + url +
                                                 "' is no URL such as https://10.96.0.1:443");
             options.access.endpoint = url;
             return ok();
           }},
          {"tls", 3, 3,
           [&](const Directive& p) {
             options.access.certificate = block.path_of(p.arguments[0].text);
             options.access.key = block.path_of(p.arguments[1].text);
             options.access.ca = block.path_of(p.arguments[2].text);
             return ok();
           }},
          {"namespaces", 1, Property::kAny,
           [&](const Directive& p) {
             for (const corefile::Word& word : p.arguments)
               options.filter.namespaces.insert(word.text);
             return ok();
           }},
          {"labels", 1, Property::kAny,
           [&](const Directive& p) {
             for (const corefile::Word& word : p.arguments)
               options.filter.labels += (options.filter.labels.empty() ? "" : " ") + word.text;
             return ok();
           }},
          {"noendpoints", 0, 0,
           [&](const Directive&) { return options.filter.endpoints = false, ok(); }},
          {"startup_timeout", 1, 1, [&](const Directive& p) -> Result<void> {
             const auto limit = read_duration(p.arguments[0]);
             if (!limit.ok()) return limit.error();
             block.notes.push_back(
                 "kubernetes: startup_timeout has no effect: five seconds are waited for the first "
                 "sync");
             return ok();
           }}};
}

// What is answered from it; `zone` is the pattern of all.
std::vector<Property> answer_properties(ZoneConfig& zone) {
  return {{"pods", 1, 1,
           [&](const Directive& p) -> Result<void> {
             const auto choice = read_choice(p.arguments[0], {"disabled", "insecure", "verified"});
             if (!choice.ok()) return choice.error();
             if (*choice == 2)
               return p.arguments[0].place.error("'pods verified' is not in fairlead-dns yet");
             zone.pods_insecure = *choice == 1;
             return ok();
           }},
          {"ttl", 1, 1,
           [&](const Directive& p) -> Result<void> {
             const auto number = read_number(p.arguments[0], 0, 3600);
             if (!number.ok()) return number.error();
             zone.ttl = static_cast<uint32_t>(*number);
             return ok();
           }},
          {"ignore", 1, 1,
           [&](const Directive& p) -> Result<void> {
             const auto what = read_choice(p.arguments[0], {"empty_service"});
             if (!what.ok()) return what.error();
             zone.ignore_empty = true;
             return ok();
           }},
          {"fallthrough", 0, Property::kAny, [&](const Directive& p) -> Result<void> {
             auto zones = read_zones(p.arguments, {Name()});
             if (!zones.ok()) return zones.error();
             zone.fallthrough = *std::move(zones);
             return ok();
           }}};
}

}  // namespace

Result<std::shared_ptr<PluginOptions>> parse_kubernetes(const PluginKind::Directives& directives,
                                                        BlockSetup& block) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  const Directive& directive = directives.front();
  auto options = std::make_shared<KubernetesOptions>();
  if (const auto zones = read_zones_into(directive, block, *options); !zones.ok())
    return zones.error();
  ZoneConfig pattern = options->zones.front();
  std::vector<Property> properties = source_properties(block, *options);
  for (Property& each : answer_properties(pattern)) properties.push_back(std::move(each));
  for (const char* name : {"apiserver_qps", "apiserver_burst", "apiserver_max_inflight",
                           "namespace_labels", "endpoint_pod_names", "multicluster", "zonal"})
    properties.push_back({name, 0, Property::kAny, &not_here});
  const auto read = read_properties(directive, properties);
  if (!read.ok()) return read.error();
  if (!options->access.kubeconfig.empty() && !options->access.endpoint.empty())
    return directive.name.place.error("kubernetes takes a kubeconfig or an endpoint, not both");
  for (ZoneConfig& zone : options->zones) {
    zone.ttl = pattern.ttl;
    zone.pods_insecure = pattern.pods_insecure;
    zone.ignore_empty = pattern.ignore_empty;
    zone.fallthrough = pattern.fallthrough;
  }
  return std::shared_ptr<PluginOptions>(std::move(options));
}

}  // namespace fairlead::dns
