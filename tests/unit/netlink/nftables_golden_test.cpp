// SPDX-License-Identifier: Apache-2.0
// The exact bytes of every verb on every object, as the kernel lays them out in linux/netlink.h and
// linux/netfilter/nf_tables.h; user data after libnftnl's udata.h and nft's expression numbers.
// What the parsers make of them where there is one.
#include <gtest/gtest.h>

#include "netlink/nftables/transaction.h"
#include "netlink/nftables/wire.h"
#include "tests/unit/netlink/golden.h"

namespace fairlead::netlink::nft {
namespace {

Table table() {
  return {TableFamily::kIp, "t", false, "", 0};
}
Chain chain() {
  return {TableFamily::kIp, "t", "c", {}, 0};
}
Chain base_chain() {
  Chain base = chain();
  base.base = BaseChain{ChainType::kNat, NF_INET_PRE_ROUTING, -100, Policy::kDrop};
  return base;
}
Rule rule(const char* comment = "", uint64_t handle = 0) {
  return {TableFamily::kIp, "t", "c", {Notrack{}}, comment, handle};
}

Set set_of(const char* name, std::vector<Field> key, std::vector<Field> data = {}) {
  Set set;
  set.table = "t";
  set.name = name;
  set.key = std::move(key);
  set.data = std::move(data);
  return set;
}
Set ports() {
  return set_of("s", {DataType::kInetService});
}
Set endpoint_map() {
  return set_of("ep", {ip_daddr(Family::kIpv4), meta_l4proto(), th_dport(), numgen_random(2)},
                {ip_daddr(Family::kIpv4), th_dport()});
}
Set verdict_map() {
  Set set = set_of("v", {DataType::kInetService}, {DataType::kVerdict});
  set.size = 8;
  set.comment = "hi";
  return set;
}
Set ranges() {
  Set set = set_of("r", {DataType::kIpv4Addr, DataType::kInetService});
  set.interval = set.has_timeout = set.counter = true;
  set.timeout_ms = 60'000;
  set.gc_interval_ms = 2'000;
  return set;
}

Element port(uint16_t number) {
  Element element;
  element.key = Value::be16(number);
  return element;
}
Element go_to(uint16_t number) {
  Element element = port(number);
  element.data = Verdict::go_to("c");
  return element;
}
Element endpoint() {
  const auto ip = [](const char* text) { return *IpAddress::parse(text); };
  Element element;
  element.key = Value().concat(ip("10.0.0.1")).concat_u8(6).concat_be16(80).concat_host32(1);
  element.data = Value().concat(ip("1.1.1.1")).concat_be16(8080);
  return element;
}
Element range() {
  Element element;
  element.key = Value().concat(*IpAddress::parse("10.0.0.0")).concat_be16(80);
  element.key_end = Value().concat(*IpAddress::parse("10.0.0.9")).concat_be16(90);
  element.timeout_ms = 3'000;
  element.counter = Counter{1, 60};
  element.comment = "hi";
  return element;
}

// What stands between BATCH_BEGIN and BATCH_END.
Bytes body(Transaction& transaction) {
  const Bytes all(transaction.finish().bytes());
  return all.subspan(20, all.size() - 40);
}

SetElements elements(const char* set, std::vector<Element> list) {
  return {TableFamily::kIp, "t", set, std::move(list)};
}

struct VerbCase {
  const char* nft;
  void (*write)(Transaction&);
  const char* bytes;
  Reader read = reads_nothing;
};

const VerbCase kVerbs[] = {
    {"add table ip t", [](Transaction& t) { t.add(table()); }, R"(
      24 00 00 00  00 0a 01 04  00 00 00 00  00 00 00 00  # NFT_MSG_NEWTABLE, CREATE
      02 00 00 00                                         # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                           # NFTA_TABLE_NAME
      08 00 02 00  00 00 00 00                            # NFTA_TABLE_FLAGS 0
     )",
     reads(parse_table, table())},
    {"create table ip6 t { comment \"hi\"; flags dormant; }",
     [](Transaction& t) {
       t.create(Table{TableFamily::kIp6, "t", true, "hi", 0});
     },
     R"(
      30 00 00 00  00 0a 01 06  00 00 00 00  00 00 00 00  # NFT_MSG_NEWTABLE, EXCL|CREATE
      0a 00 00 00                                         # nfgenmsg: family ip6
      06 00 01 00  "t" 00 00 00                           # NFTA_TABLE_NAME
      08 00 02 00  00 00 00 01                            # NFTA_TABLE_FLAGS NFT_TABLE_F_DORMANT
      09 00 06 00                                         # NFTA_TABLE_USERDATA
        00 03  "hi" 00                                    # comment
        00 00 00                                          # padding
     )",
     reads(parse_table, Table{TableFamily::kIp6, "t", true, "hi", 0})},
    {"delete table ip t", [](Transaction& t) { t.remove(table()); }, R"(
      1c 00 00 00  02 0a 01 00  00 00 00 00  00 00 00 00  # NFT_MSG_DELTABLE, no flags
      02 00 00 00                                         # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                           # NFTA_TABLE_NAME
     )"},
    {"flush table ip t", [](Transaction& t) { t.flush(table()); }, R"(
      1c 00 00 00  08 0a 01 00  00 00 00 00  00 00 00 00  # NFT_MSG_DELRULE, no flags
      02 00 00 00                                         # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                           # NFTA_RULE_TABLE
     )"},
    {"add chain ip t c", [](Transaction& t) { t.add(chain()); }, R"(
      24 00 00 00  03 0a 01 04  00 00 00 00  00 00 00 00  # NFT_MSG_NEWCHAIN, CREATE
      02 00 00 00                                         # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                           # NFTA_CHAIN_TABLE
      06 00 03 00  "c" 00 00 00                           # NFTA_CHAIN_NAME
     )",
     reads(parse_chain, chain())},
    {"create chain ip t c { type nat hook prerouting priority -100; policy drop; }",
     [](Transaction& t) { t.create(base_chain()); }, R"(
      48 00 00 00  03 0a 01 06  00 00 00 00  00 00 00 00  # NFT_MSG_NEWCHAIN, EXCL|CREATE
      02 00 00 00                                         # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                           # NFTA_CHAIN_TABLE
      06 00 03 00  "c" 00 00 00                           # NFTA_CHAIN_NAME
      14 00 04 80                                         # NFTA_CHAIN_HOOK
        08 00 01 00  00 00 00 00                          # NFTA_HOOK_HOOKNUM NF_INET_PRE_ROUTING
        08 00 02 00  ff ff ff 9c                          # NFTA_HOOK_PRIORITY -100
      08 00 05 00  00 00 00 00                            # NFTA_CHAIN_POLICY NF_DROP
      08 00 07 00  "nat" 00                               # NFTA_CHAIN_TYPE
     )",
     reads(parse_chain, base_chain())},
    {"delete chain ip t c", [](Transaction& t) { t.remove(base_chain()); }, R"(
      24 00 00 00  05 0a 01 00  00 00 00 00  00 00 00 00  # NFT_MSG_DELCHAIN, no flags
      02 00 00 00                                         # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                           # NFTA_CHAIN_TABLE
      06 00 03 00  "c" 00 00 00                           # NFTA_CHAIN_NAME
     )"},
    {"flush chain ip t c", [](Transaction& t) { t.flush(chain()); }, R"(
      24 00 00 00  08 0a 01 00  00 00 00 00  00 00 00 00  # NFT_MSG_DELRULE, no flags
      02 00 00 00                                         # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                           # NFTA_RULE_TABLE
      06 00 02 00  "c" 00 00 00                           # NFTA_RULE_CHAIN
     )"},
    {"add rule ip t c notrack comment \"why\"", [](Transaction& t) { t.add(rule("why")); }, R"(
      48 00 00 00  06 0a 01 0c  00 00 00 00  00 00 00 00  # NFT_MSG_NEWRULE, CREATE|APPEND
      02 00 00 00                                         # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                           # NFTA_RULE_TABLE
      06 00 02 00  "c" 00 00 00                           # NFTA_RULE_CHAIN
      18 00 04 80                                         # NFTA_RULE_EXPRESSIONS
        14 00 01 80                                       # NFTA_LIST_ELEM
          0c 00 01 00  "notrack" 00                       # NFTA_EXPR_NAME
          04 00 02 80                                     # NFTA_EXPR_DATA
      0a 00 07 00                                         # NFTA_RULE_USERDATA
        00 04  "why" 00                                   # comment
        00 00                                             # padding
     )",
     reads(parse_rule, rule("why"))},
    {"insert rule ip t c notrack", [](Transaction& t) { t.insert(rule()); }, R"(
      3c 00 00 00  06 0a 01 04  00 00 00 00  00 00 00 00  # NFT_MSG_NEWRULE, CREATE
      02 00 00 00                                         # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                           # NFTA_RULE_TABLE
      06 00 02 00  "c" 00 00 00                           # NFTA_RULE_CHAIN
      18 00 04 80                                         # NFTA_RULE_EXPRESSIONS
        14 00 01 80                                       # NFTA_LIST_ELEM
          0c 00 01 00  "notrack" 00                       # NFTA_EXPR_NAME
          04 00 02 80                                     # NFTA_EXPR_DATA
     )"},
    {"add rule ip t c handle 7 notrack", [](Transaction& t) { t.add_after(rule(), 7); }, R"(
      48 00 00 00  06 0a 01 0c  00 00 00 00  00 00 00 00  # NFT_MSG_NEWRULE, CREATE|APPEND
      02 00 00 00                                         # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                           # NFTA_RULE_TABLE
      06 00 02 00  "c" 00 00 00                           # NFTA_RULE_CHAIN
      18 00 04 80                                         # NFTA_RULE_EXPRESSIONS
        14 00 01 80                                       # NFTA_LIST_ELEM
          0c 00 01 00  "notrack" 00                       # NFTA_EXPR_NAME
          04 00 02 80                                     # NFTA_EXPR_DATA
      0c 00 06 00  00 00 00 00  00 00 00 07               # NFTA_RULE_POSITION 7
     )"},
    {"insert rule ip t c handle 7 notrack", [](Transaction& t) { t.insert_before(rule(), 7); }, R"(
      48 00 00 00  06 0a 01 04  00 00 00 00  00 00 00 00  # NFT_MSG_NEWRULE, CREATE
      02 00 00 00                                         # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                           # NFTA_RULE_TABLE
      06 00 02 00  "c" 00 00 00                           # NFTA_RULE_CHAIN
      18 00 04 80                                         # NFTA_RULE_EXPRESSIONS
        14 00 01 80                                       # NFTA_LIST_ELEM
          0c 00 01 00  "notrack" 00                       # NFTA_EXPR_NAME
          04 00 02 80                                     # NFTA_EXPR_DATA
      0c 00 06 00  00 00 00 00  00 00 00 07               # NFTA_RULE_POSITION 7
     )"},
    {"replace rule ip t c handle 7 notrack", [](Transaction& t) { t.replace(rule("", 7)); }, R"(
      48 00 00 00  06 0a 01 01  00 00 00 00  00 00 00 00  # NFT_MSG_NEWRULE, REPLACE
      02 00 00 00                                         # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                           # NFTA_RULE_TABLE
      06 00 02 00  "c" 00 00 00                           # NFTA_RULE_CHAIN
      18 00 04 80                                         # NFTA_RULE_EXPRESSIONS
        14 00 01 80                                       # NFTA_LIST_ELEM
          0c 00 01 00  "notrack" 00                       # NFTA_EXPR_NAME
          04 00 02 80                                     # NFTA_EXPR_DATA
      0c 00 03 00  00 00 00 00  00 00 00 07               # NFTA_RULE_HANDLE 7
     )",
     reads(parse_rule, rule("", 7))},
    {"delete rule ip t c handle 7", [](Transaction& t) { t.remove(rule("", 7)); }, R"(
      30 00 00 00  08 0a 01 00  00 00 00 00  00 00 00 00  # NFT_MSG_DELRULE, no flags
      02 00 00 00                                         # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                           # NFTA_RULE_TABLE
      06 00 02 00  "c" 00 00 00                           # NFTA_RULE_CHAIN
      0c 00 03 00  00 00 00 00  00 00 00 07               # NFTA_RULE_HANDLE 7
     )"},
    {"add set ip t s { type inet_service; }", [](Transaction& t) { t.add(ports()); }, R"(
      50 00 00 00  09 0a 01 04  00 00 00 00  00 00 00 00  # NFT_MSG_NEWSET, CREATE
      02 00 00 00                                         # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                           # NFTA_SET_TABLE
      06 00 02 00  "s" 00 00 00                           # NFTA_SET_NAME
      08 00 03 00  00 00 00 00                            # NFTA_SET_FLAGS 0
      08 00 04 00  00 00 00 0d                            # NFTA_SET_KEY_TYPE inet_service
      08 00 05 00  00 00 00 02                            # NFTA_SET_KEY_LEN 2
      08 00 0a 00  00 00 00 01                            # NFTA_SET_ID 1
      0a 00 0d 00                                         # NFTA_SET_USERDATA
        00 04  02 00 00 00                                # key byte order: big endian
        00 00                                             # padding
     )",
     reads(parse_set, ports())},
    {"create map ip t ep { typeof ip daddr . meta l4proto . th dport . numgen random mod 2 : ip "
     "daddr . th dport; }",
     [](Transaction& t) { t.create(endpoint_map()); }, R"(
      fc 00 00 00  09 0a 01 06  00 00 00 00  00 00 00 00  # NFT_MSG_NEWSET, EXCL|CREATE
      02 00 00 00                                         # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                           # NFTA_SET_TABLE
      07 00 02 00  "ep" 00 00                             # NFTA_SET_NAME
      08 00 03 00  00 00 00 08                            # NFTA_SET_FLAGS NFT_SET_MAP
      08 00 04 00  00 1c c3 44                            # NFTA_SET_KEY_TYPE 7 . 12 . 13 . 4
      08 00 05 00  00 00 00 10                            # NFTA_SET_KEY_LEN 16
      08 00 06 00  00 00 01 cd                            # NFTA_SET_DATA_TYPE 7 . 13
      08 00 07 00  00 00 00 08                            # NFTA_SET_DATA_LEN 8
      08 00 0a 00  00 00 00 01                            # NFTA_SET_ID 1
      a8 00 0d 00                                         # NFTA_SET_USERDATA
        00 04  00 00 00 00                                # key byte order: none
        01 04  00 00 00 00                                # data byte order: none
        03 60                                             # typeof of the key
          00 04 0d 00 00 00  01 58                        # concatenation
          00 14  00 04 07 00 00 00  01 0c                 # payload: ip (12) daddr (12)
            00 04 0c 00 00 00  01 04 0c 00 00 00
          01 0e  00 04 09 00 00 00  01 06                 # meta: NFT_META_L4PROTO
            00 04 10 00 00 00
          02 14  00 04 07 00 00 00  01 0c                 # payload: th (11) dport (2)
            00 04 0b 00 00 00  01 04 02 00 00 00
          03 1a  00 04 17 00 00 00  01 12                 # numgen: random, mod 2, offset 0
            00 04 01 00 00 00  01 04 02 00 00 00  02 04 00 00 00 00
        04 34                                             # typeof of the data
          00 04 0d 00 00 00  01 2c                        # concatenation
          00 14  00 04 07 00 00 00  01 0c                 # payload: ip daddr
            00 04 0c 00 00 00  01 04 0c 00 00 00
          01 14  00 04 07 00 00 00  01 0c                 # payload: th dport
            00 04 0b 00 00 00  01 04 02 00 00 00
     )",
     reads(parse_set, endpoint_map())},
    {"add map ip t v { type inet_service : verdict; size 8; comment \"hi\"; }",
     [](Transaction& t) { t.add(verdict_map()); }, R"(
      70 00 00 00  09 0a 01 04  00 00 00 00  00 00 00 00  # NFT_MSG_NEWSET, CREATE
      02 00 00 00                                         # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                           # NFTA_SET_TABLE
      06 00 02 00  "v" 00 00 00                           # NFTA_SET_NAME
      08 00 03 00  00 00 00 08                            # NFTA_SET_FLAGS NFT_SET_MAP
      08 00 04 00  00 00 00 0d                            # NFTA_SET_KEY_TYPE inet_service
      08 00 05 00  00 00 00 02                            # NFTA_SET_KEY_LEN 2
      08 00 06 00  ff ff ff 00                            # NFTA_SET_DATA_TYPE NFT_DATA_VERDICT
      0c 00 09 80                                         # NFTA_SET_DESC
        08 00 01 00  00 00 00 08                          # NFTA_SET_DESC_SIZE 8
      08 00 0a 00  00 00 00 01                            # NFTA_SET_ID 1
      15 00 0d 00                                         # NFTA_SET_USERDATA
        00 04  02 00 00 00                                # key byte order: big endian
        01 04  00 00 00 00                                # data byte order: none
        07 03  "hi" 00                                    # comment
        00 00 00                                          # padding
     )",
     reads(parse_set, verdict_map())},
    {"add set ip t r { type ipv4_addr . inet_service; flags interval,timeout; timeout 1m; "
     "gc-interval 2s; counter; }",
     [](Transaction& t) { t.add(ranges()); }, R"(
      b0 00 00 00  09 0a 01 04  00 00 00 00  00 00 00 00  # NFT_MSG_NEWSET, CREATE
      02 00 00 00                                         # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                           # NFTA_SET_TABLE
      06 00 02 00  "r" 00 00 00                           # NFTA_SET_NAME
      08 00 03 00  00 00 00 94                            # NFTA_SET_FLAGS INTERVAL|TIMEOUT|CONCAT
      08 00 04 00  00 00 01 cd                            # NFTA_SET_KEY_TYPE 7 . 13
      08 00 05 00  00 00 00 08                            # NFTA_SET_KEY_LEN 8
      20 00 09 80                                         # NFTA_SET_DESC
        1c 00 02 80                                       # NFTA_SET_DESC_CONCAT
          0c 00 01 80                                     # NFTA_LIST_ELEM
            08 00 01 00  00 00 00 04                      # NFTA_SET_FIELD_LEN 4
          0c 00 01 80                                     # NFTA_LIST_ELEM
            08 00 01 00  00 00 00 02                      # NFTA_SET_FIELD_LEN 2
      08 00 0a 00  00 00 00 01                            # NFTA_SET_ID 1
      0c 00 0b 00  00 00 00 00  00 00 ea 60               # NFTA_SET_TIMEOUT ms
      08 00 0c 00  00 00 07 d0                            # NFTA_SET_GC_INTERVAL ms
      2c 00 11 80                                         # NFTA_SET_EXPR
        0c 00 01 00  "counter" 00                         # NFTA_EXPR_NAME
        1c 00 02 80                                       # NFTA_EXPR_DATA
          0c 00 01 00  00 00 00 00  00 00 00 00           # NFTA_COUNTER_BYTES 0
          0c 00 02 00  00 00 00 00  00 00 00 00           # NFTA_COUNTER_PACKETS 0
      0a 00 0d 00                                         # NFTA_SET_USERDATA
        00 04  00 00 00 00                                # key byte order: none
        00 00                                             # padding
     )",
     reads(parse_set, ranges())},
    {"delete set ip t s", [](Transaction& t) { t.remove(ports()); }, R"(
      24 00 00 00  0b 0a 01 00  00 00 00 00  00 00 00 00  # NFT_MSG_DELSET, no flags
      02 00 00 00                                         # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                           # NFTA_SET_TABLE
      06 00 02 00  "s" 00 00 00                           # NFTA_SET_NAME
     )"},
    {"flush set ip t s", [](Transaction& t) { t.flush(ports()); }, R"(
      24 00 00 00  0e 0a 01 00  00 00 00 00  00 00 00 00  # NFT_MSG_DELSETELEM, no flags
      02 00 00 00                                         # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                           # NFTA_SET_ELEM_LIST_TABLE
      06 00 02 00  "s" 00 00 00                           # NFTA_SET_ELEM_LIST_SET
     )"},
    {"add element ip t s { 80, 443 }",
     [](Transaction& t) {
       t.add_element(ports(), port(80));
       t.add_element(ports(), port(443));
     },
     R"(
      48 00 00 00  0c 0a 01 04  00 00 00 00  00 00 00 00  # NFT_MSG_NEWSETELEM, CREATE
      02 00 00 00                                         # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                           # NFTA_SET_ELEM_LIST_TABLE
      06 00 02 00  "s" 00 00 00                           # NFTA_SET_ELEM_LIST_SET
      24 00 03 80                                         # NFTA_SET_ELEM_LIST_ELEMENTS
        10 00 01 80                                       # NFTA_LIST_ELEM
          0c 00 01 80                                     # NFTA_SET_ELEM_KEY
            06 00 01 00  00 50 00 00                      # NFTA_DATA_VALUE
        10 00 01 80                                       # NFTA_LIST_ELEM
          0c 00 01 80                                     # NFTA_SET_ELEM_KEY
            06 00 01 00  01 bb 00 00                      # NFTA_DATA_VALUE
     )",
     reads(parse_elements, elements("s", {port(80), port(443)}))},
    {"create element ip t ep { 10.0.0.1 . tcp . 80 . 1 : 1.1.1.1 . 8080 }",
     [](Transaction& t) { t.create_element(endpoint_map(), endpoint()); }, R"(
      54 00 00 00  0c 0a 01 06  00 00 00 00  00 00 00 00        # NFT_MSG_NEWSETELEM, EXCL|CREATE
      02 00 00 00                                               # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                                 # NFTA_SET_ELEM_LIST_TABLE
      07 00 02 00  "ep" 00 00                                   # NFTA_SET_ELEM_LIST_SET
      30 00 03 80                                               # NFTA_SET_ELEM_LIST_ELEMENTS
        2c 00 01 80                                             # NFTA_LIST_ELEM
          18 00 01 80                                           # NFTA_SET_ELEM_KEY
            14 00 01 00  0a 00 00 01  06 00 00 00  00 50 00 00  # NFTA_DATA_VALUE
                         01 00 00 00
          10 00 02 80                                           # NFTA_SET_ELEM_DATA
            0c 00 01 00  01 01 01 01  1f 90 00 00               # NFTA_DATA_VALUE
     )",
     reads(parse_elements, elements("ep", {endpoint()}))},
    {"add element ip t v { 80 : goto c }",
     [](Transaction& t) { t.add_element(verdict_map(), go_to(80)); }, R"(
      50 00 00 00  0c 0a 01 04  00 00 00 00  00 00 00 00  # NFT_MSG_NEWSETELEM, CREATE
      02 00 00 00                                         # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                           # NFTA_SET_ELEM_LIST_TABLE
      06 00 02 00  "v" 00 00 00                           # NFTA_SET_ELEM_LIST_SET
      2c 00 03 80                                         # NFTA_SET_ELEM_LIST_ELEMENTS
        28 00 01 80                                       # NFTA_LIST_ELEM
          0c 00 01 80                                     # NFTA_SET_ELEM_KEY
            06 00 01 00  00 50 00 00                      # NFTA_DATA_VALUE
          18 00 02 80                                     # NFTA_SET_ELEM_DATA
            14 00 02 80                                   # NFTA_DATA_VERDICT
              08 00 01 00  ff ff ff fc                    # NFTA_VERDICT_CODE NFT_GOTO
              06 00 02 00  "c" 00 00 00                   # NFTA_VERDICT_CHAIN
     )",
     reads(parse_elements, elements("v", {go_to(80)}))},
    {"add element ip t r { 10.0.0.0-10.0.0.9 . 80-90 timeout 3s counter packets 1 bytes 60 comment "
     "\"hi\" }",
     [](Transaction& t) { t.add_element(ranges(), range()); }, R"(
      90 00 00 00  0c 0a 01 04  00 00 00 00  00 00 00 00  # NFT_MSG_NEWSETELEM, CREATE
      02 00 00 00                                         # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                           # NFTA_SET_ELEM_LIST_TABLE
      06 00 02 00  "r" 00 00 00                           # NFTA_SET_ELEM_LIST_SET
      6c 00 03 80                                         # NFTA_SET_ELEM_LIST_ELEMENTS
        68 00 01 80                                       # NFTA_LIST_ELEM
          10 00 01 80                                     # NFTA_SET_ELEM_KEY
            0c 00 01 00  0a 00 00 00  00 50 00 00         # NFTA_DATA_VALUE
          10 00 0a 80                                     # NFTA_SET_ELEM_KEY_END
            0c 00 01 00  0a 00 00 09  00 5a 00 00         # NFTA_DATA_VALUE
          0c 00 04 00  00 00 00 00  00 00 0b b8           # NFTA_SET_ELEM_TIMEOUT ms
          2c 00 07 80                                     # NFTA_SET_ELEM_EXPR
            0c 00 01 00  "counter" 00                     # NFTA_EXPR_NAME
            1c 00 02 80                                   # NFTA_EXPR_DATA
              0c 00 01 00  00 00 00 00  00 00 00 3c       # NFTA_COUNTER_BYTES 60
              0c 00 02 00  00 00 00 00  00 00 00 01       # NFTA_COUNTER_PACKETS 1
          09 00 06 00                                     # NFTA_SET_ELEM_USERDATA
            00 03  "hi" 00                                # comment
            00 00 00                                      # padding
     )",
     reads(parse_elements, elements("r", {range()}))},
    {"the end of a range in a plain interval set",
     [](Transaction& t) {
       Element end = port(91);
       end.interval_end = true;
       t.add_element(ports(), end);
     },
     R"(
      40 00 00 00  0c 0a 01 04  00 00 00 00  00 00 00 00  # NFT_MSG_NEWSETELEM, CREATE
      02 00 00 00                                         # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                           # NFTA_SET_ELEM_LIST_TABLE
      06 00 02 00  "s" 00 00 00                           # NFTA_SET_ELEM_LIST_SET
      1c 00 03 80                                         # NFTA_SET_ELEM_LIST_ELEMENTS
        18 00 01 80                                       # NFTA_LIST_ELEM
          08 00 03 00  00 00 00 01                        # NFTA_SET_ELEM_FLAGS INTERVAL_END
          0c 00 01 80                                     # NFTA_SET_ELEM_KEY
            06 00 01 00  00 5b 00 00                      # NFTA_DATA_VALUE
     )"},
    {"delete element ip t ep { 10.0.0.1 . tcp . 80 . 1 }, without its data",
     [](Transaction& t) { t.remove_element(endpoint_map(), endpoint()); }, R"(
      44 00 00 00  0e 0a 01 00  00 00 00 00  00 00 00 00        # NFT_MSG_DELSETELEM, no flags
      02 00 00 00                                               # nfgenmsg: family ip
      06 00 01 00  "t" 00 00 00                                 # NFTA_SET_ELEM_LIST_TABLE
      07 00 02 00  "ep" 00 00                                   # NFTA_SET_ELEM_LIST_SET
      20 00 03 80                                               # NFTA_SET_ELEM_LIST_ELEMENTS
        1c 00 01 80                                             # NFTA_LIST_ELEM
          18 00 01 80                                           # NFTA_SET_ELEM_KEY
            14 00 01 00  0a 00 00 01  06 00 00 00  00 50 00 00  # NFTA_DATA_VALUE
                         01 00 00 00
     )"},
};

