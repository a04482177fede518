// SPDX-License-Identifier: Apache-2.0
// A rule as nft prints it: the bytecode is run with symbols in the registers, and each expression
// that acts (compares, looks up, changes, decides) prints a statement from the symbols it uses.

#include <array>
#include <cstdio>
#include <type_traits>

#include "netlink/nftables/netfilter.h"
#include "netlink/nftables/text.h"
#include "netlink/nftables/text_value.h"

namespace fairlead::netlink::nft {

namespace {

// What a register holds.
struct Symbol {
  std::string text;
  DataType type = DataType::kNone;
  size_t size = 0;             // bytes
  std::optional<Value> value;  // of a constant
  std::optional<Bitwise> bits;
  bool from_map = false;
  bool uses_transport = false;  // reads the header whose protocol a match before it named
  bool uses_network = false;
};

std::string transport_name(uint8_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP:
      return "tcp";
    case IPPROTO_UDP:
      return "udp";
    case IPPROTO_SCTP:
      return "sctp";
    case IPPROTO_DCCP:
      return "dccp";
    case IPPROTO_UDPLITE:
      return "udplite";
    default:
      return "";
  }
}

std::optional<Family> family_of(TableFamily family) {
  if (family == TableFamily::kIp) return Family::kIpv4;
  if (family == TableFamily::kIp6) return Family::kIpv6;
  return std::nullopt;
}

std::string_view op_text(nft_cmp_ops op) {
  switch (op) {
    case NFT_CMP_EQ:
      return "";
    case NFT_CMP_NEQ:
      return "!= ";
    case NFT_CMP_LT:
      return "< ";
    case NFT_CMP_LTE:
      return "<= ";
    case NFT_CMP_GT:
      return "> ";
    case NFT_CMP_GTE:
      return ">= ";
  }
  return "";
}

std::string nat_flags_text(uint32_t flags) {
  std::string text;
  const auto add = [&](uint32_t flag, const char* name) {
    if ((flags & flag) != 0) text += (text.empty() ? " " : ",") + std::string(name);
  };
  add(NF_NAT_RANGE_PROTO_RANDOM, "random");
  add(NF_NAT_RANGE_PROTO_RANDOM_FULLY, "fully-random");
  add(NF_NAT_RANGE_PERSISTENT, "persistent");
  return text;
}

bool all_bits(Bytes bytes, uint8_t value) {
  for (const uint8_t byte : bytes)
    if (byte != value) return false;
  return true;
}

// (x & mask) ^ flip as nft writes it: flips of kept bits stay a xor, of masked bits become an or
// (netlink_delinearize.c, netlink_parse_bitwise).
std::string bitwise_text(const std::string& operand, const Bitwise& bits) {
  const uint32_t mask = bits.mask.to_host32();
  const uint32_t flip = bits.flip.to_host32();
  const uint32_t set = flip & ~mask;
  const uint32_t keep = mask | set;
  std::string text = operand;
  if (keep != UINT32_MAX) text += " & " + mark_text(keep);
  if ((flip & mask) != 0) text += " ^ " + mark_text(flip & mask);
  if (set != 0) text += " | " + mark_text(set);
  return text;
}

class Renderer {
 public:
  explicit Renderer(const Rule& rule) : rule_(rule), family_(family_of(rule.family)) {}

  std::string run() {
    for (index_ = 0; index_ < rule_.expressions.size(); ++index_)
      std::visit([this](const auto& expression) { on(expression); }, rule_.expressions[index_]);
    std::string line;
    for (const std::string& statement : statements_)
      if (!statement.empty()) line += (line.empty() ? "" : " ") + statement;
    if (!rule_.comment.empty())
      line += (line.empty() ? "" : " ") + std::string("comment ") + quoted(rule_.comment);
    return line;
  }

 private:
  static constexpr size_t kNone = SIZE_MAX;

  // Registers.

