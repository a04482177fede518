// SPDX-License-Identifier: Apache-2.0
#include "proxy/choice.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdio>

namespace fairlead::proxy {

namespace {

constexpr std::string_view kNode = "node_";
constexpr std::string_view kMap = "aff_";

struct Word {
  Treatment treatment;
  std::string_view text;
};
constexpr std::string_view kRefuseName = "refuse";
constexpr Word kWords[] = {{Treatment::kCluster, "sel_"}, {Treatment::kExternal, "ext_"},
                           {Treatment::kLocal, "local_"}, {Treatment::kInside, "inside_"},
                           {Treatment::kLearn, "learn_"}, {Treatment::kSplit, "split_"},
                           {Treatment::kRelay, "relay_"}};

std::string hexadecimal(uint64_t number) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(number));
  return text;
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// As name() writes them: without leading zeros.
bool take_decimal(std::string_view& text, uint32_t& into) {
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, into);
  if (error != std::errc() || (text[0] == '0' && rest != text.data() + 1)) return false;
  text.remove_prefix(static_cast<size_t>(rest - text.data()));
  return true;
}

bool take_number(std::string_view& text, std::string_view prefix, uint64_t& into) {
  if (!take(text, prefix)) return true;
  if (text.size() < 16) return false;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + 16, into, 16);
  const bool whole = error == std::errc() && rest == text.data() + 16 && into != 0 &&
                     hexadecimal(into) == text.substr(0, 16);
  text.remove_prefix(16);
  return whole;
}

// The next of the counts that a chain may have: 1 to 8, then four to a doubling. (4 has none, but
// in tables of earlier versions.)
uint32_t next_class(uint32_t count) {
  const uint32_t step = std::max(std::bit_ceil(count) / 8, 1u);
  return (count + step - 1) / step * step;
}

bool is_class(uint32_t choices) {
  return choices != 0 && choices <= 1u << 31 && next_class(choices) == choices;
}

bool possible(const Choice& choice) {
  if (choice.treatment == Treatment::kLearn || choice.treatment == Treatment::kSplit)
    return choice.choices != 0 && choice.affinity != 0 && choice.guard == 0 && !choice.node_port;
  if (choice.treatment == Treatment::kLocal)
    return is_class(choice.inside) && (choice.choices == 0 || is_class(choice.choices));
  if (choice.treatment == Treatment::kRelay) return choice.choices == 1 && choice.affinity == 0;
  return is_class(choice.choices);
}

}  // namespace

std::string Choice::name() const {
  if (treatment == Treatment::kDrop) return "";
  std::string result(node_port ? kNode : "");
  for (const Word& word : kWords)
    if (word.treatment == treatment) result += word.text;
  result += treatment == Treatment::kRefuse ? kRefuseName : std::to_string(choices);
  if (treatment == Treatment::kLocal) result += "_" + std::to_string(inside);
  if (affinity != 0) result += "_a" + hexadecimal(affinity);
  if (guard != 0) result += "_g" + hexadecimal(guard);
  return result;
}

std::vector<Choice> Choice::needs() const {
  if (guard != 0) {
    Choice unguarded = *this;
    unguarded.guard = 0;
    return {unguarded};
  }
  if (treatment == Treatment::kLocal)
    return {{node_port, Treatment::kInside, inside, 0, 0, affinity_anywhere(affinity)}};
  if (treatment == Treatment::kSplit)
    return {{false, Treatment::kLearn, choices, 0, 0, affinity_here(affinity)},
            {false, Treatment::kLearn, choices, 0, 0, affinity_anywhere(affinity)}};
  return {};
}

Choice Choice::learn(uint32_t seconds) const {
  const Treatment kind = treatment == Treatment::kLocal ? Treatment::kSplit : Treatment::kLearn;
  return {false, kind, seconds, 0, 0, affinity};
}

std::string affinity_map_name(uint64_t number) {
  return std::string(kMap) + hexadecimal(number);
}

std::optional<uint64_t> parse_affinity_map(std::string_view name) {
  uint64_t number = 0;
  if (!name.starts_with(kMap) || !take_number(name, kMap, number) || !name.empty())
    return std::nullopt;
  return number;
}

std::optional<Choice> parse_choice(std::string_view text) {
  Choice choice;
  if (take(text, kRefuseName)) {
    if (!take_number(text, "_g", choice.guard) || choice.guard == 0 || !text.empty())
      return std::nullopt;
    return choice;
  }
  choice.node_port = take(text, kNode);
  for (const Word& word : kWords) {
    if (!take(text, word.text)) continue;
    choice.treatment = word.treatment;
    break;
  }
  if (!choice.has_chain()) return std::nullopt;
  const bool local = choice.treatment == Treatment::kLocal;
  if (!take_decimal(text, choice.choices)) return std::nullopt;
  if (local && (!take(text, "_") || !take_decimal(text, choice.inside))) return std::nullopt;
  if (!take_number(text, "_a", choice.affinity) || !take_number(text, "_g", choice.guard) ||
      !text.empty() || !possible(choice))
    return std::nullopt;
  return choice;
}

uint32_t choices_for(size_t endpoints) {
  const auto count = static_cast<uint32_t>(endpoints);
  return count <= kExact ? count : next_class(count + 1);
}

bool choices_will_do(uint32_t choices, size_t endpoints) {
  if (choices == choices_for(endpoints)) return true;
  return choices > kExact && endpoints <= choices && 2 * endpoints > choices;
}

}  // namespace fairlead::proxy
