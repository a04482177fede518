// SPDX-License-Identifier: Apache-2.0
// Any bytes with a right checksum as a snapshot's file: refused, and the zone stays empty, or
// taken, and then what is published is written and read again as the same.
#include <cstdlib>

#include "dns/zone/snapshot_file.h"

namespace {

using namespace fairlead::dns;

void require(bool condition) {
  if (!condition) std::abort();
}

std::string sealed(std::string file) {
  const uint64_t checksum = snapshot_checksum(file);
  for (size_t i = 0; i < 8; ++i) file += static_cast<char>(checksum >> (8 * i) & 255);
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string file = sealed({reinterpret_cast<const char*>(data), size});
  const ZoneContent content{.pod_names = true, .topology = true, .namespaces = false};
  Zone zone(content);
  const auto saved = read_snapshot(file, "fuzz", zone);
  zone.set_stale();
  zone.publish(1);
  if (!saved.ok()) {
    require(zone.services() == 0 && zone.endpoints() == 0);
    return 0;
  }
  std::string written;
  require(write_snapshot(zone.snapshot(), "fuzz", saved->taken, [&](std::string_view piece) {
            written += piece;
            return fairlead::ok();
          }).ok());
  Zone again(content);
  require(read_snapshot(written, "fuzz", again).ok());
  again.publish(1);
  require(again.services() == zone.services() && again.endpoints() == zone.endpoints());
  return 0;
}
