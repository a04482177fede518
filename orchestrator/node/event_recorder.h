// SPDX-License-Identifier: Apache-2.0
// Events: what happened to an object, for people ("kubectl describe").
//
// Threads: the loop's. One request at a time, at most kMaxQueued waiting; the newest are dropped
// beyond that, with a warning. The same event again within ten minutes counts up the first one, or
// is written anew with that count where the first one is gone (the API server keeps events for an
// hour, and none when it restarts). An event that cannot be written is dropped: events are news,
// not state.
#pragma once

#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "base/clock.h"
#include "orchestrator/node/node_api.h"

namespace fairlead::orchestrator {

struct EventSubject {
  std::string kind = "Pod";
  kube::ObjectKey key;
  std::string uid;
  std::string field_path;  // "spec.containers{web}"
};

class EventSink {
 public:
  virtual ~EventSink() = default;
  // `type`: "Normal" or "Warning".
  virtual void record(const EventSubject& subject, const std::string& type,
                      const std::string& reason, const std::string& message) = 0;
};

class EventRecorder : public EventSink {
 public:
  static constexpr size_t kMaxQueued = 256;
  static constexpr size_t kMaxRemembered = 1024;

  EventRecorder(Clock& clock, kube::ApiClient& client, std::string node_name)
      : clock_(clock), calls_(client), node_name_(std::move(node_name)) {}
  void record(const EventSubject& subject, const std::string& type, const std::string& reason,
              const std::string& message) override;

 private:
  struct Written {
    nlohmann::json object;
    MonoTime last;
  };
  struct Waiting {
    std::string identity;  // in written_
    nlohmann::json object;
    bool repeated = false;
  };
  nlohmann::json make(const EventSubject& subject, const std::string& type,
                      const std::string& reason, const std::string& message);
  void send_next();
  void create(Waiting event);
  void count_up(Waiting event);
  void done(const Result<nlohmann::json>& reply);

  Clock& clock_;
  ApiCalls calls_;
  std::string node_name_;
  std::map<std::string, Written> written_;
  std::deque<Waiting> queue_;
  bool sending_ = false;
  uint64_t sequence_ = 0;
};

}  // namespace fairlead::orchestrator
