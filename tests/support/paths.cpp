// SPDX-License-Identifier: Apache-2.0
#include "tests/support/paths.h"

namespace fairlead::test {

std::string source_path(const std::string& name) {
  return std::string(FAIRLEAD_SOURCE_DIR) + "/" + name;
}

std::string program_path(const std::string& name) {
  return std::string(FAIRLEAD_BINARY_DIR) + "/bin/" + name;
}

}  // namespace fairlead::test
