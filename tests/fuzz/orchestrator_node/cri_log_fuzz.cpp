// SPDX-License-Identifier: Apache-2.0
// Log files: any bytes, cut anywhere, give the same output, bounded.
#include <cstdlib>
#include <string>

#include "orchestrator/node/cri_log.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fairlead::orchestrator;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  LogQuery query;
  query.timestamps = size > 0 && (data[0] & 1) != 0;
  if (size > 1 && (data[1] & 1) != 0) query.limit_bytes = data[1];
  std::string whole, cut;
  LogFormatter at_once(query), in_parts(query);
  at_once.feed(bytes, whole);
  const size_t middle = size > 2 ? data[2] % size : 0;
  if (in_parts.feed(bytes.substr(0, middle), cut)) in_parts.feed(bytes.substr(middle), cut);
  if (whole != cut || at_once.pending() > LogFormatter::kMaxLine) std::abort();
  const auto read = [bytes](int64_t offset, size_t count) {
    return std::string(bytes.substr(static_cast<size_t>(offset), count));
  };
  const int64_t tail = tail_offset(read, static_cast<int64_t>(size), 3);
  if (tail < 0 || tail > static_cast<int64_t>(size)) std::abort();
  return 0;
}
