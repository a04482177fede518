// SPDX-License-Identifier: Apache-2.0
#include "dns/zone/client.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace fairlead::dns {
namespace {

// No pod is called so: a snapshot on disk has addresses and namespaces alone.
bool is_restored(std::string_view name) {
  return name.starts_with('/');
}

// What the API server says comes before what a file does.
bool comes_first(const kube::ObjectKey& a, const kube::ObjectKey& b) {
  return std::tuple(is_restored(a.name), a.ns, a.name) <
         std::tuple(is_restored(b.name), b.ns, b.name);
}

void replace(Trie<ClientRecord>& trie, const IpAddress& address, const ClientDraft& draft,
             Trash& trash) {
  ClientRecord* const old = trie.put(new ClientRecord(address, draft), AddressKey(address), trash);
  if (old != nullptr) trash.add(old, &ClientRecord::destroy);
}

// The text before the next zero byte, which goes from `rest`.
std::string_view take(std::string_view& rest) {
  const std::string_view text = rest.substr(0, rest.find('\0'));
  rest.remove_prefix(text.size() + 1);
  return text;
}

}  // namespace

ClientRecord::ClientRecord(const IpAddress& address, const ClientDraft& draft) : address_(address) {
  const auto add = [this](const std::string& text) { text_.append(text).push_back('\0'); };
  add(draft.pod.ns);
  add(draft.pod.name);
  for (const auto& [key, value] : draft.labels) {
    add(key);
    add(value);
  }
  text_.shrink_to_fit();
}

std::string_view ClientRecord::ns() const {
  std::string_view rest = text_;
  return take(rest);
}

std::string_view ClientRecord::name() const {
  std::string_view rest = text_;
  take(rest);
  const std::string_view name = take(rest);
  return is_restored(name) ? std::string_view() : name;
}

std::optional<std::string_view> ClientRecord::label(std::string_view key) const {
  std::string_view rest = text_;
  take(rest);
  take(rest);
  while (!rest.empty()) {
    const bool found = take(rest) == key;
    const std::string_view value = take(rest);
    if (found) return value;
  }
  return std::nullopt;
}

ClientDraft ClientRecord::draft() const {
  std::string_view rest = text_;
  ClientDraft draft;
  draft.pod.ns = take(rest);
  draft.pod.name = take(rest);
  while (!rest.empty()) {
    const std::string_view key = take(rest);
    draft.labels.emplace(key, take(rest));
  }
  return draft;
}

bool Clients::put(Trie<ClientRecord>& trie, const kube::ObjectKey& pod,
                  const std::map<std::string, std::string>& labels,
                  const std::set<IpAddress>& before, const std::set<IpAddress>& addresses,
                  Trash& trash) {
  if (!content_.any) return false;
  bool changed = false;
  for (const IpAddress& address : before)
    if (!addresses.contains(address)) changed = remove(trie, address, pod, trash) || changed;
  const ClientDraft draft{pod, kept(labels)};
  for (const IpAddress& address : addresses) changed = add(trie, address, draft, trash) || changed;
  return changed;
}

std::map<std::string, std::string> Clients::kept(
    const std::map<std::string, std::string>& labels) const {
  if (content_.all_labels) return labels;
  std::map<std::string, std::string> kept;
  for (const auto& [key, value] : labels)
    if (content_.labels.contains(key)) kept.emplace(key, value);
  return kept;
}

bool Clients::add(Trie<ClientRecord>& trie, const IpAddress& address, const ClientDraft& draft,
                  Trash& trash) {
  const ClientRecord* const first = trie.find(AddressKey(address));
  if (first == nullptr) return replace(trie, address, draft, trash), true;
  const ClientDraft known = first->draft();
  if (known == draft) return false;
  if (known.pod == draft.pod) return replace(trie, address, draft, trash), true;
  if (!comes_first(draft.pod, known.pod)) {
    others_[address][draft.pod] = draft;
    return false;
  }
  auto& others = others_[address];
  others.erase(draft.pod);
  others[known.pod] = known;
  replace(trie, address, draft, trash);
  return true;
}

bool Clients::remove(Trie<ClientRecord>& trie, const IpAddress& address, const kube::ObjectKey& pod,
                     Trash& trash) {
  const auto others = others_.find(address);
  const ClientRecord* const first = trie.find(AddressKey(address));
  if (first == nullptr) return false;
  const bool is_first = first->draft().pod == pod;
  if (others == others_.end()) {
    if (!is_first) return false;
    trash.add(trie.remove(AddressKey(address), trash), &ClientRecord::destroy);
    return true;
  }
  if (is_first) {
    const auto next = std::min_element(
        others->second.begin(), others->second.end(),
        [](const auto& a, const auto& b) { return comes_first(a.first, b.first); });
    replace(trie, address, next->second, trash);
    others->second.erase(next);
  } else {
    others->second.erase(pod);
  }
  if (others->second.empty()) others_.erase(others);
  return is_first;
}

}  // namespace fairlead::dns
