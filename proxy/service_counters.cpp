// SPDX-License-Identifier: Apache-2.0
#include "proxy/service_counters.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "proxy/element_reader.h"
#include "proxy/ruleset.h"

namespace fairlead::proxy {

namespace {

constexpr AddressKind kKinds[] = {AddressKind::kClusterIp, AddressKind::kExternalIp,
                                  AddressKind::kLoadBalancer, AddressKind::kNodePort};

// "svc" and, grown, "svc_1".
bool is_set(std::string_view name, SetId id) {
  const std::string_view base = base_name(id);
  return name.starts_with(base) && (name.size() == base.size() || name[base.size()] == '_');
}

}  // namespace

bool counts_connections(std::string_view set) {
  return is_set(set, SetId::kServices) || is_set(set, SetId::kNodeServices);
}

uint64_t ServiceTotals::all_connections() const {
  return std::accumulate(connections.begin(), connections.end(), uint64_t{0});
}

// What one element says.
struct ServiceCounters::Count {
  enum class Fate : uint8_t { kBalanced, kRefused, kDropped };
  Frontend frontend;
  Fate fate = Fate::kBalanced;
  uint64_t packets = 0;
};

// nullopt: it counts nothing, has counted nothing, or is none of ours.
std::optional<ServiceCounters::Count> ServiceCounters::read(const KernelSet& set,
                                                            const nft::Element& element) {
  if (!element.counter || element.counter->packets == 0) return std::nullopt;
  const auto* verdict = std::get_if<nft::Verdict>(&element.data);
  if (verdict == nullptr) return std::nullopt;
  const Family family = set.family == nft::TableFamily::kIp ? Family::kIpv4 : Family::kIpv6;
  Count count;
  ElementReader key(element.key);
  count.frontend.node_port = is_set(set.name, SetId::kNodeServices);
  count.frontend.address = count.frontend.node_port ? IpAddress::any(family) : key.address(family);
  const auto protocol = key.protocol();
  count.frontend.port = key.port();
  if (!key.done() || !protocol) return std::nullopt;
  count.frontend.protocol = *protocol;
  if (verdict->kind == nft::Verdict::Kind::kDrop)
    count.fate = Count::Fate::kDropped;
  else if (verdict->chain == Choice().name())
    count.fate = Count::Fate::kRefused;
  count.packets = element.counter->packets;
  return count;
}

void ServiceCounters::listed(const KernelSet& set, const nft::Element& element, bool ours) {
  const std::optional<Count> count = read(set, element);
  if (!count) return;
  const auto [last, fresh] = last_[set].try_emplace(count->frontend, 0);
  // Less than before: another element, whose predecessor's end we have missed.
  const uint64_t before = fresh && !ours                  ? count->packets
                          : count->packets < last->second ? 0
                                                          : last->second;
  last->second = count->packets;
  add(*count, before);
}

void ServiceCounters::removed(const KernelSet& set, const nft::Element& element, bool ours) {
  const std::optional<Count> count = read(set, element);
  if (!count) return;
  uint64_t before = ours ? 0 : count->packets;
  if (const auto of_set = last_.find(set); of_set != last_.end()) {
    const auto last = of_set->second.find(count->frontend);
    if (last != of_set->second.end()) {
      before = last->second <= count->packets ? last->second : 0;
      of_set->second.erase(last);
    }
  }
  add(*count, before);
}

void ServiceCounters::forget(nft::TableFamily family) {
  std::erase_if(last_, [&](const auto& of_set) { return of_set.first.family == family; });
}

void ServiceCounters::add(const Count& count, uint64_t before) {
  if (count.packets == before) return;
  const auto owner = services_.owner(count.frontend);
  if (!owner) return;
  ServiceTotals& totals = totals_of(owner->port);
  const uint64_t more = count.packets - before;
  switch (count.fate) {
    case Count::Fate::kBalanced:
      totals.connections[static_cast<size_t>(owner->kind)] += more;
      return;
    case Count::Fate::kRefused:
      totals.refused += more;
      return;
    case Count::Fate::kDropped:
      totals.dropped += more;
      return;
  }
}

void ServiceCounters::ended(const ServicePort& port, const FlowTotals& flow) {
  FlowTotals& totals = totals_of(port).flows;
  totals.flows += flow.flows;
  totals.client_packets += flow.client_packets;
  totals.client_bytes += flow.client_bytes;
  totals.server_packets += flow.server_packets;
  totals.server_bytes += flow.server_bytes;
}

ServiceTotals& ServiceCounters::totals_of(const ServicePort& port) {
  if (totals_.size() >= limit_ && !totals_.contains(port)) prune();
  return totals_[port];
}

void ServiceCounters::prune() {
  std::erase_if(totals_, [this](const auto& entry) { return !services_.has(entry.first); });
  limit_ = std::max(kMinLimit, 2 * totals_.size());
}

const char* name_of(AddressKind kind) {
  switch (kind) {
    case AddressKind::kClusterIp:
      return "cluster_ip";
    case AddressKind::kExternalIp:
      return "external_ip";
    case AddressKind::kLoadBalancer:
      return "load_balancer";
    case AddressKind::kNodePort:
      return "node_port";
  }
  return "";
}

namespace {

std::string escaped(const std::string& value) {
  std::string text;
  for (const char c : value) {
    if (c == '\\' || c == '"') text += '\\';
    text += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return text;
}

// One metric of all service ports: help, type, and the series that are not zero.
class MetricWriter {
 public:
  explicit MetricWriter(const ServiceCounters& counters) : counters_(counters) {}

  using Value = std::function<uint64_t(const ServiceTotals&)>;
  void begin(const std::string& name, const std::string& help) {
    name_ = "fairlead_proxy_service_" + name + "_total";
    text_ += "# HELP " + name_ + " " + help + "\n# TYPE " + name_ + " counter\n";
  }
  void series(const Value& value, const std::string& more_labels = "") {
    for (const auto& [port, totals] : counters_.totals())
      if (const uint64_t number = value(totals); number != 0)
        text_ += name_ + "{" + labels(port) + more_labels + "} " + std::to_string(number) + "\n";
  }
  std::string take() { return std::move(text_); }

 private:
  static std::string labels(const ServicePort& port) {
    return "namespace=\"" + escaped(port.service.ns) + "\",service=\"" +
           escaped(port.service.name) + "\",port=\"" + escaped(port.name) + "\",protocol=\"" +
           protocol_name(port.protocol) + "\"";
  }

  const ServiceCounters& counters_;
  std::string name_, text_;
};

}  // namespace

std::string metrics_text(const ServiceCounters& counters, bool bytes) {
  MetricWriter writer(counters);
  writer.begin("connections", "Flows to a Service, by the kind of address they were sent to");
  for (const AddressKind kind : kKinds)
    writer.series(
        [&](const ServiceTotals& totals) { return totals.connections[static_cast<size_t>(kind)]; },
        std::string(",address=\"") + name_of(kind) + "\"");
  writer.begin("refused", "Packets refused, for the Service has no usable endpoint");
  writer.series([](const ServiceTotals& totals) { return totals.refused; });
  writer.begin("dropped", "Packets dropped, for all endpoints of the Service are on other nodes");
  writer.series([](const ServiceTotals& totals) { return totals.dropped; });
  if (!bytes) return writer.take();
  writer.begin("ended_flows", "Flows to a Service that have ended");
  writer.series([](const ServiceTotals& totals) { return totals.flows.flows; });
  const char* kFrom[] = {",from=\"client\"", ",from=\"server\""};
  writer.begin("bytes", "Bytes of flows that have ended");
  writer.series([](const ServiceTotals& totals) { return totals.flows.client_bytes; }, kFrom[0]);
  writer.series([](const ServiceTotals& totals) { return totals.flows.server_bytes; }, kFrom[1]);
  writer.begin("packets", "Packets of flows that have ended");
  writer.series([](const ServiceTotals& totals) { return totals.flows.client_packets; }, kFrom[0]);
  writer.series([](const ServiceTotals& totals) { return totals.flows.server_packets; }, kFrom[1]);
  return writer.take();
}

}  // namespace fairlead::proxy
