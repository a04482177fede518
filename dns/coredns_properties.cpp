// SPDX-License-Identifier: Apache-2.0
#include "dns/coredns_properties.h"

#include <algorithm>
#include <span>

namespace fairlead::dns {
namespace {

struct Row {
  std::string_view plugin;
  std::span<const std::string_view> properties;
};

// The property names that each plugin's setup accepts, in CoreDNS's source.
constexpr std::string_view kAcl[] = {"allow", "block", "filter", "drop"};
constexpr std::string_view kBind[] = {"except"};
constexpr std::string_view kCache[] = {
    "success",  "denial",  "prefetch", "serve_stale", "serve_stale_policy",
    "servfail", "disable", "keepttl"};
constexpr std::string_view kErrors[] = {"stacktrace", "consolidate"};
constexpr std::string_view kFile[] = {"fallthrough", "reload", "reload_by_mtime", "upstream"};
constexpr std::string_view kForward[] = {
    "except",       "max_fails",      "max_connect_attempts",
    "health_check", "force_tcp",      "prefer_udp",
    "tls",          "tls_servername", "expire",
    "max_age",      "max_idle_conns", "read_timeout",
    "doh_method",   "policy",         "max_concurrent",
    "next",         "next_on_nodata", "failfast_all_unhealthy_upstreams",
    "failover",     "resolver",       "source_address"};
constexpr std::string_view kHeader[] = {"query", "response"};
constexpr std::string_view kHealth[] = {"lameduck"};
constexpr std::string_view kHosts[] = {"fallthrough", "fallthrough_unsupported", "no_reverse",
                                       "ttl", "reload"};
constexpr std::string_view kExternal[] = {"ttl", "apex", "headless", "fallthrough"};
constexpr std::string_view kKubernetes[] = {"endpoint_pod_names",
                                            "pods",
                                            "namespaces",
                                            "endpoint",
                                            "tls",
                                            "labels",
                                            "ttl",
                                            "fallthrough",
                                            "noendpoints",
                                            "namespace_labels",
                                            "zonal",
                                            "ignore",
                                            "kubeconfig",
                                            "multicluster",
                                            "startup_timeout",
                                            "apiserver_qps",
                                            "apiserver_burst",
                                            "apiserver_max_inflight"};
constexpr std::string_view kLoadBalance[] = {"reload", "prefer"};
constexpr std::string_view kLocal[] = {"localhost_prefix"};
constexpr std::string_view kLog[] = {"class"};
constexpr std::string_view kPprof[] = {"block"};
constexpr std::string_view kPrometheus[] = {"runtime_metrics", "tls"};
constexpr std::string_view kReady[] = {"monitor"};
constexpr std::string_view kTemplate[] = {"match",       "answer",  "additional", "authority",
                                          "var",         "expr",    "rcode",      "ederror",
                                          "fallthrough", "upstream"};
constexpr std::string_view kTimeouts[] = {"read", "write", "idle", "maxtcpqueries"};
constexpr std::string_view kTrace[] = {"every",
                                       "service",
                                       "client_server",
                                       "datadog_analytics_rate",
                                       "zipkin_max_backlog_size",
                                       "zipkin_max_batch_size",
                                       "zipkin_max_batch_interval"};

constexpr Row kRows[] = {
    {"acl", kAcl},
    {"bind", kBind},
    {"cache", kCache},
    {"errors", kErrors},
    {"file", kFile},
    {"forward", kForward},
    {"header", kHeader},
    {"health", kHealth},
    {"hosts", kHosts},
    {"k8s_external", kExternal},
    {"kubernetes", kKubernetes},
    {"loadbalance", kLoadBalance},
    {"local", kLocal},
    {"log", kLog},
    {"pprof", kPprof},
    {"prometheus", kPrometheus},
    {"ready", kReady},
    {"template", kTemplate},
    {"timeouts", kTimeouts},
    {"trace", kTrace},
};

}  // namespace

bool coredns_has_property(std::string_view plugin, std::string_view property) {
  const auto* row = std::ranges::find(kRows, plugin, &Row::plugin);
  return row != std::end(kRows) &&
         std::ranges::find(row->properties, property) != row->properties.end();
}

}  // namespace fairlead::dns
