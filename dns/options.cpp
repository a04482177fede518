// SPDX-License-Identifier: Apache-2.0
#include "dns/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "base/address.h"
#include "dns/mnemonics.h"
#include "dns/name.h"
#include "dns/registry.h"

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
  std::string resolv_conf = "/etc/resolv.conf";
  std::string policy = "random";
  std::string pods = "insecure";
  std::string snapshot;
  size_t workers = 0;
  std::string health = "127.0.0.1:8080";
  std::string ready = "127.0.0.1:8181";
  std::string metrics = "127.0.0.1:9153";
  unsigned lameduck_seconds = 5;
  std::string log_level = "info";
  bool quiet = false;
};

// CoreDNS's flags, which have one dash there.
constexpr const char* kCorednsFlags[] = {"conf", "dns.port", "p", "pidfile", "quiet"};

std::optional<CommandLine> coredns_question(const std::string& argument) {
  if (argument == "-version" || argument == "--version")
    return CommandLine{std::nullopt, std::string(kVersion) + "\n", 0};
  if (argument != "-plugins" && argument != "--plugins") return std::nullopt;
  std::string names;
  for (const std::string& name : plugin_names()) names += name + "\n";
  return CommandLine{std::nullopt, names, 0};
}

std::string with_two_dashes(const std::string& argument) {
  if (!argument.starts_with('-') || argument.starts_with("--")) return argument;
  const std::string name = argument.substr(1, argument.find('=') - 1);
  const bool theirs = std::find(std::begin(kCorednsFlags), std::end(kCorednsFlags), name) !=
                      std::end(kCorednsFlags);
  return theirs ? "-" + argument : argument;
}

constexpr const char* kSmallCorefile = "Instead of a Corefile";

void define(CLI::App& app, Options& options, Raw& raw) {
  app.add_option("--conf", options.corefile,
                 "The Corefile, as CoreDNS's -conf; \"stdin\": standard input")
      ->type_name("PATH");
  app.add_option("--dns.port,--p", options.port, "Port of zones that name none, as -dns.port")
      ->capture_default_str();
  app.add_option("--pidfile", options.pidfile, "Written at start, as -pidfile")->type_name("PATH");
  app.add_option("--handover", options.handover,
                 "Takes the sockets of the server that runs with the same path, and its place")
      ->type_name("PATH");
  app.add_flag("--quiet", raw.quiet, "Only errors, as -quiet");
  app.add_option("--kubeconfig", options.kubeconfig,
                 "Kubeconfig of the API server; without it the pod's service account")
      ->type_name("PATH");
  app.add_option("--workers", raw.workers,
                 "Answering threads; default: one a processor, at most 4");
  app.add_option("--log-level", raw.log_level, "debug, info, warn or error")->capture_default_str();
  const auto small = [&](CLI::Option* option) { return option->group(kSmallCorefile); };
  small(app.add_option("--cluster-domain", raw.cluster_domain, "Domain of the cluster's names"))
      ->capture_default_str()
      ->type_name("NAME");
  small(app.add_option("--listen", raw.listen,
                       "Where to answer, UDP and TCP; again for more. Default: port 53 everywhere"))
      ->type_name("ADDR:PORT");
  small(app.add_option("--forward", raw.forward,
                       "Server for all other names; again for more. Default: of --resolv-conf"))
      ->type_name("ADDR[:PORT]");
  small(app.add_option("--resolv-conf", raw.resolv_conf, "Read when there is no --forward"))
      ->capture_default_str()
      ->type_name("PATH");
  small(app.add_option("--forward-policy", raw.policy, "random, round_robin or sequential"))
      ->capture_default_str();
  small(app.add_option("--pods", raw.pods, "Names of pod addresses: insecure or disabled"))
      ->capture_default_str();
  small(app.add_option("--snapshot", raw.snapshot,
                       "Keep what is known here, to answer from while the API server is away"))
      ->type_name("PATH");
  for (const auto& [name, to] :
       {std::pair{"health", &raw.health}, {"ready", &raw.ready}, {"metrics", &raw.metrics}})
    small(app.add_option(fmt::format("--{}-listen", name), *to,
                         fmt::format("Where /{} is; 'off' for none", name)))
        ->capture_default_str();
  small(app.add_option("--lameduck-seconds", raw.lameduck_seconds,
                       "After SIGTERM go on answering while queries come, at most this long"))
      ->capture_default_str();
}

