// SPDX-License-Identifier: Apache-2.0
#include "kube/client.h"

#include <algorithm>
#include <charconv>

#include "kube/decode.h"

namespace fairlead::kube {
namespace {

constexpr int64_t kMaxRetryAfterSeconds = 300;
constexpr size_t kMaxQuotedBody = 200;

ErrorCode code_of(int status, std::string_view reason) {
  switch (status) {
    case 401:
    case 403:
      return ErrorCode::kPermission;
    case 404:
      return ErrorCode::kNotFound;
    case 408:
    case 504:
      return ErrorCode::kTimeout;
    case 409:
      return reason == "AlreadyExists" ? ErrorCode::kAlreadyExists : ErrorCode::kConflict;
    case 410:
      return ErrorCode::kExpired;
    case 405:
    case 406:
    case 415:
      return ErrorCode::kUnsupported;
    case 429:
      return ErrorCode::kResourceExhausted;
  }
  if (status >= 500) return ErrorCode::kUnavailable;
  return status >= 400 ? ErrorCode::kInvalid : ErrorCode::kInternal;
}

// What a peer that is no API server said, made fit for one line of log.
std::string quote(std::string_view body) {
  std::string text(body.substr(0, kMaxQuotedBody));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

}  // namespace

std::string resource_path(std::string_view api, std::string_view resource, std::string_view ns,
                          std::string_view name, std::string_view subresource) {
  std::string path(api);
  if (!ns.empty()) path += "/namespaces/" + percent_encode(ns);
  path += "/" + std::string(resource);
  if (!name.empty()) path += "/" + percent_encode(name);
  if (!subresource.empty()) path += "/" + std::string(subresource);
  return path;
}

Error response_error(int status, std::string_view body) {
  const Result<StatusObject> object = decode_status(body);
  const std::string summary =
      "HTTP " + std::to_string(status) + " " + std::string(reason_phrase(status));
  if (object.ok() && !object->message.empty())
    return Error(code_of(status, object->reason), object->message);
  const std::string reason = object.ok() ? object->reason : quote(body);
  return Error(code_of(status, object.ok() ? object->reason : ""),
               reason.empty() ? summary : summary + ": " + reason);
}

std::optional<Duration> retry_after(const HttpHeaders& headers, std::string_view body) {
  int64_t seconds = 0;
  if (const auto header = headers.get("Retry-After")) {
    const auto [end, error] =
        std::from_chars(header->data(), header->data() + header->size(), seconds);
    if (error != std::errc() || end != header->data() + header->size()) seconds = 0;
  }
  if (seconds <= 0) {
    const Result<StatusObject> status = decode_status(body);
    if (status.ok()) seconds = status->retry_after_seconds;
  }
  if (seconds <= 0) return std::nullopt;
  return std::chrono::seconds(std::min(seconds, kMaxRetryAfterSeconds));
}

ApiClient::ApiClient(HttpTransport& transport, Credentials& credentials, std::string user_agent,
                     OnTls on_tls)
    : transport_(&transport),
      credentials_(&credentials),
      user_agent_(std::move(user_agent)),
      on_tls_(std::move(on_tls)) {}

HttpCall ApiClient::request(ApiRequest request, std::function<void(Result<HttpResponse>)> on_done) {
  HttpRequest http = prepare(request);
  http.total_timeout = request.timeout;
  const auto finish = [this, what = request.method + " " + request.path,
                       done = std::move(on_done)](Result<HttpResponse> response) {
    if (!response.ok()) return done(response.error().with_context(what));
    if (response->status >= 200 && response->status < 300) return done(std::move(response));
    if (response->status == 401) rejected();
    done(response_error(response->status, response->body).with_context(what));
  };
  return fetch(*transport_, std::move(http), request.max_response_bytes, finish);
}

HttpCall ApiClient::stream(const ApiRequest& request, HttpHandlers handlers) {
  return transport_->send(prepare(request), std::move(handlers));
}

HttpRequest ApiClient::prepare(const ApiRequest& request) {
  if (credentials_->refresh() && on_tls_) on_tls_(credentials_->tls());
  HttpRequest http;
  http.method = request.method;
  http.url = credentials_->config().server + request.path;
  char separator = '?';
  for (const auto& [name, value] : request.query) {
    if (value.empty()) continue;
    http.url += separator + percent_encode(name) + "=" + percent_encode(value);
    separator = '&';
  }
  http.headers.add("Accept", "application/json");
  http.headers.add("User-Agent", user_agent_);
  if (!credentials_->authorization().empty())
    http.headers.add("Authorization", credentials_->authorization());
  if (!request.body.empty()) http.headers.add("Content-Type", request.content_type);
  http.body = request.body;
  return http;
}

}  // namespace fairlead::kube
