// SPDX-License-Identifier: Apache-2.0
// The expressions of `var` and `expr`: that part of the expr language (expr-lang.org) that names
// and addresses of queries need. No I/O and no clock.
//
//   'text' "text" `text` 1 true false nil [list]  variable  function(arguments)  # in a predicate
//   or || and &&  == != < <= > >= in contains startsWith endsWith matches (each also after `not`)
//   + - * %  not ! -  c ? a : b  list[1] text[1:2]  (e)
//
// Functions: what CoreDNS gives (client_ip(), group('a'), incidr(..), metadata(..)), and of expr's
// own those for texts, lists and numbers (expression_functions.cpp).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dns/pattern.h"
#include "dns/plugins/template/text.h"

namespace fairlead::dns {

struct ExpressionNode {
  enum class Kind : uint8_t {
    kLiteral,
    kVariable,
    kElement,  // #
    kList,
    kNot,
    kMinus,
    kBinary,  // `name` is the operator
    kChoice,
    kCall,  // `name` is the function
    kIndex,
    kSlice,
  };
  Kind kind = Kind::kLiteral;
  Value literal{};
  std::string name{};
  std::vector<ExpressionNode> parts{};
  std::shared_ptr<const Pattern> pattern{};  // of `matches` with a constant
  size_t height = 1;
};

class Expression {
 public:
  // `variables`: those there are. Fails on other names, on functions that there are not and on what
  // is not understood.
  static Result<Expression> parse(std::string_view text, const std::vector<std::string>& variables);
  // Fails on values that an operator or function does not take.
  Result<Value> evaluate(const TemplateData& data) const;
  // The labels it asks for; "": one that is only known later.
  const std::vector<std::string>& labels() const { return labels_; }
  // The variables it names, and "" for anything of the query itself.
  const std::vector<std::string>& needs() const { return needs_; }

 private:
  ExpressionNode root_;
  std::vector<std::string> labels_;
  std::vector<std::string> needs_;
};

// Whether expr has a function or keyword of that name, which no variable may have.
bool is_expression_word(std::string_view name);

}  // namespace fairlead::dns
