// SPDX-License-Identifier: Apache-2.0
// Every expression and every kind of set: what we write to the kernel is what Debian's nft lists,
// and what our text says; what we read back from the kernel is what we wrote.
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/rtnetlink.h>

#include "netlink/nftables/netfilter.h"
#include "netlink/nftables/rule_builder.h"
#include "netlink/nftables/text.h"
#include "tests/kernel/netlink/fixture.h"

namespace fairlead::netlink::nft {
namespace {

constexpr Family kV4 = Family::kIpv4;
constexpr Family kV6 = Family::kIpv6;

struct RuleCase {
  const char* text;
  std::function<void(RuleBuilder&)> write;
  bool reloads = true;  // `nft -f` of the text gives the same bytecode
};

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}
Cidr cidr(const char* text) {
  return *Cidr::parse(text);
}

const std::vector<Selector> kServiceKey = {ip_daddr(kV4), meta_l4proto(), th_dport()};
const std::vector<Selector> kEndpointKey = {ip_daddr(kV4), meta_l4proto(), th_dport(),
                                            numgen_random(2)};
const std::vector<Selector> kEndpointKey6 = {ip_daddr(kV6), meta_l4proto(), th_dport(),
                                             numgen_random(2)};

// In one base chain of type nat in prerouting, or as `filter_only` says in another.
const RuleCase kIpRules[] = {
    {"ip saddr 10.0.0.1 accept",
     [](auto& r) { r.match(ip_saddr(kV4), Value::of(ip("10.0.0.1"))).verdict(Verdict::accept()); }},
    {"ip saddr 10.0.0.0/8 ip daddr != 10.1.0.0/16 accept",
     [](auto& r) {
       r.match(ip_saddr(kV4), cidr("10.0.0.0/8"))
           .match_not(ip_daddr(kV4), cidr("10.1.0.0/16"))
           .verdict(Verdict::accept());
     }},
    {"ip saddr 10.64.0.0/10 drop",
     [](auto& r) { r.match(ip_saddr(kV4), cidr("10.64.0.0/10")).verdict(Verdict::drop()); }},
    {"ip saddr != 10.64.0.0/10 return",
     [](auto& r) { r.match_not(ip_saddr(kV4), cidr("10.64.0.0/10")).verdict(Verdict::returns()); }},
    {"ip daddr 1.2.3.4 continue",
     [](auto& r) { r.match(ip_daddr(kV4), cidr("1.2.3.4/32")).verdict(Verdict::continues()); }},
    {"tcp dport 80 accept",
     [](auto& r) {
       r.match(meta_l4proto(), Value::u8(IPPROTO_TCP))
           .match(th_dport(), Value::be16(80))
           .verdict(Verdict::accept());
     }},
    {"meta l4proto tcp counter packets 0 bytes 0 tcp dport 80",
     [](auto& r) {
       r.match(meta_l4proto(), Value::u8(IPPROTO_TCP)).counter().match(th_dport(), Value::be16(80));
     }},
    {"ip saddr 10.0.0.1 sctp sport 5",
     [](auto& r) {
       r.match(ip_saddr(kV4), Value::of(ip("10.0.0.1")))
           .match(meta_l4proto(), Value::u8(IPPROTO_SCTP))
           .match(th_sport(), Value::be16(5));
     }},
    {"meta l4proto != udp accept",
     [](auto& r) {
       r.match_not(meta_l4proto(), Value::u8(IPPROTO_UDP)).verdict(Verdict::accept());
     }},
    {"th dport 80", [](auto& r) { r.match(th_dport(), Value::be16(80)); }},
    {"th dport != 80", [](auto& r) { r.match_not(th_dport(), Value::be16(80)); }},
    {"th dport 80-90",
     [](auto& r) { r.match_range(th_dport(), Value::be16(80), Value::be16(90)); }},
    {"th dport != 80-90",
     [](auto& r) { r.match_not_range(th_dport(), Value::be16(80), Value::be16(90)); }},
    {"ip saddr 10.0.0.1-10.0.0.9",
     [](auto& r) {
       r.match_range(ip_saddr(kV4), Value::of(ip("10.0.0.1")), Value::of(ip("10.0.0.9")));
     }},
    {"ct state established,related accept",
     [](auto& r) { r.match_any_bit(ct_state(), 6).verdict(Verdict::accept()); }},
    {"ct state new", [](auto& r) { r.match_any_bit(ct_state(), 8); }},
    {"ct state != invalid", [](auto& r) { r.match_not(ct_state(), Value::host32(1)); }},
    {"ct status dnat", [](auto& r) { r.match_any_bit(ct_status(), IPS_DST_NAT); }},
    {"ct status ! dnat", [](auto& r) { r.match_no_bit(ct_status(), IPS_DST_NAT); }},
    {"ct status snat,dnat",
     [](auto& r) { r.match_any_bit(ct_status(), IPS_DST_NAT | IPS_SRC_NAT); }},
    {"ct mark 0x00000001", [](auto& r) { r.match(ct_mark(), Value::host32(1)); }},
    {"meta mark 0x00000001", [](auto& r) { r.match(meta_mark(), Value::host32(1)); }},
    {"meta mark & 0x00004000 == 0x00004000",
     [](auto& r) { r.match_masked(meta_mark(), Value::host32(0x4000), Value::host32(0x4000)); }},
    {"meta mark & 0x00004000 != 0x00000000", [](auto& r) { r.match_any_bit(meta_mark(), 0x4000); }},
    {"meta mark & 0x00004000 == 0x00000000", [](auto& r) { r.match_no_bit(meta_mark(), 0x4000); }},
    {"meta mark set meta mark | 0x00004000", [](auto& r) { r.change_mark(~0x4000u, 0x4000); }},
    {"meta mark set meta mark & 0xffffbfff", [](auto& r) { r.change_mark(~0x4000u, 0); }},
    {"meta mark set meta mark ^ 0x00004000", [](auto& r) { r.change_mark(~0u, 0x4000); }},
    {"meta mark set meta mark & 0xffffff12 | 0x00000012",
     [](auto& r) { r.change_mark(0xffffff00, 0x12); }, false},
    {"meta mark set 0x00000007", [](auto& r) { r.set_mark(7); }},
    {"meta mark set numgen random mod 5", [](auto& r) { r.set_mark_from(numgen_random(5)); }},
    {"meta mark set numgen inc mod 5", [](auto& r) { r.set_mark_from(numgen_inc(5)); }},
    {"meta mark set numgen inc mod 5 offset 3",
     [](auto& r) {
       r.set_mark_from(Numgen{NFT_NG_INCREMENTAL, 5, 3, {}});
     }},
    {"meta mark set ct mark", [](auto& r) { r.set_mark_from(ct_mark()); }},
    {"ct mark set meta mark",
     [](auto& r) {
       r.raw(Meta{NFT_META_MARK, {0}}).raw(CtSet{NFT_CT_MARK, {0}});
     }},
    {"meta mark set ip daddr . meta l4proto . th dport map @marks",
     [](auto& r) { r.set_mark_from_map(kServiceKey, "marks"); }},
    {"meta mark set jhash ip saddr . th sport mod 16 seed 0x1234",
     [](auto& r) {
       r.set_mark_from_jhash({ip_saddr(kV4), th_sport()}, 16, 0x1234, 0);
     }},
    {"meta mark set jhash ip saddr mod 16 offset 3",
     [](auto& r) { r.set_mark_from_jhash({ip_saddr(kV4)}, 16, {}, 3); }},
    {"iif \"lo\"", [](auto& r) { r.match(meta_iif(), Value::host32(1)); }},
    {"iifname \"eth0\"", [](auto& r) { r.match_name(meta_iifname(), "eth0"); }},
    {"iifname != \"veth*\"", [](auto& r) { r.match_not_name(meta_iifname(), "veth*"); }},
    {"fib daddr type local", [](auto& r) { r.match(fib_daddr_type(), Value::host32(RTN_LOCAL)); }},
    {"fib daddr type != local",
     [](auto& r) { r.match_not(fib_daddr_type(), Value::host32(RTN_LOCAL)); }},
    {"fib saddr . iif oif missing drop",
     [](auto& r) { r.match(fib_saddr_iif_oif(), Value::host32(0)).verdict(Verdict::drop()); }},
    {"ip saddr @plain accept",
     [](auto& r) { r.in_set({ip_saddr(kV4)}, "plain").verdict(Verdict::accept()); }},
    {"ip saddr != @plain drop",
     [](auto& r) { r.not_in_set({ip_saddr(kV4)}, "plain").verdict(Verdict::drop()); }},
    {"ip saddr . th dport @ranges",
     [](auto& r) {
       r.in_set({ip_saddr(kV4), th_dport()}, "ranges");
     }},
    {"ip daddr . meta l4proto . th dport vmap @svc", [](auto& r) { r.vmap(kServiceKey, "svc"); }},
    {"fib daddr type local meta l4proto . th dport vmap @ports",
     [](auto& r) {
       r.match(fib_daddr_type(), Value::host32(RTN_LOCAL))
           .vmap({meta_l4proto(), th_dport()}, "ports");
     }},
    {"dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 2 map @ep",
     [](auto& r) { r.dnat_from_map(kV4, kEndpointKey, "ep", true); }},
    {"dnat ip to ip daddr . meta l4proto . tcp dport . numgen random mod 2 map @ep",
     [](auto& r) {
       r.match(meta_l4proto(), Value::u8(IPPROTO_TCP)).dnat_from_map(kV4, kEndpointKey, "ep", true);
     },
     false},
    {"dnat to jhash ip saddr mod 4 map @slots",
     [](auto& r) { r.dnat_from_jhash(kV4, {ip_saddr(kV4)}, 4, {}, "slots", false); }},
    {"dnat to numgen inc mod 4 map @slots",
     [](auto& r) { r.dnat_from_map(kV4, {numgen_inc(4)}, "slots", false); }},
    {"dnat to 1.2.3.4", [](auto& r) { r.dnat(ip("1.2.3.4")); }},
    {"meta l4proto tcp dnat to 1.2.3.4:80",
     [](auto& r) { r.match(meta_l4proto(), Value::u8(IPPROTO_TCP)).dnat(ip("1.2.3.4"), 80); }},
    {"update @seen { ip saddr timeout 2h }",
     [](auto& r) { r.update_set({ip_saddr(kV4)}, "seen", 7200000); }},
    {"add @seen { ip saddr }", [](auto& r) { r.add_to_set({ip_saddr(kV4)}, "seen"); }},
    {"update @affinity { ip saddr . meta l4proto . th dport timeout 1m30s : ip daddr . th dport }",
     [](auto& r) {
       r.update_map({ip_saddr(kV4), meta_l4proto(), th_dport()}, {ip_daddr(kV4), th_dport()},
                    "affinity", 90000);
     }},
    {"update @affinity { ip saddr . meta l4proto . th dport : 1.2.3.4 . 80 }",
     [](auto& r) {
       r.update_map({ip_saddr(kV4), meta_l4proto(), th_dport()},
                    {Value::of(ip("1.2.3.4")), Value::be16(80)}, "affinity");
     }},
    {"limit rate 10/second burst 7 packets accept",
     [](auto& r) { r.limit(10, 1, 7).verdict(Verdict::accept()); }},
    {"limit rate over 10/minute drop",
     [](auto& r) { r.limit(10, 60, 5, true).verdict(Verdict::drop()); }},
    {"log prefix \"fairlead: \"", [](auto& r) { r.log("fairlead: "); }},
    {"reject", [](auto& r) { r.reject(); }},
    {"reject with icmp host-unreachable",
     [](auto& r) {
       r.raw(Reject{NFT_REJECT_ICMP_UNREACH, 1});
     }},
    {"reject with tcp reset",
     [](auto& r) { r.match(meta_l4proto(), Value::u8(IPPROTO_TCP)).reject_tcp_reset(); }},
    {"tcp dport 80 reject with tcp reset",
     [](auto& r) {
       r.match(meta_l4proto(), Value::u8(IPPROTO_TCP))
           .match(th_dport(), Value::be16(80))
           .reject_tcp_reset();
     }},
    {"jump other comment \"to the other\"",
     [](auto& r) { r.verdict(Verdict::jump("other")).comment("to the other"); }},
    {"goto other", [](auto& r) { r.verdict(Verdict::go_to("other")); }},
    {"accept", [](auto& r) { r.verdict(Verdict::accept()); }},
};

const RuleCase kIp6Rules[] = {
    {"ip6 saddr fd00::/8 accept",
     [](auto& r) { r.match(ip_saddr(kV6), cidr("fd00::/8")).verdict(Verdict::accept()); }},
    {"ip6 daddr fd00::/61 accept",
     [](auto& r) { r.match(ip_daddr(kV6), cidr("fd00::/61")).verdict(Verdict::accept()); }},
    {"ip6 daddr != fd00::1 drop",
     [](auto& r) { r.match_not(ip_daddr(kV6), cidr("fd00::1/128")).verdict(Verdict::drop()); }},
    {"ip6 daddr . meta l4proto . th dport vmap @svc",
     [](auto& r) {
       r.vmap({ip_daddr(kV6), meta_l4proto(), th_dport()}, "svc");
     }},
    {"dnat ip6 to ip6 daddr . meta l4proto . th dport . numgen random mod 2 map @ep",
     [](auto& r) { r.dnat_from_map(kV6, kEndpointKey6, "ep", true); }},
    {"dnat to fd00::1", [](auto& r) { r.dnat(ip("fd00::1")); }},
    {"meta l4proto tcp dnat to [fd00::1]:80",
     [](auto& r) { r.match(meta_l4proto(), Value::u8(IPPROTO_TCP)).dnat(ip("fd00::1"), 80); }},
    {"reject", [](auto& r) { r.reject(); }},
};

const RuleCase kInetRules[] = {
    {"ip saddr 10.0.0.1 accept",
     [](auto& r) { r.match(ip_saddr(kV4), Value::of(ip("10.0.0.1"))).verdict(Verdict::accept()); }},
    {"ip6 saddr fd00::/8 accept",
     [](auto& r) { r.match(ip_saddr(kV6), cidr("fd00::/8")).verdict(Verdict::accept()); }},
    {"meta nfproto ipv4 tcp dport 80",
     [](auto& r) {
       r.match(meta_nfproto(), Value::u8(NFPROTO_IPV4))
           .match(meta_l4proto(), Value::u8(IPPROTO_TCP))
           .match(th_dport(), Value::be16(80));
     }},
    {"ip daddr . meta l4proto . th dport vmap @svc", [](auto& r) { r.vmap(kServiceKey, "svc"); }},
    {"dnat ip to 1.2.3.4", [](auto& r) { r.dnat(ip("1.2.3.4")); }, false},
    {"reject", [](auto& r) { r.reject(); }},
    {"meta l4proto tcp reject with tcp reset",
     [](auto& r) { r.match(meta_l4proto(), Value::u8(IPPROTO_TCP)).reject_tcp_reset(); }},
};

const RuleCase kPostRoutingRules[] = {
    {"masquerade", [](auto& r) { r.masquerade(false); }},
    {"masquerade fully-random", [](auto& r) { r.masquerade(true); }},
    {"snat to 1.2.3.4", [](auto& r) { r.snat(ip("1.2.3.4")); }},
    {"snat to 1.2.3.4 fully-random,persistent",
     [](auto& r) {
       r.snat(ip("1.2.3.4"), 0, NF_NAT_RANGE_PROTO_RANDOM_FULLY | NF_NAT_RANGE_PERSISTENT);
     }},
    {"meta l4proto udp snat to 1.2.3.4:10 random",
     [](auto& r) {
       r.match(meta_l4proto(), Value::u8(IPPROTO_UDP))
           .snat(ip("1.2.3.4"), 10, NF_NAT_RANGE_PROTO_RANDOM);
     }},
    {"oifname \"eth0\" masquerade",
     [](auto& r) { r.match_name(meta_oifname(), "eth0").masquerade(false); }},
    {"oif != \"lo\" masquerade",
     [](auto& r) { r.match_not(meta_oif(), Value::host32(1)).masquerade(false); }},
};

const RuleCase kRawRules[] = {
    {"ip daddr 10.96.0.10 udp dport 53 notrack",
     [](auto& r) {
       r.match(ip_daddr(kV4), cidr("10.96.0.10/32"))
           .match(meta_l4proto(), Value::u8(IPPROTO_UDP))
           .match(th_dport(), Value::be16(53))
           .notrack();
     }},
};

class NftText : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    connection_ = open(Protocol::kNetfilter);
  }

  Set set(const char* name, std::vector<Field> key, std::vector<Field> data = {}) {
    Set result;
    result.family = family_;
    result.table = "t";
    result.name = name;
    result.key = std::move(key);
    result.data = std::move(data);
    return result;
  }

  void commit_ok(Transaction transaction) {
    const Result<void> result = commit_sync(*connection_, std::move(transaction), kPatience);
    ASSERT_TRUE(result.ok()) << result.error().message();
  }

  // Table, sets, chain `other` and a chain holding the rules of the table.
  void check_rules(std::span<const RuleCase> cases, const BaseChain& base) {
    const Table table{family_, "t", false, "", 0};
    const Chain other{family_, "t", "other", {}, 0};
    const Chain chain{family_, "t", "c", base, 0};
    Transaction start;
    start.add(table);
    for (const Set& s : sets()) start.add(s);
    start.add(other);
    start.add(chain);
    ASSERT_NO_FATAL_FAILURE(commit_ok(std::move(start)));

    for (const RuleCase& c : cases) {
      SCOPED_TRACE(c.text);
      RuleBuilder builder(chain);
      c.write(builder);
      const Rule rule = builder.build();
      EXPECT_EQ(to_nft(rule), c.text);

      Transaction replace;
      replace.flush(chain);
      replace.add(rule);
      ASSERT_NO_FATAL_FAILURE(commit_ok(std::move(replace)));
      const std::string listed = nft_list("ruleset");
      EXPECT_NE(listed.find("\n\t\t" + std::string(c.text) + "\n"), std::string::npos) << listed;

      // Reading it back gives the same value and the same text for the whole table.
      const auto content = list_table_sync(*connection_, family_, "t", kPatience);
      ASSERT_TRUE(content.ok()) << content.error().message();
      ASSERT_EQ(content->rules.size(), 1u);
      Rule read = content->rules[0];
      read.handle = 0;
      EXPECT_EQ(read, rule) << to_nft(read);
      EXPECT_EQ(to_nft(*content), listed);

      if (c.reloads) check_reload(rule, listed);
    }
  }

  // nft -f of what nft printed gives the bytecode we wrote.
  void check_reload(const Rule& rule, const std::string& listed) {
    const test::CommandResult result =
        test::run_command({"nft", "-f", "-"}, "flush ruleset\n" + listed);
    ASSERT_EQ(result.status, 0) << result.errors;
    const auto content = list_table_sync(*connection_, family_, "t", kPatience);
    ASSERT_TRUE(content.ok()) << content.error().message();
    ASSERT_EQ(content->rules.size(), 1u);
    EXPECT_EQ(content->rules[0].expressions, rule.expressions);
  }

  std::vector<Set> sets() {
    const Family family = family_ == TableFamily::kIp6 ? kV6 : kV4;
    const DataType address = address_type(family);
    std::vector<Set> all = {
        set("svc", {address, DataType::kInetProto, DataType::kInetService}, {DataType::kVerdict}),
        set("ep", {ip_daddr(family), meta_l4proto(), th_dport(), numgen_random(2)},
            {ip_daddr(family), th_dport()}),
    };
    if (family_ != TableFamily::kIp) return all;
    all.push_back(set("plain", {DataType::kIpv4Addr}));
    all.push_back(set("ranges", {DataType::kIpv4Addr, DataType::kInetService}));
    all.back().interval = true;
    all.push_back(
        set("ports", {DataType::kInetProto, DataType::kInetService}, {DataType::kVerdict}));
    all.push_back(set("marks", {DataType::kIpv4Addr, DataType::kInetProto, DataType::kInetService},
                      {DataType::kMark}));
    all.push_back(set("slots", {numgen_inc(4)}, {ip_daddr(kV4)}));
    all.push_back(set("seen", {DataType::kIpv4Addr}));
    all.push_back(set("affinity",
                      {DataType::kIpv4Addr, DataType::kInetProto, DataType::kInetService},
                      {DataType::kIpv4Addr, DataType::kInetService}));
    for (size_t i = all.size() - 2; i < all.size(); ++i) {
      all[i].size = 65535;
      all[i].dynamic = all[i].has_timeout = true;
      all[i].timeout_ms = 3 * 3600 * 1000;
    }
    return all;
  }

  TableFamily family_ = TableFamily::kIp;
  std::unique_ptr<Connection> connection_;
};

