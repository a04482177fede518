// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/forward/targets.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "dns/plugins/forward/resolv_conf.h"

namespace fairlead::dns {
namespace {

using corefile::Word;

// "9.9.9.9%dns.quad9.net:10853", "[::1%name]:853" and "fe80::1%eth0" without what follows '%',
// which is returned.
std::string take_name(std::string& text) {
  const size_t percent = text.rfind('%');
  if (percent == std::string::npos) return "";
  const size_t end = std::min(text.find_first_of("]:", percent), text.size());
  std::string name = text.substr(percent + 1, end - percent - 1);
  text.erase(percent, end - percent);
  return name;
}

std::optional<SocketAddress> read_address(const std::string& text, uint16_t port) {
  if (const auto address = IpAddress::parse(text); address.ok())
    return SocketAddress{*address, port};
  if (text.starts_with('[') && text.ends_with(']'))
    if (const auto address = IpAddress::parse(text.substr(1, text.size() - 2)); address.ok())
      return SocketAddress{*address, port};
  if (const auto socket = SocketAddress::parse(text); socket.ok()) return *socket;
  return std::nullopt;
}

// "name" or "name:port".
bool read_host(const std::string& text, Target& target) {
  const size_t colon = text.find(':');
  target.host = text.substr(0, colon);
  if (!is_host_name(target.host)) return false;
  if (colon == std::string::npos) return true;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data() + colon + 1, end, target.port);
  return read.ec == std::errc() && read.ptr == end && target.port != 0;
}

struct Scheme {
  const char* name;
  UpstreamWay way;
  uint16_t port;
};
constexpr Scheme kSchemes[] = {{"dns", UpstreamWay::kPlain, 53},
                               {"tls", UpstreamWay::kTls, 853},
                               {"https", UpstreamWay::kHttps, 443}};

// The scheme is taken off.
Result<void> read_scheme(const Word& word, std::string& text, Target& target) {
  const size_t end = text.find("://");
  if (end == std::string::npos) return ok();
  const std::string name = text.substr(0, end);
  const auto* known = std::ranges::find(kSchemes, name, &Scheme::name);
  if (known == std::end(kSchemes))
    return word.place.error("'" + name + "' to an upstream server is not in fairlead-dns; dns, " +
                            "tls and https are");
  text.erase(0, end + 3);
  target.way = known->way;
  target.port = known->port;
  return ok();
}

}  // namespace

bool is_host_name(const std::string& text) {
  constexpr const char* kSpelling =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  const Result<Name> name = Name::from_text(text);
  if (!name.ok() || name->labels() == 0) return false;
  const std::string_view last = name->label(name->labels() - 1);
  return text.find_first_not_of(kSpelling) == std::string::npos &&
         last.find_first_not_of("0123456789") != std::string_view::npos;
}

Result<Target> read_target(const Word& word, const BlockSetup& block) {
  std::string text = word.text;
  Target target;
  if (const auto read = read_scheme(word, text, target); !read.ok()) return read.error();
  const bool plain = target.way == UpstreamWay::kPlain;
  const bool named = text.find('%') != std::string::npos;
  const std::string name = take_name(text);
  if (named && (plain ? name.empty() : !is_host_name(name)))
    return word.place.error("'" + word.text + "': what follows '%' is a name in a certificate, " +
                            "such as tls://9.9.9.9%dns.quad9.net, or a link, such as fe80::1%eth0");
  if (!plain) target.tls_name = name;
  if (const auto address = read_address(text, target.port)) {
    if (address->port == 0) return word.place.error("'" + word.text + "': no server has port 0");
    const auto scoped = with_scope(address->address, plain ? name : "", address->port);
    if (!scoped) return word.place.error("'" + word.text + "': there is no link '" + name + "'");
    target.addresses.push_back(*scoped);
    return target;
  }
  if (plain && named)
    return word.place.error("'" + word.text + "' is no address such as fe80::1%eth0");
  const bool path = text.find('/') != std::string::npos;
  if (plain && (path || block.files->read(block.path_of(text)).ok())) {
    target.file = block.path_of(text);
    return target;
  }
  if (path || !read_host(text, target))
    return word.place.error("'" + word.text + "' is neither an address such as 1.1.1.1 or " +
                            "[::1]:53, nor a file or a host name");
  return target;
}

std::vector<UpstreamServer> servers_of(const std::vector<Target>& targets) {
  std::vector<UpstreamServer> servers;
  for (const Target& target : targets)
    for (const SocketAddress& address : target.addresses)
      if (std::ranges::find(servers, address, &UpstreamServer::address) == servers.end())
        servers.push_back(target.server(address));
  return servers;
}

}  // namespace fairlead::dns
