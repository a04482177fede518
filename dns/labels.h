// SPDX-License-Identifier: Apache-2.0
// What plugins know of a query, for others to write into logs, options and answers: values under
// labels such as "kubernetes/service". `metadata` gives a query labels when a directive of its
// block asks for one; else there are none and nothing is computed. A value is computed when it is
// asked for, of the question as the client asked it. Threads: the worker's.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "dns/chain.h"

namespace fairlead::dns {

struct BlockSetup;

class Labels {
 public:
  // `request` has come to the first plugin of the chain.
  explicit Labels(const Request& request);

  std::optional<std::string> find(std::string_view label, const Client& client) const;
  // What is only known later. The last one counts.
  void set(std::string_view label, std::string value);

 private:
  const Chain& chain_;
  std::vector<uint8_t> packet_;  // query_'s
  Query query_;
  std::map<std::string, std::string, std::less<>> values_;
};

// "" when there is none, as in CoreDNS.
std::string label_value(const Client& client, std::string_view label);
// Two words with a slash between them.
bool is_label_name(std::string_view text);
// For a plugin that reads its directives: one asks for this label ("": for one that is not known
// yet). What CoreDNS knows and nobody here does is told as a note.
void ask_label(BlockSetup& block, std::string_view label);

}  // namespace fairlead::dns
