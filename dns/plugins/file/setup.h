// SPDX-License-Identifier: Apache-2.0
// The directives of `file`, and a zone's file as what is served of it. Reads nothing but the files
// it is given.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dns/current.h"
#include "dns/plugin.h"
#include "dns/plugins/file/zone_text.h"
#include "dns/plugins/file/zone_tree.h"
#include "dns/setup.h"

namespace fairlead::dns {

// One zone and its file.
struct ZoneFile {
  Name zone;
  std::string path;
  Duration reload = std::chrono::minutes(1);  // zero: the file is read once
  bool by_mtime = false;                      // read whenever it has changed, whatever its serial
  Fallthrough fallthrough;
  Current<ZoneTree> tree;  // none while there is no file
};

struct FileOptions : PluginOptions {
  std::vector<std::unique_ptr<ZoneFile>> zones;  // the longest names first
};

// The zone as the file has it; null when its SOA has the serial of `known`, which may be null.
Result<std::shared_ptr<const ZoneTree>> load_zone(const ZoneFile& file, const ReadText& read,
                                                  const ZoneTree* known);

Result<std::shared_ptr<PluginOptions>> parse_file(const PluginKind::Directives& directives,
                                                  BlockSetup& block);

}  // namespace fairlead::dns
