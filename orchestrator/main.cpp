// SPDX-License-Identifier: Apache-2.0
// fairlead: `up` (a one-node cluster), `server`, `node`, `down`, `version`.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "base/log.h"
#include "base/loop.h"
#include "orchestrator/cluster/control_plane.h"
#include "orchestrator/cluster/down.h"
#include "orchestrator/cluster/node_program.h"
#include "orchestrator/cluster/preflight.h"
#include "orchestrator/node/files.h"

namespace fairlead::orchestrator {
namespace {

enum class Role { kUp, kServer, kNode };

int fail(const Error& error) {
  std::fprintf(stderr, "fairlead: %s\n", error.message().c_str());
  return 1;
}

// What one run of `up`, `server` or `node` holds, in order of making.
class Program {
 public:
  Program(Role role, ClusterOptions options)
      : role_(role), options_(std::move(options)), began_(std::chrono::steady_clock::now()) {}

  int run() {
    if (const Result<void> ready = prepare(); !ready.ok()) return fail(ready.error());
    SignalWatch term(loop_, SIGTERM, [this] { loop_.stop(); });
    SignalWatch interrupt(loop_, SIGINT, [this] { loop_.stop(); });
    SignalWatch pipe(loop_, SIGPIPE, [] {});
    if (const Result<void> started = start(); !started.ok()) return fail(started.error());
    loop_.run();
    log::info("stopping; pods and children go on{}",
              role_ == Role::kServer ? "" : ", `fairlead down` ends them");
    node_.reset();
    control_plane_.reset();
    return 0;
  }

 private:
  Result<void> prepare() {
    if (options_.bin_dir.empty()) options_.bin_dir = own_bin_dir();
    if (role_ != Role::kServer)
      if (const Result<void> right = check_node(options_); !right.ok()) return right;
    Result<DataDirLock> lock = DataDirLock::take(options_.data_dir);
    if (!lock.ok()) return lock.error();
    lock_.emplace(*std::move(lock));
    if (role_ != Role::kServer) {
      Result<DataDirLock> run_lock = DataDirLock::take(options_.run_dir);
      if (!run_lock.ok()) return run_lock.error();
      run_lock_.emplace(*std::move(run_lock));
    }
    const Result<void> ports = check_ports(options_, role_ != Role::kNode, role_ != Role::kServer);
    if (!ports.ok()) return ports;
    info_ = NodeInfo::read(options_.data_dir);
    if (!options_.node_name.empty()) info_.name = options_.node_name;
    if (!options_.node_ip) {
      const Result<IpAddress> found = default_node_ip();
      if (!found.ok()) return found.error();
      options_.node_ip = *found;
    }
    info_.ip = options_.node_ip->to_string();
    info_.kubelet_port = options_.kubelet_port;
    return ok();
  }

  Result<void> start() {
    if (role_ != Role::kServer) {
      node_ = std::make_unique<NodeProgram>(loop_, options_, info_, [this] { tell_ready(); });
      if (const Result<void> started = node_->start_runtime(); !started.ok()) return started;
    }
    if (role_ == Role::kNode) {
      NodeAccess access{options_.kubeconfig, options_.kubeconfig, options_.kubeconfig, "", {}};
      if (!options_.log_token_file.empty()) {
        const Result<std::string> token = files::read(options_.log_token_file);
        if (!token.ok()) return token.error();
        access.server_token = token->substr(0, token->find('\n'));
      }
      return node_->start(access);
    }
    control_plane_ = std::make_unique<ControlPlane>(loop_, options_, info_.name, *options_.node_ip);
    if (const Result<void> started = control_plane_->start(); !started.ok()) return started;
    if (role_ == Role::kServer) return tell_ready(), ok();
    const Pki& pki = control_plane_->pki();
    tls::CertificateSpec spec;
    spec.common_name = "system:node:" + info_.name.substr(0, 50);
    spec.organizations = {"system:nodes"};
    spec.dns_names = {info_.name};
    spec.ip_addresses = {*options_.node_ip, IpAddress::v4(127, 0, 0, 1)};
    spec.server_auth = true;
    spec.not_before = loop_.clock().wall_now() - std::chrono::hours(1);
    spec.validity = std::chrono::hours(24 * 365);
    const auto certificate = tls::issue_certificate(pki.authority, spec);
    if (!certificate.ok()) return certificate.error();
    return node_->start({pki.node_kubeconfigs.at(0), pki.proxy_kubeconfig, pki.dns_kubeconfig,
                         pki.server_token, *certificate});
  }

