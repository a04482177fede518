// SPDX-License-Identifier: Apache-2.0
#include "proxy/counter_reader.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <utility>

#include "netlink/nftables/list.h"
#include "netlink/nftables/wire.h"
#include "proxy/ruleset.h"

namespace fairlead::proxy {

using netlink::MessageView;

CounterReader::CounterReader(Clock& clock, netlink::Connection& notified, ServiceCounters& counters,
                             std::function<std::vector<nft::Set>()> sets)
    : clock_(clock), connection_(notified), counters_(counters), sets_(std::move(sets)) {}

CounterReader::~CounterReader() {
  *alive_ = false;
}

void CounterReader::begin(std::vector<nft::TableFamily> older_tables) {
  begun_ = true;
  older_ = {older_tables.begin(), older_tables.end()};
  if (!older_.empty()) start();
}

void CounterReader::look(Done done) {
  const bool fresh = looked_at_ && clock_.now() - *looked_at_ <= kFresh;
  if (begun_ && (running_ || !fresh)) {
    waiting_.push_back(std::move(done));
    if (!running_) start();
    return;
  }
  connection_.complete_later(
      begun_ ? ok()
             : Result<void>(Error(ErrorCode::kUnavailable, "Services are not programmed yet")),
      [alive = alive_, done = std::move(done)](Result<void> result) {
        if (*alive) done(std::move(result));
      });
}

void CounterReader::start() {
  running_ = true;
  left_ = sets_();
  tries_ = 0;
  looked_at_ = clock_.now();
  list_next();
}

void CounterReader::list_next() {
  if (left_.empty()) return finish();
  const nft::Set set = left_.back();
  connection_.dump(
      nft::elements_request(set),
      [this, alive = alive_, name = KernelSet{set.family, set.name}](const MessageView& message) {
        if (!*alive) return;
        const Result<nft::SetElements> list = nft::parse_elements(message);
        if (!list.ok()) {
          error_ = list.error();
          return;
        }
        for (const nft::Element& element : list->elements)
          counters_.listed(name, element, ours(name.family));
      },
      [this, alive = alive_](Result<void> result) {
        if (*alive) listed(std::move(result));
      });
}

void CounterReader::listed(Result<void> result) {
  const bool interrupted = !result.ok() && result.error().is_interrupted();
  if (interrupted && !ours(left_.back().family) && ++tries_ < kMaxTries) return list_next();
  if (!result.ok() && !interrupted)
    error_ = result.error().with_context("listing " + left_.back().name);
  tries_ = 0;
  left_.pop_back();
  list_next();
}

void CounterReader::finish() {
  if (!error_) older_.clear();
  counters_.prune();
  running_ = false;
  const Result<void> result = error_ ? Result<void>(*error_) : ok();
  if (std::exchange(error_, std::nullopt)) looked_at_.reset();
  const auto alive = alive_;
  for (const Done& done : std::exchange(waiting_, {}))
    if (*alive) done(result);
}

void CounterReader::notified(const MessageView& message) {
  if (!begun_ || message.type >> 8 != NFNL_SUBSYS_NFTABLES) return;
  const uint8_t type = message.type & 0xff;
  if (type == NFT_MSG_DELSETELEM) {
    const Result<nft::SetElements> gone = nft::parse_elements(message);
    if (!gone.ok() || gone->table != kTableName || !counts_connections(gone->set)) return;
    for (const nft::Element& element : gone->elements)
      counters_.removed({gone->family, gone->set}, element, ours(gone->family));
  } else if (type == NFT_MSG_DELSET) {
    const Result<nft::Set> gone = nft::parse_set(message);
    if (gone.ok() && gone->table == kTableName) counters_.forget({gone->family, gone->name});
  } else if (type == NFT_MSG_DELTABLE) {
    const Result<nft::Table> gone = nft::parse_table(message);
    if (gone.ok() && gone->name == kTableName) counters_.forget(gone->family);
  }
}

}  // namespace fairlead::proxy
