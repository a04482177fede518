// SPDX-License-Identifier: Apache-2.0
// A containerd of our own: its configuration, the network configuration it gives pods, and the
// images that are brought to it as files. Starting and watching it is the supervisor's work.
//
//   DATA_DIR/containerd/            its root (images, snapshots) and config.toml
//   DATA_DIR/cni/                   conf.d/10-fairlead.conflist, and the addresses given out
//   DATA_DIR/images/*.tar           imported when they are new
//   DATA_DIR/containerd-socket      where pods are in somebody else's (--containerd-socket): which
//   RUN_DIR/containerd.sock, containerd/   its socket and state
#pragma once

#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"

namespace fairlead::orchestrator {

inline constexpr char kPauseImage[] = "localhost/fairlead/pause:1";
inline constexpr char kCniBinDir[] = "/usr/lib/cni";

struct ContainerdPaths {
  std::string data_dir;
  std::string run_dir;

  std::string root() const { return data_dir + "/containerd"; }
  std::string config() const { return data_dir + "/containerd/config.toml"; }
  std::string registries() const { return data_dir + "/containerd/certs.d"; }
  std::string state() const { return run_dir + "/containerd"; }
  std::string socket() const { return run_dir + "/containerd.sock"; }
  std::string cni_conf_dir() const { return data_dir + "/cni/conf.d"; }
  std::string cni_state_dir() const { return data_dir + "/cni/addresses"; }
  std::string foreign_socket() const { return data_dir + "/containerd-socket"; }
  std::string images() const { return data_dir + "/images"; }
};

// Whether this process has it in effect: CAP_NET_ADMIN...
bool has_capability(int number);

// What this machine can do, found by looking and trying.
struct ContainerdFeatures {
  bool overlayfs = true;
  bool restrict_oom_score_adj = false;  // without CAP_SYS_RESOURCE a lower score is refused
  // The program that makes containers: crun, the faster one, or runc where crun is missing or
  // cannot work.
  std::string runtime = "runc";
  std::string why_runc;  // empty: it is crun
};
ContainerdFeatures detect_features(const std::string& data_dir);

// Pure.
std::string containerd_config(const ContainerdPaths& paths, const ContainerdFeatures& features);
// ptp: each pod is a routed /32, so service NAT needs no bridge netfilter. Addresses from
// host-local.
std::string cni_conflist(const ContainerdPaths& paths, const Cidr& pod_cidr);

// Programs and plugins that must be there; the error names what is missing and its package.
Result<std::string> find_program(const std::string& name);
Result<void> check_programs(bool own_containerd);

// Folders and config.toml. True: the configuration is another than a running containerd was given.
Result<bool> prepare_containerd(const ContainerdPaths& paths);
Result<bool> write_cni_config(const ContainerdPaths& paths, const Cidr& pod_cidr);
// net.ipv4.ip_forward in our network namespace. True: it was off and is on now.
Result<bool> enable_forwarding();

// Archives in images() that were not imported into this containerd yet, and the note that they
// were.
struct ImageArchive {
  std::string path;
  std::string stamp;  // size and time of change
};
std::vector<ImageArchive> new_images(const ContainerdPaths& paths);
Result<void> remember_image(const ContainerdPaths& paths, const ImageArchive& archive);

}  // namespace fairlead::orchestrator
