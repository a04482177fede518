// SPDX-License-Identifier: Apache-2.0
#include "proxy/affinity_cleaner.h"

#include <algorithm>

#include "base/log.h"
#include "netlink/nftables/list.h"
#include "netlink/nftables/transaction.h"
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
  const uint64_t number = waiting_.begin()->first;
  const nft::Set map = waiting_.begin()->second;
  waiting_.erase(waiting_.begin());
  nft::list_elements(
      connection_, map,
      [this, alive = alive_, number, map](Result<std::vector<nft::Element>> elements) {
        if (!*alive) return;
        busy_ = false;
        const auto known = known_.find(number);
        if (!elements.ok() && !elements.error().is_not_found()) {
          log::warn("listing map {} failed: {}; trying again", map.name,
                    elements.error().message());
          later_.insert_or_assign(number, map);
          look_again();
        } else if (elements.ok() && known != known_.end()) {
          std::erase_if(*elements, [&](const nft::Element& element) {
            const auto* data = std::get_if<nft::Value>(&element.data);
            if (data == nullptr) return true;
            ElementReader reader(*data);
            const IpAddress address =
                reader.address(map.family == nft::TableFamily::kIp ? Family::kIpv4 : Family::kIpv6);
            return known->second.contains({address, reader.port()});
          });
          if (elements->size() > kMaxDeletes) {
            elements->resize(kMaxDeletes);
            later_.insert_or_assign(number, map);
            look_again();
          }
          forget(map, *elements);
        }
        next();
      });
}

// One transaction each: an element may time out at any moment, and that must not keep the others.
void AffinityCleaner::forget(const nft::Set& map, const std::vector<nft::Element>& elements) {
  for (const nft::Element& element : elements) {
    nft::Transaction transaction;
    nft::Element key;
    key.key = element.key;
    transaction.remove_element(map, key);
    nft::commit(connection_, std::move(transaction), [name = map.name](Result<void> result) {
      if (!result.ok() && !result.error().is_not_found())
        log::warn("forgetting a client in map {} failed: {}", name, result.error().message());
    });
  }
}

}  // namespace fairlead::proxy
