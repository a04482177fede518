// SPDX-License-Identifier: Apache-2.0
#include "proxy/iptables_save.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <optional>

namespace fairlead::proxy {

namespace {

using MatchKind = IptablesMatch::Kind;
using Target = IptablesRule::Target;

constexpr size_t kMaxWords = 256;  // of a line

std::optional<uint32_t> number(std::string_view text) {
  const bool hex = text.starts_with("0x");
  if (hex) text.remove_prefix(2);
  uint32_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, hex ? 16 : 10);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

// "0x4000/0x4000"; without a mask all bits.
std::optional<std::pair<uint32_t, uint32_t>> masked(std::string_view text) {
  const size_t slash = text.find('/');
  const auto value = number(text.substr(0, slash));
  const auto mask = slash == std::string_view::npos ? std::optional<uint32_t>(~0u)
                                                    : number(text.substr(slash + 1));
  if (!value || !mask) return std::nullopt;
  return std::pair(*value, *mask);
}

std::optional<std::pair<uint32_t, uint32_t>> ports(std::string_view text) {
  const size_t colon = text.find(':');
  const auto first = number(text.substr(0, colon));
  const auto last = colon == std::string_view::npos ? first : number(text.substr(colon + 1));
  if (!first || !last || *last > 65535 || *first > *last) return std::nullopt;
  return std::pair(*first, *last);
}

std::optional<uint32_t> protocol(std::string_view text) {
  for (const Protocol known : {Protocol::kTcp, Protocol::kUdp, Protocol::kSctp})
    if (text == protocol_name(known)) return protocol_number(known);
  if (text == "icmp") return 1;
  if (text == "ipv6-icmp" || text == "icmpv6") return 58;
  return number(text);
}

// Words as the shell would split them; quotes hold one together, \ takes the next letter as it is.
Result<std::vector<std::string>> split(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  bool quoted = false, inside = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '\\' && i + 1 < line.size()) {
      word += line[++i];
      inside = true;
    } else if (c == '"') {
      quoted = !quoted;
      inside = true;
    } else if (!quoted && (c == ' ' || c == '\t')) {
      if (inside) words.push_back(std::exchange(word, {}));
      inside = false;
    } else {
      word += c;
      inside = true;
    }
  }
  if (quoted) return Error(ErrorCode::kInvalid, "a quote is not closed");
  if (inside) words.push_back(std::move(word));
  if (words.size() > kMaxWords) return Error(ErrorCode::kInvalid, "too many words");
  return words;
}

// The options of one rule, from behind its chain's name.
class RuleParser {
 public:
  RuleParser(const std::vector<std::string>& words, size_t at) : words_(words), at_(at) {}

  Result<IptablesRule> parse() {
    while (at_ < words_.size()) {
      const bool inverted = words_[at_] == "!";
      if (inverted && ++at_ == words_.size()) return wrong("nothing follows !");
      const std::string option = words_[at_++];
      if (option.empty() || option[0] != '-')
        return wrong("\"" + option + "\" stands where an option should");
      if (auto done = one(option, inverted); !done.ok()) return done.error();
    }
    if (auto done = finish_target(); !done.ok()) return done.error();
    return std::move(rule_);
  }

 private:
  static Error wrong(const std::string& what) { return Error(ErrorCode::kInvalid, what); }

  Result<std::string> value(const std::string& option) {
    if (at_ == words_.size()) return wrong(option + " needs a value");
    return words_[at_++];
  }
  IptablesMatch& add(MatchKind kind, bool inverted) {
    IptablesMatch& match = rule_.matches.emplace_back();
    match.kind = kind;
    match.inverted = inverted;
    return match;
  }
  void unknown(const std::string& name) {
    add(MatchKind::kUnknown, false).text = name;
    while (at_ < words_.size() && words_[at_] != "!" && !words_[at_].starts_with("-")) ++at_;
  }

