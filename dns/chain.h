// SPDX-License-Identifier: Apache-2.0
// The plugins of one server block in one worker, in order. Which there are is data; the order is
// that of dns/registry.h, never that of the configuration. Threads: the worker's.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dns/plugin.h"

namespace fairlead::dns {

// The way back of a question that a plugin asks.
class InternalPath : public ReplyPath {
 public:
  explicit InternalPath(SendLater on_reply) : on_reply_(std::move(on_reply)) {}
  SendLater later(PluginId) override { return std::move(on_reply_); }
  // Unless it was taken.
  void send(std::span<const uint8_t> message) { on_reply_(message); }

 private:
  SendLater on_reply_;
};

// Nobody here serves the name.
void refuse_name(Reply& reply);

// Plugins by name with their options.
using ChainConfig = std::map<std::string, std::shared_ptr<PluginOptions>, std::less<>>;

class Chain {
 public:
  Chain() = default;
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  // Fails when the configuration names a plugin that is not in the registry. `config` outlives the
  // chain.
  Result<void> assemble(const PluginContext& context, const ChainConfig& config);
  // No plugins, and nothing that waits in them, any more. A question that one chain asks may wait
  // in another: all are cleared before the first goes.
  void clear() { links_.clear(); }
  // For tests: a plugin at the end.
  void append(std::unique_ptr<Plugin> plugin, PluginId id = 0);

  // kAnswered: the reply is complete but for Reply::finish(). kPending: it comes later, or never.
  Step serve(Request& request) { return serve_from(0, request); }
  // Asks a whole message; the reply has up to 65535 bytes. The callback runs once, maybe before
  // ask() returns, unless the chain is destroyed before there is a reply.
  void ask(std::span<const uint8_t> packet, const Client& client, SendLater on_reply) {
    ask_from(0, client, packet, std::move(on_reply));
  }
  // What a plugin here knows of a query under a label, the first that does.
  std::optional<std::string> label(std::string_view name, const Query& query,
                                   const Client& client) const;
  // Whether what the question of an ask_next() came to is about our own zones (Reply::own). In its
  // callback.
  bool own_outcome() const { return outcome_.own; }
  // Requests that were deferred and have had no reply yet.
  size_t waiting() const { return waiting_; }

 private:
  friend class Request;
  friend class Deferred;
  struct Link {
    std::unique_ptr<Plugin> plugin;
    PluginId id = 0;
    bool chaos = false;
  };

  Step serve_from(size_t position, Request& request);
  Step ask_plugins(size_t position, Request& request);
  std::string_view name_of(size_t position) const;
  void ask_from(size_t position, const Client& client, std::span<const uint8_t> packet,
                SendLater on_reply);
  // What answered at `position` passes the plugins in front of it, as far as `first`.
  void replied(size_t first, size_t position, const Query& query, const Client& client,
               Reply& reply);

  // What a message does not say of the reply that a plugin is being given: whether it is about our
  // own zones, and why it is SERVFAIL or REFUSED; no text: it is not, or nobody said why.
  struct Outcome {
    bool own = false;
    Ede code = Ede::kNone;
    std::string text;
  };
  void note_outcome(const Reply& reply);

  size_t waiting_ = 0;
  std::vector<Link> links_;
  Outcome outcome_;
};

}  // namespace fairlead::dns