TEST_F(NftText, RulesOfIp) {
  check_rules(kIpRules, {ChainType::kNat, NF_INET_PRE_ROUTING, -100, Policy::kAccept});
}
TEST_F(NftText, RulesOfIp6) {
  family_ = TableFamily::kIp6;
  check_rules(kIp6Rules, {ChainType::kNat, NF_INET_PRE_ROUTING, -100, Policy::kAccept});
}
TEST_F(NftText, RulesOfInet) {
  family_ = TableFamily::kInet;
  check_rules(kInetRules, {ChainType::kNat, NF_INET_PRE_ROUTING, -100, Policy::kAccept});
}
TEST_F(NftText, RulesOfPostRouting) {
  check_rules(kPostRoutingRules, {ChainType::kNat, NF_INET_POST_ROUTING, 100, Policy::kAccept});
}
TEST_F(NftText, RulesOfRaw) {
  check_rules(kRawRules, {ChainType::kFilter, NF_INET_PRE_ROUTING, -300, Policy::kAccept});
}

Element element(Value key, std::variant<std::monostate, Value, Verdict> data = {}) {
  Element result;
  result.key = key;
  result.data = std::move(data);
  return result;
}

Value service(const char* address, uint8_t protocol, uint16_t port) {
  return Value().concat(ip(address)).concat_u8(protocol).concat_be16(port);
}
Value endpoint(const char* address, uint8_t protocol, uint16_t port, uint32_t index) {
  return service(address, protocol, port).concat_host32(index);
}
Value target(const char* address, uint16_t port) {
  return Value().concat(ip(address)).concat_be16(port);
}

