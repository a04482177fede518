// SPDX-License-Identifier: Apache-2.0
// Tables, chains, rules, sets and elements as values, named as nft names them. Pure: they know
// neither wire format nor sockets (wire.h has the builders and parsers, text.h the nft text).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "netlink/nftables/expression.h"
#include "netlink/nftables/netfilter.h"
#include "netlink/nftables/value.h"

namespace fairlead::netlink::nft {

enum class TableFamily : uint8_t {
  kUnspecified = NFPROTO_UNSPEC,  // only to ask for all families
  kInet = NFPROTO_INET,
  kIp = NFPROTO_IPV4,
  kIp6 = NFPROTO_IPV6,
  kArp = NFPROTO_ARP,
  kBridge = NFPROTO_BRIDGE,
  kNetdev = NFPROTO_NETDEV,
};
std::string_view name_of(TableFamily family);  // "ip"
inline TableFamily table_family(Family family) {
  return family == Family::kIpv4 ? TableFamily::kIp : TableFamily::kIp6;
}

// `handle` is the kernel's number for the object: 0 when unknown; equality ignores nothing.
struct Table {
  TableFamily family = TableFamily::kIp;
  std::string name;
  bool dormant = false;
  std::string comment;
  uint64_t handle = 0;
  bool operator==(const Table&) const = default;
};

enum class ChainType { kFilter, kNat, kRoute };
std::string_view name_of(ChainType type);  // "filter"
enum class Policy { kAccept, kDrop };

struct BaseChain {
  ChainType type = ChainType::kFilter;
  uint32_t hook = NF_INET_PRE_ROUTING;
  int32_t priority = 0;
  Policy policy = Policy::kAccept;
  bool operator==(const BaseChain&) const = default;
};

struct Chain {
  TableFamily family = TableFamily::kIp;
  std::string table;
  std::string name;
  std::optional<BaseChain> base;  // absent: reached only by jump and goto
  uint64_t handle = 0;
  bool operator==(const Chain&) const = default;
};

struct Rule {
  TableFamily family = TableFamily::kIp;
  std::string table;
  std::string chain;
  std::vector<Expression> expressions;
  std::string comment;  // up to 128 bytes, printed by nft
  uint64_t handle = 0;
  bool operator==(const Rule&) const = default;
};

// One component of a set's key or of a map's data. With `source` nft prints "typeof ip daddr",
// without it "type ipv4_addr"; a set uses `source` for all its components or for none (see nft's
// netlink.c).
struct Field {
  DataType type = DataType::kNone;
  std::optional<Selector> source;

  Field(DataType data_type) : type(data_type) {}                                  // NOLINT
  Field(const Selector& selector) : type(type_of(selector)), source(selector) {}  // NOLINT
  size_t size() const;  // bytes, without padding
  bool operator==(const Field&) const = default;
};

// A set; a map when `data` is not empty; a verdict map when data is {DataType::kVerdict}.
struct Set {
  TableFamily family = TableFamily::kIp;
  std::string table;
  std::string name;
  std::vector<Field> key;
  std::vector<Field> data;
  uint32_t size = 0;  // 0: unlimited. With it, and no timeout or dynamic, a hash of fixed size
  bool constant = false;
  bool interval = false;
  bool dynamic = false;      // rules add elements (Dynset)
  bool has_timeout = false;  // elements may expire
  bool counter = false;      // every element counts packets
  uint64_t timeout_ms = 0;   // default of elements; needs has_timeout
  uint64_t gc_interval_ms = 0;
  std::string comment;
  bool anonymous = false;  // made by nft for one rule; we never make them
  uint64_t handle = 0;
  bool operator==(const Set&) const = default;

  bool is_map() const { return !data.empty(); }
  bool is_vmap() const { return data.size() == 1 && data[0].type == DataType::kVerdict; }
  size_t key_size() const;  // bytes, padded as Value::concat does; a single component is not padded
  size_t data_size() const;  // likewise; 0 for verdicts
};

struct Element {
  Value key;
  Value key_end;  // last value of a range in a concatenated interval set; empty otherwise
  std::variant<std::monostate, Value, Verdict> data;
  uint64_t timeout_ms = 0;    // 0: the set's default
  uint64_t expires_ms = 0;    // left until it goes; only from the kernel
  bool interval_end = false;  // closes the range the element before opened (plain interval set)
  std::optional<Counter> counter;
  std::string comment;
  bool operator==(const Element&) const = default;
};

}  // namespace fairlead::netlink::nft
