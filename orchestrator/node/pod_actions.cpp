// SPDX-License-Identifier: Apache-2.0
// The actions of PodWorker that concern the whole pod. Each ends with end(key) and another sync().
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
  if (ready.ok()) ready = files::make_dirs(pod_log_dir(context_.log_root, spec_));
  const auto failed = [this, key = action.key](const Error& error) {
    end(key);
    memory_.failure = Failure{"FailedCreatePodSandBox", error.message(), context_.clock.wall_now()};
    event("Warning", "FailedCreatePodSandBox", "Failed to create pod sandbox: " + error.message());
    refresh();
  };
  if (!ready.ok()) return failed(ready.error());
  const Result<std::string> host = files::read(context_.resolv_conf);
  const DnsConfig dns =
      pod_dns(spec_, context_.cluster_dns, host.ok() ? parse_resolv_conf(*host) : DnsConfig());
  const Result<SandboxConfig> config = sandbox_config(
      {spec_, action.attempt, context_.log_root, context_.cluster_dns.domain, cgroup, dns});
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
    std::erase_if(runtime_.containers,
                  [&](const ContainerInfo& c) { return c.sandbox_id == action.id; });
    sync();
  });
}

void PodWorker::stop_container(const Action& action) {
  if (!memory_.stop_deadlines.contains(action.id))
    event("Normal", "Killing", action.message, action.container);
  if (action.restart) memory_.containers[action.container].replaced_id = action.id;
  memory_.stop_deadlines[action.id] = context_.clock.wall_now() + action.grace;
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
    memory_.stop_deadlines.erase(action.id);
    backed_off_.erase(action.id);
    std::erase_if(runtime_.containers, [&](const ContainerInfo& c) { return c.id == action.id; });
    sync();
  });
}

void PodWorker::tear_down(const Action& action) {
  end(action.key);
  const Result<void> done = context_.volumes.tear_down(uid_);
  memory_.torn_down = done.ok();
  if (!done.ok()) log::warn("pod {}: {}", spec_.key.to_string(), done.error().message());
  again_ = context_.clock.after(done.ok() ? Duration::zero() : seconds(1), [this] { sync(); });
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
  for (const char* parent : {"", "/burstable", "/besteffort"}) {
    const std::string cgroup = context_.cgroup_root + parent + "/pod" + uid_;
    if (const Result<void> done = context_.cgroups.kill_and_remove(cgroup); !done.ok())
      log::warn("{}", done.error().message());
  }
  for (const std::string& name : files::list(context_.log_root))
    if (name.ends_with("_" + uid_))
      if (const Result<void> done = files::remove_tree(context_.log_root + "/" + name); !done.ok())
        log::warn("{}", done.error().message());
  const auto finished = on_finished_;
  finished();  // destroys this
}

}  // namespace fairlead::orchestrator