  Result<void> one(const std::string& option, bool inverted) {
    // What stands alone.
    if (option == "--rcheck" || option == "--update") return add(MatchKind::kSeen, inverted), ok();
    if (option == "--set" && module_ == "recent") return ok();
    if (option == "--rsource" || option == "--reap" || option == "--random" ||
        option == "--random-fully" || option == "--persistent")
      return ok();
    // What decides nothing.
    for (const char* quiet : {"--comment", "--name", "--mask", "--seconds", "--hitcount",
                              "--nfacct-name", "--reject-with", "--mode", "--every", "--packet"})
      if (option == quiet) {
        if (option == "--every") add(MatchKind::kRandom, inverted).first = 1;
        const auto skipped = value(option);
        return skipped.ok() ? ok() : Result<void>(skipped.error());
      }
    const auto known = kOptions().find(option);
    if (known == kOptions().end()) return unknown(option), ok();
    const Result<std::string> text = value(option);
    if (!text.ok()) return text.error();
    if ((this->*known->second)(*text, inverted)) return ok();
    return wrong(option + ": \"" + *text + "\" is not understood");
  }

  using Reader = bool (RuleParser::*)(const std::string&, bool);
  static const std::map<std::string, Reader>& kOptions() {
    static const std::map<std::string, Reader> options = {
        {"-s", &RuleParser::source},
        {"-d", &RuleParser::destination},
        {"-i", &RuleParser::interface},
        {"-p", &RuleParser::of_protocol},
        {"-m", &RuleParser::module},
        {"-j", &RuleParser::jump},
        {"-g", &RuleParser::go_to},
        {"--dport", &RuleParser::port},
        {"--sport", &RuleParser::source_port},
        {"--src-type", &RuleParser::source_type},
        {"--dst-type", &RuleParser::target_type},
        {"--mark", &RuleParser::mark},
        {"--ctstate", &RuleParser::state},
        {"--state", &RuleParser::state},
        {"--probability", &RuleParser::probability},
        {"--to-destination", &RuleParser::to_destination},
        {"--to-source", &RuleParser::to_source},
        {"--set-xmark", &RuleParser::set_xmark},
        {"--set-mark", &RuleParser::set_mark},
        {"--or-mark", &RuleParser::or_mark},
        {"--and-mark", &RuleParser::and_mark},
        {"--xor-mark", &RuleParser::xor_mark},
    };
    return options;
  }

  bool address(MatchKind kind, const std::string& text, bool inverted) {
    const Result<Cidr> cidr = Cidr::parse_lenient(text);
    const Result<IpAddress> single = IpAddress::parse(text);
    if (!cidr.ok() && !single.ok()) return false;
    add(kind, inverted).cidr = single.ok() ? Cidr::host(*single) : *cidr;
    return true;
  }
  bool source(const std::string& text, bool inverted) {
    return address(MatchKind::kSource, text, inverted);
  }
  bool destination(const std::string& text, bool inverted) {
    return address(MatchKind::kDestination, text, inverted);
  }
  bool interface(const std::string& text, bool inverted) {
    add(MatchKind::kInInterface, inverted).text = text;
    return true;
  }
  bool of_protocol(const std::string& text, bool inverted) {
    if (text == "all") return true;
    const auto one = protocol(text);
    if (one) add(MatchKind::kProtocol, inverted).first = *one;
    return one.has_value();
  }
  bool module(const std::string& text, bool) {
    module_ = text;
    for (const char* known : {"comment", "addrtype", "tcp", "udp", "sctp", "statistic", "mark",
                              "conntrack", "state", "recent", "nfacct"})
      if (text == known) return true;
    unknown("-m " + text);
    return true;
  }
  bool range(MatchKind kind, const std::string& text, bool inverted) {
    const auto both = ports(text);
    if (!both) return false;
    IptablesMatch& match = add(kind, inverted);
    std::tie(match.first, match.last) = *both;
    return true;
  }
  bool port(const std::string& text, bool inverted) {
    return range(MatchKind::kPort, text, inverted);
  }
  bool source_port(const std::string& text, bool inverted) {
    return range(MatchKind::kSourcePort, text, inverted);
  }
  bool type(MatchKind kind, const std::string& option, const std::string& text, bool inverted) {
    if (text == "LOCAL")
      add(kind, inverted);
    else
      unknown(option + " " + text);
    return true;
  }
  bool source_type(const std::string& text, bool inverted) {
    return type(MatchKind::kLocalSource, "--src-type", text, inverted);
  }
  bool target_type(const std::string& text, bool inverted) {
    return type(MatchKind::kLocalTarget, "--dst-type", text, inverted);
  }
  bool mark(const std::string& text, bool inverted) {
    const auto both = masked(text);
    if (!both) return false;
    IptablesMatch& match = add(MatchKind::kMark, inverted);
    std::tie(match.first, match.last) = *both;
    return true;
  }
  bool state(const std::string& text, bool inverted) {
    IptablesMatch& match = add(MatchKind::kState, inverted);
    match.first = ("," + text + ",").find(",NEW,") != std::string::npos;
    match.last = ("," + text + ",").find(",DNAT,") != std::string::npos;
    return true;
  }
  bool probability(const std::string& text, bool inverted) {
    char* end = nullptr;
    const double share = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0' || !(share >= 0 && share <= 1)) return false;
    // What is next to nothing still happens.
    const double parts = share * 1e6;
    add(MatchKind::kRandom, inverted).first =
        static_cast<uint32_t>(share < 0.5 ? std::ceil(parts) : std::floor(parts));
    return true;
  }

