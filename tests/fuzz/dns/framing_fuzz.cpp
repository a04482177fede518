// SPDX-License-Identifier: Apache-2.0
// A TCP stream in one piece and cut up: the same messages, the same verdict. The first byte says
// how to cut.
#include <cstdlib>
#include <vector>

#include "dns/server/framing.h"

namespace {

using Messages = std::vector<std::vector<uint8_t>>;

bool run(std::span<const uint8_t> stream, size_t chunk, Messages& messages) {
  fairlead::dns::Framer framer(512);
  for (size_t at = 0; at < stream.size(); at += chunk) {
    const auto piece = stream.subspan(at, std::min(chunk, stream.size() - at));
    const bool fine = framer.feed(piece, [&](std::span<const uint8_t> message) {
      messages.emplace_back(message.begin(), message.end());
      return true;
    });
    if (!fine) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::span<const uint8_t> stream(data + 1, size - 1);
  Messages whole;
  Messages cut;
  const bool fine = run(stream, stream.size() + 1, whole);
  if (run(stream, 1u + data[0] % 16, cut) != fine || whole != cut) std::abort();
  return 0;
}
