// SPDX-License-Identifier: Apache-2.0
// Short ways to say "a Service like this" and "endpoints like those" in tests.
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "kube/objects.h"
#include "proxy/diff.h"
#include "proxy/ruleset.h"
#include "proxy/service_map.h"
#include "proxy/trace.h"

namespace fairlead::proxy::test {

inline IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}
inline Cidr cidr(const std::string& text) {
  return Cidr::parse(text).value();
}

// "http 80/TCP 30080": name, port/protocol, node port (0 or absent: none).
inline kube::ServicePort service_port(const std::string& text) {
  std::istringstream words(text);
  kube::ServicePort port;
  std::string number;
  words >> port.name >> number >> port.node_port;
  const size_t slash = number.find('/');
  port.port = static_cast<uint16_t>(std::stoi(number.substr(0, slash)));
  const std::string protocol = slash == std::string::npos ? "TCP" : number.substr(slash + 1);
  port.protocol = protocol == "UDP"    ? Protocol::kUdp
                  : protocol == "SCTP" ? Protocol::kSctp
                                       : Protocol::kTcp;
  return port;
}

inline kube::Service service(const std::string& name, const std::vector<std::string>& addresses,
                             const std::vector<std::string>& ports) {
  kube::Service service;
  service.meta.ns = "default";
  service.meta.name = name;
  for (const std::string& address : addresses) {
    service.cluster_ips.push_back(ip(address));
    service.ip_families.push_back(ip(address).family());
  }
  for (const std::string& port : ports) service.ports.push_back(service_port(port));
  return service;
}

// "10.0.0.1", "10.0.0.1 terminating", "10.0.0.1 terminating serving", "10.0.0.1 notready",
// "10.0.0.1 @node": conditions as kubelet and controller set them together.
inline kube::Endpoint endpoint(const std::string& text) {
  std::istringstream words(text);
  std::string word;
  words >> word;
  kube::Endpoint endpoint;
  endpoint.addresses = {ip(word)};
  while (words >> word) {
    if (word == "notready") endpoint.ready = endpoint.serving = false;
    if (word == "terminating") {
      endpoint.terminating = true;
      endpoint.ready = endpoint.serving = false;
    }
    if (word == "serving") endpoint.serving = true;
    if (word == "ready") endpoint.ready = true;
    if (word[0] == '@') endpoint.node_name = word.substr(1);
  }
  return endpoint;
}

inline kube::EndpointSlice slice(const std::string& service,
                                 const std::vector<std::string>& endpoints,
                                 const std::vector<std::string>& ports,
                                 const std::string& suffix = "") {
  kube::EndpointSlice slice;
  slice.meta.ns = "default";
  slice.service_name = service;
  for (const std::string& text : endpoints) slice.endpoints.push_back(endpoint(text));
  if (!slice.endpoints.empty()) slice.family = slice.endpoints[0].addresses[0].family();
  slice.meta.name = service + (slice.family == Family::kIpv6 ? "-v6" : "-v4") + suffix;
  for (const std::string& text : ports) {
    const kube::ServicePort port = service_port(text);
    slice.ports.push_back({port.name, port.protocol, port.port});
  }
  return slice;
}

inline Frontend tcp(const std::string& address, uint16_t port) {
  return Frontend::vip(ip(address), Protocol::kTcp, port);
}
inline Frontend udp(const std::string& address, uint16_t port) {
  return Frontend::vip(ip(address), Protocol::kUdp, port);
}

inline Backend backend(const std::string& text, bool local = false) {
  const SocketAddress address = SocketAddress::parse(text).value();
  return {address.address, address.port, local};
}

inline std::string to_text(const std::vector<Backend>& backends) {
  std::string text;
  for (const Backend& one : backends)
    text += (text.empty() ? "" : " ") + one.to_string() + (one.local ? "(local)" : "");
  return text.empty() ? "nobody" : text;
}

// "10.0.0.1:8080 10.0.0.2:8080", "refuses", "drops", "nobody's", or for an external address that
// keeps sources "10.0.0.1:8080(local), inside 10.0.0.1:8080(local) 10.0.0.2:8080".
inline std::string to_text(const std::optional<Target>& target) {
  if (!target) return "nobody's";
  if (target->treatment == Treatment::kRefuse) return "refuses";
  if (target->treatment == Treatment::kDrop) return "drops";
  const bool local = target->treatment == Treatment::kLocal;
  return to_text(target->backends) + (local ? ", inside " + to_text(target->inside) : "");
}

// Of a cluster IP, or of an external address with traffic policy Cluster.
inline Target target(std::vector<Backend> backends, bool cluster_ip = true) {
  Target target;
  target.cluster_ip = cluster_ip;
  if (!backends.empty()) target.treatment = cluster_ip ? Treatment::kCluster : Treatment::kExternal;
  target.backends = std::move(backends);
  std::sort(target.backends.begin(), target.backends.end());
  return target;
}
inline Target target(const std::vector<std::string>& texts, bool cluster_ip = true) {
  std::vector<Backend> backends;
  for (const std::string& text : texts) backends.push_back(backend(text));
  return target(std::move(backends), cluster_ip);
}
inline Target target(std::initializer_list<const char*> texts, bool cluster_ip = true) {
  return target(std::vector<std::string>(texts.begin(), texts.end()), cluster_ip);
}
// Of an external address with traffic policy Local.
inline Target local_target(const std::vector<std::string>& here,
                           const std::vector<std::string>& anywhere) {
  Target result = target(anywhere, false);
  result.treatment = Treatment::kLocal;
  result.inside = std::move(result.backends);
  result.backends = target(here, false).backends;
  for (Backend& one : result.backends) one.local = true;
  for (Backend& one : result.inside)
    one.local = std::find_if(result.backends.begin(), result.backends.end(), [&](const Backend& b) {
                  return b.address == one.address;
                }) != result.backends.end();
  return result;
}

// Makes `ruleset` do what is wanted, as the programmer would.
inline void settle(Ruleset& ruleset, const Frontend& frontend,
                   const std::optional<Target>& wanted) {
  for (const Operation& operation : diff(ruleset, frontend, wanted)) ruleset.apply(operation);
}
inline void settle(Ruleset& ruleset, const ServiceMap& map) {
  Dirty all = map.frontends(ruleset.config().family);
  for (const auto& [frontend, programmed] : ruleset.services()) all.push_back(frontend);
  for (const Frontend& frontend : all) settle(ruleset, frontend, map.find(frontend));
}

}  // namespace fairlead::proxy::test