  bool jump(const std::string& text, bool) { return target_name_ = text, goto_ = false, true; }
  bool go_to(const std::string& text, bool) { return target_name_ = text, goto_ = true, true; }
  bool to_destination(const std::string& text, bool) {
    const Result<SocketAddress> both = SocketAddress::parse(text);
    const Result<IpAddress> alone = IpAddress::parse(text);
    if (!both.ok() && !alone.ok()) return false;
    rule_.address = both.ok() ? both->address : *alone;
    rule_.port = both.ok() ? both->port : 0;
    has_address_ = true;
    return true;
  }
  bool to_source(const std::string&, bool) { return true; }
  bool change_mark(uint32_t value, uint32_t mask) {
    rule_.value = value;
    rule_.mask = mask;
    return true;
  }
  bool set_xmark(const std::string& text, bool) {
    const auto both = masked(text);
    return both && change_mark(both->first, both->second);
  }
  bool set_mark(const std::string& text, bool) {
    const auto both = masked(text);
    return both && change_mark(both->first, both->first | both->second);
  }
  bool or_mark(const std::string& text, bool) {
    const auto bits = number(text);
    return bits && change_mark(*bits, *bits);
  }
  bool and_mark(const std::string& text, bool) {
    const auto bits = number(text);
    return bits && change_mark(0, ~*bits);
  }
  bool xor_mark(const std::string& text, bool) {
    const auto bits = number(text);
    return bits && change_mark(*bits, 0);
  }

  Result<void> finish_target() {
    static const std::map<std::string, Target> kTargets = {
        {"", Target::kNone},          {"ACCEPT", Target::kAccept},
        {"DROP", Target::kDrop},      {"RETURN", Target::kReturn},
        {"REJECT", Target::kReject},  {"DNAT", Target::kDnat},
        {"MARK", Target::kMark},      {"MASQUERADE", Target::kMasquerade},
        {"SNAT", Target::kMasquerade}};
    const auto known = kTargets.find(target_name_);
    rule_.chain = target_name_;
    if (known != kTargets.end())
      rule_.target = known->second;
    else if (target_name_.starts_with("KUBE-"))
      rule_.target = goto_ ? Target::kGoto : Target::kJump;
    else
      rule_.target = Target::kUnknown;
    if (rule_.target == Target::kDnat && !has_address_) return wrong("DNAT to no destination");
    return ok();
  }

  const std::vector<std::string>& words_;
  size_t at_;
  IptablesRule rule_;
  std::string module_;
  std::string target_name_;
  bool goto_ = false;
  bool has_address_ = false;
};

std::optional<Family> family_of(const IptablesRule& rule) {
  for (const IptablesMatch& match : rule.matches)
    if (match.kind == MatchKind::kSource || match.kind == MatchKind::kDestination)
      return match.cidr.family();
  if (rule.target == Target::kDnat) return rule.address.family();
  return std::nullopt;
}

bool uniform(const IptablesRule& rule, Family family) {
  for (const IptablesMatch& match : rule.matches)
    if ((match.kind == MatchKind::kSource || match.kind == MatchKind::kDestination) &&
        match.cidr.family() != family)
      return false;
  return rule.target != Target::kDnat || rule.address.family() == family;
}

