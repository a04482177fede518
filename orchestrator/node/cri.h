// SPDX-License-Identifier: Apache-2.0
// The container runtime as the node runner sees it: sandboxes, containers and images as values,
// calls that complete once. Nothing else knows of protobuf or gRPC.
//
// Threads: one Loop; callbacks run on it, never from inside the call, exactly once each unless the
// Cri is destroyed first. Every call has a deadline; kUnavailable and kTimeout mean the runtime is
// away and the outcome unknown. All calls of the interface are idempotent as CRI asks (stopping or
// removing what is gone succeeds).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace fairlead {
class Loop;
}

namespace fairlead::orchestrator {

using Labels = std::map<std::string, std::string>;

// Labels by which the runtime's objects are found again after a restart (the kubelet's names).
inline constexpr char kLabelPodName[] = "io.kubernetes.pod.name";
inline constexpr char kLabelPodNamespace[] = "io.kubernetes.pod.namespace";
inline constexpr char kLabelPodUid[] = "io.kubernetes.pod.uid";
inline constexpr char kLabelContainerName[] = "io.kubernetes.container.name";
// On what this node runner made: a containerd may be somebody else's, and have others' pods.
inline constexpr char kLabelOurs[] = "io.fairlead.pod";

// On a container: the image that its pod named, which may change as it runs.
inline constexpr char kAnnotationImage[] = "io.fairlead.image";

struct DnsConfig {
  std::vector<std::string> servers;
  std::vector<std::string> searches;
  std::vector<std::string> options;
  bool operator==(const DnsConfig&) const = default;
};

// Which namespaces are the host's, and whether the pod's containers share one process namespace.
struct PodNamespaces {
  bool host_network = false;
  bool host_pid = false;
  bool host_ipc = false;
  bool share_process = false;
  bool operator==(const PodNamespaces&) const = default;
};

struct SandboxConfig {
  std::string name;
  std::string uid;
  std::string ns;
  uint32_t attempt = 0;
  std::string hostname;
  std::string log_directory;
  DnsConfig dns;
  Labels labels;
  Labels annotations;
  std::string cgroup_parent;
  PodNamespaces namespaces;
  Labels sysctls;
  std::optional<int64_t> run_as_user;
  std::optional<int64_t> run_as_group;
  std::vector<int64_t> supplemental_groups;
  bool privileged = false;
};

struct CriMount {
  std::string container_path;
  std::string host_path;
  bool read_only = false;
  enum class Propagation {
    kPrivate,
    kHostToContainer,
    kBidirectional
  } propagation = Propagation::kPrivate;
  bool operator==(const CriMount&) const = default;
};

struct CriResources {
  int64_t cpu_period = 0;  // microseconds
  int64_t cpu_quota = 0;
  int64_t cpu_shares = 0;
  int64_t memory_limit_bytes = 0;
  int64_t oom_score_adj = 0;
  Labels unified;  // files of cgroup v2 and what is written to them
  bool operator==(const CriResources&) const = default;
};

struct ContainerConfig {
  std::string name;
  uint32_t attempt = 0;
  std::string image;  // a reference the runtime knows: the id of ImageStatus
  std::vector<std::string> command;
  std::vector<std::string> args;
  std::string working_dir;
  std::vector<std::pair<std::string, std::string>> envs;
  std::vector<CriMount> mounts;
  Labels labels;
  Labels annotations;
  std::string log_path;  // below the sandbox's log directory
  bool standard_input = false;
  bool standard_input_once = false;
  bool tty = false;
  CriResources resources;
  bool privileged = false;
  bool read_only_root = false;
  bool no_new_privileges = false;
  bool unmasked_proc = false;  // procMount: Unmasked
  bool seccomp_unconfined = false;
  std::vector<std::string> add_capabilities;
  std::vector<std::string> drop_capabilities;
  std::optional<int64_t> run_as_user;
  std::string run_as_user_name;  // where there is no number
  std::optional<int64_t> run_as_group;
  std::vector<int64_t> supplemental_groups;
  PodNamespaces namespaces;
};

struct SandboxInfo {
  std::string id;
  std::string name;
  std::string uid;
  std::string ns;
  uint32_t attempt = 0;
  bool ready = false;
  WallTime created_at;
  std::vector<std::string> ips;  // only from sandbox_status; empty with the host's network
  bool operator==(const SandboxInfo&) const = default;
};

enum class ContainerState { kCreated, kRunning, kExited, kUnknown };

struct ContainerInfo {
  std::string id;
  std::string sandbox_id;
  std::string name;
  std::string pod_uid;
  uint32_t attempt = 0;
  ContainerState state = ContainerState::kUnknown;
  WallTime created_at;
  // The rest only from container_status.
  WallTime started_at;
  WallTime finished_at;
  int exit_code = 0;
  std::string image;      // as configured
  std::string image_ref;  // digest or id of what runs
  std::string reason;     // Completed, Error, OOMKilled, StartError
  std::string message;
  std::string log_path;
  Labels annotations;
  bool operator==(const ContainerInfo&) const = default;
};

struct ImageInfo {
  std::string id;
  std::vector<std::string> repo_digests;
  uint64_t size_bytes = 0;
  std::optional<int64_t> user_id;  // what the image runs as, where it says so
  std::string user_name;
};

// Who pulls from a registry; empty: anybody.
struct RegistryLogin {
  std::string user;
  std::string password;
  std::string identity_token;
  bool operator==(const RegistryLogin&) const = default;
};

struct RuntimeStatus {
  bool runtime_ready = false;
  bool network_ready = false;
  std::string message;  // why not
};

struct RuntimeVersion {
  std::string name;
  std::string version;
};

struct ExecResult {
  int exit_code = 0;
  std::string output;  // standard output and error, one after the other
};

// A container's task ended, or the kernel killed something in it for memory.
struct RuntimeEvent {
  enum class Type { kExit, kOutOfMemory } type = Type::kExit;
  std::string container_id;  // a sandbox's id where its pause process ended
};

template <typename T>
using CriDone = std::function<void(Result<T>)>;

// The narrow boundary that tests replace.
class Cri {
 public:
  virtual ~Cri() = default;
  virtual void version(CriDone<RuntimeVersion> done) = 0;
  virtual void status(CriDone<RuntimeStatus> done) = 0;

