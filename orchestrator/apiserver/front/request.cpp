// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/front/request.h"

#include <charconv>

#include "orchestrator/apiserver/yaml.h"

namespace fairlead::orchestrator::apiserver {

void Request::fail(const ApiError& error) {
  HttpHeaders headers{{"content-type", "application/json"}, {"cache-control", "no-cache, private"}};
  if (error.retry_after_seconds > 0)
    headers.add("retry-after", std::to_string(error.retry_after_seconds));
  responder->respond(error.status, std::move(headers), error.to_json());
}

void Request::send(int status, std::string body, std::string content_type) {
  HttpHeaders headers{{"content-type", std::move(content_type)},
                      {"cache-control", "no-cache, private"}};
  for (const std::string& warning : warnings)
    headers.add("warning", "299 - " + dump(Json(warning.substr(0, 256))));
  responder->respond(status, std::move(headers), std::move(body));
}

void Request::send_object(int status, const Bytes& stored) {
  if (wants_table()) {
    const Json object = decode_stored(stored);
    const Json metadata = {{"resourceVersion", string_at(object, "metadata.resourceVersion")}};
    return send_json(status, make_table(*kind, {object}, metadata, table_options(),
                                        std::chrono::system_clock::now()));
  }
  if (wants_as_stored()) return send(status, *stored);
  send_json(status, shown(decode_stored(stored)));
}

Json Request::shown(Json stored) const {
  return wants_metadata() ? partial_metadata(stored, meta_version())
                          : to_served(*kind, std::move(stored));
}

std::optional<Json> Request::read_body(std::vector<std::string>* duplicates) {
  const std::string type = media_type(http.headers.get("content-type"));
  const bool yaml = type == "application/yaml";
  if (!type.empty() && type != "application/json" && !yaml) {
    std::string message =
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json, application/yaml";
    if (type == "application/vnd.kubernetes.protobuf" || type == "application/cbor")
      message += ". This server does not read " + type +
                 " yet: send JSON (kubectl apply and create -f do), or use kubectl 1.31 or older";
    fail(unsupported_media_type(std::move(message)));
    return std::nullopt;
  }
  auto document = yaml ? parse_yaml(http.body, duplicates) : parse_json(http.body, duplicates);
  if (!document) {
    fail(bad_request("the object provided is unrecognized (must be of type " +
                     (kind ? kind->kind : "Object") + "): couldn't get version/kind; " +
                     document.error().message()));
    return std::nullopt;
  }
  return std::move(*document);
}

std::optional<int64_t> parse_version(std::string_view text) {
  if (text.empty()) return 0;
  int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

}  // namespace fairlead::orchestrator::apiserver