class Parser {
 public:
  using Families = std::map<Family, IptablesRules>;

  Result<Families> parse(std::string_view text) {
    size_t line_number = 0;
    while (!text.empty()) {
      ++line_number;
      const size_t end = std::min(text.find('\n'), text.size());
      std::string_view line = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (auto done = one(line); !done.ok()) return at(line_number, done.error().message());
    }
    if (in_table_) return at(line_number, "the text ends before COMMIT");
    if (families_.empty()) {
      if (!tables_seen_) return at(std::max<size_t>(line_number, 1), "there is no table in it");
      families_[Family::kIpv4];
    }
    return std::move(families_);
  }

 private:
  static Error at(size_t line, const std::string& what) {
    return Error(ErrorCode::kInvalid, "line " + std::to_string(line) + ": " + what);
  }
  static Error wrong(const std::string& what) { return Error(ErrorCode::kInvalid, what); }

  Result<void> one(std::string_view line) {
    if (line.empty()) return ok();
    if (line[0] == '#') return heading(line), ok();
    if (line[0] == '*') return begin_table(std::string(line.substr(1)));
    if (!in_table_) return wrong("expected *nat, *filter or another table");
    if (line == "COMMIT") return end_table();
    if (line[0] == ':') return declare(line);
    if (line[0] == '[') {  // iptables-save -c
      const size_t end = line.find("] ");
      if (end == std::string_view::npos) return wrong("counters without an end");
      line.remove_prefix(end + 2);
    }
    if (!line.starts_with("-A ")) return wrong("expected -A, a chain or COMMIT");
    return rule(line);
  }

  void heading(std::string_view line) {
    if (line.find("Generated by ip6tables") != std::string_view::npos)  // -nft-save, -legacy-save
      family_ = Family::kIpv6;
    else if (line.find("Generated by iptables") != std::string_view::npos)
      family_ = Family::kIpv4;
  }

  Result<void> begin_table(std::string name) {
    if (in_table_) return wrong("a table begins before COMMIT of the one before");
    in_table_ = tables_seen_ = true;
    table_ = std::move(name);
    chains_.clear();
    return ok();
  }

  bool counts() const { return table_ == "nat" || table_ == "filter"; }

  Result<void> end_table() {
    in_table_ = false;
    if (!counts()) return ok();
    IptablesRules& rules = families_[family_.value_or(Family::kIpv4)];
    IptablesRules::Chains& chains = table_ == "nat" ? rules.nat : rules.filter;
    if (!chains.empty()) return wrong("table " + table_ + " is there twice");
    chains = std::move(chains_);
    return ok();
  }

  Result<void> declare(std::string_view line) {
    const std::string name(line.substr(1, std::min(line.find(' '), line.size()) - 1));
    if (name.empty()) return wrong("a chain without a name");
    chains_[name];
    return ok();
  }

  Result<void> rule(std::string_view line) {
    if (!counts()) return ok();
    const Result<std::vector<std::string>> words = split(line);
    if (!words.ok()) return words.error();
    if (words->size() < 2) return wrong("-A without a chain");
    const auto chain = chains_.find((*words)[1]);
    if (chain == chains_.end()) return wrong("chain " + (*words)[1] + " is not declared");
    const bool ours = chain->first.starts_with("KUBE-");
    const bool leads_in = std::any_of(words->begin() + 2, words->end(),
                                      [](const auto& word) { return word.starts_with("KUBE-"); });
    if (!ours && !leads_in) return ok();
    Result<IptablesRule> rule = RuleParser(*words, 2).parse();
    if (!rule.ok()) return rule.error();
    if (!ours && rule->target != Target::kJump && rule->target != Target::kGoto) return ok();
    if (!family_) family_ = family_of(*rule);
    if (family_ && !uniform(*rule, *family_)) return wrong("addresses of two IP families");
    chain->second.push_back(std::move(*rule));
    return ok();
  }

  Families families_;
  std::optional<Family> family_;
  bool in_table_ = false;
  bool tables_seen_ = false;
  std::string table_;
  IptablesRules::Chains chains_;
};

}  // namespace

Result<std::map<Family, IptablesRules>> parse_iptables_save(std::string_view text) {
  return Parser().parse(text);
}

}  // namespace fairlead::proxy