TEST(NftablesGolden, EveryVerbOnEveryObject) {
  for (const VerbCase& c : kVerbs) {
    SCOPED_TRACE(c.nft);
    Transaction transaction;
    c.write(transaction);
    ASSERT_FALSE(transaction.error()) << transaction.error()->message();
    expect_golden(body(transaction), c.bytes);
    c.read(c.bytes);
  }
}

TEST(NftablesGolden, FramedAsOneBatch) {
  Transaction transaction;
  expect_golden(transaction.finish().bytes(), R"(
    14 00 00 00  10 00 01 00  00 00 00 00  00 00 00 00  # NFNL_MSG_BATCH_BEGIN, REQUEST
    00 00 00 0a                                         # nfgenmsg: NFNL_SUBSYS_NFTABLES
    14 00 00 00  11 00 01 00  00 00 00 00  00 00 00 00  # NFNL_MSG_BATCH_END, REQUEST
    00 00 00 0a
  )");
}

// destroy has no message of its own: kernels before 6.3 do not know one.
TEST(NftablesGolden, DestroyIsAddAndDelete) {
  struct Case {
    const char* what;
    void (*destroy)(Transaction&);
    void (*long_way)(Transaction&);
  };
  const Case kCases[] = {
      {"table", [](Transaction& t) { t.destroy(table()); },
       [](Transaction& t) {
         t.add(table());
         t.remove(table());
       }},
      {"chain", [](Transaction& t) { t.destroy(base_chain()); },
       [](Transaction& t) {
         t.add(chain());
         t.flush(chain());
         t.remove(chain());
       }},
      {"set", [](Transaction& t) { t.destroy(ports()); },
       [](Transaction& t) {
         t.add(ports());
         t.remove(ports());
       }},
  };
  for (const Case& c : kCases) {
    Transaction destroyed, spelled_out;
    c.destroy(destroyed);
    c.long_way(spelled_out);
    EXPECT_EQ(words(body(destroyed)), words(body(spelled_out))) << c.what;
  }
}

}  // namespace
}  // namespace fairlead::netlink::nft
