// SPDX-License-Identifier: Apache-2.0
// An error as the Kubernetes API tells it: HTTP status, reason, details. Pure values.
// Texts follow k8s.io/apimachinery pkg/api/errors and pkg/util/validation/field.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace fairlead::orchestrator::apiserver {

struct Cause {
  std::string reason;  // "FieldValueInvalid"
  std::string message;
  std::string field;  // "spec.ports[0].nodePort"
  bool operator==(const Cause&) const = default;
};

// What the error is about; it appears in texts as "deployments.apps" or "Deployment.apps".
struct Subject {
  std::string group;
  std::string plural;
  std::string kind;
  std::string name;
};

struct ApiError {
  int status = 500;
  std::string reason;
  std::string message;
  Subject subject;
  std::string uid;
  std::vector<Cause> causes;
  bool has_details = false;  // also where there is nothing in them
  int retry_after_seconds = 0;
  std::string continue_token;  // of a 410 on a list: goes on from there, from a newer snapshot

  std::string to_json() const;  // metav1.Status
  Error to_error() const;
  static ApiError from_error(const Error& error);
  // What the HTTP server refuses before a request is complete: 400, 408, 413, 431, 505.
  static ApiError from_http(int status, const std::string& text);
};

ApiError bad_request(std::string message);
ApiError unauthorized();
ApiError forbidden(const Subject& subject, std::string_view why);
ApiError not_found(const Subject& subject);
ApiError path_not_found();
ApiError already_exists(const Subject& subject);
ApiError conflict(const Subject& subject, std::string_view why);
ApiError invalid(const Subject& subject, std::vector<Cause> causes);
ApiError gone(std::string message);
ApiError method_not_allowed(std::string_view what);
ApiError not_acceptable(std::string_view offered);
ApiError unsupported_media_type(std::string message);
ApiError too_large(std::string message);
ApiError too_large_version(int64_t asked, int64_t current);
ApiError internal(std::string message);
ApiError unavailable(std::string message);

// Causes, with the texts of field.Error. `value` is JSON text as Go's %v or %q would show it.
Cause required(std::string field, std::string_view detail = {});
Cause invalid_value(std::string field, std::string_view value, std::string_view detail);
Cause unsupported_value(std::string field, std::string_view value,
                        const std::vector<std::string>& supported);
Cause duplicate(std::string field, std::string_view value);
Cause forbidden_field(std::string field, std::string_view detail);
Cause not_found_value(std::string field, std::string_view value);

// A value or an ApiError.
template <typename T>
class [[nodiscard]] Outcome {
 public:
  Outcome(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Outcome(ApiError error) : state_(std::in_place_index<1>, std::move(error)) {}
  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& operator*() { return std::get<0>(state_); }
  const T& operator*() const { return std::get<0>(state_); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  const ApiError& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, ApiError> state_;
};

}  // namespace fairlead::orchestrator::apiserver
