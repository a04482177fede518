// SPDX-License-Identifier: Apache-2.0
// Carries out one pod: asks the state machine what to do, does it through the runtime, tells the
// API server what became of it.
//
// Threads: the loop's. Inert until update() or set_gone() is called. Every action that ends, every
// change of the pod, the runtime or a probe leads to one more look (sync); actions under way are
// known by their keys, so no two of one kind run at a time. Destroying it leaves containers as they
// are.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "base/clock.h"
#include "orchestrator/node/cgroup.h"
#include "orchestrator/node/container_logs.h"
#include "orchestrator/node/event_recorder.h"
#include "orchestrator/node/node_api.h"
#include "orchestrator/node/pod_machine.h"
#include "orchestrator/node/probe.h"
#include "orchestrator/node/resolv_conf.h"
#include "orchestrator/node/trash.h"
#include "orchestrator/node/volumes.h"

namespace fairlead::orchestrator {

// What all pods of a node share. Everything outlives the workers.
struct PodContext {
  Clock& clock;
  Cri& cri;
  NodeApi& api;
  EventSink& events;
  ProbeRunner& probes;
  Volumes& volumes;
  Trash& trash;
  const Cgroups& cgroups;
  std::string cgroup_root;  // kPodCgroupRoot
  ContainerLogs logs;
  std::string resolv_conf;  // the host's, usually /etc/resolv.conf
  // What systemd-resolved itself asks: for pods, where the former names only that resolver.
  std::string resolved_conf;
  ClusterDns cluster_dns;
  NodeFacts node;                                                             // pod_ips empty
  std::function<std::vector<kube::Service>(const std::string& ns)> services;  // for environments
  // How often the ConfigMaps and Secrets in a running pod's volumes are read again (the kubelet's
  // sync period).
  Duration object_period = std::chrono::seconds(60);
};

class PodWorker {
 public:
  // on_finished: nothing is left of the pod; the callback may destroy the worker.
  PodWorker(PodContext& context, std::string uid, std::function<void()> on_finished);
  ~PodWorker();
  PodWorker(const PodWorker&) = delete;
  PodWorker& operator=(const PodWorker&) = delete;

  // The API object as it is now.
  void update(PodSpec spec, nlohmann::json status);
  // The API object is gone: what is left of the pod on this node goes too.
  void set_gone();
  // Something may have happened to the pod in the runtime.
  void observe();
  // A task ended in the runtime. False: it is none of this pod's (as far as is known: it may be of
  // a container being started, which is remembered).
  bool task_ended(const std::string& container_id);
  // Everything this pod is waiting for may try again now (the runtime is back).
  void retry();

  // False once the pod is over.
  bool may_run() const;
  // pod_status.h's.
  Result<const ContainerInfo*> log_source(const std::string& container, bool previous) const;

  const PodSpec& spec() const { return spec_; }
  const PodRuntime& runtime() const { return runtime_; }

 private:
  struct Start;  // one container on its way from image to running
  bool owns(const std::string& runtime_id) const;
  using Guard = std::weak_ptr<bool>;

  struct Details;
  void forget_failures_of_other_images(const PodSpec& spec);
  void refresh();
  void refresh_later();
  void fetch_details(PodRuntime found);
  void refreshed(Details& details);
  void lose_sight();
  static constexpr Duration kFirstLook = std::chrono::milliseconds(20);
  void observe_container(const std::string& container_id, Duration again);
  void observed(ContainerInfo container);
  void sync();
  void perform(const Action& action);
  void begin(const std::string& key) { busy_.insert(key); }
  void end(const std::string& key);
  PodInput input() const;

  void set_up_volumes(const Action& action);
  void update_volumes_later();
  void update_volumes();
  void create_sandbox(const Action& action);
  DnsConfig host_dns() const;
  void stop_sandbox(const Action& action);
  void remove_sandbox(const Action& action);
  void stop_container(const Action& action);
  void stop_in_runtime(const Action& action);
  void remove_container(const Action& action);
  void tear_down(const Action& action);
  void remove_cgroups(int more_tries, std::function<void()> then);
  void forget_instance(const ContainerInfo& container);
  void delete_object(const Action& action);
  void forget(const Action& action);

