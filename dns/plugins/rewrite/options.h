// SPDX-License-Identifier: Apache-2.0
// `rewrite edns0`: what a rule makes of the options of a query's OPT record, and how that is undone
// in the reply. Options are the record's data as bytes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dns/plugin.h"

namespace fairlead::dns {

struct OptionRule {
  enum class Action : uint8_t { kSet, kAppend, kReplace, kUnset };
  enum class Data : uint8_t {
    kBytes,
    kQname,
    kQtype,
    kClientIp,
    kClientPort,
    kProtocol,
    kServerIp,
    kServerPort,
    kLabel,
    kSubnet,
  };
  Action action = Action::kSet;
  uint16_t code = 0;
  Data data = Data::kBytes;
  std::vector<uint8_t> bytes;
  std::string label;      // kLabel
  uint8_t prefix_v4 = 0;  // kSubnet
  uint8_t prefix_v6 = 0;
  bool revert = false;  // the reply is as if the rule had not been
  bool told = false;    // the reply has the option too, if it has none of the code
};

// A query as the rules before have made it.
struct OptionQuestion {
  const Name& name;
  Type type;
  const Client& client;
};

// What the first option of a code was before a rule; nothing: there was none.
struct OptionUndo {
  uint16_t code = 0;
  std::optional<std::vector<uint8_t>> before;
  bool told = false;  // a reply without one has it, too, as it was
};

struct OptionChange {
  std::vector<uint8_t> options;
  std::optional<OptionUndo> undo{};            // of rules that are to be reverted
  std::optional<std::vector<uint8_t>> told{};  // the data, where the reply is to have it
};

// Nothing when the rule is not for the query: there is nothing to replace, an option to append is
// there, or a label has no value.
std::optional<OptionChange> change_options(const OptionRule& rule, const OptionQuestion& question,
                                           std::span<const uint8_t> options);
bool has_option(std::span<const uint8_t> options, uint16_t code);
// With one more, unless there is one of the code.
std::vector<uint8_t> tell_option(uint16_t code, std::span<const uint8_t> data,
                                 std::span<const uint8_t> options);
// A reply's options as they would be without the rule.
std::vector<uint8_t> undo_options(const OptionUndo& undo, std::span<const uint8_t> options);

}  // namespace fairlead::dns
