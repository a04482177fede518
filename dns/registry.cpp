// SPDX-License-Identifier: Apache-2.0
#include "dns/registry.h"

#include <algorithm>
#include <map>

namespace fairlead::dns {

#define FAIRLEAD_DNS_FOLDER(name) extern const PluginKind plugin_kind_##name;
#include "dns/plugins.inc"
#undef FAIRLEAD_DNS_FOLDER

namespace {

// CoreDNS 1.14's plugin.cfg, in its order.
constexpr std::string_view kOrder[] = {
    "root",        "metadata",  "geoip",    "cancel",       "proxyproto",  "quic",
    "grpc_server", "https",     "https3",   "timeouts",     "multisocket", "reload",
    "nsid",        "bufsize",   "bind",     "debug",        "trace",       "ready",
    "health",      "pprof",     "shed",     "prometheus",   "errors",      "log",
    "dnstap",      "local",     "dns64",    "any",          "chaos",       "loadbalance",
    "tsig",        "rewrite",   "autopath", "acl",          "cache",       "header",
    "dnssec",      "tls",       "minimal",  "template",     "transfer",    "hosts",
    "route53",     "azure",     "clouddns", "k8s_external", "kubernetes",  "file",
    "auto",        "secondary", "etcd",     "loop",         "forward",     "grpc",
    "erratic",     "whoami",    "on",       "sign",         "view",        "nomad",
    "import",
};

std::vector<Registered> build() {
  const std::map<std::string_view, const PluginKind*> folders = {
#define FAIRLEAD_DNS_FOLDER(name) {#name, &plugin_kind_##name},
#include "dns/plugins.inc"
#undef FAIRLEAD_DNS_FOLDER
  };
  std::vector<Registered> all;
  for (const std::string_view name : kOrder)
    if (const auto at = folders.find(name); at != folders.end()) all.push_back({name, at->second});
  return all;
}

}  // namespace

std::span<const Registered> registry() {
  static const std::vector<Registered> kRegistry = build();
  return kRegistry;
}

const PluginKind* registered(std::string_view name) {
  for (const Registered& each : registry())
    if (each.name == name) return each.kind;
  return nullptr;
}

bool known_to_coredns(std::string_view name) {
  return std::find(std::begin(kOrder), std::end(kOrder), name) != std::end(kOrder);
}

std::vector<std::string> plugin_names() {
  std::vector<std::string> names;
  for (const Registered& each : registry()) names.emplace_back(each.name);
  return names;
}

}  // namespace fairlead::dns
