// SPDX-License-Identifier: Apache-2.0
// Values as nft prints them. Private to netlink/nftables. Pure.
#pragma once

#include <optional>
#include <string>

#include "netlink/nftables/objects.h"

namespace fairlead::netlink::nft {

// One component: "10.0.0.1", "tcp", "80", "0x00004000", "\"eth0\"".
std::string value_text(DataType type, Bytes value);
// An inclusive range of one component: "10.0.0.0/8", "80-90", or one value when both are the same.
std::string range_text(DataType type, Bytes first, Bytes last);
// "dnat,snat", "established,related".
std::string bits_text(DataType type, uint32_t bits);
// The length of the prefix a mask stands for; absent when its ones do not come first.
std::optional<int> prefix_of_mask(Bytes mask);
std::string prefix_text(DataType type, Bytes value, int length);
std::string hex(Bytes value);                  // 0x0a000001
std::string mark_text(uint32_t mark);          // 0x00004000
std::string time_text(uint64_t milliseconds);  // 1d2h3m4s5ms
std::string quoted(std::string_view text);     // "text"
// What a selector reads: "ip saddr", "meta l4proto", "iifname". `family`: as find_field takes it;
// `transport` replaces "th" where a match before it said which ("tcp").
std::string selector_text(const Selector& selector, std::optional<Family> family,
                          std::string_view transport);

}  // namespace fairlead::netlink::nft
