// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/forward/setup.h"

#include <algorithm>

#include "base/file.h"
#include "base/log.h"
#include "dns/plugins/forward/resolv_conf.h"
#include "dns/server/socket.h"

namespace fairlead::dns {
namespace {

using corefile::Directive;
using corefile::Word;

constexpr size_t kMaxFile = 64 * 1024;
constexpr uint16_t kDnsPort = 53;

Result<void> not_here(const Directive& property) {
  return property.name.place.error("CoreDNS's property '" + property.name.text +
                                   "' of forward is not in fairlead-dns");
}

Result<void> read_server(const Word& word, const BlockSetup& block, ForwardOptions& options) {
  std::string text = word.text;
  const size_t scheme = text.find("://");
  if (scheme != std::string::npos) {
    if (!text.starts_with("dns://"))
      return word.place.error("'" + text.substr(0, scheme) +
                              "' to an upstream server is not in fairlead-dns; plain DNS is");
    text = text.substr(6);
  }
  if (const auto address = IpAddress::parse(text); address.ok()) {
    options.servers.push_back({*address, kDnsPort});
  } else if (const auto socket = SocketAddress::parse(text); socket.ok()) {
    options.servers.push_back(*socket);
  } else if (text.find('/') != std::string::npos) {
    options.files.push_back(block.path_of(text));
  } else {
    return word.place.error("'" + word.text +
                            "' is neither an address such as 1.1.1.1 or [::1]:53 nor a file");
  }
  return ok();
}

Result<Rcode> read_rcode(const Word& word) {
  static constexpr std::pair<const char*, Rcode> kRcodes[] = {
      {"NOERROR", Rcode::kNoError},   {"FORMERR", Rcode::kFormErr}, {"SERVFAIL", Rcode::kServFail},
      {"NXDOMAIN", Rcode::kNxDomain}, {"NOTIMP", Rcode::kNotImp},   {"REFUSED", Rcode::kRefused}};
  std::string upper = word.text;
  std::ranges::transform(upper, upper.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? c - 32 : c; });
  for (const auto& [text, rcode] : kRcodes)
    if (upper == text) return rcode;
  return word.place.error("'" + word.text + "' is no rcode such as NXDOMAIN");
}

// A whole number into `to`.
auto number_into(uint64_t least, uint64_t most, std::function<void(uint64_t)> to) {
  return [=](const Directive& property) -> Result<void> {
    const auto number = read_number(property.arguments[0], least, most);
    if (!number.ok()) return number.error();
    to(*number);
    return ok();
  };
}

auto duration_into(Duration& to) {
  return [&to](const Directive& property) -> Result<void> {
    const auto duration = read_duration(property.arguments[0]);
    if (!duration.ok()) return duration.error();
    if (*duration < std::chrono::milliseconds(1))
      return property.arguments[0].place.error("'" + property.name.text + "' must be at least 1ms");
    to = *duration;
    return ok();
  };
}

Result<void> read_forward_properties(const Directive& directive, ForwardOptions& options) {
  return read_properties(
      directive,
      {{"except", 1, Property::kAny,
        [&](const Directive& p) -> Result<void> {
          const auto zones = read_zones(p.arguments, {});
          if (!zones.ok()) return zones.error();
          options.except.insert(options.except.end(), zones->begin(), zones->end());
          return ok();
        }},
       {"force_tcp", 0, 0, [&](const Directive&) { return options.force_tcp = true, ok(); }},
       {"prefer_udp", 0, 0, [&](const Directive&) { return options.prefer_udp = true, ok(); }},
       {"max_fails", 1, 1,
        number_into(0, UINT32_MAX,
                    [&](uint64_t n) { options.max_fails = static_cast<unsigned>(n); })},
       {"expire", 1, 1, duration_into(options.idle)},
       {"policy", 1, 1,
        [&](const Directive& p) -> Result<void> {
          const auto choice = read_choice(p.arguments[0], {"random", "round_robin", "sequential"});
          if (!choice.ok()) return choice.error();
          options.policy = static_cast<UpstreamPolicy>(*choice);
          return ok();
        }},
       {"health_check", 1, 4,
        [&](const Directive& p) -> Result<void> {
          if (p.arguments.size() > 1)
            return p.arguments[1].place.error("CoreDNS's '" + p.arguments[1].text +
                                              "' of health_check is not in fairlead-dns");
          return duration_into(options.probe_period)(p);
        }},
       {"max_concurrent", 1, 1,
        number_into(0, 1'000'000,
                    [&](uint64_t n) {
                      options.in_flight = std::make_shared<InFlightLimit>(n == 0 ? SIZE_MAX : n);
                    })},
       {"next", 1, Property::kAny,
        [&](const Directive& p) -> Result<void> {
          for (const Word& word : p.arguments) {
            const auto rcode = read_rcode(word);
            if (!rcode.ok()) return rcode.error();
            options.next.push_back(*rcode);
          }
          return ok();
        }},
       {"next_on_nodata", 0, Property::kAny, &not_here},
       {"failover", 0, Property::kAny, &not_here},
       {"failfast_all_unhealthy_upstreams", 0, Property::kAny, &not_here},
       {"max_connect_attempts", 0, Property::kAny, &not_here},
       {"max_idle_conns", 0, Property::kAny, &not_here},
       {"max_age", 0, Property::kAny, &not_here},
       {"tls", 0, Property::kAny, &not_here},
       {"tls_servername", 0, Property::kAny, &not_here},
       {"source_address", 0, Property::kAny, &not_here},
       {"resolver", 0, Property::kAny, &not_here}});
}

Result<std::shared_ptr<ForwardOptions>> read_forward(const Directive& directive,
                                                     const BlockSetup& block) {
  if (const auto right = expect_arguments(directive, 2, 1 + kMaxUpstreams); !right.ok())
    return right.error();
  auto options = std::make_shared<ForwardOptions>();
  const auto from = read_zones(std::span(directive.arguments).first(1), {});
  if (!from.ok()) return from.error();
  if (from->size() != 1)
    return directive.arguments[0].place.error(
        "'" + directive.arguments[0].text +
        "' is several reverse zones; give a prefix that ends between octets or nibbles");
  options->from = from->front();
  options->place = directive.name.place;
  for (const Word& word : std::span(directive.arguments).subspan(1))
    if (const auto read = read_server(word, block, *options); !read.ok()) return read.error();
  if (const auto read = read_forward_properties(directive, *options); !read.ok())
    return read.error();
  options->upstreams = std::make_shared<UpstreamList>(options->servers);
  return options;
}

// The files of one directive.
class FileFollower : public Service {
 public:
  FileFollower(Host& host, const ForwardOptions& options)
      : listening_(host.listening()),
        servers_(options.servers),
        files_(options.files),
        upstreams_(options.upstreams) {
    read();
    for (const std::string& file : files_)
      watches_.push_back(std::make_unique<FileWatch>(host.loop(), file, [this] { read(); }));
  }

