// SPDX-License-Identifier: Apache-2.0
// Deletes what lost its owners and empties namespaces that are being deleted. Inert until start().
// Threads: one, the Clock's. Bounded: 64 objects in work at once, 500 deletions a namespace a pass.
#pragma once

#include "orchestrator/controllers/caches.h"
#include "orchestrator/controllers/namespace_plan.h"
#include "orchestrator/controllers/object_graph.h"
#include "orchestrator/controllers/work_queue.h"
#include "orchestrator/controllers/writer.h"

namespace fairlead::orchestrator::controllers {

class GarbageCollector {
 public:
  GarbageCollector(Clock& clock, Caches& caches, Writer& writer);
  void start();

 private:
  using Pass = WorkQueue::Pass;
  void on_change(size_t kind, const Meta* before, const Meta* after);
  bool owner_exists(const OwnerRef& owner, const std::string& ns) const;
  void collect_one(const std::string& uid, const Pass& pass);
  void apply(const CollectAction& action, const Pass& pass);

  void empty_namespace(const std::string& name, const Pass& pass);
  // How many were told to go; what was told before is put into `remains`.
  int remove_cached(const std::string& ns, NamespaceRemains& remains, const Pass& pass);
  int remove_listed(const std::string& ns, NamespaceRemains& remains, const Pass& pass);
  void tell(const Namespace& space, const NamespaceRemains& remains, const Pass& pass);
  bool truly_empty(const std::string& ns, const Pass& pass);
  void finalize(const std::string& name, const Pass& pass);

  Clock& clock_;
  Caches& caches_;
  Writer& writer_;
  ObjectGraph graph_;
  bool started_ = false;
  WorkQueue objects_;     // keys {"", uid}
  WorkQueue namespaces_;  // keys {"", name}
};

}  // namespace fairlead::orchestrator::controllers
