// SPDX-License-Identifier: Apache-2.0
// Messages on their way to an upstream server and back, as bytes. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dns/message.h"

namespace fairlead::dns {

// What is asked upstream for a client's query: its question as it is, RD and CD; its OPT record, if
// it sent one, with DO and its options but without cookies, which are between two neighbours (RFC
// 7873), and with a size that we can pass on. A client without EDNS gets no EDNS reply, so none is
// asked for.
std::vector<uint8_t> upstream_query(const Query& query);

// Whether a reply is one to this query: its ID, and the question without regard to case. A refusal
// of the whole message (FORMERR, NOTIMP, SERVFAIL, REFUSED) may come without a question.
bool is_reply_to(const ReplyView& reply, std::span<const uint8_t> query);

// The reply for the client: its own ID and the bytes of its question, in at most `limit` bytes.
// What is too long loses whole records from its end, but not its OPT record, and gets TC. Nothing
// when not even the question fits.
std::vector<uint8_t> client_reply(const ReplyView& reply, const Query& query, size_t limit);

}  // namespace fairlead::dns
