// SPDX-License-Identifier: Apache-2.0
// Finding where JSON values end without reading them: only strings and brackets are followed, which
// is enough to cut a document into pieces for a real parser. Pure.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

#include "base/result.h"

namespace fairlead::kube {

// Whitespace of RFC 8259 section 2.
inline bool is_json_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// Follows one string, object or array that may come in pieces. Whether brackets match in kind is
// left to the parser.
class JsonNesting {
 public:
  // Goes on from text[at]; the value's first character must be the first one given. Returns the
  // position behind the value's end, or npos when the text ends first.
  size_t follow(std::string_view text, size_t at);

 private:
  size_t depth_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
};

// Where the number, true, false or null at text[at] ends, at the latest at the end of the text.
size_t end_of_scalar(std::string_view text, size_t at);

// Calls back for every member of the object that is the whole of `document`, with the key as
// written (escapes untouched) and the value's text.
using OnMember = std::function<void(std::string_view key, std::string_view value)>;
Result<void> scan_members(std::string_view document, const OnMember& on_member);

}  // namespace fairlead::kube
