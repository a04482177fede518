// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/event_recorder.h"

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "orchestrator/node/pod_spec.h"

namespace fairlead::orchestrator {

namespace {
using Json = nlohmann::json;
constexpr Duration kSameEvent = std::chrono::minutes(10);
constexpr size_t kMaxNote = 1024;  // the API's limit on an event's note

std::string hex(uint64_t value) {
  char text[17];
  snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}
}  // namespace

void EventRecorder::record(const EventSubject& subject, const std::string& type,
                           const std::string& reason, const std::string& full_message) {
  log::info("{} {}: {}: {}", subject.kind, subject.key.to_string(), reason, full_message);
  const std::string message = full_message.substr(0, kMaxNote);
  if (queue_.size() >= kMaxQueued) {
    log::warn("{} events wait for the API server; one more is dropped", queue_.size());
    return;
  }
  const std::string identity =
      subject.uid + "\n" + subject.field_path + "\n" + reason + "\n" + message;
  const auto before = written_.find(identity);
  const bool repeated = before != written_.end() && clock_.now() - before->second.last < kSameEvent;
  if (!repeated && written_.size() >= kMaxRemembered) written_.clear();
  Written& written = written_[identity];
  written.last = clock_.now();
  if (repeated) {
    written.object["count"] = written.object["count"].get<int>() + 1;
    written.object["lastTimestamp"] = format_time(clock_.wall_now());
  } else {
    written.object = make(subject, type, reason, message);
  }
  queue_.push_back({identity, written.object, repeated});
  send_next();
}

Json EventRecorder::make(const EventSubject& subject, const std::string& type,
                         const std::string& reason, const std::string& message) {
  const std::string now = format_time(clock_.wall_now());
  const std::string ns = subject.key.ns.empty() ? "default" : subject.key.ns;
  const auto nanos = static_cast<uint64_t>(clock_.wall_now().time_since_epoch().count());
  const std::string name = subject.key.name.substr(0, 200) + "." + hex(nanos + sequence_++);
  Json object = {{"kind", subject.kind}, {"name", subject.key.name}, {"apiVersion", "v1"}};
  if (!subject.key.ns.empty()) object["namespace"] = subject.key.ns;
  if (!subject.uid.empty()) object["uid"] = subject.uid;
  if (!subject.field_path.empty()) object["fieldPath"] = subject.field_path;
  return {{"apiVersion", "v1"},
          {"kind", "Event"},
          {"metadata", {{"name", name}, {"namespace", ns}}},
          {"involvedObject", object},
          {"type", type},
          {"reason", reason},
          {"message", message},
          {"source", {{"component", "kubelet"}, {"host", node_name_}}},
          {"reportingComponent", "kubelet"},
          {"reportingInstance", node_name_},
          {"firstTimestamp", now},
          {"lastTimestamp", now},
          {"count", 1}};
}

void EventRecorder::send_next() {
  if (sending_ || queue_.empty()) return;
  sending_ = true;
  Waiting event = std::move(queue_.front());
  queue_.pop_front();
  if (event.repeated)
    count_up(std::move(event));
  else
    create(std::move(event));
}

void EventRecorder::count_up(Waiting event) {
  const Json& metadata = event.object["metadata"];
  kube::ApiRequest request;
  request.method = "PATCH";
  request.path = kube::resource_path("/api/v1", "events", metadata["namespace"].get<std::string>(),
                                     metadata["name"].get<std::string>());
  request.content_type = "application/merge-patch+json";
  request.body =
      Json{{"count", event.object["count"]}, {"lastTimestamp", event.object["lastTimestamp"]}}
          .dump();
  calls_.send(std::move(request), [this, event = std::move(event)](const Result<Json>& reply) {
    if (!reply.ok() && reply.error().is_not_found()) return create(event);
    done(reply);
  });
}

void EventRecorder::create(Waiting event) {
  kube::ApiRequest request;
  request.method = "POST";
  request.path = kube::resource_path("/api/v1", "events",
                                     event.object["metadata"]["namespace"].get<std::string>());
  request.body = event.object.dump(-1, ' ', false, Json::error_handler_t::replace);
  calls_.send(std::move(request), [this, event = std::move(event)](const Result<Json>& reply) {
    // The next one is then written whole, too.
    if (const auto it = written_.find(event.identity);
        !reply.ok() && it != written_.end() &&
        it->second.object["metadata"] == event.object["metadata"])
      written_.erase(it);
    done(reply);
  });
}

void EventRecorder::done(const Result<Json>& reply) {
  if (!reply.ok()) log::debug("an event could not be written: {}", reply.error().message());
  sending_ = false;
  send_next();
}

}  // namespace fairlead::orchestrator
