// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/annotations.h"

#include <string_view>
#include <utility>
#include <vector>

#include "proxy/config.h"

namespace fairlead::proxy::stream {

namespace {

constexpr std::string_view kPrefix = "stream.fairlead.io/";

Result<void> read(std::string_view name, const std::string& value, Wishes& wishes) {
  if (name == "mode") {
    if (value != "userspace" && value != "nftables")
      return Error(ErrorCode::kInvalid, "must be userspace or nftables");
    wishes.relay = value == "userspace";
  } else if (name == "balance") {
    wishes.balance = parse_policy(value);
    if (!wishes.balance) return Error(ErrorCode::kInvalid, "is no way to balance");
  } else if (name == "proxy-protocol") {
    if (value != "v2" && value != "off") return Error(ErrorCode::kInvalid, "must be v2 or off");
    wishes.proxy_protocol = value == "v2";
  } else if (name == "hold") {
    const Result<Duration> hold = parse_duration(value);
    if (!hold.ok()) return hold.error();
    if (*hold < Duration{} || *hold > kMostHold)
      return Error(ErrorCode::kInvalid, "must be from 0s to 5m");
    wishes.hold = *hold;
  } else {
    return Error(ErrorCode::kInvalid, "there is no such annotation");
  }
  return ok();
}

// What is not read: as it was.
void keep(std::string_view name, const Wishes& before, Wishes& wishes) {
  if (name == "mode") {
    wishes.relay = before.relay;
    wishes.mode_unknown = before.mode_unknown;
  } else if (name == "balance") {
    wishes.balance = before.balance;
  } else if (name == "proxy-protocol") {
    wishes.proxy_protocol = before.proxy_protocol;
    wishes.proxy_protocol_unknown = before.proxy_protocol_unknown;
  } else if (name == "hold") {
    wishes.hold = before.hold;
  }
}

// What is made of an annotation that means nothing.
std::string instead(std::string_view name, const Wishes& wishes) {
  if (name == "proxy-protocol" && wishes.proxy_protocol_unknown)
    return "; nobody remembers what it was, and endpoints may expect the PROXY protocol: TCP of a "
           "relayed Service is dropped until this is put right";
  if (name == "mode" && wishes.mode_unknown && wishes.may_expect_header())
    return "; nobody remembers what it was, and endpoints may expect the PROXY protocol: on nodes "
           "in mode nftables TCP is dropped until this is put right";
  return name == "mode" || name == "balance" || name == "proxy-protocol" || name == "hold"
             ? "; what was asked for before stays, the default where nobody remembers it"
             : "";
}

}  // namespace

bool has_wishes(const kube::Service& service) {
  const auto first = service.meta.annotations.lower_bound(std::string(kPrefix));
  return first != service.meta.annotations.end() && first->first.starts_with(kPrefix);
}

WishesRead read_wishes(const std::map<std::string, std::string>& annotations,
                       const std::optional<Wishes>& before) {
  static const Wishes kNothing{.mode_unknown = true, .proxy_protocol_unknown = true};
  WishesRead result;
  std::vector<std::pair<std::string_view, std::string>> bad;  // names, and why
  for (auto it = annotations.lower_bound(std::string(kPrefix));
       it != annotations.end() && it->first.starts_with(kPrefix); ++it) {
    const auto& [name, value] = *it;
    const std::string_view what = std::string_view(name).substr(kPrefix.size());
    const Result<void> done = read(what, value, result.wishes);
    if (done.ok()) continue;
    keep(what, before.value_or(kNothing), result.wishes);
    const std::string where = "metadata.annotations[" + name + "]: \"" + value + "\"";
    bad.emplace_back(what, done.error().with_context(where).message());
  }
  std::string complaints;
  for (const auto& [what, why] : bad)
    complaints += (complaints.empty() ? "" : "; ") + why + instead(what, result.wishes);
  if (!bad.empty()) result.bad = Error(ErrorCode::kInvalid, complaints);
  return result;
}

bool WishBook::put(const kube::Service& service, bool known) {
  const kube::ObjectKey key = service.meta.key();
  const Wishes before = of(key);
  // Another one of that name may have come in its place, unseen.
  if (const auto found = entries_.find(key); found != entries_.end())
    known = found->second.uid == service.meta.uid;
  const auto [wishes, bad] =
      read_wishes(service.meta.annotations, known ? std::optional(before) : std::nullopt);
  if (wishes == Wishes() && !bad) {
    entries_.erase(key);
    return wishes != before;
  }
  Entry& entry = entries_[key];
  entry.wishes = wishes;
  entry.uid = service.meta.uid;
  const std::string message = bad ? bad->message() : "";
  if (std::exchange(entry.told, message) != message && bad && on_bad_) on_bad_(service, *bad);
  return wishes != before;
}

Wishes WishBook::of(const kube::ObjectKey& service) const {
  const auto found = entries_.find(service);
  return found == entries_.end() ? Wishes() : found->second.wishes;
}

std::vector<kube::ObjectKey> WishBook::services() const {
  std::vector<kube::ObjectKey> result;
  for (const auto& [service, entry] : entries_) result.push_back(service);
  return result;
}

}  // namespace fairlead::proxy::stream