 private:
  void read();

  const std::vector<SocketAddress> listening_;
  const std::vector<SocketAddress> servers_;
  const std::vector<std::string> files_;
  const std::shared_ptr<UpstreamList> upstreams_;
  std::vector<std::unique_ptr<FileWatch>> watches_;
};

void FileFollower::read() {
  std::vector<SocketAddress> servers = servers_;
  for (const std::string& file : files_) {
    const Result<std::string> text = read_file(file, kMaxFile);
    if (!text.ok()) {
      log::warn("forward: no upstream servers: {}", text.error().message());
      continue;
    }
    ResolvConf conf = parse_resolv_conf(*text);
    remove_own_addresses(conf, listening_, host_addresses());
    for (const std::string& problem : conf.problems) log::warn("{}: {}: left out", file, problem);
    for (const SocketAddress& server : conf.servers)
      if (std::ranges::find(servers, server) == servers.end()) servers.push_back(server);
  }
  if (servers == *upstreams_->get()) return;
  std::string list;
  for (const SocketAddress& server : servers) list += " " + server.to_string();
  log::info("forward: upstream servers:{}", list.empty() ? " none" : list);
  upstreams_->replace(std::move(servers));
}

class Followers : public Service {
 public:
  std::vector<std::unique_ptr<FileFollower>> all;
};

}  // namespace

Result<std::shared_ptr<PluginOptions>> parse_forward(const PluginKind::Directives& directives,
                                                     BlockSetup& block) {
  std::shared_ptr<ForwardOptions> first;
  for (const Directive& directive : directives) {
    auto options = read_forward(directive, block);
    if (!options.ok()) return options.error();
    if (!first)
      first = *std::move(options);
    else
      first->others.push_back(*std::move(options));
  }
  return std::shared_ptr<PluginOptions>(std::move(first));
}

Result<std::unique_ptr<Service>> start_forward(Host& host, PluginOptions& given) {
  auto& options = dynamic_cast<ForwardOptions&>(given);
  auto followers = std::make_unique<Followers>();
  std::vector<ForwardOptions*> all = {&options};
  for (const auto& other : options.others) all.push_back(other.get());
  for (ForwardOptions* each : all) {
    ResolvConf written{each->servers, {}};
    remove_own_addresses(written, host.listening(), host_addresses());
    if (!written.problems.empty())
      return each->place.error("forward: " + written.problems.front() + "; it would ask itself");
    if (!each->files.empty()) followers->all.push_back(std::make_unique<FileFollower>(host, *each));
  }
  return std::unique_ptr<Service>(std::move(followers));
}

}  // namespace fairlead::dns