Result<SocketAddress> parse_server(const std::string& text) {
  const Result<IpAddress> address = IpAddress::parse(text);
  return address.ok() ? SocketAddress{*address, kDnsPort} : SocketAddress::parse(text);
}

// By port: a server block has one.
Result<std::map<uint16_t, std::string>> listen_addresses(const Raw& raw) {
  std::map<uint16_t, std::string> by_port;
  if (raw.listen.size() > kMaxListen)
    return Error(ErrorCode::kInvalid, fmt::format("at most {} addresses, please", kMaxListen));
  for (const std::string& text : raw.listen) {
    const Result<SocketAddress> address = SocketAddress::parse(text);
    if (!address.ok()) return address.error();
    if (address->port == 0) return Error(ErrorCode::kInvalid, "'" + text + "' needs a port");
    by_port[address->port] += " " + address->address.to_string();
  }
  if (by_port.empty()) by_port[kDnsPort] = "";
  return by_port;
}

Result<std::string> upstreams(const Raw& raw) {
  if (raw.forward.empty())  // a path has a '/' in a Corefile
    return (raw.resolv_conf.find('/') == std::string::npos ? " ./" : " ") + raw.resolv_conf;
  std::string list;
  for (const std::string& text : raw.forward) {
    const Result<SocketAddress> server = parse_server(text);
    if (!server.ok()) return server.error();
    if (server->port == 0) return Error(ErrorCode::kInvalid, "'" + text + "' needs a port");
    list += " " + server->to_string();
  }
  return list;
}

Result<std::string> monitoring(const Raw& raw) {
  std::string lines;
  const std::pair<const char*, const std::string*> rows[] = {
      {"health", &raw.health}, {"ready", &raw.ready}, {"prometheus", &raw.metrics}};
  for (const auto& [plugin, text] : rows) {
    if (*text == "off") continue;
    const Result<SocketAddress> address = SocketAddress::parse(*text);
    if (!address.ok()) return address.error();
    lines += fmt::format("    {} {}", plugin, address->to_string());
    lines += "\n";
  }
  return lines;
}

// The Corefile that our own flags stand for.
Result<std::string> small_corefile(const Raw& raw) {
  const Result<Name> domain = Name::from_text(raw.cluster_domain);
  if (!domain.ok()) return domain.error().with_context("--cluster-domain");
  if (domain->labels() == 0)
    return Error(ErrorCode::kInvalid, "--cluster-domain cannot be the root");
  const auto by_port = listen_addresses(raw);
  if (!by_port.ok()) return by_port.error().with_context("--listen");
  const auto servers = upstreams(raw);
  if (!servers.ok()) return servers.error().with_context("--forward");
  auto lines = monitoring(raw);
  if (!lines.ok()) return lines.error();
  const std::string snapshot =
      raw.snapshot.empty() ? "" : "        snapshot \"" + raw.snapshot + "\"\n";
  std::string text;
  for (const auto& [port, addresses] : *by_port) {
    text += fmt::format(".:{} {{\n", port);
    if (!addresses.empty()) text += fmt::format("    bind{}\n", addresses);
    text += std::exchange(*lines, "");
    text += fmt::format(
        "    kubernetes {} in-addr.arpa ip6.arpa {{\n        pods {}\n"
        "{}        fallthrough in-addr.arpa ip6.arpa\n    }}\n",
        domain->to_text(), raw.pods, snapshot);
    text +=
        fmt::format("    forward .{} {{\n        policy {}\n    }}\n}}\n", *servers, raw.policy);
  }
  return text;
}

Result<void> interpret(const Raw& raw, bool small_flags, size_t default_workers, Options& options) {
  if (!options.corefile.empty() && small_flags)
    return Error(ErrorCode::kInvalid,
                 "-conf names a Corefile; what --listen, --forward and the like say belongs in it");
  if (options.corefile.empty()) {
    if (raw.policy != "random" && raw.policy != "sequential" && raw.policy != "round_robin")
      return Error(
          ErrorCode::kInvalid,
          "--forward-policy is random, round_robin or sequential, not '" + raw.policy + "'");
    if (raw.pods != "insecure" && raw.pods != "disabled")
      return Error(ErrorCode::kInvalid, "--pods is insecure or disabled, not '" + raw.pods + "'");
    Result<std::string> text = small_corefile(raw);
    if (!text.ok()) return text.error();
    options.corefile_text = *std::move(text);
    options.lameduck_seconds = raw.lameduck_seconds;
  }
  if (options.port == 0) return Error(ErrorCode::kInvalid, "-dns.port is from 1 to 65535");
  if (raw.workers > kMaxWorkers)
    return Error(ErrorCode::kInvalid, "--workers is at most " + std::to_string(kMaxWorkers));
  options.workers = raw.workers != 0 ? raw.workers : std::clamp<size_t>(default_workers, 1, 4);
  const Result<log::Level> level = log::parse_level(raw.quiet ? "error" : raw.log_level);
  if (!level.ok()) return level.error().with_context("--log-level");
  options.log_level = *level;
  return ok();
}

