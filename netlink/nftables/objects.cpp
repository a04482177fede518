// SPDX-License-Identifier: Apache-2.0
#include "netlink/nftables/objects.h"

#include <numeric>

namespace fairlead::netlink::nft {

namespace {

size_t concatenated(const std::vector<Field>& fields) {
  if (fields.size() == 1) return fields[0].size();
  return std::accumulate(fields.begin(), fields.end(), size_t{0},
                         [](size_t sum, const Field& field) { return sum + padded(field.size()); });
}

}  // namespace

std::string_view name_of(TableFamily family) {
  switch (family) {
    case TableFamily::kUnspecified:
      return "any";
    case TableFamily::kInet:
      return "inet";
    case TableFamily::kIp:
      return "ip";
    case TableFamily::kIp6:
      return "ip6";
    case TableFamily::kArp:
      return "arp";
    case TableFamily::kBridge:
      return "bridge";
    case TableFamily::kNetdev:
      return "netdev";
  }
  return "unknown";
}

std::string_view name_of(ChainType type) {
  switch (type) {
    case ChainType::kFilter:
      return "filter";
    case ChainType::kNat:
      return "nat";
    case ChainType::kRoute:
      return "route";
  }
  return "filter";
}

size_t Field::size() const {
  return source ? size_of(*source) : size_of(type);
}

size_t Set::key_size() const {
  return concatenated(key);
}
size_t Set::data_size() const {
  return concatenated(data);
}

}  // namespace fairlead::netlink::nft
