// SPDX-License-Identifier: Apache-2.0
// The exact bytes of every expression as linux/netfilter/nf_tables.h lays them out, and what
// the parser makes of them.
#include <gtest/gtest.h>

#include "netlink/nftables/netfilter.h"
#include "netlink/nftables/wire.h"
#include "tests/unit/netlink/golden.h"

namespace fairlead::netlink::nft {
namespace {

constexpr Register kReg1{0};  // NFT_REG_1 is the words 0 to 3
constexpr Register kReg2{4};

struct ExpressionCase {
  const char* nft;
  Expression expression;
  const char* bytes;
};

const ExpressionCase kExpressions[] = {
    {"ip daddr", Payload{NFT_PAYLOAD_NETWORK_HEADER, 16, 4, kReg1}, R"(
      34 00 01 80                   # NFTA_LIST_ELEM
        0c 00 01 00  "payload" 00   # NFTA_EXPR_NAME
        24 00 02 80                 # NFTA_EXPR_DATA
          08 00 01 00  00 00 00 01  # NFTA_PAYLOAD_DREG NFT_REG_1
          08 00 02 00  00 00 00 01  # NFTA_PAYLOAD_BASE NFT_PAYLOAD_NETWORK_HEADER
          08 00 03 00  00 00 00 10  # NFTA_PAYLOAD_OFFSET 16
          08 00 04 00  00 00 00 04  # NFTA_PAYLOAD_LEN 4
     )"},
    {"th dport, into the second word", Payload{NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, Register{1}}, R"(
      34 00 01 80                   # NFTA_LIST_ELEM
        0c 00 01 00  "payload" 00   # NFTA_EXPR_NAME
        24 00 02 80                 # NFTA_EXPR_DATA
          08 00 01 00  00 00 00 09  # NFTA_PAYLOAD_DREG NFT_REG32_01
          08 00 02 00  00 00 00 02  # NFTA_PAYLOAD_BASE NFT_PAYLOAD_TRANSPORT_HEADER
          08 00 03 00  00 00 00 02  # NFTA_PAYLOAD_OFFSET 2
          08 00 04 00  00 00 00 02  # NFTA_PAYLOAD_LEN 2
     )"},
    {"meta l4proto", Meta{NFT_META_L4PROTO, kReg1}, R"(
      24 00 01 80                        # NFTA_LIST_ELEM
        09 00 01 00  "meta" 00 00 00 00  # NFTA_EXPR_NAME
        14 00 02 80                      # NFTA_EXPR_DATA
          08 00 02 00  00 00 00 10       # NFTA_META_KEY NFT_META_L4PROTO
          08 00 01 00  00 00 00 01       # NFTA_META_DREG NFT_REG_1
     )"},
    {"meta mark set", MetaSet{NFT_META_MARK, kReg1}, R"(
      24 00 01 80                        # NFTA_LIST_ELEM
        09 00 01 00  "meta" 00 00 00 00  # NFTA_EXPR_NAME
        14 00 02 80                      # NFTA_EXPR_DATA
          08 00 02 00  00 00 00 03       # NFTA_META_KEY NFT_META_MARK
          08 00 03 00  00 00 00 01       # NFTA_META_SREG NFT_REG_1
     )"},
    {"ct state", Ct{NFT_CT_STATE, kReg1, {}}, R"(
      20 00 01 80                   # NFTA_LIST_ELEM
        07 00 01 00  "ct" 00 00     # NFTA_EXPR_NAME
        14 00 02 80                 # NFTA_EXPR_DATA
          08 00 02 00  00 00 00 00  # NFTA_CT_KEY NFT_CT_STATE
          08 00 01 00  00 00 00 01  # NFTA_CT_DREG NFT_REG_1
     )"},
    {"ct original ip saddr", Ct{NFT_CT_SRC_IP, kReg1, IP_CT_DIR_ORIGINAL}, R"(
      28 00 01 80                   # NFTA_LIST_ELEM
        07 00 01 00  "ct" 00 00     # NFTA_EXPR_NAME
        1c 00 02 80                 # NFTA_EXPR_DATA
          08 00 02 00  00 00 00 13  # NFTA_CT_KEY NFT_CT_SRC_IP
          08 00 01 00  00 00 00 01  # NFTA_CT_DREG NFT_REG_1
          05 00 03 00  00 00 00 00  # NFTA_CT_DIRECTION IP_CT_DIR_ORIGINAL
     )"},
    {"ct mark set", CtSet{NFT_CT_MARK, kReg1}, R"(
      20 00 01 80                   # NFTA_LIST_ELEM
        07 00 01 00  "ct" 00 00     # NFTA_EXPR_NAME
        14 00 02 80                 # NFTA_EXPR_DATA
          08 00 02 00  00 00 00 03  # NFTA_CT_KEY NFT_CT_MARK
          08 00 04 00  00 00 00 01  # NFTA_CT_SREG NFT_REG_1
     )"},
    {"numgen random mod 5 offset 100", Numgen{NFT_NG_RANDOM, 5, 100, kReg1}, R"(
      34 00 01 80                    # NFTA_LIST_ELEM
        0b 00 01 00  "numgen" 00 00  # NFTA_EXPR_NAME
        24 00 02 80                  # NFTA_EXPR_DATA
          08 00 01 00  00 00 00 01   # NFTA_NG_DREG NFT_REG_1
          08 00 02 00  00 00 00 05   # NFTA_NG_MODULUS 5
          08 00 03 00  00 00 00 01   # NFTA_NG_TYPE NFT_NG_RANDOM
          08 00 04 00  00 00 00 64   # NFTA_NG_OFFSET 100
     )"},
    {"jhash of 8 bytes mod 7 seed 0x1234 offset 3", Jhash{7, 0x1234, 3, 8, kReg2, kReg1}, R"(
      4c 00 01 80                        # NFTA_LIST_ELEM
        09 00 01 00  "hash" 00 00 00 00  # NFTA_EXPR_NAME
        3c 00 02 80                      # NFTA_EXPR_DATA
          08 00 01 00  00 00 00 02       # NFTA_HASH_SREG NFT_REG_2
          08 00 02 00  00 00 00 01       # NFTA_HASH_DREG NFT_REG_1
          08 00 03 00  00 00 00 08       # NFTA_HASH_LEN 8
          08 00 04 00  00 00 00 07       # NFTA_HASH_MODULUS 7
          08 00 05 00  00 00 12 34       # NFTA_HASH_SEED 0x1234
          08 00 06 00  00 00 00 03       # NFTA_HASH_OFFSET 3
          08 00 07 00  00 00 00 00       # NFTA_HASH_TYPE NFT_HASH_JENKINS
     )"},
    {"jhash with a seed of the kernel's", Jhash{7, {}, 0, 8, kReg2, kReg1}, R"(
      3c 00 01 80                        # NFTA_LIST_ELEM
        09 00 01 00  "hash" 00 00 00 00  # NFTA_EXPR_NAME
        2c 00 02 80                      # NFTA_EXPR_DATA
          08 00 01 00  00 00 00 02       # NFTA_HASH_SREG NFT_REG_2
          08 00 02 00  00 00 00 01       # NFTA_HASH_DREG NFT_REG_1
          08 00 03 00  00 00 00 08       # NFTA_HASH_LEN 8
          08 00 04 00  00 00 00 07       # NFTA_HASH_MODULUS 7
          08 00 07 00  00 00 00 00       # NFTA_HASH_TYPE NFT_HASH_JENKINS
     )"},
    {"fib daddr type", Fib{NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR, kReg1}, R"(
      28 00 01 80                   # NFTA_LIST_ELEM
        08 00 01 00  "fib" 00       # NFTA_EXPR_NAME
        1c 00 02 80                 # NFTA_EXPR_DATA
          08 00 01 00  00 00 00 01  # NFTA_FIB_DREG NFT_REG_1
          08 00 02 00  00 00 00 03  # NFTA_FIB_RESULT NFT_FIB_RESULT_ADDRTYPE
          08 00 03 00  00 00 00 02  # NFTA_FIB_FLAGS NFTA_FIB_F_DADDR
     )"},
    {"meta mark & 0xffffbfff ^ 0x4000",
     Bitwise{kReg1, kReg1, Value::host32(0xffffbfff), Value::host32(0x4000)}, R"(
      4c 00 01 80                     # NFTA_LIST_ELEM
        0c 00 01 00  "bitwise" 00     # NFTA_EXPR_NAME
        3c 00 02 80                   # NFTA_EXPR_DATA
          08 00 01 00  00 00 00 01    # NFTA_BITWISE_SREG NFT_REG_1
          08 00 02 00  00 00 00 01    # NFTA_BITWISE_DREG NFT_REG_1
          08 00 03 00  00 00 00 04    # NFTA_BITWISE_LEN 4
          08 00 06 00  00 00 00 00    # NFTA_BITWISE_OP NFT_BITWISE_BOOL
          0c 00 04 80                 # NFTA_BITWISE_MASK
            08 00 01 00  ff bf ff ff  # NFTA_DATA_VALUE
          0c 00 05 80                 # NFTA_BITWISE_XOR
            08 00 01 00  00 40 00 00  # NFTA_DATA_VALUE
     )"},
    {"th dport != 80", Cmp{NFT_CMP_NEQ, kReg1, Value::be16(80)}, R"(
      2c 00 01 80                     # NFTA_LIST_ELEM
        08 00 01 00  "cmp" 00         # NFTA_EXPR_NAME
        20 00 02 80                   # NFTA_EXPR_DATA
          08 00 01 00  00 00 00 01    # NFTA_CMP_SREG NFT_REG_1
          08 00 02 00  00 00 00 01    # NFTA_CMP_OP NFT_CMP_NEQ
          0c 00 03 80                 # NFTA_CMP_DATA
            06 00 01 00  00 50 00 00  # NFTA_DATA_VALUE
     )"},
    {"th dport 30000-32767", Range{NFT_RANGE_EQ, kReg1, Value::be16(30000), Value::be16(32767)}, R"(
      3c 00 01 80                      # NFTA_LIST_ELEM
        0a 00 01 00  "range" 00 00 00  # NFTA_EXPR_NAME
        2c 00 02 80                    # NFTA_EXPR_DATA
          08 00 01 00  00 00 00 01     # NFTA_RANGE_SREG NFT_REG_1
          08 00 02 00  00 00 00 00     # NFTA_RANGE_OP NFT_RANGE_EQ
          0c 00 03 80                  # NFTA_RANGE_FROM_DATA
            06 00 01 00  75 30 00 00   # NFTA_DATA_VALUE
          0c 00 04 80                  # NFTA_RANGE_TO_DATA
            06 00 01 00  7f ff 00 00   # NFTA_DATA_VALUE
     )"},
    {"@s", Lookup{"s", kReg1, false, false, {}}, R"(
      24 00 01 80                    # NFTA_LIST_ELEM
        0b 00 01 00  "lookup" 00 00  # NFTA_EXPR_NAME
        14 00 02 80                  # NFTA_EXPR_DATA
          06 00 01 00  "s" 00 00 00  # NFTA_LOOKUP_SET
          08 00 02 00  00 00 00 01   # NFTA_LOOKUP_SREG NFT_REG_1
     )"},
    {"!= @s", Lookup{"s", kReg1, true, false, {}}, R"(
      2c 00 01 80                    # NFTA_LIST_ELEM
        0b 00 01 00  "lookup" 00 00  # NFTA_EXPR_NAME
        1c 00 02 80                  # NFTA_EXPR_DATA
          06 00 01 00  "s" 00 00 00  # NFTA_LOOKUP_SET
          08 00 02 00  00 00 00 01   # NFTA_LOOKUP_SREG NFT_REG_1
          08 00 05 00  00 00 00 01   # NFTA_LOOKUP_FLAGS NFT_LOOKUP_F_INV
     )"},
    {"vmap @s", Lookup{"s", kReg1, false, true, {}}, R"(
      2c 00 01 80                    # NFTA_LIST_ELEM
        0b 00 01 00  "lookup" 00 00  # NFTA_EXPR_NAME
        1c 00 02 80                  # NFTA_EXPR_DATA
          06 00 01 00  "s" 00 00 00  # NFTA_LOOKUP_SET
          08 00 02 00  00 00 00 01   # NFTA_LOOKUP_SREG NFT_REG_1
          08 00 03 00  00 00 00 00   # NFTA_LOOKUP_DREG NFT_REG_VERDICT
     )"},
    {"map @s", Lookup{"s", kReg1, false, false, kReg2}, R"(
      2c 00 01 80                    # NFTA_LIST_ELEM
        0b 00 01 00  "lookup" 00 00  # NFTA_EXPR_NAME
        1c 00 02 80                  # NFTA_EXPR_DATA
          06 00 01 00  "s" 00 00 00  # NFTA_LOOKUP_SET
          08 00 02 00  00 00 00 01   # NFTA_LOOKUP_SREG NFT_REG_1
          08 00 03 00  00 00 00 02   # NFTA_LOOKUP_DREG NFT_REG_2
     )"},
    {"a constant", ImmediateData{kReg1, Value::host32(0x4000)}, R"(
      2c 00 01 80                          # NFTA_LIST_ELEM
        0e 00 01 00  "immediate" 00 00 00  # NFTA_EXPR_NAME
        18 00 02 80                        # NFTA_EXPR_DATA
          08 00 01 00  00 00 00 01         # NFTA_IMMEDIATE_DREG NFT_REG_1
          0c 00 02 80                      # NFTA_IMMEDIATE_DATA
            08 00 01 00  00 40 00 00       # NFTA_DATA_VALUE
     )"},
    {"accept", ImmediateVerdict{Verdict::accept()}, R"(
      30 00 01 80                          # NFTA_LIST_ELEM
        0e 00 01 00  "immediate" 00 00 00  # NFTA_EXPR_NAME
        1c 00 02 80                        # NFTA_EXPR_DATA
          08 00 01 00  00 00 00 00         # NFTA_IMMEDIATE_DREG NFT_REG_VERDICT
          10 00 02 80                      # NFTA_IMMEDIATE_DATA
            0c 00 02 80                    # NFTA_DATA_VERDICT
              08 00 01 00  00 00 00 01     # NFTA_VERDICT_CODE NF_ACCEPT
     )"},
    {"drop", ImmediateVerdict{Verdict::drop()}, R"(
      30 00 01 80                          # NFTA_LIST_ELEM
        0e 00 01 00  "immediate" 00 00 00  # NFTA_EXPR_NAME
        1c 00 02 80                        # NFTA_EXPR_DATA
          08 00 01 00  00 00 00 00         # NFTA_IMMEDIATE_DREG NFT_REG_VERDICT
          10 00 02 80                      # NFTA_IMMEDIATE_DATA
            0c 00 02 80                    # NFTA_DATA_VERDICT
              08 00 01 00  00 00 00 00     # NFTA_VERDICT_CODE NF_DROP
     )"},
    {"return", ImmediateVerdict{Verdict::returns()}, R"(
      30 00 01 80                          # NFTA_LIST_ELEM
        0e 00 01 00  "immediate" 00 00 00  # NFTA_EXPR_NAME
        1c 00 02 80                        # NFTA_EXPR_DATA
          08 00 01 00  00 00 00 00         # NFTA_IMMEDIATE_DREG NFT_REG_VERDICT
          10 00 02 80                      # NFTA_IMMEDIATE_DATA
            0c 00 02 80                    # NFTA_DATA_VERDICT
              08 00 01 00  ff ff ff fb     # NFTA_VERDICT_CODE NFT_RETURN
     )"},
    {"continue", ImmediateVerdict{Verdict::continues()}, R"(
      30 00 01 80                          # NFTA_LIST_ELEM
        0e 00 01 00  "immediate" 00 00 00  # NFTA_EXPR_NAME
        1c 00 02 80                        # NFTA_EXPR_DATA
          08 00 01 00  00 00 00 00         # NFTA_IMMEDIATE_DREG NFT_REG_VERDICT
          10 00 02 80                      # NFTA_IMMEDIATE_DATA
            0c 00 02 80                    # NFTA_DATA_VERDICT
              08 00 01 00  ff ff ff ff     # NFTA_VERDICT_CODE NFT_CONTINUE
     )"},
    {"jump c", ImmediateVerdict{Verdict::jump("c")}, R"(
      38 00 01 80                          # NFTA_LIST_ELEM
        0e 00 01 00  "immediate" 00 00 00  # NFTA_EXPR_NAME
        24 00 02 80                        # NFTA_EXPR_DATA
          08 00 01 00  00 00 00 00         # NFTA_IMMEDIATE_DREG NFT_REG_VERDICT
          18 00 02 80                      # NFTA_IMMEDIATE_DATA
            14 00 02 80                    # NFTA_DATA_VERDICT
              08 00 01 00  ff ff ff fd     # NFTA_VERDICT_CODE NFT_JUMP
              06 00 02 00  "c" 00 00 00    # NFTA_VERDICT_CHAIN
     )"},
    {"goto c", ImmediateVerdict{Verdict::go_to("c")}, R"(
      38 00 01 80                          # NFTA_LIST_ELEM
        0e 00 01 00  "immediate" 00 00 00  # NFTA_EXPR_NAME
        24 00 02 80                        # NFTA_EXPR_DATA
          08 00 01 00  00 00 00 00         # NFTA_IMMEDIATE_DREG NFT_REG_VERDICT
          18 00 02 80                      # NFTA_IMMEDIATE_DATA
            14 00 02 80                    # NFTA_DATA_VERDICT
              08 00 01 00  ff ff ff fc     # NFTA_VERDICT_CODE NFT_GOTO
              06 00 02 00  "c" 00 00 00    # NFTA_VERDICT_CHAIN
     )"},
    {"dnat ip to reg 1 . reg 2", Nat{NFT_NAT_DNAT, Family::kIpv4, kReg1, kReg2, 0}, R"(
      30 00 01 80                   # NFTA_LIST_ELEM
        08 00 01 00  "nat" 00       # NFTA_EXPR_NAME
        24 00 02 80                 # NFTA_EXPR_DATA
          08 00 01 00  00 00 00 01  # NFTA_NAT_TYPE NFT_NAT_DNAT
          08 00 02 00  00 00 00 02  # NFTA_NAT_FAMILY NFPROTO_IPV4
          08 00 03 00  00 00 00 01  # NFTA_NAT_REG_ADDR_MIN NFT_REG_1
          08 00 05 00  00 00 00 02  # NFTA_NAT_REG_PROTO_MIN NFT_REG_2
     )"},
    {"snat ip6 to reg 1 fully-random",
     Nat{NFT_NAT_SNAT, Family::kIpv6, kReg1, {}, NF_NAT_RANGE_PROTO_RANDOM_FULLY}, R"(
      30 00 01 80                   # NFTA_LIST_ELEM
        08 00 01 00  "nat" 00       # NFTA_EXPR_NAME
        24 00 02 80                 # NFTA_EXPR_DATA
          08 00 01 00  00 00 00 00  # NFTA_NAT_TYPE NFT_NAT_SNAT
          08 00 02 00  00 00 00 0a  # NFTA_NAT_FAMILY NFPROTO_IPV6
          08 00 03 00  00 00 00 01  # NFTA_NAT_REG_ADDR_MIN NFT_REG_1
          08 00 07 00  00 00 00 10  # NFTA_NAT_FLAGS NF_NAT_RANGE_PROTO_RANDOM_FULLY
     )"},
    {"masquerade", Masquerade{0}, R"(
      14 00 01 80                        # NFTA_LIST_ELEM
        09 00 01 00  "masq" 00 00 00 00  # NFTA_EXPR_NAME
        04 00 02 80                      # NFTA_EXPR_DATA
     )"},
    {"masquerade fully-random", Masquerade{NF_NAT_RANGE_PROTO_RANDOM_FULLY}, R"(
      1c 00 01 80                        # NFTA_LIST_ELEM
        09 00 01 00  "masq" 00 00 00 00  # NFTA_EXPR_NAME
        0c 00 02 80                      # NFTA_EXPR_DATA
          08 00 01 00  00 00 00 10       # NFTA_MASQ_FLAGS NF_NAT_RANGE_PROTO_RANDOM_FULLY
     )"},
    {"reject with icmp port-unreachable", Reject{NFT_REJECT_ICMP_UNREACH, 3}, R"(
      24 00 01 80                    # NFTA_LIST_ELEM
        0b 00 01 00  "reject" 00 00  # NFTA_EXPR_NAME
        14 00 02 80                  # NFTA_EXPR_DATA
          08 00 01 00  00 00 00 00   # NFTA_REJECT_TYPE NFT_REJECT_ICMP_UNREACH
          05 00 02 00  03 00 00 00   # NFTA_REJECT_ICMP_CODE ICMP_PORT_UNREACH
     )"},
    {"reject with tcp reset", Reject{NFT_REJECT_TCP_RST, 0}, R"(
      24 00 01 80                    # NFTA_LIST_ELEM
        0b 00 01 00  "reject" 00 00  # NFTA_EXPR_NAME
        14 00 02 80                  # NFTA_EXPR_DATA
          08 00 01 00  00 00 00 01   # NFTA_REJECT_TYPE NFT_REJECT_TCP_RST
          05 00 02 00  00 00 00 00   # NFTA_REJECT_ICMP_CODE 0
     )"},
    {"counter packets 3 bytes 180", Counter{3, 180}, R"(
      2c 00 01 80                                # NFTA_LIST_ELEM
        0c 00 01 00  "counter" 00                # NFTA_EXPR_NAME
        1c 00 02 80                              # NFTA_EXPR_DATA
          0c 00 01 00  00 00 00 00  00 00 00 b4  # NFTA_COUNTER_BYTES 180
          0c 00 02 00  00 00 00 00  00 00 00 03  # NFTA_COUNTER_PACKETS 3
     )"},
    {"notrack", Notrack{}, R"(
      14 00 01 80                  # NFTA_LIST_ELEM
        0c 00 01 00  "notrack" 00  # NFTA_EXPR_NAME
        04 00 02 80                # NFTA_EXPR_DATA
     )"},
    {"update @s, the set's timeout", Dynset{NFT_DYNSET_OP_UPDATE, "s", kReg1, {}, 0}, R"(
      2c 00 01 80                    # NFTA_LIST_ELEM
        0b 00 01 00  "dynset" 00 00  # NFTA_EXPR_NAME
        1c 00 02 80                  # NFTA_EXPR_DATA
          06 00 01 00  "s" 00 00 00  # NFTA_DYNSET_SET_NAME
          08 00 03 00  00 00 00 01   # NFTA_DYNSET_OP NFT_DYNSET_OP_UPDATE
          08 00 04 00  00 00 00 01   # NFTA_DYNSET_SREG_KEY NFT_REG_1
     )"},
    {"add @s, data and timeout 3h", Dynset{NFT_DYNSET_OP_ADD, "s", kReg1, kReg2, 10'800'000}, R"(
      40 00 01 80                                # NFTA_LIST_ELEM
        0b 00 01 00  "dynset" 00 00              # NFTA_EXPR_NAME
        30 00 02 80                              # NFTA_EXPR_DATA
          06 00 01 00  "s" 00 00 00              # NFTA_DYNSET_SET_NAME
          08 00 03 00  00 00 00 00               # NFTA_DYNSET_OP NFT_DYNSET_OP_ADD
          08 00 04 00  00 00 00 01               # NFTA_DYNSET_SREG_KEY NFT_REG_1
          08 00 05 00  00 00 00 02               # NFTA_DYNSET_SREG_DATA NFT_REG_2
          0c 00 06 00  00 00 00 00  00 a4 cb 80  # NFTA_DYNSET_TIMEOUT ms
     )"},
    {"limit rate over 10/minute burst 5", Limit{10, 60, 5, true}, R"(
      44 00 01 80                                # NFTA_LIST_ELEM
        0a 00 01 00  "limit" 00 00 00            # NFTA_EXPR_NAME
        34 00 02 80                              # NFTA_EXPR_DATA
          0c 00 01 00  00 00 00 00  00 00 00 0a  # NFTA_LIMIT_RATE 10
          0c 00 02 00  00 00 00 00  00 00 00 3c  # NFTA_LIMIT_UNIT seconds
          08 00 03 00  00 00 00 05               # NFTA_LIMIT_BURST 5
          08 00 04 00  00 00 00 00               # NFTA_LIMIT_TYPE NFT_LIMIT_PKTS
          08 00 05 00  00 00 00 01               # NFTA_LIMIT_FLAGS NFT_LIMIT_F_INV
     )"},
    {"log prefix p group 2", Log{"p", 2}, R"(
      20 00 01 80                    # NFTA_LIST_ELEM
        08 00 01 00  "log" 00        # NFTA_EXPR_NAME
        14 00 02 80                  # NFTA_EXPR_DATA
          06 00 01 00  00 02 00 00   # NFTA_LOG_GROUP 2
          06 00 02 00  "p" 00 00 00  # NFTA_LOG_PREFIX
     )"},
};

TEST(ExpressionGolden, EveryExpressionBothWays) {
  for (const ExpressionCase& c : kExpressions) {
    SCOPED_TRACE(c.nft);
    MessageWriter writer;
    put_expression(writer, c.expression, NFTA_LIST_ELEM);
    expect_golden(writer.bytes(), c.bytes);

    const std::vector<uint8_t> bytes = golden(c.bytes);
    Bytes rest(bytes);
    Attribute element;
    ASSERT_TRUE(next_attribute(rest, element));
    EXPECT_EQ(parse_expression(element.value), c.expression);
  }
}

TEST(ExpressionGolden, NoKindIsWithoutACase) {
  std::vector<bool> seen(std::variant_size_v<Expression>);
  for (const ExpressionCase& c : kExpressions) seen[c.expression.index()] = true;
  for (size_t kind = 0; kind < seen.size(); ++kind)
    EXPECT_EQ(seen[kind], kind != Expression(Unknown{}).index()) << "alternative " << kind;
}

}  // namespace
}  // namespace fairlead::netlink::nft
