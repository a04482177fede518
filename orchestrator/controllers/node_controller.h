// SPDX-License-Identifier: Apache-2.0
// Watches nodes by their leases: a silent node becomes Ready=Unknown and tainted, its pods unready
// (so that EndpointSlices drop them) and, after their toleration, evicted. Pods of nodes that no
// longer exist are removed. Inert until start(). Threads: one, the Clock's.
//
// A pod's toleration counts from when this process first saw it beside a taint that evicts, whoever
// set the taint (Kubernetes' pkg/controller/tainteviction), and from anew when no node was ready
// meanwhile.
//
// Silence is measured by this process' own clock from the last change of the lease it saw, never by
// comparing clocks of machines; after a start every node has the full grace again.
#pragma once

#include <map>
#include <set>
#include <string>

#include "orchestrator/controllers/caches.h"
#include "orchestrator/controllers/recorder.h"
#include "orchestrator/controllers/work_queue.h"
#include "orchestrator/controllers/writer.h"

namespace fairlead::orchestrator::controllers {

class NodeController {
 public:
  NodeController(Clock& clock, Caches& caches, Writer& writer, Recorder& recorder,
                 Recorder& evictions);
  void start();

 private:
  using Pass = WorkQueue::Pass;
  void on_lease(const Lease& lease);
  void on_node(const std::shared_ptr<const Node>& before, const std::shared_ptr<const Node>& after);
  void on_pod(const std::shared_ptr<const Pod>& before, const std::shared_ptr<const Pod>& after);
  void work_node(const ObjectKey& key, const Pass& pass);
  void mark_silent(const Node& node, const Pass& pass);
  void set_taints(const Node& node, const std::vector<Taint>& taints, const Pass& pass);
  void mark_pods_unready(const Node& node, const Pass& pass);
  void evict_pods(const Node& node, const Pass& pass);
  void disrupt(const Pod& pod, const char* reason, const char* message,
               const DeleteOptions& options, const Pass& pass, Writer::Next before);
  void tell_of(const Node& node, bool comes);
  void work_pod(const ObjectKey& key, const Pass& pass);

  Clock& clock_;
  Caches& caches_;
  Writer& writer_;
  Recorder& recorder_;
  Recorder& evictions_;
  std::map<std::string, MonoTime> heard_;               // by node name
  std::map<std::string, WallTime> pods_marked_;         // transition of Ready the pods were told of
  std::map<std::string, std::set<ObjectKey>> pods_on_;  // by node name
  std::map<std::string, MonoTime> beside_taints_;       // by pod uid: since when
  std::set<std::string> ready_;                         // nodes
  bool started_ = false;
  WorkQueue nodes_;
  WorkQueue lost_pods_;  // of nodes that do not exist, and deleted ones that never had a node
};

}  // namespace fairlead::orchestrator::controllers
