// SPDX-License-Identifier: Apache-2.0
#include "netlink/conntrack.h"

#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include <utility>

namespace fairlead::netlink::conntrack {

namespace {

// Which parts of a tuple a filter compares. The kernel keeps these in a header of its own
// (net/netfilter/nf_internals.h); libnetfilter_conntrack carries the same copy.
constexpr uint32_t kFilterDestination = 1 << 1;
constexpr uint32_t kFilterProtocol = 1 << 3;
constexpr uint32_t kFilterDestinationPort = 1 << 5;

uint16_t message_type(uint16_t message) {
  return static_cast<uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | message);
}

nfgenmsg header_of(Family family) {
  return {static_cast<uint8_t>(family == Family::kIpv4 ? AF_INET : AF_INET6), NFNETLINK_V0, 0};
}

void put_tuple(MessageWriter& writer, uint16_t type, const Tuple& tuple) {
  const bool v4 = tuple.source.is_v4();
  const size_t outer = writer.open(type);
  const size_t ip = writer.open(CTA_TUPLE_IP);
  writer.put(v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, tuple.source.bytes());
  writer.put(v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, tuple.destination.bytes());
  writer.close(ip);
  const size_t protocol = writer.open(CTA_TUPLE_PROTO);
  writer.put_u8(CTA_PROTO_NUM, tuple.protocol);
  writer.put_be16(CTA_PROTO_SRC_PORT, tuple.source_port);
  writer.put_be16(CTA_PROTO_DST_PORT, tuple.destination_port);
  writer.close(protocol);
  writer.close(outer);
}

void put_tuple_filter(MessageWriter& writer, const Filter& filter) {
  uint32_t compared = 0;
  Tuple tuple;
  tuple.source = tuple.destination = IpAddress::any(filter.family);
  // The kernel's comparison of IPv6 addresses lets everything but the address asked for through
  // (ctnetlink_filter_match_tuple, seen on 6.18): there matches() does it alone.
  if (filter.destination && filter.family == Family::kIpv4) {
    compared |= kFilterDestination;
    tuple.destination = *filter.destination;
  }
  if (filter.protocol) {
    compared |= kFilterProtocol;
    tuple.protocol = *filter.protocol;
    if (filter.destination_port) {
      compared |= kFilterDestinationPort;
      tuple.destination_port = *filter.destination_port;
    }
  }
  if (compared == 0) return;
  put_tuple(writer, CTA_TUPLE_ORIG, tuple);
  const size_t nest = writer.open(CTA_FILTER);
  writer.put_u32(CTA_FILTER_ORIG_FLAGS, compared);
  writer.put_u32(CTA_FILTER_REPLY_FLAGS, 0);
  writer.close(nest);
}

std::optional<IpAddress> parse_ip(const Attribute& attribute, Family family) {
  if (attribute.value.size() != IpAddress::any(family).bytes().size()) return std::nullopt;
  return IpAddress::from_bytes(attribute.value);
}

std::optional<Tuple> parse_tuple(const Attribute& attribute) {
  const AttributeTable<CTA_TUPLE_MAX> table(attribute.value);
  const AttributeTable<CTA_IP_MAX> ip(table[CTA_TUPLE_IP].value);
  const AttributeTable<CTA_PROTO_MAX> protocol(table[CTA_TUPLE_PROTO].value);
  const bool v4 = ip.has(CTA_IP_V4_SRC);
  const Family family = v4 ? Family::kIpv4 : Family::kIpv6;
  const auto source = parse_ip(ip[v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC], family);
  const auto destination = parse_ip(ip[v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST], family);
  if (!source || !destination) return std::nullopt;
  return Tuple{*source, *destination, protocol[CTA_PROTO_NUM].u8(),
               protocol[CTA_PROTO_SRC_PORT].be16(), protocol[CTA_PROTO_DST_PORT].be16()};
}

std::optional<Traffic> parse_traffic(const Attribute& attribute) {
  const AttributeTable<CTA_COUNTERS_MAX> table(attribute.value);
  if (!table.has(CTA_COUNTERS_PACKETS) || !table.has(CTA_COUNTERS_BYTES)) return std::nullopt;
  return Traffic{table[CTA_COUNTERS_PACKETS].be64(), table[CTA_COUNTERS_BYTES].be64()};
}

}  // namespace

bool is_destroyed(const MessageView& message) {
  return message.type == message_type(IPCTNL_MSG_CT_DELETE);
}

bool Filter::matches(const Entry& entry) const {
  return entry.original.source.family() == family &&
         (!protocol || entry.original.protocol == *protocol) &&
         (!destination || entry.original.destination == *destination) &&
         (!destination_port || entry.original.destination_port == *destination_port) &&
         (entry.mark & mark_mask) == (mark & mark_mask) && (entry.status & status) == status;
}

