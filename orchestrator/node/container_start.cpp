// SPDX-License-Identifier: Apache-2.0
// PodWorker: one container's way from image over configuration to running.
#include "base/log.h"
#include "orchestrator/node/container_config.h"
#include "orchestrator/node/files.h"
#include "orchestrator/node/pod_worker.h"
#include "orchestrator/node/registry_login.h"

namespace fairlead::orchestrator {

struct PodWorker::Start {
  Action action;
  ContainerSpec spec;
  std::string sandbox_id;
  uint32_t sandbox_attempt = 0;
  ImageInfo image;
  MonoTime began;
  std::vector<RegistryLogin> logins;  // still to be tried
  std::string pull_errors;            // of those that were
};

void PodWorker::start_container(const Action& action) {
  const ContainerSpec* spec = spec_.find(action.container);
  const SandboxInfo* sandbox = runtime_.ready_sandbox();
  if (spec == nullptr || sandbox == nullptr) return end(action.key);
  if (action.restart)
    memory_.containers[action.container].restarts.advance(action.failed_at,
                                                          context_.clock.wall_now());
  auto start = std::make_shared<Start>(
      Start{action, *spec, sandbox->id, sandbox->attempt, {}, context_.clock.now(), {}, {}});
  if (spec->pull_policy == PullPolicy::kAlways) return pull(start);
  context_.cri.image_status(
      spec->image, [this, guard = guard(), start](Result<std::optional<ImageInfo>> image) {
        if (guard.expired()) return;
        if (!image.ok())
          return start_failed(start, "ImageInspectError", image.error().message(), true);
        if (*image) {
          start->image = **image;
          event("Normal", "Pulled",
                "Container image \"" + start->spec.image + "\" already present on machine",
                start->spec.name);
          return start_with_objects(start);
        }
        if (start->spec.pull_policy == PullPolicy::kNever)
          return start_failed(start, "ErrImageNeverPull",
                              "Container image \"" + start->spec.image +
                                  "\" is not present with pull policy of Never",
                              true);
        pull(start);
      });
}

// With each login of the pod's secrets that is for this image, until one is let in; with none of
// them, as anybody.
void PodWorker::pull(std::shared_ptr<Start> start) {
  std::set<ObjectRef> secrets;
  for (const std::string& name : spec_.pull_secrets) secrets.insert({true, name});
  fetch_objects(secrets, [this, start, secrets](Result<Objects> objects) {
    if (!objects.ok()) return start_failed(start, "ErrImagePull", objects.error().message(), true);
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
  context_.cri.pull_image(
      start->spec.image, login, [this, guard = guard(), start](Result<std::string> reference) {
        if (guard.expired()) return;
        if (!reference.ok()) {
          start->pull_errors +=
              (start->pull_errors.empty() ? "" : "; ") + reference.error().message();
          if (!start->logins.empty()) return pull_with_next_login(start);
          return start_failed(
              start, "ErrImagePull",
              "failed to pull image \"" + start->spec.image + "\": " + start->pull_errors, true);
        }
        const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
            context_.clock.now() - start->began);
        event("Normal", "Pulled",
              "Successfully pulled image \"" + start->spec.image + "\" in " +
                  std::to_string(took.count()) + "ms",
              start->spec.name);
        start_with_image(start);
      });
}

// After a pull: what the image says of itself.
void PodWorker::start_with_image(std::shared_ptr<Start> start) {
  context_.cri.image_status(start->spec.image, [this, guard = guard(),
                                                start](Result<std::optional<ImageInfo>> image) {
    if (guard.expired()) return;
    if (!image.ok()) return start_failed(start, "ImageInspectError", image.error().message(), true);
    if (!*image)
      return start_failed(start, "ErrImagePull", "the image vanished after it was pulled", true);
    start->image = **image;
    start_with_objects(start);
  });
}

void PodWorker::start_with_objects(std::shared_ptr<Start> start) {
  memory_.containers[start->spec.name].pulls.reset();
  fetch_objects(env_references(start->spec), [this, start](Result<Objects> objects) {
    if (!objects.ok())
      return start_failed(start, "CreateContainerConfigError", objects.error().message(), false);
    create(start, *objects);
  });
}

void PodWorker::create(std::shared_ptr<Start> start, const Objects& objects) {
  const ContainerSpec& spec = start->spec;
  const NodeFacts node = facts();
  std::vector<kube::Service> services;
  if (context_.services) services = context_.services(spec_.service_links ? spec_.key.ns : "");
  const auto env = build_env(spec_, spec, node, objects, service_env(services));
  if (!env.ok())
    return start_failed(start, "CreateContainerConfigError", env.error().message(), false);
  Result<std::string> host_file = std::string();
  if (spec_.namespaces.host_network) host_file = files::read("/etc/hosts");
  const std::string hosts =
      pod_hosts(spec_, node.pod_ips, context_.cluster_dns.domain, host_file.ok() ? *host_file : "");
  const auto mounts = context_.volumes.mounts(spec_, spec, start->action.attempt, hosts);
  if (!mounts.ok())
    return start_failed(start, "CreateContainerConfigError", mounts.error().message(), false);
  const auto config = container_config({spec_, spec, start->action.attempt, start->image, *env,
                                        *mounts, context_.node.memory_bytes});
  if (!config.ok())
    return start_failed(start, "CreateContainerConfigError", config.error().message(), false);
  const Result<SandboxConfig> sandbox = sandbox_config(
      {spec_, start->sandbox_attempt, context_.log_root, context_.cluster_dns.domain, "", {}});
  if (!sandbox.ok())
    return start_failed(start, "CreateContainerConfigError", sandbox.error().message(), false);
  context_.cri.create_container(
      start->sandbox_id, *config, *sandbox, [this, guard = guard(), start](Result<std::string> id) {
        if (guard.expired()) return;
        if (!id.ok())
          return start_failed(start, "CreateContainerError", id.error().message(), false);
        created(start, *id);
      });
}

void PodWorker::created(std::shared_ptr<Start> start, const std::string& id) {
  event("Normal", "Created", "Created container: " + start->spec.name, start->spec.name);
  context_.cri.start_container(id, [this, guard = guard(), start, id](Result<void> started) {
    if (guard.expired()) return;
    if (!started.ok())
      return start_failed(start, "RunContainerError", started.error().message(), false);
    event("Normal", "Started", "Started container " + start->spec.name, start->spec.name);
    context_.cri.container_status(id, [this, guard, start, id](Result<ContainerInfo> status) {
      if (guard.expired()) return;
      const bool ended = early_ends_.contains(id);
      end(start->action.key);
      ContainerMemory& memory = memory_.containers[start->spec.name];
      memory.failure.reset();
      memory.pull_failed = false;
      if (!status.ok()) return refresh();
      status->sandbox_id = start->sandbox_id;
      const bool running = status->state == ContainerState::kRunning;
      observed(*std::move(status));
      if (ended && running && !guard.expired()) observe_container(id, kFirstLook);
    });
  });
}

void PodWorker::start_failed(std::shared_ptr<Start> start, const std::string& reason,
                             const std::string& message, bool of_pull) {
  end(start->action.key);
  ContainerMemory& memory = memory_.containers[start->spec.name];
  const WallTime now = context_.clock.wall_now();
  if (of_pull) memory.pulls.advance(now, now);
  memory.failure = Failure{reason, message, now};
  memory.pull_failed = of_pull && reason == "ErrImagePull";
  event("Warning", "Failed", (of_pull ? "" : "Error: ") + message, start->spec.name);
  refresh();
}

}  // namespace fairlead::orchestrator
