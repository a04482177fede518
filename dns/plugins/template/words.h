// SPDX-License-Identifier: Apache-2.0
// The words of an action ("{{ index .Match 1 }}" has three), as Go's text/template parts them.
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fairlead::dns {

struct ActionWord {
  enum class Kind : uint8_t {
    kName,      // if, index, true
    kField,     // .Name; text without the dot
    kDot,       // .
    kVariable,  // $x; text with the dollar
    kString,    // "x" and `x`; text without quotes
    kNumber,
    kMark,  // ( ) | , := =
    kEnd,
  };
  Kind kind = Kind::kEnd;
  std::string text;
  int64_t number = 0;
  bool after_blank = false;  // a field that follows something at once belongs to it

  bool is(std::string_view mark) const { return kind == Kind::kMark && text == mark; }
};

// With kEnd at the end.
Result<std::vector<ActionWord>> action_words(std::string_view action);
// Where the "}}" of an action is that begins at the start of the text; npos: there is none.
size_t action_end(std::string_view text);

}  // namespace fairlead::dns
