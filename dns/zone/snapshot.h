// SPDX-License-Identifier: Apache-2.0
// What is known of the cluster at one moment, as the answering threads see it. Pure. Immutable; the
// next one shares all it did not change.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "dns/zone/client.h"
#include "dns/zone/epoch.h"
#include "dns/zone/records.h"
#include "dns/zone/reverse.h"
#include "dns/zone/trie.h"

namespace fairlead::dns {

// Said with every answer from a stale snapshot (EDE 3).
inline constexpr std::string_view kStaleText =
    "from a snapshot: the API server has not answered yet";

struct Snapshot {
  Trie<ServiceRecord> services;
  Trie<KeyRecord> namespaces;
  Trie<KeyRecord> pods;          // by PodKey, where they are read
  Trie<ClientRecord> clients;    // who has an address, where that is asked for
  Trie<ReverseRecord> reverse;   // of cluster IPs and endpoints
  Trie<ReverseRecord> external;  // of the addresses services have outside
  uint32_t serial = 0;           // Unix time of the last change
  bool synced = false;           // everything there was at the start has been seen
  bool stale = false;            // some of it is what a file said, and nobody has confirmed it

  const ServiceRecord* service(std::span<const uint8_t> key) const {
    return services.find(LabelKey(key));
  }
  const ReverseRecord* address(const IpAddress& address) const {
    return reverse.find(AddressKey(address));
  }
  const ClientRecord* client(const IpAddress& address) const {
    return clients.find(AddressKey(address));
  }
};

// Where the newest snapshot is, and who may be reading one.
class Published {
 public:
  // A reading thread's side. Not thread-safe: each thread has its own.
  class Reader {
   public:
    explicit Reader(Published& published)
        : published_(published), id_(published.epochs.add_reader()) {}
    ~Reader() { published_.epochs.remove_reader(id_); }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    // Between the two the snapshot stays as it is; they may nest.
    void enter() {
      if (depth_++ == 0) published_.epochs.enter(id_);
    }
    void leave() {
      if (--depth_ == 0) published_.epochs.leave(id_);
    }
    class Guard {
     public:
      explicit Guard(Reader& reader) : reader_(reader) { reader_.enter(); }
      ~Guard() { reader_.leave(); }
      Guard(const Guard&) = delete;
      Guard& operator=(const Guard&) = delete;

     private:
      Reader& reader_;
    };

    // Only under a Guard.
    const Snapshot& snapshot() const { return *published_.current.load(); }

   private:
    Published& published_;
    const size_t id_;
    int depth_ = 0;
  };

  std::atomic<const Snapshot*> current{nullptr};
  Epochs epochs;
};

}  // namespace fairlead::dns