bool any_small_flag(const CLI::App& app) {
  const auto given = app.get_options(
      [](const CLI::Option* option) { return option->get_group() == kSmallCorefile; });
  return std::any_of(given.begin(), given.end(),
                     [](const CLI::Option* option) { return option->count() > 0; });
}

CommandLine wrong(const std::string& what) {
  return {std::nullopt, "fairlead-dns: " + what + "\n", 2};
}

}  // namespace

namespace {

// What the sub-commands have beside the flags of the server that they stand for.
struct Questions {
  std::string name;
  std::string type = "A";
  std::string from;
  std::string against;
};

void define_explain(CLI::App& app, Questions& raw) {
  app.description("Which plugin answers a question, and why.");
  app.add_option("name", raw.name, "The name asked for")->required()->type_name("NAME");
  app.add_option("type", raw.type, "A, AAAA, SRV, ...")->capture_default_str()->type_name("TYPE");
  app.add_option("--from", raw.from, "Who asks; default: 127.0.0.1")->type_name("ADDR");
}

void define_compare(CLI::App& app, Questions& raw, Options& options) {
  app.description("What another DNS server answers differently for this cluster's names.");
  app.add_option("--against", raw.against, "The other server")
      ->required()
      ->type_name("ADDR[:PORT]");
  app.add_option("--sample", options.compare->sample, "How many names that do not exist")
      ->capture_default_str()
      ->check(CLI::Range(0, 1000000));
}

Result<void> interpret(const Questions& raw, Options& options) {
  if (options.explain) {
    const Result<Name> name = Name::from_text(raw.name);
    if (!name.ok()) return name.error().with_context("NAME");
    const std::optional<Type> type = type_from_text(raw.type);
    if (!type) return Error(ErrorCode::kInvalid, "'" + raw.type + "' is no record type");
    options.explain->name = *name;
    options.explain->type = *type;
    if (!raw.from.empty()) {
      const Result<IpAddress> from = IpAddress::parse(raw.from);
      if (!from.ok()) return from.error().with_context("--from");
      options.explain->from = *from;
    }
  }
  if (options.compare) {
    const Result<SocketAddress> against = parse_server(raw.against);
    if (!against.ok()) return against.error().with_context("--against");
    options.compare->against = *against;
  }
  return ok();
}

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& arguments, size_t default_workers) {
  Options options;
  if (!arguments.empty() && arguments[0] == "check") {
    if (arguments.size() != 2) return wrong("usage: fairlead-dns check COREFILE");
    options.corefile = arguments[1];
    options.check = true;
    return {std::move(options), "", 0};
  }
  for (const std::string& argument : arguments)
    if (auto answer = coredns_question(argument)) return *answer;
  Raw raw;
  Questions questions;
  CLI::App app("Authoritative DNS for a Kubernetes cluster; forwards all other names.",
               "fairlead-dns");
  define(app, options, raw);
  const std::string command = arguments.empty() ? "" : arguments[0];
  if (command == "explain") define_explain(app, questions), options.explain.emplace();
  if (command == "compare") {
    options.compare.emplace();
    define_compare(app, questions, options);
  }
  const bool served = !options.explain && !options.compare;
  try {
    std::vector<std::string> reversed;
    for (auto at = arguments.rbegin(); at != arguments.rend() - (served ? 0 : 1); ++at)
      reversed.push_back(with_two_dashes(*at));
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    return {std::nullopt, app.help(), 0};
  } catch (const CLI::ParseError& error) {
    return wrong(std::string(error.what()) + "; see --help");
  }
  const Result<void> valid = interpret(raw, any_small_flag(app), default_workers, options);
  if (!valid.ok()) return wrong(valid.error().message());
  const Result<void> askable = interpret(questions, options);
  if (!askable.ok()) return wrong(askable.error().message());
  return {std::move(options), "", 0};
}

}  // namespace fairlead::dns
