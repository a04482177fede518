// SPDX-License-Identifier: Apache-2.0
// The actions of PodWorker that concern the whole pod. Each ends with end(key) and another sync().
#include <unistd.h>

#include "base/log.h"
#include "orchestrator/node/container_config.h"
#include "orchestrator/node/files.h"
#include "orchestrator/node/pod_status.h"
#include "orchestrator/node/pod_worker.h"
#include "orchestrator/node/resources.h"

namespace fairlead::orchestrator {

using std::chrono::seconds;

// Gets the ConfigMaps and Secrets; those that do not exist are left out of the result.
void PodWorker::fetch_objects(const std::set<ObjectRef>& references,
                              std::function<void(Result<Objects>)> done) {
  if (references.empty()) return done(Objects());
  struct Fetch {
    Objects objects;
    size_t missing;
    std::optional<Error> error;
    std::function<void(Result<Objects>)> done;
  };
  auto fetch = std::make_shared<Fetch>(Fetch{{}, references.size(), {}, std::move(done)});
  for (const ObjectRef& reference : references)
    context_.api.get_object(spec_.key.ns, reference,
                            [fetch, reference, guard = guard()](Result<ObjectData> data) {
                              if (guard.expired()) return;
                              if (data.ok())
                                fetch->objects[reference] = *std::move(data);
                              else if (!data.error().is_not_found())
                                fetch->error = data.error();
                              if (--fetch->missing > 0) return;
                              if (fetch->error)
                                fetch->done(*fetch->error);
                              else
                                fetch->done(std::move(fetch->objects));
                            });
}

void PodWorker::set_up_volumes(const Action& action) {
  fetch_objects(volume_references(spec_), [this, key = action.key](Result<Objects> objects) {
    end(key);
    const Result<void> done = objects.ok() ? context_.volumes.set_up(spec_, facts(), *objects)
                                           : Result<void>(objects.error());
    memory_.volumes_ready = done.ok();
    if (done.ok()) {
      memory_.failure.reset();
      update_volumes_later();
    } else {
      memory_.failure = Failure{"FailedMount", done.error().message(), context_.clock.wall_now()};
      event("Warning", "FailedMount", done.error().message());
    }
    // Often done at once, from inside sync(): look again from the loop.
    again_ = context_.clock.after(Duration::zero(), [this] { sync(); });
  });
}

// What the objects hold now reaches running containers. The pod's own fields may be in any volume.
void PodWorker::update_volumes_later() {
  if (!volume_references(spec_).empty())
    objects_ = context_.clock.after(context_.object_period, [this] { update_volumes(); });
}

void PodWorker::update_volumes() {
  static constexpr const char* kKey = "volumes";
  if (!memory_.volumes_ready || spec_.deletion || gone_ || pod_is_finished(input())) return;
  if (busy_.contains(kKey)) return update_volumes_later();
  begin(kKey);  // tearing down waits for it
  fetch_objects(volume_references(spec_), [this](Result<Objects> objects) {
    end(kKey);
    // An API server that does not answer is no reason to touch what is there.
    if (objects.ok())
      if (const Result<void> done = context_.volumes.update(spec_, facts(), *objects); !done.ok())
        event("Warning", "FailedMount", done.error().message());
    update_volumes_later();
    again_ = context_.clock.after(Duration::zero(), [this] { sync(); });
  });
}

void PodWorker::create_sandbox(const Action& action) {
  const std::string cgroup = pod_cgroup(context_.cgroup_root, spec_);
  Result<void> ready = context_.cgroups.create(cgroup);
  if (ready.ok()) ready = context_.cgroups.set(cgroup, pod_limits(spec_));
  if (ready.ok()) ready = files::make_dirs(pod_log_dir(context_.logs.root, spec_));
  const auto failed = [this, key = action.key](const Error& error) {
    end(key);
    memory_.failure = Failure{"FailedCreatePodSandBox", error.message(), context_.clock.wall_now()};
    event("Warning", "FailedCreatePodSandBox", "Failed to create pod sandbox: " + error.message());
    refresh();
  };
  if (!ready.ok()) return failed(ready.error());
  const DnsConfig dns = pod_dns(spec_, context_.cluster_dns, host_dns());
  const Result<SandboxConfig> config = sandbox_config(
      {spec_, action.attempt, context_.logs.root, context_.cluster_dns.domain, cgroup, dns});
  if (!config.ok()) return failed(config.error());
  context_.cri.run_sandbox(
      *config, [this, guard = guard(), key = action.key, failed](Result<std::string> id) {
        if (guard.expired()) return;
        if (!id.ok()) return failed(id.error());
        context_.cri.sandbox_status(*id, [this, guard, key](Result<SandboxInfo> sandbox) {
          if (guard.expired()) return;
          end(key);
          memory_.failure.reset();
          if (!sandbox.ok()) return lose_sight();
          runtime_.sandboxes.push_back(*std::move(sandbox));
          sync();
        });
      });
}

DnsConfig PodWorker::host_dns() const {
  const Result<std::string> text = files::read(context_.resolv_conf);
  const DnsConfig dns = text.ok() ? parse_resolv_conf(*text) : DnsConfig();
  if (!only_loopback(dns)) return dns;
  const Result<std::string> behind = files::read(context_.resolved_conf);
  return behind.ok() ? parse_resolv_conf(*behind) : dns;
}

void PodWorker::stop_sandbox(const Action& action) {
  context_.cri.stop_sandbox(action.id, [this, guard = guard(), action](Result<void> done) {
    if (guard.expired()) return;
    end(action.key);
    if (done.ok()) {
      for (SandboxInfo& sandbox : runtime_.sandboxes)
        if (sandbox.id == action.id) sandbox.ready = false;
      return sync();
    }
    log::warn("pod {}: {}", spec_.key.to_string(), done.error().message());
    event("Warning", "FailedKillPod", "error killing pod: " + done.error().message());
    refresh_retry_ = context_.clock.after(seconds(2), [this] { refresh(); });
  });
}

void PodWorker::remove_sandbox(const Action& action) {
  context_.cri.remove_sandbox(action.id, [this, guard = guard(), action](Result<void> done) {
    if (guard.expired()) return;
    end(action.key);
    if (!done.ok()) {
      log::warn("pod {}: {}", spec_.key.to_string(), done.error().message());
      refresh_retry_ = context_.clock.after(seconds(2), [this] { refresh(); });
      return;
    }
    std::erase_if(runtime_.sandboxes, [&](const SandboxInfo& s) { return s.id == action.id; });
    for (const ContainerInfo& container : runtime_.containers)
      if (container.sandbox_id == action.id) forget_instance(container);
    std::erase_if(runtime_.containers,
                  [&](const ContainerInfo& c) { return c.sandbox_id == action.id; });
    sync();
  });
}

void PodWorker::stop_container(const Action& action) {
  if (!memory_.stop_deadlines.contains(action.id))
    event("Normal", "Killing", action.message, action.container);
  if (action.restart) memory_.containers[action.container].replaced_id = action.id;
  memory_.stop_deadlines[action.id] = context_.clock.now() + action.grace;
  abandon_post_start(action);
  const ContainerSpec* spec = known_ && !gone_ ? spec_.find(action.container) : nullptr;
  if (spec != nullptr && spec->pre_stop && pre_stopped_.insert(action.id).second)
    return run_pre_stop(action, *spec->pre_stop);
  stop_in_runtime(action);
}

void PodWorker::stop_in_runtime(const Action& action) {
  context_.cri.stop_container(
      action.id, action.grace, [this, guard = guard(), action](Result<void> done) {
        if (guard.expired()) return;
        end(action.key);
        if (done.ok()) return observe_container(action.id, kFirstLook);
        log::warn("pod {}: container {}: {}", spec_.key.to_string(), action.container,
                  done.error().message());
        refresh_retry_ = context_.clock.after(seconds(1), [this] { refresh(); });
      });
}

void PodWorker::remove_container(const Action& action) {
  context_.cri.remove_container(action.id, [this, guard = guard(), action](Result<void> done) {
    if (guard.expired()) return;
    end(action.key);
    if (!done.ok()) {
      refresh_retry_ = context_.clock.after(seconds(2), [this] { refresh(); });
      return;
    }
    for (const ContainerInfo& container : runtime_.containers)
      if (container.id == action.id) forget_instance(container);
    std::erase_if(runtime_.containers, [&](const ContainerInfo& c) { return c.id == action.id; });
    sync();
  });
}

// What one run of a container left beside what the runtime had of it.
void PodWorker::forget_instance(const ContainerInfo& container) {
  memory_.stop_deadlines.erase(container.id);
  backed_off_.erase(container.id);
  pre_stopped_.erase(container.id);
  memory_.in_post_start.erase(container.id);
  if (!known_) return;  // all logs of the pod go
  context_.logs.remove(spec_, container);
  unlink(context_.volumes.message_path(uid_, container.name, container.attempt).c_str());
}

void PodWorker::tear_down(const Action& action) {
  remove_cgroups(20, [this, key = action.key] {
    end(key);
    Result<std::string> moved = context_.volumes.tear_down(uid_);
    memory_.torn_down = moved.ok();
    if (!moved.ok())
      log::warn("pod {}: {}", spec_.key.to_string(), moved.error().message());
    else if (!moved->empty())
      context_.trash.remove(*std::move(moved));
    again_ = context_.clock.after(moved.ok() ? Duration::zero() : seconds(1), [this] { sync(); });
  });
}

// Whichever class the pod is of. The kernel may need some milliseconds after the last process.
void PodWorker::remove_cgroups(int more_tries, std::function<void()> then) {
  std::optional<Error> failed;
  for (const char* parent : {"", "/burstable", "/besteffort"}) {
    const std::string cgroup = context_.cgroup_root + parent + "/pod" + uid_;
    if (const Result<void> done = context_.cgroups.remove_or_kill(cgroup); !done.ok())
      failed = done.error();
  }
  if (failed && more_tries > 0) {
    cgroups_ = context_.clock.after(std::chrono::milliseconds(50),
                                    [this, more_tries, then = std::move(then)] {
                                      const auto copy = then;  // the alarm is replaced
                                      remove_cgroups(more_tries - 1, copy);
                                    });
    return;
  }
  if (failed) log::warn("{}", failed->message());
  then();
}

// The last status first, so that whoever watches sees how the containers ended.
void PodWorker::delete_object(const Action& action) {
  const auto remove = [this, guard = guard(), key = action.key] {
    context_.api.delete_pod(spec_.key, uid_, [this, guard, key](Result<void> done) {
      if (guard.expired()) return;
      // Success is seen by the watch, as set_gone(); look again in case it never comes.
      if (!done.ok())
        log::warn("pod {} could not be deleted, trying again: {}", spec_.key.to_string(),
                  done.error().message());
      again_ = context_.clock.after(seconds(done.ok() ? 30 : 2), [this, key] {
        end(key);
        sync();
      });
    });
  };
  const nlohmann::json status = pod_status({input(), api_status_, context_.node.host_ip});
  if (status == written_status_ || writing_status_) return remove();
  write_status(status, remove);
}

void PodWorker::forget(const Action& action) {
  (void)action;
  remove_cgroups(20, [this] {
    for (const std::string& name : files::list(context_.logs.root))
      if (name.ends_with("_" + uid_)) (void)files::remove_tree(context_.logs.root + "/" + name);
    const auto finished = on_finished_;
    finished();  // destroys this
  });
}

}  // namespace fairlead::orchestrator
