// SPDX-License-Identifier: Apache-2.0
// Regular expressions in the syntax of Go, as Corefiles have them, by RE2, whose Go has; and names
// as the text they are matched against. Matching takes time linear in the text, whatever the
// expression. A pattern is constant once made, and may be used by any number of threads.
#pragma once

#include <re2/re2.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dns/name.h"

namespace fairlead::dns {

constexpr size_t kMaxPattern = 10000;  // as CoreDNS

// A name in lower case with its final dot, written on the stack.
class NameText {
 public:
  explicit NameText(const Name& name);
  std::string_view view() const { return {text_, size_}; }

 private:
  size_t size_ = 0;
  char text_[4 * kMaxNameSize];
};

// One label of a name, as NameText writes it: what a client has sent, fit for a log.
std::string label_text(std::string_view label);

class Pattern {
 public:
  static Result<Pattern> compile(std::string_view text);

  // Whether it matches anywhere in the text. `groups`, if given: the whole match and each group's,
  // "" for those that take no part.
  bool search(std::string_view text, std::vector<std::string>* groups = nullptr) const;
  // By group, "" for those without; the first is the whole match.
  const std::vector<std::string>& group_names() const { return names_; }

 private:
  std::shared_ptr<const re2::RE2> regex_;
  std::vector<std::string> names_;
};

}  // namespace fairlead::dns
