// SPDX-License-Identifier: Apache-2.0
// One request on its way through the front, and how it is answered. Private to the front.
#pragma once

#include "orchestrator/apiserver/front/front.h"
#include "orchestrator/apiserver/registry/codec.h"
#include "orchestrator/apiserver/table/table.h"

namespace fairlead::orchestrator::apiserver {

// What a body has to be. Only protobuf is read by its type.
struct BodyKind {
  std::string api_version;  // "apps/v1"; empty: any
  std::string kind;
  const schema::Type* type = nullptr;

  static BodyKind of(const Kind& kind) { return {kind.api_version(), kind.kind, kind.served_type}; }
  // "Scale", "DeleteOptions", "Binding", "Eviction": their versions are not looked at.
  static BodyKind named(const char* kind) {
    return {"", kind, schema::Types::builtin().find(kind)};
  }
};

struct Request {
  HttpServerRequest http;
  std::shared_ptr<HttpResponder> responder;
  RequestInfo info;
  const Kind* kind = nullptr;
  Accepted accepted = Accepted::kJson;
  IncludeObject include = IncludeObject::kMetadata;
  FieldValidation validation = FieldValidation::kWarn;
  bool dry_run = false;
  bool pretty = false;  // JSON for people
  std::vector<std::string> warnings;

  kube::ObjectKey key() const { return {info.ns, info.name}; }
  std::string query(std::string_view name) const {
    return std::string(http.query_value(name).value_or(""));
  }
  Subject subject() const { return {info.group, info.resource, kind ? kind->kind : "", info.name}; }
  bool wants_table() const {
    return accepted == Accepted::kTableV1 || accepted == Accepted::kTableV1Beta1;
  }
  bool wants_metadata() const {
    return accepted == Accepted::kMetadataV1 || accepted == Accepted::kMetadataV1Beta1;
  }
  // The stored bytes are what the client wants to see.
  bool wants_as_stored() const {
    return !wants_table() && !wants_metadata() && kind->renames.empty();
  }
  const char* meta_version() const {
    const bool v1 = accepted == Accepted::kTableV1 || accepted == Accepted::kMetadataV1;
    return v1 ? "meta.k8s.io/v1" : "meta.k8s.io/v1beta1";
  }
  TableOptions table_options(bool with_columns = true) const {
    return {meta_version(), include, with_columns};
  }

  void fail(const ApiError& error);
  void send(int status, std::string body, std::string content_type = "application/json");
  void send_json(int status, const Json& json) { send(status, dump(json)); }
  std::string shape(std::string json) const;  // indented where the client wants that
  // Of what was written: a new object, or another spec. Pods are told of once.
  void warn_of(const Written& written);
  // An object in the stored form, as the client wants to see it.
  void send_object(int status, const Bytes& stored);
  // The same of one object, but for tables: metadata alone, or the served form.
  Json shown(Json stored) const;

  // The body as JSON; nullopt: it has been answered with what is wrong.
  std::optional<Json> read_body(const BodyKind& wanted, std::vector<std::string>* duplicates);
};

// Something that goes on after the handler returned: a watch, a log. Kept by the front until it
// ends.
class Stream {
 public:
  virtual ~Stream() = default;
};

struct WatchParameters {
  Filter filter;
  bool bookmarks = false;
  bool initial = false;    // what there is comes first
  bool announced = false;  // and then, with bookmarks, that this was all
  Duration time_limit{};
};

// Follows the store and writes frames until the client goes, the time is over or history is lost.
// `on_end` runs once, never from inside the constructor.
std::shared_ptr<Stream> make_watch_stream(Loop& loop, Registry& registry, RequestRef request,
                                          WatchParameters parameters, std::function<void()> on_end);

std::optional<int64_t> parse_version(std::string_view text);  // "" is 0
// A number of a query, with Go's words for one that is none; "" is 0.
Outcome<int64_t> parse_number(std::string_view text);

// What a write asks for beside its body: dryRun, fieldValidation, fieldManager, force.
std::optional<ApiError> read_write_options(Request& request);

// Objects of the request's kind, in the form the client wants.
void send_list(Request& request, const ListPage& page);

}  // namespace fairlead::orchestrator::apiserver
