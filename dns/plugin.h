// SPDX-License-Identifier: Apache-2.0
// What a plugin is: one step in the answering of a query. dns/plugins/NAME/ holds one each.
//
// Threads: every worker has a chain and plugins of its own; all calls come on the worker's loop.
// A plugin that can say the answer at once writes it and returns kAnswered. One that has nothing to
// say returns kNext. One that must wait takes the request with Request::defer(), returns kPending
// and calls Deferred::finish() once, later; dropping the Deferred means that no answer is sent.
// Every answer, at once or later, passes the on_reply of the plugins before the one that gave it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/loop.h"
#include "dns/message.h"
#include "dns/reply.h"
#include "dns/zone/snapshot.h"

namespace fairlead::dns {

class Chain;
class Deferred;

enum class Step : uint8_t { kAnswered, kNext, kPending };

enum class Transport : uint8_t {
  kUdp,
  kTcp,
  kInternal,  // a plugin asks the chain; replies have up to 65535 bytes
};

struct Client {
  SocketAddress address;
  Transport transport = Transport::kUdp;
};

using SendLater = std::function<void(std::span<const uint8_t> message)>;

// How a reply finds its way back when it is not there at once.
class ReplyPath {
 public:
  virtual ~ReplyPath() = default;
  virtual SendLater later() = 0;
};

// One query on its way through the chain. Lives for one call of Chain::serve.
class Request {
 public:
  Request(const Query& query, const Client& client, Reply& reply, ReplyPath& path)
      : query_(query), client_(client), reply_(reply), path_(path) {}

  const Query& query() const { return query_; }
  const Client& client() const { return client_; }
  // Begun for the query; a plugin that returns kNext leaves it as it was.
  Reply& reply() { return reply_; }
  // A copy of everything, to be answered later. At most once; the plugin then returns kPending.
  std::unique_ptr<Deferred> defer();
  // The plugin that answered; after Chain::serve.
  std::string_view answered_by() const { return answered_by_; }

 private:
  friend class Chain;
  const Query& query_;
  const Client& client_;
  Reply& reply_;
  ReplyPath& path_;
  Chain* chain_ = nullptr;
  size_t position_ = 0;  // of the plugin being asked
  std::string_view answered_by_;
};

// A request that waits for something, with packet and reply buffer of its own.
class Deferred {
 public:
  Deferred(const Request& request, SendLater send, Chain& chain, size_t position);
  Deferred(const Deferred&) = delete;
  Deferred& operator=(const Deferred&) = delete;

  const Query& query() const { return query_; }
  const Client& client() const { return client_; }
  Reply& reply() { return reply_; }
  // Sends the reply as it is now. Once.
  void finish();

 private:
  std::vector<uint8_t> packet_;
  Query query_;
  Client client_;
  std::unique_ptr<uint8_t[]> buffer_;
  Reply reply_;
  SendLater send_;
  Chain* chain_;
  size_t position_;
};

class Plugin {
 public:
  virtual ~Plugin() = default;
  virtual std::string_view name() const = 0;
  virtual Step serve(Request& request) = 0;
  // May change an answer that a plugin after this one gave.
  virtual void on_reply(const Query&, Reply&) {}
};

// How a plugin is set up. Shared by the plugins of all workers, so constant or thread-safe.
struct PluginOptions {
  virtual ~PluginOptions() = default;
};

// What a plugin may use of its worker. All of it outlives the plugin.
struct PluginContext {
  Loop& loop;
  Published::Reader& reader;
  Chain& chain;
};

}  // namespace fairlead::dns
