// SPDX-License-Identifier: Apache-2.0
// Answers from zone files (RFC 1035 section 5).
//
//   file FILE [ZONES...] {           the block's zones
//       reload DURATION              1m; 0: the file is read once
//       reload_by_mtime              read when it has changed, not when its serial has
//       fallthrough [ZONES...]       names that are not there go on; else they are NXDOMAIN
//       upstream                     without effect
//   }
//
// Workers share one constant tree of each zone (zone_tree.h); a file with another serial makes
// another. A file that is wrong at the start is an error, later the last good zone stays.
#include "base/file.h"

#include <algorithm>

#include "base/log.h"
#include "dns/host.h"
#include "dns/plugins/file/chase.h"
#include "dns/plugins/file/setup.h"
#include "dns/plugins/file/zone_answer.h"
#include "dns/router.h"

namespace fairlead::dns {
namespace {

constexpr size_t kMaxZoneFile = 256 << 20;

class FilePlugin : public Plugin {
 public:
  FilePlugin(Router& router, const FileOptions& options)
      : router_(router), options_(options), seen_(options.zones.size()) {}

  Step serve(Request& request) override {
    const Query& query = request.query();
    const size_t index = zone_of(query);
    if (index == options_.zones.size()) return Step::kNext;
    const ZoneFile& file = *options_.zones[index];
    const std::shared_ptr<const ZoneTree>& tree = seen_[index].newest(file.tree);
    Reply& reply = request.reply();
    if (tree == nullptr) {
      reply.set_rcode(Rcode::kServFail);
      reply.set_error(Ede::kNotReady, "the zone has not been read");
      return Step::kAnswered;
    }
    Name target;
    const bool through = file.fallthrough.through(query.name);
    const ZoneOutcome outcome = answer_from_zone(*tree, query, through, reply, target);
    if (outcome == ZoneOutcome::kFallsThrough) return Step::kNext;
    reply.set_own();
    // Such a question may not lead to another; the aliases alone are an answer, too.
    if (outcome == ZoneOutcome::kAnswered || request.client().transport == Transport::kInternal)
      return Step::kAnswered;
    chase(router_, request.defer(), tree, target);
    return Step::kPending;
  }

 private:
  // The longest zone of the name. The DS records of a zone are in the one above (RFC 4035 section
  // 3.1.4.1), if that is here, too.
  size_t zone_of(const Query& query) const {
    const size_t none = options_.zones.size();
    size_t found = none;
    for (size_t i = 0; i < none; ++i) {
      const Name& zone = options_.zones[i]->zone;
      if (!query.name.ends_with(zone)) continue;
      if (found == none) found = i;
      if (query.type != Type::kDs || !(query.name == zone)) return i;
    }
    return found;
  }

  Router& router_;
  const FileOptions& options_;
  std::vector<Seen<ZoneTree>> seen_;  // by zone
};

// Follows one zone's file.
class ZoneWatch {
 public:
  ZoneWatch(Loop& loop, ZoneFile& file, std::shared_ptr<Current<ZoneTree>> last)
      : file_(file), last_(std::move(last)), retry_(loop) {
    const Duration period = std::max<Duration>(file.reload, std::chrono::seconds(1));
    watch_ = std::make_unique<FileWatch>(
        loop, file.path, [this] { look(true); }, period);
    // It may have changed, or come, since the Corefile was read.
    if (!file.by_mtime || file.tree.get() == nullptr) look(false);
  }

 private:
  void look(bool changed);
  void failed(const std::string& what);

  ZoneFile& file_;
  const std::shared_ptr<Current<ZoneTree>> last_;
  std::unique_ptr<FileWatch> watch_;
  Timer retry_;        // a file may be right again without having changed: one it includes has
  std::string error_;  // the last
};

void ZoneWatch::look(bool changed) {
  const std::shared_ptr<const ZoneTree> known = file_.tree.get();
  auto tree = load_zone(
      file_, [](const std::string& path) { return read_file(path, kMaxZoneFile); },
      file_.by_mtime ? nullptr : known.get());
  if (!tree.ok()) return failed(tree.error().message());
  error_.clear();
  retry_.stop();
  if (*tree == nullptr) {
    if (changed)
      log::warn("file: {} has changed, but the serial of {} is still {}: it is not taken",
                file_.path, file_.zone.to_text(), known->serial());
    return;
  }
  for (const std::string& note : (*tree)->notes()) log::warn("file: {}: {}", file_.path, note);
  log::info("file: {} has been read from {}, serial {}, {} records", file_.zone.to_text(),
            file_.path, (*tree)->serial(), (*tree)->records());
  last_->set(*tree);
  file_.tree.set(*std::move(tree));
}

void ZoneWatch::failed(const std::string& what) {
  if (what != error_)
    log::error("file: {}; {} {}", what, file_.zone.to_text(),
               file_.tree.get() == nullptr ? "is SERVFAIL" : "stays as it was");
  error_ = what;
  const Duration period = std::max<Duration>(file_.reload, std::chrono::seconds(1));
  if (!retry_.active()) retry_.start_every(period, [this] { look(false); });
}

class ZoneWatches : public Service {
 public:
  // The zone as it was last read, for who reads the Corefile again while the file is away.
  using Last = std::shared_ptr<Current<ZoneTree>>;

  ZoneWatches(Host& host, FileOptions& options) {
    for (const auto& file : options.zones) {
      if (file->reload == Duration::zero()) continue;
      const Last last = *host.shared<Current<ZoneTree>>(
          "file " + file->zone.to_text() + " " + file->path,
          [] { return Result(std::make_shared<Current<ZoneTree>>()); });
      if (file->tree.get() == nullptr && last->get() != nullptr) file->tree.set(last->get());
      if (file->tree.get() != nullptr) last->set(file->tree.get());
      last_.push_back(last);
      watches_.push_back(std::make_unique<ZoneWatch>(host.loop(), *file, last));
    }
  }

 private:
  std::vector<Last> last_;
  std::vector<std::unique_ptr<ZoneWatch>> watches_;
};

std::unique_ptr<Plugin> make(const PluginContext& context, const PluginOptions& options) {
  return std::make_unique<FilePlugin>(context.router, dynamic_cast<const FileOptions&>(options));
}

Result<std::unique_ptr<Service>> start(Host& host, PluginOptions& options) {
  return std::unique_ptr<Service>(
      std::make_unique<ZoneWatches>(host, dynamic_cast<FileOptions&>(options)));
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(file) = {&parse_file, &make, &start};

}  // namespace fairlead::dns
