// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/cluster/image_import.h"

#include "base/log.h"
#include "orchestrator/cluster/supervisor.h"

namespace fairlead::orchestrator {

void ImageImport::start(std::function<void()> on_done) {
  waiting_ = new_images(paths_);
  on_done_ = std::move(on_done);
  later_ = loop_.clock().after(Duration::zero(), [this] { next(); });
}

void ImageImport::next() {
  running_.reset();
  if (waiting_.empty()) return on_done_();
  const ImageArchive archive = waiting_.back();
  waiting_.pop_back();
  const auto failed = [this, archive](const std::string& why) {
    log::error("{} cannot be imported: {}; details are in {}", archive.path, why, log_file_);
    later_ = loop_.clock().after(Duration::zero(), [this] { next(); });
  };
  const Result<std::string> ctr = find_program("ctr");
  if (!ctr.ok()) return failed(ctr.error().message());
  const Result<ProcessId> process = spawn_detached(
      {*ctr, "-a", socket_, "-n", "k8s.io", "images", "import", archive.path}, log_file_);
  if (!process.ok()) return failed(process.error().message());
  auto watch =
      ProcessWatch::open(loop_, *process, [this, archive, failed](std::optional<int> status) {
        if (status != 0) return failed(describe_end(status));
        log::info("imported {}", archive.path);
        if (const Result<void> noted = remember_image(paths_, archive); !noted.ok())
          log::warn("{}", noted.error().message());
        later_ = loop_.clock().after(Duration::zero(), [this] { next(); });
      });
  if (!watch.ok()) return failed(watch.error().message());
  running_ = *std::move(watch);
}

}  // namespace fairlead::orchestrator
