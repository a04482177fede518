// SPDX-License-Identifier: Apache-2.0
// The rules of `rewrite` and what they make of a query and of its reply.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dns/edit.h"
#include "dns/pattern.h"
#include "dns/plugin.h"
#include "dns/plugins/rewrite/options.h"

namespace fairlead::dns {

// Which names a rule is for, and what becomes of them. Names are text in lower case with their
// final dot.
struct NameRule {
  enum class Kind : uint8_t { kExact, kPrefix, kSuffix, kSubstring, kRegex };
  Kind kind = Kind::kExact;
  std::string from;
  std::string to;  // with kRegex, {0}, {1}... are the groups
  std::shared_ptr<const Pattern> pattern;

  bool matches(std::string_view name) const;
  // The name with what has matched replaced; nothing when it does not match.
  std::optional<std::string> replace(std::string_view name) const;
};

// A group such as {12} in a new name.
struct GroupInText {
  size_t number = 0;
  size_t size = 0;  // with its braces
};
// Nothing when none begins at text[at].
std::optional<GroupInText> group_at(std::string_view text, size_t at);

// `answer name` and `answer value`.
struct AnswerRule {
  bool value = false;  // names in the data, not owners
  NameRule name;       // kRegex
};

struct RewriteRule {
  enum class Field : uint8_t { kName, kType, kClass, kOption, kTtl, kRcode, kCname };
  // How names in the reply become the client's again: not, those that are the new name, those below
  // it, too, or by the rule's suffix taken backwards.
  enum class Back : uint8_t { kNot, kName, kBelow, kSuffix };
  Field field{};
  bool stop = true;
  NameRule name;                    // kName, kTtl, kRcode: of the query; kCname: of the target
  Back back = Back::kName;          // kName
  std::vector<AnswerRule> answers;  // kName
  uint16_t from = 0;                // kType, kClass, kRcode
  uint16_t to = 0;
  OptionRule option;       // kOption
  uint32_t least_ttl = 0;  // kTtl
  uint32_t most_ttl = 0;
};

// What the rules say about one query.
struct RewritePlan {
  // Something to be done to the reply; the last one first.
  struct Step {
    const RewriteRule* rule = nullptr;
    Name asked{};  // kName: what the next plugins were asked, and instead of what
    Name instead_of{};
    std::optional<OptionUndo> undo{};  // kOption
    std::optional<std::vector<uint8_t>> told{};
  };

  bool changes_query = false;
  bool bad_name = false;  // a rule makes something that is no name
  Name name;
  Type type{};
  Class klass{};
  std::optional<std::vector<uint8_t>> options;  // of the OPT record, if a rule looked at them
  std::vector<Step> of_reply;

  bool follows_cnames() const;
};

// A reply of the next plugins, without its OPT record.
struct RewrittenReply {
  EditMessage& message;
  Rcode& rcode;
  std::vector<uint8_t>& options;
};

RewritePlan plan_rewrite(const std::vector<RewriteRule>& rules, const Query& query,
                         const Client& client);
// The query that the next plugins are asked.
std::vector<uint8_t> rewritten_query(const RewritePlan& plan, const Query& query);
// Puts names back and applies the rules about answers, TTLs, rcodes and options.
void rewrite_reply(const RewritePlan& plan, RewrittenReply reply);
// Cuts the answers behind the first CNAME that a rule is for, and says where it leads now.
std::optional<Name> redirect_cname(const RewritePlan& plan, EditMessage& reply);
// Only the rules about TTLs and rcodes, in place.
void rewrite_in_place(const RewritePlan& plan, Reply& reply);

}  // namespace fairlead::dns
