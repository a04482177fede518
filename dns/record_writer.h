// SPDX-License-Identifier: Apache-2.0
// Writes records of the cluster's names into a reply: what they look like, not which there are.
// Pure; nothing allocates.
//
// Names in the data of a record are written out rather than compressed (RFC 3597 section 4), with
// the cluster domain in the case the question has it. A record that does not fit is left out and
// the reply says so; one whose name would be over 255 bytes is left out too, for no question can
// be for it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "dns/reply.h"
#include "dns/zone/records.h"

namespace fairlead::dns {

class RecordWriter {
 public:
  // `domain`: the cluster domain on the wire; it must outlive the writer. `kind`: the label between
  // it and the namespaces; empty: there is none.
  RecordWriter(Reply& reply, uint32_t ttl, std::span<const uint8_t> domain,
               std::string_view kind = "svc")
      : reply_(reply), ttl_(ttl), domain_(domain), kind_(kind) {}

  // `owner_at`, `zone_at`: where the owner's name stands in the reply. Records without one belong
  // to the question's name, in the answer section. What returns a position tells where the name in
  // the record's data stands, so that records about it can be added; 0: it was left out.
  bool address(Section section, size_t owner_at, const IpAddress& address);
  void soa(Section section, size_t zone_at, uint32_t serial);
  void text(std::string_view text, uint32_t ttl);
  size_t cname(size_t owner_at, std::span<const uint8_t> target);
  void pointer(std::string_view label, const ServiceName& service);
  size_t name_server(std::string_view label, const ServiceName& service);
  size_t own_name_server();
  // `cluster`: the label behind `label`, on the wire; empty: there is none.
  size_t srv(std::string_view label, std::span<const uint8_t> cluster, const ServiceName& service,
             uint16_t port, uint16_t weight);
  // To any other name, in wire form.
  void srv_to(std::span<const uint8_t> target, uint16_t port, uint16_t weight);

  // How many bytes srv() takes for this name, and how many of them come before the name. 0: the
  // name is too long.
  size_t srv_size(std::string_view label, std::span<const uint8_t> cluster,
                  const ServiceName& service) const;
  static constexpr size_t kSrvNameAt = 12 + 6;

  // Where the next record would stand, and whether there is no room for it.
  size_t position() const { return reply_.size(); }
  bool full() const { return reply_.truncated(); }

 private:
  // [label.[cluster.]]service.namespace.svc.Z
  size_t name_size(std::string_view label, const ServiceName& service,
                   std::span<const uint8_t> cluster = {}) const;
  void put_name(uint8_t* at, std::string_view label, const ServiceName& service,
                std::span<const uint8_t> cluster = {}) const;
  uint8_t* add_to_question(Type type, size_t size);

  Reply& reply_;
  const uint32_t ttl_;
  const std::span<const uint8_t> domain_;
  const std::string_view kind_;
};

}  // namespace fairlead::dns
