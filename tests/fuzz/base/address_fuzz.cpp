// SPDX-License-Identifier: Apache-2.0
// Addresses, prefixes and endpoints: what is read comes back from its text, and leniency changes
// nothing that strictness accepts but IPv4-mapped addresses.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/address.h"

namespace {

using namespace fairlead;

void require(bool condition) {
  if (!condition) std::abort();
}

template <typename T>
void comes_back(std::string_view text) {
  const Result<T> value = T::parse(text);
  if (!value.ok()) return require(!value.error().message().empty());
  const Result<T> again = T::parse(value->to_string());
  require(again.ok() && *again == *value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  comes_back<IpAddress>(text);
  comes_back<Cidr>(text);
  comes_back<SocketAddress>(text);

  const auto strict = IpAddress::parse(text);
  const auto lenient = IpAddress::parse_lenient(text);
  if (strict.ok()) require(lenient.ok() && (*lenient == *strict || strict->is_v6()));
  const auto prefix = Cidr::parse_lenient(text);
  if (prefix.ok()) {
    require(prefix->contains(prefix->address()));
    require(prefix->contains(*prefix));
    require(prefix->prefix_length() >= 0 && prefix->prefix_length() <= prefix->address().bits());
  }
  return 0;
}
