// SPDX-License-Identifier: Apache-2.0
#include "dns/plugins/forward/targets.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace fairlead::dns {
namespace {

using corefile::Word;

constexpr uint16_t kDnsPort = 53;
constexpr uint16_t kTlsPort = 853;

// "9.9.9.9%dns.quad9.net:10853" and "[::1%name]:853" without the name, which is returned.
std::string take_tls_name(std::string& text) {
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

// The scheme is taken off.
Result<bool> read_scheme(const Word& word, std::string& text) {
  const size_t scheme = text.find("://");
  if (scheme == std::string::npos) return false;
  const std::string name = text.substr(0, scheme);
  text.erase(0, scheme + 3);
  if (name == "tls") return true;
  if (name == "dns") return false;
  return word.place.error("'" + name +
                          "' to an upstream server is not in fairlead-dns; dns and tls are");
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
  const Result<bool> tls = read_scheme(word, text);
  if (!tls.ok()) return tls.error();
  Target target;
  target.tls = *tls;
  target.port = target.tls ? kTlsPort : kDnsPort;
  const bool named = text.find('%') != std::string::npos;
  target.tls_name = take_tls_name(text);
  if (named && (!target.tls || !is_host_name(target.tls_name)))
    return word.place.error("'" + word.text + "': what follows '%' is a name in a certificate, " +
                            "such as tls://9.9.9.9%dns.quad9.net");
  if (const auto address = read_address(text, target.port)) {
    if (address->port == 0) return word.place.error("'" + word.text + "': no server has port 0");
    target.addresses.push_back(*address);
    return target;
  }
  const bool path = text.find('/') != std::string::npos;
  if (!target.tls && (path || block.files->read(block.path_of(text)).ok())) {
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
