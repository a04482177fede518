// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/loadbalance/weights.h"

#include <fmt/format.h>

#include <sstream>
#include <vector>

#include "dns/number_text.h"

namespace fairlead::dns {
namespace {

std::string key_of(const Name& name) {
  const auto bytes = name.lower();
  return {bytes.begin(), bytes.end()};
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

}  // namespace

Result<Weights> Weights::parse(std::string_view text, const std::string& file) {
  Weights weights;
  Addresses* addresses = nullptr;
  std::istringstream lines{std::string(text)};
  size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const auto bad = [&](const std::string& what) {
      return Error(ErrorCode::kInvalid, fmt::format("{}:{}: {}", file, number, what));
    };
    const std::vector<std::string> words = words_of(line);
    if (words.empty() || words[0].starts_with('#')) continue;
    const auto address = IpAddress::parse(words[0]);
    if (words.size() == 1) {
      const auto name = Name::from_text(words[0]);
      if (address.ok() || !name.ok())
        return bad(fmt::format("'{}' is no name; an address has its weight behind it", words[0]));
      addresses = &weights.names_[key_of(*name)];
      continue;
    }
    const auto weight = number_of<uint8_t>(words[1]);
    if (words.size() != 2 || !address.ok() || weight.value_or(0) == 0)
      return bad("'" + line + "' is no address with a weight from 1 to 255");
    if (addresses == nullptr) return bad("a name must stand before its addresses");
    addresses->try_emplace(*address, *weight);  // CoreDNS takes the first, too
  }
  return weights;
}

const Weights::Addresses* Weights::find(const Name& name) const {
  const auto bytes = name.lower();
  const auto at =
      names_.find(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  return at == names_.end() ? nullptr : &at->second;
}

}  // namespace fairlead::dns
