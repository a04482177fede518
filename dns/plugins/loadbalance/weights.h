// SPDX-License-Identifier: Apache-2.0
// The file of `loadbalance weighted`: how often each address of a name is to come first, compared
// with the others. Pure; constant once it is read.
//
//   # comment
//   www.example.com      a name, and below it its addresses
//   100.64.1.1 3         from 1 to 255; addresses that are not named have 1
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/result.h"
#include "dns/name.h"

namespace fairlead::dns {

class Weights {
 public:
  using Addresses = std::map<IpAddress, uint8_t>;

  // `file`: its name, for errors, which read "file:line: what".
  static Result<Weights> parse(std::string_view text, const std::string& file);

  // Those of a name; null: it is not in the file.
  const Addresses* find(const Name& name) const;

 private:
  std::map<std::string, Addresses, std::less<>> names_;  // by Name::lower()
};

}  // namespace fairlead::dns
