// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/runner.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "orchestrator/values/json_reader.h"

namespace fairlead::orchestrator {

namespace {

// Events carry the news; this finds what they missed.
constexpr Duration kResync = std::chrono::seconds(60);

NodeFacts facts_of(const NodeInfo& node) {
  return NodeFacts{node.name, node.ip, {}, int64_t{node.cpus} * 1000, node.memory_bytes};
}

kube::ReflectorOptions pod_options(const std::string& node_name) {
  kube::ReflectorOptions options;
  options.kind = "Pod";
  options.path = kube::resource_path("/api/v1", "pods");
  options.field_selector = "spec.nodeName=" + node_name;
  return options;
}

}  // namespace

// What the reflector fills: whole objects, not the trimmed ones.
class Runner::Target : public kube::ReflectorTarget {
 public:
  explicit Target(Runner& runner) : runner_(runner) {}
  Result<kube::ObjectVersion> put(std::string_view json) override {
    Result<kube::ObjectVersion> version = kube::decode_version(json);
    if (version.ok()) runner_.pod_changed(json);
    return version;
  }
  void remove(const kube::ObjectKey& key) override { runner_.pod_removed(key); }
  void retain(const std::set<kube::ObjectKey>& keys) override {
    std::vector<kube::ObjectKey> gone;
    for (const auto& [key, uid] : runner_.uids_)
      if (!keys.contains(key)) gone.push_back(key);
    for (const kube::ObjectKey& key : gone) runner_.pod_removed(key);
  }
  void mark_synced() override {
    runner_.pods_synced_ = true;
    runner_.resync();  // now pods that are in the runtime only are known to be left over
  }

