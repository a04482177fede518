// SPDX-License-Identifier: Apache-2.0
// Pods for tests of the node's pure parts.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "orchestrator/node/pod_spec.h"

namespace fairlead::orchestrator {

using Json = nlohmann::json;

inline PodSpec pod_of(const Json& spec) {
  const Json object = {
      {"metadata",
       {{"name", "p"}, {"namespace", "ns"}, {"uid", "u"}, {"labels", {{"app", "web"}}}}},
      {"spec", spec}};
  auto pod = parse_pod(object);
  EXPECT_TRUE(pod.ok());
  return *pod;
}

}  // namespace fairlead::orchestrator
