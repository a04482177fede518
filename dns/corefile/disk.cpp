// SPDX-License-Identifier: Apache-2.0
#include "dns/corefile/disk.h"

#include <glob.h>

#include "base/file.h"

namespace fairlead::dns::corefile {

// Zone files are larger than what a Corefile is made of, which has a limit of its own.
constexpr size_t kMaxRead = 256 << 20;

Result<std::string> DiskFiles::read(const std::string& path) {
  return read_file(path, kMaxRead);
}

std::vector<std::string> DiskFiles::glob(const std::string& pattern) {
  std::vector<std::string> paths;
  glob_t found{};
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0)
    for (size_t i = 0; i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
  globfree(&found);
  return paths;
}

}  // namespace fairlead::dns::corefile
