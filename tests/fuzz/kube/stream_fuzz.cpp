// SPDX-License-Identifier: Apache-2.0
// Lists and lines cut at any place: the pieces found must not depend on where the chunks end.
// The first byte of the input chooses the size of the chunks.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "kube/stream.h"

namespace {

using namespace fairlead::kube;

constexpr size_t kLimit = 4096;

template <typename Splitter>
bool split(Splitter& splitter, std::string_view text, size_t step,
           std::vector<std::string>& pieces) {
  for (size_t at = 0; at < text.size(); at += step) {
    // Of its own, so that reading behind its end is caught.
    const std::vector<char> chunk(
        text.begin() + static_cast<std::ptrdiff_t>(at),
        text.begin() + static_cast<std::ptrdiff_t>(std::min(at + step, text.size())));
    const auto fed = splitter.feed({chunk.data(), chunk.size()}, [&pieces](std::string_view piece) {
      pieces.emplace_back(piece);
      return true;
    });
    if (!fed.ok()) return false;
  }
  return true;
}

template <typename Splitter>
void compare(std::string_view text, size_t step) {
  Splitter whole(kLimit), cut(kLimit);
  std::vector<std::string> expected, found;
  const bool whole_ok = split(whole, text, text.size() + 1, expected);
  const bool cut_ok = split(cut, text, step, found);
  if (whole_ok != cut_ok || expected != found) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t step = data[0] % 16 + 1;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  compare<ListSplitter>(text, step);
  compare<LineSplitter>(text, step);
  const auto list = decode_list(text);
  if (list.ok()) {
    for (const std::string_view item : list->items) {
      if (item.size() < 2 || item.front() != '{' || item.data() < text.data() ||
          item.data() + item.size() > text.data() + text.size())
        std::abort();
    }
  }
  return 0;
}
