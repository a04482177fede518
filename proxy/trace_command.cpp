// SPDX-License-Identifier: Apache-2.0
#include "proxy/trace_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "netlink/connection.h"
#include "netlink/nftables/list.h"
#include "netlink/route/address.h"

namespace fairlead::proxy {

namespace {

constexpr Duration kLimit = std::chrono::seconds(30);

Error wrong(const std::string& what) {
  return Error(ErrorCode::kInvalid, what);
}

// "10.96.0.1:80/tcp"; without a protocol TCP.
Result<void> parse_destination(const std::string& text, Packet& packet) {
  const size_t slash = text.find('/');
  const std::string protocol = slash == std::string::npos ? "tcp" : text.substr(slash + 1);
  const Result<SocketAddress> to = SocketAddress::parse(text.substr(0, slash));
  if (!to.ok() || to->port == 0)
    return wrong("--to: \"" + text + "\" is not ADDRESS:PORT/PROTOCOL such as 10.96.0.1:80/tcp");
  for (const Protocol known : {Protocol::kTcp, Protocol::kUdp, Protocol::kSctp}) {
    if (protocol != protocol_name(known)) continue;
    packet.protocol = known;
    packet.destination = to->address;
    packet.port = to->port;
    return ok();
  }
  return wrong("--to: protocol \"" + protocol + "\" is none of tcp, udp, sctp");
}

// The addresses of this node decide what "local" means to a rule.
Result<void> learn_addresses(Loop& loop, Packet& packet) {
  auto route = netlink::Connection::open(loop, netlink::Protocol::kRoute);
  if (!route.ok()) return route.error();
  auto addresses = (*route)->dump_sync<netlink::route::InterfaceAddress>(
      netlink::route::dump_addresses(packet.destination.family()), netlink::route::parse_address,
      kLimit);
  if (!addresses.ok()) return addresses.error();
  for (const netlink::route::InterfaceAddress& one : *addresses)
    packet.local.push_back(one.address);
  packet.source_is_local =
      packet.source.is_loopback() ||
      std::find(packet.local.begin(), packet.local.end(), packet.source) != packet.local.end();
  if (!packet.source_is_local && packet.interface.empty()) packet.interface = "*";
  return ok();
}

std::string padded(const std::string& text, size_t width) {
  return text + std::string(width > text.size() ? width - text.size() : 0, ' ');
}

}  // namespace

Result<TraceOptions> parse_trace_options(const std::vector<std::string>& arguments) {
  TraceOptions options;
  std::string from, to;
  CLI::App app("Says rule by rule what the kernel does with the first packet of a flow.",
               "fairlead-proxy trace");
  app.add_option("--from", from, "source address")->required();
  app.add_option("--to", to, "destination as ADDRESS:PORT/PROTOCOL")->required();
  app.add_option("--interface", options.packet.interface,
                 "it comes in by; matters where pods are known by their interface");
  app.add_option("--table", options.tables, "nftables table to run; may be given again");
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    options.print = app.help();
    return options;
  } catch (const CLI::ParseError& error) {
    return wrong(error.what());
  }
  const Result<IpAddress> source = IpAddress::parse(from);
  if (!source.ok()) return wrong("--from: \"" + from + "\" is not an IP address");
  options.packet.source = *source;
  if (auto parsed = parse_destination(to, options.packet); !parsed.ok()) return parsed.error();
  if (options.packet.source.family() != options.packet.destination.family())
    return wrong("--from and --to are of different IP families");
  if (options.tables.empty()) options.tables = {kTableName};
  return options;
}

Result<std::string> run_trace(Loop& loop, TraceOptions options) {
  Packet& packet = options.packet;
  if (auto learnt = learn_addresses(loop, packet); !learnt.ok()) return learnt.error();
  auto connection = netlink::Connection::open(loop, netlink::Protocol::kNetfilter);
  if (!connection.ok()) return connection.error();
  const nft::TableFamily family = nft::table_family(packet.destination.family());
  std::vector<nft::TableContent> tables;
  for (const std::string& name : options.tables) {
    auto table = nft::list_table_sync(**connection, family, name, kLimit);
    if (!table.ok()) return table.error();
    tables.push_back(std::move(*table));
  }
  return to_text(packet, Tracer(std::move(tables)).trace(packet, true));
}

std::string to_text(const Packet& packet, const Tracer::Result& result) {
  std::string text = "from " + packet.source.to_string() + " to " +
                     SocketAddress{packet.destination, packet.port}.to_string() + "/" +
                     protocol_name(packet.protocol) +
                     (packet.source_is_local ? ", sent by this node\n" : "\n");
  size_t chain_width = 0, rule_width = 0;
  for (const Step& step : result.steps) {
    chain_width = std::max(chain_width, step.chain.size());
    rule_width = std::max(rule_width, step.rule.size());
  }
  for (const Step& step : result.steps)
    text += "  " + padded(step.chain, chain_width) + "  " + padded(step.rule, rule_width) +
            "  -> " + step.effect + "\n";
  if (!result.unknown.empty())
    text += "not evaluated, taken as not matching: " + result.unknown + "\n";
  for (const Fate& fate : result.fates) text += fate.to_string() + "\n";
  return text;
}

}  // namespace fairlead::proxy
