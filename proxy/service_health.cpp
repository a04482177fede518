// SPDX-License-Identifier: Apache-2.0
#include "proxy/service_health.h"

#include <ifaddrs.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/log.h"

namespace fairlead::proxy {

namespace {

HttpServerOptions small_server() {
  HttpServerOptions options;
  options.max_header_bytes = 16 * 1024;
  options.max_body_bytes = 16 * 1024;
  options.max_connections = 128;
  return options;
}

std::string quote(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::string service_health_json(const kube::ObjectKey& service, size_t local_ready,
                                bool proxy_healthy) {
  return "{\n\t\"service\": {\n\t\t\"namespace\": " + quote(service.ns) +
         ",\n\t\t\"name\": " + quote(service.name) +
         "\n\t},\n\t\"localEndpoints\": " + std::to_string(local_ready) +
         ",\n\t\"serviceProxyHealthy\": " + (proxy_healthy ? "true" : "false") + "\n}";
}

Result<SocketAddress> listen_on(HttpServer& server, const SocketAddress& address) {
  if (address.address == IpAddress::any(Family::kIpv4)) {
    Result<SocketAddress> both = server.listen({IpAddress::any(Family::kIpv6), address.port});
    if (both.ok()) return both;
  }
  return server.listen(address);
}

std::vector<IpAddress> local_addresses(const std::vector<Cidr>& cidrs) {
  std::vector<IpAddress> addresses;
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) return addresses;
  for (const ifaddrs* entry = first; entry != nullptr; entry = entry->ifa_next) {
    const sockaddr* address = entry->ifa_addr;
    if (address == nullptr || (address->sa_family != AF_INET && address->sa_family != AF_INET6))
      continue;
    const IpAddress ip = SocketAddress::from_sockaddr(address).address;
    const auto holds_it = [&](const Cidr& cidr) {
      return cidr.contains(ip) && (cidr.prefix_length() > 0 || !ip.is_loopback());
    };
    if (!(ip.is_v6() && ip.is_link_local()) && std::any_of(cidrs.begin(), cidrs.end(), holds_it))
      addresses.push_back(ip);
  }
  freeifaddrs(first);
  return addresses;
}

ServiceHealth::ServiceHealth(Loop& loop, std::function<bool()> proxy_healthy, OnFailure on_failure,
                             Duration retry)
    : loop_(loop),
      retry_after_(retry),
      proxy_healthy_(std::move(proxy_healthy)),
      on_failure_(std::move(on_failure)),
      retry_(loop) {}

void ServiceHealth::set_addresses(std::vector<IpAddress> addresses) {
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  if (addresses == addresses_) return;
  addresses_ = std::move(addresses);
  for (auto& [service, port] : ports_)
    std::erase_if(port.servers, [&](const auto& server) {
      return !std::binary_search(addresses_.begin(), addresses_.end(), server.first);
    });
  open_missing();
}

void ServiceHealth::update(const std::vector<Entry>& entries) {
  std::map<kube::ObjectKey, const Entry*> wanted;
  for (const Entry& entry : entries) wanted[entry.service] = &entry;
  std::erase_if(ports_, [&](const auto& open) {
    const auto entry = wanted.find(open.first);
    return entry == wanted.end() || entry->second->port != open.second.number;
  });
  for (const auto& [service, entry] : wanted) {
    Port& port = ports_[service];
    port.number = entry->port;
    port.local_ready = entry->local_ready;
  }
  open_missing();
}

size_t ServiceHealth::open() const {
  return static_cast<size_t>(std::count_if(
      ports_.begin(), ports_.end(), [](const auto& port) { return !port.second.servers.empty(); }));
}

void ServiceHealth::open_missing() {
  bool again = false;
  for (auto& [service, port] : ports_) {
    if (port.servers.size() == addresses_.size()) continue;
    const Result<void> bound = bind(service, port);
    if (bound.ok()) {
      log::debug("health check of Service {} on port {}", service.to_string(), port.number);
      port.reported = false;
      continue;
    }
    again = true;
    if (!std::exchange(port.reported, true)) on_failure_(service, port.number, bound.error());
  }
  if (!again) return retry_.stop();
  retry_.start_once(retry_after_, [this] { open_missing(); });
}

// What has failed first, if anything.
Result<void> ServiceHealth::bind(const kube::ObjectKey& service, Port& port) {
  Result<void> result = ok();
  for (const IpAddress& address : addresses_) {
    if (port.servers.contains(address)) continue;
    auto server = std::make_unique<HttpServer>(
        loop_, small_server(),
        [this, service](const HttpServerRequest&, const std::shared_ptr<HttpResponder>& responder) {
          answer(service, *responder);
        });
    const Result<SocketAddress> bound = listen_on(*server, {address, port.number});
    if (bound.ok())
      port.servers.emplace(address, std::move(server));
    else if (result.ok())
      result = bound.error();
  }
  return result;
}

void ServiceHealth::answer(const kube::ObjectKey& service, HttpResponder& responder) {
  const auto port = ports_.find(service);
  const size_t count = port == ports_.end() ? 0 : port->second.local_ready;
  const bool healthy = proxy_healthy_();
  responder.respond(count > 0 && healthy ? 200 : 503,
                    {{"Content-Type", "application/json"},
                     {"X-Content-Type-Options", "nosniff"},
                     {"X-Load-Balancing-Endpoint-Weight", std::to_string(count)}},
                    service_health_json(service, count, healthy));
}

}  // namespace fairlead::proxy
