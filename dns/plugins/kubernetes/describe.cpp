// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/kubernetes/describe.h"

#include <fmt/format.h>

#include "dns/find.h"
#include "dns/pattern.h"
#include "dns/service_ports.h"

namespace fairlead::dns {
namespace {

using Kind = Found::Kind;

const char* kind_of(const ZoneConfig& config) {
  return config.multicluster ? "ServiceImport" : "Service";
}

std::string key_of(const ZoneConfig& config, const ServiceName& service) {
  return fmt::format("{} {}/{}", kind_of(config), service.ns(), service.name());
}

std::string list(std::span<const IpAddress> addresses) {
  std::string text;
  for (const IpAddress& address : addresses)
    text += (text.empty() ? "" : ", ") + address.to_string();
  return text;
}

std::string describe_service(const ZoneConfig& config, const ServiceRecord& service,
                             const Selector& selector) {
  std::string text = key_of(config, service.name());
  const size_t endpoints = service.endpoints().size();
  switch (service.kind()) {
    case ServiceKind::kClusterIp:
      text +=
          (config.multicluster ? ", ClusterSetIP " : ", ClusterIP ") + list(service.cluster_ips());
      break;
    case ServiceKind::kHeadless:
      text += fmt::format(", headless, {} ready endpoint{}", endpoints, endpoints == 1 ? "" : "s");
      break;
    case ServiceKind::kExternalName: {
      Name target;
      size_t at = 0;
      target.parse(service.external_name(), at);
      return text + ", ExternalName " + target.to_text();
    }
  }
  if (!selector.endpoint.empty()) text += fmt::format(", endpoint {}", selector.endpoint);
  if (selector.by_port) text += fmt::format(", port {} over {}", selector.port, selector.protocol);
  if (!selector.topology.empty())
    text += config.multicluster ? ", in one cluster" : ", endpoints of one topology zone";
  return text;
}

// Why there is nothing at [...]service.ns.svc.Z, `labels` labels left of Z.
std::string missing_service(const ZoneConfig& config, const Snapshot& snapshot, const Name& name,
                            size_t labels) {
  const std::string_view ns = name.label(labels - 2);
  if (labels == 2) return fmt::format("there is no Namespace {}", ns);
  const auto key = name.lower().subspan(name.offset(labels - 3),
                                        name.offset(labels - 1) - name.offset(labels - 3));
  const ServiceRecord* const service = snapshot.service(key);
  const std::string what = fmt::format("{} {}/{}", kind_of(config), ns, name.label(labels - 3));
  if (service == nullptr) return "there is no " + what;
  if (config.ignore_empty && service->endpoints().empty()) return what + " has no ready endpoint";
  if (labels > 3) return what + " has no such endpoint or port";
  if (service->kind() == ServiceKind::kExternalName)
    return what + " has an address for its externalName, which is no name";
  return what + " has no ready endpoint";
}

std::string missing(const ZoneConfig& config, const Snapshot& snapshot, const Name& name) {
  if (!name.ends_with(config.zone)) return "no object has that address";
  const size_t labels = name.labels() - config.zone.labels();
  const std::string_view top = name.label(labels - 1);
  if (top == "svc") return missing_service(config, snapshot, name, labels);
  if (top != "pod") return fmt::format("nothing stands at {} but svc and pod", top);
  if (config.pods == PodNames::kDisabled) return "names of pods are disabled";
  if (labels >= 3 && config.pods == PodNames::kVerified)
    return fmt::format("no Pod in {} has that address", name.label(labels - 2));
  return labels >= 3 ? "that is no address, or there is no such Namespace"
                     : "there is no such Namespace";
}

}  // namespace

std::string describe(const ZoneConfig& config, const Snapshot& snapshot, const Name& name) {
  const std::optional<ZonePart> zone = zone_of(name, config);
  const Found found = zone ? find(*zone, config, snapshot, name) : Found();
  switch (found.kind) {
    case Kind::kNothing:
      return missing(config, snapshot, name) +
             (snapshot.synced ? "" : ", as far as the objects have been read");
    case Kind::kEmpty:
      return "nothing of its own, but names below it";
    case Kind::kApex:
      return "the zone itself";
    case Kind::kVersion:
      return "the version of the specification";
    case Kind::kNameServer:
      return "this server";
    case Kind::kPod:
      return "a pod's address, " + found.address.to_string();
    case Kind::kService:
    case Kind::kAlias:
      return describe_service(config, *found.service, found.selector);
    case Kind::kReverse: {
      std::string text;
      for (const ReverseName& each : found.reverse->names()) {
        const EndpointLabel label(each.label, found.reverse->address());
        text += (text.empty() ? "" : ", ") +
                (each.cluster_ip ? std::string("the ClusterIP of ")
                                 : fmt::format("endpoint {} of ", label.text())) +
                key_of(config, *each.service);
        if (each.cluster_ip) break;
      }
      return text;
    }
  }
  return "";
}

namespace {

// A name of the cluster domain by its parts, as CoreDNS reads it.
struct NameParts {
  bool valid = true;
  std::string kind, name_space, service, endpoint, cluster, port, protocol, zone;
};

std::string without_underscore(std::string_view label) {
  return std::string(label.starts_with('_') ? label.substr(1) : label);
}

// The labels left of the zone, from the right: kind, namespace, service, and then an endpoint, a
// protocol and a port, or `_zone`, a directive and a topology zone.
NameParts parts_of(const ZoneConfig& config, const Name& name) {
  NameParts parts;
  const size_t count = name.labels() - config.zone.labels();
  const auto left = [&](size_t i) { return label_text(name.label(count - 1 - i)); };
  if (count == 0) return parts;
  parts.kind = left(0);
  const bool of_service = parts.kind == "svc";
  parts.valid = of_service || parts.kind == "pod";
  if (!parts.valid) return parts;
  if (count == 1) return {};
  parts.name_space = left(1);
  if (count > 2) parts.service = left(2);
  if (count == 4) parts.endpoint = left(3);
  const auto is_mark = [&](size_t i) { return left(i).starts_with('_'); };
  if (count == 5 && config.multicluster && !is_mark(3) && !is_mark(4)) {
    parts.cluster = left(3);
    parts.endpoint = left(4);
  } else if (count == 5) {
    parts.protocol = without_underscore(left(3));
    parts.port = without_underscore(left(4));
  }
  if (count < 6) return parts;
  const bool zonal = config.zonal && !config.multicluster && of_service && left(3) == "_zone" &&
                     (left(4) == "pin" || left(4) == "prefer");
  parts.valid = zonal;
  for (size_t i = count - 1; zonal && i >= 5; --i)
    parts.zone += (parts.zone.empty() ? "" : ".") + left(i);
  return parts;
}

}  // namespace

std::optional<std::string> kubernetes_label(const ZoneConfig& config, std::string_view label,
                                            const Name& name) {
  constexpr std::string_view kPrefix = "kubernetes/";
  if (!label.starts_with(kPrefix) || !name.ends_with(config.zone)) return std::nullopt;
  label.remove_prefix(kPrefix.size());
  const NameParts parts = parts_of(config, name);
  if (label == "parse-error" && !parts.valid) return "invalid query name";
  if (!parts.valid) return std::nullopt;
  const std::pair<std::string_view, const std::string*> kLabels[] = {
      {"kind", &parts.kind},       {"namespace", &parts.name_space},
      {"service", &parts.service}, {"endpoint", &parts.endpoint},
      {"port-name", &parts.port},  {"protocol", &parts.protocol},
      {"zone", &parts.zone}};
  if (label == "cluster" && config.multicluster) return parts.cluster;
  for (const auto& [known, value] : kLabels)
    if (label == known) return *value;
  return std::nullopt;
}

std::optional<std::string> client_label(const Snapshot& snapshot, std::string_view label,
                                        const IpAddress& address) {
  constexpr std::string_view kPodLabel = "label/";
  const ClientRecord* const client = snapshot.client(address);
  if (client == nullptr || !label.starts_with(kClientLabels)) return std::nullopt;
  label.remove_prefix(kClientLabels.size());
  std::optional<std::string_view> value;
  if (label == "namespace") value = client->ns();
  if (label == "pod-name" && !client->name().empty()) value = client->name();
  if (label.starts_with(kPodLabel)) value = client->label(label.substr(kPodLabel.size()));
  return value ? std::optional<std::string>(*value) : std::nullopt;
}

}  // namespace fairlead::dns
