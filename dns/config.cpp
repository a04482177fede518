// SPDX-License-Identifier: Apache-2.0
#include "dns/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "dns/registry.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

using corefile::Directive;
using corefile::ServerBlock;
using corefile::Word;

using ByName = std::map<std::string, std::vector<Directive>, std::less<>>;

Result<ByName> by_name(const ServerBlock& block) {
  ByName directives;
  for (const Directive& directive : block.directives) {
    const std::string& name = directive.name.text;
    if (registered(name) == nullptr) {
      if (known_to_coredns(name))
        return directive.name.place.error(
            fmt::format("CoreDNS's plugin '{}' is not in fairlead-dns", name));
      return directive.name.place.error(fmt::format("there is no plugin '{}', here or in CoreDNS{}",
                                                    name,
                                                    corefile::did_you_mean(name, plugin_names())));
    }
    directives[name].push_back(directive);
  }
  return directives;
}

// What holds of a plugin that CoreDNS lets be repeated in a block, by a snippet, say.
struct Repeated {
  std::string_view plugin;
  enum class Holds : uint8_t { kFirst, kLast, kLastWithArguments } arguments;
  bool properties;             // of all of them, not just of that one
  std::string_view anew = {};  // a first argument that makes those before it forgotten
};
constexpr Repeated kRepeated[] = {{"any", Repeated::Holds::kFirst, false},
                                  {"bufsize", Repeated::Holds::kFirst, false},
                                  {"cancel", Repeated::Holds::kLast, false},
                                  {"chaos", Repeated::Holds::kFirst, false},
                                  {"health", Repeated::Holds::kLastWithArguments, true},
                                  {"k8s_external", Repeated::Holds::kLast, true},
                                  {"loadbalance", Repeated::Holds::kLast, true, "weighted"},
                                  {"local", Repeated::Holds::kLast, true},
                                  {"minimal", Repeated::Holds::kFirst, false},
                                  {"reload", Repeated::Holds::kFirst, false},
                                  {"root", Repeated::Holds::kLast, false},
                                  {"timeouts", Repeated::Holds::kLast, true},
                                  {"trace", Repeated::Holds::kLast, true},
                                  {"whoami", Repeated::Holds::kFirst, false}};

Directive one_of(std::vector<Directive> directives, const Repeated& how) {
  if (how.arguments == Repeated::Holds::kFirst) return directives.front();
  for (size_t i = directives.size(); i-- > 1 && !how.anew.empty();) {
    const std::vector<Word>& arguments = directives[i].arguments;
    if (arguments.empty() || arguments[0].text != how.anew) continue;
    directives.erase(directives.begin(), directives.begin() + static_cast<ptrdiff_t>(i));
    break;
  }
  Directive one = directives.back();
  if (how.arguments == Repeated::Holds::kLastWithArguments)
    for (const Directive& each : directives)
      if (!each.arguments.empty()) one.arguments = each.arguments;
  if (!how.properties) return one;
  one.block.reset();
  for (const Directive& each : directives) {
    if (!each.block) continue;
    if (!one.block) one.block.emplace();
    one.block->insert(one.block->end(), each.block->begin(), each.block->end());
  }
  return one;
}

// Makes one directive of those that stand for one in CoreDNS. Each that is read there must be
// right, whether it holds or not.
Result<void> settle_repeated(ByName& directives, BlockSetup& setup) {
  for (const Repeated& how : kRepeated) {
    const auto at = directives.find(how.plugin);
    if (at == directives.end() || at->second.size() == 1) continue;
    if (how.arguments != Repeated::Holds::kFirst)
      for (const Directive& each : at->second) {
        BlockSetup scratch = setup;
        const auto read = registered(how.plugin)->parse({each}, scratch);
        if (!read.ok()) return read.error();
      }
    setup.notes.push_back(
        at->second[1]
            .name.place
            .error(fmt::format("plugin '{}' is given again; what holds is what does in CoreDNS",
                               how.plugin))
            .message());
    at->second = {one_of(at->second, how)};
  }
  return ok();
}

class Reader {
 public:
  Reader(corefile::Files& files, std::string folder, const Interfaces& interfaces)
      : files_(files), folder_(std::move(folder)), interfaces_(interfaces) {}

  Result<void> add(const ServerBlock& block);
  Config take() { return std::move(config_); }

 private:
  Result<ChainConfig> read_plugins(const ServerBlock& block, BlockSetup& setup);
  Result<std::vector<SocketAddress>> addresses(const BlockSetup& setup);
  Result<std::vector<IpAddress>> resolve(const std::vector<Word>& words);
  Result<void> route(const ServerBlock& block, const BlockSetup& setup, const Name& zone,
                     size_t index);
  Plan::Listener& listener(const SocketAddress& address, bool optional, const TcpLimits& tcp);

  corefile::Files& files_;
  const std::string folder_;
  const Interfaces& interfaces_;
  Config config_{std::make_shared<Plan>(), {}};
};

