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

namespace fairlead::dns {

// Which names a rule is for, and what becomes of them. Names are text in lower case with their
// final dot.
struct NameRule {
  enum class Kind : uint8_t { kExact, kPrefix, kSuffix, kSubstring, kRegex };
  Kind kind = Kind::kExact;
  std::string from;
  std::string to;  // with kRegex, {0} to {9} are the groups
  std::shared_ptr<const Pattern> pattern;

  bool matches(std::string_view name) const;
  // The name with what has matched replaced; nothing when it does not match.
  std::optional<std::string> replace(std::string_view name) const;
};

// `answer name` and `answer value`.
struct AnswerRule {
  bool value = false;  // names in the data, not owners
  NameRule name;       // kRegex
};

struct OptionRule {
  enum class Action : uint8_t { kSet, kAppend, kReplace };
  enum class Data : uint8_t {
    kBytes,
    kQname,
    kQtype,
    kClientIp,
    kClientPort,
    kProtocol,
    kServerIp,
    kServerPort,
    kSubnet,
  };
  Action action = Action::kSet;
  uint16_t code = 0;
  Data data = Data::kBytes;
  std::vector<uint8_t> bytes;
  uint8_t prefix_v4 = 0;  // kSubnet
  uint8_t prefix_v6 = 0;
};

struct RewriteRule {
  enum class Field : uint8_t { kName, kType, kClass, kOption, kTtl, kRcode, kCname };
  Field field{};
  bool stop = true;
  NameRule name;                    // kName, kTtl, kRcode: of the query; kCname: of the target
  bool automatic = true;            // kName: the rewritten name is put back in the reply
  std::vector<AnswerRule> answers;  // kName
  uint16_t from = 0;                // kType, kClass, kRcode
  uint16_t to = 0;
  OptionRule option;       // kOption
  uint32_t least_ttl = 0;  // kTtl
  uint32_t most_ttl = 0;
};

// What the rules say about one query.
struct RewritePlan {
  struct Renamed {
    Name from;  // what the next plugins were asked
    Name to;
  };

  bool changes_query = false;
  bool bad_name = false;  // a rule makes something that is no name
  Name name;
  Type type{};
  Class klass{};
  std::vector<const OptionRule*> options;
  std::vector<Renamed> renamed;              // to be put back, the last first
  std::vector<const RewriteRule*> of_reply;  // those that change replies, in order

  const RewriteRule* cname() const;
};

RewritePlan plan_rewrite(const std::vector<RewriteRule>& rules, const Query& query);
// The query that the next plugins are asked.
std::vector<uint8_t> rewritten_query(const RewritePlan& plan, const Query& query,
                                     const Client& client);
// Puts names back and applies the rules about answers, TTLs and rcodes.
void rewrite_reply(const RewritePlan& plan, EditMessage& reply);
// Only the rules about TTLs and rcodes, in place.
void rewrite_in_place(const RewritePlan& plan, Reply& reply);

}  // namespace fairlead::dns
