// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/annotations.h"

#include <set>
#include <string_view>
#include <utility>

#include "proxy/config.h"

namespace fairlead::proxy::stream {

namespace {

constexpr std::string_view kPrefix = "stream.fairlead.io/";
constexpr const char* kKept = "; what was asked for before stays";
constexpr const char* kDoubt =
    "; nobody remembers what was asked for before, and the endpoints may expect the PROXY "
    "protocol: TCP is dropped until this is put right";

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

void keep(std::string_view name, const Wishes& before, Wishes& wishes) {
  if (name == "mode")
    wishes.relay = before.relay, wishes.unclear |= before.unclear;
  else if (name == "balance")
    wishes.balance = before.balance;
  else if (name == "proxy-protocol")
    wishes.proxy_protocol = before.proxy_protocol, wishes.unclear |= before.unclear;
  else if (name == "hold")
    wishes.hold = before.hold;
}

// Of a Service of which nothing was known. A mode that means nothing may have been "userspace".
void doubt(const std::set<std::string_view>& bad, Wishes& wishes) {
  const bool mode = bad.contains("mode");
  wishes.unclear = bad.contains("proxy-protocol") || (mode && wishes.proxy_protocol);
  wishes.relay |= mode && wishes.unclear;
}

}  // namespace

WishesRead read_wishes(const std::map<std::string, std::string>& annotations,
                       const std::optional<Wishes>& before) {
  WishesRead result;
  std::string complaints;
  std::set<std::string_view> bad;
  for (auto it = annotations.lower_bound(std::string(kPrefix));
       it != annotations.end() && it->first.starts_with(kPrefix); ++it) {
    const auto& [name, value] = *it;
    const std::string_view what = std::string_view(name).substr(kPrefix.size());
    const Result<void> done = read(what, value, result.wishes);
    if (done.ok()) continue;
    bad.insert(what);
    if (before) keep(what, *before, result.wishes);
    complaints += (complaints.empty() ? "" : "; ") +
                  done.error()
                      .with_context("metadata.annotations[" + name + "]: \"" + value + "\"")
                      .message();
  }
  if (!before) doubt(bad, result.wishes);
  if (!complaints.empty())
    result.bad = Error(ErrorCode::kInvalid, complaints + (result.wishes.unclear ? kDoubt : kKept));
  return result;
}

bool WishBook::put(const kube::Service& service, bool known) {
  const kube::ObjectKey key = service.meta.key();
  const Wishes before = of(key);
  const auto [wishes, bad] =
      read_wishes(service.meta.annotations,
                  known || entries_.contains(key) ? std::optional<Wishes>(before) : std::nullopt);
  if (wishes == Wishes() && !bad) {
    entries_.erase(key);
    return wishes != before;
  }
  Entry& entry = entries_[key];
  entry.wishes = wishes;
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
