// SPDX-License-Identifier: Apache-2.0
// Events: the old kind says where its object is, the new one who did what; events.k8s.io takes the
// new alone (pkg/apis/core/validation/events.go). The fields are called as in the stored form.
#include "orchestrator/apiserver/registry/prepare.h"
#include "orchestrator/apiserver/schema/formats.h"

namespace fairlead::orchestrator::apiserver {
namespace {

constexpr size_t kMaxWord = 128;
constexpr size_t kMaxNote = 1024;
constexpr const char* kOfOldWriters[] = {"firstTimestamp", "lastTimestamp"};
constexpr std::string_view kFixed[] = {
    "involvedObject",   "reason",        "message", "source",
    "firstTimestamp",   "lastTimestamp", "count",   "type",
    "eventTime",        "action",        "related", "reportingComponent",
    "reportingInstance"};

bool is_strict(const Kind& kind) {
  return kind.group == "events.k8s.io";
}

void check_length(const Json& event, const char* name, size_t limit, std::vector<Cause>& causes) {
  if (string_at(event, name).size() > limit)
    causes.push_back(
        invalid_value(name, "\"\"", "can have at most " + std::to_string(limit) + " characters"));
}

void check_writer(const Json& event, std::vector<Cause>& causes) {
  const std::string controller = string_at(event, "reportingComponent");
  if (controller.empty()) causes.push_back(required("reportingController"));
  if (auto wrong = schema::check_qualified_name(controller))
    causes.push_back(invalid_value("reportingController", go_value(controller), *wrong));
  for (const char* name : {"reportingInstance", "action", "reason"}) {
    if (string_at(event, name).empty()) causes.push_back(required(name));
    check_length(event, name, kMaxWord, causes);
  }
  check_length(event, "message", kMaxNote, causes);
}

void check_series(const Json& series, std::vector<Cause>& causes) {
  if (!series.is_object()) return;
  if (int_at(series, "count") < 2)
    causes.push_back(invalid_value("series.count", "\"\"", "should be at least 2"));
  if (at(series, "lastObservedTime").is_null())
    causes.push_back(required("series.lastObservedTime"));
}

void check_new_kind(const Json& event, std::vector<Cause>& causes) {
  const auto unset = [&](const char* name) {
    causes.push_back(invalid_value(name, "\"\"", "needs to be unset"));
  };
  check_series(at(event, "series"), causes);
  if (at(event, "eventTime").is_null()) causes.push_back(required("eventTime"));
  const std::string type = string_at(event, "type");
  if (type != "Normal" && type != "Warning")
    causes.push_back(invalid_value("type", "\"\"", "has invalid value: " + type));
  for (const char* name : kOfOldWriters)
    if (!at(event, name).is_null()) unset(name);
  if (int_at(event, "count") != 0) unset("count");
  if (!is_empty(at_path(event, "source.component")) || !is_empty(at_path(event, "source.host")))
    unset("source");
}

}  // namespace

void validate_event(const Kind& kind, const Json& event, std::vector<Cause>& causes) {
  const std::string ns = string_at(event, "metadata.namespace");
  const std::string about = string_at(event, "involvedObject.namespace");
  const bool timed = !at(event, "eventTime").is_null();
  // What has no namespace is told of in one of the system's.
  const bool fits =
      about.empty() ? ns == "default" || (timed && ns == "kube-system") : timed || ns == about;
  if (!fits)
    causes.push_back(invalid_value("involvedObject.namespace", go_value(about),
                                   "does not match event.namespace"));
  if (timed) check_writer(event, causes);
  const bool creates = at_path(event, "metadata.uid").is_null();
  if (is_strict(kind) && creates) check_new_kind(event, causes);
}

void validate_event_update(const Kind& kind, const Json& event, const Json& before,
                           std::vector<Cause>& causes) {
  if (!is_strict(kind)) return;
  if (at(event, "series") != at(before, "series")) check_series(at(event, "series"), causes);
  for (const std::string_view name : kFixed)
    if (at(event, name) != at(before, name))
      causes.push_back(
          invalid_value(std::string(name == "reportingComponent" ? "reportingController" : name),
                        go_value(at(event, name)), "field is immutable"));
}

}  // namespace fairlead::orchestrator::apiserver