  virtual void run_sandbox(const SandboxConfig& config, CriDone<std::string> done) = 0;
  virtual void stop_sandbox(const std::string& id, CriDone<void> done) = 0;
  virtual void remove_sandbox(const std::string& id, CriDone<void> done) = 0;
  virtual void sandbox_status(const std::string& id, CriDone<SandboxInfo> done) = 0;
  // Of ours (kLabelOurs), here and below. `pod_uid` empty: of every pod.
  virtual void list_sandboxes(const std::string& pod_uid,
                              CriDone<std::vector<SandboxInfo>> done) = 0;

  virtual void create_container(const std::string& sandbox_id, const ContainerConfig& config,
                                const SandboxConfig& sandbox, CriDone<std::string> done) = 0;
  virtual void start_container(const std::string& id, CriDone<void> done) = 0;
  // SIGTERM (or the image's own signal), then SIGKILL after `grace`, rounded up to seconds.
  virtual void stop_container(const std::string& id, Duration grace, CriDone<void> done) = 0;
  virtual void remove_container(const std::string& id, CriDone<void> done) = 0;
  virtual void container_status(const std::string& id, CriDone<ContainerInfo> done) = 0;
  virtual void list_containers(const std::string& pod_uid,
                               CriDone<std::vector<ContainerInfo>> done) = 0;
  virtual void reopen_log(const std::string& id, CriDone<void> done) = 0;
  virtual void exec(const std::string& id, const std::vector<std::string>& command, Duration limit,
                    CriDone<ExecResult> done) = 0;

  // nullopt: not present.
  virtual void image_status(const std::string& image, CriDone<std::optional<ImageInfo>> done) = 0;
  virtual void pull_image(const std::string& image, const RegistryLogin& login,
                          CriDone<std::string> done) = 0;

  // Events of pods from now on, until the Cri is destroyed or another subscription replaces this
  // one. on_gap: the stream began or began again; what happened in between was missed, so look at
  // everything.
  virtual void subscribe(std::function<void(const RuntimeEvent&)> on_event,
                         std::function<void()> on_gap) = 0;
};

// CRI v1 over a unix socket, and containerd's own event service beside it (CRI's GetContainerEvents
// is not in containerd 1.6).
class CriClient : public Cri {
 public:
  CriClient(Loop& loop, const std::string& socket_path);
  ~CriClient() override;

  void version(CriDone<RuntimeVersion> done) override;
  void status(CriDone<RuntimeStatus> done) override;
  void run_sandbox(const SandboxConfig& config, CriDone<std::string> done) override;
  void stop_sandbox(const std::string& id, CriDone<void> done) override;
  void remove_sandbox(const std::string& id, CriDone<void> done) override;
  void sandbox_status(const std::string& id, CriDone<SandboxInfo> done) override;
  void list_sandboxes(const std::string& pod_uid, CriDone<std::vector<SandboxInfo>> done) override;
  void create_container(const std::string& sandbox_id, const ContainerConfig& config,
                        const SandboxConfig& sandbox, CriDone<std::string> done) override;
  void start_container(const std::string& id, CriDone<void> done) override;
  void stop_container(const std::string& id, Duration grace, CriDone<void> done) override;
  void remove_container(const std::string& id, CriDone<void> done) override;
  void container_status(const std::string& id, CriDone<ContainerInfo> done) override;
  void list_containers(const std::string& pod_uid,
                       CriDone<std::vector<ContainerInfo>> done) override;
  void reopen_log(const std::string& id, CriDone<void> done) override;
  void exec(const std::string& id, const std::vector<std::string>& command, Duration limit,
            CriDone<ExecResult> done) override;
  void image_status(const std::string& image, CriDone<std::optional<ImageInfo>> done) override;
  void pull_image(const std::string& image, const RegistryLogin& login,
                  CriDone<std::string> done) override;
  void subscribe(std::function<void(const RuntimeEvent&)> on_event,
                 std::function<void()> on_gap) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fairlead::orchestrator
