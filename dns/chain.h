// SPDX-License-Identifier: Apache-2.0
// The plugins of one worker in order. Which there are is data; the order is that of the registry in
// dns/plugins/registry.cpp, never that of the configuration.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dns/plugin.h"

namespace fairlead::dns {

// Plugins by name with their options.
using ChainConfig = std::map<std::string, std::shared_ptr<const PluginOptions>>;

// A plugin that can be in a chain.
struct PluginKind {
  std::string_view name;
  std::unique_ptr<Plugin> (*make)(const PluginContext& context, const PluginOptions& options);
};
// All there are, in the order they are asked.
std::span<const PluginKind> plugin_registry();

class Chain {
 public:
  Chain() = default;
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  // Fails when the configuration names a plugin that is not in the registry.
  Result<void> assemble(Loop& loop, Published::Reader& reader, const ChainConfig& config);
  // For tests: a plugin at the end.
  void append(std::unique_ptr<Plugin> plugin) { plugins_.push_back(std::move(plugin)); }

  // kAnswered: the reply is complete but for Reply::finish(). kPending: it comes later, or never.
  Step serve(Request& request);

  // Asks the whole chain a question of our own. The callback runs once, maybe before ask() returns,
  // unless the chain is destroyed before there is a reply. Such a question may not lead to another.
  void ask(const Name& name, Type type, const Client& client, SendLater on_reply);

 private:
  friend class Deferred;
  void replied(size_t position, const Query& query, Reply& reply);

  ChainConfig config_;  // the plugins refer to their options
  std::vector<std::unique_ptr<Plugin>> plugins_;
};

}  // namespace fairlead::dns
