// SPDX-License-Identifier: Apache-2.0
// The texts of `template`: records with actions in the language of Go's text/template (syntax.h),
// filled with what is known of a query. Pure but for the labels that are asked for.
//
//   {{ .Name }} {{ .Zone }} {{ .Class }} {{ .Type }} {{ .Remote }} {{ .Regex }}
//   {{ index .Match 1 }} {{ .Group.name }} {{ .Var.name }} {{ .Meta "plugin/label" }}
//   {{ .Message.Id }} {{ .Question.Name }}
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "dns/message.h"
#include "dns/plugins/template/syntax.h"

namespace fairlead::dns {

struct Client;

// What a text is filled with.
struct TemplateData {
  std::string name;  // in lower case, with the final dot
  std::string zone;
  std::string klass;
  std::string type;
  std::string remote;
  std::string regex;
  const Query* query = nullptr;
  const Client* client = nullptr;
  std::vector<std::string> match;                   // the groups
  const std::vector<std::string>* names = nullptr;  // of the groups
  ValueMap variables;                               // `var`
  std::function<std::string(std::string_view)> label;
};

class TemplateText {
 public:
  static Result<TemplateText> parse(std::string_view text);
  // Fails as Go does: an index out of range, values that cannot be compared.
  Result<std::string> fill(const TemplateData& data) const;
  // Without actions: the same for every query.
  bool constant() const;
  // The named groups and variables it uses.
  const std::vector<std::string>& groups() const { return tree_.groups; }
  const std::vector<std::string>& variables() const { return tree_.variables; }
  const std::vector<std::string>& labels() const { return tree_.labels; }
  // As Go writes it (print.h).
  const std::string& printed() const { return printed_; }

 private:
  Tree tree_;
  std::string printed_;
};

}  // namespace fairlead::dns
