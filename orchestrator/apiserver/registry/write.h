// SPDX-License-Identifier: Apache-2.0
// One write under way: what was asked, and what this attempt found. Private to the registry.
#pragma once

#include "orchestrator/apiserver/registry/codec.h"
#include "orchestrator/apiserver/registry/registry.h"
#include "orchestrator/apiserver/table/columns.h"

namespace fairlead::orchestrator::apiserver {

struct Registry::Write {
  enum class Action { kCreate, kUpdate, kRemove };
  Write(const Kind& k, Loop& l, WriteOptions o, WrittenDone d)
      : kind(k), loop(l), options(o), done(std::move(d)) {}

  const Kind& kind;
  Loop& loop;
  WriteOptions options;
  WrittenDone done;
  Action action = Action::kCreate;
  kube::ObjectKey key;
  std::string subresource;
  Json document;                 // of what is made
  Change change;                 // of an update
  DeleteOptions delete_options;  // of a remove
  int attempts = 0;
  bool makes = false;  // this attempt: the object is new
  bool respecifies = false;
  int64_t revision = 0;  // that this attempt started from
  Json last_state;       // of what this attempt removes
  ServiceAllocator::Reservation reservation;
};

inline std::string now_text() {
  return timestamp(std::chrono::system_clock::now());
}

}  // namespace fairlead::orchestrator::apiserver
