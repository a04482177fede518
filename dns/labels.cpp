// SPDX-License-Identifier: Apache-2.0
#include "dns/labels.h"

#include <fmt/format.h>

#include "dns/setup.h"

namespace fairlead::dns {

Labels::Labels(const Request& request)
    : chain_(request.chain()),
      packet_(request.query().packet.begin(), request.query().packet.end()) {
  parse_query(packet_, query_);
}

std::optional<std::string> Labels::find(std::string_view label, const Client& client) const {
  if (const auto at = values_.find(label); at != values_.end()) return at->second;
  return chain_.label(label, query_, client);
}

void Labels::set(std::string_view label, std::string value) {
  values_.insert_or_assign(std::string(label), std::move(value));
}

std::string label_value(const Client& client, std::string_view label) {
  return client.labels ? client.labels->find(label, client).value_or("") : "";
}

bool is_label_name(std::string_view text) {
  const size_t slash = text.find('/');
  return slash != std::string_view::npos && slash > 0 && slash + 1 < text.size();
}

void ask_label(BlockSetup& block, std::string_view label) {
  // Of plugins that are not here.
  static constexpr std::string_view kMissing[] = {"geoip/", "trace/", "view/", "zone/wildcard"};
  *block.labels_asked = true;
  block.labels.emplace(label);
  for (const std::string_view missing : kMissing)
    if (label.starts_with(missing))
      block.notes.push_back(fmt::format(
          "the label {} has no value: CoreDNS knows it, fairlead-dns does not yet", label));
}

}  // namespace fairlead::dns
