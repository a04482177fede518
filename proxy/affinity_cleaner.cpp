// SPDX-License-Identifier: Apache-2.0
#include "proxy/affinity_cleaner.h"

#include <algorithm>

#include "base/log.h"
#include "netlink/nftables/list.h"
#include "netlink/nftables/transaction.h"
#include "netlink/nftables/wire.h"
#include "proxy/element_reader.h"

namespace fairlead::proxy {

void AffinityCleaner::changed(const Ruleset& programmed, const std::vector<Frontend>& frontends) {
  if (programmed.affinities().empty() && known_.empty()) return;
  std::erase_if(known_,
                [&](const auto& entry) { return !programmed.affinities().contains(entry.first); });
  for (const Frontend& frontend : frontends) {
    const Ruleset::Service* service = programmed.find(frontend);
    if (service == nullptr || !service->choice || service->choice->affinity == 0) continue;
    const Choice& choice = *service->choice;
    endpoints(programmed, choice.affinity, service->backends);
    if (choice.treatment == Treatment::kLocal)
      endpoints(programmed, affinity_anywhere(choice.affinity), service->inside);
  }
  if (!later_.empty()) look_again();
  next();
}

void AffinityCleaner::endpoints(const Ruleset& programmed, uint64_t number,
                                const Backends& backends) {
  Places places;
  for (const Backend& backend : backends.list()) places.emplace(backend.address, backend.port);
  const auto [place, first] = known_.try_emplace(number);
  const bool fewer =
      !std::includes(places.begin(), places.end(), place->second.begin(), place->second.end());
  place->second = std::move(places);
  // What a former process had in the map is not known either.
  if (!first && !fewer) return;
  const nft::Set map = programmed.affinity_map(number);
  waiting_.insert_or_assign(number, map);
  later_.insert_or_assign(number, map);
}

// A second after the first who asks: changes in quick succession do not put it off.
void AffinityCleaner::look_again() {
  if (std::exchange(looking_again_, true)) return;
  second_look_ = clock_.after(kSecondLook, [this] {
    looking_again_ = false;
    waiting_.merge(later_);
    later_.clear();
    next();
  });
}

void AffinityCleaner::next() {
  if (busy_ || waiting_.empty()) return;
  busy_ = true;
  number_ = waiting_.begin()->first;
  map_ = waiting_.begin()->second;
  waiting_.erase(waiting_.begin());
  connection_.dump(
      nft::elements_request(map_),
      [this, alive = alive_](const netlink::MessageView& message) {
        if (*alive) row(message);
      },
      [this, alive = alive_](Result<void> result) {
        if (*alive) listed(result);
      });
}

void AffinityCleaner::row(const netlink::MessageView& message) {
  const auto known = known_.find(number_);
  const Result<nft::SetElements> list = nft::parse_elements(message);
  if (!list.ok() || known == known_.end()) return;
  const Family family = map_.family == nft::TableFamily::kIp ? Family::kIpv4 : Family::kIpv6;
  for (const nft::Element& element : list->elements) {
    const auto* data = std::get_if<nft::Value>(&element.data);
    if (data == nullptr || stale_.size() == kMost) continue;
    ElementReader reader(*data);
    const IpAddress address = reader.address(family);
    if (known->second.contains({address, reader.port()})) continue;
    stale_.emplace_back().key = element.key;
  }
}

void AffinityCleaner::listed(const Result<void>& result) {
  const bool gone = !result.ok() && result.error().is_not_found();
  const bool interrupted = !result.ok() && result.error().is_interrupted();
  if (!result.ok() && !gone && !interrupted)
    log::warn("listing map {} failed: {}; trying again", map_.name, result.error().message());
  again_ = (!result.ok() && !gone) || stale_.size() == kMost;
  failures_ = 0;
  forget();
}

// A piece that fails, for one of its clients has timed out meanwhile or for another reason, is left
// for another look, which shows what there is then. (To look for that client by smaller and smaller
// pieces costs an aborted transaction each, for which the kernel waits until no packet is on its
// way through the rules.)
void AffinityCleaner::forget() {
  if (stale_.empty()) return end_look();
  const size_t left = stale_.size() - std::min(kPiece, stale_.size());
  nft::Transaction transaction;
  for (size_t i = left; i < stale_.size(); ++i) transaction.remove_element(map_, stale_[i]);
  stale_.resize(left);
  nft::commit(connection_, std::move(transaction), [this, alive = alive_](Result<void> result) {
    if (!*alive) return;
    if (!result.ok()) failed(result.error());
    forget();
  });
}

void AffinityCleaner::failed(const Error& error) {
  if (!error.is_not_found() && failures_ == 0)
    log::warn("forgetting clients in map {} failed: {}", map_.name, error.message());
  again_ = true;
  if (++failures_ == kMostFailures) stale_.clear();
}

void AffinityCleaner::end_look() {
  std::vector<nft::Element>().swap(stale_);
  busy_ = false;
  if (again_) {
    later_.insert_or_assign(number_, map_);
    look_again();
  }
  next();
}

}  // namespace fairlead::proxy