struct SetCase {
  Set set;
  std::vector<Element> elements;
};

std::vector<SetCase> set_cases(
    const std::function<Set(const char*, std::vector<Field>, std::vector<Field>)>& set) {
  std::vector<SetCase> all;
  const std::vector<Field> service_key = {DataType::kIpv4Addr, DataType::kInetProto,
                                          DataType::kInetService};
  all.push_back({set("svc", service_key, {DataType::kVerdict}),
                 {element(service("10.0.0.1", 6, 80), Verdict::go_to("other")),
                  element(service("10.0.0.2", 17, 53), Verdict::drop()),
                  element(service("10.0.0.1", 132, 443), Verdict::accept()),
                  element(service("10.0.0.1", 6, 22), Verdict::jump("other"))}});
  all.back().set.size = 1000;
  all.push_back({set("ep", {ip_daddr(kV4), meta_l4proto(), th_dport(), numgen_random(2)},
                     {ip_daddr(kV4), th_dport()}),
                 {element(endpoint("10.0.0.1", 6, 80, 1), target("1.1.1.2", 8080)),
                  element(endpoint("10.0.0.1", 6, 80, 0), target("1.1.1.1", 8080))}});
  all.back().set.size = 100;
  all.push_back({set("ep6", {ip_daddr(kV6), meta_l4proto(), th_dport(), numgen_random(2)},
                     {ip_daddr(kV6), th_dport()}),
                 {element(endpoint("fd00::1", 17, 53, 0), target("fd00::2", 53))}});
  all.push_back({set("addresses", {DataType::kIpv4Addr}, {}), {}});
  for (const char* address : {"4.4.4.4", "0.0.0.1", "1.1.1.1", "3.3.3.3", "2.2.2.2"})
    all.back().elements.push_back(element(Value::of(ip(address))));
  all.push_back({set("ports", {DataType::kInetService}, {}), {}});
  for (uint16_t port : {443, 8080, 1, 2, 3, 4, 5, 6})
    all.back().elements.push_back(element(Value::be16(port)));
  all.push_back({set("v6", {DataType::kIpv6Addr}, {}),
                 {element(Value::of(ip("fd00::1"))), element(Value::of(ip("::1")))}});
  all.back().set.constant = true;
  all.push_back({set("names", {DataType::kIfname}, {}),
                 {element(Value::ifname("eth0")), element(Value::ifname("lo"))}});
  all.push_back({set("marks", {DataType::kMark}, {}),
                 {element(Value::host32(0x4000)), element(Value::host32(1))}});
  all.back().set.comment = "marks";
  all.push_back({set("protocols", {meta_l4proto()}, {}),
                 {element(Value::u8(17)), element(Value::u8(6)), element(Value::u8(132))}});
  all.push_back({set("families", {DataType::kNfproto}, {}), {element(Value::u8(NFPROTO_IPV4))}});
  all.push_back({set("mark_map", {ip_saddr(kV4)}, {meta_mark()}),
                 {element(Value::of(ip("1.2.3.4")), Value::host32(3))}});
  all.push_back({set("slots", {numgen_inc(3)}, {ip_daddr(kV4)}),
                 {element(Value::host32(0), Value::of(ip("1.1.1.1"))),
                  element(Value::host32(1), Value::of(ip("2.2.2.2")))}});
  all.push_back({set("counted", service_key, {DataType::kVerdict}),
                 {element(service("10.0.0.1", 6, 80), Verdict::accept())}});
  all.back().set.counter = true;
  all.back().elements[0].counter = Counter{4, 5};
  all.push_back({set("commented", {DataType::kIpv4Addr}, {}), {element(Value::of(ip("1.2.3.4")))}});
  all.back().elements[0].comment = "why";
  return all;
}

