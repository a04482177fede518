// SPDX-License-Identifier: Apache-2.0
// What is kept of an EndpointSlice, packed in one block of memory: most services have one slice of
// few endpoints, and what surrounds those would be most of what they take. Pure; one thread.
#pragma once

#include <boost/intrusive/unordered_set_hook.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dns/zone/records.h"

namespace fairlead::dns {

struct SliceContent {
  PortList ports;
  std::vector<IpAddress> addresses;                          // ready ones
  std::vector<IpAddress> unready;                            // where endpoints may be held
  std::vector<std::pair<uint32_t, std::string>> labels;      // of addresses that have one; by index
  std::vector<std::pair<uint32_t, std::string>> topologies;  // where they change; by index

  // Adds the ready ones to those of other slices.
  void add_to(std::vector<EndpointDraft>& endpoints) const;
};

class Slice : public boost::intrusive::unordered_set_base_hook<
                  boost::intrusive::link_mode<boost::intrusive::normal_link>> {  // see SliceSet
 public:
  struct Free {
    void operator()(Slice* slice) const;
  };
  using Ptr = std::unique_ptr<Slice, Free>;
  // A slice called `name` of `service`, which must outlive it; both are in one namespace.
  static Ptr make(const ServiceName& service, std::string_view name, const SliceContent& content);

  const ServiceName& service() const { return service_; }
  std::string_view name() const;
  SliceContent content() const;

 private:
  friend class Slices;
  explicit Slice(const ServiceName& service) : service_(service) {}
  const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }

  const ServiceName& service_;
  Slice* next_ = nullptr;
};

// The slices of one service, in no order.
class Slices {
 public:
  Slices() = default;
  ~Slices();
  Slices(const Slices&) = delete;
  Slices& operator=(const Slices&) = delete;

  bool empty() const { return first_ == nullptr; }
  void add(Slice::Ptr slice);
  // Takes out one that is in it.
  Slice::Ptr remove(const Slice& slice);
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const Slice* slice = first_; slice != nullptr; slice = slice->next_) visit(*slice);
  }

 private:
  Slice* first_ = nullptr;
};

}  // namespace fairlead::dns
