// SPDX-License-Identifier: Apache-2.0
// The Corefiles of distributions, as they ship them.
#pragma once

#include <vector>

namespace fairlead::test {

struct DefaultCorefile {
  const char* name;
  const char* text;
};

extern const std::vector<DefaultCorefile> kDefaultCorefiles;

}  // namespace fairlead::test
