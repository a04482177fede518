// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/endpoint_group.h"

#include <algorithm>
#include <iterator>

namespace fairlead::proxy::stream {

namespace {

bool before(const EndpointPtr& endpoint, const SocketAddress& address) {
  return endpoint->address < address;
}

EndpointPtr find_in(const std::vector<EndpointPtr>& sorted, const SocketAddress& address) {
  const auto found = std::lower_bound(sorted.begin(), sorted.end(), address, before);
  return found != sorted.end() && (*found)->address == address ? *found : nullptr;
}

// What a choice may look at: endpoints not tried yet; `any`: the ejected among them.
class GroupView : public LoadView {
 public:
  GroupView(const std::vector<EndpointPtr>& endpoints, std::span<const EndpointPtr> tried,
            MonoTime now, bool any)
      : endpoints_(endpoints), tried_(tried), now_(now), any_(any) {}
  uint32_t open(size_t index) const override { return endpoints_[index]->open; }
  bool usable(size_t index) const override {
    const EndpointPtr& endpoint = endpoints_[index];
    return (any_ || endpoint->ejection.usable(now_)) &&
           std::find(tried_.begin(), tried_.end(), endpoint) == tried_.end();
  }

 private:
  const std::vector<EndpointPtr>& endpoints_;
  const std::span<const EndpointPtr> tried_;
  const MonoTime now_;
  const bool any_;
};

}  // namespace

EndpointPtr EndpointGroup::known(const SocketAddress& address) const {
  EndpointPtr endpoint = find_in(endpoints_, address);
  return endpoint ? endpoint : find_in(leaving_, address);
}

// It may be another pod's by now: what became of connections to the one before says nothing of it.
EndpointPtr EndpointGroup::returned(const SocketAddress& address) const {
  const auto found = gone_.find(address);
  EndpointPtr endpoint = found == gone_.end() ? nullptr : found->second.lock();
  if (endpoint) endpoint->ejection = Ejection();
  return endpoint;
}

// As the kernel plane's AffinityCleaner. Here, so that no worker remembers one of them any more
// when the last has done so.
void EndpointGroup::forget_departed(const EndpointSet& next) const {
  if (!set_ || !set_->clients || set_->clients != next.clients) return;
  std::vector<SocketAddress> gone;
  std::set_difference(set_->endpoints.begin(), set_->endpoints.end(), next.endpoints.begin(),
                      next.endpoints.end(), std::back_inserter(gone));
  if (!gone.empty()) set_->clients->forget(gone);
}

void EndpointGroup::set(std::shared_ptr<const EndpointSet> set) {
  if (set == set_) return;
  std::vector<EndpointPtr> endpoints, leaving;
  for (const SocketAddress& address : set->endpoints) {
    EndpointPtr endpoint = known(address);
    if (!endpoint) endpoint = returned(address);
    if (!endpoint) endpoint = std::make_shared<Endpoint>(Endpoint{address, 0, {}});
    endpoints.push_back(std::move(endpoint));
  }
  for (const SocketAddress& address : set->leaving)
    if (EndpointPtr endpoint = known(address)) leaving.push_back(std::move(endpoint));
  if (!set_ || set->endpoints != set_->endpoints)
    balancer_.set_endpoints(set->endpoints, set->places);
  forget_departed(*set);
  endpoints_.swap(endpoints);
  leaving_.swap(leaving);
  set_ = std::move(set);
  std::erase_if(gone_, [](const auto& one) {
    const EndpointPtr endpoint = one.second.lock();
    return !endpoint || endpoint->open == 0;
  });
  for (const auto* before : {&endpoints, &leaving})
    for (const EndpointPtr& endpoint : *before)
      if (endpoint->open > 0 && !serves(endpoint->address)) gone_[endpoint->address] = endpoint;
}

bool EndpointGroup::serves(const SocketAddress& endpoint) const {
  return set_ && (std::binary_search(set_->endpoints.begin(), set_->endpoints.end(), endpoint) ||
                  std::binary_search(set_->leaving.begin(), set_->leaving.end(), endpoint));
}

EndpointPtr EndpointGroup::choose(const IpAddress& client, MonoTime now,
                                  std::span<const EndpointPtr> tried, bool* trial) {
  if (!set_) return nullptr;
  std::optional<Stay> stay;
  if (set_->clients) stay = set_->clients->find(client, now, set_->affinity);
  for (const bool any : {false, true}) {
    const GroupView view(endpoints_, tried, now, any);
    auto index = choose_index(client, stay, view);
    if (!index) continue;
    if (stay && stay->over) {
      const SocketAddress goes =
          set_->clients->claim(client, endpoints_[*index]->address, now, set_->affinity);
      index = usable_index(goes, view).value_or(*index);
    }
    const EndpointPtr& chosen = endpoints_[*index];
    const bool tries = chosen->ejection.begin(now);
    if (trial != nullptr) *trial = tries;
    if (set_->clients) set_->clients->remember(client, chosen->address, now, set_->affinity);
    return chosen;
  }
  return nullptr;
}

std::optional<size_t> EndpointGroup::usable_index(const SocketAddress& endpoint,
                                                  const LoadView& view) const {
  const auto found = std::lower_bound(endpoints_.begin(), endpoints_.end(), endpoint, before);
  const auto index = static_cast<size_t>(found - endpoints_.begin());
  if (found == endpoints_.end() || (*found)->address != endpoint || !view.usable(index))
    return std::nullopt;
  return index;
}

std::optional<size_t> EndpointGroup::choose_index(const IpAddress& client,
                                                  const std::optional<Stay>& stay,
                                                  const LoadView& view) {
  if (stay && !stay->over)
    if (const auto index = usable_index(stay->endpoint, view)) return index;
  const bool by_source = set_->clients && !(stay && stay->over);
  return by_source ? balancer_.choose_by_source(client, view) : balancer_.choose(client, view);
}

}  // namespace fairlead::proxy::stream
