// SPDX-License-Identifier: Apache-2.0
// What a Corefile says about templates.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dns/pattern.h"
#include "dns/plugin.h"
#include "dns/plugins/template/counts.h"
#include "dns/plugins/template/expression.h"
#include "dns/plugins/template/text.h"
#include "dns/setup.h"

namespace fairlead::dns {

// One directive.
struct TemplateRule {
  struct Match {
    std::string text;
    Pattern pattern;
  };
  Class klass = Class::kAny;  // kAny: every
  Type type = Type::kAny;
  std::vector<Name> zones;
  std::vector<Match> matches;  // at least one
  struct Variable {
    std::string name;
    Expression value;
    std::optional<Value> constant{};  // what it is for every query, if it is
  };
  std::vector<Variable> variables;                   // each may use those before it
  std::vector<Expression> conditions;                // all must be true, too
  std::array<std::vector<TemplateText>, 3> records;  // by section
  Rcode rcode = Rcode::kNoError;
  std::optional<Ede> error;
  std::string error_text;
  Fallthrough fallthrough;
};

struct TemplateOptions : PluginOptions {
  std::string server;
  std::vector<std::unique_ptr<TemplateRule>> rules;
  mutable TemplateCountsOfAll counts;
};

Result<std::shared_ptr<PluginOptions>> parse_template(const PluginKind::Directives& directives,
                                                      BlockSetup& block);

}  // namespace fairlead::dns
