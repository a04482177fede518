// SPDX-License-Identifier: Apache-2.0
// For plugins that ask the next ones something else than the client did. Threads: the worker's.
#pragma once

#include <functional>
#include <span>

#include "dns/edit.h"
#include "dns/plugin.h"

namespace fairlead::dns {

struct AdoptedReply {
  EditMessage message;           // without its OPT record
  Rcode rcode{};                 // the whole one
  std::vector<uint8_t> options;  // of the OPT record, which go on to the client
};

// What a Deferred::ask_next with a query of our own came to, as the reply to the client's, after
// `change`. SERVFAIL when it is malformed.
void adopt_reply(Deferred& deferred, std::span<const uint8_t> message,
                 const std::function<void(AdoptedReply&)>& change = nullptr);

}  // namespace fairlead::dns
