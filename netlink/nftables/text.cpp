// SPDX-License-Identifier: Apache-2.0
#include "netlink/nftables/text.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>

#include "netlink/nftables/text_value.h"

namespace fairlead::netlink::nft {

namespace {

// The bytes of component `index` of a value laid out as Value::concat does; empty when it ends
// before.
Bytes component(const std::vector<Field>& fields, size_t index, Bytes value) {
  size_t start = 0;
  for (size_t i = 0; i < index; ++i) start += padded(fields[i].size());
  const size_t size = fields[index].size();
  if (start + size > value.size()) return {};
  return value.subspan(start, size);
}

std::string fields_text(const std::vector<Field>& fields) {
  std::string text;
  for (const Field& field : fields) {
    if (!text.empty()) text += " . ";
    if (!field.source) {
      text += name_of(field.type);
      continue;
    }
    const auto* payload = std::get_if<Payload>(&*field.source);
    const bool v6 = payload != nullptr && payload->length == 16;
    text += selector_text(*field.source, v6 ? Family::kIpv6 : Family::kIpv4, "");
  }
  return text;
}

// nft sorts the elements of sets without ranges: single components by value, concatenations as one
// number whose last byte weighs most (mergesort.c, expr_msort_value).
std::vector<uint8_t> sort_key(const Set& set, const Value& key) {
  std::vector<uint8_t> bytes;
  const bool concatenated = set.key.size() > 1;
  for (size_t i = 0; i < set.key.size(); ++i) {
    const Bytes part = component(set.key, i, key.bytes());
    bytes.insert(bytes.end(), part.begin(), part.end());
  }
  const DataType type = set.key.empty() ? DataType::kNone : set.key[0].type;
  const bool host_order = type == DataType::kMark || type == DataType::kInteger ||
                          type == DataType::kIfindex || type == DataType::kIfname;
  if (concatenated || host_order) std::reverse(bytes.begin(), bytes.end());
  return bytes;
}

std::vector<Element> sorted(const Set& set, const std::vector<Element>& elements) {
  std::vector<std::pair<std::vector<uint8_t>, const Element*>> keyed;
  keyed.reserve(elements.size());
  for (const Element& element : elements) keyed.emplace_back(sort_key(set, element.key), &element);
  std::stable_sort(keyed.begin(), keyed.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Element> result;
  result.reserve(elements.size());
  for (const auto& [key, element] : keyed) result.push_back(*element);
  return result;
}

// Adds or takes one from a big-endian number.
Value step(const Value& value, int direction) {
  uint8_t bytes[Value::kMax];
  const size_t size = value.size();
  std::memcpy(bytes, value.bytes().data(), size);
  for (size_t i = size; i-- > 0;) {
    bytes[i] = static_cast<uint8_t>(bytes[i] + direction);
    if (bytes[i] != (direction > 0 ? 0x00 : 0xff)) break;
  }
  return Value::of(Bytes(bytes, size));
}

// A plain interval set holds the first value of each range and, marked, the first value behind it.
// Turns both into one element with an inclusive key_end.
std::vector<Element> joined(const std::vector<Element>& elements) {
  std::vector<Element> edges = elements;
  std::stable_sort(edges.begin(), edges.end(), [](const Element& a, const Element& b) {
    if (a.key != b.key) return a.key < b.key;
    return a.interval_end && !b.interval_end;
  });
  std::vector<Element> ranges;
  for (size_t i = 0; i < edges.size(); ++i) {
    if (edges[i].interval_end) continue;
    Element range = edges[i];
    if (i + 1 < edges.size()) {
      range.key_end = step(edges[i + 1].key, -1);
    } else {
      uint8_t last[Value::kMax];
      std::fill(std::begin(last), std::end(last), uint8_t{0xff});
      range.key_end = Value::of(Bytes(last, range.key.size()));
    }
    ranges.push_back(std::move(range));
  }
  return ranges;
}

// How many elements nft puts on a line (expression.c, calculate_delim).
size_t elements_per_line(const Set& set) {
  if (set.key.size() != 1) return 1;
  switch (set.key[0].type) {
    case DataType::kNfproto:
    case DataType::kInteger:
    case DataType::kInetProto:
    case DataType::kInetService:
    case DataType::kMark:
    case DataType::kIfindex:
    case DataType::kEtherType:
    case DataType::kCtState:
    case DataType::kCtStatus:
      return 5;
    case DataType::kIpv4Addr:
      return 2;
    case DataType::kNone:
    case DataType::kVerdict:
    case DataType::kIpv6Addr:
    case DataType::kIfname:
    case DataType::kFibAddress:
    case DataType::kFibPresence:
      return 1;
  }
  return 1;
}

std::string elements_text(const Set& set, const std::vector<Element>& elements) {
  const bool plain_ranges = set.interval && set.key.size() == 1;
  const std::vector<Element> rows = plain_ranges   ? joined(elements)
                                    : set.interval ? elements
                                                   : sorted(set, elements);
  if (rows.empty()) return "";
  const size_t per_line = elements_per_line(set);
  std::string text = "\t\telements = { ";
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i > 0) text += i % per_line == 0 ? ",\n\t\t\t     " : ", ";
    text += to_nft(set, rows[i]);
  }
  return text + " }\n";
}

std::string flags_text(const Set& set) {
  std::string text;
  const auto add = [&](bool on, const char* name) {
    if (on) text += (text.empty() ? "" : ",") + std::string(name);
  };
  // A default timeout says "timeout" already, unless other flags make a line of their own.
  if (!set.constant && !set.dynamic && !set.interval && set.timeout_ms != 0) return "";
  add(set.constant, "constant");
  add(set.dynamic, "dynamic");
  add(set.interval, "interval");
  add(set.has_timeout, "timeout");
  return text;
}

std::string data_text(const Set& set, const Element& element) {
  if (const auto* verdict = std::get_if<Verdict>(&element.data)) return " : " + verdict->to_nft();
  if (const auto* value = std::get_if<Value>(&element.data))
    return " : " + to_nft(set.data, *value);
  return "";
}

std::string_view hook_name(uint32_t hook) {
  switch (hook) {
    case NF_INET_PRE_ROUTING:
      return "prerouting";
    case NF_INET_LOCAL_IN:
      return "input";
    case NF_INET_FORWARD:
      return "forward";
    case NF_INET_LOCAL_OUT:
      return "output";
    case NF_INET_POST_ROUTING:
      return "postrouting";
    case NF_INET_INGRESS:
      return "ingress";
    default:
      return "unknown";
  }
}

// nft names a priority that is within 10 of a standard one (rule.c, prio2str).
std::string priority_text(const BaseChain& base) {
  constexpr struct {
    const char* name;
    int32_t priority;
    std::optional<uint32_t> only_hook;
  } kStandard[] = {{"raw", -300, {}}, {"mangle", -150, {}}, {"dstnat", -100, NF_INET_PRE_ROUTING},
                   {"filter", 0, {}}, {"security", 50, {}}, {"srcnat", 100, NF_INET_POST_ROUTING}};
  for (const auto& [name, priority, only_hook] : kStandard) {
    if (only_hook && *only_hook != base.hook) continue;
    const int64_t offset = int64_t{base.priority} - priority;
    if (offset == 0) return name;
    if (std::abs(offset) <= 10)
      return std::string(name) + (offset > 0 ? " + " : " - ") + std::to_string(std::abs(offset));
  }
  return std::to_string(base.priority);
}

}  // namespace

