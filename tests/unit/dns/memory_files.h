// SPDX-License-Identifier: Apache-2.0
// Files for Corefiles that are only in memory.
#pragma once

#include <fnmatch.h>

#include <map>
#include <string>
#include <vector>

#include "dns/corefile/imports.h"

namespace fairlead::dns::test {

class MemoryFiles : public corefile::Files {
 public:
  std::map<std::string, std::string> texts;

  Result<std::string> read(const std::string& path) override {
    const auto at = texts.find(path);
    if (at == texts.end()) return Error(ErrorCode::kNotFound, path + ": no such file");
    return at->second;
  }
  std::vector<std::string> glob(const std::string& pattern) override {
    std::vector<std::string> out;
    for (const auto& [path, text] : texts)
      if (fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME) == 0) out.push_back(path);
    return out;
  }
};

}  // namespace fairlead::dns::test
