// SPDX-License-Identifier: Apache-2.0
// Brings the archives of DATA_DIR/images into containerd, one `ctr images import` after the other.
//
// Threads: the loop's. An archive that cannot be imported is told and skipped until it changes or
// fairlead starts again.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/loop.h"
#include "orchestrator/cluster/process.h"
#include "orchestrator/node/containerd.h"

namespace fairlead::orchestrator {

class ImageImport {
 public:
  ImageImport(Loop& loop, ContainerdPaths paths, std::string socket, std::string log_file)
      : loop_(loop),
        paths_(std::move(paths)),
        socket_(std::move(socket)),
        log_file_(std::move(log_file)) {}

  // on_done runs once when all were tried, never from inside.
  void start(std::function<void()> on_done);

 private:
  void next();

  Loop& loop_;
  ContainerdPaths paths_;
  std::string socket_;
  std::string log_file_;
  std::vector<ImageArchive> waiting_;
  std::unique_ptr<ProcessWatch> running_;
  std::function<void()> on_done_;
  Alarm later_;
};

}  // namespace fairlead::orchestrator
