// SPDX-License-Identifier: Apache-2.0
#include "dns/service_ports.h"

#include <algorithm>

namespace fairlead::dns {
namespace {

uint16_t weight_of(size_t choices) {
  return static_cast<uint16_t>(std::max<size_t>(1, 100 / std::max<size_t>(1, choices)));
}

// Ports of one service or one target that the selector chooses.
class ChosenPorts {
 public:
  ChosenPorts(const ServiceRecord& service, const Selector& selector)
      : service_(service), selector_(selector) {}

  size_t count(std::span<const PortRecord> ports) const {
    return static_cast<size_t>(std::count_if(ports.begin(), ports.end(), [&](const auto& port) {
      return selector_.matches(service_, port);
    }));
  }
  // Whether the SRV record of `number` is among these: two ports may differ in protocol alone.
  bool has(std::span<const PortRecord> ports, uint16_t number) const {
    return std::any_of(ports.begin(), ports.end(), [&](const PortRecord& port) {
      return port.number == number && selector_.matches(service_, port);
    });
  }
  // Calls visit(number) for each number once. A port of a slice may have none: it counts as a
  // choice, as in CoreDNS, but there is nothing to say of it.
  template <typename Visit>
  void visit_numbers(std::span<const PortRecord> ports, Visit&& visit) const {
    for (size_t i = 0; i < ports.size(); ++i)
      if (ports[i].number != 0 && selector_.matches(service_, ports[i]) &&
          !has(ports.first(i), ports[i].number))
        visit(ports[i].number);
  }
  // None of an endpoint in another topology zone than was asked for.
  std::span<const PortRecord> of(const EndpointRecord& endpoint) const {
    if (!selector_.topology.empty() && !selector_.is_in_topology(service_, endpoint)) return {};
    return service_.ports_of(endpoint.ports);
  }

 private:
  const ServiceRecord& service_;
  const Selector& selector_;
};

// Calls visit(number) for each port number of the target once.
template <typename Visit>
void visit_target(const ChosenPorts& ports, Endpoints target, Visit&& visit) {
  for (size_t i = 0; i < target.size(); ++i)
    ports.visit_numbers(ports.of(target[i]), [&](uint16_t number) {
      // The nearest first: neighbours mostly have the same ports.
      for (size_t k = i; k-- > 0;)
        if (ports.has(ports.of(target[k]), number)) return;
      visit(number);
    });
}

// The service itself at these addresses.
void add_address_ports(const ServiceRecord& service, const ChosenPorts& ports,
                       std::span<const IpAddress> addresses, uint16_t weight,
                       RecordWriter& writer) {
  if (addresses.empty()) return;
  size_t target_at = 0;
  ports.visit_numbers(service.ports(), [&](uint16_t number) {
    const size_t at = writer.srv({}, {}, service.name(), number, weight);
    if (target_at == 0) target_at = at;
  });
  if (target_at == 0) return;
  for (const IpAddress& address : addresses)
    writer.address(Section::kAdditional, target_at, address);
}

// The label behind the endpoint's in its name.
std::span<const uint8_t> cluster_of(const ServiceRecord& service, const Selector& selector,
                                    const EndpointRecord& endpoint) {
  return selector.by_cluster ? service.topology_of(endpoint) : std::span<const uint8_t>();
}

// The addresses of the targets whose records stand from `at` on, in the same order: each owner is
// the name in its target's first record.
void add_target_addresses(const ServiceRecord& service, const Selector& selector,
                          Endpoints endpoints, size_t at, RecordWriter& writer) {
  const ChosenPorts ports(service, selector);
  while (!endpoints.empty()) {
    const Endpoints target = take_target(service, selector.by_cluster, endpoints);
    const auto cluster = cluster_of(service, selector, target.front());
    const EndpointLabel label(service.label_of(target.front()), target.front().address);
    const size_t target_at = at + RecordWriter::kSrvNameAt;
    visit_target(ports, target,
                 [&](uint16_t) { at += writer.srv_size(label.text(), cluster, service.name()); });
    if (at < target_at) continue;  // it has no record
    for (const EndpointRecord& endpoint : target)
      if (ports.count(ports.of(endpoint)) > 0 &&
          !writer.address(Section::kAdditional, target_at, endpoint.address))
        return;
  }
}

void add_endpoint_ports(const ServiceRecord& service, const Selector& selector, Endpoints endpoints,
                        RecordWriter& writer) {
  const ChosenPorts ports(service, selector);
  size_t choices = 0;
  for (const EndpointRecord& endpoint : endpoints) choices += ports.count(ports.of(endpoint));
  const uint16_t weight = weight_of(choices);
  const size_t first_at = writer.position();
  for (Endpoints rest = endpoints; !rest.empty();) {
    const Endpoints target = take_target(service, selector.by_cluster, rest);
    const auto cluster = cluster_of(service, selector, target.front());
    const EndpointLabel label(service.label_of(target.front()), target.front().address);
    visit_target(ports, target, [&](uint16_t number) {
      writer.srv(label.text(), cluster, service.name(), number, weight);
    });
    if (writer.full()) return;
  }
  add_target_addresses(service, selector, endpoints, first_at, writer);
}

}  // namespace

Endpoints take_target(const ServiceRecord& service, bool by_cluster, Endpoints& rest) {
  size_t size = 1;
  const EndpointRecord& first = rest.front();
  if (first.label_size != 0) {
    const std::string_view label = service.label_of(first);
    while (size < rest.size() && service.label_of(rest[size]) == label &&
           (!by_cluster || rest[size].topology == first.topology))
      ++size;
  }
  const Endpoints target = rest.first(size);
  rest = rest.subspan(size);
  return target;
}

void add_service_ports(const ServiceRecord& service, const Selector& selector,
                       RecordWriter& writer) {
  if (uses_cluster_ips(service, selector)) {
    const ChosenPorts ports(service, selector);
    const auto addresses = service.cluster_ips();
    const uint16_t weight = weight_of(ports.count(service.ports()) * addresses.size());
    add_address_ports(service, ports, addresses, weight, writer);
  } else {
    add_endpoint_ports(service, selector, chosen_endpoints(service, selector), writer);
  }
}

void add_external_ports(const ServiceRecord& service, const Selector& selector,
                        RecordWriter& writer) {
  const ChosenPorts ports(service, selector);
  const auto addresses = service.external_ips();
  const size_t hosts = service.external_hosts();
  const uint16_t weight = weight_of(ports.count(service.ports()) * (addresses.size() + hosts));
  for (size_t i = 0; i < hosts; ++i)
    ports.visit_numbers(service.ports(), [&](uint16_t number) {
      writer.srv_to(service.external_host(i), number, weight);
    });
  add_address_ports(service, ports, addresses, weight, writer);
}

}  // namespace fairlead::dns