  void set(Register at, Symbol symbol) {
    if (at.word < registers_.size()) registers_[at.word] = std::move(symbol);
  }
  const Symbol& get(Register at) const {
    static const Symbol kUnset{"?", DataType::kNone, 4, {}, {}, false, false, false};
    if (at.word >= registers_.size() || !registers_[at.word]) return kUnset;
    return *registers_[at.word];
  }
  template <typename Load>
  void load(const Load& expression) {
    const Selector selector = expression;
    Symbol symbol;
    symbol.text = selector_text(selector, family_, transport_);
    symbol.size = size_of(selector);
    if (const auto* payload = std::get_if<Payload>(&selector)) {
      const HeaderField* field = find_field(*payload, family_);
      symbol.type = field != nullptr ? field->type : DataType::kNone;
      symbol.uses_network = payload->base == NFT_PAYLOAD_NETWORK_HEADER && field != nullptr;
      symbol.uses_transport = payload->base == NFT_PAYLOAD_TRANSPORT_HEADER && !transport_.empty();
    } else {
      symbol.type = type_of(selector);
    }
    set(expression.to, std::move(symbol));
  }
  // The symbols from `at` on, up to the first register nothing was loaded into: "a . b . c".
  Symbol concatenation(Register at, size_t limit = registers_count) const {
    Symbol all;
    for (size_t word = at.word;
         word < registers_.size() && word < at.word + limit && registers_[word];) {
      const Symbol& part = *registers_[word];
      all.text += (all.text.empty() ? "" : " . ") +
                  (part.value ? value_text(part.type, part.value->bytes()) : part.text);
      all.uses_network = all.uses_network || part.uses_network;
      all.uses_transport = all.uses_transport || part.uses_transport;
      word += std::max<size_t>(1, (part.size + 3) / 4);
    }
    if (all.text.empty()) all.text = "?";
    return all;
  }

  // Statements.

  void emit(std::string statement) {
    statements_.push_back(std::move(statement));
    registers_ = {};
  }
  // A statement that is no match: what named the protocol before it must stay in the text.
  void act(std::string statement) {
    emit(std::move(statement));
    transport_match_ = network_match_ = kNone;
  }
  // nft leaves out the match on a protocol that the next match implies.
  void drop_implied(const Symbol& used) {
    if (used.uses_transport) drop(transport_match_);
    if (used.uses_network) drop(network_match_);
  }
  void drop(size_t& match) {
    if (match != kNone) statements_[match].clear();
    match = kNone;
  }

  void on(const Payload& e) { load(e); }
  void on(const Meta& e) { load(e); }
  void on(const Ct& e) { load(e); }
  void on(const Numgen& e) { load(e); }
  void on(const Fib& e) { load(e); }

  void on(const Jhash& e) {
    Symbol hash = concatenation(e.from, (e.length + 3) / 4);
    hash.text = "jhash " + hash.text + " mod " + std::to_string(e.modulus);
    if (e.seed) {
      char seed[24];
      std::snprintf(seed, sizeof seed, " seed 0x%x", *e.seed);
      hash.text += seed;
    }
    if (e.offset != 0) hash.text += " offset " + std::to_string(e.offset);
    hash.type = DataType::kInteger;
    hash.size = 4;
    registers_ = {};
    set(e.to, std::move(hash));
  }

  void on(const Bitwise& e) {
    Symbol symbol = get(e.from);
    symbol.bits = e;
    set(e.to, std::move(symbol));
  }

  void on(const ImmediateData& e) {
    Symbol symbol;
    symbol.value = e.value;
    symbol.size = e.value.size();
    symbol.type = e.value.size() == 4    ? DataType::kIpv4Addr
                  : e.value.size() == 16 ? DataType::kIpv6Addr
                  : e.value.size() == 2  ? DataType::kInetService
                                         : DataType::kNone;
    set(e.to, std::move(symbol));
  }

  void on(const Cmp& e) {
    const Symbol symbol = get(e.from);
    if (e.op == NFT_CMP_GTE && index_ + 1 < rule_.expressions.size())
      if (const auto* upper = std::get_if<Cmp>(&rule_.expressions[index_ + 1]);
          upper != nullptr && upper->op == NFT_CMP_LTE && upper->from == e.from) {
        ++index_;
        drop_implied(symbol);
        return emit(symbol.text + " " +
                    range_text(symbol.type, e.value.bytes(), upper->value.bytes()));
      }
    drop_implied(symbol);
    const std::string text = comparison(symbol, e);
    const bool names_protocol = e.op == NFT_CMP_EQ && !symbol.bits;
    emit(text);
    if (names_protocol) note_protocol(symbol, e.value);
  }

