// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/forward/name_lookup.h"

#include <algorithm>

#include "dns/plugins/forward/relay.h"
#include "dns/plugins/forward/resolv_conf.h"

namespace fairlead::dns {

NameLookup::NameLookup(Loop& loop, const Name& name, std::vector<SocketAddress> servers,
                       OnDone on_done)
    : name_(name),
      servers_(std::move(servers)),
      on_done_(std::move(on_done)),
      idle_(loop),
      outside_{loop, tls_, idle_, std::nullopt},
      timer_(loop) {
  if (servers_.empty()) {
    timer_.start_once(Duration::zero(), [this] { done(); });
  } else {
    ask();
  }
}

// A and AAAA at once.
void NameLookup::ask() {
  const SocketAddress& server = servers_[next_++];
  waiting_ = std::size(kTypes);
  answered_ = 0;
  for (size_t i = 0; i < std::size(kTypes); ++i)
    questions_[i] = std::make_unique<UpstreamExchange>(
        outside_, server, simple_query(name_, kTypes[i], true), random_(), false, ExchangeLimits(),
        counts_, [this](const Result<ReplyView>& reply) { on_reply(reply); });
}

void NameLookup::on_reply(const Result<ReplyView>& reply) {
  if (reply.ok() && (reply->rcode() == Rcode::kNoError || reply->rcode() == Rcode::kNxDomain)) {
    ++answered_;
    const std::vector<IpAddress> more = addresses_in(*reply);
    addresses_.insert(addresses_.end(), more.begin(), more.end());
    failure_ = Error(ErrorCode::kNotFound, "it has no addresses");
  } else {
    failure_ =
        reply.ok() ? Error(ErrorCode::kUnavailable, "its resolver has no answer") : reply.error();
  }
  if (--waiting_ > 0) return;
  if ((complete() && !addresses_.empty()) || next_ == servers_.size()) return done();
  ask();  // destroys the question that calls
}

void NameLookup::done() {
  const OnDone on_done = std::move(on_done_);
  if (addresses_.empty()) return on_done(failure_);  // may destroy this
  std::ranges::sort(addresses_);
  addresses_.erase(std::unique(addresses_.begin(), addresses_.end()), addresses_.end());
  addresses_.resize(std::min(addresses_.size(), kMaxUpstreams));
  on_done(std::move(addresses_));
}

std::vector<IpAddress> addresses_in(const ReplyView& reply) {
  std::vector<IpAddress> addresses;
  size_t at = reply.question_end;
  for (uint16_t i = 0; i < reply.counts[0]; ++i) {
    Record record;
    if (!read_record(reply.message, at, record)) break;
    const auto data = reply.message.subspan(record.rdata_at, record.rdata_size);
    if ((record.type == Type::kA && data.size() == 4) ||
        (record.type == Type::kAaaa && data.size() == 16))
      addresses.push_back(IpAddress::from_bytes(data));
  }
  return addresses;
}

}  // namespace fairlead::dns