 private:
  Runner& runner_;
};

Runner::Runner(Loop& loop, Cri& cri, kube::ApiClient& api, Cgroups cgroups, RunnerOptions options)
    : loop_(loop),
      cri_(cri),
      options_(std::move(options)),
      cgroups_(std::move(cgroups)),
      classes_(cgroups_, options_.cgroup_root, int64_t{options_.node.cpus} * 1000),
      volumes_(options_.data_dir),
      trash_(volumes_.trash_dir()),
      node_api_(api),
      events_(loop.clock(), api, options_.node.name),
      probes_(loop, cri),
      context_{loop.clock(),
               cri,
               node_api_,
               events_,
               probes_,
               volumes_,
               trash_,
               cgroups_,
               options_.cgroup_root,
               options_.logs,
               options_.resolv_conf,
               options_.resolved_conf,
               options_.cluster_dns,
               facts_of(options_.node),
               [this](const std::string& ns) { return services_for(ns); }},
      registration_(loop.clock(), cri, api, options_.node, options_.cluster_cidr, options_.pod_cidr,
                    {[this](const Cidr& cidr) {
                       if (options_.on_pod_cidr) options_.on_pod_cidr(cidr);
                     },
                     [this](bool ready) {
                       if (options_.on_ready) options_.on_ready(ready);
                     }}),
      service_reflector_(loop.clock(), api, services_),
      target_(std::make_unique<Target>(*this)),
      pod_reflector_(std::make_unique<kube::Reflector>(loop.clock(), api, *target_,
                                                       pod_options(options_.node.name))) {}

Runner::~Runner() {
  pod_reflector_->stop();
  service_reflector_.stop();
}

void Runner::start() {
  trash_.empty();
  options_.logs.remove_dead_links();
  weigh_classes();
  cri_.subscribe(
      [this](const RuntimeEvent& event) {
        for (const auto& [uid, each] : workers_)
          if (each->task_ended(event.container_id)) return;
      },
      [this] { runtime_changed(); });
  registration_.start();
  service_reflector_.start();
  // Service variables should be complete before the first container starts.
  services_.on_synced([this] { pod_reflector_->start(); });
}

void Runner::runtime_changed() {
  registration_.check_runtime();
  for (const auto& [uid, each] : workers_) each->retry();
  resync();
}

PodWorker& Runner::worker(const std::string& uid) {
  std::unique_ptr<PodWorker>& slot = workers_[uid];
  if (!slot) {
    slot = std::make_unique<PodWorker>(context_, uid, [this, uid] {
      const auto it = workers_.find(uid);
      if (it == workers_.end()) return;
      finished_.push_back(std::move(it->second));
      workers_.erase(it);
      weigh_classes();
      loop_.post([this, guard = std::weak_ptr<bool>(alive_)] {
        if (!guard.expired()) finished_.clear();
      });
    });
  }
  return *slot;
}

void Runner::pod_changed(std::string_view text) {
  nlohmann::json object = nlohmann::json::parse(text, nullptr, false);
  Result<PodSpec> spec = parse_pod(object);
  if (!spec.ok())
    return log::warn("a pod of this node is not understood: {}", spec.error().message());
  std::string& uid = uids_[spec->key];
  if (uid != spec->uid && !uid.empty())
    if (const auto old = workers_.find(uid); old != workers_.end()) old->second->set_gone();
  uid = spec->uid;
  nlohmann::json status = json::member(object, "status");
  worker(uid).update(*std::move(spec), std::move(status));
  weigh_classes();
}

void Runner::weigh_classes() {
  std::vector<const PodSpec*> pods;
  for (const auto& [uid, each] : workers_)
    if (each->may_run()) pods.push_back(&each->spec());
  if (const Result<void> done = classes_.update(pods); !done.ok())
    log::warn("the weights of the pods' classes: {}", done.error().message());
}

void Runner::pod_removed(const kube::ObjectKey& key) {
  const auto it = uids_.find(key);
  if (it == uids_.end()) return;
  const std::string uid = it->second;
  uids_.erase(it);
  if (const auto found = workers_.find(uid); found != workers_.end()) found->second->set_gone();
}

void Runner::resync() {
  resync_ = loop_.clock().after(kResync, [this] { resync(); });
  const std::weak_ptr<bool> guard = alive_;
  cri_.list_sandboxes("", [this, guard](Result<std::vector<SandboxInfo>> sandboxes) {
    if (guard.expired() || !sandboxes.ok()) return;
    cri_.list_containers("", [this, guard, found = *std::move(sandboxes)](
                                 Result<std::vector<ContainerInfo>> containers) {
      if (!guard.expired() && containers.ok()) compare(found, *containers);
    });
  });
}

// Workers whose pod looks different in the runtime look again; what belongs to no pod of the API is
// cleaned away, once the API has told us all it has.
void Runner::compare(const std::vector<SandboxInfo>& sandboxes,
                     const std::vector<ContainerInfo>& containers) {
  std::map<std::string, std::set<std::string>> have;  // uid -> "id state" of what the runtime has
  for (const SandboxInfo& sandbox : sandboxes)
    have[sandbox.uid].insert(sandbox.id + (sandbox.ready ? " ready" : ""));
  for (const ContainerInfo& container : containers)
    have[container.pod_uid].insert(container.id + " " +
                                   std::to_string(static_cast<int>(container.state)));
  for (const auto& [uid, each] : workers_) {
    std::set<std::string> known;
    for (const SandboxInfo& sandbox : each->runtime().sandboxes)
      known.insert(sandbox.id + (sandbox.ready ? " ready" : ""));
    for (const ContainerInfo& container : each->runtime().containers)
      known.insert(container.id + " " + std::to_string(static_cast<int>(container.state)));
    if (known != have[uid]) each->observe();
  }
  if (!pods_synced_) return;
  std::vector<std::string> leftover = volumes_.known_pods();
  for (const auto& [uid, things] : have) leftover.push_back(uid);
  for (const std::string& uid : leftover) {
    if (workers_.contains(uid)) continue;
    log::info("pod {} is not in the API any more; what is left of it is removed", uid);
    worker(uid).set_gone();
  }
}

// Services of the pod's namespace, and always the API's own (kubelet getServiceEnvVarMap).
std::vector<kube::Service> Runner::services_for(const std::string& ns) const {
  std::vector<kube::Service> list;
  for (const auto& [key, service] : services_.all())
    if (key.ns == ns || (key.ns == "default" && key.name == "kubernetes")) list.push_back(*service);
  return list;
}

Result<std::string> Runner::log_file(const kube::ObjectKey& pod, const std::string& container,
                                     bool previous) const {
  const auto uid = uids_.find(pod);
  const auto found = uid == uids_.end() ? workers_.end() : workers_.find(uid->second);
  if (found == workers_.end())
    return Error(ErrorCode::kNotFound, "pod " + pod.to_string() + " is not on this node");
  const PodSpec& spec = found->second->spec();
  if (spec.find(container) == nullptr)
    return Error(ErrorCode::kNotFound,
                 "container " + container + " is not valid for pod " + pod.name);
  const Result<const ContainerInfo*> info = found->second->log_source(container, previous);
  if (!info.ok()) return info.error();
  return options_.logs.path(spec, container, (*info)->attempt);
}

bool Runner::is_running(const kube::ObjectKey& pod, const std::string& container) const {
  const auto uid = uids_.find(pod);
  const auto found = uid == uids_.end() ? workers_.end() : workers_.find(uid->second);
  if (found == workers_.end()) return false;
  const ContainerInfo* info = found->second->runtime().latest(container);
  return info != nullptr && info->state == ContainerState::kRunning;
}

std::vector<std::pair<std::string, std::string>> Runner::running_logs() const {
  std::vector<std::pair<std::string, std::string>> list;
  for (const auto& [uid, each] : workers_)
    for (const ContainerInfo& info : each->runtime().containers)
      if (info.state == ContainerState::kRunning && !info.log_path.empty())
        list.emplace_back(info.id, info.log_path);
  return list;
}

}  // namespace fairlead::orchestrator
