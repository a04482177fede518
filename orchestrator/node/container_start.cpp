// SPDX-License-Identifier: Apache-2.0
// PodWorker: one container's way from image over configuration to running.
#include <utility>

#include "base/log.h"
#include "orchestrator/node/container_config.h"
#include "orchestrator/node/files.h"
#include "orchestrator/node/pod_start.h"
#include "orchestrator/node/registry_login.h"

namespace fairlead::orchestrator {

void PodWorker::start_container(const Action& action) {
  const ContainerSpec* spec = spec_.find(action.container);
  const SandboxInfo* sandbox = runtime_.ready_sandbox();
  if (spec == nullptr || sandbox == nullptr) return end(action.key);
  if (action.restart)
    memory_.containers[action.container].restarts.advance(action.failed_at,
                                                          context_.clock.wall_now());
  auto start = std::make_shared<Start>(
      Start{action, *spec, sandbox->id, sandbox->attempt, {}, context_.clock.now(), {}, {}});
  if (const Result<void> valid = check_image_name(spec->image); !valid.ok())
    return invalid_image(start, valid.error());
  if (spec->pull_policy == PullPolicy::kAlways) return pull(start);
  context_.cri.image_status(
      spec->image, [this, guard = guard(), start](Result<std::optional<ImageInfo>> image) {
        if (guard.expired()) return;
        if (!image.ok()) return inspection_failed(start, image.error());
        if (*image) {
          start->image = **image;
          event("Normal", "Pulled",
                "Container image \"" + start->spec.image +
                    "\" already present on machine and can be accessed by the pod",
                start->spec.name);
          return start_with_objects(start);
        }
        if (start->spec.pull_policy == PullPolicy::kNever) return never_pulled(start);
        pull(start);
      });
}

// With each login of the pod's secrets that is for this image, until one is let in; with none of
// them, as anybody.
void PodWorker::pull(std::shared_ptr<Start> start) {
  if (const ContainerSpec* now = spec_.find(start->spec.name);
      now == nullptr || now->image != start->spec.image) {
    end(start->action.key);  // it names another by now
    return sync();
  }
  pulls_.insert(start);
  std::set<ObjectRef> secrets;
  for (const std::string& name : spec_.pull_secrets) secrets.insert({true, name});
  fetch_objects(secrets, [this, start, secrets](Result<Objects> objects) {
    if (!pulls_.contains(start)) return;
    if (!objects.ok()) return pull_failed(start, objects.error());
    for (const ObjectRef& secret : secrets)
      if (!objects->contains(secret))
        event("Warning", "FailedToRetrieveImagePullSecret",
              "imagePullSecrets: " + secret.to_string() +
                  " not found; pulling may not succeed without it");
    start->logins = registry_logins(start->spec.image, *objects);
    if (start->logins.empty()) start->logins.emplace_back();
    event("Normal", "Pulling", "Pulling image \"" + start->spec.image + "\"", start->spec.name);
    pull_with_next_login(start);
  });
}

void PodWorker::pull_with_next_login(std::shared_ptr<Start> start) {
  const RegistryLogin login = start->logins.front();
  start->logins.erase(start->logins.begin());
  context_.cri.pull_image(start->spec.image, login,
                          [this, guard = guard(), start](const Result<std::string>& reference) {
                            if (guard.expired() || !pulls_.contains(start)) return;
                            if (reference.ok()) {
                              pulls_.erase(start);
                              return start_with_image(start, context_.clock.now() - start->began);
                            }
                            start->pull_errors += (start->pull_errors.empty() ? "" : "; ") +
                                                  reference.error().message();
                            if (!start->logins.empty()) return pull_with_next_login(start);
                            pull_failed(start, Error(reference.error().code(), start->pull_errors));
                          });
}

// A pod that is going does not wait for its images, nor one for an image that it names no more: a
// registry may be silent for minutes. `container` empty: every one's.
void PodWorker::abandon_pulls(const std::string& container) {
  std::erase_if(pulls_, [&](const std::shared_ptr<Start>& start) {
    if (!container.empty() && start->spec.name != container) return false;
    end(start->action.key);
    return true;
  });
}

// After a pull that took so long: what the image says of itself.
void PodWorker::start_with_image(std::shared_ptr<Start> start, Duration took) {
  context_.cri.image_status(start->spec.image, [this, guard = guard(), start,
                                                took](Result<std::optional<ImageInfo>> image) {
    if (guard.expired()) return;
    if (!image.ok()) return inspection_failed(start, image.error());
    if (!*image)
      return pull_failed(start, Error(ErrorCode::kNotFound,
                                      "the image vanished after it was pulled: is the disk full?"));
    start->image = **image;
    const std::string ms =
        std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()) + "ms";
    event("Normal", "Pulled",
          "Successfully pulled image \"" + start->spec.image + "\" in " + ms + " (" + ms +
              " including waiting). Image size: " + std::to_string(start->image.size_bytes) +
              " bytes.",
          start->spec.name);
    start_with_objects(start);
  });
}

void PodWorker::start_with_objects(std::shared_ptr<Start> start) {
  memory_.containers[start->spec.name].pulls.reset();
  fetch_objects(env_references(start->spec), [this, start](Result<Objects> objects) {
    if (!objects.ok())
      return start_failed(start, "CreateContainerConfigError", objects.error().message());
    create(start, *objects);
  });
}

