// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/kubernetes/setup.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "dns/plugins/kubernetes/describe.h"
#include "kube/label_selector.h"

namespace fairlead::dns {
namespace {

using corefile::Directive;

Result<void> read_zones_into(const Directive& directive, const BlockSetup& block,
                             KubernetesOptions& options) {
  const auto zones = read_zones(directive.arguments, block.zones);
  if (!zones.ok()) return zones.error();
  std::vector<Name> reverse;
  for (const Name& zone : *zones) {
    if (is_reverse(zone)) {
      reverse.push_back(zone);
    } else {
      options.zones.emplace_back().zone = zone;
      // Addresses are named in it, too.
      if (zone.labels() == 0) std::ranges::copy(reverse_zones(), std::back_inserter(reverse));
    }
  }
  if (options.zones.empty())
    return directive.name.place.error(
        "kubernetes needs a zone that is no reverse zone: names of addresses end in it");
  for (ZoneConfig& zone : options.zones) {
    zone.reverse.clear();
    zone.fallthrough.clear();
    zone.pods = PodNames::kDisabled;
  }
  options.zones.front().reverse = std::move(reverse);
  return ok();
}

// The words are one selector, as for kubectl's -l, but for what a metav1.LabelSelector has not. The
// last one counts.
Result<void> read_selector(const Directive& directive, std::string& selector) {
  std::string text;
  for (const corefile::Word& word : directive.arguments)
    text += (text.empty() ? "" : " ") + word.text;
  const auto parsed = kube::LabelSelector::parse(text);
  const corefile::Place& place = directive.arguments.front().place;
  if (!parsed.ok()) return place.error("'" + text + "': " + parsed.error().message());
  if (parsed->compares_numbers())
    return place.error("'" + text + "': kubernetes knows no '<' and '>' of labels");
  selector = std::move(text);
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
          {"endpoint", 1, Property::kAny,
           [&](const Directive& p) -> Result<void> {
             if (p.arguments.size() > 1)
               block.notes.push_back("kubernetes: of several endpoints the first is used");
             const std::string& url = p.arguments[0].text;
             const std::string scheme = url.substr(0, std::min(url.find("://"), url.size()));
             if (url.empty() || (scheme != url && scheme != "https" && scheme != "http"))
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
           [&](const Directive& p) { return read_selector(p, options.filter.labels); }},
          {"namespace_labels", 1, Property::kAny,
           [&](const Directive& p) {
             options.filter.content.namespaces = true;
             return read_selector(p, options.filter.namespace_labels);
           }},
          {"noendpoints", 0, 0,
           [&](const Directive&) { return options.filter.endpoints = false, ok(); }},
          {"endpoint_pod_names", 0, 0,
           [&](const Directive&) { return options.filter.content.pod_names = true, ok(); }},
          {"snapshot", 1, 1,
           [&](const Directive& p) {
             options.snapshot = block.path_of(p.arguments[0].text);
             return ok();
           }},
          {"startup_timeout", 1, Property::kAny, [&](const Directive& p) -> Result<void> {
             const auto limit = read_duration(p.arguments[0]);
             if (!limit.ok()) return limit.error();
             options.startup_timeout = *limit;
             return ok();
           }}};
}

// CoreDNS's limits on what it asks of the API server: here it is one watch for each kind of object.
std::vector<Property> request_properties(BlockSetup& block) {
  std::vector<Property> properties;
  for (const char* name : {"apiserver_qps", "apiserver_burst", "apiserver_max_inflight"})
    properties.push_back(
        {name, 1, 1, [&block, name](const Directive& p) -> Result<void> {
           const std::string& text = p.arguments[0].text;
           char* end = nullptr;
           const double number = std::strtod(text.c_str(), &end);
           if (text.empty() || *end != '\0' || !(number >= 0))
             return p.arguments[0].place.error("'" + text + "' is no number from 0 up");
           block.notes.push_back(std::string("kubernetes: ") + name +
                                 " has no effect: the API server is asked for one watch of each "
                                 "kind");
           return ok();
         }});
  return properties;
}

// What is answered from it; `zone` is the pattern of all. Words too many are CoreDNS's to ignore.
std::vector<Property> answer_properties(ZoneConfig& zone) {
  return {{"pods", 1, 1,
           [&](const Directive& p) -> Result<void> {
             const auto choice = read_choice(p.arguments[0], {"disabled", "insecure", "verified"});
             if (!choice.ok()) return choice.error();
             zone.pods = static_cast<PodNames>(*choice);
             return ok();
           }},
          {"ttl", 1, Property::kAny,
           [&](const Directive& p) -> Result<void> {
             const auto number = read_number(p.arguments[0], 0, 3600);
             if (!number.ok()) return number.error();
             zone.ttl = static_cast<uint32_t>(*number);
             return ok();
           }},
          {"zonal", 0, 0, [&](const Directive&) { return zone.zonal = true, ok(); }},
          {"ignore", 0, Property::kAny,
           [&](const Directive& p) -> Result<void> {
             if (p.arguments.empty()) return ok();
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

// Which of the zones are of imports: those that `words` name, and what is below them. The last
// `multicluster` counts.
Result<void> mark_imports(const std::vector<corefile::Word>& words, BlockSetup& block,
                          KubernetesOptions& options) {
  std::vector<Name> reverse = std::exchange(options.zones.front().reverse, {});
  for (const corefile::Word& word : words) {
    const auto named = read_zones({&word, 1}, {});
    if (!named.ok()) return named.error();
    for (const Name& zone : *named) {
      std::string known;
      for (const ZoneConfig& each : options.zones)
        known += (known.empty() ? "" : ", ") + each.zone.to_text();
      if (std::ranges::find(options.zones, zone, &ZoneConfig::zone) == options.zones.end())
        return word.place.error("kubernetes does not answer for the multicluster zone " +
                                zone.to_text() + ", only for " + known);
      for (ZoneConfig& each : options.zones)
        if (each.zone.ends_with(zone)) each.multicluster = true;
    }
  }
  const auto own = std::ranges::find(options.zones, false, &ZoneConfig::multicluster);
  if (own != options.zones.end())
    own->reverse = std::move(reverse);
  else if (!reverse.empty())
    block.notes.push_back(
        "kubernetes: addresses of imports have no names: the reverse zones are not answered, since "
        "every other zone is a multicluster one");
  return ok();
}

// What the block's directives ask of the pod that asks: pods are only read where they are verified,
// as in CoreDNS.
ClientContent clients_of(BlockSetup& block, bool pods) {
  constexpr std::string_view kPodLabel = "kubernetes/client-label/";
  ClientContent content;
  for (const std::string& label : block.labels) {
    if (label.empty() && pods) content.any = content.all_labels = true;
    if (!label.starts_with(kClientLabels)) continue;
    content.any = pods;
    if (label.starts_with(kPodLabel)) content.labels.insert(label.substr(kPodLabel.size()));
    if (!pods)
      block.notes.push_back("the label " + label + " has no value without 'pods verified'");
  }
  return pods ? content : ClientContent();
}

// As in CoreDNS a kubeconfig goes before an endpoint, and one without a scheme is HTTPS where `tls`
// says with what.
void settle_access(ClusterAccess& access, BlockSetup& block) {
  if (!access.kubeconfig.empty() && !access.endpoint.empty()) {
    block.notes.push_back("kubernetes: of kubeconfig and endpoint the kubeconfig is used");
    access.endpoint.clear();
  }
  if (!access.endpoint.empty() && access.endpoint.find("://") == std::string::npos)
    access.endpoint.insert(0, access.certificate.empty() ? "http://" : "https://");
}

Result<void> check(const Directive& directive, const KubernetesOptions& options) {
  const auto wrong = [&](const char* what) { return directive.name.place.error(what); };
  if (!options.filter.namespaces.empty() && options.filter.content.namespaces)
    return wrong("kubernetes takes namespaces or namespace_labels, not both");
  if (options.filter.content.topology && !options.filter.endpoints)
    return wrong("kubernetes has no zonal names with noendpoints");
  return ok();
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
  for (Property& each : request_properties(block)) properties.push_back(std::move(each));
  std::vector<corefile::Word> imports;
  properties.push_back({"multicluster", 0, Property::kAny,
                        [&](const Directive& p) { return imports = p.arguments, ok(); }});
  const auto read = read_properties(directive, properties);
  if (!read.ok()) return read.error();
  options->filter.pods = pattern.pods == PodNames::kVerified;
  options->filter.content.topology = pattern.zonal;
  options->filter.content.clients = clients_of(block, options->filter.pods);
  options->filter.content.hold = std::chrono::seconds(2);
  settle_access(options->access, block);
  if (const auto right = check(directive, *options); !right.ok()) return right.error();
  if (const auto marked = mark_imports(imports, block, *options); !marked.ok())
    return marked.error();
  for (ZoneConfig& zone : options->zones) {
    zone.ttl = pattern.ttl;
    zone.pods = pattern.pods;
    zone.zonal = pattern.zonal;
    zone.ignore_empty = pattern.ignore_empty;
    zone.fallthrough = pattern.fallthrough;
  }
  return std::shared_ptr<PluginOptions>(std::move(options));
}

}  // namespace fairlead::dns
