// SPDX-License-Identifier: Apache-2.0
// The kernel's connection table: value, builder, parser, for a Connection(kNetfilter). Only list()
// does I/O. Format: linux/netfilter/nfnetlink_conntrack.h.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "base/address.h"
#include "netlink/connection.h"
#include "netlink/message.h"

namespace fairlead::netlink::conntrack {

// One direction of a flow. Ports are zero for protocols without them; ICMP identifiers are not
// kept.
struct Tuple {
  IpAddress source;
  IpAddress destination;
  uint8_t protocol = 0;  // IPPROTO_*
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  bool operator==(const Tuple&) const = default;
};

// What one direction of a flow has carried.
struct Traffic {
  uint64_t packets = 0;
  uint64_t bytes = 0;  // with IP headers
  bool operator==(const Traffic&) const = default;
};

struct Entry {
  Tuple original;
  Tuple reply;
  uint32_t status = 0;  // IPS_* bits: IPS_DST_NAT, IPS_SRC_NAT, ...
  uint32_t mark = 0;
  uint16_t zone = 0;
  uint32_t id = 0;  // tells a flow from a later one with the same tuples
  uint32_t timeout_seconds = 0;
  // Only of flows that began with net.netfilter.nf_conntrack_acct on.
  std::optional<Traffic> from_client, from_server;  // original and reply direction
  bool operator==(const Entry&) const = default;
};

// Rows are filtered by the kernel where it can (protocol, ports and addresses by CTA_FILTER
// since 5.8; mark and status since long ago) and once more by matches(), so an older kernel answers
// the same.
struct Filter {
  Family family = Family::kIpv4;
  std::optional<uint8_t> protocol;
  std::optional<IpAddress> destination;      // of the original direction
  std::optional<uint16_t> destination_port;  // likewise; needs `protocol`
  uint32_t mark = 0;
  uint32_t mark_mask = 0;  // 0: the mark is not looked at
  uint32_t status = 0;     // all these IPS_* bits must be set

  bool matches(const Entry& entry) const;
};

// A message of group NFNLGRP_CONNTRACK_DESTROY: a flow that has ended; parse_entry reads it.
bool is_destroyed(const MessageView& message);

// A flow that is known before its first packet: what it sends has `source` for its source, from
// `port` (0: its own, or one that is free), as if a rule had said so; what comes back is for
// `original.source` again (ctnetlink_create_conntrack() in net/netfilter/nf_conntrack_netlink.c).
// Unused it is forgotten after `timeout`. kAlreadyExists when there is such a flow, before or after
// translation. TCP or UDP. The kernel translates it where a nat chain is, anybody's.
MessageWriter create_entry(const Tuple& original, const IpAddress& source, uint16_t port,
                           Duration timeout);

MessageWriter dump_entries(const Filter& filter);
// Deletes exactly this flow: tuples, zone and, when not 0, id. kNotFound when it is gone.
MessageWriter delete_entry(const Entry& entry);
Result<Entry> parse_entry(const MessageView& message);

// The matching flows, of them those that `keep` wants, which is asked as the kernel tells of them:
// there may be hundreds of thousands. Falls back to an unfiltered dump on kernels that refuse the
// filter.
void list(Connection& connection, const Filter& filter,
          std::function<void(Result<std::vector<Entry>>)> done,
          std::function<bool(const Entry&)> keep = nullptr);

}  // namespace fairlead::netlink::conntrack
