// SPDX-License-Identifier: Apache-2.0
// Where this checkout and its build are. Pure.
#pragma once

#include <string>

namespace fairlead::test {

// `name` is relative: "scripts/images", "fairlead-dns".
std::string source_path(const std::string& name);
std::string program_path(const std::string& name);  // of a program built beside the tests

}  // namespace fairlead::test
