// SPDX-License-Identifier: Apache-2.0
#include "dns/loading.h"

#include <fmt/format.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <set>

#include "dns/counters.h"
#include "dns/registry.h"
#include "dns/server/socket.h"

namespace fairlead::dns {
namespace {

// The addresses clients reach us at, for NS records.
std::vector<IpAddress> reached_at(const std::vector<SocketAddress>& listen) {
  std::vector<IpAddress> addresses;
  const auto add = [&addresses](const IpAddress& address) {
    if (std::ranges::find(addresses, address) == addresses.end()) addresses.push_back(address);
  };
  for (const SocketAddress& socket : listen) {
    if (!socket.address.is_unspecified()) {
      add(socket.address);
      continue;
    }
    for (const IpAddress& address : host_addresses())
      if (address.family() == socket.address.family() && !address.is_loopback() &&
          !address.is_link_local())
        add(address);
  }
  return addresses;
}

// Where a block is served.
std::vector<SocketAddress> listening_of(const Plan& plan, size_t block) {
  std::vector<SocketAddress> addresses;
  for (const Plan::Listener& listener : plan.listeners)
    if (std::ranges::any_of(listener.routes, [&](auto& route) { return route.block == block; }))
      addresses.push_back(listener.address);
  return addresses;
}

// One for each zone of a block and each plugin in its chain. In CoreDNS's `prometheus` is, too.
std::vector<Count> enabled_in(const Plan& plan, size_t block) {
  std::set<std::string> zones;
  for (const Plan::Listener& listener : plan.listeners)
    for (const Plan::Route& route : listener.routes)
      if (route.block == block) zones.insert(route.zone.to_text());
  std::vector<Count> rows;
  for (const Registered& each : registry()) {
    const bool in_chain = each.kind->make != nullptr || each.name == "prometheus";
    if (!in_chain || !plan.blocks[block].plugins.contains(each.name)) continue;
    for (const std::string& zone : zones)
      rows.push_back({fmt::format("server=\"{}\",zone=\"{}\",view=\"\",name=\"{}\"",
                                  plan.blocks[block].label, zone, each.name),
                      1});
  }
  return rows;
}

}  // namespace

Result<std::string> ConfigFiles::read_now(const std::string& path) {
  const std::string& corefile = options_.get().corefile;
  if (path == kStandardInput && corefile == path) return read_standard_input();
  if (path == kCommandLine && corefile.empty()) return options_.get().corefile_text;
  return DiskFiles::read(path);
}

Result<std::string> ConfigFiles::read(const std::string& path) {
  Result<std::string> text = read_now(path);
  seen_[path] = text.ok() ? *text : text.error().message();
  return text;
}

// Once: what is reloaded later is what it said.
Result<std::string> ConfigFiles::read_standard_input() {
  static const Result<std::string> text = corefile::DiskFiles().read("/dev/stdin");
  return text.ok() ? text : text.error().with_context("-conf stdin");
}

std::vector<std::string> ConfigFiles::glob(const std::string& pattern) {
  std::vector<std::string> paths = DiskFiles::glob(pattern);
  globbed_[pattern] = paths;
  return paths;
}

bool ConfigFiles::changed() {
  return std::ranges::any_of(seen_,
                             [&](const auto& row) {
                               const Result<std::string> now = read_now(row.first);
                               return (now.ok() ? *now : now.error().message()) != row.second;
                             }) ||
         std::ranges::any_of(
             globbed_, [&](const auto& row) { return DiskFiles::glob(row.first) != row.second; });
}

std::string ConfigFiles::digest() const {
  std::string all;
  for (const auto& [path, text] : seen_) all += fmt::format("{} {}\n{}", path, text.size(), text);
  std::array<uint8_t, SHA512_DIGEST_LENGTH> sum{};
  SHA512(reinterpret_cast<const uint8_t*>(all.data()), all.size(), sum.data());
  return fmt::format("{:02x}", fmt::join(sum, ""));
}

Result<Config> load_config(const Options& options, ConfigFiles& files) {
  const std::string path = options.corefile.empty() ? ConfigFiles::kCommandLine : options.corefile;
  corefile::ParseOptions parse{[](const std::string& name) { return getenv(name.c_str()); },
                               options.port};
  const auto corefile = corefile::parse_corefile(path, files, parse);
  if (!corefile.ok()) return corefile.error();
  const size_t slash = path.rfind('/');
  return read_config(*corefile, files, slash == std::string::npos ? "" : path.substr(0, slash),
                     &interface_addresses);
}

Result<Services> start_services(Host& host, const Config& config) {
  Services services;
  for (size_t i = 0; i < config.plan->blocks.size(); ++i) {
    const Plan::Block& block = config.plan->blocks[i];
    host.listening = [addresses = listening_of(*config.plan, i)] { return addresses; };
    host.local_addresses = [&host] { return reached_at(host.listening()); };
    services.push_back(add_counters(
        host, "coredns_plugin_enabled",
        "A metric that indicates whether a plugin is enabled on per server and zone basis.",
        [rows = enabled_in(*config.plan, i)](std::vector<Count>& out) {
          out.insert(out.end(), rows.begin(), rows.end());
        }));
    for (const Registered& each : registry()) {
      const auto at = block.plugins.find(each.name);
      if (at == block.plugins.end() || each.kind->start == nullptr) continue;
      auto service = each.kind->start(host, *at->second);
      if (!service.ok()) return service.error();
      if (*service) services.push_back(*std::move(service));
    }
  }
  return services;
}

}  // namespace fairlead::dns
