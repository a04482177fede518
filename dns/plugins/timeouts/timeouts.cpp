// SPDX-License-Identifier: Apache-2.0
// How long TCP clients may take.
//
//   timeouts {
//       read DURATION      3s, for a message from its first byte
//       write DURATION     5s, without progress
//       idle DURATION      10s
//       maxtcpqueries N    of a connection; -1, the default: any number
//   }
#include "dns/plugin.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

using corefile::Directive;
using corefile::Word;

Result<void> read_into(Duration& to, const Directive& property) {
  const auto duration = read_duration(property.arguments[0], std::chrono::seconds(1));
  if (!duration.ok()) return duration.error();
  if (*duration < std::chrono::seconds(1) || *duration > std::chrono::hours(24))
    return property.arguments[0].place.error("'" + property.name.text + "' is from 1s to 24h");
  to = *duration;
  return ok();
}

Result<void> read_queries(size_t& to, const Directive& property) {
  const Word& word = property.arguments[0];
  if (word.text == "-1") return to = 0, ok();
  const auto number = read_number(word, 1, INT32_MAX);
  if (!number.ok()) return number.error();
  to = *number;
  return ok();
}

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup& block) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  const Directive& directive = directives.front();
  if (const auto right = expect_arguments(directive, 0, 0); !right.ok()) return right.error();
  if (!directive.block || directive.block->empty())
    return directive.name.place.error(
        "timeouts needs a block with read, write, idle or maxtcpqueries");
  const auto read = read_properties(
      directive,
      {{"read", 1, 1, [&](const Directive& p) { return read_into(block.tcp.message, p); }},
       {"write", 1, 1, [&](const Directive& p) { return read_into(block.tcp.write, p); }},
       {"idle", 1, 1, [&](const Directive& p) { return read_into(block.tcp.idle, p); }},
       {"maxtcpqueries", 1, 1,
        [&](const Directive& p) { return read_queries(block.tcp.queries, p); }}});
  if (!read.ok()) return read.error();
  return std::shared_ptr<PluginOptions>();
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(timeouts) = {&parse, nullptr, nullptr};

}  // namespace fairlead::dns