  void tell_ready() {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began_;
    const std::string kubeconfig = options_.write_kubeconfig.empty()
                                       ? options_.pki_dir() + "/admin.kubeconfig"
                                       : options_.write_kubeconfig;
    switch (role_) {
      case Role::kUp:
        std::printf("node %s Ready in %.1f s\n\n  export KUBECONFIG=%s\n  kubectl get nodes\n\n",
                    info_.name.c_str(), took.count(), kubeconfig.c_str());
        break;
      case Role::kServer:
        std::printf("API server ready in %.1f s\n\n  export KUBECONFIG=%s\n\n", took.count(),
                    kubeconfig.c_str());
        break;
      case Role::kNode:
        std::printf("node %s Ready in %.1f s\n", info_.name.c_str(), took.count());
        break;
    }
    std::fflush(stdout);
  }

  const Role role_;
  ClusterOptions options_;
  const std::chrono::steady_clock::time_point began_;
  NodeInfo info_;
  std::optional<DataDirLock> lock_;
  std::optional<DataDirLock> run_lock_;
  Loop loop_;
  std::unique_ptr<ControlPlane> control_plane_;
  std::unique_ptr<NodeProgram> node_;
};

// The command line's texts, parsed into ClusterOptions.
struct Texts {
  std::string cluster_cidr = "10.244.0.0/16";
  std::string service_cidr = "10.96.0.0/16";
  std::string node_ip;
  std::string bind_address = "0.0.0.0";
  std::string log_level = "info";
};

Result<void> parse(const Texts& texts, ClusterOptions& options) {
  const Result<log::Level> level = log::parse_level(texts.log_level);
  if (!level.ok()) return level.error().with_context("--log-level");
  log::init("fairlead", *level);
  const Result<Cidr> cluster = Cidr::parse(texts.cluster_cidr),
                     service = Cidr::parse(texts.service_cidr);
  if (!cluster.ok()) return cluster.error().with_context("--cluster-cidr");
  if (!service.ok()) return service.error().with_context("--service-cidr");
  if (cluster->family() != Family::kIpv4 || service->family() != Family::kIpv4 ||
      service->prefix_length() > 24)
    return Error(ErrorCode::kInvalid,
                 "--cluster-cidr and --service-cidr must be IPv4, the latter a /24 or larger");
  if (cluster->contains(*service) || service->contains(*cluster))
    return Error(ErrorCode::kInvalid, "--cluster-cidr and --service-cidr overlap");
  options.cluster_cidr = *cluster;
  options.service_cidr = *service;
  const Result<IpAddress> bind = IpAddress::parse(texts.bind_address);
  if (!bind.ok()) return bind.error().with_context("--bind-address");
  options.bind_address = *bind;
  if (texts.node_ip.empty()) return ok();
  const Result<IpAddress> ip = IpAddress::parse(texts.node_ip);
  if (!ip.ok()) return ip.error().with_context("--node-ip");
  options.node_ip = *ip;
  return ok();
}

void add_common(CLI::App& app, ClusterOptions& options, Texts& texts) {
  app.add_option("--data-dir", options.data_dir, "Everything that lasts")->capture_default_str();
  app.add_option("--run-dir", options.run_dir, "Sockets and what a reboot may take")
      ->capture_default_str();
  app.add_option("--pod-log-dir", options.pod_log_dir, "Logs of containers")->capture_default_str();
  app.add_option("--log-level", texts.log_level, "debug, info, warn or error")
      ->capture_default_str();
  app.add_option("--bin-dir", options.bin_dir,
                 "Folder of fairlead-proxy and fairlead-dns; default: this program's");
  app.add_option("--containerd-socket", options.containerd_socket,
                 "Use this containerd instead of one of our own");
}

void add_cluster(CLI::App& app, ClusterOptions& options, Texts& texts) {
  app.add_option("--cluster-cidr", texts.cluster_cidr, "Addresses of pods")->capture_default_str();
  app.add_option("--service-cidr", texts.service_cidr, "Addresses of Services")
      ->capture_default_str();
  app.add_option("--cluster-domain", options.cluster_domain, "Domain of the cluster's names")
      ->capture_default_str();
  app.add_option("--node-name", options.node_name, "Default: the host's name");
  app.add_option("--node-ip", texts.node_ip, "Default: the address of the default route");
  app.add_option("--kubelet-port", options.kubelet_port, "Where the node serves logs")
      ->capture_default_str();
}

void add_server(CLI::App& app, ClusterOptions& options, Texts& texts) {
  app.add_option("--bind-address", texts.bind_address, "Where the API server listens")
      ->capture_default_str();
  app.add_option("--secure-port", options.secure_port, "Its port")->capture_default_str();
  app.add_option("--write-kubeconfig", options.write_kubeconfig,
                 "Copy the administrator's kubeconfig to this file");
}

int run(int argc, char** argv) {
  CLI::App app("A small Kubernetes cluster in one program.");
  app.require_subcommand(1);
  ClusterOptions options;
  Texts texts;
  bool purge = false, no_proxy = false, no_dns = false;
  CLI::App* up =
      app.add_subcommand("up", "Run a one-node cluster; SIGTERM ends this program, pods go on");
  CLI::App* server = app.add_subcommand("server", "Run API server, controllers and scheduler");
  CLI::App* node = app.add_subcommand("node", "Run this machine as a node of a cluster");
  CLI::App* down =
      app.add_subcommand("down", "End pods, children and fairlead, and remove what they left");
  CLI::App* version = app.add_subcommand("version", "Print the version");
  for (CLI::App* each : {up, server, node, down}) add_common(*each, options, texts);
  for (CLI::App* each : {up, server, node}) add_cluster(*each, options, texts);
  for (CLI::App* each : {up, server}) add_server(*each, options, texts);
  for (CLI::App* each : {up, node}) {
    each->add_flag("--no-proxy", no_proxy, "Do not run fairlead-proxy");
    each->add_flag("--no-dns", no_dns, "Do not run fairlead-dns");
  }
  node->add_option("--kubeconfig", options.kubeconfig, "How to reach the API server")->required();
  node->add_option("--log-token-file", options.log_token_file,
                   "The token the API server shows to read logs");
  down->add_flag("--purge", purge, "Remove the data folder too");
  CLI11_PARSE(app, argc, argv);

  options.proxy = !no_proxy;
  options.dns = !no_dns;
  if (version->parsed())
    return std::printf("fairlead 0.1.0 (Kubernetes API %s)\n", kKubeletVersion), 0;
  if (const Result<void> parsed = parse(texts, options); !parsed.ok()) return fail(parsed.error());
  if (down->parsed()) {
    if (options.bin_dir.empty()) options.bin_dir = own_bin_dir();
    if (const Result<void> right = check_privileges(); !right.ok()) return fail(right.error());
    const Result<void> done = tear_down(options, purge);
    return done.ok() ? 0 : fail(done.error());
  }
  return Program(up->parsed()       ? Role::kUp
                 : server->parsed() ? Role::kServer
                                    : Role::kNode,
                 std::move(options))
      .run();
}

}  // namespace
}  // namespace fairlead::orchestrator

int main(int argc, char** argv) {
  return fairlead::orchestrator::run(argc, argv);
}
