// SPDX-License-Identifier: Apache-2.0
#include "proxy/events.h"

#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/log.h"

namespace fairlead::proxy {

namespace {

constexpr const char* kApi = "/apis/events.k8s.io/v1";
constexpr const char* kController = "fairlead-proxy";
constexpr size_t kMaxNote = 1024;
constexpr Duration kTimeout = std::chrono::seconds(10);

// "2026-01-02T03:04:05.000006Z", Kubernetes' MicroTime.
std::string micro_time(WallTime time) {
  const auto micros =
      std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
  const auto seconds = static_cast<std::time_t>(micros / 1'000'000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char date[32], text[48];
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(text, sizeof text, "%s.%06dZ", date, static_cast<int>(micros % 1'000'000));
  return text;
}

std::string ns_of(const Event& event) {
  return event.about.ns.empty() ? "default" : event.about.ns;
}

}  // namespace

std::string event_json(const Event& event, const std::string& node_name, WallTime now) {
  char stamp[24];
  std::snprintf(stamp, sizeof stamp, ".%llx",
                static_cast<unsigned long long>(now.time_since_epoch().count()));
  nlohmann::json regarding = {{"kind", event.kind},
                              {"name", event.about.name},
                              {"uid", event.uid.empty() ? event.about.to_string() : event.uid}};
  if (!event.about.ns.empty()) regarding["namespace"] = event.about.ns;
  regarding["apiVersion"] = "v1";
  const nlohmann::json object = {
      {"apiVersion", "events.k8s.io/v1"},
      {"kind", "Event"},
      {"metadata", {{"name", event.about.name + stamp}, {"namespace", ns_of(event)}}},
      {"eventTime", micro_time(now)},
      {"reportingController", kController},
      {"reportingInstance", std::string(kController) + "-" + node_name},
      {"regarding", regarding},
      {"type", event.warning ? "Warning" : "Normal"},
      {"reason", event.reason},
      {"action", event.action},
      {"note", event.note.substr(0, kMaxNote)}};
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string event_path(const Event& event) {
  return kube::resource_path(kApi, "events", ns_of(event));
}

EventRecorder::EventRecorder(Clock& clock, kube::ApiClient& client, std::string node_name,
                             Duration retry)
    : clock_(clock), client_(client), node_name_(std::move(node_name)), retry_after_(retry) {}

void EventRecorder::record(Event event) {
  if (queue_.size() >= kQueueLimit)
    return log::debug("too many events wait: {} about {} is dropped", event.reason,
                      event.about.to_string());
  queue_.push_back({event_path(event), event_json(event, node_name_, clock_.wall_now())});
  if (queue_.size() == 1) post();
}

void EventRecorder::about_node(bool warning, std::string reason, std::string action,
                               std::string note) {
  record(
      {"Node", {"", node_name_}, warning, std::move(reason), std::move(action), std::move(note)});
}

void EventRecorder::post() {
  kube::ApiRequest request;
  request.method = "POST";
  request.path = queue_.front().path;
  request.body = queue_.front().json;
  request.timeout = kTimeout;
  call_ = client_.request(std::move(request),
                          [this](const Result<HttpResponse>& response) { on_answer(response); });
}

void EventRecorder::on_answer(const Result<HttpResponse>& response) {
  Posting& posting = queue_.front();
  const bool again =
      !response.ok() && ++posting.tries < kTries &&
      (response.error().is(ErrorCode::kUnavailable) || response.error().is(ErrorCode::kTimeout) ||
       response.error().is(ErrorCode::kResourceExhausted));
  if (again) {
    retry_ = clock_.after(retry_after_, [this] { post(); });
    return;
  }
  if (!response.ok()) log::debug("an event is lost: {}", response.error().message());
  queue_.pop_front();
  // Not from inside the answer: the call that is ending is replaced.
  if (!queue_.empty()) retry_ = clock_.after(Duration{}, [this] { post(); });
}

}  // namespace fairlead::proxy
