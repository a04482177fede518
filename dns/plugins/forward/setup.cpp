// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/forward/setup.h"

#include <fmt/format.h>

#include <algorithm>

#include "dns/counters.h"
#include "dns/mnemonics.h"
#include "dns/plugins/forward/follow.h"
#include "dns/plugins/forward/resolv_conf.h"
#include "dns/server/socket.h"

namespace fairlead::dns {
namespace {

using corefile::Directive;
using corefile::Word;
using Read = std::function<Result<void>(const Directive&)>;

// Of health_check 0s: CoreDNS probes again at once.
constexpr std::chrono::milliseconds kShortestProbePeriod(10);
constexpr uint16_t kDnsPort = 53;

// What is read of `tls` and `tls_servername`, to be put together at the end.
struct TlsWords {
  std::vector<Word> files;
  std::optional<Word> name;
};

Read flag_into(bool& to) {
  return [&to](const Directive&) { return to = true, ok(); };
}

// A whole number into `to`.
Read number_into(uint64_t most, std::function<void(uint64_t)> to) {
  return [=](const Directive& property) -> Result<void> {
    const auto number = read_number(property.arguments[0], 0, most);
    if (!number.ok()) return number.error();
    to(*number);
    return ok();
  };
}

Read duration_into(Duration& to, Duration least = std::chrono::milliseconds(1)) {
  return [&to, least](const Directive& property) -> Result<void> {
    const auto duration = read_duration(property.arguments[0]);
    if (!duration.ok()) return duration.error();
    if (*duration < least)
      return property.arguments[0].place.error("'" + property.name.text + "' must be at least 1ms");
    to = *duration;
    return ok();
  };
}

Read rcodes_into(std::vector<Rcode>& to) {
  return [&to](const Directive& property) -> Result<void> {
    for (const Word& word : property.arguments) {
      const std::optional<Rcode> rcode = rcode_from_text(word.text);
      if (!rcode) return word.place.error("'" + word.text + "' is no rcode such as NXDOMAIN");
      if (property.name.text == "failover" && *rcode == Rcode::kNoError)
        return word.place.error("'failover' is not for NOERROR");
      to.push_back(*rcode);
    }
    return ok();
  };
}

Result<void> read_health_check(const Directive& property, ForwardOptions& options) {
  const auto read = duration_into(options.probe_period, Duration::zero())(property);
  if (!read.ok()) return read;
  options.probe_period = std::max<Duration>(options.probe_period, kShortestProbePeriod);
  const auto& arguments = property.arguments;
  for (size_t i = 1; i < arguments.size(); ++i) {
    const auto choice = read_choice(arguments[i], {"no_rec", "domain"});
    if (!choice.ok()) return choice.error();
    if (*choice == 0) {
      options.probe_recursion = false;
      continue;
    }
    if (++i == arguments.size())
      return property.name.place.error("'domain' of health_check takes a name");
    const Result<Name> name = Name::from_text(arguments[i].text);
    if (!name.ok())
      return arguments[i].place.error("'" + arguments[i].text + "' is no domain name");
    options.probe_name = *name;
  }
  return ok();
}

Result<void> read_resolvers(const Directive& property, ForwardOptions& options) {
  for (const Word& word : property.arguments) {
    if (const auto address = IpAddress::parse(word.text); address.ok())
      options.resolvers.push_back({*address, kDnsPort});
    else if (const auto socket = SocketAddress::parse(word.text); socket.ok())
      options.resolvers.push_back(*socket);
    else
      return word.place.error("'" + word.text + "' is no address such as 10.0.0.1 or [::1]:53");
  }
  return ok();
}

Result<void> read_source(const Directive& property, ForwardOptions& options) {
  const auto address = IpAddress::parse(property.arguments[0].text);
  if (!address.ok())
    return property.arguments[0].place.error("'" + property.arguments[0].text +
                                             "' is not an IP address");
  options.source = *address;
  return ok();
}

Result<void> read_tls_name(const Directive& property, TlsWords& tls) {
  const Word& word = property.arguments[0];
  if (!is_host_name(word.text) && !IpAddress::parse(word.text).ok())
    return word.place.error("'" + word.text + "' is no name in a certificate");
  tls.name = word;
  return ok();
}

// Which servers are asked, and for what.
std::vector<Property> choice_properties(ForwardOptions& options) {
  return {
      {"except", 1, Property::kAny,
       [&](const Directive& p) -> Result<void> {
         const auto zones = read_zones(p.arguments, {});
         if (!zones.ok()) return zones.error();
         options.except.insert(options.except.end(), zones->begin(), zones->end());
         return ok();
       }},
      {"policy", 1, 1,
       [&](const Directive& p) -> Result<void> {
         const auto choice = read_choice(p.arguments[0], {"random", "round_robin", "sequential"});
         if (!choice.ok()) return choice.error();
         options.policy = static_cast<UpstreamPolicy>(*choice);
         return ok();
       }},
      {"max_fails", 1, 1,
       number_into(UINT32_MAX, [&](uint64_t n) { options.max_fails = static_cast<unsigned>(n); })},
      {"failfast_all_unhealthy_upstreams", 0, 0, flag_into(options.failfast)},
      {"health_check", 1, 4, [&](const Directive& p) { return read_health_check(p, options); }},
      {"max_concurrent", 1, 1,
       number_into(INT64_MAX,
                   [&](uint64_t n) {
                     options.in_flight = std::make_shared<InFlightLimit>(n == 0 ? SIZE_MAX : n);
                   })},
      {"max_connect_attempts", 1, 1,
       number_into(UINT32_MAX, [&](uint64_t n) { options.attempts = n; })},
      {"next", 1, Property::kAny, rcodes_into(options.next)},
      {"next_on_nodata", 0, 0, flag_into(options.next_on_nodata)},
      {"failover", 1, Property::kAny, rcodes_into(options.failover)},
      {"resolver", 1, kMaxUpstreams,
       [&](const Directive& p) { return read_resolvers(p, options); }}};
}

// How they are.
std::vector<Property> way_properties(ForwardOptions& options, TlsWords& tls) {
  return {{"force_tcp", 0, 0, flag_into(options.force_tcp)},
          {"prefer_udp", 0, 0, flag_into(options.prefer_udp)},
          {"expire", 1, 1, duration_into(options.idle.disuse, Duration::zero())},
          {"max_age", 1, 1, duration_into(options.idle.age, Duration::zero())},
          {"max_idle_conns", 1, 1,
           number_into(INT32_MAX,
                       [&](uint64_t n) { options.idle.most = n == 0 ? IdleLimits::kMost : n; })},
          {"read_timeout", 1, 1,
           [&](const Directive& p) -> Result<void> {
             if (const auto read = duration_into(options.limits.udp_reply)(p); !read.ok())
               return read;
             options.limits.tcp_reply = options.limits.udp_reply;
             return ok();
           }},
          {"source_address", 1, 1, [&](const Directive& p) { return read_source(p, options); }},
          {"tls", 0, 3,
           [&](const Directive& p) {
             tls.files = p.arguments;
             return ok();
           }},
          {"tls_servername", 1, 1, [&](const Directive& p) { return read_tls_name(p, tls); }},
          {"doh_method", 1, 1, [&](const Directive& p) -> Result<void> {
             const auto choice = read_choice(p.arguments[0], {"GET", "POST"});
             if (!choice.ok()) return choice.error();
             options.https_get = *choice == 0;
             return ok();
           }}};
}

Result<void> read_file_into(const Word& word, const BlockSetup& block, std::string& to) {
  Result<std::string> text = block.files->read(block.path_of(word.text));
  if (!text.ok()) return word.place.error(text.error().message());
  // Nothing would stand for the system's authorities.
  if (text->empty()) return word.place.error(word.text + " is empty");
  to = *std::move(text);
  return ok();
}

// tls | tls CA | tls CERT KEY | tls CERT KEY CA
Result<TlsPems> read_pems(const std::vector<Word>& files, const BlockSetup& block) {
  TlsPems pems;
  if (files.size() >= 2) {
    if (const auto read = read_file_into(files[0], block, pems.certificate); !read.ok())
      return read.error();
    if (const auto read = read_file_into(files[1], block, pems.key); !read.ok())
      return read.error();
  }
  if (files.size() % 2 == 1)
    if (const auto read = read_file_into(files.back(), block, pems.authorities); !read.ok())
      return read.error();
  return pems;
}

// The names of the servers that have none of their own, and what TLS needs.
Result<void> set_up_tls(const TlsWords& words, const BlockSetup& block, ForwardOptions& options) {
  bool used = !words.files.empty();
  for (Target& target : options.targets) {
    if (target.way == UpstreamWay::kPlain) continue;
    used = true;
    if (target.way == UpstreamWay::kHttps && options.source)
      return options.place.error(
          "forward: 'source_address' with a server over HTTPS is not in "
          "fairlead-dns");
    if (words.name && !target.tls_name.empty())
      return words.name->place.error("'tls_servername' and '%" + target.tls_name +
                                     "' are two names for one server");
    // A server found by its name has it in its certificate.
    if (target.tls_name.empty()) target.tls_name = words.name ? words.name->text : target.host;
    // Certificates and SNI (RFC 6066 section 3) have names without the final dot.
    if (target.tls_name.ends_with('.')) target.tls_name.pop_back();
  }
  if (!used) return ok();
  Result<TlsPems> pems = read_pems(words.files, block);
  if (!pems.ok()) return pems.error();
  options.pems = *std::move(pems);
  auto client = TlsClient::make(options.pems);
  if (!client.ok()) return options.place.error("forward: tls: " + client.error().message());
  options.tls = *std::move(client);
  return ok();
}

Result<void> read_body(const Directive& directive, const BlockSetup& block,
                       ForwardOptions& options) {
  TlsWords tls;
  std::vector<Property> properties = choice_properties(options);
  for (Property& each : way_properties(options, tls)) properties.push_back(std::move(each));
  if (const auto read = read_properties(directive, properties); !read.ok()) return read;
  // One server has its time.
  options.total = std::max(options.total, options.limits.udp_reply);
  if (options.idle.age != Duration::zero() && options.idle.age < options.idle.disuse)
    return options.place.error("forward: 'max_age' must not be less than 'expire'");
  return set_up_tls(tls, block, options);
}

Result<std::shared_ptr<ForwardOptions>> read_forward(const Directive& directive,
                                                     const BlockSetup& block) {
  if (const auto right = expect_arguments(directive, 2, 1 + kMaxUpstreams); !right.ok())
    return right.error();
  auto options = std::make_shared<ForwardOptions>();
  auto from = read_zones(std::span(directive.arguments).first(1), {});
  if (!from.ok()) return from.error();
  options->from = *std::move(from);
  options->place = directive.name.place;
  options->server = block.server_label();
  for (const Word& word : std::span(directive.arguments).subspan(1)) {
    Result<Target> target = read_target(word, block);
    if (!target.ok()) return target.error();
    options->targets.push_back(*std::move(target));
  }
  if (const auto read = read_body(directive, block, *options); !read.ok()) return read.error();
  options->upstreams = std::make_shared<UpstreamList>(servers_of(options->targets));
  return options;
}

// What is counted, while somebody does.
struct SharedMetrics {
  std::shared_ptr<ForwardMetrics> counts = std::make_shared<ForwardMetrics>();
  Host::Token token;
  Host::Token shed;
};

class Running : public Service {
 public:
  std::shared_ptr<SharedMetrics> metrics;
  std::vector<std::unique_ptr<Service>> followers;
};

std::shared_ptr<SharedMetrics> share_metrics(Host& host) {
  return *host.shared<SharedMetrics>("forward:metrics", [&host] {
    auto made = std::make_shared<SharedMetrics>();
    made->token =
        host.add_metrics([counts = made->counts](std::string& out) { counts->render(out); });
    made->shed = add_counters(
        host, kShedMetric, kShedHelp, [counts = made->counts](std::vector<Count>& out) {
          for (const auto& [server, count] : counts->shed())
            out.push_back({fmt::format("server=\"{}\",reason=\"forward\"", server), count});
        });
    return Result<std::shared_ptr<SharedMetrics>>(std::move(made));
  });
}

// A server that is this one would be asked by itself.
Result<void> expect_others(const Host& host, const ForwardOptions& options) {
  ResolvConf written;
  for (const UpstreamServer& server : servers_of(options.targets))
    written.servers.push_back(server.address);
  remove_own_addresses(written, host.listening(), host_addresses());
  if (!written.problems.empty())
    return options.place.error("forward: " + written.problems.front() + "; it would ask itself");
  return ok();
}

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
  auto running = std::make_unique<Running>();
  running->metrics = share_metrics(host);
  std::vector<ForwardOptions*> all = {&options};
  for (const auto& other : options.others) all.push_back(other.get());
  for (ForwardOptions* each : all) {
    if (const auto others = expect_others(host, *each); !others.ok()) return others.error();
    each->metrics = running->metrics->counts;
    const bool follows = std::ranges::any_of(each->targets, [](const Target& target) {
      return !target.file.empty() || !target.host.empty();
    });
    if (follows) running->followers.push_back(follow_targets(host, *each));
  }
  return std::unique_ptr<Service>(std::move(running));
}

}  // namespace fairlead::dns
