// SPDX-License-Identifier: Apache-2.0
// What a hosts file says: addresses by name, names by address. Pure; constant once it is built.
//
//   10.0.0.1 a.example.org a    # an address and its names
//   10.0.0.2 *.example.org      the names one label below, unless they are there themselves
//
// Lines that begin with no address, and names that are none, are left out.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/address.h"
#include "dns/name.h"

namespace fairlead::dns {

// The address that a name such as 1.0.0.10.in-addr.arpa stands for.
std::optional<IpAddress> address_of_reverse(const Name& name);

class HostsTable {
 public:
  // The addresses of one name, in the order of the file.
  using Addresses = std::vector<IpAddress>;

  // Of one address, that are found by it: a block list has a hundred thousand for 0.0.0.0.
  static constexpr size_t kMaxNames = 256;

  // `reverse`: names can be found by the address, too. Names outside of `zones` are left out,
  // unless there are none.
  explicit HostsTable(bool reverse = true, std::vector<Name> zones = {})
      : reverse_(reverse), zones_(std::move(zones)) {}
  void add(const IpAddress& address, const Name& name);
  void add_file(std::string_view text);
  // Of a line's first word.
  static Result<IpAddress> address_of(std::string_view word);

  // Nothing: there is no such name.
  const Addresses* find(const Name& name) const;
  const std::vector<Name>* names_of(const IpAddress& address) const;
  size_t entries() const { return entries_; }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using ByName = std::unordered_map<std::string, Addresses, Hash, std::equal_to<>>;

  const bool reverse_;
  const std::vector<Name> zones_;
  ByName names_;      // by lower-case wire form
  ByName wildcards_;  // without their first label
  std::map<IpAddress, std::vector<Name>> addresses_;
  size_t entries_ = 0;
};

}  // namespace fairlead::dns
