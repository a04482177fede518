// SPDX-License-Identifier: Apache-2.0
// Removes folders of any size without keeping the loop from its work: one after the other, in a
// thread of its own that is there from the first on.
//
// Threads: any. Destroying it leaves what is not yet removed; empty() of the next life goes on with
// what was moved into the folder.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

namespace fairlead::orchestrator {

class Trash {
 public:
  // `folder`: where what is to be removed has been moved; need not exist.
  explicit Trash(std::string folder) : folder_(std::move(folder)) {}
  ~Trash();
  Trash(const Trash&) = delete;
  Trash& operator=(const Trash&) = delete;

  // The whole tree at `path`; nobody else uses it. A failure is logged.
  void remove(std::string path);
  // Everything in the folder.
  void empty();

 private:
  void work();

  const std::string folder_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> waiting_;  // under mutex_
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace fairlead::orchestrator