MessageWriter dump_entries(const Filter& filter) {
  MessageWriter writer;
  writer.begin(message_type(IPCTNL_MSG_CT_GET), 0, header_of(filter.family));
  put_tuple_filter(writer, filter);
  if (filter.mark_mask != 0) {
    writer.put_be32(CTA_MARK, filter.mark);
    writer.put_be32(CTA_MARK_MASK, filter.mark_mask);
  }
  if (filter.status != 0) {
    writer.put_be32(CTA_STATUS, filter.status);
    writer.put_be32(CTA_STATUS_MASK, filter.status);
  }
  writer.end();
  return writer;
}

MessageWriter create_entry(const Tuple& original, const IpAddress& source, uint16_t port,
                           Duration timeout) {
  const bool v4 = source.is_v4();
  MessageWriter writer;
  writer.begin(message_type(IPCTNL_MSG_CT_NEW), NLM_F_CREATE | NLM_F_EXCL,
               header_of(source.family()));
  put_tuple(writer, CTA_TUPLE_ORIG, original);
  put_tuple(writer, CTA_TUPLE_REPLY,
            {original.destination, original.source, original.protocol, original.destination_port,
             original.source_port});
  writer.put_be32(
      CTA_TIMEOUT,
      static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(timeout).count()));
  const size_t nat = writer.open(CTA_NAT_SRC);
  writer.put(v4 ? CTA_NAT_V4_MINIP : CTA_NAT_V6_MINIP, source.bytes());
  writer.put(v4 ? CTA_NAT_V4_MAXIP : CTA_NAT_V6_MAXIP, source.bytes());
  if (port != 0) {
    const size_t ports = writer.open(CTA_NAT_PROTO);
    writer.put_be16(CTA_PROTONAT_PORT_MIN, port);
    writer.put_be16(CTA_PROTONAT_PORT_MAX, port);
    writer.close(ports);
  }
  writer.close(nat);
  if (original.protocol == IPPROTO_TCP) {
    const size_t info = writer.open(CTA_PROTOINFO);
    const size_t tcp = writer.open(CTA_PROTOINFO_TCP);
    writer.put_u8(CTA_PROTOINFO_TCP_STATE, TCP_CONNTRACK_SYN_SENT);
    writer.close(tcp);
    writer.close(info);
  }
  writer.end();
  return writer;
}

MessageWriter delete_entry(const Entry& entry) {
  MessageWriter writer;
  writer.begin(message_type(IPCTNL_MSG_CT_DELETE), 0, header_of(entry.original.source.family()));
  put_tuple(writer, CTA_TUPLE_ORIG, entry.original);
  if (entry.zone != 0) writer.put_be16(CTA_ZONE, entry.zone);
  if (entry.id != 0) writer.put_be32(CTA_ID, entry.id);
  writer.end();
  return writer;
}

Result<Entry> parse_entry(const MessageView& message) {
  const AttributeTable<CTA_MAX> table(message.attributes(sizeof(nfgenmsg)));
  const auto original = parse_tuple(table[CTA_TUPLE_ORIG]);
  const auto reply = parse_tuple(table[CTA_TUPLE_REPLY]);
  if (!original || !reply) return Error(ErrorCode::kInvalid, "netlink: a flow without its tuples");

  Entry entry;
  entry.original = *original;
  entry.reply = *reply;
  entry.status = table[CTA_STATUS].be32();
  entry.mark = table[CTA_MARK].be32();
  entry.zone = table[CTA_ZONE].be16();
  entry.id = table[CTA_ID].be32();
  entry.timeout_seconds = table[CTA_TIMEOUT].be32();
  entry.from_client = parse_traffic(table[CTA_COUNTERS_ORIG]);
  entry.from_server = parse_traffic(table[CTA_COUNTERS_REPLY]);
  return entry;
}

namespace {

struct Listing {
  Filter filter;
  std::function<bool(const Entry&)> keep;
  std::function<void(Result<std::vector<Entry>>)> done;
  std::vector<Entry> kept;
  std::optional<Error> error;  // the first row that could not be read

  void add(const MessageView& message) {
    Result<Entry> entry = parse_entry(message);
    if (!entry.ok()) {
      if (!error) error = entry.error();
    } else if (filter.matches(*entry) && (!keep || keep(*entry))) {
      kept.push_back(*std::move(entry));
    }
  }
  void end(const Result<void>& result) {
    if (!result.ok()) return done(result.error());
    if (error) return done(*error);
    done(std::move(kept));
  }
};

}  // namespace

void list(Connection& connection, const Filter& filter,
          std::function<void(Result<std::vector<Entry>>)> done,
          std::function<bool(const Entry&)> keep) {
  const auto listing = std::make_shared<Listing>();
  listing->filter = filter;
  listing->keep = std::move(keep);
  listing->done = std::move(done);
  const auto add = [listing](const MessageView& message) { listing->add(message); };
  connection.dump(dump_entries(filter), add, [&connection, listing, add](Result<void> result) {
    const bool refused = !result.ok() && (result.error().is(ErrorCode::kUnsupported) ||
                                          result.error().is(ErrorCode::kInvalid));
    if (!refused) return listing->end(result);
    Filter all;
    all.family = listing->filter.family;
    connection.dump(dump_entries(all), add, [listing](Result<void> end) { listing->end(end); });
  });
}

}  // namespace fairlead::netlink::conntrack
