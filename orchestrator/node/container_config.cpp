// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/container_config.h"

#include "orchestrator/node/resources.h"

namespace fairlead::orchestrator {

namespace {

Labels identity(const PodSpec& pod) {
  return {{kLabelPodName, pod.key.name},
          {kLabelPodNamespace, pod.key.ns},
          {kLabelPodUid, pod.uid},
          {kLabelOurs, "true"}};
}

Result<void> check_user(const ContainerInputs& in) {
  const ContainerSpec& spec = in.container;
  if (!spec.run_as_non_root) return ok();
  const std::string which = " (pod: \"" + in.pod.key.name + "_" + in.pod.key.ns + "(" + in.pod.uid +
                            ")\", container: " + spec.name + ")";
  if (spec.run_as_user) {
    if (*spec.run_as_user != 0) return ok();
    return Error(ErrorCode::kInvalid, "container's runAsUser breaks non-root policy" + which);
  }
  if (in.image.user_id && *in.image.user_id != 0) return ok();
  if (in.image.user_id || in.image.user_name.empty())
    return Error(ErrorCode::kInvalid,
                 "container has runAsNonRoot and image will run as root" + which);
  return Error(ErrorCode::kInvalid, "container has runAsNonRoot and image has non-numeric user (" +
                                        in.image.user_name + "), cannot verify user is non-root" +
                                        which);
}

constexpr size_t kMaxHostName = 64;  // the kernel's __NEW_UTS_LEN

// With the host's network the host's name is kept: the runtime takes an empty one as that. It gives
// containers the name as HOSTNAME, too.
Result<std::string> sandbox_hostname(const PodSpec& pod, const std::string& cluster_domain) {
  if (pod.namespaces.host_network) return std::string();
  const std::string full = pod.set_hostname_as_fqdn ? pod.full_name(cluster_domain) : "";
  if (full.size() > kMaxHostName)
    return Error(ErrorCode::kInvalid,
                 "setHostnameAsFQDN: \"" + full + "\" has " + std::to_string(full.size()) +
                     " bytes, a host name at most " + std::to_string(kMaxHostName));
  return full.empty() ? pod.host_name() : full;
}

// The container's own user, else the image's: a group counts only beside a user (CRI run_as_group).
void set_user(const ContainerInputs& in, ContainerConfig& config) {
  config.run_as_user = in.container.run_as_user;
  config.run_as_group = in.container.run_as_group;
  if (config.run_as_user || !config.run_as_group) return;
  if (in.image.user_id || in.image.user_name.empty())
    config.run_as_user = in.image.user_id.value_or(0);
  else
    config.run_as_user_name = in.image.user_name;
}

}  // namespace

std::string pod_log_dir(const std::string& log_root, const PodSpec& pod) {
  return log_root + "/" + pod.key.ns + "_" + pod.key.name + "_" + pod.uid;
}

std::string container_log_name(const std::string& container, uint32_t attempt) {
  return container + "/" + std::to_string(attempt) + ".log";
}

Result<SandboxConfig> sandbox_config(const SandboxInputs& in) {
  const PodSpec& pod = in.pod;
  Result<std::string> hostname = sandbox_hostname(pod, in.cluster_domain);
  if (!hostname.ok()) return hostname.error();
  SandboxConfig config;
  config.name = pod.key.name;
  config.ns = pod.key.ns;
  config.uid = pod.uid;
  config.attempt = in.attempt;
  config.hostname = *std::move(hostname);
  config.log_directory = pod_log_dir(in.log_root, pod);
  config.dns = in.dns;
  config.labels = pod.labels;
  for (const auto& [key, value] : identity(pod)) config.labels[key] = value;
  config.cgroup_parent = in.cgroup_parent;
  config.namespaces = pod.namespaces;
  config.sysctls = pod.sysctls;
  config.run_as_user = pod.run_as_user;
  config.run_as_group = pod.run_as_user ? pod.run_as_group : std::nullopt;
  config.supplemental_groups = pod.supplemental_groups;
  for (const auto* list : {&pod.containers, &pod.init_containers})
    for (const ContainerSpec& spec : *list)
      config.privileged = config.privileged || spec.privileged;
  return config;
}

Result<ContainerConfig> container_config(const ContainerInputs& in) {
  if (const Result<void> allowed = check_user(in); !allowed.ok()) return allowed.error();
  const ContainerSpec& spec = in.container;
  ContainerConfig config;
  config.name = spec.name;
  config.attempt = in.attempt;
  config.image = in.image.id;
  std::map<std::string, std::string> values(in.env.begin(), in.env.end());
  for (const std::string& word : spec.command) config.command.push_back(expand(word, values));
  for (const std::string& word : spec.args) config.args.push_back(expand(word, values));
  config.working_dir = spec.working_dir;
  config.envs = in.env;
  config.mounts = in.mounts;
  config.labels = identity(in.pod);
  config.labels[kLabelContainerName] = spec.name;
  config.annotations = {
      {kAnnotationImage, spec.image},
      {"io.kubernetes.container.restartCount", std::to_string(in.attempt)},
      {"io.kubernetes.container.terminationMessagePath", spec.termination_message_path}};
  config.log_path = container_log_name(spec.name, in.attempt);
  config.standard_input = spec.standard_input;
  config.standard_input_once = spec.standard_input_once;
  config.tty = spec.tty;
  config.resources = container_resources(in.pod, spec, in.node_memory);
  // Out of memory all of a container ends, not one process of it (the kubelet's default).
  if (in.cgroup_v2) config.resources.unified["memory.oom.group"] = "1";
  config.privileged = spec.privileged;
  config.read_only_root = spec.read_only_root;
  config.no_new_privileges = spec.no_new_privileges && !spec.privileged;
  config.unmasked_proc = spec.unmasked_proc;
  config.seccomp_unconfined = spec.seccomp_unconfined;
  config.add_capabilities = spec.add_capabilities;
  config.drop_capabilities = spec.drop_capabilities;
  set_user(in, config);
  config.supplemental_groups = in.pod.supplemental_groups;
  if (in.pod.fs_group) config.supplemental_groups.push_back(*in.pod.fs_group);
  config.namespaces = in.pod.namespaces;
  return config;
}

}  // namespace fairlead::orchestrator
