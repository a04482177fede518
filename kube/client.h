// SPDX-License-Identifier: Apache-2.0
// Requests to a Kubernetes API server: paths, credentials, and its Status errors as Errors.
//
// Threads: the transport's loop. Completion: as HttpTransport says; a callback never runs from
// inside request(). Nothing is retried here: the caller knows whether that is safe.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/http/client.h"
#include "kube/config.h"

namespace fairlead {
class Metrics;
}

namespace fairlead::kube {

// "/api/v1/namespaces/NS/RESOURCE/NAME/SUBRESOURCE"; empty parts are left out, the rest escaped.
// `api` is "/api/v1" or "/apis/GROUP/VERSION".
std::string resource_path(std::string_view api, std::string_view resource, std::string_view ns = "",
                          std::string_view name = "", std::string_view subresource = "");

// A response that is not 2xx as an Error: kNotFound 404, kAlreadyExists and kConflict 409, kExpired
// 410, kInvalid 400 and 422, kPermission 401 and 403, kResourceExhausted 429, kTimeout 408 and 504,
// kUnavailable 5xx. The message is the Status' own where the body is a Status.
Error response_error(int status, std::string_view body);
// From the Retry-After header in seconds, else the Status' details.retryAfterSeconds; at most 5
// minutes.
std::optional<Duration> retry_after(const HttpHeaders& headers, std::string_view body);

struct ApiRequest {
  std::string method = "GET";
  std::string path = {};  // escaped
  // Not escaped; parameters with an empty value are left out.
  std::vector<std::pair<std::string, std::string>> query = {};
  std::string body = {};
  std::string content_type = "application/json";
  Duration timeout = std::chrono::seconds(30);
  size_t max_response_bytes = 16 * 1024 * 1024;
};

class ApiClient {
 public:
  // Runs when the credentials' certificates changed: give them to the HttpClient.
  using OnTls = std::function<void(const TlsClientConfig&)>;

  // All must outlive the client.
  ApiClient(HttpTransport& transport, Credentials& credentials, std::string user_agent,
            OnTls on_tls = nullptr);
  // Reflectors made after this count what they do there. It must outlive them.
  void set_metrics(Metrics& metrics) { metrics_ = &metrics; }
  Metrics* metrics() const { return metrics_; }  // null: nobody counts

  // 2xx is a response, anything else an Error ("GET /api/v1/nodes/a: nodes \"a\" not found").
  [[nodiscard]] HttpCall request(ApiRequest request,
                                 std::function<void(Result<HttpResponse>)> on_done);
  // The raw response as it arrives, whatever its status, without time-outs of ours: for watches and
  // logs.
  [[nodiscard]] HttpCall stream(const ApiRequest& request, HttpHandlers handlers);

  // What request() does by itself on a 401, for users of stream().
  void rejected() { credentials_->reject(); }

 private:
  HttpRequest prepare(const ApiRequest& request);

  HttpTransport* transport_;
  Credentials* credentials_;
  std::string user_agent_;
  OnTls on_tls_;
  Metrics* metrics_ = nullptr;
};

}  // namespace fairlead::kube
