// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/cluster/node_program.h"

#include "base/log.h"
#include "orchestrator/node/files.h"

namespace fairlead::orchestrator {

namespace {
constexpr char kUserAgent[] = "fairlead-node/0.1";
}

NodeProgram::NodeProgram(Loop& loop, const ClusterOptions& options, NodeInfo info,
                         std::function<void()> on_ready)
    : loop_(loop),
      options_(options),
      paths_{options.data_dir, options.run_dir},
      info_(std::move(info)),
      on_ready_(std::move(on_ready)),
      supervisor_(loop, options.run_dir, options.log_dir()) {}

NodeProgram::~NodeProgram() {
  log_server_.reset();
  runner_.reset();
  dns_endpoint_.reset();
  cluster_.reset();
  cri_.reset();
}

std::string NodeProgram::socket() const {
  return options_.containerd_socket.empty() ? paths_.socket() : options_.containerd_socket;
}

namespace {

pid_t recorded_containerd(const std::string& run_dir) {
  for (const auto& [name, record] : Supervisor::records(run_dir))
    if (name == "containerd") return record.process.pid;
  return 0;
}

void mount_controllers(const std::string& data_dir) {
  Result<Cgroups> cgroups = Cgroups::detect();
  if (!cgroups.ok()) return;  // start() says so
  const Result<int> mounted = cgroups->mount_left_in_v2();
  if (!mounted.ok()) return log::info("{}", mounted.error().message());
  if (*mounted > 0)
    log::info("{} cgroup controllers had no v1 hierarchy and have one now", *mounted);
  if (const auto held = cgroups->hold_ours(cgroup_holder(data_dir)); !held.ok())
    log::warn("{}", held.error().message());
}

}  // namespace

Result<void> NodeProgram::start_runtime() {
  const Result<bool> forwarding = enable_forwarding();
  if (!forwarding.ok()) return forwarding.error();
  if (*forwarding) log::info("net.ipv4.ip_forward was 0 and is 1 now: pods need it");
  if (const Result<std::string> text = files::read(options_.data_dir + "/pod-cidr"); text.ok())
    if (const Result<Cidr> cidr = Cidr::parse(*text);
        cidr.ok() && options_.cluster_cidr.contains(*cidr))
      pod_cidr_ = *cidr;
  if (options_.containerd_socket.empty()) {
    mount_controllers(options_.data_dir);
    const Result<bool> changed = prepare_containerd(paths_);
    if (!changed.ok()) return changed.error();
    if (pod_cidr_)
      if (const Result<bool> written = write_cni_config(paths_, *pod_cidr_); !written.ok())
        return written.error();
    const Result<std::string> program = find_program("containerd");
    if (!program.ok()) return program.error();
    ChildSpec containerd{"containerd", {*program, "--config", paths_.config()}, nullptr};
    const pid_t before = recorded_containerd(options_.run_dir);
    if (const Result<void> kept = supervisor_.keep(std::move(containerd)); !kept.ok()) return kept;
    if (*changed && before != 0 && supervisor_.pid("containerd") == before)
      supervisor_.restart("containerd");  // adopted, with the configuration of another release
  } else if (const Result<void> noted = files::write_atomic(paths_.foreign_socket(), socket());
             !noted.ok()) {
    return noted;  // `fairlead down` would not find the pods
  }
  cri_ = std::make_unique<CriClient>(loop_, socket());
  wait_for_runtime();
  return ok();
}

void NodeProgram::wait_for_runtime() {
  cri_->version([this](Result<RuntimeVersion> version) {
    if (version.ok()) return runtime_answers();
    wait_ = loop_.clock().after(std::chrono::milliseconds(50), [this] { wait_for_runtime(); });
  });
}

void NodeProgram::runtime_answers() {
  if (!options_.containerd_socket.empty()) return;
  images_ =
      std::make_unique<ImageImport>(loop_, paths_, socket(), options_.log_dir() + "/images.log");
  images_->start([this] {
    if (runner_) runner_->runtime_changed();
  });
}

// The range is known: containerd sees the new file by itself.
void NodeProgram::pod_cidr_known(const Cidr& cidr) {
  if (const auto noted = files::write_atomic(options_.data_dir + "/pod-cidr", cidr.to_string());
      !noted.ok())
    log::warn("{}", noted.error().message());
  if (!options_.containerd_socket.empty()) return;
  if (pod_cidr_ && *pod_cidr_ != cidr)
    log::warn("the node's pod range is now {}", cidr.to_string());
  pod_cidr_ = cidr;
  if (const auto written = write_cni_config(paths_, cidr); !written.ok())
    log::error("{}", written.error().message());
}

Result<void> NodeProgram::start(const NodeAccess& access) {
  Result<kube::ClientConfig> config = kube::find_config(access.node_kubeconfig);
  if (!config.ok()) return config.error();
  const auto credentials = kube::Credentials::load(loop_.clock(), *config, kube::read_file);
  if (!credentials.ok()) return credentials.error();
  auto cluster = kube::Cluster::connect(loop_, *std::move(config), kUserAgent);
  if (!cluster.ok()) return cluster.error();
  cluster_ = *std::move(cluster);
  Result<Cgroups> cgroups = Cgroups::detect();
  if (!cgroups.ok()) return cgroups.error();

  RunnerOptions runner;
  runner.node = info_;
  runner.cluster_cidr = options_.cluster_cidr;
  runner.pod_cidr = pod_cidr_;
  runner.data_dir = options_.data_dir;
  runner.logs = {options_.pod_log_dir, options_.log_link_dir};
  runner.cluster_dns = {options_.dns ? options_.service_address(10).to_string() : "",
                        options_.cluster_domain};
  runner.on_pod_cidr = [this](const Cidr& cidr) { pod_cidr_known(cidr); };
  runner.on_ready = [this](bool ready) {
    log::info("node {} is {}", info_.name, ready ? "ready" : "not ready");
    if (ready && !std::exchange(ready_told_, true) && on_ready_) on_ready_();
  };
  runner_ = std::make_unique<Runner>(loop_, *cri_, cluster_->api(), *std::move(cgroups),
                                     std::move(runner));
  runner_->start();

  LogServerOptions logs;
  logs.bind = {IpAddress::any(Family::kIpv4), options_.kubelet_port};
  logs.client_ca_pem = credentials->tls().ca_pem;
  logs.certificate = {credentials->tls().certificate_pem, credentials->tls().key_pem};
  log_server_ = std::make_unique<LogServer>(loop_, *cri_, *runner_, std::move(logs));
  if (const Result<void> listening = log_server_->start(); !listening.ok()) return listening;
  return start_children(access);
}

Result<void> NodeProgram::start_children(const NodeAccess& access) {
  const std::string dns_address = options_.service_address(10).to_string();
  if (options_.proxy) {
    ChildSpec proxy{"fairlead-proxy",
                    {options_.bin_dir + "/fairlead-proxy", "--kubeconfig", access.proxy_kubeconfig,
                     "--cluster-cidr", options_.cluster_cidr.to_string(), "--service-cidr",
                     options_.service_cidr.to_string(), "--hostname-override", info_.name,
                     // What belongs to the host stays as it is: `fairlead down` could not tell.
                     "--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0s",
                     "--conntrack-tcp-timeout-close-wait=0s"},
                    nullptr};
    if (options_.dns) {
      proxy.command.push_back("--local-dns-address");
      proxy.command.push_back(dns_address);
    }
    if (const Result<void> kept = supervisor_.keep(std::move(proxy)); !kept.ok()) return kept;
  }
  if (options_.dns) {
    dns_endpoint_ = std::make_unique<DnsEndpoint>(loop_, cluster_->api(), info_.name, info_.ip);
    ChildSpec dns{"fairlead-dns",
                  {options_.bin_dir + "/fairlead-dns", "--kubeconfig", access.dns_kubeconfig,
                   "--cluster-domain", options_.cluster_domain, "--listen", dns_address + ":53",
                   "--listen", info_.ip + ":" + std::to_string(DnsEndpoint::kPort)},
                  [this](bool) { dns_endpoint_->changed(); }};
    if (const Result<void> kept = supervisor_.keep(std::move(dns)); !kept.ok()) return kept;
    dns_endpoint_->start();
  }
  return ok();
}

}  // namespace fairlead::orchestrator
