// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/file/setup.h"

#include <fmt/format.h>

#include <algorithm>

namespace fairlead::dns {
namespace {

using corefile::Directive;

Result<void> read_file_properties(const Directive& directive, ZoneFile& file) {
  return read_properties(
      directive,
      {{"reload", 1, Property::kAny,
        [&](const Directive& p) -> Result<void> {
          const auto period = read_duration(p.arguments[0]);
          if (!period.ok()) return period.error();
          file.reload = *period;
          return ok();
        }},
       {"reload_by_mtime", 0, 0, [&](const Directive&) { return file.by_mtime = true, ok(); }},
       {"fallthrough", 0, Property::kAny,
        [&](const Directive& p) { return file.fallthrough.read(p); }},
       // CoreDNS takes it and does nothing with it either.
       {"upstream", 0, Property::kAny, [](const Directive&) { return ok(); }}});
}

// A file that is not there may come; one that is wrong is for whoever starts the server to see.
Result<void> read_first(ZoneFile& file, const Directive& directive, BlockSetup& block) {
  const corefile::Place& place = directive.arguments[0].place;
  const Result<std::string> text = block.files->read_followed(file.path);
  if (!text.ok()) {
    if (file.reload == Duration::zero() || text.error().code() == ErrorCode::kInvalid)
      return place.error(text.error().message());
    block.notes.push_back(fmt::format("file: {}; {} is SERVFAIL until the file is there",
                                      text.error().message(), file.zone.to_text()));
    return ok();
  }
  auto tree = load_zone(
      file,
      [&](const std::string& path) {
        return path == file.path ? text : block.files->read_followed(path);
      },
      nullptr);
  if (!tree.ok()) return place.error(tree.error().message());
  for (const std::string& note : (*tree)->notes())
    block.notes.push_back(fmt::format("file: {}: {}", file.path, note));
  file.tree.set(*std::move(tree));
  return ok();
}

Result<void> read_directive(const Directive& directive, BlockSetup& block, FileOptions& options) {
  if (const auto right = expect_arguments(directive, 1, Property::kAny); !right.ok()) return right;
  const std::span<const corefile::Word> words = directive.arguments;
  const auto zones = read_zones(words.subspan(1), block.zones);
  if (!zones.ok()) return zones.error();
  for (const Name& zone : *zones) {
    auto file = std::make_unique<ZoneFile>();
    file->zone = zone;
    file->path = block.path_of(words[0].text);
    if (const auto right = read_file_properties(directive, *file); !right.ok()) return right;
    if (const auto read = read_first(*file, directive, block); !read.ok()) return read;
    // As in CoreDNS the last file that is given for a zone is the zone's.
    std::erase_if(options.zones, [&](const auto& other) { return other->zone == zone; });
    options.zones.push_back(std::move(file));
  }
  return ok();
}

}  // namespace

Result<std::shared_ptr<const ZoneTree>> load_zone(const ZoneFile& file, const ReadText& read,
                                                  const ZoneTree* known) {
  ZoneBuilder builder(file.zone);
  bool unchanged = false;
  const Result<void> done =
      read_zone_text(file.path, file.zone, read, [&](const EditRecord& record) -> Result<void> {
        if (known != nullptr && record.type == Type::kSoa && record.owner == file.zone &&
            record.rdata.size() >= 20 &&
            read_u32(&record.rdata[record.rdata.size() - 20]) == known->serial()) {
          unchanged = true;
          return Error(ErrorCode::kAlreadyExists, "the serial is the same");
        }
        return builder.add(record);
      });
  if (unchanged) return std::shared_ptr<const ZoneTree>();
  if (!done.ok()) return done.error();
  Result<ZoneTree> tree = builder.finish();
  if (!tree.ok()) return tree.error().with_context(file.path);
  return std::shared_ptr<const ZoneTree>(std::make_shared<ZoneTree>(*std::move(tree)));
}

Result<std::shared_ptr<PluginOptions>> parse_file(const PluginKind::Directives& directives,
                                                  BlockSetup& block) {
  auto options = std::make_shared<FileOptions>();
  for (const Directive& directive : directives)
    if (const auto read = read_directive(directive, block, *options); !read.ok())
      return read.error();
  std::ranges::stable_sort(options->zones, [](const auto& a, const auto& b) {
    return a->zone.labels() > b->zone.labels();
  });
  return std::shared_ptr<PluginOptions>(std::move(options));
}

}  // namespace fairlead::dns
