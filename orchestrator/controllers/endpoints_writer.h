// SPDX-License-Identifier: Apache-2.0
// Writes the Endpoints objects of Services. Clients that know no EndpointSlices read them (kubectl
// describe up to 1.30); no data plane of ours does, so they come after the slices and cost little:
// what changes within kDelay is one write, and what is as it should be is none.
//
// An Endpoints object goes with its Service, whoever wrote it; one without a Service is left alone
// unless it is ours. Threads: one, the Clock's. Inert until start().
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "orchestrator/controllers/caches.h"
#include "orchestrator/controllers/endpoints_plan.h"
#include "orchestrator/controllers/work_queue.h"
#include "orchestrator/controllers/writer.h"

namespace fairlead::orchestrator::controllers {

class EndpointsWriter {
 public:
  static constexpr Duration kDelay = std::chrono::milliseconds(100);

  EndpointsWriter(Clock& clock, Caches& caches, Writer& writer);
  void start() { queue_.start(); }

  // What the Service's Endpoints should say from now on. `trigger`: since when.
  void want(const ObjectKey& service, const EndpointsContent& content,
            std::optional<WallTime> trigger);

 private:
  using Pass = WorkQueue::Pass;
  struct Wanted {
    Labels labels;
    nlohmann::json subsets;
    std::string print;  // of subsets
    bool truncated = false;
    std::optional<WallTime> trigger;
    bool is(const Endpoints& endpoints) const;
  };
  void work(const ObjectKey& key, const Pass& pass);
  void write(const ObjectKey& key, const Ref<Endpoints>& now,
             const std::shared_ptr<const Wanted>& wanted, const Pass& pass);

  Caches& caches_;
  Writer& writer_;
  std::map<ObjectKey, std::shared_ptr<const Wanted>> wanted_;  // not written yet, by Service
  WorkQueue queue_;
};

}  // namespace fairlead::orchestrator::controllers
