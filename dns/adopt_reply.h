// SPDX-License-Identifier: Apache-2.0
// For plugins that ask the next ones something else than the client did. Threads: the worker's.
#pragma once

#include <functional>
#include <span>

#include "dns/edit.h"
#include "dns/plugin.h"

namespace fairlead::dns {

// What a Deferred::ask_next with a query of our own came to, as the reply to the client's: `change`
// sees it without its OPT record, whose options go on to the client. SERVFAIL when it is malformed.
void adopt_reply(Deferred& deferred, std::span<const uint8_t> message,
                 const std::function<void(EditMessage&)>& change = nullptr);

}  // namespace fairlead::dns
