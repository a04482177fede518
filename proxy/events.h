// SPDX-License-Identifier: Apache-2.0
// Events (events.k8s.io/v1) that tell an operator through the API what happened on this node.
//
// Best effort: at most kQueueLimit wait, the newest is dropped beyond; each is tried kTries times,
// then given up. Nothing waits for an event.
// Threads: the loop's. The client and the clock must outlive it.
#pragma once

#include <deque>
#include <string>

#include "base/clock.h"
#include "kube/client.h"
#include "kube/objects.h"

namespace fairlead::proxy {

struct Event {
  std::string kind;       // of the object it is about: Node, Service
  kube::ObjectKey about;  // a Node has no namespace; its events are in "default"
  bool warning = false;
  std::string reason;  // "FailedToStartServiceHealthcheck"
  std::string action;  // "Listen"
  std::string note;    // cut at 1024 bytes, the API server's limit
  std::string uid{};   // kubectl describe finds an object's events by it; "": as kube-proxy has it
};

// The object to post, from these facts alone. Without uid: a Node's is its name, a Service's its
// namespace and name, as kubelet and kube-proxy write them.
std::string event_json(const Event& event, const std::string& node_name, WallTime now);
std::string event_path(const Event& event);

class EventRecorder {
 public:
  static constexpr size_t kQueueLimit = 32;
  static constexpr int kTries = 12;
  static constexpr Duration kRetry = std::chrono::seconds(10);

  EventRecorder(Clock& clock, kube::ApiClient& client, std::string node_name,
                Duration retry = kRetry);

  void record(Event event);
  void about_node(bool warning, std::string reason, std::string action, std::string note);
  size_t waiting() const { return queue_.size(); }

 private:
  struct Posting {
    std::string path;
    std::string json;
    int tries = 0;
  };
  void post();
  void on_answer(const Result<HttpResponse>& response);

  Clock& clock_;
  kube::ApiClient& client_;
  const std::string node_name_;
  const Duration retry_after_;
  std::deque<Posting> queue_;
  HttpCall call_;
  Alarm retry_;
};

}  // namespace fairlead::proxy
