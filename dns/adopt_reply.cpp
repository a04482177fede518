// SPDX-License-Identifier: Apache-2.0
#include "dns/adopt_reply.h"

#include <algorithm>

namespace fairlead::dns {

void adopt_reply(Deferred& deferred, std::span<const uint8_t> message,
                 const std::function<void(AdoptedReply&)>& change) {
  std::optional<EditMessage> edit = decode(message);
  if (!edit) {
    deferred.reply().set_rcode(Rcode::kServFail);
    return;
  }
  AdoptedReply reply{*std::move(edit), {}, {}};
  auto& additional = reply.message[Section::kAdditional];
  const auto opt = std::ranges::find(additional, Type::kOpt, &EditRecord::type);
  unsigned upper = 0;
  if (opt != additional.end()) {
    reply.options = std::move(opt->rdata);
    upper = opt->ttl >> 24;
    additional.erase(opt);
  }
  reply.rcode = static_cast<Rcode>(upper << 4 | (reply.message.flags & 15u));
  if (change) change(reply);
  set_question(reply.message, deferred.query());
  deferred.adopt(encode(reply.message), reply.rcode, reply.options);
  deferred.adopt_outcome();
}

}  // namespace fairlead::dns
