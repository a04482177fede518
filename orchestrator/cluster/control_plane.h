// SPDX-License-Identifier: Apache-2.0
// The server side of a cluster in this process: API server, controllers, scheduler.
//
// Threads: made, started and destroyed on the loop's thread; the API server has threads of its own.
#pragma once

#include <memory>

#include "base/loop.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/cluster/options.h"
#include "orchestrator/controllers/manager.h"
#include "orchestrator/scheduler/scheduler.h"

namespace fairlead::orchestrator {

class ControlPlane {
 public:
  ControlPlane(Loop& loop, const ClusterOptions& options, std::string node_name, IpAddress node_ip);
  ~ControlPlane();
  ControlPlane(const ControlPlane&) = delete;
  ControlPlane& operator=(const ControlPlane&) = delete;

  // Certificates, kubeconfigs, API server, controllers, scheduler. Blocks until requests are
  // served.
  Result<void> start();
  const Pki& pki() const { return pki_; }

 private:
  Loop& loop_;
  const ClusterOptions options_;
  const std::string node_name_;
  const IpAddress node_ip_;
  Pki pki_;
  std::unique_ptr<ApiServer> server_;
  std::unique_ptr<Api> api_;
  std::unique_ptr<ControllerManager> controllers_;
  std::unique_ptr<Scheduler> scheduler_;
};

}  // namespace fairlead::orchestrator
