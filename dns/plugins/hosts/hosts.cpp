// SPDX-License-Identifier: Apache-2.0
// Answers A, AAAA and PTR from a file in the form of /etc/hosts and from lines in the Corefile.
//
//   hosts [FILE [ZONES...]] {        /etc/hosts; the block's zones
//       IP NAMES...                  "*.example.org": all names below that are not there themselves
//       ttl SECONDS                  3600
//       no_reverse                   no PTR records
//       reload DURATION              5s; 0: the file is read once
//       fallthrough [ZONES...]       names that are not there go on; else they are NXDOMAIN
//   }
//
// Other types of a name that is there have no records; addresses that are not there always go on.
// A file that is missing is an empty one. Workers share one constant table; a changed file makes
// another.
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/file.h"
#include "base/log.h"
#include "dns/counters.h"
#include "dns/current.h"
#include "dns/host.h"
#include "dns/plugins/hosts/table.h"
#include "dns/setup.h"

namespace fairlead::dns {
namespace {

using corefile::Directive;
using std::chrono::seconds;

constexpr size_t kMaxFile = 32 << 20;
constexpr uint64_t kMaxTtl = 65535;

struct HostsOptions : PluginOptions {
  std::string file = "/etc/hosts";
  std::vector<Name> zones;
  std::vector<std::pair<IpAddress, Name>> lines;  // of the Corefile
  uint32_t ttl = 3600;
  bool reverse = true;
  Duration reload = seconds(5);
  Fallthrough fallthrough;
  bool falls = false;            // it was given
  bool unsupported_too = false;  // also for types that a hosts file does not have
  Current<HostsTable> table;
  std::atomic<uint64_t> written_at{0};  // the file that was read; Unix time

  void build(std::string_view text) {
    auto built = std::make_shared<HostsTable>(reverse, zones);
    built->add_file(text);
    for (const auto& [address, name] : lines) built->add(address, name);
    table.set(std::move(built));
  }
};

class Hosts : public Plugin {
 public:
  explicit Hosts(const HostsOptions& options) : options_(options) {}

  Step serve(Request& request) override {
    const Query& query = request.query();
    if (query.klass != Class::kIn) return Step::kNext;
    const bool ours = std::ranges::any_of(
        options_.zones, [&](const Name& zone) { return query.name.ends_with(zone); });
    table_ = seen_.newest(options_.table).get();
    // Reverse zones need not be named.
    if (query.type == Type::kPtr) return serve_reverse(request, ours);
    return ours ? serve_name(request) : Step::kNext;
  }

 private:
  Step serve_reverse(Request& request, bool ours) const;
  Step serve_name(Request& request) const;
  static void begin(Reply& reply) {
    reply.set_flag(kFlagAuthoritative);
    reply.set_own();
  }

