// SPDX-License-Identifier: Apache-2.0
// $GENERATE, BIND's short form of many entries: "$GENERATE 1-3 host-$ A 192.0.2.$".
//
//   START-STOP[/STEP]             the numbers
//   $                             the number, in what follows
//   ${OFFSET[,WIDTH[,BASE]]}      the number plus an offset, with zeros in front to the width, in
//                                 base d, o, x, X, n or N (hexadecimal digits turned round, with
//                                 dots between them, for ip6.arpa)
//   $$, \$                        a dollar
//
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fairlead::dns {

struct GenerateRange {
  uint32_t start = 0;
  uint32_t stop = 0;
  uint32_t step = 1;
  uint64_t count() const { return (uint64_t{stop} - start) / step + 1; }
};

Result<GenerateRange> generate_range(std::string_view text);
// The text with its dollars replaced for one number.
Result<std::string> generate_text(std::string_view text, uint32_t number);

}  // namespace fairlead::dns
