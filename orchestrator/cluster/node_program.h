// SPDX-License-Identifier: Apache-2.0
// The node side of a cluster in this process: containerd, proxy and DNS server as children, and the
// node runner.
//
// Threads: the loop's. Destroying it leaves children and pods running.
#pragma once

#include <memory>
#include <string>

#include "base/loop.h"
#include "kube/cluster.h"
#include "orchestrator/cluster/dns_endpoint.h"
#include "orchestrator/cluster/image_import.h"
#include "orchestrator/cluster/options.h"
#include "orchestrator/cluster/supervisor.h"
#include "orchestrator/node/log_server.h"
#include "orchestrator/node/runner.h"

namespace fairlead::orchestrator {

// How the parts of a node reach the API server. The node's certificate serves its own HTTPS too,
// and who signed the API server's certificate signs the one it shows to read logs.
struct NodeAccess {
  std::string node_kubeconfig;
  std::string proxy_kubeconfig;
  std::string dns_kubeconfig;
};

class NodeProgram {
 public:
  NodeProgram(Loop& loop, const ClusterOptions& options, NodeInfo info,
              std::function<void()> on_ready);
  ~NodeProgram();
  NodeProgram(const NodeProgram&) = delete;
  NodeProgram& operator=(const NodeProgram&) = delete;

  // Starts (or adopts) containerd; needs no API server, so that both come up together.
  Result<void> start_runtime();
  // The rest, when the API server can be reached.
  Result<void> start(const NodeAccess& access);

 private:
  std::string socket() const;
  void wait_for_runtime();
  void runtime_answers();
  void pod_cidr_known(const Cidr& cidr);
  Result<void> start_children(const NodeAccess& access);

  Loop& loop_;
  const ClusterOptions options_;
  const ContainerdPaths paths_;
  NodeInfo info_;
  std::function<void()> on_ready_;
  bool ready_told_ = false;
  std::optional<Cidr> pod_cidr_;

  Supervisor supervisor_;
  std::unique_ptr<CriClient> cri_;
  std::unique_ptr<kube::Cluster> cluster_;
  std::unique_ptr<Runner> runner_;
  std::unique_ptr<LogServer> log_server_;
  std::unique_ptr<DnsEndpoint> dns_endpoint_;
  std::unique_ptr<ImageImport> images_;
  Alarm wait_;
};

}  // namespace fairlead::orchestrator
