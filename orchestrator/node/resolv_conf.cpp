// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/resolv_conf.h"

#include <algorithm>
#include <sstream>

#include "base/address.h"

namespace fairlead::orchestrator {

namespace {

constexpr size_t kMaxServers = 3;
constexpr size_t kMaxSearches = 32;
constexpr size_t kMaxSearchBytes = 2048;

std::vector<std::string> words(std::string_view line) {
  std::istringstream stream{std::string(line)};
  std::vector<std::string> list;
  for (std::string word; stream >> word;) list.push_back(word);
  return list;
}

void append_unique(std::vector<std::string>& list, const std::vector<std::string>& more) {
  for (const std::string& item : more)
    if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
}

// An option of the pod replaces one of the same name.
void merge_options(std::vector<std::string>& options, const std::vector<std::string>& more) {
  const auto name = [](const std::string& option) { return option.substr(0, option.find(':')); };
  for (const std::string& option : more) {
    std::erase_if(options, [&](const std::string& old) { return name(old) == name(option); });
    options.push_back(option);
  }
}

void limit(DnsConfig& dns) {
  if (dns.servers.size() > kMaxServers) dns.servers.resize(kMaxServers);
  size_t bytes = 0, count = 0;
  while (count < dns.searches.size() && count < kMaxSearches) {
    bytes += dns.searches[count].size() + 1;
    if (bytes > kMaxSearchBytes) break;
    ++count;
  }
  dns.searches.resize(count);
}

}  // namespace

DnsConfig parse_resolv_conf(std::string_view text) {
  DnsConfig config;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, line.find_first_of("#;"));
    const std::vector<std::string> parts = words(line);
    if (parts.size() < 2) continue;
    const std::vector<std::string> rest(parts.begin() + 1, parts.end());
    if (parts[0] == "nameserver")
      config.servers.push_back(parts[1]);
    else if (parts[0] == "search" || parts[0] == "domain")
      config.searches = rest;
    else if (parts[0] == "options")
      merge_options(config.options, rest);
  }
  // "." alone says: no search list.
  std::erase(config.searches, ".");
  return config;
}

bool only_loopback(const DnsConfig& dns) {
  return !dns.servers.empty() &&
         std::all_of(dns.servers.begin(), dns.servers.end(), [](const std::string& server) {
           const Result<IpAddress> address = IpAddress::parse(server);
           return address.ok() && address->is_loopback();
         });
}

DnsConfig pod_dns(const PodSpec& pod, const ClusterDns& cluster, const DnsConfig& host) {
  DnsConfig dns;
  const bool cluster_first = !cluster.server.empty() &&
                             (pod.dns_policy == "ClusterFirstWithHostNet" ||
                              (pod.dns_policy == "ClusterFirst" && !pod.namespaces.host_network));
  if (cluster_first) {
    dns.servers = {cluster.server};
    dns.searches = {pod.key.ns + ".svc." + cluster.domain, "svc." + cluster.domain, cluster.domain};
    append_unique(dns.searches, host.searches);
    dns.options = {"ndots:5"};
  } else if (pod.dns_policy != "None") {
    dns = host;
  }
  append_unique(dns.servers, pod.dns_config.servers);
  append_unique(dns.searches, pod.dns_config.searches);
  merge_options(dns.options, pod.dns_config.options);
  limit(dns);
  return dns;
}

std::string pod_hosts(const PodSpec& pod, const std::vector<std::string>& pod_ips,
                      const std::string& cluster_domain, const std::string& host_file) {
  std::string text;
  if (pod.namespaces.host_network) {
    text = "# Kubernetes-managed hosts file (host network).\n" + host_file;
    if (!text.ends_with('\n')) text += '\n';
  } else {
    text =
        "# Kubernetes-managed hosts file.\n"
        "127.0.0.1\tlocalhost\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::0\tip6-localnet\n"
        "fe00::0\tip6-mcastprefix\n"
        "fe00::1\tip6-allnodes\n"
        "fe00::2\tip6-allrouters\n";
    const std::string name = pod.host_name();
    std::string full = pod.full_name(cluster_domain);
    if (!full.empty()) full += "\t";
    for (const std::string& ip : pod_ips) text += ip + "\t" + full + name + "\n";
  }
  if (!pod.host_aliases.empty()) text += "\n# Entries added by HostAliases.\n";
  for (const HostAlias& alias : pod.host_aliases) {
    text += alias.ip;
    for (const std::string& name : alias.names) text += "\t" + name;
    text += "\n";
  }
  return text;
}

}  // namespace fairlead::orchestrator
