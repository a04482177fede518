// SPDX-License-Identifier: Apache-2.0
#include "dns/loading.h"

#include <algorithm>
#include <cstdlib>

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

}  // namespace

Result<std::string> ConfigFiles::read(const std::string& path) {
  Result<std::string> text = path == kCommandLine && options_.get().corefile.empty()
                                 ? options_.get().corefile_text
                                 : DiskFiles::read(path);
  seen_[path] = text.ok() ? *text : text.error().message();
  return text;
}

std::vector<std::string> ConfigFiles::glob(const std::string& pattern) {
  std::vector<std::string> paths = DiskFiles::glob(pattern);
  globbed_[pattern] = paths;
  return paths;
}

bool ConfigFiles::changed() {
  corefile::DiskFiles disk;
  return std::ranges::any_of(seen_,
                             [&](const auto& row) {
                               const Result<std::string> now = disk.read(row.first);
                               return (now.ok() ? *now : now.error().message()) != row.second;
                             }) ||
         std::ranges::any_of(globbed_,
                             [&](const auto& row) { return disk.glob(row.first) != row.second; });
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
