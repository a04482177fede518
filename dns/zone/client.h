// SPDX-License-Identifier: Apache-2.0
// Who asks: what is kept of the pods that have an address, where a directive asks for it. Immutable
// records that hang in a trie of the snapshot by address, so that a query looks once. Pure.
//
// Memory: a record for each address of a pod, with the labels asked for; nothing where none is.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/address.h"
#include "dns/zone/reverse.h"
#include "dns/zone/trie.h"
#include "kube/objects.h"

namespace fairlead::dns {

// What is kept of pods for this.
struct ClientContent {
  bool any = false;         // their namespaces and names
  bool all_labels = false;  // which ones is only known later
  std::set<std::string> labels{};
  auto operator<=>(const ClientContent&) const = default;
};

// One pod.
struct ClientDraft {
  kube::ObjectKey pod;
  std::map<std::string, std::string> labels;
  bool operator==(const ClientDraft&) const = default;
};

class ClientRecord {
 public:
  ClientRecord(const IpAddress& address, const ClientDraft& draft);
  static void destroy(void* record) { delete static_cast<ClientRecord*>(record); }

  const IpAddress& address() const { return address_; }
  std::string_view ns() const;
  // Empty: only the namespace is known, from a snapshot on disk.
  std::string_view name() const;
  std::optional<std::string_view> label(std::string_view key) const;
  ClientDraft draft() const;
  uint8_t nibble(size_t index) const { return AddressKey(address_).nibble(index); }

 private:
  IpAddress address_;
  std::string text_;  // namespace, name, then keys and values; each ends with a zero byte
};

// The writer's side. Of pods with the same address, as those in the host's network have, the first
// by namespace and name is the client.
class Clients {
 public:
  explicit Clients(const ClientContent& content) : content_(content) {}

  // The pod has `addresses` now, and had `before`. True: the trie has changed.
  bool put(Trie<ClientRecord>& trie, const kube::ObjectKey& pod,
           const std::map<std::string, std::string>& labels, const std::set<IpAddress>& before,
           const std::set<IpAddress>& addresses, Trash& trash);

 private:
  bool add(Trie<ClientRecord>& trie, const IpAddress& address, const ClientDraft& draft,
           Trash& trash);
  bool remove(Trie<ClientRecord>& trie, const IpAddress& address, const kube::ObjectKey& pod,
              Trash& trash);
  std::map<std::string, std::string> kept(const std::map<std::string, std::string>& labels) const;

  const ClientContent content_;
  // Of addresses that several pods have: all but the one in the trie.
  std::map<IpAddress, std::map<kube::ObjectKey, ClientDraft>> others_;
};

}  // namespace fairlead::dns
