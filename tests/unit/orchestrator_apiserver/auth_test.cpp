// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/auth/auth.h"

#include <gtest/gtest.h>

namespace fairlead::orchestrator::apiserver {
namespace {

// What a kubelet asks for before it calls its node Ready, and not for another node's.
TEST(Auth, ANodeIsItsOwn) {
  struct Row {
    const char *verb, *group, *resource, *name;
    bool allowed;
  };
  const Row rows[] = {
      {"get", "storage.k8s.io", "csinodes", "n", true},
      {"create", "storage.k8s.io", "csinodes", "", true},
      {"update", "storage.k8s.io", "csinodes", "n", true},
      {"get", "storage.k8s.io", "csinodes", "other", false},
      {"update", "storage.k8s.io", "csinodes", "other", false},
      {"list", "storage.k8s.io", "csinodes", "", false},
      {"watch", "storage.k8s.io", "csidrivers", "", true},
      {"create", "storage.k8s.io", "csidrivers", "", false},
      {"list", "node.k8s.io", "runtimeclasses", "", true},
      {"delete", "node.k8s.io", "runtimeclasses", "r", false},
      {"patch", "", "nodes", "n", true},
      {"patch", "", "nodes", "other", false},
  };
  const User node{"system:node:n", {"system:nodes", "system:authenticated"}};
  for (const Row& row : rows) {
    RequestInfo info;
    info.is_resource = true;
    info.verb = row.verb;
    info.group = row.group;
    info.resource = row.resource;
    info.name = row.name;
    EXPECT_EQ(!authorize(node, info, "/"), row.allowed)
        << row.verb << " " << row.resource << " " << row.name;
  }
}

}  // namespace
}  // namespace fairlead::orchestrator::apiserver
