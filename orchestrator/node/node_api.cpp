// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/node/node_api.h"

#include <nlohmann/json.hpp>

#include "orchestrator/node/pod_status.h"
#include "orchestrator/values/json_reader.h"

namespace fairlead::orchestrator {

namespace {

using json::Json;
constexpr char kCore[] = "/api/v1";

int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

}  // namespace

std::optional<std::string> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  size_t padding = 0;
  while (padding < 2 && !text.empty() && text.back() == '=') {
    text.remove_suffix(1);
    ++padding;
  }
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int digit = base64_digit(c);
    if (digit < 0) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 0xff);
  }
  if ((bits & ((1u << count) - 1)) != 0) return std::nullopt;  // bits beyond the last byte
  return out;
}

Result<ObjectData> decode_object_data(bool secret, const Json& object) {
  ObjectData data = json::text_map(object, "data");
  ObjectData encoded = json::text_map(object, "binaryData");
  if (!secret)
    for (const auto& [key, text] : encoded) data.binary.insert(key);
  if (secret) {
    encoded = std::move(data);
    data.clear();
  }
  for (const auto& [key, text] : encoded) {
    std::optional<std::string> bytes = decode_base64(text);
    if (!bytes) return Error(ErrorCode::kInvalid, "the value of key " + key + " is not base64");
    data[key] = *std::move(bytes);
  }
  return data;
}

void ApiCalls::send(kube::ApiRequest request, JsonDone done) {
  const uint64_t id = next_id_++;
  calls_[id] = client_.request(
      std::move(request), [this, id, done = std::move(done)](Result<HttpResponse> response) {
        const HttpCall finished = std::move(calls_[id]);  // lives until the callback returns
        calls_.erase(id);
        if (!response.ok()) return done(response.error());
        Json object = Json::parse(response->body, nullptr, false);
        if (object.is_discarded())
          return done(Error(ErrorCode::kInternal, "the API server's answer is not JSON"));
        done(std::move(object));
      });
}

void HttpNodeApi::patch_pod_status(const kube::ObjectKey& pod, const std::string& uid,
                                   const Json& status, JsonDone done) {
  kube::ApiRequest request;
  request.method = "PATCH";
  request.path = kube::resource_path(kCore, "pods", pod.ns, pod.name, "status");
  request.content_type = "application/strategic-merge-patch+json";
  request.body = pod_status_patch(uid, status).dump(-1, ' ', false, Json::error_handler_t::replace);
  calls_.send(std::move(request), std::move(done));
}

void HttpNodeApi::delete_pod(const kube::ObjectKey& pod, const std::string& uid,
                             std::function<void(Result<void>)> done) {
  kube::ApiRequest request;
  request.method = "DELETE";
  request.path = kube::resource_path(kCore, "pods", pod.ns, pod.name);
  request.body = Json{{"kind", "DeleteOptions"},
                      {"apiVersion", "v1"},
                      {"gracePeriodSeconds", 0},
                      {"preconditions", {{"uid", uid}}}}
                     .dump();
  calls_.send(std::move(request), [done = std::move(done)](Result<Json> reply) {
    const bool gone = !reply.ok() && (reply.error().is_not_found() || reply.error().is_conflict());
    done(reply.ok() || gone ? ok() : Result<void>(reply.error()));
  });
}

void HttpNodeApi::get_object(const std::string& ns, const ObjectRef& reference,
                             std::function<void(Result<ObjectData>)> done) {
  kube::ApiRequest request;
  request.path =
      kube::resource_path(kCore, reference.secret ? "secrets" : "configmaps", ns, reference.name);
  calls_.send(std::move(request),
              [secret = reference.secret, done = std::move(done)](Result<Json> object) {
                if (!object.ok()) return done(object.error());
                done(decode_object_data(secret, *object));
              });
}

}  // namespace fairlead::orchestrator
