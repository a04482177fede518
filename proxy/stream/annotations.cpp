// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/annotations.h"

#include <string_view>
#include <utility>

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

}  // namespace

Result<Wishes> read_wishes(const std::map<std::string, std::string>& annotations) {
  Wishes wishes;
  for (auto it = annotations.lower_bound(std::string(kPrefix));
       it != annotations.end() && it->first.starts_with(kPrefix); ++it) {
    const auto& [name, value] = *it;
    const Result<void> done = read(std::string_view(name).substr(kPrefix.size()), value, wishes);
    if (!done.ok())
      return done.error().with_context("metadata.annotations[" + name + "]: \"" + value + "\"");
  }
  return wishes;
}

bool WishBook::put(const kube::Service& service) {
  const kube::ObjectKey key = service.meta.key();
  const Result<Wishes> read = read_wishes(service.meta.annotations);
  if (!read.ok()) {
    Entry& entry = entries_[key];
    if (std::exchange(entry.told, read.error().message()) != entry.told && on_bad_)
      on_bad_(key, read.error());
    return false;
  }
  const bool changed = of(key) != *read;
  if (*read == Wishes())
    entries_.erase(key);
  else
    entries_[key] = {*read, {}};
  return changed;
}

Wishes WishBook::of(const kube::ObjectKey& service) const {
  const auto found = entries_.find(service);
  return found == entries_.end() ? Wishes() : found->second.wishes;
}

}  // namespace fairlead::proxy::stream
