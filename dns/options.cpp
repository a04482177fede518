// SPDX-License-Identifier: Apache-2.0
#include "dns/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

namespace fairlead::dns {
namespace {

constexpr const char* kVersion = "fairlead-dns 0.1.0";
constexpr size_t kMaxWorkers = 64;
constexpr size_t kMaxListen = 16;
constexpr uint16_t kDnsPort = 53;

// What the command line says, as text.
struct Raw {
  std::string cluster_domain = "cluster.local";
  std::vector<std::string> listen;
  std::vector<std::string> forward;
  std::string policy = "random";
  std::string pods = "insecure";
  size_t workers = 0;
  std::string health = "127.0.0.1:8080";
  std::string ready = "127.0.0.1:8181";
  std::string metrics = "127.0.0.1:9153";
  std::string log_level = "info";
};

// CoreDNS's own flags have one dash. Its Corefile is not read yet; say so rather than half obey.
std::optional<CommandLine> coredns_flag(const std::string& argument) {
  if (argument == "-version" || argument == "--version")
    return CommandLine{std::nullopt, std::string(kVersion) + "\n", 0};
  if (argument == "-plugins" || argument == "--plugins")
    return CommandLine{std::nullopt, "kubernetes\nforward\n", 0};
  const std::map<std::string, std::string> refused = {
      {"conf", "a Corefile is not read yet; see --cluster-domain, --listen and --forward"},
      {"dns.port", "give --listen ADDRESS:PORT instead"},
      {"p", "give --listen ADDRESS:PORT instead"},
      {"pidfile", "there is no PID file"},
      {"quiet", "give --log-level error instead"},
  };
  const size_t dashes = argument.find_first_not_of('-');
  if (dashes == 0 || dashes == std::string::npos || dashes > 2) return std::nullopt;
  const auto at = refused.find(argument.substr(dashes, argument.find('=') - dashes));
  if (at == refused.end()) return std::nullopt;
  return CommandLine{std::nullopt, "fairlead-dns: " + argument + ": " + at->second + "\n", 2};
}

void define(CLI::App& app, Options& options, Raw& raw) {
  app.add_option("--kubeconfig", options.kubeconfig,
                 "Kubeconfig of the API server; without it the pod's service account")
      ->type_name("PATH");
  app.add_option("--cluster-domain", raw.cluster_domain, "Domain of the cluster's names")
      ->capture_default_str()
      ->type_name("NAME");
  app.add_option("--listen", raw.listen,
                 "Where to answer, UDP and TCP; again for more. Default 0.0.0.0:53 and [::]:53")
      ->type_name("ADDR:PORT");
  app.add_option("--forward", raw.forward,
                 "Server for all other names; again for more. Default: those of --resolv-conf")
      ->type_name("ADDR[:PORT]");
  app.add_option("--resolv-conf", options.resolv_conf, "Read when there is no --forward")
      ->capture_default_str()
      ->type_name("PATH");
  app.add_option("--forward-policy", raw.policy, "random or sequential")->capture_default_str();
  app.add_option("--pods", raw.pods,
                 "Names of pod addresses: insecure (all that parse) or disabled")
      ->capture_default_str();
  app.add_option("--workers", raw.workers,
                 "Answering threads; default: one a processor, at most 4");
  app.add_option("--health-listen", raw.health, "/health; 'off' for none")->capture_default_str();
  app.add_option("--ready-listen", raw.ready, "/ready; 'off' for none")->capture_default_str();
  app.add_option("--metrics-listen", raw.metrics, "/metrics; 'off' for none")
      ->capture_default_str();
  app.add_option("--lameduck-seconds", options.lameduck_seconds,
                 "After SIGTERM go on answering while queries come, at most this long")
      ->capture_default_str();
  app.add_option("--log-level", raw.log_level, "debug, info, warn or error")->capture_default_str();
}

Result<SocketAddress> parse_server(const std::string& text) {
  const Result<IpAddress> address = IpAddress::parse(text);
  return address.ok() ? SocketAddress{*address, kDnsPort} : SocketAddress::parse(text);
}

Result<std::optional<SocketAddress>> parse_or_off(const std::string& text) {
  if (text == "off") return std::optional<SocketAddress>();
  const Result<SocketAddress> address = SocketAddress::parse(text);
  if (!address.ok()) return address.error();
  return std::optional(*address);
}

Result<void> parse_addresses(const std::vector<std::string>& texts, size_t limit,
                             Result<SocketAddress> (*parse)(const std::string&),
                             std::vector<SocketAddress>& out) {
  for (const std::string& text : texts) {
    const Result<SocketAddress> address = parse(text);
    if (!address.ok()) return address.error();
    if (address->port == 0) return Error(ErrorCode::kInvalid, "'" + text + "' needs a port");
    if (std::find(out.begin(), out.end(), *address) == out.end()) out.push_back(*address);
  }
  if (out.size() > limit)
    return Error(ErrorCode::kInvalid, "at most " + std::to_string(limit) + " addresses, please");
  return ok();
}

Result<void> parse_monitoring(const Raw& raw, Options& options) {
  const std::pair<const std::string*, std::optional<SocketAddress>*> addresses[] = {
      {&raw.health, &options.health},
      {&raw.ready, &options.ready},
      {&raw.metrics, &options.metrics}};
  for (const auto& [text, address] : addresses) {
    const auto parsed = parse_or_off(*text);
    if (!parsed.ok()) return parsed.error();
    *address = *parsed;
  }
  return ok();
}

Result<void> interpret(const Raw& raw, size_t default_workers, Options& options) {
  const Result<Name> domain = Name::from_text(raw.cluster_domain);
  if (!domain.ok()) return domain.error().with_context("--cluster-domain");
  if (domain->labels() == 0)
    return Error(ErrorCode::kInvalid, "--cluster-domain cannot be the root");
  options.cluster_domain = *domain;
  Result<void> parsed = parse_addresses(
      raw.listen, kMaxListen, +[](const std::string& t) { return SocketAddress::parse(t); },
      options.listen);
  if (!parsed.ok()) return parsed.error().with_context("--listen");
  options.listen_defaulted = options.listen.empty();
  if (options.listen_defaulted)
    options.listen = {{IpAddress::any(Family::kIpv4), kDnsPort},
                      {IpAddress::any(Family::kIpv6), kDnsPort}};
  parsed = parse_addresses(raw.forward, 15, &parse_server, options.forward);
  if (!parsed.ok()) return parsed.error().with_context("--forward");
  parsed = parse_monitoring(raw, options);
  if (!parsed.ok()) return parsed.error();
  if (raw.policy != "random" && raw.policy != "sequential")
    return Error(ErrorCode::kInvalid,
                 "--forward-policy is random or sequential, not '" + raw.policy + "'");
  options.policy = raw.policy == "random" ? UpstreamPolicy::kRandom : UpstreamPolicy::kSequential;
  if (raw.pods != "insecure" && raw.pods != "disabled")
    return Error(ErrorCode::kInvalid, "--pods is insecure or disabled, not '" + raw.pods + "'");
  options.pods_insecure = raw.pods == "insecure";
  if (raw.workers > kMaxWorkers)
    return Error(ErrorCode::kInvalid, "--workers is at most " + std::to_string(kMaxWorkers));
  options.workers = raw.workers != 0 ? raw.workers : std::clamp<size_t>(default_workers, 1, 4);
  const Result<log::Level> level = log::parse_level(raw.log_level);
  if (!level.ok()) return level.error().with_context("--log-level");
  options.log_level = *level;
  return ok();
}

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& arguments, size_t default_workers) {
  for (const std::string& argument : arguments)
    if (auto answer = coredns_flag(argument)) return *answer;
  Options options;
  Raw raw;
  CLI::App app("Authoritative DNS for a Kubernetes cluster; forwards all other names.",
               "fairlead-dns");
  define(app, options, raw);
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    return {std::nullopt, app.help(), 0};
  } catch (const CLI::ParseError& error) {
    return {std::nullopt, std::string("fairlead-dns: ") + error.what() + "; see --help\n", 2};
  }
  const Result<void> valid = interpret(raw, default_workers, options);
  if (!valid.ok()) return {std::nullopt, "fairlead-dns: " + valid.error().message() + "\n", 2};
  return {std::move(options), "", 0};
}

}  // namespace fairlead::dns
