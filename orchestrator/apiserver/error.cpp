// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/error.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace fairlead::orchestrator::apiserver {
namespace {

std::string qualified(const std::string& name, const std::string& group) {
  return group.empty() ? name : name + "." + group;
}

std::string quoted(const std::string& text) {
  return "\"" + text + "\"";
}

ApiError make(int status, std::string reason, std::string message, Subject subject = {}) {
  ApiError error;
  error.status = status;
  error.reason = std::move(reason);
  error.message = std::move(message);
  error.subject = std::move(subject);
  return error;
}

// What Kubernetes makes of a bare HTTP status always has details, empty as they may be.
ApiError generic(int status, std::string reason, std::string message) {
  ApiError error = make(status, std::move(reason), std::move(message));
  error.has_details = true;
  return error;
}

ErrorCode code_of(const ApiError& error) {
  switch (error.status) {
    case 401:
    case 403:
      return ErrorCode::kPermission;
    case 404:
      return ErrorCode::kNotFound;
    case 409:
      return error.reason == "AlreadyExists" ? ErrorCode::kAlreadyExists : ErrorCode::kConflict;
    case 410:
      return ErrorCode::kExpired;
    case 413:
    case 429:
      return ErrorCode::kResourceExhausted;
    case 405:
    case 406:
    case 415:
      return ErrorCode::kUnsupported;
    case 503:
      return ErrorCode::kUnavailable;
    case 504:
      return ErrorCode::kTimeout;
    case 500:
      return ErrorCode::kInternal;
    default:
      return ErrorCode::kInvalid;
  }
}

}  // namespace

std::string ApiError::to_json() const {
  nlohmann::json status_json = {
      {"kind", "Status"},    {"apiVersion", "v1"}, {"metadata", nlohmann::json::object()},
      {"status", "Failure"}, {"message", message}, {"reason", reason},
      {"code", status}};
  if (!continue_token.empty()) status_json["metadata"]["continue"] = continue_token;
  nlohmann::json details = nlohmann::json::object();
  if (!subject.name.empty()) details["name"] = subject.name;
  if (!subject.group.empty()) details["group"] = subject.group;
  // Kubernetes puts the resource there, except for validation errors, which name the kind.
  const std::string& kind = reason == "Invalid" ? subject.kind : subject.plural;
  if (!kind.empty()) details["kind"] = kind;
  if (!uid.empty()) details["uid"] = uid;
  if (retry_after_seconds > 0) details["retryAfterSeconds"] = retry_after_seconds;
  for (const Cause& cause : causes) {
    nlohmann::json item = {{"reason", cause.reason}, {"message", cause.message}};
    if (!cause.field.empty()) item["field"] = cause.field;
    details["causes"].push_back(std::move(item));
  }
  // kubectl debug reads them of a path that is not there.
  if (!details.empty() || has_details) status_json["details"] = std::move(details);
  return status_json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Error ApiError::to_error() const {
  return Error(code_of(*this), message);
}

ApiError ApiError::from_error(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kInvalid:
      return bad_request(error.message());
    case ErrorCode::kNotFound:
      return make(404, "NotFound", error.message());
    case ErrorCode::kAlreadyExists:
      return make(409, "AlreadyExists", error.message());
    case ErrorCode::kConflict:
      return make(409, "Conflict", error.message());
    case ErrorCode::kExpired:
      return gone(error.message());
    case ErrorCode::kPermission:
      return make(403, "Forbidden", error.message());
    case ErrorCode::kTimeout:
      return make(504, "Timeout", error.message());
    case ErrorCode::kUnsupported:
      return method_not_allowed(error.message());
    case ErrorCode::kResourceExhausted: {
      ApiError busy = make(429, "TooManyRequests", error.message());
      busy.retry_after_seconds = 1;
      return busy;
    }
    case ErrorCode::kCancelled:
    case ErrorCode::kInterrupted:
    case ErrorCode::kUnavailable:
      return unavailable(error.message());
    case ErrorCode::kInternal:
      return internal(error.message());
  }
  return internal(error.message());
}

ApiError bad_request(std::string message) {
  return make(400, "BadRequest", std::move(message));
}
ApiError unauthorized() {
  return make(401, "Unauthorized", "Unauthorized");
}

