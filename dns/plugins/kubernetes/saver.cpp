// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/kubernetes/saver.h"

#include <algorithm>

#include "base/file.h"
#include "base/log.h"
#include "dns/zone/snapshot_file.h"

namespace fairlead::dns {
namespace {

constexpr mode_t kMode = 0600;  // it names everything in the cluster

uint64_t unix_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count());
}

}  // namespace

SnapshotSaver::SnapshotSaver(Loop& loop, Published& published, std::string path, std::string source)
    : loop_(loop), reader_(published), path_(std::move(path)), source_(std::move(source)) {}

SnapshotSaver::~SnapshotSaver() {
  *alive_ = false;
  if (writer_.joinable()) writer_.join();
  if (unsaved_) save();
}

void SnapshotSaver::changed() {
  if (!std::exchange(unsaved_, true)) plan();
}

// After a change, or after a save during which there was one.
void SnapshotSaver::plan() {
  if (planned_ || writer_.joinable()) return;
  planned_ = true;
  const Duration wait = std::max<Duration>(kAfterChange, earliest_ - loop_.clock().now());
  alarm_ = loop_.clock().after(wait, [this] { begin(); });
}

void SnapshotSaver::begin() {
  planned_ = false;
  unsaved_ = false;
  earliest_ = loop_.clock().now() + kPeriod;
  writer_ = std::thread([this, alive = alive_] {
    const bool written = save();
    loop_.post([this, alive, written] {
      if (*alive) finished(written);
    });
  });
}

void SnapshotSaver::finished(bool written) {
  writer_.join();
  if (!written) unsaved_ = true;
  if (unsaved_) plan();
}

// On whichever thread has the reader to itself.
bool SnapshotSaver::save() {
  const uint64_t now = unix_now();
  const Result<void> written = write(now);
  if (written.ok()) {
    taken_.store(now);
  } else {
    log::warn("the snapshot could not be saved: {}", written.error().message());
  }
  return written.ok();
}

// While the disk syncs nothing is held that the zone could free.
Result<void> SnapshotSaver::write(uint64_t now) {
  Result<AtomicFile> file = AtomicFile::create(path_, kMode);
  if (!file.ok()) return file.error();
  {
    const Published::Reader::Guard guard(reader_);
    const auto written =
        write_snapshot(reader_.snapshot(), source_, now,
                       [&](std::string_view piece) { return file->append(piece); });
    if (!written.ok()) return written;
  }
  return file->commit(Durability::kSynced);
}

}  // namespace fairlead::dns
