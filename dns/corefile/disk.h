// SPDX-License-Identifier: Apache-2.0
// The files of this machine, for Corefiles.
#pragma once

#include "dns/corefile/imports.h"

namespace fairlead::dns::corefile {

class DiskFiles : public Files {
 public:
  Result<std::string> read(const std::string& path) override;
  std::vector<std::string> glob(const std::string& pattern) override;
};

}  // namespace fairlead::dns::corefile