  const HostsOptions& options_;
  Seen<HostsTable> seen_;
  const HostsTable* table_ = nullptr;  // of this query
};

Step Hosts::serve_reverse(Request& request, bool ours) const {
  const auto address = address_of_reverse(request.query().name);
  const std::vector<Name>* names = address ? table_->names_of(*address) : nullptr;
  if (names == nullptr)
    return ours && table_->find(request.query().name) != nullptr ? serve_name(request)
                                                                 : Step::kNext;
  begin(request.reply());
  for (const Name& name : *names) {
    uint8_t* rdata = request.reply().add(Section::kAnswer, Reply::kQuestionName, Type::kPtr,
                                         options_.ttl, name.size());
    if (rdata == nullptr) break;
    std::memcpy(rdata, name.wire().data(), name.size());
  }
  return Step::kAnswered;
}

Step Hosts::serve_name(Request& request) const {
  const Query& query = request.query();
  Reply& reply = request.reply();
  const HostsTable::Addresses* addresses = table_->find(query.name);
  request.client().explain([&] {
    return fmt::format(
        "{} has {} of it", options_.file,
        addresses == nullptr ? "nothing" : fmt::format("{} addresses", addresses->size()));
  });
  if (addresses == nullptr && options_.fallthrough.through(query.name)) return Step::kNext;
  if (addresses == nullptr) {
    begin(reply);
    reply.set_rcode(Rcode::kNxDomain);
    return Step::kAnswered;
  }
  if (options_.unsupported_too && query.type != Type::kA && query.type != Type::kAaaa &&
      options_.fallthrough.through(query.name))
    return Step::kNext;
  begin(reply);
  for (const IpAddress& address : *addresses)
    if (query.type == (address.is_v4() ? Type::kA : Type::kAaaa) &&
        !reply.add_address(Section::kAnswer, Reply::kQuestionName, options_.ttl, address))
      break;
  return Step::kAnswered;
}

// An address without a name, for one that comes from the environment, says nothing.
Result<void> read_line(const Directive& line, const IpAddress& address, HostsOptions& options) {
  if (const auto right = expect_no_block(line); !right.ok()) return right;
  for (const corefile::Word& word : line.arguments) {
    const auto name = Name::from_text(word.text);
    if (!name.ok()) return word.place.error(name.error().message());
    options.lines.emplace_back(address, *name);
  }
  return ok();
}

Result<void> read_hosts_properties(const Directive& directive, HostsOptions& options) {
  return read_properties(
      directive,
      {{"ttl", 1, Property::kAny,
        [&](const Directive& p) -> Result<void> {
          const auto ttl = read_number(p.arguments[0], 1, kMaxTtl);
          if (!ttl.ok()) return ttl.error();
          options.ttl = static_cast<uint32_t>(*ttl);
          return ok();
        }},
       {"no_reverse", 0, Property::kAny,  // as in CoreDNS, which reads none
        [&](const Directive&) { return options.reverse = false, ok(); }},
       {"reload", 1, 1,
        [&](const Directive& p) -> Result<void> {
          const auto period = read_duration(p.arguments[0]);
          if (!period.ok()) return period.error();
          options.reload = *period;
          return ok();
        }},
       {"fallthrough", 0, Property::kAny,
        [&](const Directive& p) { return options.falls = true, options.fallthrough.read(p); }},
       {"fallthrough_unsupported", 0, 0,
        [&](const Directive&) { return options.unsupported_too = true, ok(); }}});
}

Result<std::shared_ptr<PluginOptions>> parse(const PluginKind::Directives& directives,
                                             BlockSetup& block) {
  if (const auto once = expect_once(directives); !once.ok()) return once.error();
  Directive directive = directives.front();
  auto options = std::make_shared<HostsOptions>();
  std::span<const corefile::Word> zones = directive.arguments;
  if (!zones.empty()) {
    options->file = block.path_of(zones[0].text);
    zones = zones.subspan(1);
  }
  auto read = read_zones(zones, block.zones);
  if (!read.ok()) return read.error();
  options->zones = *std::move(read);
  std::vector<Directive> properties;
  for (const Directive& each : directive.block.value_or(std::vector<Directive>())) {
    const auto address = HostsTable::address_of(each.name.text);
    if (!address.ok())
      properties.push_back(each);
    else if (const auto line = read_line(each, *address, *options); !line.ok())
      return line.error();
  }
  directive.block = std::move(properties);
  if (const auto right = read_hosts_properties(directive, *options); !right.ok())
    return right.error();
  if (options->unsupported_too && !options->falls)
    return directive.name.place.error("hosts: 'fallthrough_unsupported' needs 'fallthrough'");
  const Result<std::string> text = block.files->read_followed(options->file);
  options->build(text.ok() ? *text : "");
  return std::shared_ptr<PluginOptions>(std::move(options));
}

std::unique_ptr<Plugin> make(const PluginContext&, const PluginOptions& options) {
  return std::make_unique<Hosts>(dynamic_cast<const HostsOptions&>(options));
}

// Follows the file.
class HostsFile : public Service {
 public:
  HostsFile(Host& host, HostsOptions& options) : options_(options) {
    read();
    if (options.reload > Duration::zero())
      watch_ = std::make_unique<FileWatch>(
          host.loop(), options.file, [this] { read(); },
          std::max<Duration>(options.reload, seconds(1)));
    metrics_.push_back(add_counters(host, "coredns_hosts_entries",
                                    "The combined number of entries in hosts and Corefile.",
                                    [&options](auto& out) {
                                      out.push_back({fmt::format("hostsfile=\"{}\"", options.file),
                                                     options.table.get()->entries()});
                                    }));
    metrics_.push_back(add_counters(host, "coredns_hosts_reload_timestamp_seconds",
                                    "The timestamp of the last reload of hosts file.",
                                    [&options](auto& out) {
                                      out.push_back({"", options.written_at.load()});
                                    }));
  }

 private:
  void read() {
    const Result<std::string> text = read_file(options_.file, kMaxFile);
    if (!text.ok()) return log::warn("hosts: {}", text.error().message());
    options_.build(*text);
    // CoreDNS's timestamp is the file's, too.
    if (struct stat file{}; stat(options_.file.c_str(), &file) == 0)
      options_.written_at = static_cast<uint64_t>(file.st_mtim.tv_sec);
    log::info("hosts: {} has been read, {} entries", options_.file,
              options_.table.get()->entries());
  }

  HostsOptions& options_;
  std::unique_ptr<FileWatch> watch_;
  std::vector<Host::Token> metrics_;
};

Result<std::unique_ptr<Service>> start(Host& host, PluginOptions& options) {
  return std::unique_ptr<Service>(
      std::make_unique<HostsFile>(host, dynamic_cast<HostsOptions&>(options)));
}

}  // namespace

FAIRLEAD_DNS_PLUGIN(hosts) = {&parse, &make, &start};

}  // namespace fairlead::dns
