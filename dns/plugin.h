// SPDX-License-Identifier: Apache-2.0
// What a plugin is: one step in the answering of a query, under the name that CoreDNS has for it.
// dns/plugins/NAME/ holds one each, and nothing outside of the folder names it (dns/registry.h).
//
// Threads: a plugin's directives are read, and what it needs beside the chain is started, on the
// program's thread. Every worker has chains and plugins of its own; their calls come on its loop.
//
// A plugin that can say the answer at once writes it and returns kAnswered. One that has nothing to
// say returns kNext. One that must wait takes the request with Request::defer(), returns kPending
// and calls Deferred::finish() once, later; dropping the Deferred means that no answer is sent.
// Every answer, at once or later, passes the on_reply of the plugins before the one that gave it,
// the nearest first.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/loop.h"
#include "dns/corefile/corefile.h"
#include "dns/message.h"
#include "dns/reply.h"
#include "dns/zone/readers.h"

namespace fairlead::dns {

class Chain;
class Deferred;
class Labels;
class Router;
class Trace;

enum class Step : uint8_t { kAnswered, kNext, kPending };

enum class Transport : uint8_t {
  kUdp,
  kTcp,
  kInternal,  // a plugin asks the chain; replies have up to 65535 bytes
};

// The longest reply that a client takes as CoreDNS tells it (request.Size): what it says for UDP,
// any over TCP. Ours are bounded by udp_limit().
inline size_t taken_size(const Query& query, Transport transport) {
  if (transport == Transport::kTcp) return kMaxMessage;
  return query.edns ? std::max<size_t>(query.edns->udp_size, kPlainUdpSize) : kPlainUdpSize;
}

struct Client {
  SocketAddress address;
  Transport transport = Transport::kUdp;
  MonoTime arrived{};                // of the query
  SocketAddress local{};             // where it came to; the address may be a wildcard
  Trace* trace = nullptr;            // is told why; outlives what is asked
  std::shared_ptr<Labels> labels{};  // null: nobody asks for any (dns/labels.h)
  std::optional<MonoTime> until{};   // then nobody waits any more, wherever the question leads

  // For a plugin to say why, in what `make` returns: a sentence that is only made for a trace.
  template <typename Make>
  void explain(Make&& make) const {
    if (trace != nullptr) tell(make());
  }

 private:
  void tell(const std::string& text) const;
};

// Its place in the registry, from 1; 0: no plugin.
using PluginId = uint8_t;

using SendLater = std::function<void(std::span<const uint8_t> message)>;

// How a reply finds its way back when it is not there at once.
class ReplyPath {
 public:
  virtual ~ReplyPath() = default;
  // `plugin`: the one that will answer.
  virtual SendLater later(PluginId plugin) = 0;
};

// One query on its way through the chain. Lives for one call of Chain::serve.
class Request {
 public:
  Request(const Query& query, const Client& client, Reply& reply, ReplyPath& path)
      : query_(query), client_(&client), reply_(reply), path_(path) {}

  const Query& query() const { return query_; }
  const Client& client() const { return *client_; }
  // For the plugins behind, and all on the way back.
  void replace_client(Client client) { client_ = &replaced_.emplace(std::move(client)); }
  // Begun for the query; a plugin that returns kNext leaves it as it was.
  Reply& reply() { return reply_; }
  // A copy of everything, to be answered later. At most once; the plugin then returns kPending.
  std::unique_ptr<Deferred> defer();
  // Deferred::ask_next() for a question that nobody waits for, beside what becomes of this one.
  void ask_next(std::span<const uint8_t> packet, SendLater on_reply) const;
  // That is asked; in Plugin::serve.
  const Chain& chain() const { return *chain_; }
  // The plugin that answered; after Chain::serve.
  PluginId answered_by() const { return answered_by_; }

