// SPDX-License-Identifier: Apache-2.0
// Writes Events about objects, as client-go does (tools/record/events_cache.go): repeated ones
// become a count on the first; the tenth that differs from the others in its message only, within
// ten minutes of the last, and all after it become one, "(combined from similar events): ..."; one
// object cannot fill the store (25 at once, then one in five minutes). What does not fit the queue
// is dropped and logged: Events are help, not state.
//
// Threads: one, the Api's. Nothing waits for an Event; errors are logged.
#pragma once

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "orchestrator/apiserver/api.h"
#include "orchestrator/controllers/objects.h"

namespace fairlead::orchestrator::controllers {

struct EventSubject {
  std::string api_version;
  std::string kind;
  std::string ns;
  std::string name;
  std::string uid;
  std::string resource_version;
};
EventSubject subject(const char* api_version, const char* kind, const Meta& meta);

class Recorder {
 public:
  // `component` is reported as the source; what is alike is counted for each source alone.
  Recorder(Clock& clock, Api& api, std::string component);
  ~Recorder();

  void record(const EventSubject& about, bool warning, const std::string& reason,
              const std::string& message);

 private:
  struct Core;
  std::shared_ptr<Core> core_;
};

}  // namespace fairlead::orchestrator::controllers