// Ports of one block may differ (a.test:53 b.test:54): each is a block of its own, as in CoreDNS.
Result<void> Reader::add(const ServerBlock& block) {
  std::map<uint16_t, std::vector<Name>> zones;
  for (const corefile::ZoneKey& key : block.keys) {
    if (key.scheme != corefile::Scheme::kDns)
      return block.place.error(
          fmt::format("{}:// is not served here, plain DNS is", corefile::scheme_text(key.scheme)));
    zones[key.port].push_back(key.zone);
  }
  for (auto& [port, names] : zones) {
    BlockSetup setup;
    setup.zones = names;
    setup.port = port;
    setup.files = &files_;
    setup.folder = folder_;
    Result<ChainConfig> plugins = read_plugins(block, setup);
    if (!plugins.ok()) return plugins.error();
    const size_t index = config_.plan->blocks.size();
    config_.plan->blocks.push_back({setup.server_label(), *std::move(plugins)});
    for (const Name& zone : names)
      if (const Result<void> routed = route(block, setup, zone, index); !routed.ok()) return routed;
    config_.notes.insert(config_.notes.end(), setup.notes.begin(), setup.notes.end());
  }
  return ok();
}

Result<ChainConfig> Reader::read_plugins(const ServerBlock& block, BlockSetup& setup) {
  Result<ByName> directives = by_name(block);
  if (!directives.ok()) return directives.error();
  if (const auto settled = settle_repeated(*directives, setup); !settled.ok())
    return settled.error();
  ChainConfig plugins;
  for (const Registered& each : registry()) {
    const auto at = directives->find(each.name);
    if (at == directives->end()) continue;
    auto options = each.kind->parse(at->second, setup);
    if (!options.ok()) return options.error();
    if (*options) plugins.emplace(each.name, *std::move(options));
  }
  for (const BlockSetup::Need& need : setup.needs) {
    const auto at = plugins.find(need.plugin);
    if (at == plugins.end())
      return need.place.error(
          fmt::format("this needs the plugin '{}' in the same server block", need.plugin));
    need.take(at->second);
  }
  return plugins;
}

Result<std::vector<IpAddress>> Reader::resolve(const std::vector<Word>& words) {
  std::vector<IpAddress> out;
  for (const Word& word : words) {
    if (const Result<IpAddress> address = IpAddress::parse(word.text); address.ok()) {
      out.push_back(*address);
      continue;
    }
    std::vector<IpAddress> found = interfaces_(word.text);
    std::erase_if(
        found, [](const IpAddress& address) { return address.is_v6() && address.is_link_local(); });
    if (found.empty())
      return word.place.error(
          fmt::format("'{}' is neither an address nor an interface with one", word.text));
    out.insert(out.end(), found.begin(), found.end());
  }
  return out;
}

Result<std::vector<SocketAddress>> Reader::addresses(const BlockSetup& setup) {
  const auto bound = resolve(setup.bind);
  if (!bound.ok()) return bound.error();
  const auto except = resolve(setup.except);
  if (!except.ok()) return except.error();
  std::vector<SocketAddress> out;
  for (const IpAddress& address : *bound)
    if (std::ranges::find(*except, address) == except->end() &&
        std::ranges::find(out, address, &SocketAddress::address) == out.end())
      out.push_back({address, setup.port});
  if (out.empty() && !setup.bind.empty())
    return setup.bind.front().place.error("'bind' leaves no address to answer at");
  if (setup.bind.empty())
    out = {{IpAddress::any(Family::kIpv4), setup.port},
           {IpAddress::any(Family::kIpv6), setup.port}};
  return out;
}

Plan::Listener& Reader::listener(const SocketAddress& address, bool optional,
                                 const TcpLimits& tcp) {
  auto& listeners = config_.plan->listeners;
  const auto at = std::ranges::find(listeners, address, &Plan::Listener::address);
  if (at != listeners.end()) return *at;
  listeners.push_back({address, optional, {}, tcp});
  return listeners.back();
}

Result<void> Reader::route(const ServerBlock& block, const BlockSetup& setup, const Name& zone,
                           size_t index) {
  const auto where = addresses(setup);
  if (!where.ok()) return where.error();
  for (const SocketAddress& address : *where) {
    const bool optional = setup.bind.empty() && address.address.is_v6();
    Plan::Listener& at = listener(address, optional, setup.tcp);
    for (const Plan::Route& other : at.routes)
      if (other.zone == zone)
        return block.place.error(
            fmt::format("{} is served at {} already", zone.to_text(), address.to_string()));
    at.routes.push_back({zone, index});
  }
  return ok();
}

}  // namespace

Result<Config> read_config(const corefile::Corefile& corefile, corefile::Files& files,
                           const std::string& folder, const Interfaces& interfaces) {
  if (corefile.blocks.empty())
    return Error(ErrorCode::kInvalid,
                 (corefile.files.empty() ? "" : *corefile.files.begin() + ": ") +
                     "there is no server block in it");
  Reader reader(files, folder, interfaces);
  for (const ServerBlock& block : corefile.blocks)
    if (const Result<void> added = reader.add(block); !added.ok()) return added.error();
  return reader.take();
}

}  // namespace fairlead::dns
