// SPDX-License-Identifier: Apache-2.0
// Requests as bytes: the first byte says how they are cut. Whatever the cut, the parser must end in
// the same state with the same request, and stay within its limits.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/http/parser.h"

namespace {

using fairlead::internal::HttpRequestParser;
using fairlead::internal::ParsedRequest;

constexpr HttpRequestParser::Limits kLimits{512, 512};

void require(bool condition) {
  if (!condition) std::abort();
}

struct Outcome {
  HttpRequestParser::State state;
  ParsedRequest request;
};

Outcome parse(std::string_view bytes, size_t step) {
  HttpRequestParser parser(kLimits);
  std::string waiting;
  while (!bytes.empty()) {
    waiting += bytes.substr(0, step);
    bytes.remove_prefix(std::min(step, bytes.size()));
    const size_t used = parser.feed(waiting);
    require(used <= waiting.size());
    waiting.erase(0, used);
    if (parser.state() == HttpRequestParser::State::kDone) return {parser.state(), parser.take()};
    if (parser.state() == HttpRequestParser::State::kFailed) break;
    require(waiting.size() <= kLimits.header_bytes);
  }
  if (parser.state() == HttpRequestParser::State::kFailed)
    require(parser.error_status() >= 400 && parser.error_status() < 600);
  return {parser.state(), {}};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const Outcome whole = parse(bytes, bytes.size() + 1);
  const Outcome cut = parse(bytes, 1 + data[0] % 64);
  require(whole.request.body.size() <= kLimits.body_bytes);
  require((cut.state == HttpRequestParser::State::kDone) ==
          (whole.state == HttpRequestParser::State::kDone));
  if (whole.state == HttpRequestParser::State::kDone) {
    require(cut.request.method == whole.request.method &&
            cut.request.target == whole.request.target);
    require(cut.request.body == whole.request.body &&
            cut.request.headers.size() == whole.request.headers.size());
    require(whole.request.path.find('\0') == std::string::npos);
    for (const auto& [name, value] : whole.request.headers)
      require((name + value).find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
  }
  return 0;
}
