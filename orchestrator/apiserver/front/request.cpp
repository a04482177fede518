// SPDX-License-Identifier: Apache-2.0
#include "orchestrator/apiserver/front/request.h"

#include <charconv>

#include "orchestrator/apiserver/registry/prepare.h"
#include "orchestrator/apiserver/schema/protobuf.h"
#include "orchestrator/apiserver/schema/warnings.h"
#include "orchestrator/apiserver/yaml.h"

namespace fairlead::orchestrator::apiserver {
namespace {

ApiError unknown_format(const std::string& type) {
  std::string message =
      "the body of the request was in an unknown format - accepted media types include: "
      "application/json, application/yaml, application/vnd.kubernetes.protobuf";
  if (type == "application/cbor")
    message += ". This server does not read application/cbor yet: send one of these";
  return unsupported_media_type(std::move(message));
}

ApiError unrecognized(const BodyKind& wanted, const Error& error) {
  return bad_request("the object provided is unrecognized (must be of type " + wanted.kind +
                     "): couldn't get version/kind; " + error.message());
}

Outcome<Json> read_protobuf(std::string_view body, const BodyKind& wanted) {
  const auto open = schema::open_protobuf(body);
  if (!open) return unrecognized(wanted, open.error());
  Json identity = Json::object();
  if (!open->api_version.empty()) identity["apiVersion"] = open->api_version;
  if (!open->kind.empty()) identity["kind"] = open->kind;
  if (auto wrong = wrong_identity(identity, wanted.api_version, wanted.kind)) return *wrong;
  auto document = schema::decode_protobuf(*wanted.type, open->message);
  if (!document) {
    std::string version = open->api_version.empty() ? wanted.api_version : open->api_version;
    version.erase(0, version.find('/') + 1);
    return bad_request(wanted.kind + " in version \"" + version + "\" cannot be handled as a " +
                       wanted.kind + ": " + document.error().message());
  }
  document->update(identity);
  return std::move(*document);
}

Outcome<Json> read_document(const HttpServerRequest& http, const BodyKind& wanted,
                            std::vector<std::string>* duplicates) {
  const std::string type = media_type(http.headers.get("content-type"));
  if (type == "application/vnd.kubernetes.protobuf") return read_protobuf(http.body, wanted);
  const bool yaml = type == "application/yaml";
  if (!type.empty() && type != "application/json" && !yaml) return unknown_format(type);
  auto document = yaml ? parse_yaml(http.body, duplicates) : parse_json(http.body, duplicates);
  if (!document) return unrecognized(wanted, document.error());
  if (document->is_null()) return Json::object();  // nothing was said, but for its kind
  if (auto wrong = wrong_identity(*document, "", wanted.kind)) return *wrong;
  return std::move(*document);
}

void add_warnings(HttpHeaders& headers, const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings)
    headers.add("warning", "299 - " + dump(Json(warning.substr(0, 256))));
}

}  // namespace

void Request::fail(const ApiError& error) {
  HttpHeaders headers{{"content-type", "application/json"}, {"cache-control", "no-cache, private"}};
  if (error.retry_after_seconds > 0)
    headers.add("retry-after", std::to_string(error.retry_after_seconds));
  add_warnings(headers, warnings);
  responder->respond(error.status, std::move(headers), shape(error.to_json()));
}

void Request::warn_of(const Written& written) {
  const bool once = kind->behaviour == Behaviour::kPod;
  const bool news = written.created || (written.respecified && !once) ||
                    (kind->behaviour == Behaviour::kService && info.subresource.empty());
  if (!news) return;
  for (std::string& one : schema::warnings_of(kind->kind, decode_stored(written.object)))
    warnings.push_back(std::move(one));
}

std::string Request::shape(std::string json) const {
  return pretty ? Json::parse(json, nullptr, false).dump(2) : std::move(json);
}

void Request::send(int status, std::string body, std::string content_type) {
  if (content_type == "application/json") body = shape(std::move(body));
  HttpHeaders headers{{"content-type", std::move(content_type)},
                      {"cache-control", "no-cache, private"}};
  add_warnings(headers, warnings);
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

std::optional<Json> Request::read_body(const BodyKind& wanted,
                                       std::vector<std::string>* duplicates) {
  auto document = read_document(http, wanted, duplicates);
  if (document) return std::move(*document);
  fail(document.error());
  return std::nullopt;
}

std::optional<int64_t> parse_version(std::string_view text) {
  if (text.empty()) return 0;
  int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

}  // namespace fairlead::orchestrator::apiserver
