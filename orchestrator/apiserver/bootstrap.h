// SPDX-License-Identifier: Apache-2.0
// The objects every cluster has: the standard namespaces, default/kubernetes, kube-system/kube-dns,
// and kube-system/extension-apiserver-authentication, which tells servers beside this one whose
// certificates to trust (kube-controller-manager and kube-scheduler read it).
// They are made at the start, and again whenever they have been deleted.
#pragma once

#include "orchestrator/apiserver/registry/registry.h"

namespace fairlead::orchestrator::apiserver {

struct BootstrapOptions {
  IpAddress api_address;  // of default/kubernetes' endpoint
  uint16_t api_port = 6443;
  std::string client_authority{};  // PEM of who signs clients' certificates; empty: not told
};

// Makes what is missing and corrects the endpoint; what is right is not written. `loop` is run
// until it is done.
Result<void> bootstrap(Registry& registry, Loop& loop, const BootstrapOptions& options);

struct BootstrapObject {
  Resource resource;
  std::string ns;
  Json object;
  bool corrected = false;  // written again at every start: its address may be another one
};

// Makes what is deleted of them again a second later, and every ten seconds until that succeeds
// (its namespace may be going, its address taken).
//
// Threads: its Loop's. The Registry outlives it; nothing runs after it is destroyed.
class BootstrapKeeper {
 public:
  BootstrapKeeper(Registry& registry, Loop& loop, const BootstrapOptions& options);
  ~BootstrapKeeper();
  BootstrapKeeper(const BootstrapKeeper&) = delete;
  BootstrapKeeper& operator=(const BootstrapKeeper&) = delete;

 private:
  void follow();
  void on_batch(const store::Batch& batch);
  void look_after(Duration delay);
  void make_missing();
  std::function<void()> guarded(std::function<void()> work) const;

  Registry& registry_;
  Loop& loop_;
  const std::vector<BootstrapObject> wanted_;
  std::vector<std::unique_ptr<store::Watch>> watches_;
  Alarm look_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace fairlead::orchestrator::apiserver
