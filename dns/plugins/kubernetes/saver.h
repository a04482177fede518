// SPDX-License-Identifier: Apache-2.0
// Keeps a file equal to what a zone publishes, some seconds behind, so that a server which starts
// while the API server is away has something to answer from.
//
// When: five seconds after a change, and at least thirty after the last time; what is unsaved is
// written when the saver goes, at SIGTERM that is. A file that cannot be written is told of in the
// log and tried again.
//
// Threads: the loop's. It is written on a thread of its own from an immutable snapshot, so neither
// the loop nor the answering workers wait for the disk; only the destructor does.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "base/loop.h"
#include "dns/zone/snapshot.h"

namespace fairlead::dns {

class SnapshotSaver {
 public:
  static constexpr Duration kAfterChange = std::chrono::seconds(5);
  static constexpr Duration kPeriod = std::chrono::seconds(30);

  // `published` and `loop` outlive it. `source` as for write_snapshot().
  SnapshotSaver(Loop& loop, Published& published, std::string path, std::string source);
  ~SnapshotSaver();
  SnapshotSaver(const SnapshotSaver&) = delete;
  SnapshotSaver& operator=(const SnapshotSaver&) = delete;

  // What is published is complete, and not what it was.
  void changed();
  const std::string& path() const { return path_; }
  // Unix time of the file; 0: there is none of ours.
  uint64_t taken() const { return taken_.load(); }

 private:
  void plan();
  void begin();
  void finished(bool written);
  bool save();
  Result<void> write(uint64_t now);

  Loop& loop_;
  Published::Reader reader_;  // the writing thread's
  const std::string path_;
  const std::string source_;
  Alarm alarm_;
  bool unsaved_ = false;
  bool planned_ = false;
  MonoTime earliest_{};  // of the next save
  std::thread writer_;
  std::atomic<uint64_t> taken_{0};
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what is posted to the loop
};

}  // namespace fairlead::dns
