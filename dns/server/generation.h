// SPDX-License-Identifier: Apache-2.0
// A plan with what one worker makes of it: the routers of its listeners and the chains of its
// blocks. Threads: the worker's.
#pragma once

#include <memory>
#include <vector>

#include "base/loop.h"
#include "dns/metrics.h"
#include "dns/router.h"
#include "dns/server/plan.h"
#include "dns/zone/readers.h"

namespace fairlead::dns {

class Generation {
 public:
  // All but the plan outlive it. `plan` was read by read_config(), so that its plugins are there,
  // and their services are started.
  Generation(std::shared_ptr<const Plan> plan, Loop& loop, Readers& readers,
             WorkerMetrics& metrics);
  ~Generation();
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  const std::shared_ptr<const Plan>& plan() const { return plan_; }
  // Of the listener of that number in the plan.
  const Router& router(size_t listener) const { return *routers_[listener]; }
  const Chain& chain(size_t block) const { return *chains_[block]; }
  // Requests that have had no reply yet.
  size_t waiting() const;

 private:
  const std::shared_ptr<const Plan> plan_;
  std::vector<std::unique_ptr<Router>> routers_;
  std::vector<std::unique_ptr<Chain>> chains_;  // they refer to the routers
};

}  // namespace fairlead::dns
