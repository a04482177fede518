// SPDX-License-Identifier: Apache-2.0
#include "proxy/stream/source_filter.h"

#include <algorithm>
#include <cstring>

namespace fairlead::proxy::stream {

namespace {

constexpr uint32_t kWhole = UINT32_MAX;  // as many bytes as there are

sock_filter statement(uint16_t code, uint32_t value) {
  return {code, 0, 0, value};
}

uint32_t word_of(const IpAddress& address, size_t index) {
  uint32_t word = 0;
  std::memcpy(&word, address.bytes().data() + 4 * index, sizeof word);
  return __builtin_bswap32(word);
}

// Of the source address in the IP header (RFC 791, RFC 8200), whatever lies before it.
sock_filter load_source(Family family, size_t index) {
  const auto offset = static_cast<uint32_t>(SKF_NET_OFF) + (family == Family::kIpv4 ? 12u : 8u) +
                      static_cast<uint32_t>(4 * index);
  return statement(BPF_LD | BPF_W | BPF_ABS, offset);
}

// Lets the packet in when its source is in `range`, else goes on behind.
void append(std::vector<sock_filter>& program, const Cidr& range) {
  std::vector<sock_filter> tests;
  for (int index = 0, bits = range.prefix_length(); bits > 0; ++index, bits -= 32) {
    const auto word = static_cast<size_t>(index);
    tests.push_back(load_source(range.family(), word));
    if (bits < 32) tests.push_back(statement(BPF_ALU | BPF_AND | BPF_K, kWhole << (32 - bits)));
    tests.push_back(statement(BPF_JMP | BPF_JEQ | BPF_K, word_of(range.address(), word)));
  }
  for (size_t at = 0; at < tests.size(); ++at)  // past the rest of the tests and the return
    if (tests[at].code == (BPF_JMP | BPF_JEQ | BPF_K))
      tests[at].jf = static_cast<uint8_t>(tests.size() - at);
  program.insert(program.end(), tests.begin(), tests.end());
  program.push_back(statement(BPF_RET | BPF_K, kWhole));
}

}  // namespace

std::optional<std::vector<sock_filter>> source_filter(Family family,
                                                      const std::vector<Cidr>& sources) {
  std::vector<sock_filter> program;
  for (const Cidr& range : sources)
    if (range.family() == family) append(program, range);
  program.push_back(statement(BPF_RET | BPF_K, 0));
  if (program.size() > BPF_MAXINSNS) return std::nullopt;
  return program;
}

}  // namespace fairlead::proxy::stream
