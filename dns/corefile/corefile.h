// SPDX-License-Identifier: Apache-2.0
// The Corefile, CoreDNS's configuration, as a tree: server blocks of directives, which have
// arguments and may have blocks of their own. What a directive means is its plugin's business. Pure
// but for the files it is given.
//
//   example.org, 10.0.0.0/16:1053 {     zones, parted by blanks or commas, also over several lines
//       errors                          a directive
//       forward . 1.1.1.1 {             one with arguments and a block
//           max_fails 3
//       }
//   }
//
// A block without braces goes on to the end of the file. '{' ends its line, '}' has one to itself.
// Errors read "file:line: what".
#pragma once

#include <optional>
#include <set>

#include "dns/corefile/imports.h"
#include "dns/corefile/zone_key.h"

namespace fairlead::dns::corefile {

constexpr size_t kMaxNesting = 20;

struct Directive {
  Word name;
  std::vector<Word> arguments;
  std::optional<std::vector<Directive>> block;  // empty braces are an empty block
};

struct ServerBlock {
  Place place;
  std::vector<ZoneKey> keys;
  std::vector<Directive> directives;
};

struct Corefile {
  std::vector<ServerBlock> blocks;
  std::set<std::string> files;  // that it was read from, and patterns
};

struct ParseOptions {
  Environment environment;
  uint16_t default_port = 53;  // -dns.port
};

Result<Corefile> parse_corefile(const std::string& path, Files& files, const ParseOptions& options);

}  // namespace fairlead::dns::corefile
