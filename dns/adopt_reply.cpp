// SPDX-License-Identifier: Apache-2.0
#include "dns/adopt_reply.h"

#include <algorithm>

namespace fairlead::dns {

void adopt_reply(Deferred& deferred, std::span<const uint8_t> message,
                 const std::function<void(EditMessage&)>& change) {
  std::optional<EditMessage> edit = decode(message);
  if (!edit) {
    deferred.reply().set_rcode(Rcode::kServFail);
    return;
  }
  auto& additional = (*edit)[Section::kAdditional];
  const auto opt = std::ranges::find(additional, Type::kOpt, &EditRecord::type);
  std::vector<uint8_t> options;
  unsigned upper = 0;
  if (opt != additional.end()) {
    options = std::move(opt->rdata);
    upper = opt->ttl >> 24;
    additional.erase(opt);
  }
  if (change) change(*edit);
  set_question(*edit, deferred.query());
  const auto rcode = static_cast<Rcode>(upper << 4 | (edit->flags & 15u));
  deferred.adopt(encode(*edit), rcode, options);
}

}  // namespace fairlead::dns
