// SPDX-License-Identifier: Apache-2.0
// fairlead: `up` (a one-node cluster), `server`, `node`, `node-kubeconfig`, `down`, `version`.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>

#include "base/log.h"
#include "base/loop.h"
#include "orchestrator/cluster/control_plane.h"
#include "orchestrator/cluster/down.h"
#include "orchestrator/cluster/locks.h"
#include "orchestrator/cluster/node_program.h"
#include "orchestrator/cluster/preflight.h"
#include "orchestrator/cluster/watcher.h"

namespace fairlead::orchestrator {
namespace {

enum class Role { kUp, kServer, kNode };

int fail(const Error& error) {
  std::fprintf(stderr, "fairlead: %s\n", error.message().c_str());
  return 1;
}

// What one worker of `up`, `server` or `node` holds, in order of making.
class Program {
 public:
  Program(Role role, ClusterOptions options, const WatcherLink& watcher)
      : role_(role),
        options_(std::move(options)),
        watcher_(watcher),
        began_(std::chrono::steady_clock::now()) {}

  int run() {
    if (const Result<void> ready = prepare(); !ready.ok()) return fail(ready.error());
    const auto stop = [this] { loop_.stop(); };
    SignalWatch term(loop_, SIGTERM, stop), interrupt(loop_, SIGINT, stop);
    SignalWatch hangup(loop_, SIGHUP, stop), pipe(loop_, SIGPIPE, [] {});
    Poll watcher(loop_, watcher_.fd());
    bool alone = false;
    watcher.start(UV_READABLE, [&](int) { alone = true, loop_.stop(); });
    if (const Result<void> started = start(); !started.ok()) return fail(started.error());
    watcher_.tell_started();
    {
      const WatcherLink::Hearing hearing(watcher_);  // the threads there are by now never do
      loop_.run();
    }
    log::info("stopping; pods and children go on{}",
              role_ == Role::kServer ? "" : ", `fairlead down` ends them");
    node_.reset();
    control_plane_.reset();
    return alone ? kWatcherGone : 0;
  }

