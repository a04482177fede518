// SPDX-License-Identifier: Apache-2.0
// The node runner: brings the pods bound to this node to life through the container runtime, and
// tells the API server about them and about the node.
//
//   reflector (pods of this node) -> PodWorker per pod -> Cri
//   runtime events, slow resync   ->
//
// Threads: everything on one Loop. Inert until start(). Destroying it stops nothing that runs: the
// next runner finds sandboxes and containers by their labels and goes on with them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/loop.h"
#include "kube/cluster.h"
#include "kube/reflector.h"
#include "kube/store.h"
#include "orchestrator/node/pod_worker.h"
#include "orchestrator/node/qos_cgroups.h"
#include "orchestrator/node/registration.h"
#include "orchestrator/node/trash.h"

namespace fairlead::orchestrator {

struct RunnerOptions {
  NodeInfo node;
  Cidr cluster_cidr;
  std::optional<Cidr> pod_cidr;  // remembered from before
  std::string data_dir;          // volumes: DATA_DIR/pods, removed by way of DATA_DIR/trash
  ContainerLogs logs = {"/var/log/pods", "/var/log/containers"};
  std::string cgroup_root = kPodCgroupRoot;
  std::string resolv_conf = "/etc/resolv.conf";
  std::string resolved_conf = "/run/systemd/resolve/resolv.conf";
  ClusterDns cluster_dns;
  std::function<void(const Cidr&)> on_pod_cidr;
  std::function<void(bool ready)> on_ready;
};

class Runner {
 public:
  // `cri` and `api` must outlive it.
  Runner(Loop& loop, Cri& cri, kube::ApiClient& api, Cgroups cgroups, RunnerOptions options);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  void start();
  // The runtime was restarted or its network configuration changed.
  void runtime_changed();

  size_t pods() const { return workers_.size(); }
  // What the kubelet's log endpoint needs: the container's (or its previous run's) log file.
  Result<std::string> log_file(const kube::ObjectKey& pod, const std::string& container,
                               bool previous) const;
  bool is_running(const kube::ObjectKey& pod, const std::string& container) const;
  // Running containers and the files they write: id, path.
  std::vector<std::pair<std::string, std::string>> running_logs() const;

 private:
  class Target;
  PodWorker& worker(const std::string& uid);
  void pod_changed(std::string_view json);
  void pod_removed(const kube::ObjectKey& key);
  void resync();
  void compare(const std::vector<SandboxInfo>& sandboxes,
               const std::vector<ContainerInfo>& containers);
  void weigh_classes();
  std::vector<kube::Service> services_for(const std::string& ns) const;

  Loop& loop_;
  Cri& cri_;
  RunnerOptions options_;
  Cgroups cgroups_;
  QosCgroups classes_;
  Volumes volumes_;
  Trash trash_;
  HttpNodeApi node_api_;
  EventRecorder events_;
  NetworkProbeRunner probes_;
  PodContext context_;
  NodeRegistration registration_;

  kube::Store<kube::Service> services_;
  kube::TypedReflector<kube::Service> service_reflector_;
  std::unique_ptr<Target> target_;
  std::unique_ptr<kube::Reflector> pod_reflector_;

  std::map<std::string, std::unique_ptr<PodWorker>> workers_;  // by UID
  std::map<kube::ObjectKey, std::string> uids_;                // of the pods the API has
  std::vector<std::unique_ptr<PodWorker>> finished_;           // destroyed from the loop
  bool pods_synced_ = false;
  Alarm resync_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace fairlead::orchestrator
