// SPDX-License-Identifier: Apache-2.0
// A node's runner that pretends: binds pods (unless a scheduler does), starts them, reports them
// ready, ends the deleted ones. Works on the FakeApi at once, one step a call; deterministic.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/support/fake_api.h"

namespace fairlead::test {

class FakeKubelet {
 public:
  FakeKubelet(FakeApi& api, Clock& clock, std::vector<std::string> nodes)
      : api_(api), clock_(clock), nodes_(std::move(nodes)) {}

  bool bind = true;                                             // false: leave that to a scheduler
  std::function<bool(const nlohmann::json& pod)> may_be_ready;  // empty: every pod may

  void set_nodes(std::vector<std::string> nodes) { nodes_ = std::move(nodes); }

  // Moves every pod one step: bind, run and be ready, or end if deleting. Returns whether any
  // moved.
  bool step();
  // Moves one pod, chosen by `pick`; false when none can move.
  bool step_one(size_t pick);

 private:
  bool move(const nlohmann::json& pod);

  FakeApi& api_;
  Clock& clock_;
  std::vector<std::string> nodes_;
  size_t next_node_ = 0;
  int next_ip_ = 1;
};

}  // namespace fairlead::test
