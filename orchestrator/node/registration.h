// SPDX-License-Identifier: Apache-2.0
// Shows this machine as a Node and keeps it alive: registers it, renews its lease every ten
// seconds, reads the Node after each renewal, and writes its status where what is there is not what
// should be: a node that was silent has been marked Unknown, and one that was deleted is made
// again.
//
// Threads: the loop's. Inert until start(). Failures are retried for ever, a second apart.
// Readiness follows the runtime: asked every ten seconds, and every 100 ms until it was ready once.
// A runtime that was ready may be away for 30 s before the node is not ready.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/address.h"
#include "orchestrator/node/node_api.h"
#include "orchestrator/node/node_object.h"

namespace fairlead::orchestrator {

class NodeRegistration {
 public:
  struct Callbacks {
    std::function<void(const Cidr& pod_cidr)> on_pod_cidr;  // once, when the node has its range
    std::function<void(bool ready)> on_ready;  // each change of readiness, after it is written
  };
  // `pod_cidr`: the range this node had before, if it remembers one.
  NodeRegistration(Clock& clock, Cri& cri, kube::ApiClient& client, NodeInfo info,
                   Cidr cluster_cidr, std::optional<Cidr> pod_cidr, Callbacks callbacks);
  ~NodeRegistration();
  NodeRegistration(const NodeRegistration&) = delete;
  NodeRegistration& operator=(const NodeRegistration&) = delete;

  void start();
  // The runtime or its network may have changed: look now.
  void check_runtime();
  bool ready() const { return reported_ready_.value_or(false); }
  const std::string& uid() const { return uid_; }

 private:
  void find();
  void choose_range(const nlohmann::json& nodes);
  void create();
  void adopt(const nlohmann::json& node);
  void retry(const Error& error, std::function<void()> what);
  void look();
  void seen(const nlohmann::json& node);
  bool is_told(const nlohmann::json& status) const;
  void write_status();
  void report(bool ready);
  void renew_lease();

  Clock& clock_;
  Cri& cri_;
  ApiCalls calls_;
  NodeInfo info_;
  Cidr cluster_cidr_;
  std::optional<Cidr> pod_cidr_;
  Callbacks callbacks_;

  bool registered_ = false;
  std::string uid_;
  nlohmann::json labels_, status_;  // the node's, as last read
  nlohmann::json written_;          // the status that we wrote last
  nlohmann::json accepted_;         // what the server made of it
  RuntimeStatus runtime_;
  bool runtime_known_ = false;
  MonoTime good_at_;  // when the runtime last said that all is well
  std::optional<bool> reported_ready_;
  bool writing_ = false;
  bool lease_exists_ = false;
  bool lease_failing_ = false;
  Alarm retry_, check_, lease_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace fairlead::orchestrator
