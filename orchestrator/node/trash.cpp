// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/trash.h"

#include "base/log.h"
#include "orchestrator/node/files.h"

namespace fairlead::orchestrator {

Trash::~Trash() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Trash::remove(std::string path) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(path));
    if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
  }
  changed_.notify_one();
}

void Trash::empty() {
  for (const std::string& name : files::list(folder_)) remove(folder_ + "/" + name);
}

void Trash::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    const std::string path = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    const Result<void> done = files::remove_tree(path, &stopping_);
    if (!done.ok() && !done.error().is_cancelled()) log::warn("{}", done.error().message());
    lock.lock();
  }
}

}  // namespace fairlead::orchestrator
