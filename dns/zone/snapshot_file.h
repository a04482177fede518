// SPDX-License-Identifier: Apache-2.0
// A snapshot of the cluster's names as bytes, for a server that starts while the API server is
// away. Pure.
//
// The file, all numbers little-endian:
//   "fldnszn" 01     magic and version
//   u32 size, bytes  the source: which cluster, and what of it was read
//   u64              when it was taken, Unix time
//   u32              the zone's serial
//   entries          'n' a namespace, 's' a service with its ready endpoints, 'p' a pod's key
//   'e'              the end
//   u64              checksum of everything before it
//
// Writing takes one buffer and a pointer for each service, and may be done on any thread that may
// read the snapshot. Reading bounds every count by the bytes there are; what is not exactly such a
// file leaves the zone as empty as it was.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "dns/zone/snapshot.h"
#include "dns/zone/zone.h"

namespace fairlead::dns {

using ByteSink = std::function<Result<void>(std::string_view bytes)>;

// Gives the sink the file, piece by piece, until that fails.
Result<void> write_snapshot(const Snapshot& snapshot, std::string_view source, uint64_t taken,
                            const ByteSink& sink);

struct SavedSnapshot {
  uint64_t taken = 0;
  uint32_t serial = 0;
};
// Into a zone that has nothing yet; publishes nothing. Fails when the file is damaged, of another
// version or of another source.
Result<SavedSnapshot> read_snapshot(std::string_view file, std::string_view source, Zone& zone);

// The last eight bytes of a file that begins so; for tests, which make bad files with it.
uint64_t snapshot_checksum(std::string_view bytes);

}  // namespace fairlead::dns