  void start_container(const Action& action);
  void pull(std::shared_ptr<Start> start);
  void pull_with_next_login(std::shared_ptr<Start> start);
  void abandon_pulls(const std::string& container = "");
  void start_with_image(std::shared_ptr<Start> start, Duration took);
  void start_with_objects(std::shared_ptr<Start> start);
  void create(std::shared_ptr<Start> start, const Objects& objects);
  void created(std::shared_ptr<Start> start, const std::string& id);
  void started(std::shared_ptr<Start> start, const std::string& id);
  struct Hook;
  using HookDone = std::function<void(const std::string& failure)>;
  void run_hook(const std::string& key, const std::string& id, const HookSpec& hook, Duration limit,
                HookDone done);
  void hook_ended(const std::string& key, const std::string& failure);
  void run_post_start(const std::shared_ptr<Start>& start, const std::string& id);
  void post_start_failed(const std::shared_ptr<Start>& start, const std::string& id,
                         const std::string& failure);
  void run_pre_stop(const Action& action, const HookSpec& hook);
  void abandon_post_start(const Action& stop);
  void abandon_post_starts();
  void inspection_failed(const std::shared_ptr<Start>& start, const Error& error);
  void invalid_image(const std::shared_ptr<Start>& start, const Error& error);
  void never_pulled(const std::shared_ptr<Start>& start);
  void pull_failed(const std::shared_ptr<Start>& start, const Error& error);
  void image_failed(const std::shared_ptr<Start>& start, const std::string& reason,
                    const std::string& message);
  void start_failed(const std::shared_ptr<Start>& start, const std::string& reason,
                    const std::string& message);
  void wait_after_failure(const std::shared_ptr<Start>& start, Failure failure,
                          const std::string& told);
  void fetch_objects(const std::set<ObjectRef>& references,
                     std::function<void(Result<Objects>)> done);

  void read_termination_message(ContainerInfo& container) const;
  ContainerProbes::State told_state(const std::string& container_id) const;
  void report_probe(const std::string& container, ContainerProbes::Kind kind,
                    const ProbeResult& result);
  void update_probes();
  void update_probes_of(const ContainerSpec& spec, std::set<std::string>& wanted);
  void report_back_offs();
  void report_deadline();
  void report_refusal();
  static std::string pull_key(const std::string& container) { return "pull:" + container; }
  void report_status();
  void write_status(const nlohmann::json& status, std::function<void()> then);
  void schedule_wake(const Plan& plan);
  NodeFacts facts() const;
  EventSubject subject(const std::string& container = "") const;
  void event(const std::string& type, const std::string& reason, const std::string& message,
             const std::string& container = "");
  Guard guard() const { return alive_; }

  PodContext& context_;
  const std::string uid_;
  std::function<void()> on_finished_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  PodSpec spec_;
  bool known_ = false;  // spec_ has been given
  bool gone_ = false;
  nlohmann::json api_status_;
  PodRuntime runtime_;
  PodMemory memory_;
  std::set<std::string> busy_;

  std::map<std::string, Alarm> endings_;  // containers whose task ended, until the runtime says so
  std::set<std::string>
      early_ends_;  // tasks of nobody that ended while something was being started

  bool observed_ = false;  // runtime_ has been read once
  bool refreshing_ = false;
  bool refresh_again_ = false;
  Alarm refresh_retry_;
  Alarm objects_;  // volumes made of objects are read again
  Alarm wake_;     // what the plan asked for
  Alarm again_;    // an action that ended at once asks for another look
  Alarm cgroups_;  // which were not empty
  bool syncing_ = false;

  std::map<std::string, std::unique_ptr<ContainerProbes>> probes_;  // by container id
  std::set<std::shared_ptr<Start>> pulls_;                          // whose image is awaited
  std::set<std::string> backed_off_;  // container ids and pull_key()s with a BackOff event
  std::map<std::string, std::unique_ptr<Hook>> hooks_;  // that run, by key
  std::set<std::string> pre_stopped_;                   // container ids whose preStop was begun
  bool refusal_told_ = false;
  bool rejection_told_ = false;
  bool deadline_told_ = false;

  bool writing_status_ = false;
  nlohmann::json written_status_;   // what we asked for last
  nlohmann::json accepted_status_;  // what the server made of it
  Alarm status_retry_;
};

}  // namespace fairlead::orchestrator