 private:
  Result<void> prepare() {
    if (options_.bin_dir.empty()) options_.bin_dir = own_bin_dir();
    if (role_ != Role::kServer)
      if (const Result<void> right = check_node(options_); !right.ok()) return right;
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
    if (role_ == Role::kNode)
      return node_->start({options_.kubeconfig, options_.kubeconfig, options_.kubeconfig});
    control_plane_ = std::make_unique<ControlPlane>(loop_, options_, info_.name, *options_.node_ip);
    if (const Result<void> started = control_plane_->start(); !started.ok()) return started;
    if (role_ == Role::kServer) return tell_ready(), ok();
    const Pki& pki = control_plane_->pki();
    return node_->start({pki.node_kubeconfigs.at(0), pki.proxy_kubeconfig, pki.dns_kubeconfig});
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
  const WatcherLink watcher_;
  const std::chrono::steady_clock::time_point began_;
  NodeInfo info_;
  Loop loop_;
  std::unique_ptr<ControlPlane> control_plane_;
  std::unique_ptr<NodeProgram> node_;
};

// Watcher and workers hold the same locks: another fairlead is refused as long as one of them
// lives.
int run_watched(Role role, const ClusterOptions& options, char** argv) {
  if (role != Role::kServer)
    if (const Result<void> right = check_privileges(); !right.ok()) return fail(right.error());
  Locks locks;
  const Result<void> alone = locks.take(options, role != Role::kNode, role != Role::kServer);
  if (!alone.ok()) return fail(alone.error());
  return keep_running(
      argv, [&](const WatcherLink& watcher) { return Program(role, options, watcher).run(); });
}

// The command line's texts, parsed into ClusterOptions.
struct Texts {
  std::string cluster_cidr = "10.244.0.0/16";
  std::string service_cidr = "10.96.0.0/16";
  std::string node_ip;
  std::string bind_address = "0.0.0.0";
  std::string log_level = "info";
};

// Other programs and later runs get the path: it must mean the same from everywhere.
std::string absolute_path(const std::string& path) {
  const std::string text = std::filesystem::absolute(path).lexically_normal().string();
  return text.size() > 1 && text.back() == '/' ? text.substr(0, text.size() - 1) : text;
}

Result<void> parse(const Texts& texts, ClusterOptions& options) {
  const Result<log::Level> level = log::parse_level(texts.log_level);
  if (!level.ok()) return level.error().with_context("--log-level");
  log::init("fairlead", *level);
  const Result<Cidr> cluster = Cidr::parse(texts.cluster_cidr),
                     service = Cidr::parse(texts.service_cidr);
  for (std::string* folder : {&options.data_dir, &options.run_dir, &options.pod_log_dir})
    *folder = absolute_path(*folder);
  if (!options.containerd_socket.empty())
    options.containerd_socket = absolute_path(options.containerd_socket);
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

void add_invite(CLI::App& app, ClusterOptions& options, Texts& texts) {
  app.add_option("--data-dir", options.data_dir, "The server's")->capture_default_str();
  app.add_option("--node-name", options.node_name, "Name of the node")->required();
  app.add_option("--node-ip", texts.node_ip, "Where the API server reaches the node")->required();
  app.add_option("--server", options.server_url,
                 "Where the node reaches the API server; default: this machine, port 6443");
}

Result<void> print_invitation(ClusterOptions options) {
  if (options.server_url.empty()) {
    const Result<IpAddress> ip = default_node_ip();
    if (!ip.ok()) return ip.error().with_context("--server is not given");
    options.server_url = "https://" + SocketAddress{*ip, options.secure_port}.to_string();
  }
  PkiOptions pki;
  pki.directory = options.pki_dir();
  pki.server_url = options.server_url;
  const auto text = node_kubeconfig(pki, {options.node_name, {*options.node_ip}},
                                    std::chrono::system_clock::now());
  if (!text.ok()) return text.error();
  std::fputs(text->c_str(), stdout);
  return ok();
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
  CLI::App* invite = app.add_subcommand(
      "node-kubeconfig",
      "Print a kubeconfig with which `fairlead node` joins from another machine");
  for (CLI::App* each : {up, server, node, down}) add_common(*each, options, texts);
  for (CLI::App* each : {up, server, node}) add_cluster(*each, options, texts);
  for (CLI::App* each : {up, server}) add_server(*each, options, texts);
  for (CLI::App* each : {up, node}) {
    each->add_flag("--no-proxy", no_proxy, "Do not run fairlead-proxy");
    each->add_flag("--no-dns", no_dns, "Do not run fairlead-dns");
  }
  node->add_option("--kubeconfig", options.kubeconfig, "How to reach the API server")->required();
  add_invite(*invite, options, texts);
  down->add_flag("--purge", purge, "Remove the data folder too");
  CLI11_PARSE(app, argc, argv);

  options.proxy = !no_proxy;
  options.dns = !no_dns;
  if (version->parsed())
    return std::printf("fairlead 0.1.0 (Kubernetes API %s)\n", kKubeletVersion), 0;
  if (const Result<void> parsed = parse(texts, options); !parsed.ok()) return fail(parsed.error());
  if (invite->parsed()) {
    const Result<void> done = print_invitation(options);
    return done.ok() ? 0 : fail(done.error());
  }
  if (down->parsed()) {
    if (options.bin_dir.empty()) options.bin_dir = own_bin_dir();
    if (const Result<void> right = check_privileges(); !right.ok()) return fail(right.error());
    const Result<void> done = tear_down(options, purge);
    return done.ok() ? 0 : fail(done.error());
  }
  const Role role = up->parsed() ? Role::kUp : server->parsed() ? Role::kServer : Role::kNode;
  return run_watched(role, options, argv);
}

}  // namespace
}  // namespace fairlead::orchestrator

int main(int argc, char** argv) {
  return fairlead::orchestrator::run(argc, argv);
}
