// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/cri_messages.h"

namespace fairlead::orchestrator {

namespace cri = ::runtime::v1;

namespace {

void to_message(const Labels& labels, google::protobuf::Map<std::string, std::string>* message) {
  for (const auto& [key, value] : labels) (*message)[key] = value;
}

void to_message(const PodNamespaces& namespaces, cri::NamespaceOption* message) {
  message->set_network(namespaces.host_network ? cri::NODE : cri::POD);
  message->set_ipc(namespaces.host_ipc ? cri::NODE : cri::POD);
  message->set_pid(namespaces.host_pid        ? cri::NODE
                   : namespaces.share_process ? cri::POD
                                              : cri::CONTAINER);
}

cri::MountPropagation to_message(CriMount::Propagation propagation) {
  switch (propagation) {
    case CriMount::Propagation::kPrivate:
      return cri::PROPAGATION_PRIVATE;
    case CriMount::Propagation::kHostToContainer:
      return cri::PROPAGATION_HOST_TO_CONTAINER;
    case CriMount::Propagation::kBidirectional:
      return cri::PROPAGATION_BIDIRECTIONAL;
  }
  return cri::PROPAGATION_PRIVATE;
}

void to_message(const DnsConfig& dns, cri::DNSConfig* message) {
  for (const std::string& server : dns.servers) message->add_servers(server);
  for (const std::string& search : dns.searches) message->add_searches(search);
  for (const std::string& option : dns.options) message->add_options(option);
}

WallTime to_time(int64_t nanoseconds) {
  return WallTime(std::chrono::nanoseconds(nanoseconds));
}

std::string label(const google::protobuf::Map<std::string, std::string>& labels, const char* key) {
  const auto it = labels.find(key);
  return it == labels.end() ? std::string() : it->second;
}

ContainerState to_state(cri::ContainerState state) {
  switch (state) {
    case cri::CONTAINER_CREATED:
      return ContainerState::kCreated;
    case cri::CONTAINER_RUNNING:
      return ContainerState::kRunning;
    case cri::CONTAINER_EXITED:
      return ContainerState::kExited;
    default:  // protobuf enums are open
      return ContainerState::kUnknown;
  }
}

// What proc and sys hide from unprivileged containers (the OCI runtime's usual list).
constexpr const char* kMaskedPaths[] = {
    "/proc/asound",        "/proc/acpi",       "/proc/kcore",       "/proc/keys",
    "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
    "/proc/scsi",          "/sys/firmware"};
constexpr const char* kReadOnlyPaths[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                          "/proc/sysrq-trigger"};

void set_security(const ContainerConfig& config, cri::LinuxContainerSecurityContext* security) {
  security->set_privileged(config.privileged);
  security->set_readonly_rootfs(config.read_only_root);
  security->set_no_new_privs(config.no_new_privileges);
  to_message(config.namespaces, security->mutable_namespace_options());
  if (config.run_as_user) security->mutable_run_as_user()->set_value(*config.run_as_user);
  security->set_run_as_username(config.run_as_user_name);
  if (config.run_as_group) security->mutable_run_as_group()->set_value(*config.run_as_group);
  for (const int64_t group : config.supplemental_groups) security->add_supplemental_groups(group);
  for (const std::string& name : config.add_capabilities)
    security->mutable_capabilities()->add_add_capabilities(name);
  for (const std::string& name : config.drop_capabilities)
    security->mutable_capabilities()->add_drop_capabilities(name);
  const bool unconfined = config.seccomp_unconfined || config.privileged;
  security->mutable_seccomp()->set_profile_type(unconfined ? cri::SecurityProfile::Unconfined
                                                           : cri::SecurityProfile::RuntimeDefault);
  if (config.privileged || config.unmasked_proc) return;
  for (const char* path : kMaskedPaths) security->add_masked_paths(path);
  for (const char* path : kReadOnlyPaths) security->add_readonly_paths(path);
}

}  // namespace

void to_message(const SandboxConfig& config, cri::PodSandboxConfig* message) {
  cri::PodSandboxMetadata* metadata = message->mutable_metadata();
  metadata->set_name(config.name);
  metadata->set_uid(config.uid);
  metadata->set_namespace_(config.ns);
  metadata->set_attempt(config.attempt);
  message->set_hostname(config.hostname);
  message->set_log_directory(config.log_directory);
  to_message(config.dns, message->mutable_dns_config());
  to_message(config.labels, message->mutable_labels());
  to_message(config.annotations, message->mutable_annotations());
  cri::LinuxPodSandboxConfig* linux_config = message->mutable_linux();
  linux_config->set_cgroup_parent(config.cgroup_parent);
  to_message(config.sysctls, linux_config->mutable_sysctls());
  cri::LinuxSandboxSecurityContext* security = linux_config->mutable_security_context();
  security->set_privileged(config.privileged);
  to_message(config.namespaces, security->mutable_namespace_options());
  security->mutable_seccomp()->set_profile_type(cri::SecurityProfile::RuntimeDefault);
  if (config.run_as_user) security->mutable_run_as_user()->set_value(*config.run_as_user);
  if (config.run_as_group) security->mutable_run_as_group()->set_value(*config.run_as_group);
  for (const int64_t group : config.supplemental_groups) security->add_supplemental_groups(group);
}

void to_message(const ContainerConfig& config, cri::ContainerConfig* message) {
  message->mutable_metadata()->set_name(config.name);
  message->mutable_metadata()->set_attempt(config.attempt);
  message->mutable_image()->set_image(config.image);
  for (const std::string& word : config.command) message->add_command(word);
  for (const std::string& word : config.args) message->add_args(word);
  message->set_working_dir(config.working_dir);
  for (const auto& [key, value] : config.envs) {
    cri::KeyValue* env = message->add_envs();
    env->set_key(key);
    env->set_value(value);
  }
  for (const CriMount& mount : config.mounts) {
    cri::Mount* out = message->add_mounts();
    out->set_container_path(mount.container_path);
    out->set_host_path(mount.host_path);
    out->set_readonly(mount.read_only);
    out->set_propagation(to_message(mount.propagation));
  }
  to_message(config.labels, message->mutable_labels());
  to_message(config.annotations, message->mutable_annotations());
  message->set_log_path(config.log_path);
  message->set_stdin(config.standard_input);
  message->set_stdin_once(config.standard_input_once);
  message->set_tty(config.tty);
  cri::LinuxContainerResources* resources = message->mutable_linux()->mutable_resources();
  resources->set_cpu_period(config.resources.cpu_period);
  resources->set_cpu_quota(config.resources.cpu_quota);
  resources->set_cpu_shares(config.resources.cpu_shares);
  resources->set_memory_limit_in_bytes(config.resources.memory_limit_bytes);
  resources->set_oom_score_adj(config.resources.oom_score_adj);
  to_message(config.resources.unified, resources->mutable_unified());
  set_security(config, message->mutable_linux()->mutable_security_context());
}

RuntimeStatus from_message(const cri::StatusResponse& message) {
  RuntimeStatus status;
  for (const auto& condition : message.status().conditions()) {
    if (condition.type() == "RuntimeReady") status.runtime_ready = condition.status();
    if (condition.type() == "NetworkReady") status.network_ready = condition.status();
    if (!condition.status() && status.message.empty())
      status.message = condition.reason() + ": " + condition.message();
  }
  return status;
}

SandboxInfo from_message(const cri::PodSandbox& message) {
  SandboxInfo info;
  info.id = message.id();
  info.name = message.metadata().name();
  info.uid = message.metadata().uid();
  info.ns = message.metadata().namespace_();
  info.attempt = message.metadata().attempt();
  info.ready = message.state() == cri::SANDBOX_READY;
  info.created_at = to_time(message.created_at());
  return info;
}

SandboxInfo from_message(const cri::PodSandboxStatus& message) {
  SandboxInfo info;
  info.id = message.id();
  info.name = message.metadata().name();
  info.uid = message.metadata().uid();
  info.ns = message.metadata().namespace_();
  info.attempt = message.metadata().attempt();
  info.ready = message.state() == cri::SANDBOX_READY;
  info.created_at = to_time(message.created_at());
  if (!message.network().ip().empty()) info.ips.push_back(message.network().ip());
  for (const auto& more : message.network().additional_ips()) info.ips.push_back(more.ip());
  return info;
}

ContainerInfo from_message(const cri::Container& message) {
  ContainerInfo info;
  info.id = message.id();
  info.sandbox_id = message.pod_sandbox_id();
  info.name = message.metadata().name();
  info.pod_uid = label(message.labels(), kLabelPodUid);
  info.attempt = message.metadata().attempt();
  info.state = to_state(message.state());
  info.created_at = to_time(message.created_at());
  return info;
}

ContainerInfo from_message(const cri::ContainerStatus& message) {
  ContainerInfo info;
  info.id = message.id();
  info.name = message.metadata().name();
  info.pod_uid = label(message.labels(), kLabelPodUid);
  info.attempt = message.metadata().attempt();
  info.state = to_state(message.state());
  info.created_at = to_time(message.created_at());
  info.started_at = to_time(message.started_at());
  info.finished_at = to_time(message.finished_at());
  info.exit_code = message.exit_code();
  info.image = message.image().image();
  info.image_ref = message.image_ref();
  info.reason = message.reason();
  info.message = message.message();
  info.log_path = message.log_path();
  for (const auto& [key, value] : message.annotations()) info.annotations[key] = value;
  return info;
}

ImageInfo from_message(const cri::Image& message) {
  ImageInfo info;
  info.id = message.id();
  info.size_bytes = message.size();
  info.repo_digests.assign(message.repo_digests().begin(), message.repo_digests().end());
  if (message.has_uid()) info.user_id = message.uid().value();
  info.user_name = message.username();
  return info;
}

}  // namespace fairlead::orchestrator