ApiError forbidden(const Subject& subject, std::string_view why) {
  std::string message = qualified(subject.plural, subject.group);
  if (!subject.name.empty()) message += " " + quoted(subject.name);
  return make(403, "Forbidden", message + " is forbidden: " + std::string(why), subject);
}

ApiError not_found(const Subject& subject) {
  return make(404, "NotFound",
              qualified(subject.plural, subject.group) + " " + quoted(subject.name) + " not found",
              subject);
}

ApiError path_not_found() {
  return generic(404, "NotFound", "the server could not find the requested resource");
}

ApiError already_exists(const Subject& subject) {
  return make(
      409, "AlreadyExists",
      qualified(subject.plural, subject.group) + " " + quoted(subject.name) + " already exists",
      subject);
}

ApiError conflict(const Subject& subject, std::string_view why) {
  return make(409, "Conflict",
              "Operation cannot be fulfilled on " + qualified(subject.plural, subject.group) + " " +
                  quoted(subject.name) + ": " + std::string(why),
              subject);
}

ApiError invalid(const Subject& subject, std::vector<Cause> causes) {
  std::string texts;
  for (const Cause& cause : causes) {
    if (!texts.empty()) texts += ", ";
    texts += cause.field + ": " + cause.message;
  }
  if (causes.size() > 1) texts = "[" + texts + "]";
  ApiError error = make(
      422, "Invalid",
      qualified(subject.kind, subject.group) + " " + quoted(subject.name) + " is invalid: " + texts,
      subject);
  error.causes = std::move(causes);
  return error;
}

ApiError gone(std::string message) {
  return make(410, "Expired", std::move(message));
}

ApiError method_not_allowed(std::string_view what) {
  return generic(405, "MethodNotAllowed", std::string(what));
}

ApiError not_acceptable(std::string_view offered) {
  return make(406, "NotAcceptable",
              "only the following media types are accepted: " + std::string(offered));
}

ApiError unsupported_media_type(std::string message) {
  return generic(415, "UnsupportedMediaType", std::move(message));
}

ApiError too_large(std::string message) {
  return make(413, "RequestEntityTooLarge", std::move(message));
}

ApiError ApiError::from_http(int status, const std::string& text) {
  switch (status) {
    case 408:
      return make(status, "Timeout", text);
    case 413:
      return too_large(text);
    default:
      return make(status, "BadRequest", text);
  }
}

ApiError too_large_version(int64_t asked, int64_t current) {
  ApiError error = make(504, "Timeout",
                        "Timeout: Too large resource version: " + std::to_string(asked) +
                            ", current: " + std::to_string(current));
  error.causes = {{"ResourceVersionTooLarge", "Too large resource version", ""}};
  error.retry_after_seconds = 1;
  return error;
}

ApiError internal(std::string message) {
  return make(500, "InternalError", "Internal error occurred: " + std::move(message));
}

ApiError unavailable(std::string message) {
  return make(503, "ServiceUnavailable", std::move(message));
}

Cause required(std::string field, std::string_view detail) {
  std::string message = "Required value";
  if (!detail.empty()) message += ": " + std::string(detail);
  return {"FieldValueRequired", std::move(message), std::move(field)};
}

Cause invalid_value(std::string field, std::string_view value, std::string_view detail) {
  return {"FieldValueInvalid", "Invalid value: " + std::string(value) + ": " + std::string(detail),
          std::move(field)};
}

Cause unsupported_value(std::string field, std::string_view value,
                        const std::vector<std::string>& supported) {
  std::vector<std::string> sorted = supported;
  std::sort(sorted.begin(), sorted.end());
  std::string list;
  for (const std::string& one : sorted) list += (list.empty() ? "" : ", ") + quoted(one);
  return {"FieldValueNotSupported",
          "Unsupported value: " + std::string(value) + ": supported values: " + list,
          std::move(field)};
}

Cause duplicate(std::string field, std::string_view value) {
  return {"FieldValueDuplicate", "Duplicate value: " + std::string(value), std::move(field)};
}

Cause forbidden_field(std::string field, std::string_view detail) {
  return {"FieldValueForbidden", "Forbidden: " + std::string(detail), std::move(field)};
}

Cause not_found_value(std::string field, std::string_view value) {
  return {"FieldValueNotFound", "Not found: " + std::string(value), std::move(field)};
}

}  // namespace fairlead::orchestrator::apiserver
