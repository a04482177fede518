// SPDX-License-Identifier: Apache-2.0
// get, list, watch.
#include <random>

#include "orchestrator/apiserver/front/request.h"

namespace fairlead::orchestrator::apiserver {
namespace {

constexpr int64_t kMaxWatchSeconds = 24 * 3600;
constexpr const char* kNotOlderThan = "NotOlderThan";

Json list_metadata(const ListPage& page) {
  Json metadata = {{"resourceVersion", std::to_string(page.revision)}};
  if (!page.continue_token.empty()) metadata["continue"] = page.continue_token;
  if (page.remaining) metadata["remainingItemCount"] = *page.remaining;
  return metadata;
}

// The objects' own bytes between the list's: nothing is parsed, unless the client wants another
// form.
std::string list_body(const Request& request, const ListPage& page) {
  const Kind& kind = *request.kind;
  const bool metadata = request.wants_metadata();
  size_t size = 256;
  for (const Bytes& item : page.items) size += item->size() + 1;
  std::string body;
  body.reserve(size);
  body += "{\"kind\":\"" + (metadata ? "PartialObjectMetadataList" : kind.list_kind()) +
          "\",\"apiVersion\":\"" + (metadata ? request.meta_version() : kind.api_version()) +
          "\",\"metadata\":" + dump(list_metadata(page)) + ",\"items\":[";
  bool first = true;
  for (const Bytes& item : page.items) {
    if (!std::exchange(first, false)) body += ',';
    if (request.wants_as_stored())
      body += *item;
    else
      body += dump(request.shown(decode_stored(item)));
  }
  return body += "]}";
}

ApiError invalid_list_options(std::vector<Cause> causes) {
  return invalid({"meta.k8s.io", "", "ListOptions", ""}, std::move(causes));
}

ApiError invalid_version(const std::string& text) {
  const std::string quoted = go_value(Json(text));
  return bad_request("invalid resource version: resourceVersion: Invalid value: " + quoted +
                     ": strconv.ParseUint: parsing " + quoted + ": invalid syntax");
}

// How resourceVersionMatch, resourceVersion and continue go together (ValidateListOptions).
std::vector<Cause> check_match(const Request& request) {
  std::vector<Cause> causes;
  const std::string match = request.query("resourceVersionMatch");
  const auto forbid = [&](const char* field, const std::string& why) {
    causes.push_back(forbidden_field(field, field + (" " + why)));
  };
  if (!match.empty()) {
    if (request.query("resourceVersion").empty())
      forbid("resourceVersionMatch", "is forbidden unless resourceVersion is provided");
    if (!request.query("continue").empty())
      forbid("resourceVersionMatch", "is forbidden when continue is provided");
    if (match != "Exact" && match != "NotOlderThan")
      causes.push_back(unsupported_value("resourceVersionMatch", go_value(Json(match)),
                                         {"Exact", "NotOlderThan", ""}));
    if (match == "Exact" && request.query("resourceVersion") == "0")
      forbid("resourceVersionMatch", "\"exact\" is forbidden for resourceVersion \"0\"");
  }
  if (request.http.query_value("sendInitialEvents"))
    forbid("sendInitialEvents", "is forbidden for list");
  return causes;
}

// The same for a watch, where these parameters ask for a list as a stream (KEP-3157). The rules are
// those of apimachinery/pkg/apis/meta/internalversion/validation.
std::vector<Cause> check_watch_list(const Request& request) {
  std::vector<Cause> causes;
  const std::string match = request.query("resourceVersionMatch");
  const bool asked = request.http.query_value("sendInitialEvents").has_value();
  const auto forbid = [&](const std::string& why) {
    causes.push_back(forbidden_field("resourceVersionMatch", why));
  };
  if (asked && match != kNotOlderThan)
    forbid("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
  if (match.empty()) return causes;
  if (!asked)
    forbid("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
  if (match != kNotOlderThan)
    causes.push_back(
        unsupported_value("resourceVersionMatch", go_value(Json(match)), {kNotOlderThan}));
  if (!request.query("continue").empty())
    forbid("resourceVersionMatch is forbidden when continue is provided");
  return causes;
}

// Without a word about it, a watch from no version, or from "any", begins with what there is.
bool wants_initial(const Request& request, int64_t version) {
  const auto asked = request.http.query_value("sendInitialEvents");
  return asked ? is_true(asked) : version == 0;
}

Outcome<PageOptions> read_page_options(const Request& request, int64_t newest) {
  PageOptions options;
  options.ns = request.info.ns;
  options.continue_token = request.query("continue");
  const std::string version_text = request.query("resourceVersion");
  const auto version = parse_version(version_text);
  const auto limit = parse_number(request.query("limit"));
  if (!limit) return limit.error();
  if (auto seconds = parse_number(request.query("timeoutSeconds")); !seconds)
    return seconds.error();
  options.limit = static_cast<size_t>(std::max<int64_t>(*limit, 0));
  if (auto causes = check_match(request); !causes.empty())
    return invalid_list_options(std::move(causes));
  if (!version) return invalid_version(version_text);
  options.exact = request.query("resourceVersionMatch") == "Exact";
  if (!options.continue_token.empty() && *version > 0)
    return bad_request("specifying resource version is not allowed when using continue");
  if (*version > newest) return too_large_version(*version, newest);
  options.revision = *version;
  return options;
}

}  // namespace

void send_list(Request& request, const ListPage& page) {
  if (!request.wants_table()) return request.send(200, list_body(request, page));
  std::vector<Json> objects;
  for (const Bytes& item : page.items) objects.push_back(decode_stored(item));
  request.send_json(200, make_table(*request.kind, objects, list_metadata(page),
                                    request.table_options(), std::chrono::system_clock::now()));
}

void Front::serve_get(const RequestRef& request) {
  const auto version = parse_version(request->query("resourceVersion"));
  if (!version) return request->fail(invalid_version(request->query("resourceVersion")));
  if (const int64_t newest = registry_.store().revision(); *version > newest)
    return request->fail(too_large_version(*version, newest));
  auto object = registry_.get(*request->kind, request->key());
  if (!object) return request->fail(object.error());
  request->send_object(200, *object);
}

void Front::serve_list(const RequestRef& request) {
  auto filter = Filter::make(*request->kind, request->query("labelSelector"),
                             request->query("fieldSelector"));
  if (!filter) return request->fail(filter.error());
  auto options = read_page_options(*request, registry_.store().revision());
  if (!options) return request->fail(options.error());
  auto page = registry_.list(*request->kind, *filter, *options);
  if (!page) return request->fail(page.error());
  send_list(*request, *page);
}

void Front::serve_watch(const RequestRef& request) {
  auto filter = Filter::make(*request->kind, request->query("labelSelector"),
                             request->query("fieldSelector"));
  if (!filter) return request->fail(filter.error());
  if (auto causes = check_watch_list(*request); !causes.empty())
    return request->fail(invalid_list_options(std::move(causes)));
  const std::string version_text = request->query("resourceVersion");
  const auto version = parse_version(version_text);
  if (!version) return request->fail(invalid_version(version_text));
  const bool initial = wants_initial(*request, *version);
  if (const int64_t newest = registry_.store().revision(); initial && *version > newest)
    return request->fail(too_large_version(*version, newest));
  const auto seconds = parse_number(request->query("timeoutSeconds"));
  if (!seconds) return request->fail(seconds.error());
  static thread_local std::mt19937 rng(std::random_device{}());
  const int64_t limit = *seconds > 0 ? std::min(*seconds, kMaxWatchSeconds)
                                     : 1800 + static_cast<int64_t>(rng() % 1800);
  WatchParameters parameters{
      std::move(*filter), is_true(request->http.query_value("allowWatchBookmarks")), initial,
      is_true(request->http.query_value("sendInitialEvents")), std::chrono::seconds(limit)};
  auto slot = std::make_shared<std::weak_ptr<Stream>>();
  auto stream = make_watch_stream(loop_, registry_, request, std::move(parameters), [this, slot] {
    if (auto ended = slot->lock()) streams_.erase(ended);
  });
  *slot = stream;
  keep(std::move(stream));
}

}  // namespace fairlead::orchestrator::apiserver
