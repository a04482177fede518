// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/forward/follow.h"

#include <map>
#include <vector>

#include "base/file.h"
#include "base/log.h"
#include "dns/plugins/forward/name_lookup.h"
#include "dns/plugins/forward/resolv_conf.h"
#include "dns/server/socket.h"

namespace fairlead::dns {
namespace {

constexpr size_t kMaxFile = 64 * 1024;

// What the names of servers were last found to be. Outlives a reload, which looks them up anew.
using KnownAddresses = std::map<std::pair<std::string, uint16_t>, std::vector<SocketAddress>>;

class Follower : public Service {
 public:
  Follower(Host& host, const ForwardOptions& options);

 private:
  struct Lookup {
    explicit Lookup(Loop& loop) : timer(loop) {}
    size_t target = 0;
    bool failed = false;  // the last time; told once
    std::unique_ptr<NameLookup> question;
    Timer timer;
  };

  void read_files();
  void look_up(Lookup& lookup);
  void on_addresses(Lookup& lookup, const Result<std::vector<IpAddress>>& addresses);
  std::vector<SocketAddress> resolvers() const;
  std::vector<SocketAddress> others_of(std::vector<SocketAddress> addresses,
                                       const std::string& source) const;
  void publish();

  Loop& loop_;
  const std::vector<SocketAddress> listening_;
  const std::vector<SocketAddress> resolvers_;
  const std::string resolv_conf_;
  const Duration again_;
  const Duration retry_;
  const std::shared_ptr<UpstreamList> upstreams_;
  std::vector<Target> targets_;
  const std::shared_ptr<KnownAddresses> known_;
  std::vector<std::unique_ptr<FileWatch>> watches_;
  std::vector<std::unique_ptr<Lookup>> lookups_;
};

Follower::Follower(Host& host, const ForwardOptions& options)
    : loop_(host.loop()),
      listening_(host.listening()),
      resolvers_(options.resolvers),
      resolv_conf_(options.resolv_conf),
      again_(options.look_up),
      retry_(options.look_up_retry),
      upstreams_(options.upstreams),
      targets_(options.targets),
      known_(*host.shared<KnownAddresses>(
          "forward names", [] { return Result(std::make_shared<KnownAddresses>()); })) {
  for (Target& target : targets_)
    if (const auto at = known_->find({target.host, target.port});
        !target.host.empty() && at != known_->end())
      target.addresses = at->second;
  read_files();
  for (size_t i = 0; i < targets_.size(); ++i) {
    if (!targets_[i].file.empty())
      watches_.push_back(
          std::make_unique<FileWatch>(loop_, targets_[i].file, [this] { read_files(); }));
    if (targets_[i].host.empty()) continue;
    lookups_.push_back(std::make_unique<Lookup>(loop_));
    lookups_.back()->target = i;
    look_up(*lookups_.back());
  }
}

void Follower::read_files() {
  for (Target& target : targets_) {
    if (target.file.empty()) continue;
    target.addresses.clear();
    const Result<std::string> text = read_file(target.file, kMaxFile);
    if (!text.ok()) {
      log::warn("forward: no upstream servers: {}", text.error().message());
      continue;
    }
    ResolvConf conf = parse_resolv_conf(*text);
    for (const std::string& problem : conf.problems)
      log::warn("{}: {}: left out", target.file, problem);
    target.addresses = others_of(std::move(conf.servers), target.file);
  }
  publish();
}

// Those that are not this server.
std::vector<SocketAddress> Follower::others_of(std::vector<SocketAddress> addresses,
                                               const std::string& source) const {
  ResolvConf conf{std::move(addresses), {}};
  remove_own_addresses(conf, listening_, host_addresses());
  for (const std::string& problem : conf.problems) log::warn("{}: {}: left out", source, problem);
  return conf.servers;
}

std::vector<SocketAddress> Follower::resolvers() const {
  if (!resolvers_.empty()) return resolvers_;
  const Result<std::string> text = read_file(resolv_conf_, kMaxFile);
  if (!text.ok()) return {};
  ResolvConf conf = parse_resolv_conf(*text);
  remove_own_addresses(conf, listening_, host_addresses());
  return conf.servers;
}

void Follower::look_up(Lookup& lookup) {
  const Result<Name> name = Name::from_text(targets_[lookup.target].host);
  lookup.question = std::make_unique<NameLookup>(
      loop_, *name, resolvers(), [this, &lookup](const Result<std::vector<IpAddress>>& addresses) {
        on_addresses(lookup, addresses);
      });
}

void Follower::on_addresses(Lookup& lookup, const Result<std::vector<IpAddress>>& addresses) {
  Target& target = targets_[lookup.target];
  const bool complete = lookup.question->complete();
  if (addresses.ok()) {
    std::vector<SocketAddress> servers;
    for (const IpAddress& address : *addresses) servers.push_back({address, target.port});
    // Half an answer takes nothing away.
    if (!complete)
      for (const SocketAddress& known : target.addresses)
        if (std::ranges::find(servers, known) == servers.end()) servers.push_back(known);
    servers.resize(std::min(servers.size(), kMaxUpstreams));
    target.addresses = others_of(std::move(servers), target.host);
    (*known_)[{target.host, target.port}] = target.addresses;
    publish();
  } else if (!lookup.failed) {
    log::warn("forward: upstream server {}: {}; tried again until it is found", target.host,
              addresses.error().message());
  }
  lookup.failed = !addresses.ok();
  lookup.timer.start_once(addresses.ok() && complete ? again_ : retry_,
                          [this, &lookup] { look_up(lookup); });
}

void Follower::publish() {
  std::vector<UpstreamServer> servers = servers_of(targets_);
  if (servers == *upstreams_->get()) return;
  std::string list;
  for (const UpstreamServer& server : servers) list += " " + server.address.to_string();
  log::info("forward: upstream servers:{}", list.empty() ? " none" : list);
  upstreams_->replace(std::move(servers));
}

}  // namespace

std::unique_ptr<Service> follow_targets(Host& host, const ForwardOptions& options) {
  return std::make_unique<Follower>(host, options);
}

}  // namespace fairlead::dns
