// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/balance.h"

namespace fairlead::proxy::stream {

namespace {

struct PolicyName {
  Policy policy;
  const char* name;
};
constexpr PolicyName kPolicyNames[] = {{Policy::kRoundRobin, "round-robin"},
                                       {Policy::kRandom, "random"},
                                       {Policy::kLeastConnections, "least-connections"},
                                       {Policy::kTwoChoices, "two-choices"},
                                       {Policy::kSourceHash, "source-hash"}};

// Draws that may hit endpoints that are not usable before all are counted. Until then no usable one
// is likelier than another.
constexpr int kDraws = 16;
// Places looked at behind a client's own.
constexpr size_t kPlaces = 256;

}  // namespace

const char* to_string(Policy policy) {
  for (const PolicyName& known : kPolicyNames)
    if (known.policy == policy) return known.name;
  return "";
}

std::optional<Policy> parse_policy(std::string_view name) {
  for (const PolicyName& known : kPolicyNames)
    if (name == known.name) return known.policy;
  return std::nullopt;
}

void Balancer::set_endpoints(std::vector<SocketAddress> endpoints,
                             std::shared_ptr<SharedMaglev> table) {
  endpoints_ = std::move(endpoints);
  table_ = std::move(table);
}

std::optional<size_t> Balancer::choose(const IpAddress& client, const LoadView& view) {
  if (endpoints_.empty()) return std::nullopt;
  switch (policy_) {
    case Policy::kRoundRobin: {
      const auto chosen = first_usable(turn_ % endpoints_.size(), view);
      if (chosen) turn_ = *chosen + 1;
      return chosen;
    }
    case Policy::kRandom:
      return random_usable(view);
    case Policy::kLeastConnections:
      return least_busy(view);
    case Policy::kTwoChoices:
      return less_busy_of_two(view);
    case Policy::kSourceHash:
      return choose_by_source(client, view);
  }
  return std::nullopt;
}

// A client whose endpoint is not usable goes to that of a following place: its neighbours in the
// table, who have others, stay where they are.
std::optional<size_t> Balancer::choose_by_source(const IpAddress& client, const LoadView& view) {
  if (endpoints_.size() < 2) return first_usable(0, view);
  const MaglevTable& table = table_->get(endpoints_);
  const size_t place = hash_of(client) % table.size();
  for (size_t i = 0; i < kPlaces; ++i)
    if (const size_t index = table.at(place + i); view.usable(index)) return index;
  return first_usable(place % endpoints_.size(), view);
}

// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): eight bytes of state, for there may be a
// hundred thousand of these.
uint64_t Balancer::next_random() {
  random_ += 0x9e3779b97f4a7c15;
  uint64_t value = random_;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
  value = (value ^ value >> 27) * 0x94d049bb133111eb;
  return value ^ value >> 31;
}

// Without a division; the bias is below 2^-32.
size_t Balancer::draw(size_t below) {
  return static_cast<size_t>((next_random() >> 32) * below >> 32);
}

std::optional<size_t> Balancer::random_usable(const LoadView& view) {
  for (int i = 0; i < kDraws; ++i)
    if (const size_t index = draw(endpoints_.size()); view.usable(index)) return index;
  std::vector<size_t> usable;
  for (size_t i = 0; i < endpoints_.size(); ++i)
    if (view.usable(i)) usable.push_back(i);
  if (usable.empty()) return std::nullopt;
  return usable[draw(usable.size())];
}

std::optional<size_t> Balancer::first_usable(size_t start, const LoadView& view) const {
  for (size_t i = 0; i < endpoints_.size(); ++i)
    if (const size_t index = (start + i) % endpoints_.size(); view.usable(index)) return index;
  return std::nullopt;
}

// Those equally busy take turns.
std::optional<size_t> Balancer::least_busy(const LoadView& view) {
  std::optional<size_t> best;
  for (size_t i = 0; i < endpoints_.size(); ++i) {
    const size_t index = (turn_ + i) % endpoints_.size();
    if (view.usable(index) && (!best || view.open(index) < view.open(*best))) best = index;
  }
  if (best) turn_ = *best + 1;
  return best;
}

std::optional<size_t> Balancer::less_busy_of_two(const LoadView& view) {
  const auto first = random_usable(view);
  if (!first) return first;
  const auto second = random_usable(view);
  return view.open(*second) < view.open(*first) ? second : first;
}

}  // namespace fairlead::proxy::stream
