// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/cluster/control_plane.h"

#include "base/log.h"
#include "orchestrator/node/files.h"

namespace fairlead::orchestrator {

ControlPlane::ControlPlane(Loop& loop, const ClusterOptions& options, std::string node_name,
                           IpAddress node_ip)
    : loop_(loop), options_(options), node_name_(std::move(node_name)), node_ip_(node_ip) {}

ControlPlane::~ControlPlane() {
  scheduler_.reset();
  controllers_.reset();
  api_.reset();
  server_.reset();
}

Result<void> ControlPlane::start() {
  PkiOptions pki;
  pki.directory = options_.pki_dir();
  pki.server_url = "https://127.0.0.1:" + std::to_string(options_.secure_port);
  pki.dns_names = {"localhost", node_name_};
  pki.ip_addresses = {IpAddress::v4(127, 0, 0, 1), node_ip_, options_.service_address(1)};
  pki.nodes = {{node_name_, {node_ip_, IpAddress::v4(127, 0, 0, 1)}}};
  pki.cluster_domain = options_.cluster_domain;
  Result<Pki> made = ensure_pki(pki, loop_.clock().wall_now());
  if (!made.ok()) return made.error();
  pki_ = *std::move(made);
  if (!options_.write_kubeconfig.empty()) {
    const Result<std::string> text = files::read(pki_.admin_kubeconfig);
    if (!text.ok()) return text.error();
    if (const auto written = files::write_atomic(options_.write_kubeconfig, *text, 0600);
        !written.ok())
      return written.error().with_context("--write-kubeconfig");
  }

  ApiServerOptions server;
  server.data_dir = options_.data_dir;
  server.bind = {options_.bind_address, options_.secure_port};
  server.advertise = node_ip_;
  server.service_cidr = options_.service_cidr;
  server.pki = pki_;
  server.node_api_port = options_.kubelet_port;
  server_ = std::make_unique<ApiServer>(std::move(server));
  if (const Result<void> started = server_->start(); !started.ok()) return started;
  api_ = server_->in_process(loop_);
  controllers_ = std::make_unique<ControllerManager>(loop_, *api_, ControllerManager::Options());
  controllers_->start();
  scheduler_ = std::make_unique<Scheduler>(loop_, *api_);
  scheduler_->start();
  log::info("the API server listens on {}", server_->address().to_string());
  return ok();
}

}  // namespace fairlead::orchestrator