std::string to_nft(const std::vector<Field>& fields, const Value& value) {
  std::string text;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) text += " . ";
    text += value_text(fields[i].type, component(fields, i, value.bytes()));
  }
  return text;
}

std::string to_nft(const Set& set, const Element& element) {
  std::string text;
  for (size_t i = 0; i < set.key.size(); ++i) {
    const Bytes first = component(set.key, i, element.key.bytes());
    const Bytes last =
        element.key_end.empty() ? first : component(set.key, i, element.key_end.bytes());
    text += (i > 0 ? " . " : "") + range_text(set.key[i].type, first, last);
  }
  if (element.counter)
    text += " counter packets " + std::to_string(element.counter->packets) + " bytes " +
            std::to_string(element.counter->bytes);
  if (element.timeout_ms != 0) text += " timeout " + time_text(element.timeout_ms);
  if (element.expires_ms != 0) text += " expires " + time_text(element.expires_ms);
  if (!element.comment.empty()) text += " comment " + quoted(element.comment);
  return text + data_text(set, element);
}

std::string to_nft(const Set& set, const std::vector<Element>& elements) {
  std::string text = std::string("\t") + (set.is_map() ? "map " : "set ") + set.name + " {\n";
  const bool from_source = !set.key.empty() && set.key[0].source;
  text += std::string("\t\t") + (from_source ? "typeof " : "type ") + fields_text(set.key);
  if (set.is_map()) text += " : " + fields_text(set.data);
  text += "\n";
  if (set.size != 0 && !set.constant) text += "\t\tsize " + std::to_string(set.size) + "\n";
  if (set.counter) text += "\t\tcounter\n";
  if (const std::string flags = flags_text(set); !flags.empty())
    text += "\t\tflags " + flags + "\n";
  if (set.timeout_ms != 0) text += "\t\ttimeout " + time_text(set.timeout_ms) + "\n";
  if (set.gc_interval_ms != 0) text += "\t\tgc-interval " + time_text(set.gc_interval_ms) + "\n";
  if (!set.comment.empty()) text += "\t\tcomment " + quoted(set.comment) + "\n";
  return text + elements_text(set, elements) + "\t}\n";
}

std::string to_nft(const Chain& chain, const std::vector<Rule>& rules) {
  std::string text = "\tchain " + chain.name + " {\n";
  if (chain.base)
    text += "\t\ttype " + std::string(name_of(chain.base->type)) + " hook " +
            std::string(hook_name(chain.base->hook)) + " priority " + priority_text(*chain.base) +
            "; policy " + (chain.base->policy == Policy::kDrop ? "drop" : "accept") + ";\n";
  for (const Rule& rule : rules)
    if (rule.chain == chain.name) text += "\t\t" + to_nft(rule) + "\n";
  return text + "\t}\n";
}

std::string to_nft(const TableContent& content) {
  std::string text =
      "table " + std::string(name_of(content.table.family)) + " " + content.table.name + " {\n";
  std::string gap;
  if (content.table.dormant) {
    text += "\tflags dormant\n";
    gap = "\n";
  }
  if (!content.table.comment.empty()) text += "\tcomment " + quoted(content.table.comment) + "\n";
  for (size_t i = 0; i < content.sets.size(); ++i) {
    if (content.sets[i].anonymous) continue;
    text += gap;
    text += to_nft(content.sets[i],
                   i < content.elements.size() ? content.elements[i] : std::vector<Element>{});
    gap = "\n";
  }
  std::map<std::string, std::vector<Rule>> rules;
  for (const Rule& rule : content.rules) rules[rule.chain].push_back(rule);
  for (const Chain& chain : content.chains) {
    text += gap + to_nft(chain, rules[chain.name]);
    gap = "\n";
  }
  return text + "}\n";
}

}  // namespace fairlead::netlink::nft