void PodWorker::create(std::shared_ptr<Start> start, const Objects& objects) {
  const ContainerSpec& spec = start->spec;
  const NodeFacts node = facts();
  std::vector<kube::Service> services;
  if (context_.services) services = context_.services(spec_.service_links ? spec_.key.ns : "");
  const auto env = build_env(spec_, spec, node, objects, service_env(services));
  if (!env.ok()) return start_failed(start, "CreateContainerConfigError", env.error().message());
  Result<std::string> host_file = std::string();
  if (spec_.namespaces.host_network) host_file = files::read("/etc/hosts");
  const std::string hosts =
      pod_hosts(spec_, node.pod_ips, context_.cluster_dns.domain, host_file.ok() ? *host_file : "");
  const Result<ContainerSpec> mounted = with_sub_paths(spec, *env);
  if (!mounted.ok())
    return start_failed(start, "CreateContainerConfigError", mounted.error().message());
  const auto mounts = context_.volumes.mounts(spec_, *mounted, start->action.attempt, hosts);
  if (!mounts.ok())
    return start_failed(start, "CreateContainerConfigError", mounts.error().message());
  const auto config =
      container_config({spec_, spec, start->action.attempt, start->image, *env, *mounts,
                        context_.node.memory_bytes, context_.cgroups.unified()});
  if (!config.ok())
    return start_failed(start, "CreateContainerConfigError", config.error().message());
  const Result<SandboxConfig> sandbox = sandbox_config({spec_,
                                                        start->sandbox_attempt,
                                                        context_.logs.root,
                                                        context_.cluster_dns.domain,
                                                        pod_cgroup(context_.cgroup_root, spec_),
                                                        {}});
  if (!sandbox.ok())
    return start_failed(start, "CreateContainerConfigError", sandbox.error().message());
  context_.cri.create_container(
      start->sandbox_id, *config, *sandbox, [this, guard = guard(), start](Result<std::string> id) {
        if (guard.expired()) return;
        if (!id.ok()) return start_failed(start, "CreateContainerError", id.error().message());
        created(start, *id);
      });
}

void PodWorker::created(std::shared_ptr<Start> start, const std::string& id) {
  event("Normal", "Created", "Container created", start->spec.name);
  context_.cri.start_container(id, [this, guard = guard(), start, id](Result<void> started) {
    if (guard.expired()) return;
    if (!started.ok()) return start_failed(start, kRunContainerError, started.error().message());
    event("Normal", "Started", "Container started", start->spec.name);
    ContainerMemory& memory = memory_.containers[start->spec.name];
    memory.pull_failed = false;
    // What an earlier run failed of stays until this one is said to run.
    if (memory.failure && !is_of_a_run(*memory.failure)) memory.failure.reset();
    if (start->spec.post_start) return run_post_start(start, id);
    PodWorker::started(start, id);
  });
}

// It runs, and its hook is done.
void PodWorker::started(std::shared_ptr<Start> start, const std::string& id) {
  context_.cri.container_status(
      id, [this, guard = guard(), start, id](Result<ContainerInfo> status) {
        if (guard.expired()) return;
        const bool ended = early_ends_.contains(id);
        end(start->action.key);
        memory_.in_post_start.erase(id);
        memory_.containers[start->spec.name].failure.reset();
        if (!status.ok()) return lose_sight();
        status->sandbox_id = start->sandbox_id;
        if (const Result<void> linked = context_.logs.link(spec_, *status); !linked.ok())
          log::warn("pod {}: {}", spec_.key.to_string(), linked.error().message());
        const bool running = status->state == ContainerState::kRunning;
        observed(*std::move(status));
        if (ended && running && !guard.expired()) observe_container(id, kFirstLook);
      });
}

void PodWorker::inspection_failed(const std::shared_ptr<Start>& start, const Error& error) {
  event("Warning", "InspectFailed",
        "Failed to inspect image \"" + start->spec.image + "\": " + error.message(),
        start->spec.name);
  image_failed(start, "ImageInspectError", error.message());
}

void PodWorker::invalid_image(const std::shared_ptr<Start>& start, const Error& error) {
  const std::string message =
      "Failed to apply default image tag \"" + start->spec.image + "\": " + error.message();
  event("Warning", "InspectFailed", message, start->spec.name);
  image_failed(start, "InvalidImageName", message);
}

void PodWorker::never_pulled(const std::shared_ptr<Start>& start) {
  const std::string message =
      "Container image \"" + start->spec.image + "\" is not present with pull policy of Never";
  event("Warning", "ErrImageNeverPull", message, start->spec.name);
  image_failed(start, "ErrImageNeverPull", message);
}

void PodWorker::pull_failed(const std::shared_ptr<Start>& start, const Error& error) {
  pulls_.erase(start);
  event("Warning", "Failed",
        "Failed to pull image \"" + start->spec.image + "\": " + error.message(), start->spec.name);
  const WallTime now = context_.clock.wall_now();
  memory_.containers[start->spec.name].pulls.advance(now, now);
  backed_off_.erase(pull_key(start->spec.name));
  image_failed(start, "ErrImagePull", error.message());
}

// What is wrong with the image has been told in an event of its own, as the kubelet does: the
// second one names the reason alone.
void PodWorker::image_failed(const std::shared_ptr<Start>& start, const std::string& reason,
                             const std::string& message) {
  memory_.containers[start->spec.name].pull_failed = reason == "ErrImagePull";
  wait_after_failure(start, {reason, message, context_.clock.wall_now()}, reason);
}

void PodWorker::start_failed(const std::shared_ptr<Start>& start, const std::string& reason,
                             const std::string& message) {
  memory_.containers[start->spec.name].pull_failed = false;
  wait_after_failure(start, {reason, message, context_.clock.wall_now()}, message);
}

void PodWorker::wait_after_failure(const std::shared_ptr<Start>& start, Failure failure,
                                   const std::string& told) {
  end(start->action.key);
  memory_.containers[start->spec.name].failure = std::move(failure);
  event("Warning", "Failed", "Error: " + told, start->spec.name);
  refresh();
}

}  // namespace fairlead::orchestrator