  void note_protocol(const Symbol& symbol, const Value& value) {
    if (value.empty()) return;
    if (symbol.type == DataType::kInetProto) {
      transport_ = transport_name(value.bytes()[0]);
      transport_match_ = statements_.size() - 1;
    } else if (symbol.type == DataType::kNfproto && rule_.family == TableFamily::kInet) {
      family_ = value.bytes()[0] == NFPROTO_IPV6 ? Family::kIpv6 : Family::kIpv4;
      network_match_ = statements_.size() - 1;
    }
  }

  static std::string comparison(const Symbol& symbol, const Cmp& e) {
    const Bytes value = e.value.bytes();
    const std::string left = symbol.text + " " + std::string(op_text(e.op));
    const bool address = symbol.type == DataType::kIpv4Addr || symbol.type == DataType::kIpv6Addr;
    if (symbol.bits) {
      const Bytes mask = symbol.bits->mask.bytes();
      if (address)
        if (const auto length = prefix_of_mask(mask))
          return left + prefix_text(symbol.type, value, *length);
      const bool flags = symbol.type == DataType::kCtState || symbol.type == DataType::kCtStatus;
      if (flags && all_bits(value, 0) && all_bits(symbol.bits->flip.bytes(), 0))
        return symbol.text + (e.op == NFT_CMP_EQ ? " ! " : " ") +
               bits_text(symbol.type, symbol.bits->mask.to_host32());
      return bitwise_text(symbol.text, *symbol.bits) + " " +
             (e.op == NFT_CMP_EQ ? "== " : std::string(op_text(e.op))) +
             value_text(symbol.type, value);
    }
    if (address && value.size() < size_of(symbol.type))
      return left + prefix_text(symbol.type, value, static_cast<int>(value.size() * 8));
    return left + value_text(symbol.type, value);
  }

  void on(const Range& e) {
    const Symbol symbol = get(e.from);
    drop_implied(symbol);
    emit(symbol.text + (e.op == NFT_RANGE_NEQ ? " != " : " ") +
         range_text(symbol.type, e.first.bytes(), e.last.bytes()));
  }

  void on(const Lookup& e) {
    Symbol key = concatenation(e.from);
    if (e.to) {
      key.text += " map @" + e.set;
      key.from_map = true;
      key.size = 4;
      registers_ = {};
      return set(*e.to, std::move(key));
    }
    drop_implied(key);
    emit(key.text + (e.verdict ? " vmap @" : e.inverted ? " != @" : " @") + e.set);
  }

  void on(const ImmediateVerdict& e) { act(e.verdict.to_nft()); }

  // The value given to a mark.
  std::string mark_value(const Symbol& symbol) {
    drop_implied(symbol);
    if (symbol.value) return mark_text(symbol.value->to_host32());
    return symbol.bits ? bitwise_text(symbol.text, *symbol.bits) : symbol.text;
  }
  void on(const MetaSet& e) {
    const std::string value = mark_value(get(e.from));
    act(selector_text(Meta{e.key, {}}, family_, "") + " set " + value);
  }
  void on(const CtSet& e) {
    const std::string value = mark_value(get(e.from));
    act(selector_text(Ct{e.key, {}, {}}, family_, "") + " set " + value);
  }

  void on(const Nat& e) {
    const bool mapped = e.address && get(*e.address).from_map;
    std::string text = e.type == NFT_NAT_DNAT ? "dnat" : "snat";
    // nft names the family where the table does not say it, and for data of several components.
    if (rule_.family == TableFamily::kInet || (mapped && e.port))
      text += e.family == Family::kIpv4 ? " ip" : " ip6";
    if (e.address || e.port) text += " to ";
    if (mapped) {
      drop_implied(get(*e.address));
      text += get(*e.address).text;
    } else {
      text += constant_target(e);
    }
    act(text + nat_flags_text(e.flags));
  }
  std::string constant_target(const Nat& e) const {
    std::string text;
    if (e.address) {
      const Symbol& address = get(*e.address);
      text = address.value ? value_text(address.type, address.value->bytes()) : address.text;
    }
    if (!e.port) return text;
    if (e.address && e.family == Family::kIpv6) text = "[" + text + "]";
    const Symbol& port = get(*e.port);
    return text + ":" + (port.value ? std::to_string(port.value->to_be16()) : port.text);
  }

