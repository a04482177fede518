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
  const std::string now = format_time(clock_.wall_now());
  const std::string identity =
      subject.uid + "\n" + subject.field_path + "\n" + reason + "\n" + message;
  kube::ApiRequest request;
  const auto before = written_.find(identity);
  const std::string ns = subject.key.ns.empty() ? "default" : subject.key.ns;
  if (before != written_.end() && clock_.now() - before->second.last < kSameEvent) {
    before->second.last = clock_.now();
    request.method = "PATCH";
    request.path = kube::resource_path("/api/v1", "events", ns, before->second.name);
    request.content_type = "application/merge-patch+json";
    request.body = Json{{"count", ++before->second.count}, {"lastTimestamp", now}}.dump();
  } else {
    const auto nanos = static_cast<uint64_t>(clock_.wall_now().time_since_epoch().count());
    const std::string name = subject.key.name.substr(0, 200) + "." + hex(nanos + sequence_++);
    if (written_.size() >= kMaxRemembered) written_.clear();
    written_[identity] = {name, ns, 1, clock_.now()};
    Json object = {{"kind", subject.kind}, {"name", subject.key.name}, {"apiVersion", "v1"}};
    if (!subject.key.ns.empty()) object["namespace"] = subject.key.ns;
    if (!subject.uid.empty()) object["uid"] = subject.uid;
    if (!subject.field_path.empty()) object["fieldPath"] = subject.field_path;
    request.method = "POST";
    request.path = kube::resource_path("/api/v1", "events", ns);
    request.body = Json{
        {"apiVersion", "v1"},
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
        {"count", 1}}.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  queue_.push_back(std::move(request));
  send_next();
}

void EventRecorder::send_next() {
  if (sending_ || queue_.empty()) return;
  sending_ = true;
  kube::ApiRequest request = std::move(queue_.front());
  queue_.pop_front();
  calls_.send(std::move(request), [this](Result<Json> reply) {
    if (!reply.ok()) log::debug("an event could not be written: {}", reply.error().message());
    sending_ = false;
    send_next();
  });
}

}  // namespace fairlead::orchestrator