TEST_F(NftText, SetsOfEveryKind) {
  Transaction start;
  start.add(Table{family_, "t", false, "", 0});
  start.add(Chain{family_, "t", "other", {}, 0});
  ASSERT_NO_FATAL_FAILURE(commit_ok(std::move(start)));
  const auto make = [this](const char* name, std::vector<Field> key, std::vector<Field> data) {
    return set(name, std::move(key), std::move(data));
  };
  for (const SetCase& c : set_cases(make)) {
    SCOPED_TRACE(c.set.name);
    Transaction add;
    add.add(c.set);
    for (const Element& e : c.elements) add.add_element(c.set, e);
    ASSERT_NO_FATAL_FAILURE(commit_ok(std::move(add)));
    const std::string listed = nft_list("ruleset");
    EXPECT_NE(listed.find(to_nft(c.set, c.elements)), std::string::npos)
        << to_nft(c.set, c.elements) << listed;

    const auto content = list_table_sync(*connection_, family_, "t", kPatience);
    ASSERT_TRUE(content.ok()) << content.error().message();
    ASSERT_EQ(content->sets.size(), 1u);
    Set read = content->sets[0];
    read.handle = 0;
    EXPECT_EQ(read, c.set);
    EXPECT_EQ(to_nft(*content), listed);

    const test::CommandResult reload =
        test::run_command({"nft", "-f", "-"}, "flush ruleset\n" + listed);
    EXPECT_EQ(reload.status, 0) << reload.errors;
    EXPECT_EQ(nft_list("ruleset"), listed);

    Transaction remove;
    remove.remove(c.set);
    ASSERT_NO_FATAL_FAILURE(commit_ok(std::move(remove)));
  }
}

