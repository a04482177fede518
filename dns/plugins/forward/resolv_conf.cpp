// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/forward/resolv_conf.h"

#include <net/if.h>

#include <algorithm>

#include "dns/number_text.h"

namespace fairlead::dns {
namespace {

constexpr size_t kMaxProblems = 20;
constexpr std::string_view kBlank = " \t\r\v\f";

std::string_view next_word(std::string_view& line) {
  const size_t start = std::min(line.find_first_not_of(kBlank), line.size());
  const size_t end = std::min(line.find_first_of(kBlank, start), line.size());
  const std::string_view word = line.substr(start, end - start);
  line.remove_prefix(end);
  return word;
}

void read_server(std::string_view word, ResolvConf& conf) {
  const auto problem = [&conf](std::string text) {
    if (conf.problems.size() < kMaxProblems) conf.problems.push_back(std::move(text));
  };
  if (word.empty()) return problem("a nameserver line without an address");
  const size_t percent = std::min(word.find('%'), word.size());
  const Result<IpAddress> address = IpAddress::parse(word.substr(0, percent));
  if (!address.ok())
    return problem("nameserver '" + std::string(word.substr(0, 64)) + "' is not an IP address");
  const auto server = with_scope(*address, word.substr(std::min(percent + 1, word.size())), 53);
  if (!server)
    return problem("nameserver '" + std::string(word.substr(0, 64)) + "': there is no such link");
  if (std::find(conf.servers.begin(), conf.servers.end(), *server) != conf.servers.end()) return;
  if (conf.servers.size() == kMaxUpstreams)
    return problem("nameserver " + address->to_string() + ": there are 15 already");
  conf.servers.push_back(*server);
}

}  // namespace

std::optional<SocketAddress> with_scope(const IpAddress& address, std::string_view zone,
                                        uint16_t port) {
  if (zone.empty() || !address.is_v6() || !address.is_link_local())
    return SocketAddress{address, port};
  const std::string name(zone);
  uint32_t link = if_nametoindex(name.c_str());
  char link_name[IF_NAMESIZE];
  const auto number = number_of<uint32_t>(zone);
  if (link == 0 && number && if_indextoname(*number, link_name) != nullptr) link = *number;
  if (link == 0) return std::nullopt;
  return SocketAddress{address, port, link};
}

ResolvConf parse_resolv_conf(std::string_view text) {
  ResolvConf conf;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, line.find_first_of("#;"));
    if (next_word(line) == "nameserver") read_server(next_word(line), conf);
  }
  return conf;
}

void remove_own_addresses(ResolvConf& conf, const std::vector<SocketAddress>& listening,
                          const std::vector<IpAddress>& local) {
  const auto is_ours = [&](const SocketAddress& server) {
    return std::any_of(listening.begin(), listening.end(), [&](const SocketAddress& socket) {
      if (socket.port != server.port) return false;
      if (socket.address == server.address) return socket.scope == server.scope;
      // One that `local` has may be on another link.
      if (server.scope != 0) return false;
      if (!socket.address.is_unspecified() || socket.address.family() != server.address.family())
        return false;
      return server.address.is_loopback() || server.address.is_unspecified() ||
             std::find(local.begin(), local.end(), server.address) != local.end();
    });
  };
  std::erase_if(conf.servers, [&](const SocketAddress& server) {
    if (!is_ours(server)) return false;
    conf.problems.push_back("nameserver " + server.address.to_string() + " is this server itself");
    return true;
  });
}

}  // namespace fairlead::dns
