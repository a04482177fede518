// SPDX-License-Identifier: Apache-2.0
// User data: bytes the kernel keeps for nft and does not read. nft prints from it what bytecode
// does not say: comments, and the expressions behind "typeof". Private to netlink/nftables. Pure.
//
// Format (libnftnl src/udata.c): {u8 type, u8 length, value}, without padding; integers in host
// order. What nft 1.0.6 does with it was tried, see the kernel tests: with either typeof of a map
// missing, or with a jhash in a typeof, `nft list ruleset` crashes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "netlink/nftables/objects.h"

namespace fairlead::netlink::nft {

std::vector<uint8_t> comment_user_data(std::string_view comment);  // rules and elements
std::vector<uint8_t> table_user_data(std::string_view comment);
std::vector<uint8_t> set_user_data(const Set& set);

std::string parse_comment(Bytes user_data);
std::string parse_table_comment(Bytes user_data);
// Fills in `comment` and the sources of key and data; types must be set before.
void parse_set_user_data(Bytes user_data, Set& set);

}  // namespace fairlead::netlink::nft