TEST_F(NftText, IntervalSets) {
  Set plain = set("plain", {DataType::kIpv4Addr});
  plain.interval = true;
  Set pairs = set("pairs", {DataType::kIpv4Addr, DataType::kInetService});
  pairs.interval = true;
  Set dynamic = set("dynamic", {DataType::kIpv4Addr});
  dynamic.dynamic = dynamic.has_timeout = true;
  dynamic.size = 10;
  dynamic.timeout_ms = 3 * 3600 * 1000;
  dynamic.gc_interval_ms = 10000;
  Transaction add;
  add.add(Table{family_, "t", false, "a table", 0});
  add.add(plain);
  add.add(pairs);
  add.add(dynamic);
  const auto range = [&](const char* first, const char* behind) {
    Element end = element(Value::of(ip(behind)));
    end.interval_end = true;
    add.add_element(plain, element(Value::of(ip(first))));
    add.add_element(plain, end);
  };
  range("10.0.0.0", "11.0.0.0");
  range("192.168.0.1", "192.168.0.8");
  range("1.1.1.1", "1.1.1.2");
  Element pair = element(target("10.0.0.0", 80));
  pair.key_end = target("10.255.255.255", 90);
  add.add_element(pairs, pair);
  ASSERT_NO_FATAL_FAILURE(commit_ok(std::move(add)));

  const std::string listed = nft_list("ruleset");
  EXPECT_NE(listed.find("elements = { 1.1.1.1, 10.0.0.0/8,\n\t\t\t     192.168.0.1-192.168.0.7 }"),
            std::string::npos)
      << listed;
  EXPECT_NE(listed.find("elements = { 10.0.0.0/8 . 80-90 }"), std::string::npos) << listed;
  const auto content = list_table_sync(*connection_, family_, "t", kPatience);
  ASSERT_TRUE(content.ok()) << content.error().message();
  EXPECT_EQ(to_nft(*content), listed);
}

