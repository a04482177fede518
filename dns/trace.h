// SPDX-License-Identifier: Apache-2.0
// Told of every step of a query's way, for who wants to know why it is answered as it is
// (fairlead-dns explain). A client has one or none (Client::trace); without one nothing of this is
// computed. Threads: the worker's.
#pragma once

#include <string>
#include <string_view>

#include "dns/message.h"

namespace fairlead::dns {

class Trace {
 public:
  virtual ~Trace() = default;
  // A chain is asked: the client's question, or one that a plugin asks for it. end() follows when
  // all of its plugins have been asked, or one has an answer or waits for it.
  virtual void begin(const Query& query) = 0;
  virtual void end() = 0;
  // What a plugin has to say of what it does now: "Service default/web, ClusterIP".
  virtual void say(const std::string& text) = 0;
  // What it did: "answers", "passes on", "answers later", "changes the answer".
  virtual void step(std::string_view plugin, std::string_view did) = 0;
};

}  // namespace fairlead::dns
