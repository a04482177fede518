// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kube/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view yaml(reinterpret_cast<const char*>(data), size);
  const auto config = fairlead::kube::parse_kubeconfig(yaml, "/etc/kubernetes");
  if (config.ok() && config->server.find("://") == std::string::npos) std::abort();
  if (!config.ok() && config.error().message().empty()) std::abort();
  return 0;
}