  void on(const Masquerade& e) { act("masquerade" + nat_flags_text(e.flags)); }
  void on(const Counter& e) {
    act("counter packets " + std::to_string(e.packets) + " bytes " + std::to_string(e.bytes));
  }
  void on(const Notrack&) { act("notrack"); }
  void on(const Unknown& e) { act("# " + (e.name.empty() ? "unknown" : e.name)); }

  void on(const Reject& e) {
    if (e.type == NFT_REJECT_TCP_RST) {
      if (rule_.family != TableFamily::kInet) drop(transport_match_);
      return act("reject with tcp reset");
    }
    act(e.type == NFT_REJECT_ICMPX_UNREACH ? reject_icmpx(e.code) : reject_icmp(e.code));
  }
  static std::string reject_icmpx(uint8_t code) {
    constexpr const char* kCodes[] = {"no-route", "port-unreachable", "host-unreachable",
                                      "admin-prohibited"};
    if (code == NFT_REJECT_ICMPX_PORT_UNREACH) return "reject";
    return "reject with icmpx " + (code < 4 ? kCodes[code] : std::to_string(code));
  }
  std::string reject_icmp(uint8_t code) const {
    const bool v6 = family_ == Family::kIpv6;
    if (rule_.family != TableFamily::kInet && code == (v6 ? 4 : 3)) return "reject";
    if (v6) {
      constexpr const char* kCodes[] = {"no-route", "admin-prohibited", "2", "addr-unreachable",
                                        "port-unreachable"};
      return "reject with icmpv6 " + (code < 5 ? kCodes[code] : std::to_string(code));
    }
    constexpr const char* kCodes[] = {"net-unreachable", "host-unreachable", "prot-unreachable",
                                      "port-unreachable"};
    if (code < 4) return std::string("reject with icmp ") + kCodes[code];
    return "reject with icmp " + (code == 13 ? "admin-prohibited" : std::to_string(code));
  }

  void on(const Dynset& e) {
    const size_t key_words = e.data ? e.data->word - std::min(e.data->word, e.key.word) : 16;
    const Symbol key = concatenation(e.key, key_words);
    drop_implied(key);
    std::string text = e.op == NFT_DYNSET_OP_ADD      ? "add"
                       : e.op == NFT_DYNSET_OP_UPDATE ? "update"
                                                      : "delete";
    text += " @" + e.set + " { " + key.text;
    if (e.timeout_ms != 0) text += " timeout " + time_text(e.timeout_ms);
    if (e.data) text += " : " + concatenation(*e.data).text;
    act(text + " }");
  }

  void on(const Limit& e) {
    constexpr struct {
      uint64_t seconds;
      const char* name;
    } kUnits[] = {{1, "second"}, {60, "minute"}, {3600, "hour"}, {86400, "day"}, {604800, "week"}};
    std::string unit = std::to_string(e.unit_seconds) + "s";
    for (const auto& [seconds, name] : kUnits)
      if (seconds == e.unit_seconds) unit = name;
    std::string text =
        std::string("limit rate ") + (e.over ? "over " : "") + std::to_string(e.rate) + "/" + unit;
    if (e.burst != 5 && e.burst != 0) text += " burst " + std::to_string(e.burst) + " packets";
    act(text);
  }

  void on(const Log& e) {
    std::string text = "log";
    if (!e.prefix.empty()) text += " prefix " + quoted(e.prefix);
    if (e.group) text += " group " + std::to_string(*e.group);
    act(text);
  }

  static constexpr size_t registers_count = 16;

  const Rule& rule_;
  std::optional<Family> family_;
  size_t index_ = 0;
  std::array<std::optional<Symbol>, registers_count> registers_;
  std::vector<std::string> statements_;
  std::string transport_;           // "tcp" once a match has said so
  size_t transport_match_ = kNone;  // that match, while the next may imply it
  size_t network_match_ = kNone;
};

}  // namespace

std::string to_nft(const Rule& rule) {
  return Renderer(rule).run();
}

}  // namespace fairlead::netlink::nft