TEST_F(NftText, ChainsAndPriorities) {
  Transaction add;
  add.add(Table{TableFamily::kInet, "t", true, "asleep", 0});
  int number = 0;
  const auto chain = [&](ChainType type, uint32_t hook, int priority, Policy policy) {
    add.add(Chain{TableFamily::kInet, "t", "c" + std::to_string(number++),
                  BaseChain{type, hook, priority, policy}, 0});
  };
  for (int priority : {-300, -299, -150, -101, -100, -90, -89, -7, 0, 5, 11, 50, 61, 100, 110})
    chain(ChainType::kFilter, NF_INET_PRE_ROUTING, priority, Policy::kAccept);
  for (int priority : {-100, 0, 99, 100, 111})
    chain(ChainType::kNat, NF_INET_POST_ROUTING, priority, Policy::kAccept);
  chain(ChainType::kNat, NF_INET_LOCAL_OUT, -100, Policy::kAccept);
  chain(ChainType::kRoute, NF_INET_LOCAL_OUT, -150, Policy::kAccept);
  chain(ChainType::kFilter, NF_INET_FORWARD, 0, Policy::kDrop);
  chain(ChainType::kFilter, NF_INET_LOCAL_IN, 0, Policy::kAccept);
  ASSERT_NO_FATAL_FAILURE(commit_ok(std::move(add)));
  const auto content = list_table_sync(*connection_, TableFamily::kInet, "t", kPatience);
  ASSERT_TRUE(content.ok()) << content.error().message();
  EXPECT_EQ(to_nft(*content), nft_list("ruleset"));
}

}  // namespace
}  // namespace fairlead::netlink::nft
