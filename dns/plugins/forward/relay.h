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
// it sent one, with DO and its options but without those between two neighbours (RFC 7873, RFC
// 7828, RFC 7830), and with a size that we can pass on. A client without EDNS gets no EDNS reply,
// so none is asked for.
std::vector<uint8_t> upstream_query(const Query& query);

// A question of our own, without EDNS.
std::vector<uint8_t> simple_query(const Name& name, Type type, bool recursion_desired);

// Whether a reply is one to this query: its ID, and the question without regard to case. A refusal
// of the whole message (FORMERR, NOTIMP, SERVFAIL, REFUSED) may come without a question.
bool is_reply_to(const ReplyView& reply, std::span<const uint8_t> query);

// The reply for the client without its OPT record, which is made anew (Reply::adopt): the client's
// ID and the bytes of its question. Additional records behind an OPT record are left out: moved,
// their compressed names might be wrong. So are records that do not belong to the question;
// nothing when the reply is about something else (scrub.h).
std::optional<std::vector<uint8_t>> client_reply(const ReplyView& reply, const Query& query);

// What goes from the reply's OPT record into that for the client: its options but those between two
// neighbours (cookie, keepalive, padding), and the upper bits of the rcode. Nothing when the
// options are malformed.
std::vector<uint8_t> client_options(const ReplyView& reply);
Rcode whole_rcode(const ReplyView& reply);

}  // namespace fairlead::dns
