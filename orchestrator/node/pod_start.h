// SPDX-License-Identifier: Apache-2.0
// What PodWorker's files keep of a container being started, and of a hook that runs.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/node/pod_worker.h"

namespace fairlead::orchestrator {

struct PodWorker::Start {
  Action action;
  ContainerSpec spec;
  std::string sandbox_id;
  uint32_t sandbox_attempt = 0;
  ImageInfo image;
  MonoTime began;
  std::vector<RegistryLogin> logins;  // still to be tried
  std::string pull_errors;            // of those that were
};

struct PodWorker::Hook {
  HookDone done;
  std::unique_ptr<ProbeAttempt> attempt;
  Alarm deadline;
};

}  // namespace fairlead::orchestrator
