// SPDX-License-Identifier: Apache-2.0
// A real containerd for one test process: in a network and a mount namespace of its own, with
// folders and cgroups of its own, gone when the process ends.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/loop.h"
#include "orchestrator/node/containerd.h"
#include "orchestrator/node/pod_worker.h"

namespace fairlead::orchestrator {

class Machine {
 public:
  // The one of this process; fails the program with a sentence when it cannot be made.
  static Machine& get();
  ~Machine();

  const ContainerdPaths& paths() const { return paths_; }
  const std::string& root() const { return root_; }
  const std::string& cgroup_root() const { return cgroup_root_; }
  pid_t containerd() const { return containerd_; }
  // SIGKILL, as a crash; containers go on.
  void kill_containerd();
  void start_containerd();
  // Runs a program to its end; its exit code.
  static int run(const std::vector<std::string>& command);

 private:
  Machine();
  std::string root_;
  std::string cgroup_root_;
  bool mounted_ = false;  // cgroup hierarchies
  ContainerdPaths paths_;
  pid_t containerd_ = -1;
};

// An API server of one node, as far as a pod needs one.
class FakeApi : public NodeApi {
 public:
  explicit FakeApi(Clock& clock) : clock_(clock) {}
  void patch_pod_status(const kube::ObjectKey& pod, const std::string& uid,
                        const nlohmann::json& status, JsonDone done) override;
  void delete_pod(const kube::ObjectKey& pod, const std::string& uid,
                  std::function<void(Result<void>)> done) override;
  void get_object(const std::string& ns, const ObjectRef& reference,
                  std::function<void(Result<ObjectData>)> done) override;

  std::map<ObjectRef, ObjectData> objects;
  std::map<std::string, nlohmann::json> status;  // by uid
  std::vector<nlohmann::json> history;
  std::vector<std::string> deleted;  // uids
  std::function<void(const std::string& uid)> on_delete;

 private:
  void later(std::function<void()> task);
  Clock& clock_;
  std::vector<Alarm> alarms_;
};

struct SeenEvents : EventSink {
  void record(const EventSubject&, const std::string&, const std::string& reason,
              const std::string& message) override {
    list.push_back(reason + ": " + message);
  }
  bool has(const std::string& reason) const;
  std::vector<std::string> list;
};

// Pods on the machine, without an API server: specs are fed by hand.
class PodBench {
 public:
  PodBench();
  ~PodBench();

  // A pod of the demo image; `spec` is merged over {"containers":[...]} as given.
  static nlohmann::json pod(const std::string& name, nlohmann::json spec);
  PodWorker& apply(const nlohmann::json& pod);
  // Asks for deletion now with the pod's own grace period, as the API server would.
  void remove(const nlohmann::json& pod, int grace_seconds);
  bool wait(const std::function<bool()>& done, Duration limit = std::chrono::seconds(60));
  std::string phase(const nlohmann::json& pod) const;
  bool ready(const nlohmann::json& pod) const;
  nlohmann::json status(const nlohmann::json& pod) const;
  nlohmann::json container(const nlohmann::json& pod, const std::string& name) const;
  std::string log(const nlohmann::json& pod, const std::string& container, int attempt) const;
  // Forgets everything, as a restart of fairlead does.
  void restart();
  // Deletes every pod and waits until nothing is left.
  void clean();

  Loop loop;
  std::unique_ptr<CriClient> cri;
  FakeApi api;
  SeenEvents events;
  std::unique_ptr<NetworkProbeRunner> probes;
  Volumes volumes;
  Trash trash;
  Cgroups cgroups;
  std::unique_ptr<PodContext> context;
  std::map<std::string, std::unique_ptr<PodWorker>> workers;

 private:
  void connect();
  std::map<std::string, nlohmann::json> pods_;
  std::vector<std::unique_ptr<PodWorker>> finished_;
};

}  // namespace fairlead::orchestrator