 private:
  friend class Chain;
  friend class Deferred;
  const Query& query_;
  const Client* client_;
  std::optional<Client> replaced_;
  Reply& reply_;
  ReplyPath& path_;
  Chain* chain_ = nullptr;
  size_t first_ = 0;     // the first plugin that is asked, and the last that sees the answer
  size_t position_ = 0;  // of the plugin being asked
  PluginId answered_by_ = 0;
};

// A request that waits for something, with packet and reply buffer of its own.
class Deferred {
 public:
  Deferred(Request& request, SendLater send);
  ~Deferred();
  Deferred(const Deferred&) = delete;
  Deferred& operator=(const Deferred&) = delete;

  const Query& query() const { return query_; }
  const Client& client() const { return client_; }
  Reply& reply() { return reply_; }
  // Reply::adopt with as much room as the message needs.
  void adopt(std::span<const uint8_t> message, Rcode rcode, std::span<const uint8_t> options = {});
  // Asks the plugins behind the one that deferred, for the same client, a query of the caller's: a
  // whole message. The callback runs once with the whole reply, maybe before ask_next() returns,
  // unless the chain goes first.
  void ask_next(std::span<const uint8_t> packet, SendLater on_reply);
  // What the message of ask_next() does not say holds for this one, too: whether it is about our
  // own zones; why it is SERVFAIL or REFUSED, if it is, unless that is known. In its callback.
  void adopt_outcome();
  // Sends the reply as it is now. Once.
  void finish();

 private:
  std::vector<uint8_t> packet_;
  Query query_;
  Client client_;
  std::unique_ptr<uint8_t[]> buffer_;
  Reply reply_;
  std::string failure_text_;  // the reply's refers to it
  SendLater send_;
  Chain* chain_;
  size_t first_;
  size_t position_;
};

class Plugin {
 public:
  virtual ~Plugin() = default;
  virtual Step serve(Request&) { return Step::kNext; }
  // May change an answer that a plugin after this one gave, at once or later.
  virtual void on_reply(const Query&, const Client&, Reply&) {}
  // What it knows of a query under this label: "kubernetes/service".
  virtual std::optional<std::string> label(std::string_view, const Query&, const Client&) const {
    return std::nullopt;
  }
  // Is asked in class CHAOS, too. No other class but IN is served.
  virtual bool serves_chaos() const { return false; }
};

// What is set up of a plugin for one server block. Shared by the plugins of all workers, so
// constant or thread-safe.
struct PluginOptions {
  virtual ~PluginOptions() = default;
};

// What a plugin may use of its worker. All of it outlives the plugin.
struct PluginContext {
  Loop& loop;
  Readers& readers;
  // The chains that a question of our own (Router::ask) may meet.
  Router& router;
};

struct BlockSetup;
class Host;

// Something that runs beside the chain on the program's loop while its block is served: a listener,
// a watch. Ends with its destruction, maybe before the last worker has let go of the options.
class Service {
 public:
  virtual ~Service() = default;
};

struct PluginKind {
  using Directives = std::vector<corefile::Directive>;
  // Reads all directives of the name in one block, at least one. Pure but for files. Null: nothing
  // is to be made or started, what there is to know is in `block`.
  Result<std::shared_ptr<PluginOptions>> (*parse)(const Directives& directives,
                                                  BlockSetup& block) = nullptr;
  // The step in a worker's chain; nullptr: it has none.
  std::unique_ptr<Plugin> (*make)(const PluginContext& context,
                                  const PluginOptions& options) = nullptr;
  // What runs beside; nullptr: nothing does. `options` stay alive.
  Result<std::unique_ptr<Service>> (*start)(Host& host, PluginOptions& options) = nullptr;
};

// In the plugin's folder: FAIRLEAD_DNS_PLUGIN(forward) = {&parse, &make, &start};
// The name is the folder's; the build finds it there.
#define FAIRLEAD_DNS_PLUGIN(name)             \
  extern const PluginKind plugin_kind_##name; \
  const PluginKind plugin_kind_##name

}  // namespace fairlead::dns
